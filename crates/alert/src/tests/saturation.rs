//! How soon a full port alerts, and that one that is not full never does.

use super::*;

#[test]
fn a_full_port_alerts_within_half_a_minute_of_the_data_that_shows_it() {
    // The first bin that shows it has come 20 s after it began, of flow caches the timeout later.
    for (port, at) in [
        (Port::default(), "30 saturation critical"),
        (Port { has_counters: false, sampling: 1.0, ..Port::default() }, "30 saturation critical"),
        (Port { has_counters: false, sampling: 1.0, timeout_us: 60 * SECOND_US, ..Port::default() }, "90 saturation critical"),
        // sFlow of 100 Gbit/s: 1 packet of 4096 is enough for one bin.
        (Port { capacity_bps: 100.0 * GIGABIT, ..Port::sampled(4_096.0) }, "30 saturation critical"),
    ] {
        let mut time = Time::new(&[port], "");
        assert_eq!(of("saturation", &time.run(1_200, &[0.4])), Vec::<&str>::new());
        assert_eq!(of("saturation", &time.run(300, &[1.0])), [at]);
    }
}

#[test]
fn a_full_wire_of_10_gigabit_alerts_at_1_in_16384() {
    for packet_bytes in [300.0, 700.0, 1_000.0] {
        let mut time = Time::new(&[Port { packet_bytes, ..Port::sampled(16_384.0) }], "");
        time.run(1_200, &[0.5]);
        let told = time.run(1_200, &[1.0]);
        let critical = of("saturation", &told).into_iter().find(|line| line.ends_with("critical"));
        let seconds: i64 = critical.expect("it is full").split(' ').next().unwrap().parse().unwrap();
        // An average whose two standard errors are below 2 % of the capacity takes 50 to 300 s at this rate.
        assert!(seconds <= 630, "{packet_bytes}: {told:?}");
    }
}

#[test]
fn in_a_week_nothing_fires_above_its_level() {
    let ports = [Port { name: "half", ..Port::sampled(4_096.0) }, Port { name: "nearly", ..Port::sampled(4_096.0) }];
    let mut time = Time::new(&ports, "");
    let mut told = Vec::new();
    let mut warned = 0;
    for _ in 0..7 * 24 * 360 {
        for change in time.step(&[0.48, 0.93]) {
            let alert = change.alert;
            let is_its_level = alert.subject.port.as_deref() == Some("nearly")
                && matches!((alert.kind.name(), alert.severity.name()), ("saturation", "warning") | ("policy_line", "info"));
            warned += usize::from(is_its_level);
            if !is_its_level {
                told.push(alert.line());
            }
        }
    }
    assert_eq!((told, warned), (Vec::new(), 2));
}

#[test]
fn it_ends_when_the_load_is_well_below_for_a_while() {
    let mut time = Time::new(&[Port::default()], "");
    time.run(1_200, &[0.4]);
    assert_eq!(of("saturation", &time.run(100, &[0.85])), ["30 saturation warning"]);
    assert_eq!(of("saturation", &time.run(100, &[0.96])), ["30 saturation critical"]);
    // Below the level, not by the margin: it stays what it is.
    assert_eq!(of("saturation", &time.run(600, &[0.91])), Vec::<&str>::new());
    assert_eq!(of("saturation", &time.run(600, &[0.79])), ["140 saturation warning"]);
    // Back for a moment: the time below begins anew.
    assert_eq!(of("saturation", &time.run(100, &[0.7])), Vec::<&str>::new());
    assert_eq!(of("saturation", &time.run(20, &[0.79])), Vec::<&str>::new());
    assert_eq!(of("saturation", &time.run(300, &[0.7])), ["140 saturation over"]);
}

#[test]
fn a_burst_of_ten_seconds_is_no_alert() {
    let mut time = Time::new(&[Port::default()], "");
    time.run(1_200, &[0.4]);
    for _ in 0..20 {
        assert_eq!(of("saturation", &time.run(10, &[1.0])), Vec::<&str>::new());
        assert_eq!(of("saturation", &time.run(20, &[0.4])), Vec::<&str>::new());
    }
}

#[test]
fn levels_scopes_and_roles_are_the_configurations_to_set() {
    let ports =
        [Port::default(), Port { name: "b", ..Port::default() }, Port { name: "t", role: Role::Transit, ..Port::default() }];
    let rules = "[[alert_rule]]\nrule = \"saturation\"\nof = \"location\"\nwarning = 60\n\
                 [[alert_rule]]\nrule = \"saturation\"\nports = [\"a\"]\ncritical = 70\nhold_seconds = 60\n\
                 [[alert_rule]]\nrule = \"saturation\"\nroles = [\"transit\"]\nenabled = false\n";
    let mut time = Time::new(&ports, rules);
    time.run(1_200, &[0.3, 0.3, 0.3]);
    let mut began = Vec::new();
    for _ in 0..12 {
        for Change { alert, .. } in time.step(&[0.75, 0.5, 0.99]) {
            if alert.kind == crate::Kind::Saturation {
                began.push((alert.subject.port, alert.subject.location, alert.severity));
            }
        }
    }
    // Together they are at 62.5 %; b alone is below its levels, the transit is not asked for.
    let frankfurt = Some("Frankfurt".into());
    let expected =
        [(None, frankfurt.clone(), crate::Severity::Warning), (Some("a".into()), frankfurt, crate::Severity::Critical)];
    assert_eq!(began, expected);
}

#[test]
fn what_is_not_known_any_more_ends_after_a_while_and_not_at_once() {
    let mut time = Time::new(&[Port::default()], "");
    time.run(1_200, &[0.4]);
    time.run(100, &[1.0]);
    let mut told = Vec::new();
    let from_us = time.now_us;
    for _ in 0..150 {
        // Its load is not known any more; time goes on.
        told.extend(shown(&time.step_with(&[1.0], |observed| observed.ports.clear()), from_us));
    }
    assert_eq!(of("saturation", &told).len(), 1, "{told:?}");
    let seconds: i64 = of("saturation", &told)[0].split(' ').next().unwrap().parse().unwrap();
    assert!((900..1_200).contains(&seconds), "{told:?}");
}

#[test]
fn one_that_comes_and_goes_is_held_until_it_stays_away() {
    let mut time = Time::new(&[Port::default()], "");
    time.run(1_200, &[0.4]);
    let mut told = Vec::new();
    for _ in 0..8 {
        told.extend(time.run(60, &[0.85]));
        told.extend(time.run(240, &[0.4]));
    }
    let begun = of("saturation", &told).into_iter().filter(|line| line.ends_with("warning")).count();
    assert_eq!(begun, 4, "{told:?}");
    assert!(time.engine.firing(time.now_us)[0].is_flapping);
    assert_eq!(of("saturation", &time.run(2_400, &[0.4])).len(), 1);
}

#[test]
fn what_is_silenced_is_over_for_targets_and_stands_in_the_table() {
    let mut time = Time::new(&[Port::default()], "");
    time.run(1_200, &[0.4]);
    assert_eq!(of("saturation", &time.run(60, &[0.85])), ["30 saturation warning"]);
    let mut silence = Silence { port: Some("a".to_owned()), ..Silence::default() };
    silence.hold_for(100, time.now_us);
    time.silences.push(silence);
    let changes = time.step(&[0.85]);
    let notice = changes[0].notice.as_ref().unwrap();
    assert!(changes[0].alert.is_silenced && changes[0].alert.state == State::Firing && notice.alert.state == State::Resolved);
    assert!(time.engine.standing(time.now_us).iter().all(|alert| alert.state == State::Resolved));
    // A person sees that it goes on, and is held back.
    let seen = |time: &Time| -> Vec<(State, &str, bool)> {
        let all = time.engine.seen(time.now_us).into_iter().filter(|alert| alert.kind.name() == "saturation");
        all.map(|alert| (alert.state, alert.severity.name(), alert.is_silenced)).collect()
    };
    assert_eq!(seen(&time), [(State::Firing, "warning", true)]);
    // Worse meanwhile, and nobody is told; when the silence ends it is told anew.
    assert_eq!(of("saturation", &time.run(60, &[0.99])), ["30 saturation critical silenced untold"]);
    assert_eq!(of("saturation", &time.run(60, &[0.99])), ["30 saturation critical"]);
    assert_eq!(time.engine.standing(time.now_us).iter().filter(|alert| alert.state == State::Firing).count(), 2);
    assert_eq!(seen(&time), [(State::Firing, "critical", false)]);
}

#[test]
fn a_restored_engine_goes_on() {
    let mut time = Time::new(&[Port::default()], "");
    time.run(1_200, &[0.4]);
    time.run(60, &[0.85]);
    let state = time.engine.state();
    time.engine = Engine::new(AlertSettings::default(), Rules::default());
    assert!(time.engine.restore(&state));
    assert_eq!(of("saturation", &time.run(60, &[0.85])), Vec::<&str>::new());
    assert_eq!(of("saturation", &time.run(300, &[0.4])), ["140 saturation over"]);
    assert!(!time.engine.restore(b"nonsense"));
}

#[test]
fn a_flood_of_alerts_is_bounded_and_one_says_so() {
    let names: Vec<&'static str> = (0..40).map(|index| &*format!("p{index}").leak()).collect();
    let ports: Vec<Port> = names.iter().map(|name| Port { name, ..Port::default() }).collect();
    let mut time = Time::new(&ports, "");
    time.engine.reconfigure(AlertSettings { alerts_max: 10, ..AlertSettings::default() }, Rules::default());
    time.run(100, &[1.0; 40]);
    let firing = time.engine.firing(time.now_us);
    assert!(firing.len() <= 11, "{}", firing.len());
}
