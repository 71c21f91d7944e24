//! Sequence numbers: what was lost, came late, came twice, started over, or cannot be told.

use super::*;
use crate::tests::wire::{ipfix, ipfix_of, options, version_5, version_9, version_9_of};

/// What a device sends: how its datagrams are numbered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Numbered {
    /// Version 5 by flows, version 10 by data records, version 9 by datagrams; sFlow by datagrams and samples.
    Version5,
    Version9,
    Ipfix,
    Sflow,
}

const ALL: [Numbered; 4] = [Numbered::Version5, Numbered::Version9, Numbered::Ipfix, Numbered::Sflow];
/// Records in each datagram here.
const RECORDS: u32 = 3;

impl Numbered {
    /// The datagram at a place in the stream, the first of which has this number.
    fn datagram(self, first: u32, place: u32) -> Vec<u8> {
        let by_records = first.wrapping_add(place.wrapping_mul(RECORDS));
        let data = flows(256, &[1_000 + place; RECORDS as usize]);
        match self {
            Numbered::Version5 => version_5(3, by_records, 0, &vec![record_5(1_000 + place); RECORDS as usize]),
            Numbered::Version9 => version_9(first.wrapping_add(place), &[set(0, &template(256, FLOW)), data]),
            Numbered::Ipfix => ipfix(by_records, &[flow_template(256), data]),
            Numbered::Sflow => {
                let sample = |number: u32| {
                    let ip = words(&[1_000, 6, 0xc000_020a, 0x1421_0001, 443, 50_000, 0, 0]);
                    let record = [words(&[3, ip.len() as u32]), ip].concat();
                    let header = words(&[by_records.wrapping_add(number), 7, 100, by_records, 0, 7, 9, 1]);
                    [words(&[1, (header.len() + record.len()) as u32]), header, record].concat()
                };
                let samples: Vec<u8> = (0..RECORDS).flat_map(sample).collect();
                let header = words(&[5, 1, 0xc000_0201, 0, first.wrapping_add(place), 60_000 + place, RECORDS]);
                [header, samples].concat()
            }
        }
    }

    /// Datagrams and records as this protocol tells them, of so many datagrams.
    fn told(self, datagrams: i64) -> (Option<i64>, Option<i64>) {
        match self {
            Numbered::Version9 => (Some(datagrams), None),
            Numbered::Sflow => (Some(datagrams), Some(datagrams * i64::from(RECORDS))),
            Numbered::Version5 | Numbered::Ipfix => (None, Some(datagrams * i64::from(RECORDS))),
        }
    }
}

fn record_5(bytes: u32) -> Vec<u8> {
    let times = [crate::tests::wire::UPTIME_MS - 2_000, crate::tests::wire::UPTIME_MS - 1_000];
    [words(&[0xc000_020a, 0x1421_0001, 0]), halves(&[7, 9]), words(&[2, bytes]), words(&times), vec![0; 16]].concat()
}

/// Places of the stream in the order in which they come; datagrams lost, late, twice.
#[track_caller]
fn check(places: &[u32], lost: i64, late: u64, twice: u64) {
    for numbered in ALL {
        for first in [1, u32::MAX - 4] {
            let mut collector = Collector::new();
            let mut records = 0;
            for place in places {
                records += collector.take(&numbered.datagram(first, *place)).len();
            }
            let what = format!("{numbered:?} from {first}: {places:?}");
            assert_eq!(collector.lost(), numbered.told(lost), "{what}");
            let sum = |each: fn(&ExporterHealth) -> u64| collector.health.iter().map(each).sum::<u64>();
            assert_eq!((sum(|health| health.reordered), sum(|health| health.duplicates)), (late, twice), "{what}");
            assert_eq!(records, (places.len() - twice as usize) * RECORDS as usize, "{what}: copies count once");
        }
    }
}

#[test]
fn losses_late_ones_and_copies_are_told_apart_in_every_protocol() {
    check(&[0, 1, 2, 3], 0, 0, 0);
    check(&[0, 1, 4], 2, 0, 0);
    check(&[0, 3, 1, 2, 4], 0, 2, 0);
    check(&[0, 3, 2, 4], 1, 1, 0);
    check(&[0, 1, 1, 2], 0, 0, 1);
    check(&[0, 3, 1, 1, 4], 1, 1, 1);
}

#[test]
fn a_device_that_starts_over_loses_nothing_and_keeps_its_templates() {
    let mut collector = Collector::new();
    collector.take(&version_9(2_000_000_000, &[set(0, &template(256, FLOW))]));
    let mut datagram = version_9(5, &[flows(256, &[7])]);
    datagram[4..8].copy_from_slice(&words(&[1_000]));
    assert_eq!(collector.take(&datagram).len(), 1);
    assert_eq!(collector.lost(), (Some(0), None));
    assert_eq!(collector.health.iter().map(|health| health.restarts).sum::<u64>(), 1);
    // IPFIX has no uptime: a jump that no network loses tells it.
    let mut collector = Collector::new();
    collector.take(&ipfix(4_000_000_000, &[flow_template(256), flows(256, &[7])]));
    assert_eq!(collector.take(&ipfix(0, &[flows(256, &[8])])).len(), 1);
    assert_eq!(collector.lost(), (None, Some(0)));
    assert_eq!(collector.health.iter().map(|health| health.restarts).sum::<u64>(), 1);
}

#[test]
fn domains_are_numbered_by_themselves() {
    let mut collector = Collector::new();
    for sequence in 0..4 {
        for domain in 1..4 {
            collector.take(&ipfix_of(domain, EXPORT_S, 100 * domain + sequence, &[flow_template(256), flows(256, &[7])]));
            collector.take(&version_9_of(domain, EXPORT_S, 70 * domain + sequence, &[flow_template(256)]));
        }
    }
    assert!(collector.health.iter().all(|health| health.lost_records.unwrap_or(0) + health.lost_datagrams.unwrap_or(0) == 0));
}

#[test]
fn ipfix_counts_options_data_and_no_templates() {
    let mut collector = Collector::new();
    let told = set(3, &options(300, 1, &[(149, 4), (34, 4)]));
    collector.take(&ipfix(50, &[flow_template(256), told, set(300, &words(&[1, 100])), flows(256, &[7, 8])]));
    collector.take(&ipfix(53, &[flow_template(256)]));
    collector.take(&ipfix(53, &[flows(256, &[7])]));
    assert_eq!(collector.lost(), (None, Some(0)));
}

#[test]
fn records_that_cannot_be_counted_are_not_taken_for_lost() {
    let mut collector = Collector::new();
    collector.take(&ipfix(0, &[flow_template(256), flows(256, &[7])]));
    // A set without a template: how many records are in it is not known.
    collector.take(&ipfix(1, &[flows(400, &[7, 8, 9])]));
    collector.take(&ipfix(4, &[flows(256, &[7])]));
    assert_eq!(collector.lost(), (None, Some(0)));
}

#[test]
fn numbers_that_count_something_else_tell_nothing() {
    let mut collector = Collector::new();
    // Version 9 that counts records, as some devices do.
    for round in 0..40 {
        collector.health.clear();
        collector.take(&version_9(round * 20, &[set(0, &template(256, FLOW)), flows(256, &[7; 20])]));
    }
    assert_eq!(collector.lost(), (None, None));
    // IPFIX that counts to the end of each message is understood.
    let mut collector = Collector::new();
    let mut number = 0;
    for round in 0..20_u32 {
        let count = 1 + (round * 7) % 5;
        number += count;
        collector.take(&ipfix(number, &[flow_template(256), flows(256, &vec![50 + round; count as usize])]));
    }
    assert_eq!(collector.lost(), (None, Some(0)));
}
