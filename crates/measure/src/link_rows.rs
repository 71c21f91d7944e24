//! Rows of `links`: the best view of each link and direction, scaled.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use model::tables::LinkRow;
use model::time::{BIN_US, DETAIL_WINDOW_US, SECOND_US, WINDOW_US, slot_start_us};
use model::{Address, Direction, MatchedBy, Name, View};

use crate::estimate::{Load, relative_variance};
use crate::owner::Owner;
use crate::port_rows::PortLoads;
use crate::publish::Stage;
use crate::scale::Scale;
use crate::sums::{Moments, Sums};
use crate::window::{LinkKey, Way, WindowSums};

/// Views, best first.
const VIEWS: [View; 4] = [View::OwnPort, View::Unstated, View::OtherPort, View::OtherRouter];
/// A view that saw less than this share of what another one saw does not meter the link, but parts of it.
const PARTIAL_SHARE: f64 = 0.1;
/// How far around a window views are compared: clocks that differ by a second or two move bytes over
/// the edge of a window, and an edge alone must not decide.
const AROUND_US: i64 = 5 * WINDOW_US;

/// What windows around one window tell about links: which view to take, and how packet sizes scatter.
#[derive(Default)]
pub(crate) struct Learned {
    views: HashMap<Way, View>,
    /// Packet sizes over the detail window.
    sizes: HashMap<(Way, View), (Moments, Sums)>,
}

/// What views saw of a link or port and direction.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Bytes after sampling correction, of known rate.
    bytes: [f64; 4],
    /// Something of unknown rate came: how much it stands for cannot be compared.
    is_unknown: [bool; 4],
}

impl Seen {
    pub(crate) fn add(&mut self, view: View, scale: Scale, sums: &Sums) {
        self.bytes[view as usize] += scale.estimate(sums.bytes);
        self.is_unknown[view as usize] |= !scale.is_known() && sums.bytes > 0;
    }

    /// The best view that is not evidently partial, of those that `is_alive`: one stray record at a port
    /// that is metered elsewhere must not hide what was seen there.
    pub(crate) fn best(&self, is_alive: impl Fn(View) -> bool) -> Option<View> {
        let alive: Vec<View> = VIEWS.into_iter().filter(|view| is_alive(*view)).collect();
        let most = alive.iter().map(|view| self.bytes[*view as usize]).fold(0.0, f64::max);
        let is_whole = |view: &View| {
            let bytes = self.bytes[*view as usize];
            self.is_unknown[*view as usize] || bytes > 0.0 && bytes >= most * PARTIAL_SHARE
        };
        alive.into_iter().find(is_whole)
    }
}

impl Learned {
    /// Learns for the windows from `from_us` to `to_us`, which lie in one detail window.
    pub(crate) fn of(owner: &Owner, from_us: i64, to_us: i64) -> Learned {
        let windows = &owner.state.windows;
        let mut seen: HashMap<Way, (Seen, [bool; 4])> = HashMap::new();
        for (window_us, window) in windows.range(from_us - AROUND_US..to_us + AROUND_US) {
            for (key, counted) in &window.links {
                let (seen, here) = seen.entry(key.way).or_default();
                seen.add(key.view, key.scale, &counted.sums);
                here[key.view as usize] |= (from_us..to_us).contains(window_us);
            }
        }
        let mut learned = Learned::default();
        for (way, (seen, here)) in seen {
            let is_alive = |view| here[view as usize] || owner.is_view_alive(way, view, to_us - WINDOW_US);
            // Records may end where they have no bytes any more.
            let ending = || VIEWS.into_iter().find(|view| here[*view as usize]);
            if let Some(view) = seen.best(is_alive).or_else(ending) {
                learned.views.insert(way, view);
            }
        }
        let detail_us = slot_start_us(from_us, DETAIL_WINDOW_US);
        for window in windows.range(detail_us..detail_us + DETAIL_WINDOW_US).map(|(_, window)| window) {
            for (key, counted) in window.links.iter().filter(|(key, _)| key.scale.is_sampled()) {
                let (moments, sums) = learned.sizes.entry((key.way, key.view)).or_default();
                moments.add(&counted.moments);
                sums.add(&counted.sums);
            }
        }
        learned
    }

    /// The view by which a link and direction is counted, `None` where nobody saw it.
    pub(crate) fn view(&self, way: Way) -> Option<View> {
        self.views.get(&way).copied()
    }

    /// The relative variance of packet sizes on a link and direction.
    pub(crate) fn relative_variance(&self, way: Way, view: View) -> f64 {
        let (moments, sums) = self.sizes.get(&(way, view)).copied().unwrap_or_default();
        relative_variance(&moments, &sums)
    }
}

/// What of a link and direction a window holds in its best view.
#[derive(Default)]
struct Counted {
    by_scale: BTreeMap<Scale, WindowSums>,
    by_match: BTreeMap<MatchedBy, u64>,
    through_bytes: u64,
    late_bytes: u64,
}

impl Counted {
    fn add(&mut self, key: &LinkKey, sums: &WindowSums) {
        self.by_scale.entry(key.scale).or_default().add(sums);
        let matched = self.by_match.entry(key.matched_by).or_default();
        *matched = matched.saturating_add(sums.sums.bytes);
        if key.is_through {
            self.through_bytes = self.through_bytes.saturating_add(sums.sums.bytes);
        }
    }

    fn matched_by(&self) -> Option<MatchedBy> {
        self.by_match.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))).map(|(matched_by, _)| *matched_by)
    }
}

impl Owner {
    /// The rows of a window, by link and direction; before it is final those links alone that are mature.
    pub(crate) fn link_rows(
        &self,
        window_us: i64,
        now_us: i64,
        stage: Stage,
        learned: &Learned,
        loads: &PortLoads,
    ) -> Vec<LinkRow> {
        let Some(window) = self.state.windows.get(&window_us) else { return Vec::new() };
        let mut counted: HashMap<Way, Counted> = HashMap::new();
        for (key, sums) in window.links.iter().filter(|(key, _)| learned.view(key.way) == Some(key.view)) {
            counted.entry(key.way).or_default().add(key, sums);
        }
        for ((way, _), bytes) in &window.late {
            counted.entry(*way).or_default().late_bytes += bytes;
        }
        for way in self.idle_links(window_us) {
            counted.entry(way).or_default();
        }
        let mut rows: Vec<LinkRow> = counted
            .iter()
            .filter_map(|(way, counted)| {
                let is_mature = self.is_mature(&self.state.link_covers, *way, window_us, window_us + WINDOW_US, now_us);
                let stage = match stage {
                    Stage::Final => Stage::Final,
                    _ if is_mature => Stage::Mature,
                    Stage::Mature => return None,
                    Stage::Open => Stage::Open,
                };
                Some(self.link_row((window_us, *way), counted, stage, learned, loads))
            })
            .collect();
        rows.sort_by(|a, b| (&a.connection, &a.direction).cmp(&(&b.connection, &b.direction)));
        rows
    }

    /// Links and directions without traffic in a window, whose exporters would have shown it: their load is 0.
    ///
    /// Only where traffic was seen before: else it may be that telemetry cannot tell it apart, as on an
    /// exchange without Ethernet addresses. A connection is remembered for good, other links for an hour.
    fn idle_links(&self, window_us: i64) -> Vec<Way> {
        let covers = &self.state.link_covers;
        let is_idle = |way: &Way| {
            let within_us = if self.link(way.0).is_active { window_us.saturating_sub(i64::MIN / 2) } else { self.idle_us() };
            covers.exporters(*way, None, window_us, within_us).iter().any(|exporter| self.shows(*exporter, way.1, window_us))
        };
        covers.ways().filter(is_idle).collect()
    }

    /// Whether an exporter that has this view of a link would have shown traffic of a window.
    fn is_view_alive(&self, way: Way, view: View, window_us: i64) -> bool {
        let exporters = self.state.link_covers.exporters(way, Some(view), window_us + AROUND_US, self.idle_us());
        exporters.iter().any(|exporter| self.shows(*exporter, way.1, window_us))
    }

    /// Whether an exporter would have shown traffic of a window and direction.
    pub(crate) fn shows(&self, exporter: Address, direction: Direction, window_us: i64) -> bool {
        let until_us = window_us + WINDOW_US + self.timeout_us(exporter);
        self.state.exporters.shows(exporter, direction, window_us, until_us)
    }

    /// Coverage of a window by the exporters that count a link or port.
    pub(crate) fn coverage(&self, exporters: &[Address], from_us: i64, end_us: i64) -> Option<f64> {
        let longest_us = exporters.iter().map(|exporter| self.timeout_us(*exporter)).max()?;
        self.state.exporters.coverage(exporters, from_us, end_us + longest_us)
    }

    fn link_row(
        &self,
        (window_us, way): (i64, Way),
        counted: &Counted,
        stage: Stage,
        learned: &Learned,
        loads: &PortLoads,
    ) -> LinkRow {
        let link = self.link(way.0);
        let view = learned.view(way);
        let relative_variance = view.map_or(0.0, |view| learned.relative_variance(way, view));
        let load = Load::of(&counted.by_scale, relative_variance);
        let estimate = &load.estimate;
        let port = self.state.names.port_of(link);
        let (capacity, _) = port.map_or((None, None), |port| self.capacity(port, window_us));
        let exporters = self.state.link_covers.exporters(way, view, window_us, DETAIL_WINDOW_US);
        let known = |value: f64| estimate.known(value);
        LinkRow {
            window_start: window_us.into(),
            window_seconds: WINDOW_US / SECOND_US,
            connection: link.name.clone(),
            peering: link.peering.clone(),
            kind: link.kind.clone(),
            role: Name::from(link.role.name()),
            location: link.location.clone(),
            direction: Name::from(way.1.name()),
            mean_bps: known(per_second(estimate.bytes * 8.0, WINDOW_US)),
            peak_bps: known(per_second(load.peak_bytes * 8.0, BIN_US)),
            peak_seconds: BIN_US / SECOND_US,
            packets_per_second: known(per_second(estimate.packets, WINDOW_US)),
            samples: signed(estimate.samples),
            standard_error_bps: known(per_second(estimate.standard_error() * 8.0, WINDOW_US)),
            exported_bps: per_second(estimate.bytes_exported as f64 * 8.0, WINDOW_US),
            bytes_unknown_rate: signed(estimate.bytes_unknown_rate),
            matched_by: counted.matched_by().map(|matched_by| Name::from(matched_by.name())),
            capacity_bps: capacity.map(signed),
            utilisation_ratio: port.and_then(|port| self.utilisation((port, way.1), window_us, loads)),
            coverage_ratio: self.coverage(&exporters, window_us, window_us + WINDOW_US),
            late_bytes: signed(counted.late_bytes),
            through_bytes: signed(counted.through_bytes),
            status: Name::from(stage.name()),
        }
    }
}

/// A total over a time as a rate.
pub(crate) fn per_second(total: f64, over_us: i64) -> f64 {
    total / (over_us as f64 / SECOND_US as f64)
}

/// A count for a column; none comes near the bound.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
