//! One worker: datagrams carried through decode, attribute, resolve and measure.
//!
//! Replay and live collection call the same functions; only who calls, and whose clock is `now`,
//! differ.

use std::net::SocketAddr;
use std::sync::Arc;

use attribute::Attributor;
use decode::{DecodeSettings, Decoder, LatencyElements, SamplingRule};
use measure::{Delta, Deltas, Flows, Judging, MeasureSettings, RecordLatency};
use model::ledger::DatagramRefusal;
use model::{Address, Attribution, Batch, ExporterHealth, FlowBatch, Ledger, Placements};
use peering::{Inventory, Resolver, Seen};

use crate::allowed::{Allowed, RefusedSources};

/// Records that are carried on together: enough to fetch their table entries ahead, few enough to
/// stay in the cache.
const BATCH_RECORDS: usize = 64;

/// What all workers share, immutable.
pub struct Shared {
    /// Who may send.
    pub allowed: Arc<Allowed>,
    /// Bounds of decoding.
    pub decode: DecodeSettings,
    /// Configured sampling rates.
    pub sampling_rules: Vec<SamplingRule>,
    /// Elements in which exporters tell latency.
    pub latency_elements: Arc<LatencyElements>,
    /// Prefix lists, compiled.
    pub table: Arc<attribute::Table>,
    /// Ports and connections.
    pub inventory: Arc<Inventory>,
    /// Bounds of measuring.
    pub measure: MeasureSettings,
    /// How failovers are judged.
    pub judging: Judging,
    /// Whether the records themselves are kept.
    pub keeps_flows: bool,
}

/// A worker's whole state.
pub struct Worker {
    allowed: Arc<Allowed>,
    refused: RefusedSources,
    /// Under an earlier configuration.
    seen_before: Seen,
    decoder: Decoder,
    attributor: Attributor,
    resolver: Resolver,
    deltas: Deltas,
    latency: RecordLatency,
    flows: Option<Flows>,
    table: Arc<attribute::Table>,
    batch: Batch,
    attributions: Vec<Attribution>,
    placements: Placements,
    resolved: Ledger,
}

impl Worker {
    /// A worker with empty state.
    pub fn new(shared: &Shared) -> Worker {
        Worker {
            allowed: shared.allowed.clone(),
            refused: RefusedSources::default(),
            seen_before: Seen::default(),
            decoder: decoder(shared),
            attributor: Attributor::new(shared.table.clone()),
            resolver: Resolver::new(shared.inventory.clone()),
            deltas: Deltas::new(&shared.measure),
            latency: RecordLatency::new(&shared.measure),
            flows: shared.keeps_flows.then(Flows::default),
            table: shared.table.clone(),
            batch: Batch::default(),
            attributions: Vec::new(),
            placements: Placements::default(),
            resolved: Ledger::default(),
        }
    }

    /// Takes a datagram in.
    pub fn datagram(&mut self, received_us: i64, source: SocketAddr, payload: &[u8]) {
        let address = Address::from(source.ip());
        if !self.allowed.allows(address) {
            self.refused.note(address, received_us);
            return self.refuse(DatagramRefusal::NotAllowed);
        }
        self.decoder.datagram(received_us, source, payload, &mut self.batch);
        if self.batch.records.len() >= BATCH_RECORDS {
            self.carry();
        }
    }

    /// Counts datagrams that the kernel dropped because their senders are not allowed.
    pub fn refuse_unseen(&mut self, count: u64) {
        self.resolved.refuse_datagrams(DatagramRefusal::NotAllowed, count);
    }

    /// Flows that wait to be taken.
    pub fn flows_waiting(&self) -> usize {
        self.flows.as_ref().map_or(0, Flows::len)
    }

    /// Hands over the flows that came since the last time, where they are kept, and how many found no room.
    pub fn take_flows(&mut self) -> Option<(FlowBatch, u64)> {
        let (directory, names) = (self.resolver.directory(), self.table.names());
        self.flows.as_mut().filter(|flows| !flows.is_empty()).map(|flows| flows.take(directory, names))
    }

    /// Goes on under another configuration; to be called right after [`Worker::take`] and [`Worker::take_flows`].
    pub fn reconfigure(&mut self, shared: &Shared) {
        self.seen_before = self.seen();
        self.allowed = shared.allowed.clone();
        self.refused = RefusedSources::default();
        self.decoder.reconfigure(shared.decode.clone(), shared.sampling_rules.clone());
        self.decoder.measure_latency(shared.latency_elements.clone());
        self.decoder.reserve(shared.inventory.exporter_addresses());
        self.attributor = Attributor::new(shared.table.clone());
        self.resolver = Resolver::new(shared.inventory.clone());
        self.table = shared.table.clone();
        self.deltas.restart();
        self.latency.restart();
        match (shared.keeps_flows, &mut self.flows) {
            (true, flows @ None) => *flows = Some(Flows::default()),
            (false, flows) => *flows = None,
            _ => {}
        }
    }

    /// Counts a datagram that was refused before decoding.
    pub fn refuse(&mut self, reason: DatagramRefusal) {
        self.decoder.refuse(reason);
    }

    /// Hands over what was counted since the last time.
    pub fn take(&mut self, now_us: i64, kernel_drops: u64) -> Delta {
        self.decoder.advance(now_us);
        self.carry();
        let mut health: Vec<ExporterHealth> = Vec::new();
        self.decoder.health(&mut health);
        let delta = self.deltas.take(self.resolver.directory(), self.table.names(), health, kernel_drops);
        delta.with_latency(self.latency.take())
    }

    /// The worker's balances so far.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.decoder.ledger().clone();
        ledger.merge(&self.resolved);
        ledger
    }

    /// The decoder, to save and restore its state.
    pub fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    /// What it has seen, for `peerings check`.
    pub fn seen(&mut self) -> Seen {
        let mut seen = self.resolver.seen();
        seen.refused = self.refused.seen();
        seen.join(self.seen_before.clone());
        seen
    }

    fn carry(&mut self) {
        self.resolver.learn(&self.batch.facts);
        self.attributor.attribute(&self.batch.records, &mut self.attributions);
        self.placements.clear();
        let names = self.table.names();
        self.resolver.resolve(&self.batch, names, &self.attributions, &mut self.placements, &mut self.resolved);
        self.deltas.add(&self.batch, &self.attributions, &self.placements);
        self.latency.add(&self.batch, &self.attributions, &self.placements, names);
        if let Some(flows) = &mut self.flows {
            flows.add(&self.batch, &self.attributions, &self.placements);
        }
        self.batch.clear();
    }
}

fn decoder(shared: &Shared) -> Decoder {
    let mut decoder = Decoder::new(shared.decode.clone(), shared.sampling_rules.clone());
    decoder.measure_latency(shared.latency_elements.clone());
    decoder.reserve(shared.inventory.exporter_addresses());
    decoder
}
