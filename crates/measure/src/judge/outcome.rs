//! What a failure would come to.

use super::network::{most, p95};

/// A load over time: the most, when that is, and the 95th percentile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amount {
    /// The most, bit/s.
    pub most_bps: f64,
    /// Its time step.
    pub step: usize,
    /// 95th percentile by nearest rank, bit/s.
    pub p95_bps: f64,
}

impl Amount {
    /// Of a series; all 0 where nothing of it is known.
    pub(super) fn of(values: &[f64]) -> Amount {
        let found = most(values).zip(p95(values));
        found.map_or_else(Amount::default, |((most_bps, step), p95_bps)| Amount { most_bps, step, p95_bps })
    }

    /// Nothing, whenever a series is known.
    pub(super) fn none_of(values: &[f64]) -> Amount {
        Amount { step: values.iter().position(|value| !value.is_nan()).unwrap_or(0), ..Amount::default() }
    }
}

/// A survivor that takes something, and what its whole port comes to carry on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Survivor {
    /// Place of the connection or transit link.
    pub connection: usize,
    /// Load of its port over capacity at the worst moment; `None` where load or capacity is unknown.
    pub utilisation: Option<f64>,
    /// The same without the failure, at the same moment.
    pub utilisation_before: Option<f64>,
    /// 95th percentile of the load over capacity.
    pub utilisation_p95: Option<f64>,
    /// Load of its port; `None` where it is unknown.
    pub load: Option<Amount>,
    /// What all that fails carries at the worst moment, bit/s.
    pub lost_bps: f64,
    /// What it takes at that moment, bit/s, by [`Origin::ALL`].
    pub taken_bps: [f64; 4],
    /// Standard error of what it takes at that moment, bit/s; `None` where nothing tells how good a rule is.
    pub error_bps: Option<f64>,
}

impl Survivor {
    /// What it takes at the worst moment, bit/s.
    pub fn taken(&self) -> f64 {
        self.taken_bps.iter().sum()
    }
}

/// What a failure would come to. What moves is what stays in the metro, leaves it, goes to transit, finds nothing, or was not
/// found again in the earlier failover.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Those that take something, the fullest first; those of unknown load last.
    pub survivors: Vec<Survivor>,
    /// What the failed carried.
    pub moved: Amount,
    /// What finds no room: load of survivors' ports above the line at which they are full, as far as the failure brings it.
    pub does_not_fit: Amount,
    /// What goes to connections of other metros; `None` where it is not known what is in which metro.
    pub leaves_metro: Option<Amount>,
    /// What goes to transit.
    pub to_transit: Amount,
    /// What no survivor can be named for: none is left, or none has a known capacity.
    pub nowhere: Amount,
    /// What was not found again in the earlier failover whose shares these are.
    pub unaccounted: Amount,
    /// Places of those that fail whose load is unknown throughout: they are not in any figure.
    pub unknown: Vec<usize>,
    /// Time steps that could be judged: those in which all loads of the failed are known.
    pub steps_known: usize,
}

impl Outcome {
    /// The fullest survivor.
    pub fn worst(&self) -> Option<&Survivor> {
        self.survivors.first().filter(|survivor| survivor.utilisation.is_some())
    }

    /// Whether the survivors hold, up to a load over capacity of `full`; `None` where it is not known.
    pub fn holds(&self, full: f64) -> Option<bool> {
        let is_over = self.worst().and_then(|worst| worst.utilisation).is_some_and(|ratio| ratio > full);
        if is_over || self.nowhere.most_bps > 0.0 {
            return Some(false);
        }
        let is_known = self.steps_known > 0 && self.survivors.iter().all(|survivor| survivor.utilisation.is_some());
        is_known.then_some(true)
    }

    /// By how much all loads may grow until a survivor is over `full`: 0.25 is a quarter; below 0 it is over now.
    pub fn growth_left(&self, full: f64) -> Option<f64> {
        self.worst()?.utilisation.filter(|ratio| *ratio > 0.0).map(|ratio| full / ratio - 1.0)
    }
}
