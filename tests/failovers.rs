//! Failovers from datagrams: networks of which a connection fails, through capture and replay, against what was done to them.

use measure::last_told;
use model::tables::{AlertRow, ConnectionRow, FailoverRow};
use model::time::{BIN_US, SECOND_US};

use crate::simulated::{Replayed, rows};
use crate::{checkout, peerscope, succeed};

/// A failure of the sample's network.
pub(crate) struct Case {
    seed: u64,
    one_in: u64,
    connection: &'static str,
    down_at_seconds: f64,
    /// Where its traffic goes, a third each.
    moves_to: [&'static str; 3],
}

const SECONDS: i64 = 2_400;
/// How long it lasts.
const DOWN_SECONDS: f64 = 420.0;

const fn case(seed: u64, one_in: u64, connection: &'static str, down_at_seconds: f64, moves_to: [&'static str; 3]) -> Case {
    Case { seed, one_in, connection, down_at_seconds, moves_to }
}

const CASES: [Case; 10] = [
    case(1, 100, "fra-1", 1_205.0, ["fra-2", "fra-2", "ams-exchange"]),
    case(2, 100, "fra-2", 1_210.0, ["fra-1", "fra-1", "fra-1"]),
    case(3, 50, "ams-exchange", 1_233.0, ["fra-1", "fra-2", "fra-2"]),
    case(4, 200, "fra-1", 1_300.0, ["ams-exchange", "ams-exchange", "fra-2"]),
    case(5, 200, "fra-2", 1_400.0, ["fra-1", "ams-transit", "ams-transit"]),
    case(6, 200, "fra-1", 1_499.0, ["fra-2", "ams-exchange", "ams-transit"]),
    case(7, 50, "fra-2", 1_500.0, ["ams-exchange", "ams-exchange", "ams-exchange"]),
    case(8, 50, "ams-exchange", 1_257.0, ["ams-transit", "ams-transit", "ams-transit"]),
    case(9, 50, "fra-1", 1_321.0, ["fra-2", "fra-2", "ams-transit"]),
    case(10, 100, "fra-2", 1_444.0, ["fra-1", "fra-1", "ams-exchange"]),
];

/// The sample with a hundred times the traffic, sampled, for so long that what is usual can be learned; without a case
/// nothing fails.
pub(crate) fn failing(case: Option<&Case>) -> Replayed {
    let sample = std::fs::read_to_string(checkout("samples/scenarios/failover.toml")).unwrap();
    let (network, _) = sample.split_once("[[failures]]").unwrap();
    let (seed, one_in) = case.map_or((99, 100), |case| (case.seed, case.one_in));
    let mut text = String::new();
    for line in network.lines() {
        let line = match line.split_once(" = ") {
            Some(("seed", _)) => format!("seed = {seed}"),
            Some(("duration_seconds", _)) => format!("duration_seconds = {SECONDS}"),
            Some(("protocol", _)) => format!("{line}\nsampling = {{ one_in = {one_in} }}"),
            Some((key @ ("to_microsoft_bps" | "from_microsoft_bps"), bps)) => {
                format!("{key} = {:.1}", bps.replace('_', "").parse::<f64>().unwrap() * 100.0)
            }
            _ => line.to_owned(),
        };
        text.push_str(&format!("{line}\n"));
    }
    // Packets in trains of 16 and short flows: a big network in little time.
    text.push_str("[traffic]\npackets_per_train = 16\nflow_lengths = [{ packets = 400.0, seconds = 4.0, weight = 1.0 }]\n");
    if let Some(Case { connection, down_at_seconds, moves_to, .. }) = case {
        let up_at_seconds = down_at_seconds + DOWN_SECONDS;
        text.push_str(&format!(
            "[[failures]]\nconnection = \"{connection}\"\ndown_at_seconds = {down_at_seconds:.1}\nup_at_seconds = {up_at_seconds:.1}\n\
             moves_to = {moves_to:?}\n"
        ));
    }
    Replayed::scenario(&text)
}

/// The first of the cases, for other tests.
pub(crate) fn one() -> Replayed {
    failing(Some(&CASES[0]))
}

/// Each event as it was told last.
fn events(replayed: &Replayed) -> Vec<FailoverRow> {
    last_told(rows::<FailoverRow>(&replayed.data()))
}

/// When the simulated network began, microseconds since 1970: 2026-03-02 10:00 UTC.
const START_US: i64 = 1_772_445_600 * SECOND_US;

fn check(case: &Case) {
    let replayed = failing(Some(case));
    let events = events(&replayed);
    let what = format!("seed {}: {events:#?}", case.seed);
    assert_eq!(events.len(), 2, "one in each direction, and nothing else; {what}");
    let down_us = START_US + (case.down_at_seconds * 1e6) as i64;
    for event in &events {
        assert_eq!((event.connection.as_deref(), &*event.kind), (Some(case.connection), "failed"), "{what}");
        assert!((event.started_at.0 - down_us / BIN_US * BIN_US).abs() <= BIN_US, "{what}");
        let up_us = down_us + (DOWN_SECONDS * 1e6) as i64;
        assert!(event.ended_at.is_some_and(|ended| (ended.0 - up_us).abs() <= 3 * BIN_US), "{what}");
        for link in ["fra-1", "fra-2", "ams-exchange", "ams-transit"].into_iter().filter(|link| *link != case.connection) {
            let expected = case.moves_to.iter().filter(|to| **to == link).count() as f64 / 3.0;
            let moved = event.moved.iter().find(|moved| &*moved.connection == link && moved.group.is_none());
            let (share, error) = moved.map_or((0.0, 0.0), |moved| (moved.share.unwrap(), moved.share_error.unwrap()));
            assert!((share - expected).abs() <= (3.0 * error).max(0.03), "{link}: {share} ± {error}, not {expected}; {what}");
        }
        assert!(event.unaccounted_share.unwrap().abs() <= (3.0 * event.unaccounted_error.unwrap()).max(0.03), "{what}");
    }
    let connections = rows::<ConnectionRow>(&replayed.data());
    assert!(connections.iter().any(|row| &*row.connection == case.connection));
}

#[test]
fn what_failed_is_found_with_what_moved_where() {
    CASES.iter().for_each(check);
}

#[test]
fn a_network_in_which_nothing_fails_has_no_failover() {
    assert_eq!(events(&failing(None)), []);
}

#[test]
fn what_was_seen_once_tells_what_the_next_failure_would_do() {
    let replayed = one();
    let mut report = peerscope(&["report", "resilience", "--down", "fra-1", "--by", "survivor", "--format", "csv", "--data"]);
    let answer = succeed(report.arg(replayed.data()));
    let of =
        |survivor: &str| -> Vec<String> { answer.lines().filter(|line| line.contains(survivor)).map(str::to_owned).collect() };
    for survivor in ["fra-2", "ams-exchange"] {
        let lines = of(survivor);
        assert!(lines.len() == 2 && lines.iter().all(|line| line.contains(",observed,")), "{answer}");
    }
    assert!(of("ams-transit").is_empty(), "{answer}");
}

#[test]
fn a_failover_is_one_alert_from_its_beginning_to_its_end() {
    let rows = rows::<AlertRow>(&one().data());
    for direction in ["to_microsoft", "from_microsoft"] {
        let of = rows.iter().filter(|row| &*row.rule == "failover" && row.direction.as_deref() == Some(direction));
        let states: Vec<&str> = of.map(|row| &*row.state).collect();
        assert_eq!(states, ["firing", "resolved"], "{direction}");
    }
}

#[test]
fn what_was_planned_is_marked_and_what_was_not_is_not() {
    // 2026-03-02 10:20:05 UTC, told as people tell it: from a quarter past on, in an iCalendar and by an interval.
    let calendar = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260302T101500Z\r\nDTEND:20260302T103000Z\r\n\
        SUMMARY:Optics of fra-1 exchanged\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let interval = |connection: &str, from: &str, to: &str| {
        format!(
            "[[planned]]\nfrom = \"2026-03-02T{from}:00Z\"\nto = \"2026-03-02T{to}:00Z\"\nconnections = [\"{connection}\"]\nsummary = \"works\"\n"
        )
    };
    let replayed = one();
    std::fs::write(replayed.path("works.ics"), calendar).unwrap();
    let plain = std::fs::read_to_string(replayed.path("peerscope.toml")).unwrap();
    for (planned, expected) in [
        ("[[planned]]\ncalendar = \"works.ics\"\n".to_owned(), Some("Optics of fra-1 exchanged")),
        (interval("fra-1", "10:15", "10:30"), Some("works")),
        (interval("fra-2", "10:15", "10:30"), None),
        (interval("fra-1", "11:15", "11:30"), None),
    ] {
        std::fs::write(replayed.path("peerscope.toml"), format!("{plain}\n{planned}")).unwrap();
        succeed(replayed.replay().arg("--replace"));
        let events = events(&replayed);
        let told: Vec<Option<&str>> = events.iter().map(|event| event.planned_summary.as_deref()).collect();
        assert_eq!(told, [expected; 2], "{planned}");
        assert!(events.iter().all(|event| event.planned == expected.is_some()), "{planned}");
    }
}

#[test]
fn a_replay_once_more_gives_the_same_events() {
    let replayed = one();
    let first = rows::<FailoverRow>(&replayed.data());
    assert!(!first.is_empty());
    succeed(&mut replayed.replay());
    assert_eq!(rows::<FailoverRow>(&replayed.data()), first);
}
