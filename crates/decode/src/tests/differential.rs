//! Generated datagrams, read here and by netflow_parser: the same records must come out.

use std::net::{IpAddr, SocketAddr};

use model::{Address, Batch, Record};
use netflow_parser::NetflowPacket;
use netflow_parser::scoped_parser::AutoScopedParser;
use netflow_parser::variable_versions::field_value::{DataNumber, FieldValue};
use netflow_parser::variable_versions::{ipfix, v9};
use proptest::prelude::*;

use super::wire::{self, set, template, version_9, words};
use crate::{DecodeSettings, Decoder};

/// A field of a template: element and length.
type Field = (u16, u16);

/// Elements that a record takes in, each with the lengths that both decoders know.
///
/// netflow_parser reads numbers of 1, 2, 4 and 8 bytes; 5 to 7 it leaves as bytes.
const NUMBERS: &[(u16, &[u16])] = &[
    (1, &[1, 2]),
    (2, &[1, 2, 4, 8]),
    (4, &[1]),
    (7, &[2]),
    (10, &[2, 4]),
    (11, &[2]),
    (14, &[2, 4]),
    (16, &[2, 4]),
    (17, &[2, 4]),
];
/// What a record does not take in, and what no list knows.
const OTHERS: &[Field] = &[(5, 1), (31, 3), (55, 1), (70, 3), (95, 4), (7_232, 5), (32_000, 7), (32_001, 1), (490, 4)];
/// Addresses and the lengths of their prefixes.
const ADDRESSES: [[Field; 4]; 2] = [[(8, 4), (12, 4), (9, 1), (13, 1)], [(27, 16), (28, 16), (29, 1), (30, 1)]];

/// A template, in any order, and the bytes of some of its records.
fn table() -> impl Strategy<Value = (Vec<Field>, Vec<u8>)> {
    let numbers = prop::sample::subsequence(NUMBERS.to_vec(), 0..=NUMBERS.len());
    let others = prop::sample::subsequence(OTHERS.to_vec(), 0..=OTHERS.len());
    (prop::sample::select(ADDRESSES.to_vec()), numbers, others, any::<prop::sample::Index>()).prop_flat_map(
        |(addresses, numbers, others, chance)| {
            let numbers = numbers.into_iter().map(|(element, lengths)| (element, lengths[chance.index(lengths.len())]));
            let fields: Vec<Field> = addresses.into_iter().chain(numbers).chain(others).collect();
            (Just(fields).prop_shuffle(), 1_usize..12).prop_flat_map(|(fields, count)| {
                let record_bytes: usize = fields.iter().map(|(_, length)| usize::from(*length)).sum();
                // Whole records, and padding that is too short for another one.
                let records = prop::collection::vec(1_u8.., count * record_bytes);
                (Just(fields), records)
            })
        },
    )
}

/// Records as netflow_parser reads them: values in the order of the template.
fn others_records(packets: &[NetflowPacket]) -> Vec<Vec<FieldValue>> {
    let mut records = Vec::new();
    for packet in packets {
        match packet {
            NetflowPacket::V9(message) => {
                for set in &message.flowsets {
                    if let v9::FlowSetBody::Data(data) = &set.body {
                        records.extend(data.fields.iter().map(|fields| fields.iter().map(|(_, value)| value.clone()).collect()));
                    }
                }
            }
            NetflowPacket::IPFix(message) => {
                for set in &message.flowsets {
                    if let ipfix::FlowSetBody::Data(data) = &set.body {
                        records.extend(data.fields.iter().map(|fields| fields.iter().map(|(_, value)| value.clone()).collect()));
                    }
                }
            }
            _ => {}
        }
    }
    records
}

fn number(value: &FieldValue) -> u64 {
    match value {
        FieldValue::DataNumber(DataNumber::U8(value)) => (*value).into(),
        FieldValue::DataNumber(DataNumber::U16(value)) => (*value).into(),
        FieldValue::DataNumber(DataNumber::U32(value)) => (*value).into(),
        FieldValue::DataNumber(DataNumber::U64(value)) => *value,
        FieldValue::ProtocolType(protocol) => u8::from(*protocol).into(),
        other => panic!("no number: {other:?}"),
    }
}

/// A record as the other one's values say.
fn expected(fields: &[Field], values: &[FieldValue]) -> Vec<(u16, u128)> {
    let value = |place: usize| match &values[place] {
        FieldValue::Ip4Addr(address) => Address::from(IpAddr::from(*address)).bits(),
        FieldValue::Ip6Addr(address) => Address::from(IpAddr::from(*address)).bits(),
        value => number(value).into(),
    };
    let is_taken = |element: u16| {
        ADDRESSES.iter().flatten().any(|(address, _)| *address == element) || NUMBERS.iter().any(|(number, _)| *number == element)
    };
    let taken = fields.iter().enumerate().filter(|(_, (element, _))| is_taken(*element));
    taken.map(|(place, (element, _))| (*element, value(place))).collect()
}

/// The value of an element in one of our records.
fn taken(record: &Record, element: u16) -> u128 {
    match element {
        1 => record.bytes.into(),
        2 => record.packets.into(),
        4 => record.protocol.into(),
        7 => record.source_port.into(),
        8 | 27 => record.source.bits(),
        9 | 29 => record.source_mask.into(),
        10 => record.input.into(),
        11 => record.destination_port.into(),
        12 | 28 => record.destination.bits(),
        13 | 30 => record.destination_mask.into(),
        14 => record.output.into(),
        16 => record.source_asn.into(),
        17 => record.destination_asn.into(),
        other => panic!("element {other} is not compared"),
    }
}

/// Whether every packet has a byte: only the other decoder takes records otherwise.
fn is_plausible(values: &[(u16, u128)]) -> bool {
    let value = |element| values.iter().find(|(taken, _)| *taken == element).map_or(0, |(_, value)| *value);
    value(2) <= value(1)
}

/// Feeds both decoders; every record of the other one must be one of ours, in the same order.
fn compare(fields: &[Field], datagrams: &[Vec<u8>], count: usize) {
    let source: SocketAddr = "192.0.2.1:50000".parse().unwrap();
    let settings = DecodeSettings { packet_bytes: 16_777_216, ..DecodeSettings::default() };
    let mut decoder = Decoder::new(settings, Vec::new());
    let mut parser = AutoScopedParser::new();
    let (mut batch, mut others) = (Batch::default(), Vec::new());
    for datagram in datagrams {
        decoder.datagram(1_772_445_600_000_000, source, datagram, &mut batch);
        others.extend(others_records(&parser.parse_from_source(source, datagram).packets));
    }
    assert_eq!(others.len(), count);
    let others: Vec<_> = others.iter().map(|values| expected(fields, values)).filter(|values| is_plausible(values)).collect();
    assert_eq!(batch.records.len(), others.len());
    for (record, expected) in batch.records.iter().zip(others) {
        let found: Vec<_> = expected.iter().map(|(element, _)| (*element, taken(record, *element))).collect();
        assert_eq!(found, expected);
    }
}

proptest! {
    #[test]
    fn version_9_records_are_those_of_another_decoder((fields, records) in table(), padding in 0_usize..4) {
        let record_bytes: usize = fields.iter().map(|(_, length)| usize::from(*length)).sum();
        let (count, padding) = (records.len() / record_bytes, padding.min(record_bytes - 1));
        let data = set(300, &[&records[..], &vec![0; padding]].concat());
        let definition = set(0, &template(300, &fields));
        prop_assume!(fields.iter().any(|(element, _)| *element == 1));
        // In one datagram, and one after the other.
        compare(&fields, &[version_9(7, &[definition.clone(), data.clone()])], count);
        compare(&fields, &[version_9(7, std::slice::from_ref(&definition)), version_9(8, std::slice::from_ref(&data)), version_9(9, &[data])], 2 * count);
    }

    #[test]
    fn ipfix_records_are_those_of_another_decoder((fields, records) in table(), padding in 0_usize..4) {
        let record_bytes: usize = fields.iter().map(|(_, length)| usize::from(*length)).sum();
        let (count, padding) = (records.len() / record_bytes, padding.min(record_bytes - 1));
        let data = set(300, &[&records[..], &vec![0; padding]].concat());
        let definition = set(2, &template(300, &fields));
        prop_assume!(fields.iter().any(|(element, _)| *element == 1));
        compare(&fields, &[wire::ipfix(0, &[definition.clone(), data.clone()])], count);
        let sequence = count as u32;
        compare(&fields, &[wire::ipfix(0, &[definition]), wire::ipfix(0, std::slice::from_ref(&data)), wire::ipfix(sequence, &[data])], 2 * count);
    }

    #[test]
    fn version_5_records_are_those_of_another_decoder(mut records in prop::collection::vec(prop::collection::vec(1_u8.., 48), 1..=30)) {
        // No more packets than bytes.
        records.iter_mut().filter(|record| record[16..20] > record[20..24]).for_each(|record| record[16..24].rotate_left(4));
        let header = [wire::halves(&[5, records.len() as u16]), words(&[90_000, 1_772_445_600, 0, 9, 0])].concat();
        let datagram = [header, records.concat()].concat();
        let source: SocketAddr = "192.0.2.1:50000".parse().unwrap();
        let (mut decoder, mut batch) = (Decoder::new(DecodeSettings::default(), Vec::new()), Batch::default());
        decoder.datagram(1_772_445_600_000_000, source, &datagram, &mut batch);
        let parsed = AutoScopedParser::new().parse_from_source(source, &datagram);
        let [NetflowPacket::V5(message)] = &parsed.packets[..] else { panic!("{parsed:?}") };
        prop_assert_eq!(message.flowsets.len(), batch.records.len());
        for (record, other) in batch.records.iter().zip(&message.flowsets) {
            prop_assert_eq!(record.source, Address::from(IpAddr::from(other.src_addr)));
            prop_assert_eq!(record.destination, Address::from(IpAddr::from(other.dst_addr)));
            prop_assert_eq!(record.next_hop, Address::from(IpAddr::from(other.next_hop)));
            prop_assert_eq!((record.input, record.output), (other.input.into(), other.output.into()));
            prop_assert_eq!((record.packets, record.bytes), (other.d_pkts.into(), other.d_octets.into()));
            prop_assert_eq!((record.source_port, record.destination_port), (other.src_port, other.dst_port));
            prop_assert_eq!((record.source_asn, record.destination_asn), (other.src_as.into(), other.dst_as.into()));
            prop_assert_eq!((record.protocol, record.tcp_flags), (other.protocol_number, other.tcp_flags));
            prop_assert_eq!((record.source_mask, record.destination_mask), (other.src_mask, other.dst_mask));
        }
    }
}
