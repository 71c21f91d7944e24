//! Templates: their scope, replacement, withdrawal and lifetime (RFC 7011, sections 3.4 and 8).

use model::ledger::SetSkip;

use super::*;
use crate::tests::wire::{ipfix, ipfix_of, options, version_9_of};

/// Bytes and packets the other way round, and as long as [`FLOW`].
const TURNED: &[(u16, u16)] = &[(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (2, 4), (1, 4)];

#[test]
fn domains_protocols_and_exporters_have_templates_of_their_own() {
    let mut collector = Collector::new();
    let turned = set(2, &template(256, TURNED));
    collector.take(&ipfix_of(1, EXPORT_S, 0, &[flow_template(256)]));
    collector.take(&ipfix_of(2, EXPORT_S, 0, std::slice::from_ref(&turned)));
    collector.take(&version_9_of(1, EXPORT_S, 0, &[set(0, &template(256, TURNED))]));
    collector.take_from("192.0.2.2:50000", &ipfix_of(1, EXPORT_S, 0, &[turned]));
    let data = set(256, &flow(7, 7));
    let one = set(256, &flow(9, 7));
    assert_eq!(bytes(&collector.take(&ipfix_of(1, EXPORT_S, 0, std::slice::from_ref(&one)))), [9]);
    // The others would read 7 packets of 9, which is more than bytes, so of 7.
    assert_eq!(bytes(&collector.take(&ipfix_of(2, EXPORT_S, 0, std::slice::from_ref(&data)))), [7]);
    assert_eq!(bytes(&collector.take(&version_9_of(1, EXPORT_S, 1, std::slice::from_ref(&data)))), [7]);
    assert!(bytes(&collector.take_from("192.0.2.2:50000", &ipfix_of(1, EXPORT_S, 0, &[one]))).is_empty());
    assert_eq!(collector.counted("implausible"), 1);
}

#[test]
fn another_source_port_keeps_the_templates_unless_it_is_set_otherwise() {
    for (scope_by_port, expected, held) in [(0, &[7][..], 0), (1, &[], 1)] {
        let settings = DecodeSettings { scope_by_port, ..DecodeSettings::default() };
        let mut collector = Collector::with(settings, Vec::new());
        collector.take_from("192.0.2.1:50000", &ipfix(0, &[flow_template(256)]));
        assert_eq!(bytes(&collector.take_from("192.0.2.1:50001", &ipfix(0, &[flows(256, &[7])]))), expected);
        assert_eq!(collector.decoder.ledger().sets_held, held);
        assert_eq!(collector.counted("source_port_changes"), u64::from(scope_by_port == 0));
    }
}

#[test]
fn a_template_needs_an_id_of_its_own_and_bytes_to_read() {
    for (definition, is_usable) in [
        (template(255, FLOW), false),
        (template(256, &[(1, 0), (2, 0)]), false),
        (template(256, &[&[(5, 0)], FLOW].concat()), true),
        (template(256, &[(5, 1); 257]), false),
    ] {
        let mut collector = Collector::new();
        let id = u16::from_be_bytes([definition[0], definition[1]]).max(256);
        let records = collector.take(&ipfix(0, &[set(2, &definition), flows(id, &[7])]));
        assert_eq!(bytes(&records), if is_usable { vec![7] } else { Vec::new() });
        assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::InvalidTemplate) > 0, !is_usable);
    }
}

#[test]
fn withdrawals_are_ignored_over_udp_and_obeyed_in_a_file() {
    const FILE: &str = "0.0.0.0:0";
    for (withdrawn, data_stays, options_stay) in [
        (set(2, &halves(&[256, 0])), false, true),
        (set(3, &halves(&[257, 0])), true, false),
        (set(2, &halves(&[2, 0])), false, true),
        (set(3, &halves(&[3, 0])), true, false),
    ] {
        let definitions = [flow_template(256), set(3, &options(257, 1, &[(149, 4), (34, 4)]))];
        let data = [flows(256, &[7]), set(257, &words(&[1, 100]))];
        let run = |source: &str| {
            let mut collector = Collector::new();
            collector.take_from(source, &ipfix(0, &definitions));
            collector.take_from(source, &ipfix(0, std::slice::from_ref(&withdrawn)));
            let records = collector.take_from(source, &ipfix(0, &data));
            (records.len(), collector.decoder.summary().option_records, collector.counted("withdrawals_ignored"))
        };
        assert_eq!(run(EXPORTER), (1, 1, 1));
        assert_eq!(run(FILE), (usize::from(data_stays), u64::from(options_stay), 0));
    }
}

#[test]
fn what_a_file_tells_is_of_that_file() {
    let mut collector = Collector::new();
    let told = [set(3, &options(257, 1, &[(149, 4), (34, 4)])), set(257, &words(&[1, 100]))];
    let whole = ipfix(7, &[&told[..], &[flow_template(256), flows(256, &[7])]].concat());
    collector.take(&whole);
    for (source, templates, known) in [("0.0.0.0:0", 0, false), (EXPORTER, 1, true)] {
        assert_eq!(collector.take_from("0.0.0.0:0", &whole).len(), 1);
        collector.decoder.start_file();
        assert_eq!(collector.take_from(source, &ipfix(9, &[flows(256, &[8])])).len(), templates, "{source}");
        let records = collector.take_from(source, &ipfix(10, &[flow_template(256), flows(256, &[9])]));
        assert_eq!(records.last().unwrap().sampling.is_known(), known, "{source}");
        collector.decoder.start_file();
    }
}

#[test]
fn another_definition_is_in_force_at_once_and_the_same_one_changes_nothing() {
    let mut collector = Collector::new();
    collector.take(&ipfix(0, &[flow_template(256)]));
    let turned = set(2, &template(256, TURNED));
    let sets = [set(256, &flow(9, 8)), flow_template(256), set(256, &flow(9, 8)), turned, set(256, &flow(6, 9))];
    assert_eq!(bytes(&collector.take(&ipfix(0, &sets))), [9, 9, 9]);
    assert!(collector.all_counted().is_empty());
}

#[test]
fn data_and_options_templates_share_their_ids() {
    let mut collector = Collector::new();
    let as_options = set(3, &options(256, 1, FLOW));
    assert!(bytes(&collector.take(&ipfix(0, &[flow_template(256), as_options, flows(256, &[7])]))).is_empty());
    assert_eq!(collector.decoder.summary().option_records, 1);
    assert_eq!(bytes(&collector.take(&ipfix(1, &[flow_template(256), flows(256, &[7])]))), [7]);
}

#[test]
fn a_late_definition_does_not_take_the_place_of_a_newer_one() {
    let mut collector = Collector::new();
    collector.take(&ipfix_of(1, EXPORT_S, 0, &[flow_template(256)]));
    collector.take(&ipfix_of(1, EXPORT_S - 10, 0, &[set(2, &template(256, TURNED))]));
    assert_eq!(bytes(&collector.take(&ipfix_of(1, EXPORT_S, 0, &[set(256, &flow(9, 8))]))), [9]);
    assert_eq!(collector.counted("templates_outdated"), 1);
}

#[test]
fn a_template_that_is_not_sent_again_expires_and_its_data_is_not_read() {
    let mut collector = Collector::new();
    collector.take(&ipfix(0, &[flow_template(256)]));
    let lifetime_us = DecodeSettings::default().template_lifetime_seconds * SECOND_US;
    for (sequence, now_us) in [(0, NOW_US + lifetime_us), (1, NOW_US + lifetime_us + 1)] {
        collector.now_us = now_us;
        assert_eq!(collector.take(&ipfix(sequence, &[flows(256, &[7])])).len(), 1 - sequence as usize);
    }
    assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::TemplateExpired), 1);
    // A gap of sequence numbers ends no template.
    collector.take(&ipfix(1, &[flow_template(256)]));
    assert_eq!(collector.take(&ipfix(900_000, &[flows(256, &[7])])).len(), 1);
}

#[test]
fn a_template_that_is_redefined_too_often_is_quarantined() {
    let mut collector = Collector::new();
    let most = DecodeSettings::default().redefinitions_per_minute;
    for round in 0..=most + 1 {
        let fields = if round % 2 == 0 { FLOW } else { TURNED };
        let records = collector.take(&ipfix(round, &[set(2, &template(256, fields)), set(256, &flow(9, 9))]));
        assert_eq!(records.len(), usize::from(round <= most), "{round}");
    }
    assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::Quarantined), 1);
    // A minute later it is believed again.
    collector.now_us += 61 * SECOND_US;
    assert_eq!(collector.take(&ipfix(99, &[set(256, &flow(9, 9))])).len(), 1);
}

#[test]
fn a_definition_that_is_cut_off_leaves_nothing_behind() {
    let mut collector = Collector::new();
    let mut definition = template(256, FLOW);
    definition.truncate(definition.len() - 4);
    collector.take(&ipfix(0, &[set(2, &[template(257, FLOW), definition].concat())]));
    assert_eq!(collector.take(&ipfix(0, &[flows(257, &[7]), flows(256, &[7])])).len(), 1);
    assert_eq!(collector.decoder.ledger().sets_held, 1);
    assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::Malformed), 1);
}

#[test]
fn data_waits_ten_seconds_for_its_template_and_for_its_own_alone() {
    for (wait_s, expected) in [(9, &[7, 8, 9][..]), (11, &[9])] {
        let mut collector = Collector::new();
        collector.take(&ipfix(0, &[flows(256, &[7, 8])]));
        collector.now_us += wait_s * SECOND_US;
        collector.decoder.advance(collector.now_us);
        // Another exporter's or domain's template is none.
        assert!(collector.take_from("192.0.2.2:50000", &ipfix(0, &[flow_template(256)])).is_empty());
        assert!(collector.take(&ipfix_of(2, EXPORT_S, 0, &[flow_template(256)])).is_empty());
        assert_eq!(bytes(&collector.take(&ipfix(2, &[flow_template(256), flows(256, &[9])]))), expected);
        assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::NoTemplate), u64::from(wait_s == 11));
    }
}

#[test]
fn what_waits_is_bounded_and_comes_back_a_datagram_s_worth_at_a_time() {
    let settings = DecodeSettings { held_sets: 40, records_per_datagram: 16, ..DecodeSettings::default() };
    let mut collector = Collector::with(settings, Vec::new());
    for sequence in 0..50 {
        collector.take(&ipfix(sequence, &[flows(256, &[100 + sequence])]));
    }
    assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::NoTemplate), 10);
    let mut found = collector.take(&ipfix(50, &[flow_template(256)]));
    assert_eq!(found.len(), 8);
    for sequence in 50.. {
        let records = collector.take(&ipfix(sequence, &[flows(256, &[100 + sequence])]));
        assert!(records.len() <= 16);
        found.extend(records);
        if collector.decoder.ledger().sets_held == 0 {
            break;
        }
    }
    found.retain(|record| record.bytes < 150);
    assert_eq!(bytes(&found), (100..140).collect::<Vec<_>>());
}

#[test]
fn a_saved_decoder_reads_the_first_datagram() {
    let mut before = Collector::new();
    let sampler = set(3, &options(300, 1, &[(302, 1), (34, 4)]));
    let fields = [FLOW, &[(302, 1), (152, 8), (153, 8)]].concat();
    let lasting = |seconds: i64| {
        let times = [NOW_US - seconds * SECOND_US, NOW_US].map(|us| (us / 1_000).to_be_bytes());
        set(256, &[flow(7, 2), vec![5], times.concat()].concat())
    };
    let told = set(300, &[&[5][..], &words(&[100])].concat());
    before.take(&ipfix(0, &[set(2, &template(256, &fields)), sampler, told, lasting(60)]));
    let mut after = Collector::new();
    after.decoder.restore(before.decoder.changes());
    let records = after.take(&ipfix(2, &[lasting(300)]));
    assert_eq!((records[0].bytes, records[0].sampling.population), (7, 100));
    // The longest flow of before was measured and not told: a longer one is no fault.
    assert_eq!((after.counted("longer_than_timeout"), after.health[0].active_timeout_s), (0, Some(300)));
}

#[test]
fn limits_hold_and_are_counted() {
    let bounded = DecodeSettings {
        templates_per_domain: 2,
        templates_per_exporter: 3,
        domains_per_exporter: 2,
        exporters: 2,
        ..DecodeSettings::default()
    };
    let mut collector = Collector::with(bounded, Vec::new());
    for (index, id) in (256..260).enumerate() {
        collector.now_us += SECOND_US;
        collector.take(&ipfix(index as u32, &[flow_template(id)]));
    }
    assert_eq!(collector.counted("templates_fallen_off"), 2);
    collector.take(&ipfix_of(2, EXPORT_S, 0, &[flow_template(256)]));
    collector.take(&ipfix_of(3, EXPORT_S, 0, &[flow_template(256)]));
    assert_eq!(collector.decoder.ledger().datagrams_refused(model::ledger::DatagramRefusal::TooManyDomains), 1);
    for last in 2..5 {
        collector.take_from(&format!("192.0.2.{last}:1"), &ipfix(0, &[flow_template(256)]));
    }
    assert_eq!(collector.decoder.ledger().datagrams_refused(model::ledger::DatagramRefusal::TooManyExporters), 2);
}
