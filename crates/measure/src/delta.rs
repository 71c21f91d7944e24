//! What one worker counted between two reports.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use model::tag::TagNames;
use model::{Address, ExporterHealth, InterfaceCounters, Link, Port};

use crate::cell::Counted;
use crate::lane::Lane;
use crate::latency::LatencyDelta;
use crate::sums::BinSums;

/// What one worker counted between two reports, with the names behind its numbers.
///
/// It goes to the one [`crate::Owner`], the deltas of a worker in their order. Deltas hold integers only:
/// the way in which records were split over workers does not change what the owner publishes.
///
/// Lanes and cells have numbers that hold as long as the epoch does, and are told of once.
pub struct Delta {
    pub(crate) epoch: u64,
    pub(crate) links: Vec<Arc<Link>>,
    pub(crate) ports: Vec<Arc<Port>>,
    pub(crate) names: Arc<TagNames>,
    /// Addresses by the worker's number of the exporter.
    pub(crate) exporters: Vec<Option<Address>>,
    /// Lanes that were opened since the last report, in the order of their numbers.
    pub(crate) lanes: Vec<Lane>,
    pub(crate) bins: Vec<(u32, i64, BinSums)>,
    pub(crate) counted: Counted,
    pub(crate) counters: Vec<PlacedCounters>,
    pub(crate) health: Vec<ExporterHealth>,
    /// Datagrams that the kernel dropped since the last report.
    pub(crate) kernel_drops: u64,
    pub(crate) losses: DeltaLosses,
    pub(crate) latency: LatencyDelta,
}

impl Delta {
    /// The same with what was measured of latency; its links are those of the same directory.
    #[must_use]
    pub fn with_latency(self, latency: LatencyDelta) -> Delta {
        Delta { latency, ..self }
    }
}

/// A reading of interface counters on a port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlacedCounters {
    pub(crate) port: u32,
    pub(crate) is_member: bool,
    pub(crate) counters: InterfaceCounters,
}

/// What a worker could not count as it came; nothing of it is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaLosses {
    /// Records that were counted on the link or port `other` because there were too many lanes.
    pub folded_lanes: u64,
    /// Parts of records that were counted in another bin because there were too many.
    pub moved_bins: u64,
    /// Records that were counted as tag or prefix `other` because there were too many cells.
    pub folded_cells: u64,
    /// Records of absurd duration, of which only the last part was used for spreading.
    pub clamped_durations: u64,
    /// Measurements of latency that found no room, or came for closed windows: they are in no row.
    pub latency_refused: u64,
}

impl DeltaLosses {
    pub(crate) fn add(&mut self, other: &DeltaLosses) {
        self.folded_lanes += other.folded_lanes;
        self.moved_bins += other.moved_bins;
        self.folded_cells += other.folded_cells;
        self.clamped_durations += other.clamped_durations;
        self.latency_refused = self.latency_refused.saturating_add(other.latency_refused);
    }
}
