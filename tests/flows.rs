//! The table of records: every record of Microsoft's traffic once in each view, and what they sum to.

use std::collections::BTreeMap;
use std::path::Path;

use model::tables::{FlowRow, TrafficRow};

use crate::simulated::{Replayed, rows};
use crate::succeed;

/// A connection and direction.
type Way = (String, String);
/// Estimated IP bytes and records by connection and direction.
type Sums = BTreeMap<Way, (i64, i64)>;

const VIEWS: [&str; 4] = ["own_port", "unstated", "other_port", "other_router"];

/// The flows of a scenario of the samples, replayed once or once more.
fn flows(replayed: &Replayed) -> Vec<FlowRow> {
    let configuration = replayed.path("peerscope.toml");
    let text = std::fs::read_to_string(&configuration).unwrap();
    if !text.contains("[store]") {
        std::fs::write(&configuration, format!("{text}\n[store]\nflows = true\n")).unwrap();
    }
    succeed(replayed.replay().arg("--replace"));
    rows(&replayed.data())
}

/// What flows carry over their connections' best views.
fn sums_of_best_views(flows: &[FlowRow]) -> Sums {
    let mut by_view: BTreeMap<Way, BTreeMap<usize, (i64, i64)>> = BTreeMap::new();
    for flow in flows {
        let view = VIEWS.iter().position(|view| **view == *flow.view).unwrap();
        let way = (flow.connection.to_string(), flow.direction.to_string());
        let (bytes, records) = by_view.entry(way).or_default().entry(view).or_default();
        *bytes += flow.bytes;
        *records += flow.records;
    }
    let best = |views: BTreeMap<usize, (i64, i64)>| views.into_values().next().unwrap();
    by_view.into_iter().map(|(way, views)| (way, best(views))).collect()
}

fn sums_of_traffic(data: &Path) -> Sums {
    let mut sums = Sums::new();
    for row in rows::<TrafficRow>(data) {
        let (bytes, records) = sums.entry((row.connection.to_string(), row.direction.to_string())).or_default();
        *bytes += row.bytes_exported;
        *records += row.records;
    }
    sums.retain(|_, (bytes, _)| *bytes > 0);
    sums
}

#[test]
fn flows_of_the_best_view_sum_to_the_traffic() {
    for scenario in ["small", "double_metering", "failover"] {
        let replayed = Replayed::sample(scenario);
        let flows = flows(&replayed);
        let traffic = sums_of_traffic(&replayed.data());
        assert!(!traffic.is_empty(), "{scenario}");
        assert_eq!(sums_of_best_views(&flows), traffic, "{scenario}");
        assert!(flows.iter().all(|flow| flow.first_packet <= flow.last_packet && flow.sampling_ratio == Some(1.0)), "{scenario}");
    }
}

#[test]
fn a_replay_once_more_gives_the_same_flows() {
    let replayed = Replayed::sample("small");
    let first = flows(&replayed);
    assert!(!first.is_empty());
    assert_eq!(flows(&replayed), first);
}

#[test]
fn flows_are_not_kept_unless_asked_for() {
    let replayed = Replayed::sample("small");
    assert!(rows::<FlowRow>(&replayed.data()).is_empty());
    assert!(!replayed.data().join("flows").exists());
}
