//! Interface counters: readings, their differences, and what they say of a port in a window.
//!
//! Readings are held as they are and differences are made when rows are, so the order in which workers
//! report does not matter. A difference is spread evenly over the time between its two readings.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use model::time::SECOND_US;
use model::{Direction, InterfaceCounters};

/// A reading older than this no longer says whether an interface is up.
const STATE_US: i64 = 300 * SECOND_US;
/// Share of a window that readings must cover: one half.
const COVERED_SHARE: i64 = 2;
/// Speed of nothing that exists: a difference beyond it is no traffic, bit/s.
const SPEED_MAX_BPS: u64 = 10_000_000_000_000;

/// One reading of one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// Octets received and sent.
    pub(crate) octets: [Option<u64>; 2],
    pub(crate) packets: [Option<u64>; 2],
    pub(crate) discards: [Option<u64>; 2],
    pub(crate) errors: [Option<u64>; 2],
    pub(crate) speed_bps: Option<u64>,
    pub(crate) is_up: Option<bool>,
    pub(crate) is_reset: bool,
    pub(crate) is_member: bool,
}

impl Reading {
    fn of(counters: &InterfaceCounters, is_member: bool) -> Reading {
        let is_down = counters.admin_up == Some(false);
        Reading {
            octets: [counters.in_octets, counters.out_octets],
            packets: [counters.in_packets, counters.out_packets],
            discards: [counters.in_discards, counters.out_discards],
            errors: [counters.in_errors, counters.out_errors],
            speed_bps: counters.speed_bps.filter(|speed| *speed > 0),
            is_up: if is_down { Some(false) } else { counters.oper_up },
            is_reset: counters.is_reset,
            is_member,
        }
    }
}

/// What the counters say of one direction of a port in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CounterLoad {
    /// Mean load, bit/s on the link layer.
    pub(crate) bps: Option<f64>,
    pub(crate) packets_per_second: Option<f64>,
    pub(crate) discards: Option<i64>,
    pub(crate) errors: Option<i64>,
    /// Load of the busiest member over the members' mean.
    pub(crate) member_peak_ratio: Option<f64>,
}

/// What the counters say of a port as such at the end of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortState {
    pub(crate) members_up: Option<i64>,
    pub(crate) members_total: Option<i64>,
    /// Sum of the speeds of the members that are up.
    pub(crate) members_bps: Option<u64>,
    /// Speed of the whole port.
    pub(crate) speed_bps: Option<u64>,
    /// Whether the whole port is up, or one of its members.
    pub(crate) is_up: Option<bool>,
}

/// Readings by port (the owner's number) and interface, each by time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Readings {
    pub(crate) interfaces: BTreeMap<(u32, u32), BTreeMap<i64, Reading>>,
    pub(crate) count: usize,
}

impl Readings {
    /// Takes a reading in; gives the time from which it changes windows, `None` if it found no room.
    pub(crate) fn add(&mut self, port: u32, is_member: bool, counters: &InterfaceCounters, most: usize) -> Option<i64> {
        let at_us = counters.at_us;
        let reading = Reading::of(counters, is_member);
        let key = (port, counters.interface);
        if let Some(same) = self.interfaces.get_mut(&key).and_then(|held| held.get_mut(&at_us)) {
            // Two readings of one moment: which came first must not matter.
            *same = (*same).max(reading);
        } else if self.count >= most {
            return None;
        } else {
            self.count += 1;
            self.interfaces.entry(key).or_default().insert(at_us, reading);
        }
        let held = self.interfaces.get(&key)?;
        Some(held.range(..at_us).next_back().map_or(at_us, |(before_us, _)| *before_us))
    }

    /// Forgets what no window from `at_us` on needs: all but the last reading before it.
    pub(crate) fn forget_before(&mut self, at_us: i64) {
        for held in self.interfaces.values_mut() {
            let last = held.range(..at_us).next_back().map(|(last_us, _)| *last_us);
            if let Some(last_us) = last.filter(|_| held.len() > 1) {
                *held = held.split_off(&last_us);
            }
            let is_stale = held.last_key_value().is_none_or(|(last_us, _)| *last_us < at_us - STATE_US);
            if is_stale {
                held.clear();
            }
        }
        self.interfaces.retain(|_, held| !held.is_empty());
        self.count = self.interfaces.values().map(BTreeMap::len).sum();
    }

    fn of_port(&self, port: u32) -> impl Iterator<Item = (u32, &BTreeMap<i64, Reading>)> {
        self.interfaces.range((port, 0)..=(port, u32::MAX)).map(|((_, interface), held)| (*interface, held))
    }

    /// Ports with readings in `[from_us, to_us)`.
    pub(crate) fn ports(&self, from_us: i64, to_us: i64) -> Vec<u32> {
        let read = |held: &BTreeMap<i64, Reading>| held.range(from_us..to_us).next().is_some();
        let mut ports: Vec<u32> = self.interfaces.iter().filter(|(_, held)| read(held)).map(|((port, _), _)| *port).collect();
        ports.dedup();
        ports
    }

    /// How the port stands at `at_us`; `members_known` is what the configuration says of members.
    pub(crate) fn state(&self, port: u32, at_us: i64, members_known: usize) -> PortState {
        let mut state = PortState::default();
        let (mut seen, mut up, mut up_bps, mut whole_bps) = (0, 0, 0_u64, None);
        for (_, held) in self.of_port(port) {
            let Some((_, reading)) = held.range(at_us - STATE_US..=at_us).next_back() else { continue };
            if !reading.is_member {
                whole_bps = whole_bps.max(reading.speed_bps);
                state.is_up = state.is_up.max(reading.is_up);
                continue;
            }
            seen += 1;
            if reading.is_up != Some(false) {
                up += 1;
                up_bps += reading.speed_bps.unwrap_or(0);
            }
        }
        state.speed_bps = whole_bps;
        if members_known > 0 || seen > 0 {
            state.members_total = Some(members_known.max(seen) as i64);
        }
        if seen > 0 {
            state.is_up = state.is_up.or(Some(up > 0));
            state.members_up = Some(up);
            state.members_bps = (up_bps > 0 || up == 0).then_some(up_bps);
        }
        state
    }

    /// The load of one direction in `[from_us, to_us)`: by the whole port's counters, else by the members'.
    pub(crate) fn load(&self, port: u32, direction: Direction, from_us: i64, to_us: i64, gap_us_max: i64) -> CounterLoad {
        let side = match direction {
            Direction::FromMicrosoft => 0,
            Direction::ToMicrosoft => 1,
        };
        let (mut whole, mut members) = (Vec::new(), Vec::new());
        for (_, held) in self.of_port(port) {
            let Some(is_member) = held.values().next_back().map(|reading| reading.is_member) else { continue };
            if let Some(usage) = usage(held, side, from_us, to_us, gap_us_max) {
                if is_member { members.push(usage) } else { whole.push(usage) }
            }
        }
        let used = if whole.is_empty() { &members } else { &whole };
        let total = |part: fn(&Usage) -> Option<f64>| -> Option<f64> {
            let parts: Option<Vec<f64>> = used.iter().map(part).collect();
            parts.filter(|parts| !parts.is_empty()).map(|parts| parts.into_iter().sum())
        };
        let count = |part: fn(&Usage) -> Option<u64>| -> Option<i64> {
            let parts: Option<Vec<u64>> = used.iter().map(part).collect();
            parts.filter(|parts| !parts.is_empty()).map(|parts| i64::try_from(parts.into_iter().sum::<u64>()).unwrap_or(i64::MAX))
        };
        CounterLoad {
            bps: total(|usage| usage.octets.map(|octets| octets as f64 * 8.0 / usage.seconds())),
            packets_per_second: total(|usage| usage.packets.map(|packets| packets as f64 / usage.seconds())),
            discards: count(|usage| usage.discards),
            errors: count(|usage| usage.errors),
            member_peak_ratio: peak_ratio(&members),
        }
    }
}

fn peak_ratio(members: &[Usage]) -> Option<f64> {
    let loads: Option<Vec<f64>> =
        members.iter().map(|usage| usage.octets.map(|octets| octets as f64 / usage.seconds())).collect();
    let loads = loads?;
    let mean = loads.iter().sum::<f64>() / loads.len() as f64;
    (mean > 0.0).then(|| loads.into_iter().fold(0.0, f64::max) / mean)
}

/// What one interface carried in the covered part of a window.
#[derive(Default)]
struct Usage {
    covered_us: i64,
    octets: Option<u64>,
    packets: Option<u64>,
    discards: Option<u64>,
    errors: Option<u64>,
}

impl Usage {
    fn seconds(&self) -> f64 {
        self.covered_us as f64 / SECOND_US as f64
    }
}

/// `None` where differences cover less than half of the window.
fn usage(held: &BTreeMap<i64, Reading>, side: usize, from_us: i64, to_us: i64, gap_us_max: i64) -> Option<Usage> {
    let first_us = held.range(..=from_us).next_back().map_or(from_us, |(at_us, _)| *at_us);
    let mut usage = Usage { octets: Some(0), packets: Some(0), discards: Some(0), errors: Some(0), covered_us: 0 };
    let mut readings = held.range(first_us..);
    let mut previous = readings.next()?;
    for current in readings {
        let (start_us, end_us) = (*previous.0, *current.0);
        let (before, after) = (previous.1, current.1);
        previous = current;
        if start_us >= to_us {
            break;
        }
        let (low_us, high_us) = (start_us.max(from_us), end_us.min(to_us));
        if low_us >= high_us || end_us - start_us > gap_us_max || after.is_reset || restarted(before, after) {
            continue;
        }
        let span = Span { start_us, end_us, low_us, high_us, most: most_octets(after, end_us - start_us) };
        let Some(octets) = before.octets[side].zip(after.octets[side]).and_then(|pair| span.part(pair)) else { continue };
        usage.covered_us += high_us - low_us;
        usage.octets = usage.octets.map(|sum| sum + octets);
        let add = |sum: &mut Option<u64>, before: Option<u64>, after: Option<u64>| {
            *sum = sum.zip(before.zip(after).and_then(|pair| span.part(pair))).map(|(sum, part)| sum + part);
        };
        add(&mut usage.packets, before.packets[side], after.packets[side]);
        add(&mut usage.discards, before.discards[side], after.discards[side]);
        add(&mut usage.errors, before.errors[side], after.errors[side]);
    }
    (usage.covered_us * COVERED_SHARE >= to_us - from_us).then_some(usage)
}

/// Both octet counters fell: the device began anew, no counter wrapped.
fn restarted(before: &Reading, after: &Reading) -> bool {
    let fell = |side: usize| before.octets[side].zip(after.octets[side]).is_some_and(|(before, after)| after < before);
    fell(0) && fell(1)
}

/// The most octets that can have passed, with an eighth to spare for inexact times of reading.
fn most_octets(after: &Reading, length_us: i64) -> u64 {
    let speed_bps = after.speed_bps.unwrap_or(SPEED_MAX_BPS).min(SPEED_MAX_BPS);
    let octets = u128::from(speed_bps) / 8 * length_us.unsigned_abs() as u128 / SECOND_US as u128;
    // Counters of an instant may stand for some seconds in the device: two of them are spared.
    u64::try_from(octets + octets / 8 + u128::from(speed_bps) / 4).unwrap_or(u64::MAX)
}

/// The part of an interval between two readings that lies in a window.
struct Span {
    start_us: i64,
    end_us: i64,
    low_us: i64,
    high_us: i64,
    most: u64,
}

impl Span {
    /// A counter's difference, and of it the part in the window by cumulative floors; `None` where it cannot be.
    fn part(&self, (before, after): (u64, u64)) -> Option<u64> {
        let difference = difference(before, after, self.most)?;
        let length = self.end_us.abs_diff(self.start_us) as u128;
        let upto = |at_us: i64| (u128::from(difference) * at_us.abs_diff(self.start_us) as u128 / length) as u64;
        Some(upto(self.high_us) - upto(self.low_us))
    }
}

/// The difference of two readings of a counter: plain, or over the end of 32 or 64 bits; `None` where it
/// fell without wrapping, or rose by more than can have passed.
fn difference(before: u64, after: u64, most: u64) -> Option<u64> {
    let difference = if after >= before {
        after - before
    } else if before <= u64::from(u32::MAX) {
        let wrapped = u64::from((after as u32).wrapping_sub(before as u32));
        // A counter in the upper half that came round; otherwise it was set back.
        (before >= 1 << 31 && wrapped < 1 << 31).then_some(wrapped)?
    } else {
        (before >= 1 << 63).then(|| after.wrapping_sub(before))?
    };
    (difference <= most).then_some(difference)
}

#[cfg(test)]
#[path = "counters_tests.rs"]
mod tests;
