//! Messages and sets (RFC 7011, sections 3.1 to 3.3).

use model::ledger::{DatagramRefusal, SetSkip};

use super::*;
use crate::tests::wire::{ipfix, ipfix_of};

#[test]
fn other_versions_are_refused_and_change_nothing() {
    let mut collector = Collector::new();
    collector.take(&ipfix(0, &[flow_template(256)]));
    for version in [0, 1, 2, 3, 4, 6, 8, 11, 0xffff] {
        let mut datagram = ipfix(0, &[set(2, &template(256, &[(1, 1)]))]);
        datagram[..2].copy_from_slice(&halves(&[version]));
        assert!(collector.take(&datagram).is_empty());
    }
    assert_eq!(collector.decoder.ledger().datagrams_refused(DatagramRefusal::BadVersion), 9);
    assert_eq!(bytes(&collector.take(&ipfix(0, &[flows(256, &[7])]))), [7]);
}

#[test]
fn a_message_is_as_long_as_it_says() {
    for (length, refusal) in
        [(15, DatagramRefusal::Truncated), (53, DatagramRefusal::Truncated), (30, DatagramRefusal::Malformed)]
    {
        let mut collector = Collector::new();
        let mut datagram = ipfix(0, &[flow_template(256)]);
        assert_eq!(datagram.len(), 52);
        datagram[2..4].copy_from_slice(&halves(&[length]));
        collector.take(&datagram);
        assert_eq!(collector.decoder.ledger().datagrams_refused(refusal), 1, "{length}");
    }
    // What is behind it is counted and not read.
    let mut collector = Collector::new();
    let datagram = [ipfix(0, &[flow_template(256), flows(256, &[7])]), vec![0xee; 5]].concat();
    assert_eq!(bytes(&collector.take(&datagram)), [7]);
    assert_eq!(collector.counted("trailing_bytes"), 5);
}

#[test]
fn a_set_longer_than_its_message_spoils_the_message_whole() {
    for length in [0, 3, 200] {
        let mut collector = Collector::new();
        let broken = [halves(&[256, length]), vec![1; 8]].concat();
        let records = collector.take(&ipfix(0, &[flow_template(256), flows(256, &[7]), broken]));
        assert!(records.is_empty(), "{length}");
        assert_eq!(collector.decoder.ledger().datagrams_refused(DatagramRefusal::Malformed), 1);
        // Nothing of it stayed: the template is not known.
        collector.take(&ipfix(0, &[flows(256, &[7])]));
        assert_eq!(collector.decoder.ledger().sets_held, 1);
    }
}

#[test]
fn reserved_sets_are_stepped_over() {
    let mut collector = Collector::new();
    let reserved = [0, 1, 4, 5, 99, 255].map(|id| set(id, &[1; 7]));
    let records = collector.take(&ipfix(0, &[&reserved[..], &[flow_template(256), flows(256, &[7])]].concat()));
    assert_eq!(bytes(&records), [7]);
    assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::Reserved), 6);
}

#[test]
fn sets_are_read_in_wire_order() {
    let two = set(2, &[template(256, FLOW), template(257, &[(1, 4), (8, 4)])].concat());
    let other = set(257, &words(&[9, 0xc000_0201]));
    let options = set(3, &crate::tests::wire::options(258, 1, &[(149, 4), (34, 4)]));
    let sets = [two, flows(256, &[7]), options, set(258, &words(&[1, 100])), other, flow_template(259), flows(259, &[8, 9])];
    assert_eq!(bytes(&Collector::new().take(&ipfix(0, &sets))), [7, 9, 8, 9]);
}

#[test]
fn data_before_its_template_in_a_message_waits_for_it() {
    let mut collector = Collector::new();
    assert_eq!(bytes(&collector.take(&ipfix(0, &[flows(256, &[7]), flow_template(256), flows(256, &[8])]))), [7, 8]);
    assert_eq!(collector.decoder.ledger().sets_held, 0);
    // With the holding off it is skipped, by setting.
    let settings = DecodeSettings { hold_seconds: 0, ..DecodeSettings::default() };
    let mut collector = Collector::with(settings, Vec::new());
    assert_eq!(bytes(&collector.take(&ipfix(0, &[flows(256, &[7]), flow_template(256), flows(256, &[8])]))), [8]);
    assert_eq!(collector.decoder.ledger().sets_skipped(SetSkip::NoTemplate), 1);
}

#[test]
fn padding_is_no_record() {
    for (padding, counted) in [
        (vec![0; 1], &[][..]),
        (vec![0; 20], &[]),
        (vec![0, 0, 1], &["nonzero_padding"]),
        // As long as a record or more: a record of zeros is none.
        (vec![0; 21], &["zero_record"]),
        (vec![0; 45], &["zero_record"]),
    ] {
        let mut collector = Collector::new();
        let data = set(256, &[flow(7, 2), padding].concat());
        assert_eq!(bytes(&collector.take(&ipfix(0, &[flow_template(256), data]))), [7]);
        assert_eq!(collector.all_counted().keys().collect::<Vec<_>>(), counted);
    }
    // In front of records of variable length too, whose least length counts.
    let mut collector = Collector::new();
    let fields = [FLOW, &[(82, u16::MAX)]].concat();
    let record = [flow(7, 2), vec![2, b'a', b'b']].concat();
    let data = set(256, &[record.clone(), record, vec![0; 21]].concat());
    assert_eq!(bytes(&collector.take(&ipfix(0, &[set(2, &template(256, &fields)), data]))), [7, 7]);
    assert!(collector.all_counted().is_empty());
}

#[test]
fn padding_octets_in_a_record_are_stepped_over() {
    let fields = [&[(210, 3), (8, 4), (210, u16::MAX)], &FLOW[1..], &[(210, 1)]].concat();
    let (source, rest) = (flow(7, 2)[..4].to_vec(), flow(7, 2)[4..].to_vec());
    let record = [vec![9; 3], source, vec![4, 9, 9, 9, 9], rest, vec![9]].concat();
    let data = set(256, &record.repeat(3));
    assert_eq!(bytes(&Collector::new().take(&ipfix(0, &[set(2, &template(256, &fields)), data]))), [7, 7, 7]);
}

#[test]
fn export_times_go_on_after_2038() {
    let mut collector = Collector::new();
    let export_s = 4_000_000_000;
    collector.now_us = i64::from(export_s) * SECOND_US;
    let records = collector.take(&ipfix_of(1, export_s, 0, &[flow_template(256), flows(256, &[7])]));
    assert_eq!((records[0].end_us, records[0].time_source), (collector.now_us, model::TimeSource::Export));
}

#[test]
fn several_messages_share_a_datagram_and_its_bound() {
    let mut collector = Collector::new();
    let messages = [ipfix(0, &[flow_template(256)]), ipfix(0, &[flows(256, &[7])]), ipfix(1, &[flows(256, &[8, 9])])];
    assert_eq!(bytes(&collector.take(&messages.concat())), [7, 8, 9]);
    let settings = DecodeSettings { records_per_datagram: 3, ..DecodeSettings::default() };
    let mut collector = Collector::with(settings, Vec::new());
    collector.take(&ipfix(0, &[flow_template(256)]));
    let messages = [ipfix(0, &[flows(256, &[11, 12])]), ipfix(2, &[flows(256, &[13, 14])]), ipfix(4, &[flows(256, &[15])])];
    assert_eq!(bytes(&collector.take(&messages.concat())), [11, 12, 13]);
    assert_eq!(collector.counted("records_over_limit"), 2);
}
