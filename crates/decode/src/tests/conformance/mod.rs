//! What the protocols demand, and what devices make of it: a sentence a test.
//!
//! Datagrams are written by hand; what comes out is records, and counts by reason.

mod fields;
mod messages;
mod sampling;
mod sequences;
mod sflow;
mod templates;
mod test_guidelines;
mod times;
mod version_9;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use model::{Batch, ExporterHealth, Fact, Record};

use super::wire::{EXPORT_S, halves, set, template, words};
use crate::{DecodeSettings, Decoder, SamplingRule};

/// The address that datagrams come from where a test says nothing else.
const EXPORTER: &str = "192.0.2.1:50000";
const SECOND_US: i64 = 1_000_000;
const NOW_US: i64 = EXPORT_S as i64 * SECOND_US;

/// Addresses, ports, protocol, bytes, packets.
const FLOW: &[(u16, u16)] = &[(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4)];

/// A decoder, and what it has told so far.
struct Collector {
    decoder: Decoder,
    now_us: i64,
    health: Vec<ExporterHealth>,
    facts: Vec<Fact>,
}

impl Collector {
    fn new() -> Collector {
        Collector::with(DecodeSettings::default(), Vec::new())
    }

    fn with(settings: DecodeSettings, rules: Vec<SamplingRule>) -> Collector {
        Collector { decoder: Decoder::new(settings, rules), now_us: NOW_US, health: Vec::new(), facts: Vec::new() }
    }

    /// Takes a datagram in, now; gives its records.
    fn take(&mut self, datagram: &[u8]) -> Vec<Record> {
        self.take_from(EXPORTER, datagram)
    }

    fn take_from(&mut self, source: &str, datagram: &[u8]) -> Vec<Record> {
        let source: SocketAddr = source.parse().unwrap();
        let mut batch = Batch::default();
        self.decoder.datagram(self.now_us, source, datagram, &mut batch);
        self.decoder.health(&mut self.health);
        self.facts.append(&mut batch.facts);
        let ledger = self.decoder.ledger();
        assert_eq!(ledger.datagrams_received, ledger.datagrams_accepted + ledger.datagrams_refused_total());
        assert_eq!(ledger.sets_seen, ledger.sets_decoded + ledger.sets_skipped_total() + ledger.sets_held);
        batch.records
    }

    /// How often this was counted, over all exporters and domains.
    fn counted(&self, reason: &str) -> u64 {
        let refused = self.health.iter().flat_map(|health| &health.refused);
        refused.filter(|(name, _)| **name == *reason).map(|(_, count)| count).sum()
    }

    /// All that was counted by reason.
    fn all_counted(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for (reason, count) in self.health.iter().flat_map(|health| &health.refused) {
            *sums.entry(reason.to_string()).or_default() += count;
        }
        sums
    }

    /// Datagrams and records lost; `None` where some report could not tell.
    fn lost(&self) -> (Option<i64>, Option<i64>) {
        let sum = |each: &dyn Fn(&ExporterHealth) -> Option<i64>| self.health.iter().map(each).sum::<Option<i64>>();
        (sum(&|health| health.lost_datagrams), sum(&|health| health.lost_records))
    }
}

/// One flow of [`FLOW`] from 192.0.2.10 to 20.33.0.1.
fn flow(bytes: u32, packets: u32) -> Vec<u8> {
    [words(&[0xc000_020a, 0x1421_0001]), halves(&[443, 50_000]), vec![6], words(&[bytes, packets])].concat()
}

/// The template of [`FLOW`] as a set of IPFIX.
fn flow_template(id: u16) -> Vec<u8> {
    set(2, &template(id, FLOW))
}

/// Flows of so many bytes each, two packets each, as a data set.
fn flows(id: u16, bytes: &[u32]) -> Vec<u8> {
    set(id, &bytes.iter().flat_map(|bytes| flow(*bytes, 2)).collect::<Vec<_>>())
}

/// The bytes of records, in their order.
fn bytes(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.bytes).collect()
}

/// [`FLOW`] with further elements, and a flow of 1,000 bytes and 2 packets with their values: what becomes of it.
fn flow_with(fields: &[(u16, u16)], values: &[u8]) -> Vec<Record> {
    let fields = [FLOW, fields].concat();
    Collector::new()
        .take(&super::wire::ipfix(0, &[set(2, &template(256, &fields)), set(256, &[flow(1_000, 2), values.to_vec()].concat())]))
}
