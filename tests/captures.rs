//! Real exports through the program: `inspect --summary` beside totals that other decoders agree on.

use serde_json::Value;

use crate::{peerscope, refuse, shared, succeed};

/// Cases whose totals the rule of the program is not, and why; `crates/decode` tells each in full.
const OTHERWISE: &[&str] = &[
    "calmh_ipfix_TestUnexpectedEOFError",
    "calmh_ipfix_TestVersionError",
    "pv_nf1",
    "td_sflow_multiple_counter_30_pdus",
    "ls_ipfix_softflowd",
];

fn summary(path: &std::path::Path) -> Value {
    let printed = succeed(peerscope(&["inspect", "--summary", "--format", "json"]).arg(path));
    serde_json::from_str(&printed).unwrap()
}

fn of(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(0)
}

#[test]
fn real_exports_give_their_totals() {
    let Some(folder) = shared("captures") else { return };
    let text = std::fs::read_to_string(folder.join("totals.json")).unwrap();
    let totals: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(totals.len(), 133);
    let mut wrong = Vec::new();
    for (name, case) in totals.iter().filter(|(name, _)| !OTHERWISE.contains(&name.as_str())) {
        let found = summary(&folder.join("pcap").join(format!("{name}.pcap")));
        let expected = &case["expected"];
        let samples = of(expected, "flow_samples") + of(expected, "expanded_flow_samples");
        let pairs = [
            ("datagrams", of(case, "datagrams")),
            ("data_records", of(expected, "data_records") + samples),
            ("option_records", of(expected, "option_records")),
            ("templates", of(expected, "templates")),
            ("option_templates", of(expected, "option_templates")),
            ("without_template", of(expected, "sets_without_template")),
            ("bytes", of(expected, "sum_bytes") + of(expected, "sum_frame_bytes")),
            ("packets", of(expected, "sum_packets") + samples),
            ("counter_samples", of(expected, "counter_samples") + of(expected, "expanded_counter_samples")),
        ];
        // Those of sFlow count the inner headers by other names.
        let versions = ["ipv4", "ipv6"].into_iter().filter_map(|key| Some((key, expected[key].as_u64()?)));
        for (key, expected) in pairs.into_iter().chain(versions) {
            if of(&found, key) != expected {
                wrong.push(format!("{name}: {key} {} instead of {expected}", of(&found, key)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_summary_has_these_fields_and_no_others() {
    let Some(capture) = shared("captures/pcap/pv_nf1.pcap") else { return };
    let output = peerscope(&["inspect", "--summary", "--format", "json"]).arg(&capture).output().unwrap();
    let found: serde_json::Map<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut named = [
        "file",
        "datagrams",
        "data_records",
        "option_records",
        "templates",
        "option_templates",
        "without_template",
        "bytes",
        "packets",
        "ipv4",
        "ipv6",
        "counter_samples",
        "malformed",
    ];
    named.sort_unstable();
    assert_eq!(found.keys().collect::<Vec<_>>(), named);
    // What is in no version that is read is said, so that nobody takes it for nothing.
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 datagrams are of another protocol or version"));
}

#[test]
fn every_real_export_is_replayed_and_the_balances_hold() {
    let Some(folder) = shared("captures/pcap") else { return };
    let data = tempfile::tempdir().unwrap();
    let mut captures: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    captures.sort();
    for capture in captures {
        let mut replay = peerscope(&["replay", "--replace"]);
        replay.arg(&capture).arg("--data").arg(data.path());
        // NetFlow v1 is not read; an imbalance would exit likewise, with other words.
        if capture.ends_with("pv_nf1.pcap") {
            assert!(refuse(&mut replay, 1).contains("there is no NetFlow, IPFIX or sFlow"));
        } else {
            let printed = succeed(&mut replay);
            assert!(printed.starts_with("datagrams "), "{printed}");
        }
        succeed(peerscope(&["inspect", "--format", "json"]).arg(&capture));
    }
}
