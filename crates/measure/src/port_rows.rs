//! Rows of `ports`: what a port carried by flows and by counters, its capacity, and how full it is.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use model::link::wire_bps;
use model::tables::PortRow;
use model::time::{BIN_US, SECOND_US, WINDOW_US};
use model::{Direction, Name, View};

use crate::counters::CounterLoad;
use crate::estimate::{Load, relative_variance};
use crate::link_rows::{Seen, per_second, signed};
use crate::owner::Owner;
use crate::publish::Stage;
use crate::scale::Scale;
use crate::sums::{Moments, Sums};
use crate::window::{Way, Window, WindowSums};

/// What a window holds of all ports, by port and direction.
pub(crate) type PortLoads = HashMap<Way, PortLoad>;

/// What of a port and direction a window holds in its best view.
#[derive(Default)]
pub(crate) struct PortLoad {
    seen: Seen,
    view: Option<View>,
    by_scale: BTreeMap<Scale, WindowSums>,
}

impl PortLoad {
    fn load(&self) -> Load {
        Load::of(&self.by_scale, self.relative_variance())
    }

    /// What was counted, by scale.
    pub(crate) fn by_scale(&self) -> &BTreeMap<Scale, WindowSums> {
        &self.by_scale
    }

    /// The relative variance of its packets' sizes.
    pub(crate) fn relative_variance(&self) -> f64 {
        let (mut moments, mut sums) = (Moments::default(), Sums::default());
        for (_, counted) in self.by_scale.iter().filter(|(scale, _)| scale.is_sampled()) {
            moments.add(&counted.moments);
            sums.add(&counted.sums);
        }
        relative_variance(&moments, &sums)
    }
}

/// What the window that starts at `window_us` holds of ports.
pub(crate) fn port_loads(windows: &BTreeMap<i64, Window>, window_us: i64) -> PortLoads {
    let mut loads = PortLoads::new();
    let Some(window) = windows.get(&window_us) else { return loads };
    for (key, counted) in &window.ports {
        loads.entry(key.way).or_default().seen.add(key.view, key.scale, &counted.sums);
    }
    loads.values_mut().for_each(|load| load.view = load.seen.best(|_| true));
    for (key, counted) in &window.ports {
        if let Some(load) = loads.get_mut(&key.way).filter(|load| load.view == Some(key.view)) {
            load.by_scale.entry(key.scale).or_default().add(counted);
        }
    }
    loads
}

impl Owner {
    /// The rows of a window, by port and direction; before it is final those ports alone that are mature.
    pub(crate) fn port_rows(&self, window_us: i64, now_us: i64, stage: Stage, loads: &PortLoads) -> Vec<PortRow> {
        let mut rows: Vec<PortRow> = self
            .ports_in(window_us, loads)
            .into_iter()
            .filter_map(|way| {
                let is_mature = self.is_mature(&self.state.port_covers, way, window_us, window_us + WINDOW_US, now_us);
                let stage = match stage {
                    Stage::Final => Stage::Final,
                    _ if is_mature => Stage::Mature,
                    Stage::Mature => return None,
                    Stage::Open => Stage::Open,
                };
                Some(self.port_row(window_us, way, stage, loads))
            })
            .collect();
        rows.sort_by(|a, b| (&a.port, &a.direction).cmp(&(&b.port, &b.direction)));
        rows
    }

    /// Ports and directions with traffic or readings in a window, or with exporters that would have shown traffic.
    fn ports_in(&self, window_us: i64, loads: &PortLoads) -> HashSet<Way> {
        let state = &self.state;
        let mut ways: HashSet<Way> = state.port_covers.ways().collect();
        ways.retain(|way| {
            let exporters = state.port_covers.exporters(*way, None, window_us, self.idle_us());
            exporters.iter().any(|exporter| self.shows(*exporter, way.1, window_us))
        });
        ways.extend(loads.keys());
        for port in state.readings.ports(window_us, window_us + WINDOW_US) {
            ways.extend(Direction::ALL.map(|direction| (port, direction)));
        }
        ways
    }

    /// Capacity of a port at the end of a window, bit/s, and where it comes from.
    pub(crate) fn capacity(&self, port: u32, window_us: i64) -> (Option<u64>, Option<&'static str>) {
        let held = self.port(port);
        let state = self.state.readings.state(port, window_us + WINDOW_US, held.members.len());
        if held.configured_bps.is_some() {
            return (held.configured_bps, Some("configured"));
        }
        match (held.provisioned_bps, state.members_bps) {
            (Some(provisioned), Some(members)) if members < provisioned => (Some(members), Some("members")),
            (Some(provisioned), _) => (Some(provisioned), Some("provisioned")),
            (None, Some(members)) => (Some(members), Some("members")),
            (None, None) => {
                let speed = held.speed_bps.or(state.speed_bps);
                (speed, speed.map(|_| "speed"))
            }
        }
    }

    fn counters(&self, way: Way, window_us: i64) -> CounterLoad {
        let gap_us = self.settings.counter_gap_seconds_max * SECOND_US;
        self.state.readings.load(way.0, way.1, window_us, window_us + WINDOW_US, gap_us)
    }

    /// How full a port is on the wire: by its counters, else by flows.
    pub(crate) fn utilisation(&self, way: Way, window_us: i64, loads: &PortLoads) -> Option<f64> {
        let counted = loads.get(&way);
        let load = counted.map(PortLoad::load).unwrap_or_default();
        let exporters = self.state.port_covers.exporters(way, counted.and_then(|load| load.view), window_us, self.idle_us());
        // As of the port itself: without traffic it is empty, where an exporter would have shown some.
        self.utilisation_of(way, window_us, Some(&load).filter(|_| !exporters.is_empty()), &self.counters(way, window_us))
    }

    fn utilisation_of(&self, way: Way, window_us: i64, load: Option<&Load>, counters: &CounterLoad) -> Option<f64> {
        let capacity = self.capacity(way.0, window_us).0.filter(|capacity| *capacity > 0)?;
        let by_counters = counters.bps.zip(counters.packets_per_second).map(|(bps, packets)| wire_bps(bps, packets));
        let by_flows = || {
            let estimate = &load.filter(|load| load.estimate.is_known())?.estimate;
            Some(wire_bps(per_second(estimate.bytes * 8.0, WINDOW_US), per_second(estimate.packets, WINDOW_US)))
        };
        by_counters.or_else(by_flows).map(|bps| bps / capacity as f64)
    }

    fn port_row(&self, window_us: i64, way: Way, stage: Stage, loads: &PortLoads) -> PortRow {
        let port = self.port(way.0);
        let counted = loads.get(&way);
        let load = counted.map(PortLoad::load).unwrap_or_default();
        let counters = self.counters(way, window_us);
        let state = self.state.readings.state(way.0, window_us + WINDOW_US, port.members.len());
        let (capacity, capacity_source) = self.capacity(way.0, window_us);
        let exporters = self.state.port_covers.exporters(way, counted.and_then(|load| load.view), window_us, self.idle_us());
        let estimate = &load.estimate;
        // Where no exporter of flows covers the port, its load by flows is not 0, but unknown.
        let known = |value: f64| (estimate.is_known() && !exporters.is_empty()).then_some(value);
        PortRow {
            window_start: window_us.into(),
            window_seconds: WINDOW_US / SECOND_US,
            port: port.name.clone(),
            exporter: port.exporter.to_string().into(),
            role: Name::from(port.role.name()),
            direction: Name::from(way.1.name()),
            capacity_bps: capacity.map(signed),
            capacity_source: capacity_source.map(Name::from),
            members_up: state.members_up,
            members_total: state.members_total,
            mean_bps: known(per_second(estimate.bytes * 8.0, WINDOW_US)),
            peak_bps: known(per_second(load.peak_bytes * 8.0, BIN_US)),
            peak_seconds: BIN_US / SECOND_US,
            packets_per_second: known(per_second(estimate.packets, WINDOW_US)),
            standard_error_bps: known(per_second(estimate.standard_error() * 8.0, WINDOW_US)),
            counter_bps: counters.bps,
            counter_discards: counters.discards,
            counter_errors: counters.errors,
            member_peak_ratio: counters.member_peak_ratio,
            utilisation_ratio: self.utilisation_of(way, window_us, Some(&load).filter(|_| !exporters.is_empty()), &counters),
            coverage_ratio: self.coverage(&exporters, window_us, window_us + WINDOW_US),
            status: Name::from(stage.name()),
        }
    }
}
