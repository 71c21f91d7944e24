//! Loads of late, bin by bin: what failovers, alerts and the page judge.
//!
//! Rows are made when windows are mature; whoever has to act judges bins, each as soon as nearly all of its
//! records must have come. Both see the same counts in the same view.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use model::link::wire_bps;
use model::time::{BIN_US, SECOND_US, WINDOW_US, slot_start_us};
use model::{Direction, Link, Port};

use crate::covers::Covers;
use crate::estimate::Estimate;
use crate::link_rows::{Learned, per_second};
use crate::owner::Owner;
use crate::port_rows::port_loads;
use crate::scale::Scale;
use crate::window::{BINS, Way, WindowSums};

/// What a link or port carried in one direction in a bin of 10 s, by flows. Loads are in bit/s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BinLoad {
    /// Start of the bin, microseconds since 1970.
    pub start_us: i64,
    /// On the link layer, as interface counters count it; `None` where it is not known: more than 1 % of the bytes
    /// have no known sampling rate, or no exporter would have shown them. Of an immature bin it is what came so far.
    pub bps: Option<f64>,
    /// Of it IPv6.
    pub v6_bps: Option<f64>,
    /// The same on the wire, with preamble and gap: what capacity is compared with.
    pub wire_bps: Option<f64>,
    /// Standard error of `bps` by sampling alone.
    pub standard_error_bps: Option<f64>,
    /// Nearly all records must have come: the active timeouts of its exporters have passed since.
    pub is_mature: bool,
    /// By interface counters, on the link layer; of ports only, where readings cover at least half of the bin.
    pub counter_bps: Option<f64>,
    /// By interface counters, on the wire.
    pub counter_wire_bps: Option<f64>,
    /// Packets discarded by the interface in this bin, by its counters.
    pub counter_discards: Option<i64>,
    /// Errors of the interface in this bin, by its counters.
    pub counter_errors: Option<i64>,
}

/// A link in one direction.
#[derive(Clone, Debug)]
pub struct LinkSeries {
    /// The link as it is known last.
    pub link: Arc<Link>,
    /// Which way.
    pub direction: Direction,
    /// Capacity of its port at the end, bit/s.
    pub capacity_bps: Option<u64>,
    /// Longest time that its exporters hold flows, microseconds: a bin is mature so long after its end.
    pub timeout_us: i64,
    /// Share of what its exporters sent that came, over the whole time.
    pub coverage_ratio: Option<f64>,
    /// In order, without holes.
    pub bins: Vec<BinLoad>,
}

/// A port in one direction.
#[derive(Clone, Debug)]
pub struct PortSeries {
    /// The port as it is known last.
    pub port: Arc<Port>,
    /// Which way.
    pub direction: Direction,
    /// Capacity at the end, bit/s.
    pub capacity_bps: Option<u64>,
    /// Where the capacity is from: `configured`, `provisioned`, `members`, `speed`.
    pub capacity_source: Option<&'static str>,
    /// Members that are up, and all; `None` where nothing tells.
    pub members_up: Option<i64>,
    /// See `members_up`.
    pub members_total: Option<i64>,
    /// Longest time that its exporters hold flows, microseconds.
    pub timeout_us: i64,
    /// In order, without holes.
    pub bins: Vec<BinLoad>,
}

/// What links and ports carried over some time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Links and directions on which something was seen, sorted by name and direction.
    pub links: Vec<LinkSeries>,
    /// Ports and directions on which something was seen, sorted by name and direction.
    pub ports: Vec<PortSeries>,
}

/// Counts of one way and window in its best view.
type ByScale = std::collections::BTreeMap<Scale, WindowSums>;

impl Owner {
    /// Loads by bin of the windows that hold `[from_us, to_us)`, as they stand at `now_us`; to be called after
    /// [`Owner::advance`], which takes in what came. Windows that are closed already are not known any more.
    pub fn series(&self, from_us: i64, to_us: i64, now_us: i64) -> Series {
        let mut series = Series::default();
        let (mut links, mut ports) = (HashMap::new(), HashMap::new());
        let mut window_us = slot_start_us(from_us, WINDOW_US);
        while window_us < to_us {
            self.add_links(window_us, now_us, &mut links);
            self.add_ports(window_us, now_us, &mut ports);
            window_us += WINDOW_US;
        }
        let from_us = slot_start_us(from_us, WINDOW_US);
        for (way, bins) in links {
            series.links.push(self.link_series(way, whole(bins, from_us, to_us), from_us, to_us));
        }
        for (way, bins) in ports {
            series.ports.push(self.port_series(way, whole(bins, from_us, to_us), to_us));
        }
        series.links.sort_by(|a, b| (&a.link.name, a.direction).cmp(&(&b.link.name, b.direction)));
        series.ports.sort_by(|a, b| (&a.port.name, a.direction).cmp(&(&b.port.name, b.direction)));
        series
    }

    pub(crate) fn add_links(&self, window_us: i64, now_us: i64, series: &mut HashMap<Way, Vec<BinLoad>>) {
        let learned = Learned::of(self, window_us, window_us + WINDOW_US);
        let mut counted: HashMap<Way, ByScale> = HashMap::new();
        let links = self.state.windows.get(&window_us).into_iter().flat_map(|window| &window.links);
        for (key, sums) in links.filter(|(key, _)| learned.view(key.way) == Some(key.view)) {
            counted.entry(key.way).or_default().entry(key.scale).or_default().add(sums);
        }
        let ways: HashSet<Way> = self.state.link_covers.ways().chain(counted.keys().copied()).collect();
        for way in ways {
            let spread = learned.view(way).map_or(0.0, |view| learned.relative_variance(way, view));
            let loads = self.bins(&self.state.link_covers, way, window_us, now_us, counted.get(&way), spread);
            series.entry(way).or_default().extend(loads);
        }
    }

    pub(crate) fn add_ports(&self, window_us: i64, now_us: i64, series: &mut HashMap<Way, Vec<BinLoad>>) {
        let loads = port_loads(&self.state.windows, window_us);
        let mut ways: HashSet<Way> = self.state.port_covers.ways().chain(loads.keys().copied()).collect();
        for port in self.state.readings.ports(window_us, window_us + WINDOW_US) {
            ways.extend(Direction::ALL.map(|direction| (port, direction)));
        }
        for way in ways {
            let load = loads.get(&way);
            let (counted, spread) = (load.map(|load| load.by_scale()), load.map_or(0.0, |load| load.relative_variance()));
            let mut bins = self.bins(&self.state.port_covers, way, window_us, now_us, counted, spread);
            bins.iter_mut().for_each(|bin| self.add_counters(way, bin));
            series.entry(way).or_default().extend(bins);
        }
    }

    /// The bins of one window.
    fn bins(
        &self,
        covers: &Covers,
        way: Way,
        window_us: i64,
        now_us: i64,
        counted: Option<&ByScale>,
        relative_variance: f64,
    ) -> [BinLoad; BINS] {
        let exporters = covers.exporters(way, None, window_us, self.idle_us());
        let is_shown = || exporters.iter().any(|exporter| self.shows(*exporter, way.1, window_us));
        let split = match counted {
            Some(counted) => Some(Split::of(counted, relative_variance)),
            // Without traffic the load is 0, but only where somebody would have shown it.
            None => is_shown().then(Split::default),
        };
        std::array::from_fn(|bin| {
            let start_us = window_us + bin as i64 * BIN_US;
            let is_mature = self.is_mature(covers, way, window_us, start_us + BIN_US, now_us);
            let load = split.as_ref().map(|split| split.bin(bin)).unwrap_or_default();
            BinLoad { start_us, is_mature, ..load }
        })
    }

    fn add_counters(&self, way: Way, bin: &mut BinLoad) {
        let gap_us = self.settings.counter_gap_seconds_max * SECOND_US;
        let counters = self.state.readings.load(way.0, way.1, bin.start_us, bin.start_us + BIN_US, gap_us);
        bin.counter_bps = counters.bps;
        bin.counter_wire_bps = counters.bps.zip(counters.packets_per_second).map(|(bps, packets)| wire_bps(bps, packets));
        (bin.counter_discards, bin.counter_errors) = (counters.discards, counters.errors);
    }

    fn link_series(&self, way: Way, bins: Vec<BinLoad>, from_us: i64, to_us: i64) -> LinkSeries {
        let link = self.state.names.links[way.0 as usize].clone();
        let port = self.state.names.port_of(&link);
        let exporters = self.state.link_covers.exporters(way, None, to_us, self.idle_us());
        LinkSeries {
            direction: way.1,
            capacity_bps: port.and_then(|port| self.capacity(port, slot_start_us(to_us - 1, WINDOW_US)).0),
            timeout_us: exporters.iter().map(|exporter| self.timeout_us(*exporter)).max().unwrap_or(0),
            coverage_ratio: self.coverage(&exporters, from_us, to_us),
            link,
            bins,
        }
    }

    fn port_series(&self, way: Way, bins: Vec<BinLoad>, to_us: i64) -> PortSeries {
        let port = self.state.names.ports[way.0 as usize].clone();
        let (capacity_bps, capacity_source) = self.capacity(way.0, slot_start_us(to_us - 1, WINDOW_US));
        let state = self.state.readings.state(way.0, to_us, port.members.len());
        let exporters = self.state.port_covers.exporters(way, None, to_us, self.idle_us());
        PortSeries {
            direction: way.1,
            capacity_bps,
            capacity_source,
            members_up: state.members_up,
            members_total: state.members_total,
            timeout_us: exporters.iter().map(|exporter| self.timeout_us(*exporter)).max().unwrap_or(0),
            port,
            bins,
        }
    }
}

/// All bins from `from_us` to `to_us`: what no window told of is unknown.
fn whole(known: Vec<BinLoad>, from_us: i64, to_us: i64) -> Vec<BinLoad> {
    let mut known = known.into_iter().peekable();
    let mut bins = Vec::new();
    let mut start_us = from_us;
    while start_us < to_us {
        let load = known.next_if(|bin| bin.start_us == start_us);
        bins.push(load.unwrap_or(BinLoad { start_us, ..BinLoad::default() }));
        start_us += BIN_US;
    }
    bins
}

/// A window's estimate, and how it lies over its bins.
#[derive(Default)]
struct Split {
    estimate: Estimate,
    bytes: [f64; BINS],
    v6_bytes: [f64; BINS],
    /// Bytes² that one sampled packet stands for: the least variance of a bin, also where none was sampled.
    least_variance: f64,
}

impl Split {
    fn of(counted: &ByScale, relative_variance: f64) -> Split {
        let mut split = Split::default();
        for (scale, window) in counted {
            split.estimate.add(*scale, &window.sums, relative_variance);
            for bin in 0..BINS {
                split.bytes[bin] += scale.estimate(window.bins[bin]);
                split.v6_bytes[bin] += scale.estimate(window.v6_bins[bin]);
            }
            if scale.is_sampled() && window.sums.packets > 0 {
                let size = window.sums.bytes as f64 / window.sums.packets as f64;
                split.least_variance = split.least_variance.max(scale.variance_factor() * size * size);
            }
        }
        split
    }

    /// A record's share in a bin has that share of its variance, and of its packets.
    fn bin(&self, bin: usize) -> BinLoad {
        let estimate = &self.estimate;
        if !estimate.is_known() {
            return BinLoad::default();
        }
        let share = if estimate.bytes > 0.0 { self.bytes[bin] / estimate.bytes } else { 0.0 };
        let bps = per_second(self.bytes[bin] * 8.0, BIN_US);
        let error = (estimate.variance * share).max(self.least_variance).sqrt();
        BinLoad {
            bps: Some(bps),
            v6_bps: Some(per_second(self.v6_bytes[bin] * 8.0, BIN_US)),
            wire_bps: Some(wire_bps(bps, per_second(estimate.packets * share, BIN_US))),
            standard_error_bps: Some(per_second(error * 8.0, BIN_US)),
            ..BinLoad::default()
        }
    }
}
