//! NetFlow versions 9 (RFC 3954), 5 and 7.

use model::SamplingOrigin;
use model::ledger::SetSkip;

use super::*;
use crate::tests::wire::{UPTIME_MS, options_9, version_5, version_9};

fn template_9(id: u16) -> Vec<u8> {
    set(0, &template(id, FLOW))
}

#[test]
fn bytes_decide_how_much_there_is_and_not_the_count() {
    for count in [0, 1, 2, 7, 65_535] {
        let mut datagram = version_9(0, &[template_9(256), flows(256, &[7, 8, 9])]);
        datagram[2..4].copy_from_slice(&halves(&[count]));
        assert_eq!(bytes(&Collector::new().take(&datagram)), [7, 8, 9], "{count}");
    }
}

#[test]
fn reserved_sets_are_stepped_over_and_padding_may_be_there() {
    for padding in [0, 3] {
        let data = set(256, &[flow(7, 2), vec![0; padding]].concat());
        let mut collector = Collector::new();
        assert_eq!(bytes(&collector.take(&version_9(0, &[set(2, &[1; 8]), set(255, &[]), template_9(256), data]))), [7]);
        assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::Reserved), 2);
    }
    // Padding of the datagram itself.
    let datagram = [version_9(0, &[template_9(256), flows(256, &[7])]), vec![0; 9]].concat();
    let mut collector = Collector::new();
    assert_eq!(bytes(&collector.take(&datagram)), [7]);
    assert_eq!(collector.decoder.ledger().sets_skipped_total(), 0);
}

#[test]
fn a_set_beyond_its_datagram_ends_it_and_what_was_before_stays() {
    let broken = [halves(&[256, 999]), flow(9, 2)].concat();
    let mut collector = Collector::new();
    assert_eq!(bytes(&collector.take(&version_9(0, &[template_9(256), flows(256, &[7]), broken]))), [7]);
    assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::Malformed), 1);
}

#[test]
fn options_have_lengths_in_bytes_that_must_fit() {
    let scopes = [(1, 4)];
    let fields = [(34, 4), (35, 1)];
    let good = options_9(300, &scopes, &fields);
    let data = set(300, &[words(&[0xc000_0201, 500]), vec![2]].concat());
    let with = |at: usize, value: u16| {
        let mut definition = good.clone();
        definition[at..at + 2].copy_from_slice(&halves(&[value]));
        definition
    };
    for (definition, is_read) in [
        (good.clone(), true),
        (with(2, 3), false),
        (with(4, 6), false),
        (with(4, 400), false),
        (with(2, 0xfffc), false),
        // No scope: strange, but the options are there.
        (options_9(300, &[], &[&[(210, 4)], &fields[..]].concat()), true),
        (options_9(300, &[(1, 0)], &[&[(210, 4)], &fields[..]].concat()), true),
    ] {
        let mut collector = Collector::new();
        collector.take(&version_9(0, &[set(1, &definition), data.clone(), template_9(256)]));
        let records = collector.take(&version_9(1, &[flows(256, &[7])]));
        assert_eq!(records[0].sampling.is_known(), is_read, "{definition:?}");
        if is_read {
            assert_eq!((records[0].sampling.population, records[0].sampling.origin), (500, SamplingOrigin::Options));
        }
    }
}

#[test]
fn scopes_say_of_what_a_rate_is() {
    // Type of scope, its value, and of which (template, input interface) the rate is then.
    for (scope, value, of) in [
        (1, 0xc000_0201, &[(256, 7), (256, 8), (257, 7)][..]),
        (2, 7, &[(256, 7), (257, 7)]),
        (3, 1, &[(256, 7), (256, 8), (257, 7)]),
        (4, 1, &[(256, 7), (256, 8), (257, 7)]),
        (5, 257, &[(257, 7)]),
        (9, 1, &[(256, 7), (256, 8), (257, 7)]),
    ] {
        let mut collector = Collector::new();
        let fields = [FLOW, &[(10, 4)]].concat();
        let told = [set(1, &options_9(300, &[(scope, 4)], &[(34, 4)])), set(300, &words(&[value, 500]))];
        collector
            .take(&version_9(0, &[&told[..], &[set(0, &[template(256, &fields), template(257, &fields)].concat())]].concat()));
        for (sequence, (template, input)) in [(256, 7), (256, 8), (257, 7)].into_iter().enumerate() {
            let data = set(template, &[flow(1_000, 2), words(&[input])].concat());
            let records = collector.take(&version_9(1 + sequence as u32, &[data]));
            assert_eq!(records[0].sampling.is_known(), of.contains(&(template, input)), "scope {scope}: {template} {input}");
        }
    }
}

#[test]
fn there_is_no_variable_length() {
    let mut collector = Collector::new();
    let fields = [FLOW, &[(82, u16::MAX)]].concat();
    let data = set(256, &[flow(7, 2), vec![2, b'a', b'b']].concat());
    assert!(collector.take(&version_9(0, &[set(0, &template(256, &fields)), data])).is_empty());
    assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::InvalidTemplate), 2);
}

/// A record of version 5: 1,000 bytes and 2 packets that ended a second before the export.
fn record_5(source_asn: u16, protocol: u8, destination_port: u16) -> Vec<u8> {
    let start = words(&[0xc000_020a, 0x1421_0001, 0xc000_0263]);
    let middle = words(&[2, 1_000, UPTIME_MS - 3_000, UPTIME_MS - 1_000]);
    let ports = halves(&[443, destination_port]);
    let rest = [vec![0, 0x1b, protocol, 0], halves(&[source_asn, 8_075]), vec![24, 13, 0, 0]].concat();
    [start, halves(&[7, 9]), middle, ports, rest].concat()
}

#[test]
fn version_5_gives_the_records_that_it_counts_and_holds() {
    for (count, there, trailing, expected, disagree) in
        [(2, 2, 0, 2, 0), (3, 2, 0, 2, 1), (1, 2, 0, 1, 1), (2, 2, 5, 2, 1), (30, 30, 0, 30, 0), (65_535, 1, 0, 1, 1)]
    {
        let datagram = [version_5(count, 0, 0, &vec![record_5(1, 6, 80); there]), vec![1; trailing]].concat();
        let mut collector = Collector::new();
        assert_eq!(collector.take(&datagram).len(), expected, "{count} of {there}");
        assert_eq!(collector.counted("count_and_length_disagree"), disagree);
    }
    let mut collector = Collector::new();
    collector.take(&version_5(0, 0, 0, &[record_5(1, 6, 80)]));
    assert_eq!(collector.decoder.ledger().datagrams_refused(model::ledger::DatagramRefusal::Malformed), 1);
    // Zeros said to be records are none.
    assert!(collector.take(&version_5(1, 1, 0, &[vec![0; 48]])).is_empty());
    assert_eq!(collector.counted("zero_record"), 1);
}

#[test]
fn version_5_samples_by_fourteen_bits_and_none_is_unknown() {
    for (field, population) in [(0, 0), (0x4000, 0), (100, 100), (0x4000 | 1_000, 1_000), (0xffff, 16_383), (0x8001, 1)] {
        let records = Collector::new().take(&version_5(1, 0, field, &[record_5(1, 6, 80)]));
        assert_eq!(records[0].sampling.population, population, "{field:#x}");
        assert_eq!(records[0].sampling.is_known(), population > 0);
    }
}

#[test]
fn version_5_has_its_fields_in_their_places() {
    let records = Collector::new().take(&version_5(1, 0, 0, &[record_5(23_456, 1, 0x0803)]));
    let found = &records[0];
    assert_eq!((found.source_asn, found.destination_asn, found.protocol), (23_456, 8_075, 1));
    assert_eq!(found.destination_port, 0x0803, "ICMP's type and code");
    assert_eq!((found.input, found.output, found.tcp_flags), (7, 9, 0x1b));
    assert_eq!((found.source_mask, found.destination_mask), (24, 13));
    assert_eq!(found.next_hop, "192.0.2.99".parse().unwrap());
    assert_eq!((found.start_us, found.end_us), (NOW_US - 3 * SECOND_US, NOW_US - SECOND_US));
    assert_eq!(found.domain, 0x0102, "engine type and id");
    // Version 7: the same, four bytes longer.
    let mut datagram = [version_5(1, 0, 0, &[record_5(23_456, 1, 0x0803)]), words(&[0x0a00_0001])].concat();
    datagram[1] = 7;
    let seven = Collector::new().take(&datagram);
    assert_eq!((seven[0].bytes, seven[0].source, seven[0].sampling.is_known()), (1_000, found.source, false));
}
