//! Reports on simulated networks: what they say is the truth, and other engines read the tables and queries the same way.

use std::collections::BTreeMap;
use std::process::Command;

use report::{Data, QUERIES, Range, Report, ReportSettings};
use serde_json::{Value, json};

use crate::simulated::Replayed;
use crate::{checkout, peerscope, refuse, succeed};

/// A report's JSON.
fn report(replayed: &Replayed, arguments: &[&str]) -> Value {
    let mut command = peerscope(&["report"]);
    command.args(arguments).args(["--format", "json", "--data"]).arg(replayed.data());
    serde_json::from_str(&succeed(&mut command)).unwrap()
}

/// Rows as objects by column name, of the main section or of another.
fn rows(section: &Value) -> Vec<BTreeMap<String, Value>> {
    let names: Vec<&str> = section["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    let row = |row: &Value| names.iter().map(|name| name.to_string()).zip(row.as_array().unwrap().clone()).collect();
    section["rows"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn links_say_what_was_sent() {
    let replayed = Replayed::sample("failover");
    let answer = report(&replayed, &["links"]);
    let rows = rows(&answer);
    let seconds = 900.0;
    for truth in &replayed.truth.links {
        let row = rows.iter().find(|row| row["connection"] == *truth.link && row["direction"] == *truth.direction).unwrap();
        let expected = truth.total.l2_bytes as f64 * 8.0 / seconds / 1e6;
        let found = row["mean"].as_f64().unwrap();
        assert!(
            (found - expected).abs() < 1e-6 * expected,
            "{} {}: {found} Mbit/s, {expected} expected",
            truth.link,
            truth.direction
        );
        assert_eq!((row["coverage"].as_f64(), row["time_known"].as_f64().map(|share| share > 0.0)), (Some(1.0), Some(true)));
    }
}

#[test]
fn traffic_and_customers_sum_to_what_was_sent_whatever_they_are_told_apart_by() {
    let replayed = Replayed::sample("small");
    let sent: u64 = replayed.truth.links.iter().map(|truth| truth.total.l3_bytes).sum();
    for (name, by) in [
        ("traffic", "service"),
        ("traffic", "location,direction"),
        ("traffic", "role"),
        ("traffic", "ip_version,origin_asn"),
        ("customers", "customer"),
        ("customers", "prefix,asn,connection"),
    ] {
        let answer = report(&replayed, &[name, "--by", by, "--last", "1h"]);
        let sum: f64 = rows(&answer).iter().map(|row| row["bytes_estimated"].as_f64().unwrap()).sum();
        assert!((sum - sent as f64).abs() < 1.0, "{name} by {by}: {sum}, {sent} were sent");
    }
    let one = &replayed.truth.links[0];
    let answer = report(&replayed, &["traffic", "--by", "direction", "--where", &format!("connection={}", one.link)]);
    let row = rows(&answer).into_iter().find(|row| row["direction"] == *one.direction).unwrap();
    assert!((row["bytes_estimated"].as_f64().unwrap() - one.total.l3_bytes as f64).abs() < 1.0);
}

#[test]
fn what_is_limited_is_told_in_part_and_judged_as_a_whole() {
    let replayed = Replayed::sample("failover");
    let mut of_one = report(&replayed, &["overview", "--where", "connection=fra-1"]);
    let [row] = &rows(&of_one)[..] else { panic!("one connection: {of_one}") };
    assert_eq!((&row["connection"], &row["n1_survivor"]), (&json!("fra-1"), &json!("fra-2")));
    of_one = report(&replayed, &["links", "--where", "role=direct", "--where", "direction=to_microsoft"]);
    let names: Vec<Value> = rows(&of_one).into_iter().map(|row| row["connection"].clone()).collect();
    assert_eq!(names, [json!("fra-1"), json!("fra-2")]);
    let of_metro = report(&replayed, &["traffic", "--by", "direction", "--where", "location=Frankfurt"]);
    for row in rows(&of_metro) {
        let sent = replayed.truth.links.iter().filter(|truth| truth.role == "direct" && *truth.direction == row["direction"]);
        let sent: u64 = sent.map(|truth| truth.total.l3_bytes).sum();
        assert!((row["bytes_estimated"].as_f64().unwrap() - sent as f64).abs() < 1.0, "{row:?}: {sent}");
    }
}

#[test]
fn a_connection_that_is_down_carries_nothing_in_every_report() {
    let replayed = Replayed::sample("failover");
    let series = rows(&report(&replayed, &["azure", "--where", "connection=fra-1"]));
    let down: Vec<_> = series.iter().filter(|row| row["time"] == "2026-03-02T10:05:00Z").collect();
    assert!(down.len() == 2 && down.iter().all(|row| row["ingress_traffic_rate"] == 0.0), "{series:?}");
    let empty = replayed.links().into_iter().filter(|row| &*row.connection == "fra-1" && row.mean_bps == Some(0.0));
    let ratios: Vec<Option<f64>> = empty.map(|row| row.utilisation_ratio).collect();
    assert!(!ratios.is_empty() && ratios.iter().all(|ratio| *ratio == Some(0.0)), "{ratios:?}");
}

#[test]
fn links_stand_beside_the_range_before() {
    let replayed = Replayed::sample("failover");
    let range = ["--from", "2026-03-02T10:05:00Z", "--to", "2026-03-02T10:10:00Z"];
    let answer = report(&replayed, &[&["links", "--compare", "previous"], &range[..]].concat());
    let row = rows(&answer).into_iter().find(|row| row["connection"] == "fra-2" && row["direction"] == "from_microsoft").unwrap();
    let truth = replayed.truth.links.iter().find(|truth| truth.link == "fra-2" && truth.direction == "from_microsoft").unwrap();
    let expected = truth.windows_300_s[0].sum.l2_bytes as f64 * 8.0 / 300.0 / 1e6;
    assert!((row["previous_mean"].as_f64().unwrap() - expected).abs() < 1e-6 * expected, "{row:?}: {expected}");
    assert!(row["p95_growth"].as_f64().unwrap() > 0.5, "it took over from the other: {row:?}");
    let nothing = report(&replayed, &["links", "--compare", "previous"]);
    assert!(nothing["notes"].to_string().contains("nothing of the range before"), "{nothing}");
}

#[test]
fn every_report_answers_in_every_form() {
    // The sample is too short to tell what is usual, and with that, what fails.
    let (sample, long) = (Replayed::sample("failover"), crate::failovers::one());
    for name in Report::ALL.iter().map(|report| report.name) {
        let replayed = if name == "failovers" { &long } else { &sample };
        let answer = report(replayed, &[name]);
        assert!(!rows(&answer).is_empty(), "{name}: {answer}");
        for (format, expected) in [("table", "direct"), ("csv", ","), ("html", "</html>")] {
            let mut command = peerscope(&["report", name, "--format", format, "--data"]);
            let text = succeed(command.arg(replayed.data()));
            let is_there = text.contains(expected) || (format == "table" && text.contains(name));
            assert!(is_there, "{name} as {format}: {text}");
        }
    }
}

#[test]
fn resilience_says_what_fails_who_takes_it_and_what_the_share_rests_on() {
    let replayed = Replayed::sample("failover");
    let lines = rows(&report(&replayed, &["resilience"]));
    let line = |kind: &str, name: &str| lines.iter().find(|row| row["kind"] == kind && row["name"] == name).unwrap();
    for (kind, name, connections) in [
        ("connection", "fra-1", "fra-1"),
        ("port", "fra1-pni-a", "fra-1"),
        ("router", "192.0.2.1", "fra-1 fra-2"),
        ("exchange", "Example-IX", "ams-exchange"),
        ("metro", "Frankfurt", "fra-1 fra-2"),
    ] {
        assert!(line(kind, name)["connections"].as_str().unwrap().contains(connections), "{kind} {name}: {:?}", line(kind, name));
    }
    let alone = line("connection", "fra-1");
    assert_eq!(
        (&alone["verdict"], &alone["worst_survivor"], &alone["leaves_metro"]),
        (&json!("holds"), &json!("fra-2"), &json!(0.0))
    );
    let metro = line("metro", "Frankfurt");
    assert_eq!((&metro["verdict"], &metro["leaves_metro"]), (&json!("holds, leaves the metro"), &metro["moved"]));
    // The rows of the tables by hand: what fra-1 loses at its worst moment comes on top of what fra-2's port has then.
    let cells = rows(&report(&replayed, &["resilience", "--by", "survivor"]));
    let of_fra_1: Vec<_> = cells.iter().filter(|row| row["failed"] == "fra-1" && row["kind"] == "connection").collect();
    assert_eq!(of_fra_1.len(), 2, "fra-2, in both directions: {of_fra_1:?}");
    for cell in of_fra_1 {
        assert_eq!((&cell["survivor"], &cell["origin"], &cell["share"]), (&json!("fra-2"), &json!("present_split"), &json!(1.0)));
        let [before, after, takes, capacity] =
            ["port_before", "port_after", "takes", "port_capacity"].map(|name| cell[name].as_f64().unwrap());
        assert!((before * capacity + takes - after * capacity).abs() < 1e-6 && takes > 0.0, "{cell:?}");
    }
    let both = report(&replayed, &["resilience", "--down", "fra-1,fra-2"]);
    assert_eq!(rows(&both)[0]["connections"], "fra-1 fra-2");
    let takers = rows(&both["sections"][0]);
    assert!(!takers.is_empty() && takers.iter().all(|row| row["survivor"] == "ams-exchange"), "{takers:?}");
    let page = succeed(peerscope(&["report", "resilience", "--format", "html", "--data"]).arg(replayed.data()));
    assert!(page.contains("class=\"matrix\"") && page.contains("present split over the survivors"));
}

#[test]
fn a_risk_group_fails_together() {
    let replayed = Replayed::sample("failover");
    let mut config = std::fs::read_to_string(replayed.path("peerscope.toml")).unwrap();
    config += "\n[[risk_group]]\nname = \"duct\"\nconnections = [\"fra-2\", \"ams-exchange\"]\n";
    std::fs::write(replayed.path("grouped.toml"), config).unwrap();
    let data = replayed.path("grouped");
    let mut replay = peerscope(&["replay"]);
    replay.arg(replayed.path("network.pcap")).arg("--data").arg(&data).arg("--config").arg(replayed.path("grouped.toml"));
    succeed(&mut replay);
    let mut command = peerscope(&["report", "resilience", "--format", "json", "--data"]);
    let answer: Value = serde_json::from_str(&succeed(command.arg(&data))).unwrap();
    let line = rows(&answer).into_iter().find(|row| row["kind"] == "risk_group").unwrap();
    assert_eq!((&line["name"], &line["connections"]), (&json!("duct"), &json!("ams-exchange fra-2")));
    assert_eq!(line["worst_survivor"], "fra-1");
}

#[test]
fn a_full_port_and_a_leak_are_in_the_verdict() {
    // The demo's network with ports a thousand times slower, so that its little traffic fills them.
    let text = std::fs::read_to_string(checkout("samples/scenarios/failover.toml")).unwrap();
    let replayed = Replayed::scenario(&text.replace("100_000_000_000", "2_000_000"));
    let answer = report(&replayed, &["overview"]);
    let verdict = answer["verdict"].to_string();
    for expected in ["past Microsoft's 50 % line", "it does not hold"] {
        assert!(verdict.contains(expected), "{expected}: {verdict}");
    }
    let policy = report(&replayed, &["policy"])["verdict"].to_string();
    assert!(policy.contains("50 % line is not met") && policy.contains("port at the exchange is not met"), "{policy}");
}

#[test]
fn a_question_that_means_nothing_is_told_so() {
    let replayed = Replayed::sample("small");
    let data = replayed.data();
    let data = data.to_str().unwrap();
    let empty = tempfile::tempdir().unwrap();
    for (arguments, code, expected) in [
        (vec!["report", "traffic", "--by", "colour", "--data", data], 2, "no such column here; give some of service"),
        (vec!["report", "links", "--where", "colour=red", "--data", data], 2, "limited by connection, peering, role"),
        (
            vec!["report", "links", "--where", "connection=fra-9", "--data", data],
            1,
            "nothing has connection \"fra-9\": there are ",
        ),
        (vec!["report", "traffic", "--where", "location=Nowhere", "--data", data], 1, "nothing has location"),
        (vec!["report", "traffic", "--where", "ip_version=5", "--data", data], 1, "there are 4, 6"),
        (vec!["report", "customers", "--where", "colour=red", "--data", data], 2, "the table prefixes has only"),
        (vec!["report", "exporters", "--where", "exporter=192.0.2.99", "--data", data], 1, "no exporter fits"),
        (vec!["report", "future", "--data", data], 2, "overview, links, traffic"),
        (vec!["report", "links", "--format", "csv", "--section", "2", "--data", data], 2, "there are 1 Loads"),
        (vec!["report", "links", "--where", "colour", "--data", data], 2, "COLUMN=VALUE"),
        (vec!["report", "links", "--from", "soon", "--data", data], 2, "no instant"),
        (vec!["report", "links", "--last", "5", "--data", data], 2, "no span"),
        (vec!["report", "links", "--from", "2020-01-01", "--to", "2020-01-02", "--data", data], 1, "it has some from"),
        (vec!["report", "links", "--from", "2020-01-02", "--to", "2020-01-01", "--data", data], 2, "ends before it begins"),
        (
            vec!["report", "links", "--by", "service", "--data", data],
            2,
            "takes no --by; these do: traffic, customers, resilience",
        ),
        (vec!["report", "policy", "--compare", "previous", "--data", data], 2, "takes no --compare previous"),
        (vec!["report", "links", "--data", empty.path().to_str().unwrap()], 1, "there are no tables in this folder"),
        // Of several, too, none is passed over.
        (
            vec!["report", "links", "--data", data, "--data", empty.path().to_str().unwrap()],
            1,
            "there are no tables in this folder",
        ),
        (vec!["report", "links", "--down", "fra-1", "--data", data], 2, "takes no --down; these do: resilience"),
        (vec!["report", "resilience", "--down", "nowhere", "--data", data], 2, "--down nowhere: it is no connection"),
        (vec!["report", "resilience", "--by", "service", "--data", data], 2, "--by survivor alone"),
        (vec!["report", "azure", "--compare", "absent.csv", "--data", data], 2, "absent.csv"),
        (vec!["sql", "drop table links", "--data", data], 1, "not supported"),
        (vec!["sql", "select colour from links", "--data", data], 1, "colour"),
    ] {
        let said = refuse(&mut peerscope(&arguments), code);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_damaged_file_is_named_and_passed_over() {
    let replayed = Replayed::sample("small");
    let before = report(&replayed, &["links"]);
    let mut folder = replayed.data().join("links");
    while let Some(inner) =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).min()
    {
        folder = inner;
    }
    let file = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let file = file.filter(|path| path.extension().is_some_and(|ending| ending == "parquet")).min().unwrap();
    // As long as before, so that only reading it shows the damage.
    let bytes = std::fs::read(&file).unwrap();
    let mut damaged = bytes.clone();
    damaged[4..bytes.len() / 2].fill(0xff);
    std::fs::write(&file, damaged).unwrap();
    let after = report(&replayed, &["links"]);
    assert!(after["notes"].to_string().contains(file.file_name().unwrap().to_str().unwrap()), "{after}");
    assert_eq!(before["rows"].as_array().unwrap().len(), after["rows"].as_array().unwrap().len());
    let counted =
        peerscope(&["sql", "select count(*) as rows from links", "--format", "csv", "--data"]).arg(replayed.data()).output();
    assert!(String::from_utf8_lossy(&counted.unwrap().stderr).contains("passed over"));
}

#[test]
fn azures_figures_are_compared_by_whose_they_are_and_since_when_they_differ() {
    let replayed = Replayed::sample("failover");
    let series = report(&replayed, &["azure"]);
    let mut csv = "TimeStamp,MetricName,ConnectionId,SessionIp,Average\n".to_owned();
    for row in rows(&series).iter().filter(|row| row["connection"] == "fra-2") {
        // Microsoft's words the other way round, and half of it in the last step.
        let factor = if row["time"] == "2026-03-02T10:10:00Z" { 0.5e6 } else { 1e6 };
        for (metric, rate) in [("EgressTrafficRate", "ingress_traffic_rate"), ("IngressTrafficRate", "egress_traffic_rate")] {
            let [time, session] = ["time", "session_ip"].map(|name| row[name].as_str().unwrap());
            csv += &format!("{time},{metric},fra-2,{session},{}\n", row[rate].as_f64().unwrap() * factor);
        }
    }
    let file = replayed.path("azure.csv");
    std::fs::write(&file, csv).unwrap();
    let answer = report(&replayed, &["azure", "--compare", file.to_str().unwrap()]);
    for row in rows(&answer) {
        let expected = if row["metric"] == "EgressTrafficRate" { "to_microsoft" } else { "from_microsoft" };
        assert_eq!((&row["is_our"], &row["differs_since"]), (&json!(expected), &json!("2026-03-02T10:10:00Z")), "{row:?}");
    }
    assert!(answer["verdict"].to_string().contains("since 2026-03-02 10:10 UTC"), "{answer}");
    let minutes = report(&replayed, &["azure", "--step", "1m"]);
    assert!(rows(&minutes).len() >= 15 * 3);
}

/// A value as both engines give it: floats in a form that rounding does not change.
fn rounded(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) => json!(format!("{number:.9e}")),
        None => value.clone(),
    }
}

/// Whether DuckDB is there; says so where it is not.
pub(crate) fn has_duckdb() -> bool {
    let is_there = Command::new("python3").args(["-c", "import duckdb"]).output().is_ok_and(|out| out.status.success());
    if !is_there {
        eprintln!("passed over: python3 has no duckdb");
    }
    is_there
}

#[test]
fn duckdb_reads_every_query_row_by_row_the_same() {
    if !has_duckdb() {
        return;
    }
    let is_of_failovers = |name: &str| ["failovers", "moved"].contains(&name);
    same_in_duckdb(&Replayed::sample("sampled_v9"), |name| !is_of_failovers(name));
    same_in_duckdb(&crate::failovers::one(), is_of_failovers);
}

fn same_in_duckdb(replayed: &Replayed, is_asked: impl Fn(&str) -> bool) {
    let mut data = Data::open(&replayed.data(), Range::EVER, &[], &ReportSettings::default()).unwrap();
    data.register_all().unwrap();
    let fill = |sql: &str, by: &str| sql.replace("{by}", by).replace("{connections}", "'fra-1', 'fra-2', 'ams-transit'");
    let mut queries: Vec<(String, String)> = Vec::new();
    for (name, sql) in QUERIES.iter().filter(|(name, _)| is_asked(name)) {
        let by: &[&str] = if sql.contains("{by}") { &["connection, direction", "direction"] } else { &[""] };
        queries.extend(by.iter().map(|by| (format!("{name} {by}"), fill(sql, by))));
    }
    let folder = tempfile::tempdir().unwrap();
    // Both read what both can: tables as rows of JSON lines would lose types, so DuckDB reads the files themselves.
    let input = json!({
        "data": replayed.data(),
        "queries": queries.iter().map(|(_, sql)| sql.replace("links_5m", "links").replace("ports_5m", "ports")).collect::<Vec<_>>(),
    });
    std::fs::write(folder.path().join("input.json"), input.to_string()).unwrap();
    let script = checkout("tests/engines.py");
    let printed = succeed(Command::new("python3").arg(script).arg(folder.path().join("input.json")));
    let theirs: Vec<Vec<Vec<Value>>> = serde_json::from_str(&printed).unwrap();
    for ((name, sql), theirs) in queries.iter().zip(theirs) {
        let ours = data.table(&sql.replace("links_5m", "links").replace("ports_5m", "ports")).unwrap().rows;
        assert!(!ours.is_empty() || name.starts_with("expressroute") || name.starts_with("latency_buckets"), "{name}");
        let sorted = |rows: Vec<Vec<Value>>| {
            let mut rows: Vec<String> =
                rows.iter().map(|row| json!(row.iter().map(rounded).collect::<Vec<_>>()).to_string()).collect();
            // Where a query gives an order, the order counts.
            if !sql.contains("order by") {
                rows.sort();
            }
            rows
        };
        assert_eq!(sorted(ours), sorted(theirs), "{name}");
    }
}
