//! Fields: encodings, lengths, enterprise elements, biflows, lists, sections (RFC 7011, sections 6 and 7).

use model::Metering;

use super::*;
use crate::tests::wire::{ipfix, options, version_9};

/// Ethernet, IPv4 and TCP of 192.0.2.10 to 20.33.0.1: 1,000 bytes of IP, of which 40 are there.
fn frame() -> Vec<u8> {
    let ethernet = [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &[8, 0]].concat();
    [ethernet, packet()].concat()
}

fn packet() -> Vec<u8> {
    let ip = [&[0x45, 0, 0x03, 0xe8, 0, 1, 0, 0, 64, 6, 0, 0][..], &words(&[0xc000_020a, 0x1421_0001])].concat();
    [ip, halves(&[443, 50_000]), words(&[1, 2]), vec![0x50, 0x18, 0, 0, 0, 0, 0, 0]].concat()
}

#[test]
fn numbers_may_be_shorter_than_their_type() {
    for length in 1..=8_usize {
        let fields = [(8, 4), (12, 4), (1, length as u16), (2, 1)];
        let value = &100_u64.to_be_bytes()[8 - length..];
        let data = [&words(&[1, 2])[..], value, &[3]].concat();
        let records = Collector::new().take(&ipfix(0, &[set(2, &template(256, &fields)), set(256, &data)]));
        assert_eq!((records[0].bytes, records[0].packets), (100, 3), "{length}");
    }
    // Longer than its type it is no number; the rest is read.
    let fields = [(8, 4), (12, 4), (10, 9), (1, 1), (2, 1)];
    let data = [words(&[1, 2]), vec![1; 9], vec![100, 3]].concat();
    let records = Collector::new().take(&ipfix(0, &[set(2, &template(256, &fields)), set(256, &data)]));
    assert_eq!((records[0].bytes, records[0].input), (100, 0));
    // A float in place of a double: 1/500.
    let sampled = flow_with(&[(311, 4)], &0.002_f32.to_be_bytes());
    assert_eq!(sampled[0].sampling.population, 500);
}

#[test]
fn addresses_and_times_must_not_be_shorter() {
    let records = flow_with(&[(15, 3), (56, 5), (152, 7), (153, 4), (62, 15)], &[7; 34]);
    let found = &records[0];
    assert!(found.next_hop.is_unknown() && found.source_mac.is_unknown());
    assert_eq!((found.time_source, found.bytes), (model::TimeSource::Export, 1_000));
}

#[test]
fn a_value_beyond_its_set_spoils_its_record_and_no_other() {
    let fields = [FLOW, &[(82, u16::MAX)]].concat();
    for (tail, whole) in
        [(vec![2, b'a', b'b'], 2), (vec![3, b'a', b'b'], 1), (vec![255, 0], 1), (vec![255, 0, 3, b'a'], 1), (vec![0], 2)]
    {
        let mut collector = Collector::new();
        let data = [flow(7, 2), vec![255, 0, 1, b'x'], flow(8, 2), tail.clone()].concat();
        let records = collector.take(&ipfix(0, &[set(2, &template(256, &fields)), set(256, &data)]));
        assert_eq!(records.len(), whole, "{tail:?}");
        assert_eq!(collector.counted("record_beyond_set"), 2 - whole as u64);
    }
}

#[test]
fn enterprise_elements_are_stepped_over_in_data_options_and_scopes() {
    // Enterprise 35632's element 8 is no source address.
    let enterprise = |element: u16, length: u16| [halves(&[element | 0x8000, length]), words(&[35_632])].concat();
    let definition =
        [halves(&[256, FLOW.len() as u16 + 2]), enterprise(8, 4), template(0, FLOW)[4..].to_vec(), enterprise(1, 8)].concat();
    let data = set(256, &[words(&[0x0101_0101]), flow(7, 2), vec![0xff; 8]].concat());
    let records = Collector::new().take(&ipfix(0, &[set(2, &definition), data]));
    assert_eq!((records[0].bytes, records[0].source), (7, "192.0.2.10".parse().unwrap()));
    // As a scope and in options: element 10 of an enterprise is no interface, its 34 no rate.
    let definition = [halves(&[300, 3, 1]), enterprise(10, 4), enterprise(34, 4), halves(&[34, 4])].concat();
    let mut collector = Collector::new();
    collector.take(&ipfix(0, &[flow_template(256), set(3, &definition), set(300, &words(&[7, 9, 100]))]));
    let records = collector.take(&ipfix(1, &[flows(256, &[7])]));
    assert_eq!(records[0].sampling.population, 100, "of the whole system");
}

#[test]
fn unknown_elements_are_stepped_over_and_repeated_ones_count_once() {
    let records = flow_with(&[(20_000, 3), (1, 4), (8, 4), (31_999, 5)], &[0xee; 16]);
    assert_eq!((records[0].bytes, records[0].source), (1_000, "192.0.2.10".parse().unwrap()));
}

#[test]
fn lists_are_stepped_over_by_their_length() {
    for list in [291, 292, 293] {
        let content = [&[3, 1, 8, 0, 4][..], &[0xff; 40]].concat();
        let variable =
            flow_with(&[(list, u16::MAX), (10, 4)], &[vec![content.len() as u8], content.clone(), words(&[77])].concat());
        assert_eq!((variable[0].bytes, variable[0].input), (1_000, 77));
        let fixed = flow_with(&[(list, content.len() as u16), (10, 4)], &[content, words(&[77])].concat());
        assert_eq!((fixed[0].bytes, fixed[0].input), (1_000, 77));
    }
}

#[test]
fn types_told_in_options_change_no_known_element() {
    // RFC 5610: element 8 would be a text called x.
    let described = options(300, 2, &[(346, 4), (303, 2), (339, 1), (341, u16::MAX)]);
    let data = [words(&[0]), halves(&[8]), vec![13], vec![1, b'x']].concat();
    let mut collector = Collector::new();
    collector.take(&ipfix(0, &[set(3, &described), set(300, &data), flow_template(256)]));
    assert_eq!(collector.take(&ipfix(1, &[flows(256, &[7])]))[0].source, "192.0.2.10".parse().unwrap());
}

#[test]
fn names_lose_what_has_no_place_in_them() {
    let long = "x".repeat(400);
    for (sent, name) in [(&b"ae1.0\0\0"[..], "ae1.0"), (b"a\x07b\xff", "ab\u{fffd}"), (long.as_bytes(), &long[..256])] {
        let definition = options(300, 1, &[(10, 4), (82, sent.len() as u16)]);
        let mut collector = Collector::new();
        collector.take(&ipfix(0, &[set(3, &definition), set(300, &[&words(&[7])[..], sent].concat())]));
        let named = Fact::InterfaceName { exporter: model::ExporterId(0), interface: 7, name: name.to_string() };
        assert_eq!(collector.facts[1..], [named]);
    }
}

/// The biflow elements of enterprise 29305 behind [`FLOW`]: bytes, packets, and times of both directions.
fn biflow(reverse_bytes: u32, direction: u8) -> Vec<Record> {
    let reverse = |element: u16, length: u16| [halves(&[element | 0x8000, length]), words(&[29_305])].concat();
    let own: &[(u16, u16)] = &[(152, 8), (153, 8), (10, 4), (14, 4), (61, 1), (239, 1)];
    let fields = [FLOW, own].concat();
    let definition = [
        halves(&[256, fields.len() as u16 + 4]),
        template(0, &fields)[4..].to_vec(),
        [reverse(1, 4), reverse(2, 4), reverse(152, 8), reverse(153, 8)].concat(),
    ];
    let ms = |before_s: u64| ((u64::from(EXPORT_S) - before_s) * 1_000).to_be_bytes();
    let values =
        [&ms(9)[..], &ms(3), &words(&[1, 2]), &[0, direction], &words(&[reverse_bytes, reverse_bytes.min(4)]), &ms(8), &ms(2)];
    let data = [flow(1_000, 2), values.concat()].concat();
    let mut collector = Collector::new();
    let records = collector.take(&ipfix(0, &[set(2, &definition.concat()), set(256, &data)]));
    assert_eq!(collector.decoder.ledger().records, 1, "one in the ledger");
    records
}

#[test]
fn a_biflow_is_two_records_and_one_in_the_ledger() {
    for direction in [0, 1, 2, 3] {
        let [forward, back] = &biflow(9_000, direction)[..] else { panic!() };
        assert_eq!((forward.bytes, forward.packets, forward.is_reverse), (1_000, 2, false));
        assert_eq!((back.bytes, back.packets, back.is_reverse), (9_000, 4, true));
        assert_eq!((back.source, back.destination), (forward.destination, forward.source));
        assert_eq!((back.source_port, back.destination_port), (50_000, 443));
        assert_eq!((forward.input, forward.output, back.input, back.output), (1, 2, 2, 1));
        assert_eq!((forward.start_us, forward.end_us), (NOW_US - 9 * SECOND_US, NOW_US - 3 * SECOND_US));
        assert_eq!((back.start_us, back.end_us), (NOW_US - 8 * SECOND_US, NOW_US - 2 * SECOND_US), "its own times");
        // Metered where it entered, the way back was where it left.
        assert_eq!((forward.metering, back.metering), (Metering::Ingress, Metering::Egress));
    }
    assert_eq!(biflow(0, 1).len(), 1, "nothing came back");
}

#[test]
fn a_biflow_counts_double_against_the_bound_of_a_datagram() {
    let fields = [FLOW, &[(232, 4), (299, 4)]].concat();
    let settings = DecodeSettings { records_per_datagram: 6, ..DecodeSettings::default() };
    let mut collector = Collector::with(settings, Vec::new());
    let data = [flow(1_000, 2), words(&[500, 1])].concat().repeat(5);
    assert_eq!(collector.take(&ipfix(0, &[set(2, &template(256, &fields)), set(256, &data)])).len(), 6);
    assert_eq!(collector.counted("records_over_limit"), 1);
}

#[test]
fn sections_of_frames_and_packets_are_read_as_packets() {
    let sections = [(315, frame()), (104, frame()), (313, packet())];
    for (element, bytes) in sections {
        // Of fixed length, of variable length, with the length of the whole frame beside it.
        let variable = [vec![bytes.len() as u8], bytes.clone()].concat();
        let sized = [halves(&[1_018]), variable.clone()].concat();
        for (fields, data) in [
            (vec![(element, bytes.len() as u16)], bytes.clone()),
            (vec![(element, u16::MAX)], variable),
            (vec![(312, 2), (element, u16::MAX)], sized),
        ] {
            let records = Collector::new().take(&ipfix(0, &[set(2, &template(256, &fields)), set(256, &data)]));
            let [found] = &records[..] else { panic!("{element}: {records:?}") };
            assert_eq!((found.bytes, found.packets, found.is_packet_sample), (1_000, 1, true), "{element}");
            assert_eq!((found.source, found.destination), ("192.0.2.10".parse().unwrap(), "20.33.0.1".parse().unwrap()));
            assert_eq!((found.source_port, found.destination_port, found.protocol), (443, 50_000, 6));
        }
    }
    // A section without IP is no traffic that could be attributed.
    let mut collector = Collector::new();
    collector.take(&ipfix(0, &[set(2, &template(256, &[(315, 60)])), set(256, &[0xff; 60])]));
    assert_eq!(collector.counted("no_address"), 1);
}

/// Which elements count as bytes and packets: deltas, what left, an initiator's, totals.
#[test]
fn bytes_and_packets_are_taken_from_one_pair_of_elements() {
    let ends: &[(u16, u16)] = &[(8, 4), (12, 4)];
    for (fields, values, expected) in [
        (&[(1, 4), (2, 4), (23, 4), (24, 4)][..], &[1_000, 2, 1_000, 2][..], (1_000, 2)),
        (&[(1, 4), (2, 4), (85, 4), (86, 4)], &[1_000, 2, 50_000, 90], (1_000, 2)),
        (&[(23, 4), (24, 4)], &[1_000, 2], (1_000, 2)),
        (&[(85, 4), (86, 4)], &[1_000, 2], (1_000, 2)),
        // Layer 2 bytes stand apart; the flow count is no packet count.
        (&[(352, 4), (1, 4), (2, 4), (3, 4)], &[1_036, 1_000, 2, 9], (1_000, 2)),
        // A device that counts no packets: at least one.
        (&[(1, 4)], &[1_000], (1_000, 1)),
    ] {
        let data = set(256, &words(&[&[1, 2][..], values].concat()));
        let records = Collector::new().take(&ipfix(0, &[set(2, &template(256, &[ends, fields].concat())), data]));
        let found: Vec<_> = records.iter().map(|record| (record.bytes, record.packets)).collect();
        assert_eq!(found, [expected], "{fields:?}");
    }
    // Narrow and wide counters say the same.
    let wide = [words(&[1, 2, 0, 1_000, 0, 2])].concat();
    let records =
        Collector::new().take(&ipfix(0, &[set(2, &template(256, &[ends, &[(1, 8), (2, 8)]].concat())), set(256, &wide)]));
    assert_eq!((records[0].bytes, records[0].packets), (1_000, 2));
}

#[test]
fn events_of_firewalls_and_of_translation_are_counted_once_or_not_at_all() {
    let fields = [(8, 4), (12, 4), (233, 1), (231, 4), (232, 4), (298, 4), (299, 4)];
    let event = |event: u8, there: u32, back: u32| [words(&[1, 2]), vec![event], words(&[there, back, 1, 1])].concat();
    let mut collector = Collector::new();
    collector.take(&ipfix(0, &[set(2, &template(256, &fields))]));
    // Created; updated twice; deleted, with the totals; denied.
    let data = [event(1, 0, 0), event(5, 100, 40), event(5, 200, 80), event(2, 300, 120), event(3, 0, 0)].concat();
    assert_eq!(bytes(&collector.take(&ipfix(0, &[set(256, &data)]))), [100, 40, 200, 80]);
    assert_eq!(collector.counted("not_traffic"), 3);
    // A firewall that sends no updates: the totals are all there is.
    let mut collector = Collector::new();
    let sets = [set(2, &template(256, &fields)), set(256, &[event(1, 0, 0), event(2, 300, 120)].concat())];
    assert_eq!(bytes(&collector.take(&ipfix(0, &sets))), [300, 120]);
    // Translations carry no bytes.
    let mut collector = Collector::new();
    let sets = [set(0, &template(256, &[(8, 4), (12, 4), (225, 4), (230, 1)])), set(256, &[words(&[1, 2, 3]), vec![1]].concat())];
    assert!(collector.take(&version_9(0, &sets)).is_empty());
    assert_eq!(collector.counted("not_traffic"), 1);
}

#[test]
fn what_cannot_be_is_refused() {
    for (bytes, packets, reason) in [(0xffff_ffff, 1, "implausible"), (10, 11, "implausible"), (65_575, 1, ""), (0, 0, "")] {
        let mut collector = Collector::new();
        let records = collector.take(&ipfix(0, &[flow_template(256), set(256, &flow(bytes, packets))]));
        assert_eq!(records.len(), usize::from(reason.is_empty()), "{bytes} in {packets}");
        assert_eq!(collector.all_counted().keys().map(String::as_str).collect::<String>(), reason);
    }
}

#[test]
fn directions_interfaces_and_drops() {
    for (value, metering) in [(0, Metering::Ingress), (1, Metering::Egress), (7, Metering::Unstated)] {
        assert_eq!(flow_with(&[(61, 1)], &[value])[0].metering, metering);
    }
    assert_eq!(flow_with(&[], &[])[0].metering, Metering::Unstated);
    // Physical interfaces stand in; all ones is none.
    for (values, expected) in [([7, 9, 70, 90], (7, 9)), ([0, 0, 70, 90], (70, 90)), ([7, u32::MAX, 70, 0], (7, 0))] {
        let found = &flow_with(&[(10, 4), (14, 4), (252, 4), (253, 4)], &words(&values))[0];
        assert_eq!((found.input, found.output), expected);
    }
    for (status, is_dropped) in [(0x40, false), (0x80, true), (0x81, true), (0xc0, false), (0, false)] {
        assert_eq!(flow_with(&[(89, 1)], &[status])[0].is_dropped, is_dropped, "{status:#x}");
    }
}
