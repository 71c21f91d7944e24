//! The tests that RFC 5471 lists for an IPFIX collector, over UDP and in its order; what another module here tests
//! in detail is run once more as the list has it.

use model::ledger::{DatagramRefusal, SetSkip};

use super::*;
use crate::tests::wire::{ipfix, ipfix_of, options};

/// Templates and data in a message each, after one another: the bytes of all records.
#[track_caller]
fn check(messages: &[Vec<Vec<u8>>], expected: &[u64]) -> Collector {
    let mut collector = Collector::new();
    let mut found = Vec::new();
    let mut sequence = 0;
    for sets in messages {
        let before = collector.decoder.ledger().records + collector.decoder.summary().option_records;
        found.extend(bytes(&collector.take(&ipfix(sequence, sets))));
        sequence += (collector.decoder.ledger().records + collector.decoder.summary().option_records - before) as u32;
    }
    assert_eq!(found, expected);
    collector
}

#[test]
fn data_over_fixed_and_variable_templates_with_every_padding() {
    // Fixed size; several of it; several sets of it.
    check(&[vec![flow_template(256)], vec![flows(256, &[7, 8]), flows(256, &[9])]], &[7, 8, 9]);
    let name = |text: &[u8]| [flow(7, 2), vec![text.len() as u8], text.to_vec()].concat();
    let variable = set(2, &template(256, &[FLOW, &[(82, u16::MAX)]].concat()));
    let long = [flow(7, 2), vec![255, 1, 44], vec![b'x'; 300]].concat();
    check(&[vec![variable], vec![set(256, &[name(b""), name(b"ae1"), long, name(&[b'x'; 254])].concat())]], &[7; 4]);
    // Padding of sets of templates, of options templates, of data.
    let padded = |id: u16, content: Vec<u8>, zeros: usize| set(id, &[content, vec![0; zeros]].concat());
    for zeros in 0..4 {
        let definitions = [padded(2, template(256, FLOW), zeros), padded(3, options(300, 1, &[(149, 4), (34, 4)]), zeros)];
        let data = vec![padded(300, words(&[1, 100]), zeros), padded(256, flow(7, 2), zeros)];
        check(&[definitions.to_vec(), data], &[7]);
    }
    // Padding in records: element 210.
    let fields = [FLOW, &[(210, 7)]].concat();
    check(&[vec![set(2, &template(256, &fields))], vec![set(256, &[flow(7, 2), vec![0; 7]].concat().repeat(2))]], &[7, 7]);
}

#[test]
fn templates_withdrawn_with_enterprise_reduced_and_repeated_elements() {
    let withdrawn = check(&[vec![flow_template(256)], vec![set(2, &halves(&[256, 0]))], vec![flows(256, &[7])]], &[7]);
    assert_eq!(withdrawn.counted("withdrawals_ignored"), 1);
    let enterprise =
        [halves(&[256, FLOW.len() as u16 + 1, 0x8001, 8]), words(&[65_535]), template(0, FLOW)[4..].to_vec()].concat();
    check(&[vec![set(2, &enterprise)], vec![set(256, &[vec![9; 8], flow(7, 2)].concat())]], &[7]);
    let reduced: &[(u16, u16)] = &[(8, 4), (12, 4), (1, 2), (2, 1)];
    check(&[vec![set(2, &template(256, reduced))], vec![set(256, &[words(&[1, 2]), halves(&[700]), vec![3]].concat())]], &[700]);
    let repeated = [FLOW, FLOW].concat();
    check(&[vec![set(2, &template(256, &repeated))], vec![set(256, &[flow(7, 2), flow(8, 2)].concat())]], &[7]);
}

#[test]
fn options_of_every_scope_and_of_the_metering_and_exporting_processes() {
    // Elements of statistics: metering process (3 to 42), its reliability (164 to 166), exporting process (40 to 42), flow keys (145, 173).
    let scopes: &[&[(u16, u16)]] =
        &[&[(149, 4)], &[(143, 4)], &[(10, 4)], &[(145, 2)], &[(149, 4), (10, 4)], &[(1, 8), (8, 4), (82, u16::MAX)]];
    let statistics: &[&[(u16, u16)]] =
        &[&[(41, 8), (42, 8), (40, 8)], &[(164, 8), (165, 8), (166, 8)], &[(166, 4), (323, 8), (324, 8)], &[(173, 8)]];
    for scope in scopes {
        for statistic in statistics {
            let fields = [*scope, *statistic].concat();
            let record: Vec<u8> = fields
                .iter()
                .flat_map(|(_, length)| if *length == u16::MAX { vec![2, b'a', b'b'] } else { vec![1; usize::from(*length)] })
                .collect();
            let definition = set(3, &options(300, scope.len() as u16, &fields));
            let mut collector =
                check(&[vec![definition, flow_template(256)], vec![set(300, &record.repeat(2)), flows(256, &[7])]], &[7]);
            assert_eq!(collector.decoder.summary().option_records, 2, "{fields:?}");
            assert_eq!(collector.take(&ipfix(3, &[flows(256, &[8])])).len(), 1);
            assert_eq!(collector.lost(), (None, Some(0)), "options records count in the sequence");
        }
    }
}

#[test]
fn loads_of_records_of_templates_and_of_exporters() {
    // Many records of one template.
    check(&[vec![flow_template(256)], vec![flows(256, &[7; 3_000])]], &[7; 3_000]);
    // A large template.
    let wide: Vec<(u16, u16)> = FLOW.iter().copied().chain((0..249).map(|_| (20_000, 4))).collect();
    check(&[vec![set(2, &template(256, &wide))], vec![set(256, &[flow(7, 2), vec![1; 249 * 4]].concat())]], &[7]);
    // Many templates within the lifetime of one.
    let many: Vec<u8> = (256..1_256).flat_map(|id| template(id, FLOW)).collect();
    let mut collector = check(&[vec![set(2, &many)], vec![flows(256, &[7]), flows(1_255, &[8])]], &[7, 8]);
    // Many exporters, and domains, of which none knows of another.
    for exporter in 0..500 {
        let source = format!("10.0.{}.{}:4739", exporter / 250, exporter % 250 + 1);
        assert_eq!(collector.take_from(&source, &ipfix_of(exporter, EXPORT_S, 0, &[flows(256, &[7])])).len(), 0);
        assert_eq!(collector.take_from(&source, &ipfix_of(exporter, EXPORT_S, 1, &[flow_template(256)])).len(), 1);
    }
}

#[test]
fn errors_are_counted_and_what_follows_is_read() {
    // A disconnection, and a restart of the exporter with its templates and numbers anew.
    let mut collector = check(&[vec![flow_template(256)], vec![flows(256, &[7])]], &[7]);
    collector.now_us += 600 * SECOND_US;
    assert_eq!(bytes(&collector.take(&ipfix_of(1, EXPORT_S + 600, 1, &[flows(256, &[8])]))), [8]);
    assert_eq!(bytes(&collector.take(&ipfix_of(1, EXPORT_S + 600, 0, &[flow_template(256), flows(256, &[9])]))), [9]);
    // A restart of the collector, with its state and without.
    let mut after = Collector::new();
    after.decoder.restore(collector.decoder.changes());
    assert_eq!(bytes(&after.take(&ipfix_of(1, EXPORT_S + 600, 1, &[flows(256, &[11])]))), [11]);
    assert!(Collector::new().take(&ipfix(1, &[flows(256, &[11])])).is_empty());
    // Bad templates and options templates.
    for bad in [set(2, &halves(&[256, 40, 8, 4])), set(3, &halves(&[300, 2, 3, 8, 4, 34, 4])), set(2, &template(3, FLOW))] {
        let collector = check(&[vec![bad, flow_template(257)], vec![flows(257, &[7])]], &[7]);
        let ledger = collector.decoder.ledger();
        assert_eq!(ledger.sets_skipped(SetSkip::Malformed) + ledger.sets_skipped(SetSkip::InvalidTemplate), 1);
    }
    // A bad record, and data that does not match its template.
    let variable = set(2, &template(256, &[FLOW, &[(82, u16::MAX)]].concat()));
    let bad = set(256, &[flow(7, 2), vec![200, 1]].concat());
    assert_eq!(check(&[vec![variable, flow_template(257)], vec![bad, flows(257, &[7])]], &[7]).counted("record_beyond_set"), 1);
    assert_eq!(check(&[vec![flow_template(256)], vec![set(256, &[9; 5]), flows(256, &[7])]], &[7]).counted("nonzero_padding"), 1);
    // Unknown sets; ids used for another template.
    check(&[vec![flow_template(256), set(77, &[1; 9])], vec![set(9_999, &[1; 9]), flows(256, &[7])]], &[7]);
    let other = set(2, &template(256, &[FLOW, &[(10, 4)]].concat()));
    check(
        &[vec![flow_template(256)], vec![flows(256, &[7])], vec![other], vec![set(256, &[flow(8, 2), words(&[1])].concat())]],
        &[7, 8],
    );
    // A message that is no message.
    let mut collector = check(&[vec![flow_template(256)]], &[]);
    collector.take(&ipfix(0, &[flows(256, &[7])])[..20]);
    assert_eq!(collector.decoder.ledger().datagrams_refused(DatagramRefusal::Truncated), 1);
    assert_eq!(bytes(&collector.take(&ipfix(0, &[flows(256, &[8])]))), [8]);
}
