//! netflow_parser and sflow-parser, read into plain sums.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use netflow_parser::variable_versions::field_value::{DataNumber, FieldValue};
use netflow_parser::variable_versions::ipfix::lookup::IPFixField;
use netflow_parser::variable_versions::{ipfix, v9};
use netflow_parser::{NetflowPacket, NetflowParser};
use sflow_parser::models::core::{FlowData, FlowRecord, SampleData};

use super::{Read, Sent};

/// Templates are of one exporter.
#[derive(Default)]
pub(super) struct Parsers(BTreeMap<SocketAddr, NetflowParser>);

/// Data records of NetFlow and IPFIX as (element, value); version 5 under the same numbers.
pub(super) type Row = BTreeMap<u16, u64>;

impl Parsers {
    /// The data and the option records of one datagram.
    pub(super) fn rows(&mut self, sent: &Sent) -> (Vec<Row>, usize) {
        let parser = self.0.entry(sent.source).or_default();
        let result = parser.parse_bytes(&sent.payload);
        assert!(result.is_ok(), "{:?}", result.error);
        let (mut rows, mut options) = (Vec::new(), 0);
        for packet in result.packets {
            match packet {
                NetflowPacket::V5(packet) => rows.extend(packet.flowsets.iter().map(|flow| {
                    let row = [(1, flow.d_octets), (2, flow.d_pkts), (10, flow.input.into()), (14, flow.output.into())];
                    let times = [(22, flow.first), (21, flow.last)];
                    row.into_iter().chain(times).map(|(element, value)| (element, value.into())).collect()
                })),
                NetflowPacket::V9(packet) => {
                    for set in packet.flowsets {
                        match set.body {
                            v9::FlowSetBody::Data(data) => rows.extend(data.fields.iter().map(|fields| {
                                fields.iter().map(|(field, value)| (u16::from(*field), number(value))).collect::<Row>()
                            })),
                            v9::FlowSetBody::OptionsData(data) => options += data.fields.len(),
                            v9::FlowSetBody::NoTemplate(_) => panic!("no template"),
                            _ => {}
                        }
                    }
                }
                NetflowPacket::IPFix(packet) => {
                    for set in packet.flowsets {
                        match set.body {
                            ipfix::FlowSetBody::Data(data) => rows.extend(data.fields.iter().map(|fields| {
                                fields.iter().map(|(field, value)| (element(field), number(value))).collect::<Row>()
                            })),
                            ipfix::FlowSetBody::OptionsData(data) => options += data.fields.len(),
                            ipfix::FlowSetBody::NoTemplate(_) => panic!("no template"),
                            _ => {}
                        }
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        (rows, options)
    }
}

/// The number of an IANA element; the parser has only the way there.
fn element(field: &IPFixField) -> u16 {
    let is_it = |element: &u16| IPFixField::new(*element, None) == *field;
    (1..=400).find(is_it).expect("an IANA element")
}

fn number(value: &FieldValue) -> u64 {
    match value {
        FieldValue::DataNumber(DataNumber::U8(value)) => (*value).into(),
        FieldValue::DataNumber(DataNumber::U16(value)) => (*value).into(),
        FieldValue::DataNumber(DataNumber::U24(value) | DataNumber::U32(value)) => (*value).into(),
        FieldValue::DataNumber(DataNumber::U64(value)) => *value,
        FieldValue::DataNumber(DataNumber::Vec(bytes)) | FieldValue::Vec(bytes) => {
            bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        }
        FieldValue::Duration(value) => value.as_duration().as_micros() as u64,
        _ => 0,
    }
}

/// Sums over NetFlow and IPFIX.
pub(super) fn netflow(sent: &[Sent]) -> (Read, u64) {
    let (mut parsers, mut read, mut options) = (Parsers::default(), Read::default(), 0);
    for datagram in sent {
        let (rows, option_records) = parsers.rows(datagram);
        options += option_records as u64;
        for row in rows {
            let of = |element: u16| row.get(&element).copied().unwrap_or_default();
            read.add(of(10), of(14), of(2), of(1));
        }
    }
    (read, options)
}

/// Sums over sFlow, sizes by the sampled IP header; counter samples.
pub(super) fn sflow(sent: &[Sent]) -> (Read, u64) {
    let (mut read, mut counters) = (Read::default(), 0);
    for datagram in sent {
        let parsed = sflow_parser::parse_datagram(&datagram.payload).expect("sFlow");
        for sample in parsed.samples {
            match sample.sample_data {
                SampleData::FlowSample(sample) => {
                    let bytes = ip_bytes(&sample.flow_records);
                    read.add(sample.input.value().into(), sample.output.value().into(), 1, bytes);
                }
                SampleData::FlowSampleExpanded(sample) => {
                    let bytes = ip_bytes(&sample.flow_records);
                    read.add(sample.input.value.into(), sample.output.value.into(), 1, bytes);
                }
                SampleData::CountersSample(_) | SampleData::CountersSampleExpanded(_) => counters += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    (read, counters)
}

fn ip_bytes(records: &[FlowRecord]) -> u64 {
    assert!(records.len() >= 3, "header, switch and router");
    let header = records.iter().find_map(|record| match &record.flow_data {
        FlowData::SampledHeader(header) => Some(header),
        _ => None,
    });
    let header = header.expect("a header");
    assert!(header.header.len() <= 128);
    let ethernet = etherparse::LaxSlicedPacket::from_ethernet(&header.header).expect("Ethernet");
    let bytes = match ethernet.net.expect("IP") {
        etherparse::LaxNetSlice::Ipv4(ip) => u64::from(ip.header().total_len()),
        etherparse::LaxNetSlice::Ipv6(ip) => u64::from(ip.header().payload_length()) + 40,
        other => panic!("{other:?}"),
    };
    let tagged = header.header[12..14] == [0x81, 0];
    assert_eq!(u64::from(header.frame_length), bytes + if tagged { 22 } else { 18 });
    assert_eq!(header.stripped, 4);
    bytes
}
