//! Lanes: what of a link and a port a worker counts apart, and its bins.
//!
//! Nearly all records of a link come from one exporter, view and rate, so there are few lanes and few
//! bins in a second: both tables stay in the cache, and the bins in use are at hand without a look-up.
//! A record that counts on a link counts on its port too, mostly: one lane serves both.

use std::hash::{Hash, Hasher};

use hashbrown::HashMap;
use model::time::BIN_US;
use model::{Direction, MatchedBy, Placement, View};

use crate::scale::Scale;
use crate::sums::BinSums;

/// Index that stands for the link or port `other`.
pub(crate) const OTHER: u32 = u32::MAX;
/// Index that stands for no link, or no port.
pub(crate) const NOWHERE: u32 = Placement::NOWHERE;

/// Records of one link, or port, or both, that are added up together; indexes are those of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) link: u32,
    pub(crate) port: u32,
    pub(crate) exporter: u32,
    pub(crate) scale: Scale,
    pub(crate) direction: Direction,
    pub(crate) view: View,
    /// Of the link; without one it says nothing.
    pub(crate) matched_by: MatchedBy,
    pub(crate) is_through: bool,
    pub(crate) is_v6: bool,
}

impl Lane {
    /// The lane that takes in what finds no room; there are few of them.
    fn overflow(self) -> Lane {
        let other = |index: u32| if index == NOWHERE { NOWHERE } else { OTHER };
        // Rates are not kept apart there, so nothing of it may be scaled.
        Lane {
            link: other(self.link),
            port: other(self.port),
            exporter: OTHER,
            scale: Scale::UNKNOWN,
            direction: self.direction,
            view: View::Unstated,
            matched_by: MatchedBy::Unresolved,
            is_through: self.is_through,
            is_v6: self.is_v6,
        }
    }

    /// All of it in three words: compared in a step each.
    #[inline]
    fn packed(&self) -> PackedLane {
        let flags = self.direction as u32
            | (self.view as u32) << 8
            | (self.matched_by as u32) << 16
            | u32::from(self.is_through) << 24
            | u32::from(self.is_v6) << 25
            | u32::from(self.scale.is_flow_sampled) << 26;
        let both = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        PackedLane([both(self.link, self.port), both(self.scale.population, self.scale.sample), both(self.exporter, flags)])
    }

    /// A number that tells lanes apart that are in use at the same time, mostly.
    fn number(&self) -> u32 {
        (self.link ^ self.port.rotate_left(4)) << 2 | u32::from(self.is_v6) << 1 | self.direction as u32
    }
}

/// A lane as three words; see [`Lane::packed`].
#[derive(Clone, Copy, Debug, Eq)]
struct PackedLane([u64; 3]);

impl PartialEq for PackedLane {
    /// Without a branch each.
    #[inline]
    fn eq(&self, other: &PackedLane) -> bool {
        let ([a, b, c], [d, e, f]) = (self.0, other.0);
        (a ^ d) | (b ^ e) | (c ^ f) == 0
    }
}

impl Hash for PackedLane {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|word| state.write_u64(*word));
    }
}

/// Lanes that are at hand without a look-up.
const AT_HAND: usize = 256;
/// Bins of a lane that are at hand: flows of a minute touch seven.
const OPEN_BINS: usize = 8;

/// The lanes of a worker and their bins.
pub(crate) struct Lanes {
    index: HashMap<PackedLane, u32>,
    lanes: Vec<OpenLane>,
    /// Lanes that were told of at the last report.
    told: usize,
    /// Lanes found last, by [`Lane::number`].
    at_hand: Vec<u32>,
    /// Bins that are not open now, by lane and start.
    bins: HashMap<(u32, i64), BinSums>,
    /// Where bytes go when there are too many bins: the first bin since the last report.
    first_bin: Option<i64>,
    lanes_max: usize,
    bins_max: usize,
    /// Records that were folded into `other` for want of lanes.
    pub(crate) folded: u64,
    /// Parts that were moved to another bin for want of bins.
    pub(crate) moved: u64,
}

struct OpenLane {
    packed: PackedLane,
    key: Lane,
    /// Something was counted since the last report.
    is_used: bool,
    bins: [OpenBin; OPEN_BINS],
}

#[derive(Clone, Copy)]
struct OpenBin {
    /// `i64::MIN` for none.
    start_us: i64,
    sums: BinSums,
}

impl OpenBin {
    const NONE: OpenBin = OpenBin { start_us: i64::MIN, sums: BinSums::ZERO };

    fn is_used(&self) -> bool {
        self.start_us != i64::MIN
    }
}

impl Lanes {
    pub(crate) fn new(lanes_max: usize, bins_max: usize) -> Lanes {
        Lanes {
            index: HashMap::new(),
            lanes: Vec::new(),
            told: 0,
            at_hand: vec![u32::MAX; AT_HAND],
            bins: HashMap::new(),
            first_bin: None,
            lanes_max,
            bins_max,
            folded: 0,
            moved: 0,
        }
    }

    /// The number of a lane.
    #[inline]
    pub(crate) fn lane(&mut self, key: Lane) -> u32 {
        let lane = self.at_hand[key.number() as usize % AT_HAND];
        match self.lanes.get(lane as usize) {
            Some(open) if open.packed == key.packed() => lane,
            _ => self.find(key),
        }
    }

    #[cold]
    fn find(&mut self, key: Lane) -> u32 {
        let lane = match self.index.get(&key.packed()) {
            Some(lane) => *lane,
            None if self.lanes.len() < self.lanes_max || key == key.overflow() => {
                let lane = self.lanes.len() as u32;
                self.lanes.push(OpenLane { packed: key.packed(), key, is_used: false, bins: [OpenBin::NONE; OPEN_BINS] });
                self.index.insert(key.packed(), lane);
                lane
            }
            None => {
                self.folded += 1;
                return self.find(key.overflow());
            }
        };
        self.at_hand[key.number() as usize % AT_HAND] = lane;
        lane
    }

    /// The counts of a lane's bin.
    #[inline]
    pub(crate) fn bin(&mut self, lane: u32, bin: i64) -> &mut BinSums {
        let place = (bin as u64 / BIN_US as u64) as usize % OPEN_BINS;
        if self.lanes[lane as usize].bins[place].start_us != bin {
            return self.open(lane, place, bin);
        }
        &mut self.lanes[lane as usize].bins[place].sums
    }

    /// Opens a bin in place of another one; when there are too many, gives one that there is.
    #[cold]
    fn open(&mut self, lane: u32, place: usize, bin: i64) -> &mut BinSums {
        if self.bins.len() >= self.bins_max && !self.bins.contains_key(&(lane, bin)) {
            self.moved += 1;
            let first = *self.first_bin.get_or_insert(bin);
            return self.bins.entry((lane, first)).or_default();
        }
        self.first_bin.get_or_insert(bin);
        let lane_held = &mut self.lanes[lane as usize];
        lane_held.is_used = true;
        let open = &mut lane_held.bins[place];
        let before = std::mem::replace(open, OpenBin { start_us: bin, ..OpenBin::NONE });
        if before.is_used() {
            self.bins.entry((lane, before.start_us)).or_default().add(&before.sums);
        }
        &mut open.sums
    }

    /// Lanes that were opened since the last report, and everything counted since.
    pub(crate) fn take(&mut self) -> (Vec<Lane>, Vec<(u32, i64, BinSums)>) {
        let mut counted = Vec::with_capacity(self.bins.len() + self.lanes.len());
        counted.extend(self.bins.drain().map(|((lane, bin), sums)| (lane, bin, sums)));
        for (number, lane) in self.lanes.iter_mut().enumerate().filter(|(_, lane)| lane.is_used) {
            lane.is_used = false;
            for open in lane.bins.iter_mut().filter(|bin| bin.is_used()) {
                counted.push((number as u32, open.start_us, open.sums));
                *open = OpenBin::NONE;
            }
        }
        let opened = self.lanes[self.told..].iter().map(|open| open.key).collect();
        self.told = self.lanes.len();
        self.first_bin = None;
        (opened, counted)
    }

    /// Whether so many lanes are known that those out of use should be forgotten.
    pub(crate) fn is_crowded(&self) -> bool {
        self.lanes.len() > self.lanes_max / 2
    }

    /// Forgets all lanes; to be called after [`Lanes::take`].
    pub(crate) fn clear(&mut self) {
        self.lanes.clear();
        self.index.clear();
        self.at_hand.fill(u32::MAX);
        self.told = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sums::Sums;

    fn lane(port: u32) -> Lane {
        let scale = Scale { population: 1, sample: 1, is_flow_sampled: false };
        Lane {
            link: NOWHERE,
            port,
            exporter: 0,
            scale,
            direction: Direction::ToMicrosoft,
            view: View::OwnPort,
            matched_by: MatchedBy::Interface,
            is_through: false,
            is_v6: false,
        }
    }

    fn sums(bytes: u64) -> Sums {
        Sums { bytes, packets: 1, records: 1, ..Sums::default() }
    }

    #[test]
    fn bins_may_come_in_any_order() {
        let mut lanes = Lanes::new(10, 100);
        for bin in [0, 8, 0, 16, 8, 0] {
            let number = lanes.lane(lane(7));
            lanes.bin(number, bin * BIN_US).sums.add(&sums(1));
        }
        let (keys, counted) = lanes.take();
        let mut totals = std::collections::BTreeMap::<i64, u64>::new();
        counted.iter().for_each(|(_, bin, sums)| *totals.entry(*bin / BIN_US).or_default() += sums.sums.bytes);
        assert_eq!((keys, totals.into_iter().collect::<Vec<_>>()), (vec![lane(7)], vec![(0, 3), (8, 2), (16, 1)]));
        // A lane is told of once.
        let number = lanes.lane(lane(7));
        lanes.bin(number, 0).sums.add(&sums(5));
        let (keys, counted) = lanes.take();
        assert_eq!((keys.len(), counted.len(), counted[0].2.sums.bytes), (0, 1, 5));
        assert!(lanes.take().1.is_empty());
    }

    #[test]
    fn what_finds_no_room_is_counted_as_other() {
        let mut lanes = Lanes::new(2, 4);
        for port in 0..10 {
            let number = lanes.lane(lane(port));
            lanes.bin(number, 0).sums.add(&sums(1));
        }
        assert_eq!(lanes.folded, 8);
        let (keys, counted) = lanes.take();
        assert_eq!(keys, [lane(0), lane(1), lane(0).overflow()]);
        assert_eq!((lane(0).overflow().link, lane(0).overflow().port), (NOWHERE, OTHER));
        assert_eq!(counted.iter().map(|(_, _, sums)| sums.sums.bytes).sum::<u64>(), 10);

        for bin in 0..100 {
            let number = lanes.lane(lane(0));
            lanes.bin(number, bin * BIN_US).sums.add(&sums(1));
        }
        assert!(lanes.moved > 80, "{}", lanes.moved);
        let (_, counted) = lanes.take();
        assert!(counted.len() <= 4 + OPEN_BINS + 1, "{}", counted.len());
        assert_eq!(counted.iter().map(|(_, _, sums)| sums.sums.bytes).sum::<u64>(), 100);
    }
}
