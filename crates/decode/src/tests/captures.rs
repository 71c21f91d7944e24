//! Real exports of routers, switches and firewalls against totals that other decoders agree on.

use std::path::PathBuf;

use model::Batch;
use receive::CaptureReader;
use serde_json::Value;

use crate::{DecodeSettings, Decoder, Summary};

/// Captures whose expected totals are not the rule here, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "calmh_ipfix_TestUnexpectedEOFError",
        "the message is longer than its datagram and is discarded whole (RFC 7011, section 9.1)",
    ),
    ("calmh_ipfix_TestVersionError", "one message is longer than its datagram and is discarded whole (RFC 7011, section 9.1)"),
    ("pv_nf1", "NetFlow version 1 is not read"),
    ("td_sflow_multiple_counter_30_pdus", "the totals leave out its seven NetFlow version 5 records, but not their bytes"),
    ("ls_ipfix_softflowd", "the totals are of the first of three messages in one datagram; all three are decoded"),
];

pub(super) fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if !path.exists() {
        eprintln!("passed over: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn summary(path: &std::path::Path) -> Summary {
    let mut decoder = Decoder::with_summary(DecodeSettings::default());
    let mut reader = CaptureReader::open(path).unwrap();
    let mut batch = Batch::default();
    while let Some(datagram) = reader.next().unwrap() {
        batch.clear();
        decoder.datagram(datagram.received_us, datagram.source, datagram.payload, &mut batch);
    }
    assert_eq!(decoder.ledger().sets_seen, decoder.ledger().sets_decoded + decoder.ledger().sets_skipped_total());
    decoder.summary().clone()
}

/// The totals in the terms of a summary: of sFlow the samples, of NetFlow and IPFIX the records.
fn expected(totals: &Value) -> [u64; 8] {
    let of = |name: &str| totals["expected"][name].as_u64().unwrap_or(0);
    let samples = of("flow_samples") + of("expanded_flow_samples");
    [
        totals["datagrams"].as_u64().unwrap_or(0),
        of("data_records") + samples,
        of("option_records"),
        of("templates"),
        of("option_templates"),
        of("sets_without_template"),
        of("sum_bytes") + of("sum_frame_bytes"),
        of("sum_packets") + samples,
    ]
}

#[test]
fn captures_give_their_totals() {
    let (Some(folder), Some(totals)) = (shared("captures/pcap"), shared("captures/totals.json")) else { return };
    let totals: Value = serde_json::from_str(&std::fs::read_to_string(totals).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for (name, totals) in totals.as_object().unwrap() {
        let got = summary(&folder.join(format!("{name}.pcap")));
        let got_values = [
            got.datagrams,
            got.data_records,
            got.option_records,
            got.templates,
            got.option_templates,
            got.without_template,
            got.bytes,
            got.packets,
        ];
        let expected = expected(totals);
        let is_exception = EXCEPTIONS.iter().any(|(exception, _)| exception == name);
        if got_values != expected && !is_exception {
            wrong.push(format!(
                "{name} (trust {}): expected {expected:?}, got {got_values:?} malformed {}",
                totals["trust"], got.malformed
            ));
        }
        let versions = ["ipv4", "ipv6"].map(|key| totals["expected"][key].as_u64());
        if versions[0].is_some() && versions != [Some(got.ipv4), Some(got.ipv6)] && !is_exception {
            wrong.push(format!("{name}: ipv4, ipv6 expected {versions:?}, got {} {}", got.ipv4, got.ipv6));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), totals.as_object().unwrap().len(), wrong.join("\n"));
}

/// The totals are of a decoder that reads the first of three messages in the one datagram that has
/// more than one: six records of 2,716 bytes and 12 packets less. Of sFlow it counts the packets of
/// the 25 samples with a packet's header, and its records are those of NetFlow and IPFIX alone.
#[test]
fn many_exporters_with_colliding_templates_give_their_totals() {
    let (Some(capture), Some(totals)) = (shared("captures/pcap/mix_dev.pcap"), shared("captures/mix_dev.totals.json")) else {
        return;
    };
    let totals: Value = serde_json::from_str(&std::fs::read_to_string(totals).unwrap()).unwrap();
    let of = |name: &str| totals[name].as_u64().unwrap();
    let sampled = |name: &str| totals["counters"][name].as_u64().unwrap();
    let samples = sampled("flow_samples") + sampled("expanded_flow_samples");
    let headless = samples - sampled("flowrec_0.1") - sampled("flowrec_0.3");
    let expected = Summary {
        datagrams: of("datagrams"),
        data_records: of("data_records") + samples + 6,
        option_records: of("option_records"),
        templates: of("templates"),
        option_templates: of("option_templates"),
        without_template: of("sets_without_template"),
        bytes: of("sum_bytes") + 2_716,
        packets: of("sum_packets") + headless + 12,
        ipv4: of("ipv4") + 6,
        ipv6: of("ipv6"),
        counter_samples: sampled("counter_samples") + sampled("expanded_counter_samples"),
        malformed: 0,
    };
    assert_eq!(summary(&capture), expected);
}
