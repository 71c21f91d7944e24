//! The owner: merges what the workers counted and alone holds windows and lateness.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::time::{BIN_US, DETAIL_WINDOW_US, SECOND_US, WINDOW_US, slot_start_us};
use model::{Link, Port};
use serde::{Deserialize, Serialize};

use crate::cell_key::End;
use crate::counters::Readings;
use crate::counts::{Counts, Dictionary, KnownCell, KnownLane, Translator};
use crate::covers::Covers;
use crate::delta::{Delta, DeltaLosses};
use crate::exporters::Exporters;
use crate::failover::{Failovers, Judging};
use crate::kept::DetailWindow;
use crate::names::Names;
use crate::settings::MeasureSettings;
use crate::sums::{BinSums, Sums};
use crate::window::{LinkKey, PortKey, Window, bin_index};

/// Detail windows published for good that are remembered: some days of them.
const FINALS_HELD: usize = 1_024;

/// The one owner of all windows.
///
/// Workers' deltas go in by [`Owner::merge`]; what is due comes out of [`Owner::advance`].
pub struct Owner {
    pub(crate) settings: MeasureSettings,
    pub(crate) state: OwnerState,
    pub(crate) judging: Judging,
    /// By worker.
    translators: Vec<Translator>,
}

/// Everything that an owner holds: what a stopped collector saves and the next one resumes with.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct OwnerState {
    pub(crate) names: Names,
    /// By worker: what its numbers stand for, and what windows have not taken in yet.
    dictionaries: Vec<Dictionary>,
    /// When it took something in last.
    now_us: i64,
    pub(crate) windows: BTreeMap<i64, Window>,
    pub(crate) details: BTreeMap<i64, DetailWindow>,
    /// Tags and prefixes by link held in `details`.
    pub(crate) cells: usize,
    pub(crate) exporters: Exporters,
    pub(crate) readings: Readings,
    pub(crate) link_covers: Covers,
    pub(crate) port_covers: Covers,
    /// Windows that start before it are closed; `None` before the first delta. It follows the clock, back too.
    pub(crate) closed_before_us: Option<i64>,
    /// What an earlier run published, of which nothing else is known, starts before it.
    published_before_us: Option<i64>,
    /// Starts of the latest detail windows of which something was published for good: when the clock is
    /// set back, they stay closed.
    finals: BTreeSet<i64>,
    pub(crate) late_records: u64,
    pub(crate) losses: DeltaLosses,
    /// Reports on exporters that found no row of their own.
    pub(crate) folded_exporters: u64,
    /// Readings of counters that found no room.
    pub(crate) readings_refused: u64,
    /// Keys and buckets of latency held in `windows`.
    pub(crate) latency_room: usize,
    pub(crate) failovers: Failovers,
    /// When failovers were judged last.
    pub(crate) watched_us: Option<i64>,
}

/// Where a bin counts.
pub(crate) enum Place {
    /// In its own window, or that of now where it is absurdly far ahead.
    At(i64),
    /// Nowhere any more: its window is closed.
    Late,
}

impl Owner {
    /// An owner without windows.
    pub fn new(settings: MeasureSettings) -> Owner {
        Owner::restore(settings, OwnerState::default())
    }

    /// An owner of a saved state; [`Owner::begin_run`] lets new workers go on from it.
    pub fn restore(settings: MeasureSettings, state: OwnerState) -> Owner {
        Owner { settings, state, judging: Judging::default(), translators: Vec::new() }
    }

    /// Goes on with other workers, under another configuration perhaps; counts of the run begin anew.
    pub fn begin_run(&mut self) {
        // The workers of another run number anew.
        self.settle(self.state.now_us);
        self.state.dictionaries.clear();
        self.translators.clear();
        self.state.late_records = 0;
        self.state.losses = DeltaLosses::default();
        // What the configuration says now, the first delta tells.
        self.state.names.forget_configuration();
    }

    /// Judges failovers so from now on.
    pub fn judge_by(&mut self, judging: Judging) {
        self.judging = judging;
    }

    /// Goes on under another configuration: what it says of links, the first delta under it tells.
    pub fn reconfigure(&mut self, settings: MeasureSettings) {
        self.settings = settings;
        self.state.names.forget_configuration();
    }

    /// An owner of the same state, to look ahead with.
    pub(crate) fn copy(&self) -> Owner {
        let judging = self.judging.clone();
        Owner { settings: self.settings.clone(), state: self.state.clone(), judging, translators: Vec::new() }
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

    /// Readings of interface counters that found no room.
    pub fn readings_refused(&self) -> u64 {
        self.state.readings_refused
    }

    /// Windows that end by `at_us` are taken as closed: an earlier run has published them, and what of them
    /// comes now must not take their place.
    pub fn start_after(&mut self, at_us: i64) {
        self.state.published_before_us = Some(slot_start_us(at_us, WINDOW_US));
        self.state.closed_before_us = self.state.published_before_us;
    }

    /// Closes windows before `at_us`, all of one detail window together.
    pub(crate) fn close_before(&mut self, at_us: i64) {
        let at_us = slot_start_us(at_us, DETAIL_WINDOW_US);
        self.state.closed_before_us = Some(at_us).max(self.state.published_before_us);
    }

    /// Whether a window, or a part of one, that ends then takes nothing in any more.
    pub(crate) fn is_closed(&self, end_us: i64) -> bool {
        self.state.closed_before_us.is_some_and(|closed_us| end_us <= closed_us)
            || self.state.finals.contains(&slot_start_us(end_us - 1, DETAIL_WINDOW_US))
    }

    /// Notes that rows of the window that starts then stand for good.
    pub(crate) fn note_final(&mut self, window_us: i64) {
        self.state.finals.insert(slot_start_us(window_us, DETAIL_WINDOW_US));
        if self.state.finals.len() > FINALS_HELD {
            self.state.finals.pop_first();
        }
    }

    /// The window of now, or the next that is not closed: a clock that was set back goes through times
    /// whose rows stand already.
    fn open_window_us(&self, now_us: i64) -> i64 {
        let mut window_us = slot_start_us(now_us, WINDOW_US).max(self.state.closed_before_us.unwrap_or(i64::MIN));
        while self.is_closed(window_us.saturating_add(WINDOW_US)) {
            window_us += WINDOW_US;
        }
        window_us
    }

    /// Takes in what a worker counted; `now_us` is the time of reception.
    pub fn merge(&mut self, worker: usize, delta: Delta, now_us: i64) {
        let counts = self.translate(worker, delta, now_us);
        self.apply(&counts);
    }

    /// Puts what a worker counted into the owner's numbers: what [`Owner::apply`] takes in, and a journal keeps.
    pub fn translate(&mut self, worker: usize, delta: Delta, now_us: i64) -> Counts {
        if worker >= self.translators.len() {
            self.translators.resize_with(worker + 1, Translator::default);
        }
        self.translators[worker].translate(&mut self.state.names, worker as u32, delta, now_us)
    }

    /// Takes in what was translated, by this owner or by one of whose state it holds a copy.
    pub fn apply(&mut self, counts: &Counts) {
        let now_us = counts.now_us;
        if self.state.closed_before_us.is_none() {
            // Nothing is published yet, so nothing is too late but what is absurdly old.
            let horizon_us = self.settings.revision_seconds_most * SECOND_US;
            self.close_before(now_us.saturating_sub(horizon_us));
        }
        let worker = counts.worker as usize;
        if self.state.dictionaries.get(worker).is_some_and(|dictionary| dictionary.epoch != counts.epoch) {
            self.settle(now_us);
            self.state.dictionaries[worker].begin(counts.epoch);
        }
        let minute_us = self.open_window_us(now_us);
        let state = &mut self.state;
        state.now_us = now_us;
        state.names.apply(&counts.names);
        if worker >= state.dictionaries.len() {
            state.dictionaries.resize_with(worker + 1, Dictionary::default);
            state.dictionaries[worker].begin(counts.epoch);
        }
        state.dictionaries[worker].add(counts);
        state.losses.add(&counts.losses);
        for health in &counts.health {
            if !state.exporters.report(health, counts.kernel_drops, (minute_us, now_us), &self.settings) {
                state.folded_exporters += 1;
            }
        }
        if !counts.health.is_empty() {
            // Also a minute in which nothing was placed has rows.
            state.windows.entry(minute_us).or_default();
        }
        self.take_counters(counts);
        self.take_latency(&counts.latency, now_us);
    }

    /// Lets windows take in what the workers counted since the last time.
    pub(crate) fn settle(&mut self, now_us: i64) {
        for worker in 0..self.state.dictionaries.len() {
            let (bins, cells) = self.state.dictionaries[worker].take();
            for (lane, bin_us, counted) in &bins {
                self.count_bin(lane, *bin_us, counted, now_us);
            }
            for (cell, lane, sums) in &cells {
                self.count_cell(cell, lane, sums, now_us);
            }
        }
    }

    /// Where something counts that lies in a slot of that start and width.
    pub(crate) fn place(&self, start_us: i64, width_us: i64, now_us: i64) -> Place {
        let ahead_us = self.settings.ahead_seconds_max * SECOND_US;
        let at_us = if start_us > now_us.saturating_add(ahead_us) { now_us } else { start_us };
        let end_us = slot_start_us(at_us, width_us).saturating_add(width_us);
        if self.is_closed(end_us) { Place::Late } else { Place::At(at_us) }
    }

    fn count_bin(&mut self, lane: &KnownLane, bin_us: i64, counted: &BinSums, now_us: i64) {
        let place = self.place(bin_us, BIN_US, now_us);
        let minute_us = self.open_window_us(now_us);
        let state = &mut self.state;
        let &KnownLane { direction, view, scale, matched_by, is_through, exporter, is_v6, .. } = lane;
        if let Place::At(_) = place {
            state.exporters.place(exporter, direction, minute_us);
        }
        let at_us = match place {
            Place::At(at_us) => at_us,
            Place::Late => {
                if let Some(link) = lane.link {
                    state.late_records += counted.ledger_records;
                    let window = state.windows.entry(minute_us).or_default();
                    window.add_late((link, direction), view, counted.sums.bytes);
                }
                return;
            }
        };
        let window_us = slot_start_us(at_us, WINDOW_US);
        let window = state.windows.entry(window_us).or_default();
        if let Some(link) = lane.link {
            let way = (link, direction);
            window.add_link(LinkKey { way, view, scale, matched_by, is_through }, bin_index(at_us), counted, is_v6);
            state.link_covers.note(way, view, exporter, window_us);
        }
        if let Some(port) = lane.port {
            let way = (port, direction);
            let counted = BinSums { ledger_records: 0, ..*counted };
            window.add_port(PortKey { way, view, scale }, bin_index(at_us), &counted, is_v6);
            state.port_covers.note(way, view, exporter, window_us);
        }
    }

    fn count_cell(&mut self, cell: &KnownCell, lane: &KnownLane, sums: &Sums, now_us: i64) {
        let Some(link) = lane.link else { return };
        let Place::At(at_us) = self.place(cell.window_us, DETAIL_WINDOW_US, now_us) else { return };
        let state = &mut self.state;
        let window = state.details.entry(slot_start_us(at_us, DETAIL_WINDOW_US)).or_default();
        window.schedule.is_dirty = true;
        let way = (link, lane.direction);
        let has_room = state.cells < self.settings.cells_max;
        let (view, scale) = (lane.view, lane.scale);
        if cell.end == End::Microsoft {
            state.cells += window.links.entry(way).or_default().traffic.add(view, scale, cell.traffic, sums, has_room);
        }
        // The record is one, whichever prefixes it has: it is counted in `traffic` alone.
        let sums = Sums { records: 0, ..*sums };
        state.cells += window.add_prefix((way, cell.end), (view, scale), cell.prefix, &sums, has_room);
    }

    fn take_counters(&mut self, counts: &Counts) {
        for placed in &counts.counters {
            let most = self.settings.counter_readings_max;
            let Some(from_us) = self.state.readings.add(placed.port, placed.is_member, &placed.counters, most) else {
                self.state.readings_refused += 1;
                continue;
            };
            let at_us = placed.counters.at_us.min(counts.now_us);
            // A difference over a longer time says nothing, and of closed windows nothing can be said any more.
            let first_us = from_us.max(at_us.saturating_sub(self.settings.counter_gap_seconds_max * SECOND_US));
            let mut window_us = slot_start_us(first_us, WINDOW_US);
            while window_us <= at_us {
                if !self.is_closed(window_us + WINDOW_US) {
                    // Also of a router that sends no telemetry in this minute.
                    self.state.windows.entry(window_us).or_default().schedule.is_dirty = true;
                }
                window_us += WINDOW_US;
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
