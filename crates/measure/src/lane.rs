//! Lanes: what of a link or port a worker counts apart, and its bins.
//!
//! Nearly all records of a link come from one exporter, view and rate, so there are few lanes and few
//! bins in a second: both tables stay in the cache, and the bin in use is at hand without a look-up.

use std::hash::{Hash, Hasher};

use hashbrown::HashMap;
use model::{Direction, MatchedBy, View};

use crate::scale::Scale;
use crate::sums::{BinSums, Sums};

/// Index that stands for the link or port `other`.
pub(crate) const OTHER: u32 = u32::MAX;

/// What can be folded into `other` when a table is full.
pub(crate) trait Lane: Copy + Eq + Hash {
    /// The lane that takes in what finds no room; there are few of them.
    fn overflow(self) -> Self;
}

/// Records of one link that are added up together; indexes are those of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkLane {
    pub(crate) link: u32,
    pub(crate) exporter: u32,
    pub(crate) scale: Scale,
    pub(crate) direction: Direction,
    pub(crate) view: View,
    pub(crate) matched_by: MatchedBy,
    pub(crate) is_through: bool,
}

impl Lane for LinkLane {
    fn overflow(self) -> LinkLane {
        // Rates are not kept apart there, so nothing of it may be scaled.
        let LinkLane { direction, is_through, .. } = self;
        let (view, matched_by) = (View::Unstated, MatchedBy::Unresolved);
        LinkLane { link: OTHER, exporter: OTHER, scale: Scale::UNKNOWN, direction, view, matched_by, is_through }
    }
}

impl Hash for LinkLane {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let flags =
            self.direction as u64 | (self.view as u64) << 8 | (self.matched_by as u64) << 16 | u64::from(self.is_through) << 24;
        state.write_u64(u64::from(self.link) << 32 | u64::from(self.exporter));
        state.write_u64(u64::from(self.scale.population) << 32 | u64::from(self.scale.sample));
        state.write_u64(flags | u64::from(self.scale.is_flow_sampled) << 32);
    }
}

/// Records of one port that are added up together; indexes are those of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortLane {
    pub(crate) port: u32,
    pub(crate) exporter: u32,
    pub(crate) scale: Scale,
    pub(crate) direction: Direction,
    pub(crate) view: View,
}

impl Lane for PortLane {
    fn overflow(self) -> PortLane {
        PortLane { port: OTHER, exporter: OTHER, scale: Scale::UNKNOWN, direction: self.direction, view: View::Unstated }
    }
}

impl Hash for PortLane {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let flags = self.direction as u64 | (self.view as u64) << 8 | u64::from(self.scale.is_flow_sampled) << 32;
        state.write_u64(u64::from(self.port) << 32 | u64::from(self.exporter));
        state.write_u64(u64::from(self.scale.population) << 32 | u64::from(self.scale.sample));
        state.write_u64(flags);
    }
}

/// The lanes of a worker and their bins.
pub(crate) struct Lanes<K> {
    index: HashMap<K, u32>,
    lanes: Vec<OpenLane<K>>,
    /// Bins that are not in use now, by lane and start.
    bins: HashMap<(u32, i64), BinSums>,
    last: Option<(K, u32)>,
    /// Where bytes go when there are too many bins: the first bin since the last report.
    first_bin: Option<i64>,
    lanes_max: usize,
    bins_max: usize,
    /// Records that were folded into `other` for want of lanes.
    pub(crate) folded: u64,
    /// Parts that were moved to another bin for want of bins.
    pub(crate) moved: u64,
}

struct OpenLane<K> {
    key: K,
    bin: i64,
    sums: BinSums,
}

impl<K: Lane> Lanes<K> {
    pub(crate) fn new(lanes_max: usize, bins_max: usize) -> Lanes<K> {
        Lanes {
            index: HashMap::new(),
            lanes: Vec::new(),
            bins: HashMap::new(),
            last: None,
            first_bin: None,
            lanes_max,
            bins_max,
            folded: 0,
            moved: 0,
        }
    }

    /// The number of a lane; records come in runs of the same one.
    pub(crate) fn lane(&mut self, key: K) -> u32 {
        match self.last {
            Some((last, lane)) if last == key => lane,
            _ => self.find(key),
        }
    }

    fn find(&mut self, key: K) -> u32 {
        let lane = match self.index.get(&key) {
            Some(lane) => *lane,
            None if self.lanes.len() < self.lanes_max || key == key.overflow() => {
                let lane = self.lanes.len() as u32;
                self.lanes.push(OpenLane { key, bin: i64::MIN, sums: BinSums::default() });
                self.index.insert(key, lane);
                lane
            }
            None => {
                self.folded += 1;
                return self.find(key.overflow());
            }
        };
        self.last = Some((key, lane));
        lane
    }

    /// Counts the parts of one record; `whole` holds what is not spread and goes to its last bin.
    pub(crate) fn add(&mut self, lane: u32, parts: &[(i64, Sums)], whole: &BinSums) {
        for (bin, part) in parts {
            self.bin(lane, *bin).sums.add(part);
        }
        if whole.ledger_records > 0 || whole.moments.count > 0 {
            let last = parts.last().map_or(0, |(bin, _)| *bin);
            self.bin(lane, last).add(whole);
        }
    }

    fn bin(&mut self, lane: u32, bin: i64) -> &mut BinSums {
        let open = &mut self.lanes[lane as usize];
        if open.bin == bin {
            return &mut open.sums;
        }
        if self.bins.len() >= self.bins_max && !self.bins.contains_key(&(lane, bin)) {
            self.moved += 1;
            let first = *self.first_bin.get_or_insert(bin);
            return self.bins.entry((lane, first)).or_default();
        }
        self.first_bin.get_or_insert(bin);
        if open.bin != i64::MIN {
            self.bins.entry((lane, open.bin)).or_default().add(&open.sums);
        }
        open.bin = bin;
        open.sums = BinSums::default();
        &mut open.sums
    }

    /// Everything counted, and empty tables.
    pub(crate) fn take(&mut self) -> (Vec<K>, Vec<(u32, i64, BinSums)>) {
        let mut counted = Vec::with_capacity(self.bins.len() + self.lanes.len());
        counted.extend(self.bins.drain().map(|((lane, bin), sums)| (lane, bin, sums)));
        let open = self.lanes.iter().enumerate().filter(|(_, open)| open.bin != i64::MIN);
        counted.extend(open.map(|(lane, open)| (lane as u32, open.bin, open.sums)));
        let keys = self.lanes.drain(..).map(|open| open.key).collect();
        self.index.clear();
        self.last = None;
        self.first_bin = None;
        (keys, counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(port: u32) -> PortLane {
        let scale = Scale { population: 1, sample: 1, is_flow_sampled: false };
        PortLane { port, exporter: 0, scale, direction: Direction::ToMicrosoft, view: View::OwnPort }
    }

    fn sums(bytes: u64) -> Sums {
        Sums { bytes, packets: 1, records: 1, ..Sums::default() }
    }

    #[test]
    fn bins_may_come_in_any_order() {
        let mut lanes = Lanes::new(10, 100);
        for bin in [0, 10, 0, 20, 10, 0] {
            let number = lanes.lane(lane(7));
            lanes.add(number, &[(bin, sums(1))], &BinSums::default());
        }
        let (keys, counted) = lanes.take();
        let mut totals = std::collections::BTreeMap::<i64, u64>::new();
        counted.iter().for_each(|(_, bin, sums)| *totals.entry(*bin).or_default() += sums.sums.bytes);
        assert_eq!((keys, totals.into_iter().collect::<Vec<_>>()), (vec![lane(7)], vec![(0, 3), (10, 2), (20, 1)]));
        assert!(lanes.take().1.is_empty());
    }

    #[test]
    fn what_finds_no_room_is_counted_as_other() {
        let mut lanes = Lanes::new(2, 4);
        for port in 0..10 {
            let number = lanes.lane(lane(port));
            lanes.add(number, &[(0, sums(1))], &BinSums::default());
        }
        assert_eq!(lanes.folded, 8);
        let (keys, counted) = lanes.take();
        assert_eq!(keys, [lane(0), lane(1), lane(0).overflow()]);
        assert_eq!(counted.iter().map(|(_, _, sums)| sums.sums.bytes).sum::<u64>(), 10);

        for bin in 0..100 {
            let number = lanes.lane(lane(0));
            lanes.add(number, &[(bin, sums(1))], &BinSums::default());
        }
        assert!(lanes.moved > 90);
        let (_, counted) = lanes.take();
        assert!(counted.len() <= 6);
        assert_eq!(counted.iter().map(|(_, _, sums)| sums.sums.bytes).sum::<u64>(), 100);
    }
}
