use super::*;
use crate::{Owner, PortSeries, Series};

/// The series of a quarter of an hour as they stand at `now_s`, after these records.
fn series(records: &[(u32, View, Record)], now_s: i64) -> Series {
    let (mut worker, mut owner) = (Worker::new(), Owner::new(MeasureSettings::default()));
    for (link, view, record) in records {
        worker.record(*link, *view, record.clone());
    }
    owner.merge(0, worker.take(), at(now_s));
    owner.advance(at(now_s));
    owner.series(at(0), at(300), at(now_s))
}

fn port<'a>(series: &'a Series, name: &str) -> &'a PortSeries {
    series.ports.iter().find(|port| *port.port.name == *name && port.direction == Direction::ToMicrosoft).unwrap()
}

#[test]
fn bins_hold_what_windows_hold_and_ip_version_6_apart() {
    let v6 = Record {
        source: "2001:db8::7".parse().unwrap(),
        destination: "2603:1000::1".parse().unwrap(),
        ..flow(40, 50, 982, 1, 1)
    };
    let series = series(&[(0, View::OwnPort, flow(30, 150, 6_000, 10, 1)), (0, View::OwnPort, v6)], 150);
    let link = series.links.iter().find(|link| *link.link.name == *"one").unwrap();
    assert_eq!((link.bins.len(), link.capacity_bps, link.timeout_us), (30, Some(10_000_000_000), 60_000_000));
    // 6,180 bytes of the link layer over 120 s, and 1,000 bytes of IPv6 in one bin.
    let bytes = |load: Option<f64>| (load.unwrap() * 10.0 / 8.0).round();
    assert_eq!([2, 3, 4, 14, 15].map(|bin| bytes(link.bins[bin].bps)), [0.0, 515.0, 1_515.0, 515.0, 0.0]);
    assert_eq!([3, 4, 5].map(|bin| bytes(link.bins[bin].v6_bps)), [0.0, 1_000.0, 0.0]);
    assert_eq!(link.bins[3].standard_error_bps, Some(0.0));
    let total: f64 = link.bins.iter().filter_map(|bin| bin.bps).sum::<f64>() * 10.0 / 8.0;
    assert_eq!(total.round(), 7_180.0);
    // The wire has 20 bytes a packet more, in the mean of the window.
    let wire: f64 = link.bins.iter().filter_map(|bin| bin.wire_bps).sum::<f64>() * 10.0 / 8.0;
    assert_eq!(wire.round(), 7_180.0 + 11.0 * 20.0);
    assert_eq!(port(&series, "port-one").bins[4].bps, link.bins[4].bps);
}

#[test]
fn a_bin_is_mature_when_the_active_timeout_has_passed() {
    let series = series(&[(0, View::OwnPort, flow(0, 60, 6_000, 10, 1))], 105);
    let grace_s = MeasureSettings::default().grace_seconds;
    let mature = port(&series, "port-one").bins.iter().filter(|bin| bin.is_mature).count() as i64;
    assert_eq!(mature, (105 - 60 - grace_s) / 10);
}

#[test]
fn what_is_not_known_is_no_zero() {
    let series = series(&[(0, View::OwnPort, flow(0, 10, 6_000, 10, 0)), (1, View::OwnPort, flow(0, 10, 1_000, 1, 100))], 130);
    assert_eq!(port(&series, "port-one").bins[0].bps, None, "a rate that nobody knows");
    let sampled = &port(&series, "port-two").bins;
    let error = |bin: usize| sampled[bin].standard_error_bps.unwrap();
    // One packet of 1,018 bytes was sampled: that a bin has none does not say that nothing passed.
    assert!((error(0) - (100.0_f64 * 99.0).sqrt() * 1_018.0 * 0.8).abs() < 1e-6 && error(0) == error(1), "{}", error(0));
    assert_eq!((sampled[0].bps, sampled[1].bps), (Some(1_018.0 * 100.0 * 0.8), Some(0.0)));
}
