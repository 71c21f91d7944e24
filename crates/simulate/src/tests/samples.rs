//! Every sample scenario is one, runs, and comes with a configuration.

use std::path::Path;

use super::{Sent, play, readers};
use crate::Scenario;
use crate::truth::Truth;

fn samples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/scenarios");
    let mut samples: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the samples")
        .map(|entry| entry.expect("a sample").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            (name, std::fs::read_to_string(&path).expect("text"))
        })
        .collect();
    samples.sort();
    samples
}

/// The first minute and a half is enough to see that a scenario works.
fn shortened(text: &str) -> String {
    let lines = text.lines().map(|line| if line.starts_with("duration_seconds") { "duration_seconds = 90" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

fn of_protocol(truth: &Truth, sent: &[Sent], is_sflow: bool) -> Vec<Sent> {
    let is_wanted = |sent: &&Sent| {
        let address = sent.source.ip().to_string();
        let exporter = truth.exporters.iter().find(|exporter| exporter.exporter == address);
        exporter.is_some_and(|exporter| (exporter.protocol == "sflow") == is_sflow)
    };
    sent.iter().filter(is_wanted).cloned().collect()
}

#[test]
fn every_sample_runs_and_others_read_its_datagrams() {
    let samples = samples();
    assert!(samples.len() >= 12, "{}", samples.len());
    for (name, text) in samples {
        Scenario::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (truth, sent) = play(&shortened(&text));
        assert!(truth.links.len() >= 2 && truth.links.iter().all(|link| link.total.packets > 0), "{name}");
        let lost: u64 = truth.exporters.iter().map(|exporter| exporter.datagrams_lost).sum();
        assert_eq!(lost > 0, name == "losses", "{name}");
        if lost == 0 {
            let (netflow, _) = readers::netflow(&of_protocol(&truth, &sent, false));
            let (sflow, _) = readers::sflow(&of_protocol(&truth, &sent, true));
            let exported = truth
                .exporters
                .iter()
                .fold((0, 0, 0), |sum, exporter| (sum.0 + exporter.records, sum.1 + exporter.packets, sum.2 + exporter.bytes));
            let read = (netflow.records + sflow.records, netflow.packets + sflow.packets, netflow.bytes + sflow.bytes);
            assert_eq!(read, exported, "{name}");
        }
        assert_eq!(Truth::from_json(&truth.to_json()), Ok(truth), "{name}");
    }
}

#[test]
fn every_sample_has_a_configuration_of_all_its_links() {
    for (name, text) in samples() {
        let scenario = Scenario::parse(&text).expect("a scenario");
        let configuration: toml::Table = scenario.collector_configuration().parse().expect("TOML");
        let names = |section: &str| -> Vec<String> {
            let entries = configuration.get(section).and_then(toml::Value::as_array).into_iter().flatten();
            entries.filter_map(|entry| entry.get("name")?.as_str().map(str::to_owned)).collect()
        };
        let links = [names("connection"), names("transit")].concat();
        assert_eq!(links, scenario.link_names().collect::<Vec<_>>(), "{name}");
        assert_eq!(names("exporter").len(), scenario.routers.len(), "{name}");
        for section in ["connection", "transit"] {
            for entry in configuration.get(section).and_then(toml::Value::as_array).into_iter().flatten() {
                let port = entry.get("port").and_then(toml::Value::as_str).expect("a port").to_owned();
                assert!(names("port").contains(&port), "{name}: {port}");
            }
        }
    }
}

#[test]
fn the_customer_list_has_every_prefix() {
    let scenario = Scenario::parse(crate::testing::SMALLEST).expect("a scenario");
    assert_eq!(scenario.customer_list(), "203.0.113.0/24 64500 alpha\n2001:db8:1::/48 64500 alpha\n");
}
