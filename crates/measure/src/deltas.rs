//! The table of a worker: records are added here, and taken out once a second.

use std::sync::Arc;

use model::link::{Directory, LinkPlacement, PortPlacement};
use model::tag::TagNames;
use model::time::{BIN_US, DETAIL_WINDOW_US, SECOND_US};
use model::{Address, Attribution, Batch, Direction, ExporterHealth, ExporterId, Fact, Placements, Record};

use crate::cell::{Cells, End};
use crate::delta::{Delta, DeltaLosses, PlacedCounters};
use crate::lane::{Lanes, LinkLane, PortLane};
use crate::scale::Scale;
use crate::settings::MeasureSettings;
use crate::spread::{Parts, spread};
use crate::sums::{BinSums, Layers, Moments};

/// Event times are held within this distance of 1970, so that no arithmetic on them can overflow.
const TIME_MAX_US: i64 = 1 << 60;
/// Exporters whose addresses are held; a decoder has fewer.
const EXPORTERS_MAX: usize = 1 << 20;

/// The delta table of one worker.
///
/// A record costs a look-up for each end that it has, and additions; nothing is allocated in the long
/// run but the table of the next interval.
pub struct Deltas {
    links: Lanes<LinkLane>,
    ports: Lanes<PortLane>,
    cells: Cells,
    counters: Vec<PlacedCounters>,
    exporters: Vec<Option<Address>>,
    kernel_drops: u64,
    record_us_max: i64,
    clamped_durations: u64,
    prepared: Prepared,
}

/// What all placements of one record share.
#[derive(Default)]
struct Prepared {
    /// Index of the record in its batch.
    record: Option<u32>,
    scale: Scale,
    layers: Layers,
    start_us: i64,
    end_us: i64,
    /// On the link layer, by bins.
    bins: Parts,
    /// On the IP layer, by detail windows.
    windows: Parts,
    has_windows: bool,
}

impl Deltas {
    /// An empty table.
    pub fn new(settings: &MeasureSettings) -> Deltas {
        Deltas {
            links: Lanes::new(settings.worker_lanes_max, settings.worker_bins_max),
            ports: Lanes::new(settings.worker_lanes_max, settings.worker_bins_max),
            cells: Cells::new(settings.worker_cells_max),
            counters: Vec::new(),
            exporters: Vec::new(),
            kernel_drops: 0,
            record_us_max: settings.record_seconds_max.saturating_mul(SECOND_US),
            clamped_durations: 0,
            prepared: Prepared::default(),
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
        // Both lists go by record: side by side, a record is prepared once.
        let mut ports = placements.ports.iter().peekable();
        let mut previous = None;
        for placement in &placements.links {
            while let Some(port) = ports.next_if(|port| port.record <= placement.record) {
                self.add_on_port(batch, port);
            }
            let is_first = previous.replace(placement.record) != Some(placement.record);
            self.add_on_link(batch, attributions, placement, is_first);
        }
        for port in ports {
            self.add_on_port(batch, port);
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
        let (link_lanes, link_bins) = self.links.take();
        let (port_lanes, port_bins) = self.ports.take();
        Delta {
            links: directory.links.clone(),
            ports: directory.ports.clone(),
            names: names.clone(),
            exporters: self.exporters.clone(),
            link_lanes,
            link_bins,
            port_lanes,
            port_bins,
            counted: self.cells.take(),
            counters: std::mem::take(&mut self.counters),
            health,
            kernel_drops: dropped,
            losses: DeltaLosses {
                folded_lanes: std::mem::take(&mut self.links.folded) + std::mem::take(&mut self.ports.folded),
                moved_bins: std::mem::take(&mut self.links.moved) + std::mem::take(&mut self.ports.moved),
                folded_cells: std::mem::take(&mut self.cells.folded),
                clamped_durations: std::mem::take(&mut self.clamped_durations),
            },
        }
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

    fn add_on_port(&mut self, batch: &Batch, placement: &PortPlacement) {
        let Some(record) = batch.records.get(placement.record as usize) else { return };
        self.prepare(placement.record, record);
        let lane = self.ports.lane(PortLane {
            port: placement.port,
            exporter: record.exporter.0,
            scale: self.prepared.scale,
            direction: placement.direction,
            view: placement.view,
        });
        let whole = BinSums { moments: Moments::of(record, self.prepared.scale), ..BinSums::default() };
        self.ports.add(lane, &self.prepared.bins, &whole);
    }

    fn add_on_link(&mut self, batch: &Batch, attributions: &[Attribution], placement: &LinkPlacement, is_first: bool) {
        let index = placement.record as usize;
        let (Some(record), Some(attribution)) = (batch.records.get(index), attributions.get(index)) else { return };
        self.prepare(placement.record, record);
        let scale = self.prepared.scale;
        let lane = self.links.lane(LinkLane {
            link: placement.link,
            exporter: record.exporter.0,
            scale,
            direction: placement.direction,
            view: placement.view,
            matched_by: placement.matched_by,
            is_through: placement.is_through,
        });
        let whole = BinSums {
            moments: Moments::of(record, scale),
            ledger_records: u64::from(is_first && !record.is_reverse),
            ..BinSums::default()
        };
        self.links.add(lane, &self.prepared.bins, &whole);
        self.prepared.spread_windows();
        let source = (&attribution.source, record.source, record.source_mask);
        let destination = (&attribution.destination, record.destination, record.destination_mask);
        let (ours, microsoft) = match placement.direction {
            Direction::ToMicrosoft => (source, destination),
            Direction::FromMicrosoft => (destination, source),
        };
        for (end, (side, address, mask)) in [(End::Customer, ours), (End::Microsoft, microsoft)] {
            let key = self.cells.key(lane, end, side, address, mask);
            for (window_us, sums) in &self.prepared.windows {
                self.cells.add(key, *window_us, sums);
            }
        }
    }

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
        prepared.record = Some(index);
        prepared.scale = Scale::of(record);
        (prepared.start_us, prepared.end_us) = (start_us, end_us);
        prepared.has_windows = false;
        prepared.layers = Layers::of(record, prepared.scale);
        spread::<BIN_US>(&prepared.layers.link, start_us, end_us, &mut prepared.bins);
    }
}

impl Prepared {
    fn spread_windows(&mut self) {
        if !self.has_windows {
            self.has_windows = true;
            spread::<DETAIL_WINDOW_US>(&self.layers.ip, self.start_us, self.end_us, &mut self.windows);
        }
    }
}
