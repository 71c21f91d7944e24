//! The table of a worker: records are added here, and taken out once a second.

use std::sync::Arc;

use model::link::Directory;
use model::tag::TagNames;
use model::time::{BIN_US, DETAIL_WINDOW_US, SECOND_US};
use model::{Address, Attribution, Batch, Direction, ExporterHealth, ExporterId, Fact, Placements, Record};

use crate::cell::Cells;
use crate::cell_key::End;
use crate::delta::{Delta, DeltaLosses, PlacedCounters};
use crate::lane::{Lane, Lanes};
use crate::latency::LatencyDelta;
use crate::scale::Scale;
use crate::settings::MeasureSettings;
use crate::small::{LastSlot, Small, SmallLayers};
use crate::spread::{Parts, spread};
use crate::sums::{Layers, Moments};

/// Event times are held within this distance of 1970, so that no arithmetic on them can overflow.
const TIME_MAX_US: i64 = 1 << 60;
/// Exporters whose addresses are held; a decoder has fewer.
const EXPORTERS_MAX: usize = 1 << 20;

/// The delta table of one worker.
///
/// A record costs a look-up for each end that it has, and additions; nothing is allocated in the long
/// run. What is told of lanes and cells is told once in an epoch, which lasts about as long as a window.
pub struct Deltas {
    epoch: u64,
    /// The latest detail window when the epoch began.
    window_us: i64,
    lanes: Lanes,
    cells: Cells,
    counters: Vec<PlacedCounters>,
    exporters: Vec<Option<Address>>,
    kernel_drops: u64,
    record_us_max: i64,
    clamped_durations: u64,
    prepared: Prepared,
    last_bin: LastSlot<BIN_US>,
    last_window: LastSlot<DETAIL_WINDOW_US>,
}

/// What all placements of one record share.
#[derive(Default)]
struct Prepared {
    /// Index of the record in its batch.
    record: Option<u32>,
    start_us: i64,
    end_us: i64,
    scale: Scale,
    /// It is a lone packet, which tells of packet sizes.
    has_moments: bool,
    sums: PreparedSums,
}

/// What a record counts on both layers.
enum PreparedSums {
    Small(SmallLayers),
    /// On the link layer by bins, on the IP layer by detail windows.
    Large {
        bins: Parts,
        windows: Parts,
    },
}

impl Default for PreparedSums {
    fn default() -> PreparedSums {
        PreparedSums::Small(SmallLayers::default())
    }
}

impl Deltas {
    /// An empty table.
    pub fn new(settings: &MeasureSettings) -> Deltas {
        Deltas {
            epoch: 0,
            window_us: i64::MIN,
            lanes: Lanes::new(settings.worker_lanes_max, settings.worker_bins_max),
            cells: Cells::new(settings.worker_cells_max),
            counters: Vec::new(),
            exporters: Vec::new(),
            kernel_drops: 0,
            record_us_max: settings.record_seconds_max.saturating_mul(SECOND_US),
            clamped_durations: 0,
            prepared: Prepared::default(),
            last_bin: LastSlot::default(),
            last_window: LastSlot::default(),
        }
    }

    /// Counts the records and counters of a batch where they were placed.
    ///
    /// `attributions` are those of the batch's records, in their order; a placement of a record that is
    /// not there is ignored. The attribution tables must not change between two calls of [`Deltas::take`].
    pub fn add(&mut self, batch: &Batch, attributions: &[Attribution], placements: &Placements) {
        self.learn(&batch.facts);
        self.prepared.record = None;
        for placement in &placements.counters {
            if let Some(counters) = batch.counters.get(placement.counters as usize) {
                let (port, is_member) = (placement.port, placement.is_member);
                self.counters.push(PlacedCounters { port, is_member, counters: counters.clone() });
            }
        }
        let mut counted_on_link = None;
        for placement in &placements.records {
            let index = placement.record as usize;
            let (Some(record), Some(attribution)) = (batch.records.get(index), attributions.get(index)) else { continue };
            self.prepare(placement.record, record);
            let lane = self.lanes.lane(Lane {
                link: placement.link,
                port: placement.port,
                exporter: record.exporter.0,
                scale: self.prepared.scale,
                direction: placement.direction,
                view: placement.view,
                matched_by: placement.matched_by,
                is_through: placement.is_through,
                is_v6: !(record.source.is_v4() || record.destination.is_v4()),
            });
            let is_first = placement.is_on_link() && counted_on_link != Some(placement.record);
            self.add_to_lane(lane, record, is_first && !record.is_reverse);
            if placement.is_on_link() {
                counted_on_link = Some(placement.record);
                self.add_to_cells(lane, placement.direction, record, attribution);
            }
        }
        self.cells.settle();
    }

    /// Takes out what was counted since the last time.
    ///
    /// `directory` and `names` are those of the resolver and the attribution tables that the batches
    /// went through; `health` is the decoder's since the last time; `kernel_drops` is the receiver's
    /// count since its start.
    pub fn take(
        &mut self,
        directory: &Directory,
        names: &Arc<TagNames>,
        health: Vec<ExporterHealth>,
        kernel_drops: u64,
    ) -> Delta {
        for report in &health {
            self.name(report.exporter, report.address);
        }
        // A count that fell is that of a new socket.
        let dropped = kernel_drops.checked_sub(self.kernel_drops).unwrap_or(kernel_drops);
        self.kernel_drops = kernel_drops;
        let (lanes, bins) = self.lanes.take();
        let counted = self.cells.take();
        let epoch = self.epoch;
        let last_window_us = self.cells.last_window_us();
        if last_window_us > self.window_us || self.lanes.is_crowded() || self.cells.is_crowded() {
            self.begin_epoch(last_window_us);
        }
        Delta {
            epoch,
            links: directory.links.clone(),
            ports: directory.ports.clone(),
            names: names.clone(),
            exporters: self.exporters.clone(),
            lanes,
            bins,
            counted,
            counters: std::mem::take(&mut self.counters),
            health,
            kernel_drops: dropped,
            losses: DeltaLosses {
                folded_lanes: std::mem::take(&mut self.lanes.folded),
                moved_bins: std::mem::take(&mut self.lanes.moved),
                folded_cells: std::mem::take(&mut self.cells.folded),
                clamped_durations: std::mem::take(&mut self.clamped_durations),
                latency_refused: 0,
            },
            latency: LatencyDelta::default(),
        }
    }

    /// Lanes and cells get new numbers: those of windows gone by are forgotten.
    fn begin_epoch(&mut self, window_us: i64) {
        self.epoch += 1;
        self.window_us = window_us;
        self.lanes.clear();
        self.cells.clear();
    }

    /// Goes on with other attribution tables and another directory; to be called right after [`Deltas::take`].
    pub fn restart(&mut self) {
        self.begin_epoch(i64::MIN);
    }

    fn learn(&mut self, facts: &[Fact]) {
        for fact in facts {
            if let Fact::Exporter { exporter, address } = fact {
                self.name(*exporter, *address);
            }
        }
    }

    fn name(&mut self, exporter: ExporterId, address: Address) {
        let place = exporter.0 as usize;
        if place >= EXPORTERS_MAX {
            return;
        }
        if place >= self.exporters.len() {
            self.exporters.resize(place + 1, None);
        }
        self.exporters[place] = Some(address);
    }

    #[inline]
    fn add_to_lane(&mut self, lane: u32, record: &Record, is_in_ledger: bool) {
        let Prepared { start_us, end_us, has_moments, sums, .. } = &self.prepared;
        let lanes = &mut self.lanes;
        // What is not spread counts where the record ends.
        let bin = match sums {
            PreparedSums::Small(layers) => {
                let add = |bin_us, part: &Small| lanes.bin(lane, bin_us).sums.add_small(part, 0);
                let last_us = self.last_bin.start_us(*end_us);
                let last = layers.link.spread::<BIN_US>((*start_us, *end_us), last_us, add);
                let bin = lanes.bin(lane, last_us);
                bin.sums.add_small(&last, 1);
                bin
            }
            PreparedSums::Large { bins, .. } => {
                let Some(((last_us, last), others)) = bins.split_last() else { return };
                others.iter().for_each(|(bin_us, part)| lanes.bin(lane, *bin_us).sums.add(part));
                let bin = lanes.bin(lane, *last_us);
                bin.sums.add(last);
                bin
            }
        };
        bin.ledger_records += u64::from(is_in_ledger);
        if *has_moments {
            bin.moments.add(&Moments::of(record));
        }
    }

    #[inline]
    fn add_to_cells(&mut self, lane: u32, direction: Direction, record: &Record, attribution: &Attribution) {
        // Chosen by place: which way a record goes is hard to foresee.
        let sides = [&attribution.source, &attribution.destination];
        let addresses = [&record.source, &record.destination];
        let masks = [record.source_mask, record.destination_mask];
        let (ours, theirs) = match direction {
            Direction::ToMicrosoft => (0, 1),
            Direction::FromMicrosoft => (1, 0),
        };
        let ends = [
            self.cells.key(lane, End::Customer, sides[ours], *addresses[ours], masks[ours]),
            self.cells.key(lane, End::Microsoft, sides[theirs], *addresses[theirs], masks[theirs]),
        ];
        let Prepared { start_us, end_us, sums, .. } = &self.prepared;
        let cells = &mut self.cells;
        match sums {
            PreparedSums::Small(layers) => {
                let add = |window_us, part: &Small| cells.add(ends, window_us, part, 0);
                let last_us = self.last_window.start_us(*end_us);
                let last = layers.ip.spread::<DETAIL_WINDOW_US>((*start_us, *end_us), last_us, add);
                cells.add(ends, last_us, &last, 1);
            }
            PreparedSums::Large { windows, .. } => {
                windows.iter().for_each(|(window_us, sums)| cells.add_large(ends, *window_us, sums));
            }
        }
    }

    #[inline]
    fn prepare(&mut self, index: u32, record: &Record) {
        if self.prepared.record == Some(index) {
            return;
        }
        let end_us = record.end_us.clamp(-TIME_MAX_US, TIME_MAX_US);
        let mut start_us = record.start_us.clamp(-TIME_MAX_US, end_us);
        if end_us - start_us > self.record_us_max {
            start_us = end_us - self.record_us_max;
            self.clamped_durations += 1;
        }
        let prepared = &mut self.prepared;
        (prepared.record, prepared.start_us, prepared.end_us) = (Some(index), start_us, end_us);
        prepared.scale = Scale::of(record);
        prepared.has_moments = Moments::has(record, prepared.scale);
        match SmallLayers::of(record, prepared.scale, end_us.abs_diff(start_us)) {
            Some(layers) => prepared.sums = PreparedSums::Small(layers),
            None => prepared.spread_large(record),
        }
    }
}

impl Prepared {
    #[cold]
    fn spread_large(&mut self, record: &Record) {
        let layers = Layers::of(record, self.scale);
        let (mut bins, mut windows) = (Parts::new(), Parts::new());
        spread::<BIN_US>(&layers.link, self.start_us, self.end_us, &mut bins);
        spread::<DETAIL_WINDOW_US>(&layers.ip, self.start_us, self.end_us, &mut windows);
        self.sums = PreparedSums::Large { bins, windows };
    }
}
