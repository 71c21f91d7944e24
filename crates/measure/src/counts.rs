//! What a worker counted, in the owner's numbers: what windows take in, and what a journal keeps.

use std::sync::Arc;

use hashbrown::HashMap;
use model::{Address, Direction, ExporterHealth, Link, MatchedBy, Name, Port, Tag, View};
use serde::{Deserialize, Serialize};

use crate::cell_key::End;
use crate::delta::{Delta, DeltaLosses, PlacedCounters};
use crate::items::Items;
use crate::kept::{PrefixItem, TrafficItem};
use crate::lane::{Lane, NOWHERE};
use crate::latency::LatencyDelta;
use crate::names::Names;
use crate::scale::Scale;
use crate::sums::{BinSums, Sums};

/// A worker's report in the numbers of the owner that translated it.
///
/// Applied to a copy of the owner's state as it was before, in the order in which they were made, counts
/// give that owner's state as it is: this is what makes a journal of them enough to go on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    pub(crate) worker: u32,
    pub(crate) epoch: u64,
    /// When the owner took them in.
    pub(crate) now_us: i64,
    pub(crate) names: NewNames,
    /// Lanes that the report tells of, in the order of the worker's numbers.
    pub(crate) lanes: Vec<KnownLane>,
    /// Sums by the worker's lane and the bin's start.
    pub(crate) bins: Vec<(u32, i64, BinSums)>,
    /// Cells that the report tells of, in the order of the worker's numbers.
    pub(crate) cells: Vec<KnownCell>,
    /// Sums by the worker's cell.
    #[serde(with = "crate::packed")]
    pub(crate) sums: Vec<(u32, Sums)>,
    pub(crate) counters: Vec<PlacedCounters>,
    pub(crate) health: Vec<ExporterHealth>,
    pub(crate) kernel_drops: u64,
    pub(crate) losses: DeltaLosses,
    /// Links by the owner's numbers.
    pub(crate) latency: LatencyDelta,
}

impl Counts {
    /// When the owner took them in, microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        self.now_us
    }
}

/// What the owner's names gained or changed; numbers are given in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NewNames {
    pub(crate) links: Vec<(u32, Arc<Link>)>,
    pub(crate) ports: Vec<(u32, Arc<Port>)>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) customers: Vec<Name>,
}

/// A worker's lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownLane {
    pub(crate) link: Option<u32>,
    pub(crate) port: Option<u32>,
    pub(crate) exporter: Address,
    pub(crate) scale: Scale,
    pub(crate) direction: Direction,
    pub(crate) view: View,
    pub(crate) matched_by: MatchedBy,
    pub(crate) is_through: bool,
    pub(crate) is_v6: bool,
}

/// A worker's cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownCell {
    /// The worker's number of the lane.
    pub(crate) lane: u32,
    pub(crate) window_us: i64,
    pub(crate) end: End,
    /// Of the Microsoft end; `None` is `other`.
    pub(crate) traffic: Option<TrafficItem>,
    /// `None` is `other`.
    pub(crate) prefix: Option<PrefixItem>,
}

/// The owner's numbers for one worker's links and ports, kept from report to report.
#[derive(Default)]
pub(crate) struct Translator {
    links: Vec<(Arc<Link>, u32)>,
    ports: Vec<(Arc<Port>, u32)>,
}

impl Translator {
    /// Puts a report into the owner's numbers; what is new gets one.
    pub(crate) fn translate(&mut self, names: &mut Names, worker: u32, delta: Delta, now_us: i64) -> Counts {
        let (tags, customers) = (names.tags.len(), names.customers.len());
        let mut new = NewNames::default();
        self.learn(names, &delta, &mut new);
        let lanes = delta.lanes.iter().map(|lane| self.lane(names, lane, &delta.exporters, &mut new)).collect();
        let mut items = Items::of(&delta);
        let cell = |opened: &crate::cell::OpenedCell| KnownCell {
            lane: opened.key.lane(),
            window_us: opened.key.window_us(),
            end: opened.key.end(),
            traffic: if opened.key.end() == End::Microsoft { items.traffic(names, &opened.key) } else { None },
            prefix: items.prefix(names, opened),
        };
        let cells = delta.counted.opened.iter().map(cell).collect();
        let mut counters = delta.counters;
        for placed in &mut counters {
            placed.port = self.port(names, placed.port, &mut new);
        }
        let latency = self.latency(names, delta.latency, &mut new);
        new.tags = names.tags[tags..].to_vec();
        new.customers = names.customers[customers..].to_vec();
        Counts {
            worker,
            epoch: delta.epoch,
            now_us,
            names: new,
            lanes,
            bins: delta.bins,
            cells,
            sums: delta.counted.sums,
            counters,
            health: delta.health,
            kernel_drops: delta.kernel_drops,
            losses: delta.losses,
            latency,
        }
    }

    /// Numbers what the worker's directory has beyond what was known, or says anew.
    fn learn(&mut self, names: &mut Names, delta: &Delta, new: &mut NewNames) {
        for (place, link) in delta.links.iter().enumerate() {
            if self.links.get(place).is_some_and(|(known, _)| Arc::ptr_eq(known, link)) {
                continue;
            }
            let known = (link.clone(), names.link(link, &mut new.links));
            put(&mut self.links, place, known);
        }
        for (place, port) in delta.ports.iter().enumerate() {
            if self.ports.get(place).is_some_and(|(known, _)| Arc::ptr_eq(known, port)) {
                continue;
            }
            let known = (port.clone(), names.port(port, &mut new.ports));
            put(&mut self.ports, place, known);
        }
    }

    fn lane(&self, names: &mut Names, lane: &Lane, exporters: &[Option<Address>], new: &mut NewNames) -> KnownLane {
        let exporter = exporters.get(lane.exporter as usize).copied().flatten().unwrap_or(Address::UNKNOWN);
        KnownLane {
            link: (lane.link != NOWHERE).then(|| self.link(names, lane.link, new)),
            port: (lane.port != NOWHERE).then(|| self.port(names, lane.port, new)),
            exporter,
            scale: lane.scale,
            direction: lane.direction,
            view: lane.view,
            matched_by: lane.matched_by,
            is_through: lane.is_through,
            is_v6: lane.is_v6,
        }
    }

    /// Latency by the owner's numbers of links.
    fn latency(&self, names: &mut Names, mut latency: LatencyDelta, new: &mut NewNames) -> LatencyDelta {
        for (_, key, _) in &mut latency.values {
            key.link = self.link(names, key.link, new);
            key.return_link = key.return_link.map(|link| self.link(names, link, new));
        }
        for (_, link, _, _) in &mut latency.sights {
            *link = self.link(names, *link, new);
        }
        latency
    }

    /// What has no name there is `other`.
    fn link(&self, names: &mut Names, index: u32, new: &mut NewNames) -> u32 {
        match self.links.get(index as usize) {
            Some((_, number)) => *number,
            None => names.other_link(&mut new.links),
        }
    }

    /// The same of ports.
    fn port(&self, names: &mut Names, index: u32, new: &mut NewNames) -> u32 {
        match self.ports.get(index as usize) {
            Some((_, number)) => *number,
            None => names.other_port(&mut new.ports),
        }
    }
}

/// Sets the entry at a place, at most one beyond the end.
fn put<T>(entries: &mut Vec<T>, place: usize, entry: T) {
    match entries.get_mut(place) {
        Some(held) => *held = entry,
        None => entries.push(entry),
    }
}

/// One worker's lanes and cells, and what they counted since windows took it in last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Dictionary {
    pub(crate) epoch: u64,
    pub(crate) lanes: Vec<KnownLane>,
    pub(crate) cells: Vec<KnownCell>,
    /// By cell.
    sums: Vec<Sums>,
    /// Cells that counted something.
    touched: Vec<u32>,
    bins: HashMap<(u32, i64), BinSums>,
}

/// What a dictionary's lanes and cells counted.
pub(crate) type Pending = (Vec<(KnownLane, i64, BinSums)>, Vec<(KnownCell, KnownLane, Sums)>);

impl Dictionary {
    /// A dictionary of another epoch: numbers mean something else now.
    pub(crate) fn begin(&mut self, epoch: u64) {
        *self = Dictionary { epoch, ..Dictionary::default() };
    }

    pub(crate) fn add(&mut self, counts: &Counts) {
        self.lanes.extend_from_slice(&counts.lanes);
        self.cells.extend_from_slice(&counts.cells);
        self.sums.resize(self.cells.len(), Sums::ZERO);
        for (lane, bin_us, counted) in &counts.bins {
            self.bins.entry((*lane, *bin_us)).or_default().add(counted);
        }
        for (cell, counted) in &counts.sums {
            let Some(sums) = self.sums.get_mut(*cell as usize) else { continue };
            if *sums == Sums::ZERO {
                self.touched.push(*cell);
            }
            sums.add(counted);
        }
    }

    /// What was counted since the last time.
    pub(crate) fn take(&mut self) -> Pending {
        let lanes = &self.lanes;
        let lane = |number: u32| lanes.get(number as usize).copied();
        let bins = self.bins.drain().filter_map(|((number, bin_us), sums)| Some((lane(number)?, bin_us, sums))).collect();
        let mut cells = Vec::with_capacity(self.touched.len());
        for number in self.touched.drain(..) {
            let sums = std::mem::take(&mut self.sums[number as usize]);
            let cell = self.cells[number as usize];
            cells.extend(lane(cell.lane).filter(|_| sums != Sums::ZERO).map(|lane| (cell, lane, sums)));
        }
        (bins, cells)
    }
}
