//! Datagrams built by hand against records, and generated ones against an independent parser.

use model::{Address, Mac};
use proptest::prelude::*;
use sflow_parser::models::{CounterData, FlowData, SampleData};

use super::*;
use crate::header::{self, HeaderKind};
use crate::recent::mark;

/// Words to bytes.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A format, a length, and the data padded to words.
fn structure(format: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = words(&[format, data.len() as u32]);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A datagram of agent 192.0.2.9, sub-agent 3.
fn datagram(sequence: u32, samples: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = words(&[5, 1, 0xc000_0209, 3, sequence, sequence.wrapping_mul(1_000), samples.len() as u32]);
    bytes.extend(samples.concat());
    bytes
}

/// A compact flow sample of source 7, rate 1000.
fn flow(sequence: u32, input: u32, output: u32, records: &[Vec<u8>]) -> Vec<u8> {
    let mut data = words(&[sequence, 7, 1_000, sequence.wrapping_mul(1_000), 0, input, output, records.len() as u32]);
    data.extend(records.concat());
    structure(sample::FLOW, &data)
}

fn raw_header(protocol: u32, frame_length: u32, header: &[u8]) -> Vec<u8> {
    let mut data = words(&[protocol, frame_length, 4, header.len() as u32]);
    data.extend(header);
    data.resize(data.len().next_multiple_of(4), 0);
    structure(packet::RAW_HEADER, &data)
}

/// A TCP segment from 192.0.2.1 to 198.51.100.2, 1000 bytes, its first 40.
fn frame(tag: Option<u16>) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    if let Some(tag) = tag {
        bytes.extend([0x81, 0]);
        bytes.extend(tag.to_be_bytes());
    }
    bytes.extend([8, 0, 0x45, 0, 0x03, 0xe8, 0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
    bytes.extend([0x01, 0xbb, 0xc3, 0x50, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// A decoder of one sub-agent.
#[derive(Default)]
struct Reader {
    sequences: Sequences,
    batch: Batch,
}

impl Reader {
    fn read(&mut self, payload: &[u8]) -> Option<(Order, Outcome)> {
        let datagram = Datagram::read(payload)?;
        let order = self.sequences.datagram(datagram.sequence, datagram.uptime_ms, mark(payload));
        let context = Context {
            exporter: ExporterId(1),
            received_us: 1_000_000,
            sources_max: 64,
            layers_most: header::LAYERS_MOST,
            order,
            sampling: &|_: &Record, stated| stated,
        };
        Some((order, decode(&datagram, &context, &mut self.sequences, &mut self.batch)))
    }
}

/// The only record of a datagram that holds one flow sample.
#[track_caller]
fn record(sample: Vec<u8>) -> Record {
    let mut reader = Reader::default();
    let (_, outcome) = reader.read(&datagram(1, &[sample])).unwrap();
    assert_eq!((outcome.sets_decoded, outcome.sets_malformed, outcome.records), (1, 0, 1));
    assert_eq!(reader.batch.records.len(), 1);
    reader.batch.records.remove(0)
}

#[test]
fn a_sampled_frame_becomes_a_record() {
    let switch = structure(packet::EXTENDED_SWITCH, &words(&[100, 0, 200, 0]));
    let router = structure(packet::EXTENDED_ROUTER, &words(&[1, 0xc633_6401, 24, 22]));
    let gateway = words(&[1, 0xcb00_7101, 64_500, 64_501, 64_501, 2, 2, 2, 64_502, 8_075, 2, 1, 8_068, 1, 99, 100]);
    let gateway = structure(packet::EXTENDED_GATEWAY, &gateway);
    let found = record(flow(1, 7, 9, &[switch, raw_header(1, 1_018, &frame(None)), router, gateway]));
    let expected = Record {
        source: "192.0.2.1".parse().unwrap(),
        destination: "198.51.100.2".parse().unwrap(),
        next_hop: "198.51.100.1".parse().unwrap(),
        bgp_next_hop: "203.0.113.1".parse().unwrap(),
        bytes: 1_000,
        packets: 1,
        frame_bytes: 1_018,
        start_us: 1_000_000,
        end_us: 1_000_000,
        sampling: Sampling::one_in(1_000, SamplingOrigin::Record),
        exporter: ExporterId(1),
        domain: 3,
        input: 7,
        output: 9,
        source_asn: 64_501,
        destination_asn: 8_068,
        source_port: 443,
        destination_port: 50_000,
        vlan: 100,
        source_mac: Mac([2, 0, 0, 0, 0, 1]),
        destination_mac: Mac([2, 0, 0, 0, 0, 2]),
        source_mask: 24,
        destination_mask: 22,
        protocol: 6,
        tcp_flags: 0x18,
        metering: Metering::Ingress,
        time_source: TimeSource::Received,
        is_packet_sample: true,
        ..Record::default()
    };
    assert_eq!(found, expected);
}

#[test]
fn the_raw_header_wins_over_fields_whatever_comes_first() {
    let fields = structure(packet::IPV4, &words(&[777, 17, 0x0a00_0001, 0x0a00_0002, 1, 2, 0, 0]));
    let raw = raw_header(1, 1_018, &frame(Some(5)));
    for records in [[fields.clone(), raw.clone()], [raw, fields.clone()]] {
        let found = record(flow(1, 7, 9, &records));
        assert_eq!((found.bytes, found.frame_bytes, found.protocol, found.vlan), (1_000, 1_018, 6, 5));
    }
    // Of a header that is cut off before the addresses, the fields say more.
    let found = record(flow(1, 7, 9, &[raw_header(1, 1_018, &frame(None)[..20]), fields]));
    assert_eq!((found.bytes, found.frame_bytes, found.protocol), (777, 1_018, 17));
}

#[test]
fn fields_stand_in_for_a_raw_header() {
    let v4 = structure(packet::IPV4, &words(&[1_480, 17, 0x0a00_0001, 0x0a00_0002, 53, 4_000, 0, 0]));
    let found = record(flow(1, 1, 9, &[v4]));
    assert_eq!((found.source, found.bytes, found.frame_bytes), (Address::from_v4_bits(0x0a00_0001), 1_480, 0));
    assert_eq!((found.source_port, found.destination_port, found.metering), (53, 4_000, Metering::Unstated));

    let mut v6 = words(&[900, 6]);
    v6.extend([0x20; 16]);
    v6.extend([0x30; 16]);
    v6.extend(words(&[443, 5_000, 0x10, 0]));
    let ethernet = [words(&[918]), vec![1; 6], vec![0; 2], vec![2; 6], vec![0; 2], words(&[0x86dd])].concat();
    let found = record(flow(1, 9, 7, &[structure(packet::ETHERNET, &ethernet), structure(packet::IPV6, &v6)]));
    assert_eq!((found.bytes, found.frame_bytes, found.source_mac), (900, 918, Mac([1; 6])));
    assert_eq!((found.destination, found.metering), (Address::from_bits(u128::from_be_bytes([0x30; 16])), Metering::Egress));
}

#[test]
fn raw_headers_begin_at_any_layer() {
    let packet = &frame(None)[14..];
    let label = words(&[0x0001_0140]);
    for (protocol, header) in [(11, packet.to_vec()), (13, [label, packet.to_vec()].concat())] {
        assert_eq!(record(flow(1, 7, 9, &[raw_header(protocol, 1_000, &header)])).bytes, 1_000, "{protocol}");
    }
}

#[test]
fn interfaces_of_both_forms() {
    let raw = || raw_header(1, 1_018, &frame(None));
    let dropped = record(flow(1, 7, 0x4000_0100, &[raw()]));
    assert!(dropped.is_dropped && dropped.output == 0);
    let several = record(flow(1, 7, 0x8000_0004, &[raw()]));
    assert!(!several.is_dropped && several.output == 0);
    assert_eq!(record(flow(1, 0x3fff_ffff, 7, &[raw()])).input, 0);

    let mut data = words(&[1, 0, 70_000_000, 512, 0, 0, 0, 70_000_000, 0, 1_285_816_721, 1]);
    data.extend(raw());
    let found = record(structure(sample::FLOW_EXPANDED, &data));
    assert_eq!((found.input, found.output, found.metering), (70_000_000, 1_285_816_721, Metering::Ingress));
}

#[test]
fn what_is_unknown_is_stepped_over_and_what_overruns_is_counted() {
    let raw = || raw_header(1, 1_018, &frame(None));
    let unknown_record = structure(4_413 << 12 | 7, &[1, 2, 3]);
    let unknown_sample = structure(8_800 << 12 | 1, &[9; 13]);
    let mut short_record = flow(2, 7, 9, &[raw()]);
    // The record says that it is longer than its sample.
    short_record[8 + 32 + 7] = 0xf0;
    let mut payload = datagram(1, &[unknown_sample, short_record, flow(3, 7, 9, &[unknown_record, raw()]), flow(4, 7, 9, &[])]);
    payload.extend([0xee; 6]);
    let mut reader = Reader::default();
    let (_, outcome) = reader.read(&payload).unwrap();
    assert_eq!((outcome.sets_seen, outcome.sets_decoded, outcome.sets_unknown, outcome.sets_malformed), (4, 2, 1, 1));
    assert_eq!((outcome.records, outcome.unreadable, outcome.trailing_bytes), (2, 1, 6));
    assert_eq!(reader.batch.records.len(), 1);

    // A sample that is longer than the datagram ends it; the one before it stays good.
    let mut payload = datagram(2, &[flow(5, 7, 9, &[raw()]), structure(sample::FLOW, &[0; 40])]);
    payload.truncate(payload.len() - 4);
    let (_, outcome) = reader.read(&payload).unwrap();
    assert_eq!((outcome.sets_decoded, outcome.sets_malformed), (1, 1));
}

#[test]
fn a_frame_without_ip_is_no_record() {
    let arp = [vec![0xff; 6], vec![2; 6], vec![8, 6], vec![0; 28]].concat();
    let mut reader = Reader::default();
    let (_, outcome) = reader.read(&datagram(1, &[flow(1, 7, 9, &[raw_header(1, 64, &arp)])])).unwrap();
    assert_eq!((outcome.records, outcome.no_address, outcome.stated_bytes), (1, 1, 64));
    // Nor is a link layer that is not parsed.
    let (_, outcome) = reader.read(&datagram(2, &[flow(2, 7, 9, &[raw_header(4, 64, &arp)])])).unwrap();
    assert_eq!((outcome.records, outcome.unreadable), (1, 1));
}

#[test]
fn a_path_of_too_many_systems_is_not_believed() {
    for (count, asn) in [(3, 8_075), (1_000, 8_075), (1_001, 0)] {
        let mut gateway = words(&[1, 1, 64_500, 64_501, 0, 1, 2, count]);
        gateway.extend(words(&vec![8_075; count as usize]));
        gateway.extend(words(&[0, 100]));
        let records = [structure(packet::EXTENDED_GATEWAY, &gateway), raw_header(1, 1_018, &frame(None))];
        assert_eq!(record(flow(1, 7, 9, &records)).destination_asn, asn, "{count}");
    }
}

#[test]
fn discarded_packets_are_no_traffic() {
    let mut data = words(&[1, 0, 7, 0, 7, 9, 256, 1]);
    data.extend(raw_header(1, 1_018, &frame(None)));
    let mut reader = Reader::default();
    let (_, outcome) = reader.read(&datagram(1, &[structure(sample::DISCARDED, &data)])).unwrap();
    assert_eq!((outcome.sets_decoded, outcome.discarded, outcome.records), (1, 1, 0));
    assert!(reader.batch.records.is_empty());
}

/// `if_counters` of interface 7, its octets as given.
fn counters(sequence: u32, octets: u64) -> Vec<u8> {
    let mut generic = words(&[7, 6]);
    generic.extend(10_000_000_000u64.to_be_bytes());
    generic.extend(words(&[1, 1]));
    generic.extend(octets.to_be_bytes());
    generic.extend(words(&[10, 20, u32::MAX, 5, u32::MAX, 0]));
    generic.extend(u64::MAX.to_be_bytes());
    generic.extend(words(&[u32::MAX, u32::MAX, u32::MAX, 6, 8, 0]));
    let ethernet = words(&[1, 2, 0, 0, 0, 0, 40, 50, 60, 70, 3, 4, 0]);
    let mut data = words(&[sequence, 7, 3]);
    data.extend(structure(2_001, &[0; 9]));
    data.extend(structure(counters::ETHERNET, &ethernet));
    data.extend(structure(counters::INTERFACE, &generic));
    structure(sample::COUNTERS, &data)
}

#[test]
fn counters_are_read_and_the_greatest_value_is_none() {
    let mut reader = Reader::default();
    reader.read(&datagram(1, &[counters(1, 123_456_789_012)])).unwrap();
    let expected = InterfaceCounters {
        exporter: ExporterId(1),
        interface: 7,
        at_us: 1_000_000,
        speed_bps: Some(10_000_000_000),
        admin_up: Some(true),
        oper_up: Some(false),
        in_octets: Some(123_456_789_012),
        out_octets: None,
        in_packets: Some(30),
        out_packets: None,
        in_discards: Some(5),
        out_discards: Some(6),
        in_errors: Some(1 + 2 + 3 + 4),
        out_errors: Some(8),
        is_reset: false,
    };
    assert_eq!(reader.batch.counters, [expected]);
}

#[test]
fn counters_that_begin_anew_say_so() {
    let mut reader = Reader::default();
    for (datagram_sequence, sequence) in [(1, 50), (2, 51), (3, 1), (4, 2), (6, 4), (5, 3), (7, u32::MAX), (8, 0)] {
        reader.read(&datagram(datagram_sequence, &[counters(sequence, 1)])).unwrap();
    }
    // The late datagram 5 gives no reading, and the step over zero is none back.
    let resets: Vec<bool> = reader.batch.counters.iter().map(|counters| counters.is_reset).collect();
    assert_eq!(resets, [false, false, true, false, false, true, false]);
}

/// Datagrams of these numbers, a sample in each: what is lost by both counts.
#[track_caller]
fn check_losses(sequences: &[u32], datagrams: i64, samples: i64) {
    let mut reader = Reader::default();
    let (mut lost_datagrams, mut lost_samples) = (0, 0);
    for sequence in sequences {
        let sample = flow(*sequence, 7, 9, &[raw_header(1, 1_018, &frame(None))]);
        let (order, outcome) = reader.read(&datagram(*sequence, &[sample])).unwrap();
        lost_datagrams += order.lost;
        if !order.is_duplicate {
            lost_samples += outcome.lost_samples;
        }
    }
    assert_eq!((lost_datagrams, lost_samples), (datagrams, samples), "{sequences:?}");
}

#[test]
fn losses_are_told_from_disorder_and_wrapping() {
    check_losses(&[5, 6, 7], 0, 0);
    check_losses(&[5, 8], 2, 2);
    check_losses(&[5, 8, 7, 6], 0, 0);
    check_losses(&[5, 8, 7, 7], 1, 1);
    check_losses(&[5, 4, 6], 0, 0);
    check_losses(&[u32::MAX - 1, u32::MAX, 0, 1], 0, 0);
    check_losses(&[u32::MAX, 2], 2, 2);
    // The agent starts over: its uptime goes back.
    check_losses(&[900, 901, 1, 2, 4], 1, 1);
}

#[test]
fn two_senders_under_one_number_lose_nothing() {
    let mut reader = Reader::default();
    let mut known_losses = 0;
    for step in 0..100 {
        let sequence = if step % 2 == 0 { 1_000 + step } else { 900_000 + step };
        let mut payload = datagram(sequence, &[]);
        payload[20..24].copy_from_slice(&(step * 100).to_be_bytes());
        let (order, _) = reader.read(&payload).unwrap();
        if step > 40 {
            known_losses += order.lost;
            assert!(order.is_loss_unknown);
        }
    }
    assert_eq!(known_losses, 0);
}

#[test]
fn a_rate_that_is_not_kept_shows() {
    for (packets_per_sample, is_off) in [(1_000, false), (1_150, false), (1_300, true), (2_000, true), (500, true)] {
        let mut sequences = Sequences::default();
        let mut news = sequence::SampleNews::default();
        for number in 0..5_000u32 {
            let sample = FlowSample {
                sequence: number,
                source: sample::DataSource { kind: 0, index: 7 },
                rate: 1_000,
                pool: number.wrapping_mul(packets_per_sample).wrapping_add(4_290_000_000),
                drops: number / 1_000,
                input: Interface::One(7),
                output: Interface::One(9),
            };
            news = sequences.flow(&sample, false, 8);
            assert_eq!(news.agent_drops, u64::from(number > 0 && number % 1_000 == 0));
        }
        assert_eq!(news.is_rate_off, is_off, "{packets_per_sample}");
    }
}

#[test]
fn an_agent_needs_an_address() {
    assert!(Datagram::read(&words(&[5, 1, 0xc000_0209, 0, 1, 1, 0])).is_some());
    assert!(Datagram::read(&words(&[5, 2, 1, 2, 3, 4, 0, 1, 1, 0])).is_some());
    assert!(Datagram::read(&words(&[5, 3, 0xc000_0209, 0, 1, 1, 0])).is_none());
    assert!(Datagram::read(&words(&[5, 0, 0, 1, 1, 0])).is_none());
    assert!(Datagram::read(&words(&[5, 1, 0xc000_0209, 0, 1])).is_none());
}

fn any_record() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (64u32..9_000, 0usize..64, any::<Option<u16>>()).prop_map(|(length, cut, tag)| {
            let frame = frame(tag);
            raw_header(1, length, &frame[..frame.len().min(14 + cut)])
        }),
        any::<[u32; 8]>().prop_map(|fields| structure(packet::IPV4, &words(&fields))),
        any::<[u32; 4]>().prop_map(|fields| structure(packet::EXTENDED_SWITCH, &words(&fields))),
        any::<[u32; 3]>().prop_map(|[hop, a, b]| structure(packet::EXTENDED_ROUTER, &words(&[1, hop, a % 33, b % 33]))),
        (any::<[u32; 4]>(), prop::collection::vec(any::<u32>(), 1..5)).prop_map(|([hop, own, source, peer], path)| {
            let mut fields = vec![1, hop, own, source, peer, 1, 2, path.len() as u32];
            fields.extend(path);
            fields.extend([0, 100]);
            structure(packet::EXTENDED_GATEWAY, &words(&fields))
        }),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(|data| structure(77 << 12 | 5, &data)),
    ]
}

fn any_sample() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (any::<u32>(), any::<u32>(), any::<u32>(), prop::collection::vec(any_record(), 0..4))
            .prop_map(|(sequence, input, output, records)| flow(sequence, input, output, &records)),
        1 => (any::<u32>(), any::<u64>()).prop_map(|(sequence, octets)| counters(sequence, octets)),
    ]
}

/// What the other parser makes of the flow samples: rate, frame length, next hop, path's end, VLAN.
fn check_flow(ours: &Record, theirs: &sflow_parser::models::FlowSample) -> Result<(), TestCaseError> {
    prop_assert_eq!(ours.sampling.population, theirs.sampling_rate);
    prop_assert_eq!(
        ours.input,
        if theirs.input.is_single() && theirs.input.value() != 0x3fff_ffff { theirs.input.value() } else { 0 }
    );
    prop_assert_eq!(ours.is_dropped, theirs.output.is_discarded());
    let mut has_header = false;
    for record in &theirs.flow_records {
        match &record.flow_data {
            FlowData::SampledHeader(header) if !has_header => {
                has_header = true;
                prop_assert_eq!(ours.frame_bytes, u64::from(header.frame_length));
            }
            FlowData::ExtendedGateway(gateway) => {
                let path: Vec<u32> = gateway.dst_as_path.iter().flat_map(|segment| segment.path.clone()).collect();
                // The last of several gateways stands.
                if theirs.flow_records.iter().filter(|record| matches!(record.flow_data, FlowData::ExtendedGateway(_))).count()
                    == 1
                {
                    prop_assert_eq!(Some(&ours.destination_asn), path.last());
                    prop_assert_eq!(ours.source_asn, gateway.src_as);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    /// Every generated sample is read by both, and to the same.
    #[test]
    fn samples_agree_with_sflow_parser(samples in prop::collection::vec(any_sample(), 0..6)) {
        let payload = datagram(9, &samples);
        let mut reader = Reader::default();
        let (_, outcome) = reader.read(&payload).unwrap();
        let theirs = sflow_parser::parse_datagram(&payload).unwrap();
        prop_assert_eq!(outcome.sets_decoded, theirs.samples.len() as u64);
        prop_assert_eq!(outcome.sets_malformed, 0);
        let mut counters = reader.batch.counters.iter();
        let mut records = reader.batch.records.iter();
        for sample in &theirs.samples {
            match &sample.sample_data {
                SampleData::FlowSample(sample) => {
                    // The first raw header counts, whatever it holds.
                    let header = sample.flow_records.iter().find_map(|record| match &record.flow_data {
                        FlowData::SampledHeader(found) => header::parse(HeaderKind::Ethernet, &found.header, 0),
                        _ => None,
                    });
                    let has_addresses = header.is_some_and(|header| header.has_addresses())
                        || sample.flow_records.iter().any(|record| matches!(record.flow_data, FlowData::SampledIpv4(_)));
                    if has_addresses {
                        check_flow(records.next().unwrap(), sample)?;
                    }
                }
                SampleData::CountersSample(sample) => {
                    let ours = counters.next().unwrap();
                    for record in &sample.counters {
                        if let CounterData::GenericInterface(theirs) = &record.counter_data {
                            prop_assert_eq!(ours.interface, theirs.if_index);
                            prop_assert_eq!(ours.in_octets, Some(theirs.if_in_octets).filter(|octets| *octets != u64::MAX));
                            prop_assert_eq!(ours.in_discards, Some(u64::from(theirs.if_in_discards)));
                        }
                    }
                }
                _ => {}
            }
        }
        prop_assert!(records.next().is_none() && counters.next().is_none());
    }

    /// Any bytes, and any damage to good ones, are read without a panic, and every sample is
    /// accounted for.
    #[test]
    fn any_bytes_are_read(
        samples in prop::collection::vec(any_sample(), 0..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut payload = datagram(1, &samples);
        for (at, byte) in damage {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        payload.truncate(cut.index(2 * payload.len()));
        let mut reader = Reader::default();
        if let Some((_, outcome)) = reader.read(&payload) {
            prop_assert_eq!(outcome.sets_seen, outcome.sets_decoded + outcome.sets_unknown + outcome.sets_malformed);
            let kept = reader.batch.records.len() as u64;
            prop_assert_eq!(outcome.records, kept + outcome.no_address + outcome.unreadable);
        }
    }
}
