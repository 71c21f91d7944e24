//! The load generator's datagrams, read by others.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Sent, readers};
use crate::scenario::WireProtocol;
use crate::{LoadGenerator, LoadSettings};

const START_US: i64 = 1_772_445_600_000_000;

fn settings(protocol: WireProtocol) -> LoadSettings {
    LoadSettings {
        protocol,
        exporters: 3,
        first_exporter: [127, 0, 1, 1].into(),
        flows: 600,
        connections: 1,
        ipv6_share: 0.25,
        one_in: 1_000,
        seed: 1,
        start_us: START_US,
    }
}

fn draw(protocol: WireProtocol, count: usize) -> (Vec<Sent>, u64) {
    let mut generator = LoadGenerator::new(&settings(protocol)).expect("a generator");
    let (mut sent, mut records) = (Vec::new(), 0);
    for turn in 0..count {
        let at_us = START_US + turn as i64 * 10_000;
        generator.set_time(at_us);
        let (address, payload) = generator.next();
        sent.push(Sent { at_us, source: SocketAddr::new(address, 2_055), payload: payload.to_vec() });
        records += u64::from(generator.records());
    }
    (sent, records)
}

#[test]
fn every_datagram_is_readable_and_its_records_are_counted() {
    for protocol in [WireProtocol::V5, WireProtocol::V9, WireProtocol::Ipfix] {
        let (sent, records) = draw(protocol, 300);
        let (read, _) = readers::netflow(&sent);
        assert_eq!(read.records, records, "{protocol:?}");
        assert!(records > 300 * 12, "{protocol:?}: {records}");
    }
    let (sent, records) = draw(WireProtocol::Sflow, 300);
    assert_eq!(readers::sflow(&sent).0.records, records);
}

#[test]
fn sequence_numbers_go_on_without_a_gap() {
    let check = |protocol: WireProtocol, place: usize, step: &dyn Fn(&[u8]) -> u32| {
        let (sent, _) = draw(protocol, 300);
        for exporter in 0..3 {
            let own: Vec<&Sent> = sent.iter().skip(exporter).step_by(3).collect();
            let number = |sent: &Sent| {
                let bytes = &sent.payload[place..place + 4];
                u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
            };
            for pair in own.windows(2) {
                assert_eq!(number(pair[1]), number(pair[0]) + step(&pair[0].payload), "{protocol:?}");
                assert_eq!(pair[0].source, pair[1].source);
            }
        }
    };
    check(WireProtocol::V5, 16, &|payload| u32::from(payload[3]));
    check(WireProtocol::V9, 12, &|_| 1);
    check(WireProtocol::Sflow, 16, &|_| 1);
}

#[test]
fn ipfix_numbers_count_records() {
    let (sent, _) = draw(WireProtocol::Ipfix, 300);
    let (mut parsers, mut expected) = (readers::Parsers::default(), BTreeMap::new());
    for datagram in sent {
        let found = datagram.payload[8..12].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let next: &mut usize = expected.entry(datagram.source).or_default();
        assert_eq!(found, *next);
        let (rows, options) = parsers.rows(&datagram);
        *next += rows.len() + options;
    }
}

#[test]
fn records_are_of_the_time_that_was_set() {
    let (sent, _) = draw(WireProtocol::Ipfix, 300);
    let mut parsers = readers::Parsers::default();
    for datagram in sent {
        for row in parsers.rows(&datagram).0 {
            let now_ms = datagram.at_us as u64 / 1_000;
            // The parser gives times as durations since 1970, here in microseconds.
            assert_eq!(row[&153] / 1_000, now_ms - 1_000);
            assert!((0..=55_000).contains(&(row[&153] - row[&152]).div_euclid(1_000)));
            assert!((20..=22).contains(&row.len()), "{} columns", row.len());
        }
    }
}

#[test]
fn a_load_of_nothing_is_refused() {
    let error = LoadGenerator::new(&LoadSettings { flows: 0, ..settings(WireProtocol::V5) });
    assert!(error.err().is_some_and(|error| error.to_string().contains("at least 1")));
}
