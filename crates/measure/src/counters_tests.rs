use super::*;

const MINUTE: i64 = 60 * SECOND_US;

fn reading(interface: u32, at_s: i64, octets: u64) -> InterfaceCounters {
    InterfaceCounters {
        interface,
        at_us: at_s * SECOND_US,
        speed_bps: Some(10_000_000_000),
        oper_up: Some(true),
        in_octets: Some(octets),
        out_octets: Some(octets / 2),
        in_packets: Some(octets / 1_000),
        out_packets: Some(0),
        in_discards: Some(octets / 10_000),
        in_errors: None,
        ..InterfaceCounters::default()
    }
}

fn readings(of: &[(u32, bool, InterfaceCounters)]) -> Readings {
    let mut readings = Readings::default();
    for (port, is_member, counters) in of {
        assert!(readings.add(*port, *is_member, counters, 1_000).is_some());
    }
    readings
}

#[test]
fn counters_wrap_reset_and_jump() {
    let check = |before: u64, after: u64, expected: Option<u64>| assert_eq!(difference(before, after, 1 << 40), expected);
    check(5, 9, Some(4));
    check(u64::from(u32::MAX) - 9, 10, Some(20));
    check(u64::MAX - 9, 10, Some(20));
    check(1_000_000, 500, None);
    check(1 << 40, 500, None);
    check(0, (1 << 40) + 1, None);
    check(1 << 31, (1 << 31) - 1, None);
}

#[test]
fn differences_are_spread_over_their_interval() {
    // Readings at 30, 90 and 150 s: the window from 60 s has half of each difference.
    let all = readings(&[
        (0, false, reading(7, 150, 4_000_000)),
        (0, false, reading(7, 30, 1_000_000)),
        (0, false, reading(7, 90, 2_000_000)),
    ]);
    let load = |from: i64| all.load(0, Direction::FromMicrosoft, from * MINUTE, (from + 1) * MINUTE, 900 * SECOND_US);
    assert_eq!(load(1).bps, Some(1_500_000.0 * 8.0 / 60.0));
    assert_eq!((load(1).discards, load(1).errors), (Some(150), None));
    assert_eq!(load(1).packets_per_second, Some(1_500.0 / 60.0));
    // The window from 0 is covered by one half, that from 120 s too; those beyond not at all.
    assert_eq!(load(0).bps, Some(500_000.0 * 8.0 / 30.0));
    assert_eq!(load(2).bps, Some(1_000_000.0 * 8.0 / 30.0));
    assert_eq!(load(3), CounterLoad::default());
    let out = all.load(0, Direction::ToMicrosoft, MINUTE, 2 * MINUTE, 900 * SECOND_US);
    assert_eq!(out.bps, Some(750_000.0 * 8.0 / 60.0));
}

#[test]
fn missing_polls_and_resets_leave_gaps() {
    let bps = |all: &Readings| all.load(0, Direction::FromMicrosoft, 0, MINUTE, 100 * SECOND_US).bps;
    assert_eq!(bps(&readings(&[(0, false, reading(7, 0, 0)), (0, false, reading(7, 60, 600))])), Some(80.0));
    // A poll missed: longer than what is allowed.
    assert_eq!(bps(&readings(&[(0, false, reading(7, -60, 0)), (0, false, reading(7, 60, 600))])), None);
    // The device started over: told by its sequence, or seen by both counters falling.
    let reset = InterfaceCounters { is_reset: true, ..reading(7, 60, 600) };
    assert_eq!(bps(&readings(&[(0, false, reading(7, 0, 0)), (0, false, reset)])), None);
    assert_eq!(bps(&readings(&[(0, false, reading(7, 0, 3_000_000_000)), (0, false, reading(7, 60, 600))])), None);
    // More than the interface can carry.
    assert_eq!(bps(&readings(&[(0, false, reading(7, 0, 0)), (0, false, reading(7, 60, 1 << 50))])), None);
}

#[test]
fn members_make_a_port_where_it_has_no_counters_of_its_own() {
    let down = InterfaceCounters { oper_up: Some(false), ..reading(13, 60, 0) };
    let mut all = readings(&[
        (0, true, reading(11, 0, 0)),
        (0, true, reading(11, 60, 600)),
        (0, true, reading(12, 0, 0)),
        (0, true, reading(12, 60, 1_800)),
        (0, true, reading(13, 0, 0)),
        (0, true, down),
    ]);
    let load = all.load(0, Direction::FromMicrosoft, 0, MINUTE, 900 * SECOND_US);
    assert_eq!((load.bps, load.member_peak_ratio), (Some(320.0), Some(2.25)));
    let state = all.state(0, MINUTE, 4);
    assert_eq!((state.members_up, state.members_total), (Some(2), Some(4)));
    assert_eq!((state.members_bps, state.speed_bps), (Some(20_000_000_000), None));
    // The whole port's own counters go before.
    for (at, octets) in [(0, 0), (60, 2_500)] {
        all.add(0, false, &reading(10, at, octets), 1_000);
    }
    let load = all.load(0, Direction::FromMicrosoft, 0, MINUTE, 900 * SECOND_US);
    assert_eq!((load.bps, load.member_peak_ratio), (Some(2_500.0 * 8.0 / 60.0), Some(2.25)));
    assert_eq!(all.state(0, MINUTE, 0).speed_bps, Some(10_000_000_000));
    // Old readings say nothing of now.
    assert_eq!(all.state(0, 10 * MINUTE, 0), PortState::default());
}

#[test]
fn readings_are_bounded_and_forgotten() {
    let mut all = Readings::default();
    for at in 0..10 {
        all.add(0, false, &reading(7, at * 10, 0), 6);
    }
    assert_eq!(all.count, 6);
    // One that finds no room leaves nothing behind.
    assert_eq!((all.add(1, false, &reading(8, 0, 0), 6), all.interfaces.len()), (None, 1));
    all.forget_before(25 * SECOND_US);
    assert_eq!(all.interfaces[&(0, 7)].keys().copied().collect::<Vec<_>>(), [20, 30, 40, 50].map(|at| at * SECOND_US));
    assert_eq!(all.count, 4);
    all.forget_before(1_000 * SECOND_US);
    assert_eq!((all.count, all.interfaces.len()), (0, 0));
}
