//! The owner: merges what the workers counted and alone holds windows and lateness.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::time::{BIN_US, DETAIL_WINDOW_US, SECOND_US, WINDOW_US, slot_start_us};
use model::{Address, Link, Port};
use serde::{Deserialize, Serialize};

use crate::cell::End;
use crate::counters::Readings;
use crate::covers::Covers;
use crate::delta::{Delta, DeltaLosses};
use crate::exporters::Exporters;
use crate::items::Items;
use crate::kept::DetailWindow;
use crate::lane::LinkLane;
use crate::names::Names;
use crate::settings::MeasureSettings;
use crate::sums::{BinSums, Sums};
use crate::window::{LinkKey, PortKey, Window, bin_index};

/// The one owner of all windows.
///
/// Workers' deltas go in by [`Owner::merge`]; what is due comes out of [`Owner::advance`].
pub struct Owner {
    pub(crate) settings: MeasureSettings,
    pub(crate) state: OwnerState,
}

/// Everything that an owner holds: what a stopped collector saves and the next one resumes with.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct OwnerState {
    pub(crate) names: Names,
    pub(crate) windows: BTreeMap<i64, Window>,
    pub(crate) details: BTreeMap<i64, DetailWindow>,
    /// Tags and prefixes by link held in `details`.
    pub(crate) cells: usize,
    pub(crate) exporters: Exporters,
    pub(crate) readings: Readings,
    pub(crate) link_covers: Covers,
    pub(crate) port_covers: Covers,
    /// Windows that start before it are closed; `None` before the first delta.
    pub(crate) closed_before_us: Option<i64>,
    pub(crate) late_records: u64,
    pub(crate) losses: DeltaLosses,
    /// Reports on exporters that found no row of their own.
    pub(crate) folded_exporters: u64,
    /// Readings of counters that found no room.
    pub(crate) readings_refused: u64,
}

/// Where a bin counts.
enum Place {
    /// In its own window, or that of now where it is absurdly far ahead.
    At(i64),
    /// Nowhere any more: its window is closed.
    Late,
}

/// The owner's numbers and addresses for a worker's.
struct Translation {
    links: Vec<u32>,
    ports: Vec<u32>,
    exporters: Vec<Option<Address>>,
}

impl Translation {
    fn exporter(&self, index: u32) -> Address {
        self.exporters.get(index as usize).copied().flatten().unwrap_or(Address::UNKNOWN)
    }
}

impl Owner {
    /// An owner without windows.
    pub fn new(settings: MeasureSettings) -> Owner {
        Owner { settings, state: OwnerState::default() }
    }

    /// An owner that goes on where another one stopped; counts of the run begin anew.
    pub fn resume(settings: MeasureSettings, state: OwnerState) -> Owner {
        let mut owner = Owner { settings, state };
        owner.state.late_records = 0;
        owner.state.losses = DeltaLosses::default();
        // What the configuration says now, the first delta tells.
        owner.state.names.forget_configuration();
        owner
    }

    /// What it holds, to be saved.
    pub fn state(&self) -> &OwnerState {
        &self.state
    }

    /// All links that were told of so far, those that telemetry brought up among them; grows at the end only.
    pub fn links(&self) -> &[Arc<Link>] {
        &self.state.names.links
    }

    /// Records of the ledger whose last packet came for a closed window; they were counted as attributed before.
    pub fn late_records(&self) -> u64 {
        self.state.late_records
    }

    /// What workers could not count as it came.
    pub fn losses(&self) -> DeltaLosses {
        self.state.losses
    }

    /// Windows that end by `at_us` are taken as closed: an earlier run has published them, and what of them
    /// comes now must not take their place.
    pub fn start_after(&mut self, at_us: i64) {
        self.state.closed_before_us = Some(slot_start_us(at_us, WINDOW_US));
    }

    /// Closes windows before `at_us`, all of one detail window together.
    pub(crate) fn close_before(&mut self, at_us: i64) {
        let at_us = slot_start_us(at_us, DETAIL_WINDOW_US);
        let held = self.state.closed_before_us.get_or_insert(at_us);
        *held = (*held).max(at_us);
    }

    /// Takes in what a worker counted; `now_us` is the time of reception.
    pub fn merge(&mut self, delta: Delta, now_us: i64) {
        if self.state.closed_before_us.is_none() {
            // Nothing is published yet, so nothing is too late but what is absurdly old.
            let horizon_us = self.settings.revision_seconds_most * SECOND_US;
            self.close_before(now_us.saturating_sub(horizon_us));
        }
        let state = &mut self.state;
        let translation = Translation {
            links: state.names.translate_links(&delta.links),
            ports: state.names.translate_ports(&delta.ports),
            exporters: delta.exporters.clone(),
        };
        state.losses.add(&delta.losses);
        for health in &delta.health {
            if !state.exporters.report(health, delta.kernel_drops, now_us, &self.settings) {
                state.folded_exporters += 1;
            }
        }
        if !delta.health.is_empty() {
            // Also a minute in which nothing was placed has rows.
            state.windows.entry(slot_start_us(now_us, WINDOW_US)).or_default();
        }
        self.merge_links(&delta, &translation, now_us);
        self.merge_ports(&delta, &translation, now_us);
        self.merge_cells(&delta, &translation, now_us);
        self.merge_counters(&delta, &translation);
    }

    /// Where something counts that lies in a slot of that start and width.
    fn place(&self, start_us: i64, width_us: i64, now_us: i64) -> Place {
        if self.is_closed(start_us.saturating_add(width_us)) {
            return Place::Late;
        }
        let ahead_us = self.settings.ahead_seconds_max * SECOND_US;
        Place::At(if start_us > now_us.saturating_add(ahead_us) { now_us } else { start_us })
    }

    fn merge_links(&mut self, delta: &Delta, translation: &Translation, now_us: i64) {
        for (lane, bin_us, counted) in &delta.link_bins {
            let lane = delta.link_lanes[*lane as usize];
            let LinkLane { direction, view, scale, matched_by, is_through, .. } = lane;
            let place = self.place(*bin_us, BIN_US, now_us);
            let state = &mut self.state;
            let way = (state.names.link_number(&translation.links, lane.link), direction);
            let exporter = translation.exporter(lane.exporter);
            state.exporters.place(exporter, direction, now_us);
            match place {
                Place::At(at_us) => {
                    let window_us = slot_start_us(at_us, WINDOW_US);
                    let key = LinkKey { way, view, scale, matched_by, is_through };
                    state.windows.entry(window_us).or_default().add_link(key, bin_index(at_us), counted);
                    state.link_covers.note(way, view, exporter, window_us);
                }
                Place::Late => {
                    state.late_records += counted.ledger_records;
                    let window = state.windows.entry(slot_start_us(now_us, WINDOW_US)).or_default();
                    window.add_late(way, view, counted.sums.bytes);
                }
            }
        }
    }

    fn merge_ports(&mut self, delta: &Delta, translation: &Translation, now_us: i64) {
        for (lane, bin_us, counted) in &delta.port_bins {
            let lane = delta.port_lanes[*lane as usize];
            let Place::At(at_us) = self.place(*bin_us, BIN_US, now_us) else { continue };
            let state = &mut self.state;
            let way = (state.names.port_number(&translation.ports, lane.port), lane.direction);
            let exporter = translation.exporter(lane.exporter);
            let window_us = slot_start_us(at_us, WINDOW_US);
            let key = PortKey { way, view: lane.view, scale: lane.scale };
            let counted = BinSums { ledger_records: 0, ..*counted };
            state.windows.entry(window_us).or_default().add_port(key, bin_index(at_us), &counted);
            state.port_covers.note(way, lane.view, exporter, window_us);
            state.exporters.place(exporter, lane.direction, now_us);
        }
    }

    fn merge_cells(&mut self, delta: &Delta, translation: &Translation, now_us: i64) {
        let mut items = Items::of(delta);
        for (key, sums) in &delta.counted.cells {
            let Place::At(at_us) = self.place(key.window_us(), DETAIL_WINDOW_US, now_us) else { continue };
            let lane = delta.link_lanes[key.lane as usize];
            let state = &mut self.state;
            let way = (state.names.link_number(&translation.links, lane.link), lane.direction);
            let window = state.details.entry(slot_start_us(at_us, DETAIL_WINDOW_US)).or_default();
            window.schedule.is_dirty = true;
            let link = window.links.entry(way).or_default();
            let has_room = state.cells < self.settings.cells_max;
            let (view, scale) = (lane.view, lane.scale);
            if key.end == End::Microsoft {
                let item = items.traffic(&mut state.names, key);
                state.cells += link.traffic.add(view, scale, item, sums, has_room);
            }
            let item = items.prefix(&mut state.names, key);
            // The record is one, whichever prefixes it has: it is counted in `traffic` alone.
            let sums = Sums { records: 0, ..*sums };
            let prefixes = if key.end == End::Microsoft { &mut link.microsoft } else { &mut link.customers };
            state.cells += prefixes.add(view, scale, item, &sums, has_room);
        }
    }

    fn merge_counters(&mut self, delta: &Delta, translation: &Translation) {
        let state = &mut self.state;
        for placed in &delta.counters {
            let port = state.names.port_number(&translation.ports, placed.port);
            let from_us = state.readings.add(port, placed.is_member, &placed.counters, self.settings.counter_readings_max);
            let Some(from_us) = from_us else {
                state.readings_refused += 1;
                continue;
            };
            let from_us = slot_start_us(from_us, WINDOW_US);
            if from_us <= placed.counters.at_us {
                for window in state.windows.range_mut(from_us..=placed.counters.at_us).map(|(_, window)| window) {
                    window.schedule.is_dirty = true;
                }
            }
        }
    }

    pub(crate) fn link(&self, number: u32) -> &Link {
        &self.state.names.links[number as usize]
    }

    pub(crate) fn port(&self, number: u32) -> &Port {
        &self.state.names.ports[number as usize]
    }
}
