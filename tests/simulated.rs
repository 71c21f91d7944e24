//! Simulated networks against the truth about them, through capture, replay and Parquet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use model::tables::{ExporterRow, LinkRow, PortRow, PrefixRow, TrafficRow};
use simulate::Truth;
use tempfile::TempDir;

use crate::{checkout, peerscope, succeed};

/// A link and direction.
type Way = (String, String);

/// What a replay of a scenario left, and the truth.
pub(crate) struct Replayed {
    folder: TempDir,
    pub(crate) truth: Truth,
    pub(crate) printed: String,
}

impl Replayed {
    /// Simulates one of the sample scenarios and replays the capture.
    pub(crate) fn sample(name: &str) -> Replayed {
        Replayed::scenario(&std::fs::read_to_string(checkout("samples/scenarios").join(format!("{name}.toml"))).unwrap())
    }

    /// Simulates a scenario and replays the capture.
    pub(crate) fn scenario(text: &str) -> Replayed {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("scenario.toml"), text).unwrap();
        let mut simulate = peerscope(&["simulate", "capture"]);
        simulate.arg(path("scenario.toml")).arg("--output").arg(path("network.pcap"));
        succeed(simulate.arg("--truth").arg(path("truth.json")).arg("--config-output").arg(path("peerscope.toml")));
        let truth = Truth::from_json(&std::fs::read_to_string(path("truth.json")).unwrap()).unwrap();
        let mut replayed = Replayed { truth, printed: String::new(), folder };
        replayed.printed = succeed(&mut replayed.replay());
        replayed
    }

    /// A file of the run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command that replays the capture.
    pub(crate) fn replay(&self) -> Command {
        let mut replay = peerscope(&["replay"]);
        replay.arg(self.path("network.pcap")).arg("--data").arg(self.data()).arg("--config").arg(self.path("peerscope.toml"));
        replay
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn links(&self) -> Vec<LinkRow> {
        rows(&self.data())
    }

    /// Estimated link-layer bytes by link and direction, over the run.
    fn link_bytes(&self) -> BTreeMap<Way, f64> {
        let mut sums = BTreeMap::new();
        for row in self.links() {
            let bytes = row.mean_bps.unwrap_or(f64::NAN) * row.window_seconds as f64 / 8.0;
            *sums.entry((row.connection.to_string(), row.direction.to_string())).or_default() += bytes;
        }
        sums
    }
}

pub(crate) fn rows<R: model::table::Row>(data: &Path) -> Vec<R> {
    let found = store::read::<R>(data, i64::MIN, i64::MAX).unwrap();
    assert_eq!(found.damaged, []);
    found.rows
}

/// Sums of floats that are sums of whole bytes: equal up to rounding.
#[track_caller]
fn assert_bytes(found: Option<f64>, expected: u64, what: &str) {
    let found = found.unwrap_or(0.0);
    assert!((found - expected as f64).abs() <= 1e-9 * expected as f64 + 0.01, "{what}: {found} bytes, {expected} expected");
}

const EXACT: &[&str] =
    &["small", "double_metering", "double_metering_marked", "clock_offset", "failover", "lag_members", "next_hop_only"];

#[test]
fn unsampled_and_complete_every_connection_is_exact_over_the_run() {
    for name in EXACT {
        let replayed = Replayed::sample(name);
        let links = replayed.link_bytes();
        let mut detailed: BTreeMap<Way, f64> = BTreeMap::new();
        for row in rows::<TrafficRow>(&replayed.data()) {
            *detailed.entry((row.connection.to_string(), row.direction.to_string())).or_default() += row.bytes_estimated.unwrap();
        }
        for truth in &replayed.truth.links {
            let way = (truth.link.clone(), truth.direction.clone());
            assert_bytes(links.get(&way).copied(), truth.total.l2_bytes, &format!("{name} {way:?} in links"));
            assert_bytes(detailed.get(&way).copied(), truth.total.l3_bytes, &format!("{name} {way:?} in traffic"));
        }
        let known: Vec<&str> = replayed.truth.links.iter().map(|link| link.link.as_str()).collect();
        let stray: Vec<_> = links.iter().filter(|((link, _), bytes)| !known.contains(&link.as_str()) && **bytes > 0.0).collect();
        assert!(stray.is_empty(), "{name}: traffic on links that are not there: {stray:?}");
        assert!(replayed.printed.contains("late 0 "), "{name}: {}", replayed.printed);
    }
}

#[test]
fn every_customer_is_exact_over_the_run() {
    let replayed = Replayed::sample("small");
    let mut found: BTreeMap<(String, String, String), f64> = BTreeMap::new();
    for row in rows::<PrefixRow>(&replayed.data()).iter().filter(|row| &*row.side == "customer") {
        let key = (row.connection.to_string(), row.direction.to_string(), row.prefix.to_string());
        *found.entry(key).or_default() += row.bytes_estimated.unwrap();
    }
    assert!(!replayed.truth.customers.is_empty());
    for truth in &replayed.truth.customers {
        let key = (truth.link.clone(), truth.direction.clone(), truth.prefix.clone());
        assert_bytes(found.get(&key).copied(), truth.total.l3_bytes, &format!("{key:?}"));
    }
}

#[test]
fn records_inside_one_window_make_every_window_exact() {
    let text = std::fs::read_to_string(checkout("samples/scenarios/next_hop_only.toml")).unwrap();
    let short = "[traffic]\nflow_lengths = [{ packets = 3.0, seconds = 0.0001, weight = 1.0 }]\n";
    // Whole milliseconds: what version 9 tells of its clock, whole seconds of the header, is learnt on the way.
    let text = text.replace("protocol = \"v9\"", "protocol = \"ipfix\"");
    let text = if text.contains("[traffic]\n") { text.replace("[traffic]\n", short) } else { format!("{text}\n{short}") };
    let replayed = Replayed::scenario(&text);
    let links = replayed.links();
    let mut windows = 0;
    for truth in &replayed.truth.links {
        for window in &truth.windows_60_s {
            let row = links.iter().find(|row| {
                *row.connection == *truth.link && *row.direction == *truth.direction && row.window_start.0 == window.start_us
            });
            let bytes = row.and_then(|row| row.mean_bps).map(|bps| bps * 60.0 / 8.0);
            assert_bytes(bytes, window.sum.l2_bytes, &format!("{} {} {}", truth.link, truth.direction, window.start_us));
            windows += 1;
        }
    }
    assert!(windows >= 16, "{windows}");
}

#[test]
fn ports_count_what_is_not_microsofts_too() {
    let replayed = Replayed::sample("small");
    let mut by_flows: BTreeMap<Way, f64> = BTreeMap::new();
    for row in rows::<PortRow>(&replayed.data()) {
        let bytes = row.mean_bps.unwrap_or(0.0) * row.window_seconds as f64 / 8.0;
        *by_flows.entry((row.port.to_string(), row.direction.to_string())).or_default() += bytes;
    }
    for truth in replayed.truth.ports.iter().filter(|port| !port.is_member && port.port == "ams1-ix") {
        let direction = if truth.direction == "in" { "from_microsoft" } else { "to_microsoft" };
        let bytes = by_flows.get(&(truth.port.clone(), direction.to_string())).copied();
        assert_bytes(bytes, truth.total.l2_bytes, &format!("{} {direction}", truth.port));
    }
}

#[test]
fn losses_reported_are_losses_injected() {
    let replayed = Replayed::sample("losses");
    let mut lost: BTreeMap<(String, u32), (i64, i64, i64)> = BTreeMap::new();
    for row in rows::<ExporterRow>(&replayed.data()) {
        let sum = lost.entry((row.exporter.to_string(), row.domain as u32)).or_default();
        sum.0 += row.lost_datagrams.unwrap_or(0);
        sum.1 += row.lost_records.unwrap_or(0);
        sum.2 += row.duplicates;
    }
    let mut injected = 0;
    for truth in &replayed.truth.exporters {
        let (datagrams, records, duplicates) = lost[&(truth.exporter.clone(), truth.domain)];
        // Versions 5 and 10 number records, 9 and sFlow datagrams (or samples).
        let expected = match truth.protocol.as_str() {
            "v5" | "ipfix" => (0, truth.records_lost + if truth.protocol == "ipfix" { truth.option_records_lost } else { 0 }),
            _ => (truth.datagrams_lost, 0),
        };
        let told = if expected.1 > 0 { (0, records) } else { (datagrams, 0) };
        assert_eq!(told, (expected.0 as i64, expected.1 as i64), "{truth:?}");
        assert_eq!(duplicates, truth.datagrams_duplicated as i64, "{truth:?}");
        injected += truth.datagrams_lost;
    }
    assert!(injected > 100, "{injected}");
}

#[test]
fn an_unknown_rate_is_said_and_never_guessed() {
    let replayed = Replayed::sample("unknown_rate");
    let of = |link: &str| replayed.links().into_iter().filter(|row| *row.connection == *link).collect::<Vec<_>>();
    let unknown = of("fra-1");
    assert!(unknown.iter().any(|row| row.bytes_unknown_rate > 0));
    for row in unknown.iter().filter(|row| row.bytes_unknown_rate > 0) {
        assert_eq!((row.mean_bps, row.peak_bps, row.standard_error_bps), (None, None, None));
        assert!(row.exported_bps > 0.0);
    }
    for row in of("fra-2") {
        assert!(row.mean_bps.is_some() && row.bytes_unknown_rate == 0, "{row:?}");
    }
}

#[test]
fn an_exchange_without_ethernet_addresses_is_not_split_by_guess() {
    let replayed = Replayed::sample("exchange_without_mac");
    let links = replayed.link_bytes();
    let true_bytes = |direction: &str| -> u64 {
        replayed.truth.links.iter().filter(|link| link.direction == direction).map(|link| link.total.l2_bytes).sum()
    };
    let found = |link: &str, direction: &str| links.get(&(link.to_string(), direction.to_string())).copied();
    assert_bytes(found("ix/unidentified", "from_microsoft"), true_bytes("from_microsoft"), "what enters");
    assert_eq!(found("ams-ix-a", "from_microsoft"), None, "not 0 either: nothing tells");
    // What leaves is named by its next hop.
    let leaving = ["ams-ix-a", "ams-ix-b"].map(|link| found(link, "to_microsoft").unwrap()).iter().sum::<f64>();
    assert_bytes(Some(leaving), true_bytes("to_microsoft"), "what leaves");
}

#[test]
fn an_exchange_with_ethernet_addresses_is_told_apart() {
    let replayed = Replayed::sample("exchange_vlan_and_mac");
    let links = replayed.link_bytes();
    for truth in &replayed.truth.links {
        let found = links.get(&(truth.link.clone(), truth.direction.clone())).copied();
        // sFlow frames are as long as at the interface where they were sampled: those that leave came in untagged.
        let untagged = if truth.direction == "to_microsoft" { 4 * truth.total.packets } else { 0 };
        assert_bytes(found, truth.total.l2_bytes - untagged, &format!("{} {}", truth.link, truth.direction));
    }
}

#[test]
fn sampled_loads_are_within_their_error() {
    for name in ["sampled_v9", "sampled_sflow"] {
        let replayed = Replayed::sample(name);
        let mut variances: BTreeMap<Way, f64> = BTreeMap::new();
        for row in replayed.links() {
            let error = row.standard_error_bps.unwrap() * row.window_seconds as f64 / 8.0;
            *variances.entry((row.connection.to_string(), row.direction.to_string())).or_default() += error * error;
        }
        let links = replayed.link_bytes();
        for truth in &replayed.truth.links {
            let way = (truth.link.clone(), truth.direction.clone());
            let score = (links[&way] - truth.total.l2_bytes as f64) / variances[&way].sqrt();
            assert!(score.abs() < 4.0, "{name} {way:?}: {score} standard errors");
        }
    }
}

#[test]
fn replaying_again_gives_the_same_rows() {
    let replayed = Replayed::sample("clock_offset");
    let before = replayed.links();
    let mut again = peerscope(&["replay"]);
    again.arg(replayed.folder.path().join("network.pcap")).arg("--data").arg(replayed.data());
    succeed(again.arg("--config").arg(replayed.folder.path().join("peerscope.toml")));
    assert_eq!(replayed.links(), before);
}

#[test]
fn the_sample_captures_are_what_their_scenarios_make() {
    for name in ["next_hop_only", "sampled_v9"] {
        let folder = tempfile::tempdir().unwrap();
        let path = |ending: &str| folder.path().join(format!("{name}.{ending}"));
        let mut simulate = peerscope(&["simulate", "capture"]);
        simulate.arg(checkout("samples/scenarios").join(format!("{name}.toml"))).arg("--output").arg(path("pcap"));
        succeed(simulate.arg("--truth").arg(path("truth.json")).arg("--config-output").arg(path("toml")));
        for ending in ["pcap", "truth.json", "toml", "customers.txt"] {
            let sample = checkout("samples/captures").join(format!("{name}.{ending}"));
            assert!(
                std::fs::read(path(ending)).unwrap() == std::fs::read(&sample).unwrap(),
                "{} is out of date",
                sample.display()
            );
        }
    }
}
