//! Latency that active probes measured.

use model::Name;
use model::latency::{Derivation, End, Method, Span};

use super::cells::{LatencyCells, LatencyDelta, LatencyKey, Values};
use super::histogram::Histogram;
use crate::settings::MeasureSettings;

/// What a probe measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// When.
    pub at_us: i64,
    /// Index of the link in the worker's directory.
    pub link: u32,
    /// Azure's region.
    pub region: Option<Name>,
    /// What was measured.
    pub span: Span,
    /// Who asked.
    pub initiator: Option<End>,
    /// The probe.
    pub probe: Name,
    /// Single values, µs.
    pub values_us: Vec<u64>,
    /// Of several that are not told singly: how many, and their mean, least and largest, µs.
    pub summary: Option<(u64, f64, Option<u64>, Option<u64>)>,
}

/// Latency of probes, bounded.
pub struct ImportedLatency {
    cells: LatencyCells,
}

impl ImportedLatency {
    /// Nothing measured yet.
    pub fn new(settings: &MeasureSettings) -> ImportedLatency {
        ImportedLatency { cells: LatencyCells::new(settings.worker_latency_buckets_max) }
    }

    /// Takes in what a probe measured.
    pub fn add(&mut self, imported: &Imported) {
        let key = |derivation| LatencyKey {
            link: imported.link,
            return_link: None,
            region: imported.region.clone(),
            method: Method::Imported,
            span: imported.span,
            initiator: imported.initiator,
            element: Some(imported.probe.clone()),
            derivation,
        };
        for value_us in &imported.values_us {
            self.cells.add(imported.at_us, key(Derivation::AsMeasured), &Values::one(*value_us));
        }
        if let Some((samples, mean_us, min_us, max_us)) = imported.summary {
            let sum_us = (mean_us * samples as f64).round() as u64;
            let values = Values { samples, sum_us, min_us, max_us, histogram: Histogram::default() };
            self.cells.add(imported.at_us, key(Derivation::MeanOfSum), &values);
        }
    }

    /// Takes out what was measured since the last time.
    pub fn take(&mut self) -> LatencyDelta {
        self.cells.take()
    }
}
