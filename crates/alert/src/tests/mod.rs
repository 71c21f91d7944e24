//! Rules, levels and holds together: loads as time goes by in, what begins and ends out.

mod others;
mod saturation;

use std::collections::VecDeque;

use model::time::{BIN_US, SECOND_US};
use model::{Direction, Role};

use crate::{AlertSettings, Bin, Change, Engine, Load, Observed, RuleConfig, Rules, Silence, State, Subject};

const GIGABIT: f64 = 1e9;

/// A port and how it is seen.
#[derive(Clone)]
struct Port {
    name: &'static str,
    role: Role,
    capacity_bps: f64,
    /// One packet of so many is sampled; 0 where there are no flows.
    sampling: f64,
    packet_bytes: f64,
    /// How long its exporter holds flows.
    timeout_us: i64,
    has_counters: bool,
}

impl Default for Port {
    fn default() -> Port {
        Port {
            name: "a",
            role: Role::Direct,
            capacity_bps: 10.0 * GIGABIT,
            sampling: 0.0,
            packet_bytes: 1_000.0,
            timeout_us: 0,
            has_counters: true,
        }
    }
}

impl Port {
    /// Flows of packets sampled so, without counters.
    fn sampled(sampling: f64) -> Port {
        Port { sampling, has_counters: false, ..Port::default() }
    }
}

/// Time going by in steps of ten seconds.
struct Time {
    engine: Engine,
    ports: Vec<(Port, VecDeque<Bin>)>,
    now_us: i64,
    random: u64,
    silences: Vec<Silence>,
}

impl Time {
    fn new(ports: &[Port], rules: &str) -> Time {
        #[derive(serde::Deserialize)]
        struct File {
            #[serde(default)]
            alert_rule: Vec<RuleConfig>,
        }
        let mut errors = Vec::new();
        let rules = Rules::check(toml::from_str::<File>(rules).unwrap().alert_rule, &mut errors);
        assert_eq!(errors, Vec::<String>::new());
        let engine = Engine::new(AlertSettings::default(), rules);
        let ports = ports.iter().map(|port| (port.clone(), VecDeque::new())).collect();
        Time { engine, ports, now_us: 0, random: 8_075, silences: Vec::new() }
    }

    /// Of mean 0 and deviation 1, nearly normal.
    fn noise(&mut self) -> f64 {
        let mut sum = 0.0;
        for _ in 0..12 {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum - 6.0
    }

    /// One bin more, with these loads over capacity; what else is observed `more` says.
    fn step_with(&mut self, loads: &[f64], more: impl FnOnce(&mut Observed)) -> Vec<Change> {
        for (index, load) in loads.iter().enumerate() {
            let Port { capacity_bps, sampling, packet_bytes, has_counters, .. } = self.ports[index].0.clone();
            let bps = load * capacity_bps;
            let samples = bps * 10.0 / 8.0 / packet_bytes / sampling;
            // Packet sizes scatter as much again as their mean.
            let error = bps * (1.6 / samples).sqrt();
            let seen = bps + if sampling > 1.0 { error * self.noise() } else { 0.0 };
            let bin = Bin {
                start_us: self.now_us,
                wire_bps: (sampling > 0.0).then_some(seen),
                standard_error_bps: Some(if sampling > 1.0 { error } else { 0.0 }),
                is_mature: false,
                counter_wire_bps: has_counters.then_some(bps),
                discards: None,
            };
            self.ports[index].1.push_back(bin);
            if self.ports[index].1.len() > 120 {
                self.ports[index].1.pop_front();
            }
        }
        // What comes of a bin has come ten seconds later: the grace.
        self.now_us += BIN_US;
        let now_us = self.now_us + BIN_US;
        let load = |(port, bins): &(Port, VecDeque<Bin>)| Load {
            subject: Subject {
                connection: Some(format!("{}-1", port.name).into()),
                port: Some(port.name.into()),
                direction: Some(Direction::FromMicrosoft),
                location: Some("Frankfurt".into()),
                role: Some(port.role),
                ..Subject::default()
            },
            is_active: true,
            capacity_bps: Some(port.capacity_bps),
            members: None,
            timeout_us: port.timeout_us,
            bins: bins.iter().map(|bin| Bin { is_mature: bin.end_us() + port.timeout_us + BIN_US <= now_us, ..*bin }).collect(),
        };
        let ports: Vec<Load> = self.ports.iter().map(load).collect();
        let mut observed = Observed { now_us, links: ports.clone(), ports, ..Observed::default() };
        more(&mut observed);
        self.engine.judge(&observed, &self.silences)
    }

    fn step(&mut self, loads: &[f64]) -> Vec<Change> {
        self.step_with(loads, |_| {})
    }

    /// So many seconds with these loads; gives what began and ended, with the seconds since they began.
    fn run(&mut self, seconds: i64, loads: &[f64]) -> Vec<String> {
        let from_us = self.now_us;
        let mut told = Vec::new();
        while self.now_us < from_us + seconds * SECOND_US {
            told.extend(shown(&self.step(loads), from_us));
        }
        told
    }
}

/// `SECONDS rule STATE severity`, as a person reads it.
fn shown(changes: &[Change], from_us: i64) -> Vec<String> {
    let one = |change: &Change| {
        let alert = &change.alert;
        let seconds = (alert.at_us - from_us) / SECOND_US;
        let state = if alert.state == State::Firing { alert.severity.name() } else { "over" };
        let silenced = if alert.is_silenced { " silenced" } else { "" };
        let untold = if change.notice.is_none() { " untold" } else { "" };
        format!("{seconds} {} {state}{silenced}{untold}", alert.kind.name())
    };
    changes.iter().map(one).collect()
}

/// Of what was shown, that of one rule.
fn of<'a>(rule: &str, shown: &'a [String]) -> Vec<&'a str> {
    shown.iter().filter(|line| line.split(' ').nth(1) == Some(rule)).map(String::as_str).collect()
}
