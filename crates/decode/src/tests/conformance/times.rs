//! Event times: which elements count, and what clocks are believed.

use model::TimeSource;

use super::*;
use crate::tests::wire::{UPTIME_MS, ipfix, options, version_9, version_9_of};

const EARLY_US: i64 = NOW_US - 9 * SECOND_US;
const LATE_US: i64 = NOW_US - 2 * SECOND_US;

/// A time in NTP's form: seconds since 1900, fractions of 2⁻³² s.
fn ntp(us: i64) -> Vec<u8> {
    let (seconds, fraction) = (us / SECOND_US + 2_208_988_800, us % SECOND_US);
    words(&[seconds as u32, ((fraction as u64) << 32).div_ceil(1_000_000) as u32])
}

fn milliseconds(us: i64) -> Vec<u8> {
    (us / 1_000).to_be_bytes().to_vec()
}

/// A pair of elements, values for `EARLY_US` and `LATE_US`, and what they are called.
type Rung = (&'static [(u16, u16)], Vec<u8>, TimeSource);

/// All of them, best first.
fn ladder() -> Vec<Rung> {
    let seconds = |us: i64| words(&[(us / SECOND_US) as u32]);
    let before = |us: i64| words(&[(NOW_US - us) as u32]);
    let uptime = |us: i64| words(&[(1_000_000 - (NOW_US - us) / 1_000) as u32]);
    let start = milliseconds(NOW_US - 1_000 * SECOND_US);
    vec![
        (&[(152, 8), (153, 8)][..], [milliseconds(EARLY_US), milliseconds(LATE_US)].concat(), TimeSource::Milliseconds),
        (&[(154, 8), (155, 8)], [ntp(EARLY_US), ntp(LATE_US)].concat(), TimeSource::Ntp),
        (&[(156, 8), (157, 8)], [ntp(EARLY_US), ntp(LATE_US)].concat(), TimeSource::Ntp),
        (&[(150, 4), (151, 4)], [seconds(EARLY_US), seconds(LATE_US)].concat(), TimeSource::Seconds),
        (&[(158, 4), (159, 4)], [before(EARLY_US), before(LATE_US)].concat(), TimeSource::DeltaMicroseconds),
        (&[(22, 4), (21, 4), (160, 8)], [uptime(EARLY_US), uptime(LATE_US), start].concat(), TimeSource::Uptime),
    ]
}

#[test]
fn the_best_elements_that_there_are_count() {
    let ladder = ladder();
    for (rung, (fields, values, source)) in ladder.iter().enumerate() {
        let found = &flow_with(fields, values)[0];
        assert_eq!((found.start_us, found.end_us, found.time_source), (EARLY_US, LATE_US, *source));
        // A worse pair beside it, with other values, changes nothing.
        for (worse, other, _) in &ladder[rung + 1..] {
            let found = &flow_with(&[worse, *fields].concat(), &[vec![0; other.len()], values.clone()].concat())[0];
            assert_eq!((found.start_us, found.end_us, found.time_source), (EARLY_US, LATE_US, *source), "{fields:?} {worse:?}");
        }
    }
    // None at all: the message's.
    let found = &flow_with(&[], &[])[0];
    assert_eq!((found.start_us, found.end_us, found.time_source), (NOW_US, NOW_US, TimeSource::Export));
    // Zeros tell nothing.
    assert_eq!(flow_with(&[(152, 8), (153, 8)], &[0; 16])[0].time_source, TimeSource::Export);
}

#[test]
fn version_9_counts_from_the_uptime_of_its_header_also_when_it_wraps() {
    let fields = [FLOW, &[(22, 4), (21, 4)]].concat();
    for (header_ms, first_ms, last_ms, expected) in [
        (UPTIME_MS, UPTIME_MS - 9_000, UPTIME_MS - 2_000, (EARLY_US, LATE_US)),
        (1_000, 1_000_u32.wrapping_sub(9_000), 1_000_u32.wrapping_sub(2_000), (EARLY_US, LATE_US)),
        // Rounding puts the end a little after the export: it is believed; later than that it is not.
        (UPTIME_MS, UPTIME_MS - 9_000, UPTIME_MS + 500, (EARLY_US, NOW_US + 500_000)),
        (UPTIME_MS, UPTIME_MS + 60_000, UPTIME_MS + 90_000, (NOW_US, NOW_US)),
    ] {
        let data = set(256, &[flow(7, 2), words(&[first_ms, last_ms])].concat());
        let mut datagram = version_9(0, &[set(0, &template(256, &fields)), data]);
        datagram[4..8].copy_from_slice(&words(&[header_ms]));
        let records = Collector::new().take(&datagram);
        assert_eq!((records[0].start_us, records[0].end_us), expected, "{header_ms} {first_ms} {last_ms}");
        let source = if expected.0 == NOW_US { TimeSource::Received } else { TimeSource::Uptime };
        assert_eq!(records[0].time_source, source);
    }
}

#[test]
fn ipfix_uptimes_need_the_start_of_the_device_told_or_learned() {
    let fields = [FLOW, &[(22, 4), (21, 4)]].concat();
    let data = |first: u32, last: u32| set(256, &[flow(7, 2), words(&[first, last])].concat());
    // Told in options.
    let mut collector = Collector::new();
    let told = set(3, &options(300, 1, &[(149, 4), (160, 8)]));
    let start = set(300, &[words(&[1]), milliseconds(NOW_US - 100 * SECOND_US)].concat());
    collector.take(&ipfix(0, &[told, start, set(2, &template(256, &fields))]));
    let records = collector.take(&ipfix(1, &[data(91_000, 98_000)]));
    assert_eq!((records[0].start_us, records[0].end_us, records[0].time_source), (EARLY_US, LATE_US, TimeSource::Uptime));
    // Not told: learned as the least of export time less the end, whatever values come.
    let mut collector = Collector::new();
    collector.take(&ipfix(0, &[set(2, &template(256, &fields))]));
    collector.take(&ipfix(0, &[data(90_000, 100_000)]));
    let records = collector.take(&ipfix(1, &[data(91_000, 98_000)]));
    assert_eq!((records[0].start_us, records[0].end_us, records[0].time_source), (EARLY_US, LATE_US, TimeSource::LearnedUptime));
    for (sequence, values) in (2..).zip([(0, 0), (u32::MAX, u32::MAX), (u32::MAX, 0), (5, u32::MAX / 2)]) {
        let records = collector.take(&ipfix(sequence, &[data(values.0, values.1)]));
        assert!(records.iter().all(|record| record.start_us <= record.end_us && record.end_us <= NOW_US + 2 * SECOND_US));
    }
}

#[test]
fn a_clock_that_is_off_is_put_right_and_an_absurd_one_not_used() {
    let minute_late = NOW_US - 3_600 * SECOND_US;
    for (export_s, source) in [((minute_late / SECOND_US) as u32, TimeSource::Uptime), (0, TimeSource::Received)] {
        let fields = [FLOW, &[(22, 4), (21, 4)]].concat();
        let data = set(256, &[flow(7, 2), words(&[UPTIME_MS - 9_000, UPTIME_MS - 2_000])].concat());
        let mut collector = Collector::new();
        let records = collector.take(&version_9_of(1, export_s, 0, &[set(0, &template(256, &fields)), data]));
        // The distances to the datagram are kept either way.
        assert_eq!((records[0].start_us, records[0].end_us, records[0].time_source), (EARLY_US, LATE_US, source));
        assert_eq!(collector.health[0].is_clock_refused, source == TimeSource::Received);
        assert_eq!(collector.health[0].clock_offset_us, Some(NOW_US - i64::from(export_s) * SECOND_US));
    }
}

#[test]
fn times_that_cannot_be_are_replaced_and_counted() {
    let year_us = 365 * 86_400 * SECOND_US;
    for (start_us, end_us, expected, counted) in [
        (LATE_US, EARLY_US, (EARLY_US, EARLY_US, TimeSource::Milliseconds), &["ends_before_starts"][..]),
        (NOW_US - 3 * year_us, NOW_US - 2 * year_us, (NOW_US, NOW_US, TimeSource::Received), &["impossible_times"]),
        (NOW_US + year_us, NOW_US + year_us, (NOW_US, NOW_US, TimeSource::Received), &["impossible_times"]),
        (EARLY_US, 0, (EARLY_US, EARLY_US, TimeSource::Milliseconds), &[]),
    ] {
        // By the quick way and by the general one, which records with further elements take.
        for further in [&[][..], &[(85_u16, 4_u16)]] {
            let fields = [FLOW, &[(152, 8), (153, 8)], further].concat();
            let values = [flow(7, 2), milliseconds(start_us), milliseconds(end_us), vec![0; 4 * further.len()]].concat();
            let mut collector = Collector::new();
            let found = &collector.take(&ipfix(0, &[set(2, &template(256, &fields)), set(256, &values)]))[0];
            assert_eq!((found.start_us, found.end_us, found.time_source), expected);
            assert_eq!(collector.all_counted().keys().collect::<Vec<_>>(), counted);
        }
    }
}

#[test]
fn a_flow_much_longer_than_the_told_timeout_is_counted() {
    let mut collector = Collector::new();
    let fields = [FLOW, &[(152, 8), (153, 8)]].concat();
    let told = [set(3, &options(300, 1, &[(149, 4), (36, 2)])), set(300, &[words(&[1]), halves(&[60])].concat())];
    collector.take(&ipfix(0, &[&told[..], &[set(2, &template(256, &fields))]].concat()));
    for (sequence, seconds) in (1..).zip([60, 120, 121]) {
        let times = [milliseconds(NOW_US - seconds * SECOND_US), milliseconds(NOW_US)].concat();
        collector.take(&ipfix(sequence, &[set(256, &[flow(7, 2), times].concat())]));
        assert_eq!(collector.counted("longer_than_timeout"), u64::from(seconds > 120));
        assert_eq!(collector.health.last().unwrap().active_timeout_s, Some(60));
    }
}

#[test]
fn packets_have_the_time_at_which_they_were_observed() {
    for (element, length, value) in [
        (323, 8, milliseconds(LATE_US)),
        (322, 4, words(&[(LATE_US / SECOND_US) as u32])),
        (324, 8, ntp(LATE_US)),
        (325, 8, ntp(LATE_US)),
    ] {
        let found = &flow_with(&[(element, length)], &value)[0];
        assert_eq!((found.start_us, found.end_us), (LATE_US, LATE_US), "{element}");
    }
}
