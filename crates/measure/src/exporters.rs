//! How exporters fare by minute of reception: rows, coverage, who is alive, and how long they hold flows.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use model::time::{SECOND_US, WINDOW_US, slot_start_us};
use model::{Address, Direction, ExporterHealth, Name, Protocol, SamplingOrigin};

use crate::settings::MeasureSettings;

/// An exporter that was silent for longer no longer says how long windows stay open.
const HEARD_US: i64 = 3_900 * SECOND_US;

/// Which domain of an exporter, by which protocol.
pub(crate) type Domain = (u32, Protocol);

/// Counts of one domain in one minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Heard {
    pub(crate) datagrams: u64,
    pub(crate) records: u64,
    pub(crate) bytes_exported: u64,
    pub(crate) packets_exported: u64,
    pub(crate) lost_datagrams: Option<i64>,
    pub(crate) lost_records: Option<i64>,
    pub(crate) reordered: u64,
    pub(crate) duplicates: u64,
    pub(crate) restarts: u64,
    pub(crate) undecodable: u64,
    pub(crate) refused: BTreeMap<Name, i64>,
    pub(crate) templates: u64,
    pub(crate) active_timeout_s: Option<u32>,
    pub(crate) clock_offset_us: Option<i64>,
    pub(crate) is_clock_refused: bool,
    pub(crate) output_unknown_records: u64,
    pub(crate) sampling_origins: [u64; 7],
    pub(crate) kernel_drops: u64,
}

impl Heard {
    /// Adds a report; of states the order of reports must not matter: the largest holds, of offsets the
    /// smallest, which has waited least on its way.
    fn add(&mut self, health: &ExporterHealth, kernel_drops: u64) {
        self.datagrams += health.datagrams;
        self.records += health.records;
        self.bytes_exported = self.bytes_exported.saturating_add(health.bytes_exported);
        self.packets_exported = self.packets_exported.saturating_add(health.packets_exported);
        self.lost_datagrams = sum(self.lost_datagrams, health.lost_datagrams);
        self.lost_records = sum(self.lost_records, health.lost_records);
        self.reordered += health.reordered;
        self.duplicates += health.duplicates;
        self.restarts += health.restarts;
        self.undecodable += health.undecodable;
        for (reason, count) in &health.refused {
            let counted = self.refused.entry(Name::from(&**reason)).or_default();
            *counted = counted.saturating_add_unsigned(*count);
        }
        self.templates = self.templates.max(health.templates);
        self.active_timeout_s = self.active_timeout_s.max(health.active_timeout_s);
        self.clock_offset_us = match (self.clock_offset_us, health.clock_offset_us) {
            (Some(held), Some(told)) => Some(held.min(told)),
            (held, told) => held.or(told),
        };
        self.is_clock_refused |= health.is_clock_refused;
        self.output_unknown_records += health.output_unknown_records;
        self.sampling_origins.iter_mut().zip(health.sampling_origins).for_each(|(sum, count)| *sum += count);
        self.kernel_drops += kernel_drops;
    }

    /// Records whose sampling rate is unknown.
    pub(crate) fn rate_unknown_records(&self) -> u64 {
        self.sampling_origins[SamplingOrigin::Unknown as usize]
    }

    /// Who told the sampling rate of most records.
    pub(crate) fn sampling_origin(&self) -> Option<SamplingOrigin> {
        let counted = SamplingOrigin::ALL.into_iter().zip(self.sampling_origins).filter(|(_, count)| *count > 0);
        counted.max_by_key(|(_, count)| *count).map(|(origin, _)| origin)
    }

    /// Datagrams received and decoded, and datagrams sent, as far as it is known; `None` where nothing tells.
    ///
    /// Losses by the sequence numbers hold what the kernel dropped. Only where there are none its drops
    /// are taken, as if all were this exporter's.
    pub(crate) fn coverage(&self) -> Option<(f64, f64)> {
        let datagrams = self.datagrams as f64;
        let share_lost = |came: u64, lost: i64| {
            let lost = lost.max(0) as f64;
            if lost > 0.0 { lost / (came as f64 + lost) } else { 0.0 }
        };
        let lost = match (self.lost_records, self.lost_datagrams) {
            // sFlow tells of both: datagrams that never came, and samples that its agent dropped.
            (Some(records), Some(lost)) => share_lost(self.records, records).max(share_lost(self.datagrams, lost)),
            (Some(lost), None) => share_lost(self.records, lost),
            (None, Some(lost)) => share_lost(self.datagrams, lost),
            (None, None) if self.kernel_drops > 0 => self.kernel_drops as f64 / (datagrams + self.kernel_drops as f64),
            (None, None) => return None,
        };
        if self.datagrams == 0 {
            return None;
        }
        let undecodable = (self.undecodable as f64 / datagrams).min(1.0);
        // Everything lost cannot be where something came.
        let sent = datagrams / (1.0 - lost).max(f64::EPSILON);
        Some((datagrams * (1.0 - undecodable), sent))
    }
}

fn sum(held: Option<i64>, told: Option<i64>) -> Option<i64> {
    match (held, told) {
        (Some(held), Some(told)) => Some(held.saturating_add(told)),
        (held, told) => held.or(told),
    }
}

/// One exporter in one minute of reception.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExporterMinute {
    pub(crate) domains: BTreeMap<Domain, Heard>,
    /// Directions in which records of it were placed, as bits by [`direction_bit`].
    pub(crate) directions: u8,
}

impl ExporterMinute {
    fn records(&self) -> u64 {
        self.domains.values().map(|heard| heard.records).sum()
    }
}

/// One minute of reception.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Minute {
    pub(crate) exporters: BTreeMap<Address, ExporterMinute>,
    pub(crate) is_published: bool,
}

/// How long a domain holds a flow before it sends it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) timeout_us: i64,
    pub(crate) heard_us: i64,
}

/// All exporters, by minute of reception.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exporters {
    pub(crate) minutes: BTreeMap<i64, Minute>,
    pub(crate) holds: BTreeMap<(Address, Domain), Hold>,
}

pub(crate) const fn direction_bit(direction: Direction) -> u8 {
    match direction {
        Direction::ToMicrosoft => 1,
        Direction::FromMicrosoft => 2,
    }
}

impl Exporters {
    /// Takes a worker's report in, received by `now_us`, into the minute that starts at `minute_us`; false
    /// where it found no room for its own row.
    pub(crate) fn report(
        &mut self,
        health: &ExporterHealth,
        kernel_drops: u64,
        (minute_us, now_us): (i64, i64),
        settings: &MeasureSettings,
    ) -> bool {
        let minute = self.minutes.entry(minute_us).or_default();
        // A clock that was set back comes by once more: the row is told again, with both.
        minute.is_published = false;
        let mut key = (health.address, (health.domain, health.protocol));
        let is_known = minute.exporters.get(&key.0).is_some_and(|exporter| exporter.domains.contains_key(&key.1));
        let rows = minute.exporters.len();
        let has_room = is_known || rows < settings.exporter_rows_max;
        if !has_room {
            key = (Address::UNKNOWN, (0, health.protocol));
        }
        minute.exporters.entry(key.0).or_default().domains.entry(key.1).or_default().add(health, kernel_drops);
        if has_room && health.records > 0 {
            let told_us = health.active_timeout_s.map(|seconds| i64::from(seconds) * SECOND_US);
            let longest_us = (settings.revision_seconds_most - settings.revision_seconds).max(0) * SECOND_US;
            let timeout_us = match health.protocol {
                // A packet sample is sent at once: there is no cache.
                Protocol::Sflow => 0,
                _ => told_us.unwrap_or(settings.active_timeout_seconds * SECOND_US).clamp(0, longest_us),
            };
            self.hold(key, timeout_us, now_us);
        }
        has_room
    }

    fn hold(&mut self, key: (Address, Domain), timeout_us: i64, now_us: i64) {
        // In steps of 10 s: a measured time-out wavers, and each step is another time to publish.
        let step_us = 10 * SECOND_US;
        let timeout_us = timeout_us.saturating_add(step_us - 1).div_euclid(step_us) * step_us;
        let hold = self.holds.entry(key).or_insert(Hold { timeout_us, heard_us: now_us });
        let is_same_moment = hold.heard_us == now_us;
        hold.timeout_us = if is_same_moment { hold.timeout_us.max(timeout_us) } else { timeout_us };
        hold.heard_us = hold.heard_us.max(now_us);
    }

    /// Notes that records of an exporter were placed in a direction, in the minute that starts then.
    pub(crate) fn place(&mut self, exporter: Address, direction: Direction, minute_us: i64) {
        let minute = self.minutes.entry(minute_us).or_default();
        if let Some(held) = minute.exporters.get_mut(&exporter) {
            held.directions |= direction_bit(direction);
        }
    }

    /// How long an exporter holds flows; `None` where it has sent no records.
    pub(crate) fn timeout_us(&self, exporter: Address) -> Option<i64> {
        let domains = (exporter, (u32::MIN, Protocol::NetflowV5))..=(exporter, (u32::MAX, Protocol::Sflow));
        self.holds.range(domains).map(|(_, hold)| hold.timeout_us).max()
    }

    /// All hold times of exporters heard of late, ascending, each once.
    pub(crate) fn timeouts_us(&self) -> Vec<i64> {
        let mut timeouts: Vec<i64> = self.holds.values().map(|hold| hold.timeout_us).collect();
        timeouts.sort_unstable();
        timeouts.dedup();
        timeouts
    }

    fn in_minutes(&self, exporter: Address, from_us: i64, to_us: i64) -> impl Iterator<Item = &ExporterMinute> {
        let from_us = slot_start_us(from_us, WINDOW_US);
        let minutes = (from_us < to_us).then(|| self.minutes.range(from_us..to_us));
        minutes.into_iter().flatten().filter_map(move |(_, minute)| minute.exporters.get(&exporter))
    }

    /// Whether it would show traffic of the direction, were there any: it sent records in the time, and
    /// not only ones of the other direction (a router that meters one side shows one direction only).
    pub(crate) fn shows(&self, exporter: Address, direction: Direction, from_us: i64, to_us: i64) -> bool {
        let (mut records, mut directions) = (0, 0);
        for minute in self.in_minutes(exporter, from_us, to_us) {
            records += minute.records();
            directions |= minute.directions;
        }
        records > 0 && (directions == 0 || directions & direction_bit(direction) != 0)
    }

    /// Share of what these exporters sent in the time that was received and decoded; `None` where nothing tells.
    pub(crate) fn coverage(&self, exporters: &[Address], from_us: i64, to_us: i64) -> Option<f64> {
        let (mut received, mut sent) = (0.0, 0.0);
        for exporter in exporters {
            for heard in self.in_minutes(*exporter, from_us, to_us).flat_map(|minute| minute.domains.values()) {
                let (came, all) = heard.coverage().unwrap_or((0.0, 0.0));
                received += came;
                sent += all;
            }
        }
        (sent > 0.0).then(|| received / sent)
    }

    /// Forgets minutes before `at_us`, and exporters that were silent for over an hour at `now_us`.
    pub(crate) fn forget(&mut self, at_us: i64, now_us: i64) {
        self.minutes = self.minutes.split_off(&at_us);
        self.holds.retain(|_, hold| hold.heard_us >= now_us.saturating_sub(HEARD_US));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(datagrams: u64, records: u64) -> Heard {
        Heard { datagrams, records, ..Heard::default() }
    }

    #[test]
    fn coverage_is_what_came_of_what_was_sent() {
        let check = |heard: Heard, expected: Option<f64>| {
            let coverage = heard.coverage().map(|(came, sent)| (came / sent * 1e9).round() / 1e9);
            assert_eq!(coverage, expected, "{heard:?}");
        };
        check(heard(90, 900), None);
        check(Heard { lost_datagrams: Some(10), ..heard(90, 900) }, Some(0.9));
        check(Heard { lost_datagrams: Some(-3), ..heard(90, 900) }, Some(1.0));
        check(Heard { lost_records: Some(300), lost_datagrams: Some(0), ..heard(90, 900) }, Some(0.75));
        check(Heard { lost_records: Some(0), lost_datagrams: Some(10), ..heard(90, 900) }, Some(0.9));
        check(Heard { kernel_drops: 10, ..heard(90, 900) }, Some(0.9));
        // What the kernel dropped is among what the sequence numbers miss.
        check(Heard { kernel_drops: 10, lost_datagrams: Some(10), ..heard(90, 900) }, Some(0.9));
        check(Heard { undecodable: 45, lost_datagrams: Some(10), ..heard(90, 900) }, Some(0.45));
        check(Heard { undecodable: 900, lost_datagrams: Some(0), ..heard(90, 0) }, Some(0.0));
        check(Heard { lost_datagrams: Some(10), ..heard(0, 0) }, None);
    }
}
