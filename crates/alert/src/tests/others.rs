//! The other rules, each by what it is for and by what it must pass over.

use super::*;
use crate::{Event, ExporterMinute, ExpressRoute, FailureOutcome, Latency};

fn changes_of(time: &mut Time, seconds: i64, load: f64, more: impl Fn(&mut Observed)) -> Vec<String> {
    let from_us = time.now_us;
    let mut told = Vec::new();
    while time.now_us < from_us + seconds * SECOND_US {
        told.extend(shown(&time.step_with(&[load], &more), from_us));
    }
    told
}

#[test]
fn the_line_of_the_policy_is_a_note_and_never_a_page() {
    let mut time = Time::new(&[Port::default()], "");
    time.run(1_200, &[0.4]);
    let told = time.run(1_200, &[0.55]);
    assert_eq!(told, ["510 policy_line info"]);
}

#[test]
fn a_load_that_stopped_varying_at_its_top_is_a_plateau() {
    // It varies by 2 % all the time, rises, and stands still at 88 % where something else is full.
    let vary = |time: &mut Time, seconds: i64, load: f64| {
        let mut told = Vec::new();
        for _ in 0..seconds / 10 {
            let noise = time.noise();
            let changes = time.step(&[(load * (1.0 + 0.02 * noise)).min(0.88)]);
            told.extend(shown(&changes, 0));
        }
        told
    };
    for sampling in [0.0, 256.0] {
        let port =
            if sampling > 0.0 { Port { capacity_bps: 100.0 * GIGABIT, ..Port::sampled(sampling) } } else { Port::default() };
        let mut time = Time::new(&[port], "");
        assert_eq!(of("flat_top", &vary(&mut time, 3_600, 0.7)), Vec::<&str>::new());
        assert_eq!(of("flat_top", &vary(&mut time, 1_800, 0.84)), Vec::<&str>::new());
        let told = vary(&mut time, 900, 1.2);
        assert_eq!(of("flat_top", &told).len(), 1, "1 in {sampling}: {told:?}");
        assert_eq!(of("flat_top", &vary(&mut time, 1_800, 0.7)).len(), 1, "it ends when it varies again");
    }
}

#[test]
fn a_load_that_is_always_flat_or_flat_below_its_top_is_no_plateau() {
    let mut time = Time::new(&[Port::default()], "");
    assert_eq!(of("flat_top", &time.run(7_200, &[0.75])), Vec::<&str>::new());
    let mut time = Time::new(&[Port::default()], "");
    for step in 0..720 {
        time.step(&[0.8 + 0.02 * f64::from(step % 3)]);
    }
    assert_eq!(of("flat_top", &time.run(900, &[0.65])), Vec::<&str>::new());
}

#[test]
fn a_steady_rise_tells_when_the_port_is_full() {
    let rise = |start: f64, percent_a_minute: f64, sampling: f64| {
        let port = if sampling > 0.0 { Port::sampled(sampling) } else { Port::default() };
        let mut time = Time::new(&[port], "");
        let mut told = Vec::new();
        for step in 0..240 {
            let load = start + percent_a_minute / 100.0 * f64::from(step) / 6.0;
            told.extend(shown(&time.step(&[load.min(0.94)]), 0));
        }
        of("time_to_full", &told).len()
    };
    // 55 % and 1 % more each minute: full in 40 minutes, in 30 after ten.
    assert_eq!(rise(0.55, 1.0, 0.0), 1);
    assert_eq!(rise(0.55, 1.0, 1_024.0), 1);
    // Too slow, too low, or falling.
    assert_eq!(rise(0.55, 0.1, 0.0), 0);
    assert_eq!(rise(0.05, 1.0, 0.0), 0);
    assert_eq!(rise(0.90, -1.0, 0.0), 0);
}

#[test]
fn members_that_are_down_take_capacity() {
    let mut time = Time::new(&[Port::default()], "");
    let members = |up| move |observed: &mut Observed| observed.ports[0].members = Some((up, 4));
    assert_eq!(changes_of(&mut time, 100, 0.3, members(4)), Vec::<String>::new());
    assert_eq!(changes_of(&mut time, 100, 0.3, members(3)), ["40 capacity_lost warning"]);
    assert_eq!(changes_of(&mut time, 100, 0.3, members(2)), ["40 capacity_lost critical"]);
    assert_eq!(changes_of(&mut time, 100, 0.3, members(4)), ["80 capacity_lost over"]);
    // Nothing tells: that is not none.
    assert_eq!(changes_of(&mut time, 100, 0.3, |_| {}), Vec::<String>::new());
}

#[test]
fn a_connection_that_falls_silent_is_missed() {
    let mut time = Time::new(&[Port::default()], "");
    assert_eq!(time.run(1_800, &[0.3]), Vec::<String>::new());
    assert_eq!(of("connection_silent", &time.run(300, &[0.001])), ["130 connection_silent warning"]);
    assert_eq!(of("connection_silent", &time.run(7_200, &[0.001])), Vec::<&str>::new());
    assert_eq!(of("connection_silent", &time.run(300, &[0.3])).len(), 1);
    // A drop to a fifth is a night, not a silence; what never carried anything is not missed.
    assert_eq!(of("connection_silent", &time.run(600, &[0.06])), Vec::<&str>::new());
    let mut idle = Time::new(&[Port::default()], "");
    assert_eq!(idle.run(3_600, &[0.0]), Vec::<String>::new());
}

/// Minutes of one exporter that covers a connection.
fn minutes(coverage: Option<f64>, datagrams: i64) -> impl Fn(&mut Observed) {
    move |observed| {
        observed.covering.push("192.0.2.1".into());
        if observed.now_us % (60 * SECOND_US) == 0 && datagrams > 0 {
            let end_us = observed.now_us;
            let minute =
                |exporter: &str| ExporterMinute { exporter: exporter.into(), end_us, datagrams, coverage_ratio: coverage };
            // The other one covers nothing: whoever sends is not missed when it ends.
            observed.exporters.extend([minute("192.0.2.1"), minute("198.51.100.9")]);
        }
    }
}

#[test]
fn an_exporter_that_falls_silent_is_missed() {
    let mut time = Time::new(&[Port::default()], "");
    assert_eq!(changes_of(&mut time, 600, 0.3, minutes(Some(1.0), 10)), Vec::<String>::new());
    assert_eq!(changes_of(&mut time, 600, 0.3, minutes(None, 0)), ["180 exporter_silent warning"]);
    assert_eq!(changes_of(&mut time, 600, 0.3, minutes(Some(1.0), 10)).len(), 1);
    // A collector that did not run heard nothing either.
    time.now_us += 3_600 * SECOND_US;
    assert_eq!(changes_of(&mut time, 170, 0.3, minutes(None, 0)), Vec::<String>::new());
}

#[test]
fn coverage_below_95_percent_alerts_after_ten_minutes() {
    let mut time = Time::new(&[Port::default()], "");
    assert_eq!(changes_of(&mut time, 600, 0.3, minutes(Some(0.96), 10)), Vec::<String>::new());
    let told = changes_of(&mut time, 900, 0.3, minutes(Some(0.9), 10));
    assert_eq!(told.len(), 1, "{told:?}");
    let seconds: i64 = told[0].split(' ').next().unwrap().parse().unwrap();
    assert!(told[0].ends_with("coverage warning") && (540..=660).contains(&seconds), "{told:?}");
    assert_eq!(changes_of(&mut time, 900, 0.3, minutes(Some(0.955), 10)), Vec::<String>::new(), "not by the margin");
    assert_eq!(changes_of(&mut time, 900, 0.3, minutes(Some(0.99), 10)).len(), 1);
}

#[test]
fn flows_that_differ_from_counters_are_told() {
    for (factor, expected) in [(1.0, 0), (0.9, 0), (0.5, 1), (2.0, 1)] {
        let mut time = Time::new(&[Port { sampling: 1.0, ..Port::default() }], "");
        let told = changes_of(&mut time, 1_800, 0.3, |observed| {
            for bin in &mut observed.ports[0].bins {
                bin.wire_bps = bin.wire_bps.map(|bps| bps * factor);
            }
        });
        assert_eq!(of("counters_differ", &told).len(), expected, "{factor}: {told:?}");
    }
}

#[test]
fn microsofts_traffic_on_transit_is_a_leak_from_a_rate_on() {
    for (load, expected) in [(0.009, 0), (0.02, 1)] {
        let mut time = Time::new(&[Port { role: Role::Transit, ..Port::default() }], "");
        let told = time.run(1_200, &[load]);
        assert_eq!(told.len(), expected, "{load}: {told:?}");
    }
}

#[test]
fn what_others_judged_begins_and_ends_as_they_say() {
    let subject = || Subject { connection: Some("a-1".into()), direction: Some(Direction::FromMicrosoft), ..Subject::default() };
    let mut time = Time::new(&[Port::default()], "");
    let failover = |is_open| {
        move |observed: &mut Observed| {
            let subject = Subject { detail: Some("cut".into()), ..subject() };
            let started_us = observed.now_us - 20 * SECOND_US;
            observed.events.push(Event { id: "7".to_owned(), subject, is_open, started_us, summary: "a-1 is down".to_owned() });
        }
    };
    assert_eq!(changes_of(&mut time, 60, 0.3, failover(true)), ["20 failover warning"]);
    assert_eq!(changes_of(&mut time, 60, 0.3, failover(false)), ["20 failover over"]);
    assert_eq!(changes_of(&mut time, 20, 0.3, failover(true)).len(), 1);
    // An event that nobody speaks of any more is over too.
    assert_eq!(changes_of(&mut time, 20, 0.3, |_| {}).len(), 1);
    let outcome = |utilisation| {
        move |observed: &mut Observed| {
            let survivor = "b-1".into();
            observed.failures.push(FailureOutcome { subject: subject(), survivor, utilisation, standard_error: 0.01 });
        }
    };
    assert_eq!(changes_of(&mut time, 900, 0.3, outcome(0.96)), Vec::<String>::new(), "not surely");
    assert_eq!(changes_of(&mut time, 900, 0.3, outcome(1.2)), ["320 n_minus_1 warning"]);
    assert_eq!(changes_of(&mut time, 900, 0.3, outcome(0.5)).len(), 1);
    let route = |observed: &mut Observed| {
        let end_us = observed.now_us;
        observed.express_routes.push(ExpressRoute { subject: subject(), end_us, bps: 5e6, standard_error_bps: 1e6 });
    };
    assert_eq!(changes_of(&mut time, 10, 0.3, route), ["20 as12076 warning"]);
    assert_eq!(changes_of(&mut time, 900, 0.3, |_| {}), ["620 as12076 over"]);
    let latency = |p95_us| {
        move |observed: &mut Observed| {
            let end_us = observed.now_us;
            observed.latencies.push(Latency { subject: subject(), end_us, p95_us, usual_us: 10_000.0 });
        }
    };
    assert_eq!(changes_of(&mut time, 900, 0.3, latency(14_000.0)), Vec::<String>::new());
    assert_eq!(changes_of(&mut time, 900, 0.3, latency(16_000.0)), ["320 latency warning"]);
    let trouble = |observed: &mut Observed| observed.troubles.push(("disk".into(), "the disk is full".to_owned()));
    assert_eq!(changes_of(&mut time, 10, 0.3, trouble), ["20 trouble warning"]);
    assert_eq!(changes_of(&mut time, 120, 0.3, |_| {}), ["80 trouble over"]);
    // While it goes on it says what it was, though nobody tells of it any more.
    assert_eq!(changes_of(&mut time, 10, 0.3, trouble), ["20 trouble warning"]);
    assert_eq!(changes_of(&mut time, 10, 0.3, |_| {}), Vec::<String>::new());
    let standing = time.engine.standing(time.now_us);
    assert_eq!(standing.iter().find(|alert| alert.kind == crate::Kind::Trouble).unwrap().summary, "the disk is full");
}
