//! The owner's loads, each bin once when it is mature, for judging.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use model::tables::FailoverRow;
use model::time::{BIN_US, SECOND_US, WINDOW_US, slot_start_us};
use model::{Address, Direction, Publication};

use super::{FailoverSettings, Observed, Plans, PortSeen, is_watched};
use crate::owner::Owner;
use crate::series::BinLoad;
use crate::window::{BINS, Way};

/// How failovers are judged: by what settings, and what work is planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judging {
    /// Thresholds and bounds.
    pub settings: FailoverSettings,
    /// Planned work.
    pub plans: Plans,
}

/// Loads of one window, of links and ports.
struct Loads {
    window_us: i64,
    links: HashMap<Way, Vec<BinLoad>>,
    ports: HashMap<Way, Vec<BinLoad>>,
    /// What each exporter showed in each bin, bit/s.
    shown: HashMap<Address, [f64; BINS]>,
    /// What links carried on a port in each bin, bit/s.
    on_ports: HashMap<Way, [f64; BINS]>,
}

impl Loads {
    /// What a port carries in a bin besides the links on it.
    fn other_bps(&self, port: Way, index: usize) -> Option<f64> {
        let whole = self.ports.get(&port)?.get(index)?.bps?;
        let own = self.on_ports.get(&port).map_or(0.0, |bins| bins[index]);
        Some((whole - own).max(0.0))
    }
}

impl Owner {
    /// Judges the bins that have become mature since the last time; gives what is due of failovers.
    pub(crate) fn watch(&mut self, now_us: i64) -> Vec<Publication> {
        let last_us = self.state.watched_us.unwrap_or(now_us - BIN_US);
        if slot_start_us(now_us, BIN_US) <= slot_start_us(last_us, BIN_US) {
            return Vec::new();
        }
        self.state.watched_us = Some(now_us);
        let mut failovers = std::mem::take(&mut self.state.failovers);
        let bins = self.matured(&failovers, last_us, now_us);
        for (start_us, observed) in &bins {
            failovers.take(&self.judging.settings, &self.state.names.links, (*start_us, now_us), (observed, &[]));
        }
        // Counters tell at once.
        let newest_us = slot_start_us(now_us, BIN_US) - BIN_US;
        let ports = self.ports_seen(newest_us);
        failovers.take(&self.judging.settings, &self.state.names.links, (newest_us, now_us), (&[], &ports));
        self.group(&mut failovers, now_us);
        let due = failovers.publish(&self.state.names.links, &self.judging.plans);
        self.state.failovers = failovers;
        due
    }

    /// The failovers that are followed, each as it was told last; what has been over for long is in the table alone.
    pub fn failovers(&self) -> impl Iterator<Item = &FailoverRow> {
        self.state.failovers.told()
    }

    /// The bins that have become mature, in order, with what links carried in them.
    fn matured(&self, failovers: &super::Failovers, last_us: i64, now_us: i64) -> BTreeMap<i64, Vec<Observed>> {
        let mut bins: BTreeMap<i64, Vec<Observed>> = BTreeMap::new();
        for window_us in self.windows_in_question(last_us, now_us) {
            let loads = self.loads(window_us, now_us);
            for (way, of) in &loads.links {
                if !is_watched(self.link(way.0)) {
                    continue;
                }
                let judged = failovers.tracks.get(way).map_or(i64::MIN, |track| track.end());
                for (index, load) in of.iter().enumerate() {
                    if load.is_mature && load.start_us.div_euclid(BIN_US) >= judged {
                        bins.entry(load.start_us).or_default().push(self.observed(&loads, *way, index));
                    }
                }
            }
        }
        for observed in bins.values_mut() {
            observed.sort_by_key(|one| (one.link, one.direction));
        }
        bins
    }

    /// Windows in which a bin may have become mature since: some for each active timeout that there is.
    fn windows_in_question(&self, last_us: i64, now_us: i64) -> BTreeSet<i64> {
        let grace_us = self.settings.grace_seconds * SECOND_US;
        let timeouts = self.timeouts_us().into_iter().chain([0, self.settings.active_timeout_seconds * SECOND_US]);
        let mut windows = BTreeSet::new();
        for timeout_us in timeouts {
            let back_us = grace_us + timeout_us + 2 * BIN_US;
            let from_us = slot_start_us(last_us.max(now_us - 3_600 * SECOND_US) - back_us, WINDOW_US);
            windows.extend(
                (0..)
                    .map(|index| from_us + index * WINDOW_US)
                    .take_while(|window_us| *window_us < now_us - grace_us - timeout_us),
            );
        }
        windows.retain(|window_us| self.state.windows.contains_key(window_us));
        windows
    }

    fn loads(&self, window_us: i64, now_us: i64) -> Loads {
        let (mut links, mut ports) = (HashMap::new(), HashMap::new());
        self.add_links(window_us, now_us, &mut links);
        self.add_ports(window_us, now_us, &mut ports);
        let mut shown: HashMap<Address, [f64; BINS]> = HashMap::new();
        let mut show = |exporters: Vec<Address>, bins: &[BinLoad]| {
            for exporter in exporters {
                let held = shown.entry(exporter).or_default();
                held.iter_mut().zip(bins).for_each(|(sum, bin)| *sum += bin.bps.unwrap_or(0.0));
            }
        };
        for (way, bins) in &links {
            show(self.state.link_covers.exporters(*way, None, window_us, self.idle_us()), bins);
        }
        for (way, bins) in &ports {
            show(self.state.port_covers.exporters(*way, None, window_us, self.idle_us()), bins);
        }
        let mut on_ports: HashMap<Way, [f64; BINS]> = HashMap::new();
        for (way, bins) in &links {
            if let Some(port) = self.state.names.port_of(self.link(way.0)) {
                let held = on_ports.entry((port, way.1)).or_default();
                held.iter_mut().zip(bins).for_each(|(sum, bin)| *sum += bin.bps.unwrap_or(0.0));
            }
        }
        Loads { window_us, links, ports, shown, on_ports }
    }

    fn observed(&self, loads: &Loads, way: Way, index: usize) -> Observed {
        let window_us = loads.window_us;
        let exporters = self.state.link_covers.exporters(way, None, window_us, self.idle_us());
        let load = loads.links.get(&way).and_then(|bins| bins.get(index)).copied().unwrap_or_default();
        let port = self.state.names.port_of(self.link(way.0));
        let port_load = port.and_then(|port| loads.ports.get(&(port, way.1))?.get(index).copied());
        let capacity = port.and_then(|port| self.capacity(port, window_us).0).filter(|capacity| *capacity > 0);
        let wire_bps = port_load.and_then(|load| load.counter_wire_bps.or(load.wire_bps));
        let is_shown =
            |exporter: &Address| loads.shown.get(exporter).is_some_and(|bins| bins.get(index).is_some_and(|bps| *bps > 0.0));
        Observed {
            link: way.0,
            direction: Some(way.1),
            bps: load.bps,
            v6_bps: load.v6_bps,
            standard_error_bps: load.standard_error_bps,
            coverage_ratio: self.coverage(&exporters, window_us, window_us + WINDOW_US),
            utilisation_ratio: wire_bps.zip(capacity).map(|(bps, capacity)| bps / capacity as f64),
            other_bps: port.and_then(|port| loads.other_bps((port, way.1), index)),
            is_silent: !exporters.is_empty() && !exporters.iter().any(is_shown),
        }
    }

    /// How the ports of links stand by their counters.
    fn ports_seen(&self, start_us: i64) -> Vec<PortSeen> {
        let mut seen = Vec::new();
        let mut told = BTreeSet::new();
        let gap_us = self.settings.counter_gap_seconds_max * SECOND_US;
        for (number, link) in (0_u32..).zip(&self.state.names.links) {
            let Some(port) = self.state.names.port_of(link).filter(|_| super::is_judged(link)) else { continue };
            let state = self.state.readings.state(port, start_us + BIN_US, self.port(port).members.len());
            if state.is_up.is_none() && state.members_up.is_none() {
                continue;
            }
            let errors = Direction::ALL
                .map(|direction| self.state.readings.load(port, direction, start_us, start_us + BIN_US, gap_us).errors);
            // A bundle that loses a member is one event, however many sessions ride it.
            let is_first = told.insert(port);
            seen.push(PortSeen {
                link: number,
                is_up: state.is_up,
                members_up: state.members_up.filter(|_| is_first),
                capacity_bps: self.capacity(port, slot_start_us(start_us, WINDOW_US)).0,
                errors: errors.into_iter().flatten().reduce(|a, b| a.saturating_add(b)),
            });
        }
        seen
    }
}
