//! Windows as the owner holds them: 60 s of links and ports.

use serde::{Deserialize, Serialize};
use std::hash::Hash;

use hashbrown::HashMap;
use model::time::{BIN_US, WINDOW_US};
use model::{Direction, MatchedBy, View};

use crate::latency::LatencyWindow;
use crate::scale::Scale;
use crate::sums::{BinSums, Moments, Sums};

/// Bins in a window.
pub(crate) const BINS: usize = (WINDOW_US / BIN_US) as usize;

/// A link (or port) and direction, by the owner's number.
pub(crate) type Way = (u32, Direction);

/// Records of a link that are added up together in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct LinkKey {
    pub(crate) way: Way,
    pub(crate) view: View,
    pub(crate) scale: Scale,
    pub(crate) matched_by: MatchedBy,
    pub(crate) is_through: bool,
}

/// Records of a port that are added up together in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct PortKey {
    pub(crate) way: Way,
    pub(crate) view: View,
    pub(crate) scale: Scale,
}

/// What is counted in a window, on the link layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WindowSums {
    /// Bytes by bin.
    pub(crate) bins: [u64; BINS],
    /// Of them those of IPv6.
    pub(crate) v6_bins: [u64; BINS],
    pub(crate) sums: Sums,
    pub(crate) moments: Moments,
}

impl WindowSums {
    fn add_bin(&mut self, bin: usize, counted: &BinSums, is_v6: bool) {
        self.bins[bin] = self.bins[bin].saturating_add(counted.sums.bytes);
        if is_v6 {
            self.v6_bins[bin] = self.v6_bins[bin].saturating_add(counted.sums.bytes);
        }
        self.sums.add(&counted.sums);
        self.moments.add(&counted.moments);
    }

    pub(crate) fn add(&mut self, other: &WindowSums) {
        let bins = self.bins.iter_mut().zip(other.bins).chain(self.v6_bins.iter_mut().zip(other.v6_bins));
        for (bin, bytes) in bins {
            *bin = bin.saturating_add(bytes);
        }
        self.sums.add(&other.sums);
        self.moments.add(&other.moments);
    }
}

/// When a window was published, and what was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    /// The longest active timeout that had passed when it was published; `None` before.
    pub(crate) passed_us: Option<i64>,
    /// When it was published last.
    pub(crate) at_us: i64,
    /// Something was counted in it since.
    pub(crate) is_dirty: bool,
}

impl Schedule {
    pub(crate) fn publish(&mut self, passed_us: Option<i64>, now_us: i64) {
        self.passed_us = passed_us.max(self.passed_us);
        self.at_us = now_us;
        self.is_dirty = false;
    }
}

/// 60 s of all links and ports.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) links: HashMap<LinkKey, WindowSums>,
    pub(crate) ports: HashMap<PortKey, WindowSums>,
    /// Bytes that came in this window for closed ones.
    pub(crate) late: HashMap<(Way, View), u64>,
    pub(crate) latency: LatencyWindow,
    pub(crate) schedule: Schedule,
}

impl Window {
    pub(crate) fn add_link(&mut self, key: LinkKey, bin: usize, counted: &BinSums, is_v6: bool) {
        self.links.entry(key).or_default().add_bin(bin, counted, is_v6);
        self.schedule.is_dirty = true;
    }

    pub(crate) fn add_port(&mut self, key: PortKey, bin: usize, counted: &BinSums, is_v6: bool) {
        self.ports.entry(key).or_default().add_bin(bin, counted, is_v6);
        self.schedule.is_dirty = true;
    }

    pub(crate) fn add_late(&mut self, way: Way, view: View, bytes: u64) {
        let late = self.late.entry((way, view)).or_default();
        *late = late.saturating_add(bytes);
        self.schedule.is_dirty = true;
    }
}

/// The index in its window of the bin that starts at `bin_us`.
pub(crate) fn bin_index(bin_us: i64) -> usize {
    (bin_us.rem_euclid(WINDOW_US) / BIN_US) as usize
}
