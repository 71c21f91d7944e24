//! Latency: of captured packets as tshark has it, of flow records only where they can tell it, of mirrors and probes live.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use decode::header::{HeaderKind, mirrored};
use measure::{Deltas, MeasureSettings, Mirrored, Owner, PacketLatency};
use model::TagId;
use model::latency::End;
use model::link::Directory;
use model::tables::LatencyRow;
use model::tag::TagNames;
use receive::CaptureReader;
use report::{Data, QUERIES, Range, ReportSettings};
use serde_json::Value;

use crate::simulated::Replayed;
use crate::softflowd::{collector_at, collector_with, stop};
use crate::{checkout, has_program, peerscope, shared, succeed};

/// A connection's port and times, as the constant below has them.
type Handshake = (u16, i64, i64, i64);

/// tshark 4.0.17 on the handshakes of two captures: the client's port, then µs from SYN to SYN-ACK
/// (`tcp.analysis.ack_rtt` of the SYN-ACK), from SYN-ACK to ACK (the same of the ACK), and from SYN to ACK
/// (`tcp.analysis.initial_rtt`).
const TSHARK: [(&str, &[Handshake]); 2] = [
    (
        "traffic/teams.pcap",
        &[
            (60532, 43237, 104, 43341),
            (60533, 12466, 97, 12563),
            (60534, 29760, 113, 29873),
            (60535, 45263, 146, 45409),
            (60536, 11421, 101, 11522),
            (60537, 44214, 100, 44314),
            (60538, 26730, 111, 26841),
            (60539, 30594, 97, 30691),
            (60540, 30130, 107, 30237),
            (60541, 31239, 80, 31319),
            (60542, 12667, 99, 12766),
            (60543, 50532, 115, 50647),
            (60544, 47150, 78, 47228),
            (60545, 45653, 103, 45756),
            (60546, 53513, 52, 53565),
            (60547, 34191, 107, 34298),
            (60548, 45577, 108, 45685),
            (60549, 11504, 106, 11610),
            (60551, 155664, 99, 155763),
            (60552, 46385, 86, 46471),
            (60554, 12903, 92, 12995),
            (60555, 45498, 61, 45559),
            (60556, 28648, 64, 28712),
            (60557, 12158, 96, 12254),
            (60559, 48601, 109, 48710),
            (60560, 29009, 83, 29092),
            (60561, 48418, 109, 48527),
            (60562, 29516, 100, 29616),
            (60563, 43329, 106, 43435),
            (60564, 30129, 109, 30238),
            (60565, 19199, 103, 19302),
            (60566, 71918, 101, 72019),
            (50018, 44968, 111, 45079),
            (50021, 45744, 73, 45817),
            (50014, 41052, 69, 41121),
            (50036, 43519, 104, 43623),
            (60567, 42962, 106, 43068),
            (60568, 29372, 108, 29480),
        ],
    ),
    (
        "traffic/http_ipv6.pcap",
        &[
            (37486, 24635, 57, 24692),
            (37488, 24605, 18, 24623),
            (37494, 20595, 87, 20682),
            (37506, 24674, 60, 24734),
            (53132, 7143, 17, 7160),
            (53134, 6974, 59, 7033),
        ],
    ),
];

fn rows_of(data: &std::path::Path) -> Vec<LatencyRow> {
    store::read::<LatencyRow>(data, i64::MIN, i64::MAX).unwrap().rows
}

/// The rows of the segments of one client's port, whose other end is taken for Microsoft's.
fn rows_of_port(capture: &std::path::Path, port: u16) -> Vec<LatencyRow> {
    let settings = MeasureSettings::default();
    let mut latency = PacketLatency::new(&settings);
    let mut reader = CaptureReader::open(capture).unwrap();
    let (names, mut last_us) = (TagNames::default(), 0);
    while let Some(frame) = reader.next_frame().unwrap() {
        let Some(packet) = mirrored(HeaderKind::Ethernet, frame.bytes, frame.vlan) else { continue };
        let Some(segment) = packet.segment else { continue };
        if segment.source_port != port && segment.destination_port != port {
            continue;
        }
        let sender = if segment.source_port == port { End::Customer } else { End::Microsoft };
        let addresses = [packet.source, packet.destination];
        last_us = frame.at_us;
        let at_us = frame.at_us;
        latency.packet(&Mirrored { at_us, link: 0, sender, addresses, tag: TagId(0), segment: Some(&segment) }, &names);
    }
    let delta = Deltas::new(&settings).take(&Directory::default(), &std::sync::Arc::new(names), Vec::new(), 0);
    let mut owner = Owner::new(settings);
    owner.merge(0, delta.with_latency(latency.take()), last_us);
    let published = owner.finish(last_us).into_iter();
    published.filter_map(|one| if let model::Rows::Latency(rows) = one.rows { Some(rows) } else { None }).flatten().collect()
}

#[test]
fn handshakes_of_captured_packets_take_what_tshark_says() {
    for (name, handshakes) in TSHARK {
        let Some(capture) = shared(name) else { return };
        for (port, to_server_us, to_client_us, whole_us) in handshakes {
            let rows = rows_of_port(&capture, *port);
            let spans = [("edge_to_microsoft", to_server_us), ("edge_to_client", to_client_us), ("round_trip", whole_us)];
            for (span, expected_us) in spans {
                let row = rows.iter().find(|row| (&*row.method, &*row.span) == ("handshake", span)).unwrap();
                // Of one measurement the mean is it, before the histogram rounds.
                let mean_us = row.mean_us.unwrap();
                assert_eq!(row.samples, 1);
                assert!((mean_us - *expected_us as f64).abs() <= 1.0, "{name} {port} {span}: {mean_us}, {expected_us}");
                assert_eq!(row.initiator.as_deref(), Some("customer"));
            }
        }
    }
}

/// A replay of the packets of teams.pcap, with Microsoft's prefixes.
fn replay_packets() -> Option<tempfile::TempDir> {
    let (capture, prefixes) = (shared("traffic/teams.pcap")?, shared("azure/as8075-ipv4-subset.txt")?);
    let data = tempfile::tempdir().unwrap();
    let mut replay = peerscope(&["replay", "--as-prefixes", &format!("8075={}", prefixes.display()), "--packets"]);
    let said = succeed(replay.arg(capture).arg("--data").arg(data.path()));
    assert!(said.contains("handshakes measured 36"), "{said}");
    Some(data)
}

#[test]
fn packets_are_replayed_to_rows_and_a_report_of_merged_histograms() {
    let Some(data) = replay_packets() else { return };
    let rows = rows_of(data.path());
    assert!(rows.iter().all(|row| &*row.connection == "teams/packets"), "{rows:?}");
    let printed = succeed(peerscope(&["report", "latency", "--format", "json", "--data"]).arg(data.path()));
    let answer: Value = serde_json::from_str(&printed).unwrap();
    let names: Vec<&str> = answer["columns"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    let cell = |row: &Value, name: &str| row[names.iter().position(|known| *known == name).unwrap()].clone();
    for (method, span) in [("handshake", "edge_to_microsoft"), ("handshake", "round_trip"), ("timestamps", "edge_to_client")] {
        let of = |row: &&LatencyRow| (&*row.method, &*row.span) == (method, span);
        let samples: i64 = rows.iter().filter(of).map(|row| row.samples).sum();
        let told =
            answer["rows"].as_array().unwrap().iter().filter(|row| cell(row, "method") == method && cell(row, "span") == span);
        let told: i64 = told.map(|row| cell(row, "samples").as_i64().unwrap()).sum();
        assert_eq!((told, samples > 0), (samples, true), "{method} {span}");
    }
    // The median of all windows, by the buckets of all rows.
    let of = |row: &&LatencyRow| (&*row.method, &*row.span, &row.region) == ("handshake", "edge_to_microsoft", &None);
    let mut buckets: Vec<i64> = rows
        .iter()
        .filter(of)
        .flat_map(|row| {
            let counts = row.bucket_us.iter().flatten().zip(row.bucket_count.iter().flatten());
            counts.flat_map(|(bucket, count)| vec![*bucket; *count as usize]).collect::<Vec<_>>()
        })
        .collect();
    buckets.sort_unstable();
    let row = answer["rows"].as_array().unwrap().iter().find(|row| {
        cell(row, "method") == "handshake" && cell(row, "span") == "edge_to_microsoft" && cell(row, "region").is_null()
    });
    let expected = buckets[buckets.len().div_ceil(2) - 1] as f64 / 1e3;
    assert_eq!(cell(row.unwrap(), "p50").as_f64(), Some(expected));
}

#[test]
fn duckdb_reads_latency_the_same() {
    let Some(data) = replay_packets() else { return };
    if !has_program("python3") || !crate::reports::has_duckdb() {
        return;
    }
    let mut ours = Data::open(data.path(), Range::EVER, &[], &ReportSettings::default()).unwrap();
    ours.register(&["latency"]).unwrap();
    let queries: Vec<&str> = QUERIES.iter().filter(|(name, _)| name.starts_with("latency")).map(|(_, sql)| *sql).collect();
    let folder = tempfile::tempdir().unwrap();
    let input = serde_json::json!({ "data": data.path(), "queries": queries });
    std::fs::write(folder.path().join("input.json"), input.to_string()).unwrap();
    let mut python = std::process::Command::new("python3");
    let printed = succeed(python.arg(checkout("tests/engines.py")).arg(folder.path().join("input.json")));
    let theirs: Vec<Vec<Vec<Value>>> = serde_json::from_str(&printed).unwrap();
    for (sql, theirs) in queries.iter().zip(theirs) {
        let ours = ours.table(sql).unwrap().rows;
        let rounded = |rows: &[Vec<Value>]| -> Vec<String> {
            let one = |value: &Value| value.as_f64().map_or(value.to_string(), |number| format!("{number:.9e}"));
            rows.iter().map(|row| row.iter().map(one).collect::<Vec<_>>().join(" ")).collect()
        };
        assert!(!ours.is_empty());
        assert_eq!(rounded(&ours), rounded(&theirs), "{sql}");
    }
}

/// Why the flow records of a folder tell no latency, by connection.
fn reasons(data: &std::path::Path) -> Vec<String> {
    let rows = rows_of(data);
    assert!(rows.iter().all(|row| &*row.method != "flow_pairs" || row.samples == 0), "{rows:?}");
    let mut reasons: Vec<String> = rows.iter().filter_map(|row| row.absent_reason.as_deref().map(str::to_owned)).collect();
    reasons.sort();
    reasons.dedup();
    reasons
}

#[test]
fn an_exporter_that_shares_starts_gives_no_number_but_the_reason() {
    let (Some(capture), Some(prefixes)) = (shared("traffic/teams.pcap"), shared("azure/as8075-ipv4-subset.txt")) else { return };
    if !has_program("softflowd") {
        return;
    }
    for version in ["5", "9", "10"] {
        let data = tempfile::tempdir().unwrap();
        let (child, address) = collector_with(data.path(), &["--as-prefixes", &format!("8075={}", prefixes.display())]);
        // Short names, from a directory of its own: softflowd does not come back from long ones.
        let place = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(std::fs::canonicalize(&capture).unwrap(), place.path().join("c.pcap")).unwrap();
        let mut softflowd = std::process::Command::new("softflowd");
        softflowd.current_dir(&place).args(["-r", "c.pcap", "-p", "p", "-c", "c"]);
        softflowd.args(["-a", "-n", &address, "-v", version, "-t", "maxlife=60"]);
        assert!(softflowd.status().unwrap().success());
        stop(child);
        assert!(reasons(data.path()).contains(&"shared_start".to_owned()), "{version}: {:?}", reasons(data.path()));
    }
}

#[test]
fn sampled_records_give_no_number_but_the_reason() {
    let replayed = Replayed::sample("sampled_v9");
    assert_eq!(reasons(&replayed.data()), ["sampled"]);
}

#[test]
fn a_mirror_and_a_probe_are_measured_live() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("microsoft.txt"), "127.0.0.2/32 Storage westeurope\n").unwrap();
    std::fs::write(path("probes.jsonl"), "{\"connection\":\"fra-1\",\"rtt_ms\":[3.5,4.5]}\n{\"rtt_ms\":1}\nnonsense\n").unwrap();
    let config = "[[exporter]]\nname = \"r1\"\naddress = \"192.0.2.1\"\n\
                  [[port]]\nname = \"p\"\nexporter = \"r1\"\ninterfaces = [1]\n\
                  [[connection]]\nname = \"fra-1\"\nport = \"p\"\nrole = \"direct\"\n\
                  [[tap]]\nconnection = \"fra-1\"\ninterface = \"lo\"\n\
                  [[probe]]\nname = \"ping\"\nfile = \"probes.jsonl\"\nspan = \"round_trip\"\ninitiator = \"customer\"\n";
    std::fs::write(path("peerscope.toml"), config).unwrap();
    let data = folder.path().join("data");
    let mut collect = peerscope(&["collect", "--interface", "lo", "--packets", "--listen", "127.0.0.1:0"]);
    collect.args(["--own-microsoft", &path("microsoft.txt"), "--config", &path("peerscope.toml"), "--data"]).arg(&data);
    let may = collect.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let Some((child, _)) = collector_at(may) else {
        eprintln!("passed over: may not listen on lo");
        return;
    };
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"question").unwrap();
    server.read_exact(&mut [0; 8]).unwrap();
    server.write_all(b"answer!!").unwrap();
    client.read_exact(&mut [0; 8]).unwrap();
    // A stop reads what waits, and publishes what there is.
    stop(child);
    let rows = rows_of(&data);
    let row = rows.iter().find(|row| (&*row.method, &*row.span) == ("handshake", "edge_to_microsoft")).unwrap();
    assert_eq!(
        (&*row.connection, row.region.as_deref(), row.initiator.as_deref()),
        ("fra-1", Some("westeurope"), Some("customer"))
    );
    assert!(row.max_us.unwrap() < 60_000_000);
    let row = rows.iter().find(|row| &*row.method == "imported").unwrap();
    assert_eq!((row.samples, row.mean_us, row.element.as_deref()), (2, Some(4_000.0), Some("ping")));
}
