//! What was told against what is true.

use std::collections::BTreeMap;
use std::fmt;

use model::tables::FailoverRow;

use crate::scenario::{Scenario, Truth};
use crate::world::DIRECTIONS;
use crate::{BIN_US, Run};

/// A change must be of so many standard errors to count.
const ERRORS: f64 = 6.0;
/// Rows that begin within so many bins of an event are of it.
const NEAR_BINS: i64 = 12;

#[derive(Default)]
pub(crate) struct Score {
    /// Events of at least 6 standard errors, and those of them that were found.
    pub(crate) events: usize,
    pub(crate) found: usize,
    /// Reports, but those of events that are too small to count; and those of them that are true.
    pub(crate) reports: usize,
    pub(crate) true_reports: usize,
    pub(crate) starts_right: usize,
    pub(crate) shares: usize,
    pub(crate) shares_right: usize,
    kinds_right: usize,
    versions_right: usize,
    soon: usize,
    flaps: (usize, usize),
    ends: (usize, usize),
    returns: (usize, usize),
    small: usize,
    by_kind: BTreeMap<&'static str, (usize, usize)>,
    confused: BTreeMap<(&'static str, String), usize>,
    notes: Vec<String>,
}

/// Lower end of the interval by Wilson in which a share lies with 95 % (one-sided 97.5 %).
pub(crate) fn lower_bound(of: usize, all: usize) -> f64 {
    let (z, n) = (1.96_f64, all as f64);
    let share = of as f64 / n;
    (share + z * z / (2.0 * n) - z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt()) / (1.0 + z * z / n)
}

impl Score {
    pub(crate) fn add(&mut self, seed: u64, scenario: &Scenario, run: &Run) {
        let mut last: BTreeMap<&str, &FailoverRow> = BTreeMap::new();
        for row in &run.rows {
            let held = last.entry(&row.event_id).or_insert(row);
            if row.revision >= held.revision {
                *held = row;
            }
        }
        let first_detected: BTreeMap<&str, i64> = run.rows.iter().rev().map(|row| (&*row.event_id, row.detected_at.0)).collect();
        let mut free: Vec<&FailoverRow> = last.into_values().collect();
        let mut unfound = Vec::new();
        for truth in &scenario.truths {
            let is_large = truth.direction.is_none() || errors(scenario, run, truth) >= ERRORS;
            let near = free.iter().position(|row| is_of(scenario, truth, row));
            let row = near.map(|index| free.remove(index));
            if row.is_none() {
                unfound.push(truth);
            }
            if !is_large {
                self.small += 1;
                continue;
            }
            self.events += 1;
            let of = self.by_kind.entry(truth.kind).or_default();
            of.1 += 1;
            let Some(row) = row else {
                self.notes.push(format!("seed {seed}: missed {truth:?} of {:.1} errors", errors(scenario, run, truth)));
                continue;
            };
            of.0 += 1;
            self.found += 1;
            self.reports += 1;
            self.true_reports += 1;
            self.compare(seed, scenario, truth, row, first_detected[&*row.event_id]);
        }
        for row in free {
            if unfound.iter().any(|truth| is_return(scenario, truth, row)) {
                // What moves back falls where it was: true, of an event that was too small to count.
                self.small += 1;
                continue;
            }
            self.reports += 1;
            let first = scenario.first;
            self.notes.push(format!(
                "seed {seed}: false {} {} at {} v{:?} ({:?}), {}",
                row.event_id,
                row.kind,
                row.started_at.0 / BIN_US - first,
                row.ip_version,
                row.fallen_share,
                row.evidence
            ));
        }
    }

    fn compare(&mut self, seed: u64, scenario: &Scenario, truth: &Truth, row: &FailoverRow, detected_us: i64) {
        let start = row.started_at.0 / BIN_US;
        if (start - truth.start).abs() <= 1 {
            self.starts_right += 1;
        } else {
            self.notes.push(format!("seed {seed}: start {} of {} at {}", start - truth.start, truth.kind, row.event_id));
        }
        self.kinds_right += usize::from(*row.kind == *truth.kind);
        if *row.kind != *truth.kind {
            *self.confused.entry((truth.kind, row.kind.to_string())).or_default() += 1;
        }
        self.versions_right += usize::from(row.ip_version == truth.ip_version);
        if row.ip_version != truth.ip_version {
            self.notes.push(format!(
                "seed {seed}: v{:?} for {:?} of {} at {}",
                row.ip_version, truth.ip_version, truth.kind, row.event_id
            ));
        }
        let lag =
            truth.links.iter().map(|link| scenario.world.routers[scenario.world.places[*link].router].lag).max().unwrap_or(0);
        let lag = if truth.direction.is_none() { 0 } else { lag };
        self.soon += usize::from(detected_us / BIN_US - 2 - truth.start <= 2 + lag);
        self.flaps.1 += 1;
        self.flaps.0 += usize::from(row.flaps == truth.flaps);
        if row.flaps != truth.flaps {
            self.notes.push(format!("seed {seed}: {} flaps for {} of {}", row.flaps, truth.flaps, row.event_id));
        }
        if let Some(end) = truth.end {
            self.ends.1 += 1;
            let ended = row.ended_at.map(|at| at.0 / BIN_US);
            let is_right = ended.is_some_and(|ended| (ended - end).abs() <= 3);
            self.ends.0 += usize::from(is_right);
            if !is_right {
                self.notes.push(format!(
                    "seed {seed}: ended {:?} for {} of {} {}",
                    ended.map(|at| at - end),
                    truth.kind,
                    row.event_id,
                    row.evidence
                ));
            }
            if let Some(share) = row.returned_share {
                self.returns.1 += 1;
                self.returns.0 += usize::from((share - 1.0).abs() < 0.2);
            }
        }
        if matches!(truth.kind, "member_lost" | "microsoft_wide" | "own_demand") {
            return;
        }
        self.compare_shares(seed, scenario, truth, row);
    }

    fn compare_shares(&mut self, seed: u64, scenario: &Scenario, truth: &Truth, row: &FailoverRow) {
        let Some(unaccounted) = row.unaccounted_share else {
            self.shares += 1;
            self.notes.push(format!("seed {seed}: no shares of {}", row.event_id));
            return;
        };
        let general = row.unaccounted_error.unwrap_or(0.0);
        let mut compared = vec![("nowhere".to_owned(), unaccounted, general, truth.unaccounted)];
        for (link, share) in &truth.shares {
            let name = &scenario.world.places[*link].link.name;
            let moved = row.moved.iter().find(|moved| moved.connection == *name && moved.group.is_none());
            let (told, error) = moved.map_or((0.0, general), |moved| (moved.share.unwrap(), moved.share_error.unwrap()));
            if !truth.links.contains(link) && (*share > 0.0 || moved.is_some()) {
                compared.push((name.to_string(), told, error, *share));
            }
        }
        for (name, told, error, share) in compared {
            self.shares += 1;
            if (told - share).abs() <= (3.0 * error).max(0.03) {
                self.shares_right += 1;
            } else {
                self.notes.push(format!(
                    "seed {seed}: share {told:.3} ± {error:.3} for {share:.3} of {name} in {} {} ({}..{:?}, end {:?})",
                    row.kind,
                    row.event_id,
                    truth.start,
                    row.moved_seconds,
                    truth.end.map(|end| end - truth.start)
                ));
            }
        }
    }
}

/// Whether a row may be of an event.
fn is_of(scenario: &Scenario, truth: &Truth, row: &FailoverRow) -> bool {
    let direction = truth.direction.map(|index| DIRECTIONS[index].name());
    let is_named = truth.links.iter().any(|link| row.connections.contains(&scenario.world.places[*link].link.name));
    let is_near = (row.started_at.0 / BIN_US - truth.start).abs() <= NEAR_BINS;
    row.direction.as_deref() == direction && is_named && is_near
}

/// Whether a row is of the return of what moved in an event that nobody found.
fn is_return(scenario: &Scenario, truth: &Truth, row: &FailoverRow) -> bool {
    let took = truth
        .shares
        .iter()
        .any(|(link, share)| *share > 0.0 && row.connections.contains(&scenario.world.places[*link].link.name));
    let is_then = truth.end.is_some_and(|end| (row.started_at.0 / BIN_US - end).abs() <= 3);
    row.direction.as_deref() == truth.direction.map(|index| DIRECTIONS[index].name()) && took && is_then
}

/// How large a change is: in scatter of the bins before it, which holds that of sampling.
fn errors(scenario: &Scenario, run: &Run, truth: &Truth) -> f64 {
    let Some(direction) = truth.direction else { return f64::INFINITY };
    let before = (truth.start - 30..truth.start).map(|bin| {
        let seen = &run.seen[(bin - scenario.first) as usize];
        let of = truth.links.iter().map(|link| {
            seen[link * 2 + direction].map(|[v4, v6]| match truth.ip_version {
                Some(4) => v4,
                Some(6) => v6,
                _ => v4 + v6,
            })
        });
        of.sum::<Option<f64>>()
    });
    let Some(before) = before.collect::<Option<Vec<f64>>>() else { return 0.0 };
    let mean = before.iter().sum::<f64>() / before.len() as f64;
    let variance = before.iter().map(|load| (load - mean).powi(2)).sum::<f64>() / (before.len() - 1) as f64;
    // What the detector does not want to know of: less than 5 %, and less than 1 Mbit/s.
    let is_worth_it = truth.fall_bps >= 0.06 * truth.before_bps && truth.before_bps >= 1e6;
    if is_worth_it { truth.fall_bps / variance.sqrt().max(1.0) } else { 0.0 }
}

impl fmt::Display for Score {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |of: usize, all: usize| {
            format!("{of} of {all} = {:.2} % (at least {:.2} %)", 100.0 * of as f64 / all as f64, 100.0 * lower_bound(of, all))
        };
        self.notes.iter().try_for_each(|note| writeln!(out, "{note}"))?;
        writeln!(out, "recall {}", line(self.found, self.events))?;
        writeln!(out, "precision {}", line(self.true_reports, self.reports))?;
        writeln!(out, "starts within a bin {}", line(self.starts_right, self.found))?;
        writeln!(out, "shares {}", line(self.shares_right, self.shares))?;
        writeln!(out, "found within two bins of maturity {}", line(self.soon, self.found))?;
        writeln!(out, "kinds {}; IP versions {}", line(self.kinds_right, self.found), line(self.versions_right, self.found))?;
        writeln!(
            out,
            "flaps {}; ends {}; returns {}",
            line(self.flaps.0, self.flaps.1),
            line(self.ends.0, self.ends.1),
            line(self.returns.0, self.returns.1)
        )?;
        writeln!(out, "too small to count: {}", self.small)?;
        writeln!(out, "by kind: {:?}", self.by_kind)?;
        writeln!(out, "confused: {:?}", self.confused)
    }
}
