//! NetFlow versions 5 and 7: fixed records.

use std::net::SocketAddr;

use model::ledger::DatagramRefusal;
use model::{Address, Batch, Protocol, Record, Sampling, SamplingOrigin, TimeSource};

use crate::Decoder;
use crate::build::{by_uptime, plausible};
use crate::clock::Correction;
use crate::data::Tally;
use crate::recent::mark;

const HEADER_BYTES: usize = 24;
/// A record of version 5, and what of version 7's is the same.
const RECORD_BYTES: usize = 48;

/// The layout of a version's record.
struct Layout {
    protocol: Protocol,
    record_bytes: usize,
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

#[inline]
fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_be_bytes)
}

#[inline]
fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

impl Decoder {
    /// Versions 5 and 7: as many records as the header counts and the datagram holds.
    pub(crate) fn netflow_5(
        &mut self,
        received_us: i64,
        source: SocketAddr,
        payload: &[u8],
        batch: &mut Batch,
    ) -> Result<(), DatagramRefusal> {
        let layout = match payload[1] {
            5 => Layout { protocol: Protocol::NetflowV5, record_bytes: RECORD_BYTES },
            _ => Layout { protocol: Protocol::NetflowV7, record_bytes: 52 },
        };
        if payload.len() < HEADER_BYTES {
            return Err(DatagramRefusal::Truncated);
        }
        let (count, fit) = (usize::from(half(payload, 2)), (payload.len() - HEADER_BYTES) / layout.record_bytes);
        if count == 0 {
            return Err(DatagramRefusal::Malformed);
        }
        // Engine type and id are the domain of version 5; version 7 has none.
        let engine = if layout.protocol == Protocol::NetflowV5 { half(payload, 20) } else { 0 };
        let address = Address::from(source.ip());
        let index = self.domain(address, source.port(), layout.protocol, u32::from(engine), batch)?;
        let (uptime_ms, sequence) = (word(payload, 4), word(payload, 16));
        let domain = &mut self.domains[index];
        let mark = mark(payload);
        if domain.sequence.is_copy(sequence, mark) {
            domain.counts.duplicates += 1;
            if !self.is_summary {
                return Err(DatagramRefusal::Duplicate);
            }
        }
        let order = domain.sequence.observe(sequence, count as u32, Some(uptime_ms), mark);
        domain.counts.order(order);
        let export_us = i64::from(word(payload, 8)) * 1_000_000 + i64::from(word(payload, 12)) / 1_000;
        let (offset_most, age) = (self.settings.clock_offset_seconds * 1_000_000, self.settings.record_age_seconds * 1_000_000);
        let correction = domain.clock.observe(export_us, received_us, offset_most, age);
        domain.is_clock_refused = correction.is_refused;
        let taken = count.min(fit);
        if taken != count || HEADER_BYTES + taken * layout.record_bytes != payload.len() {
            domain.counts.refuse("count_and_length_disagree", 1);
        }
        domain.counts.datagrams += 1;
        self.ledger.sets_seen += 1;
        self.ledger.sets_decoded += 1;
        let stated =
            if layout.protocol == Protocol::NetflowV5 { header_sampling(half(payload, 22)) } else { Sampling::default() };
        let times = Times { export_us, uptime_ms, correction };
        let mut tally = Tally::default();
        for bytes in payload[HEADER_BYTES..].chunks_exact(layout.record_bytes).take(taken) {
            crate::steps::count(1);
            // Version 7 has 4 bytes more behind, which say nothing of the traffic.
            if let Some(bytes) = bytes.first_chunk() {
                self.record_5(index, bytes, stated, &times, &mut tally, batch);
            }
        }
        self.settle(index, &tally, received_us);
        Ok(())
    }

    #[inline]
    fn record_5(
        &mut self,
        index: usize,
        bytes: &[u8; RECORD_BYTES],
        stated: Sampling,
        times: &Times,
        tally: &mut Tally,
        batch: &mut Batch,
    ) {
        let domain = &self.domains[index];
        let exporter = &self.exporters[domain.exporter];
        let end_us = by_uptime(times.export_us, times.uptime_ms, word(bytes, 28));
        let start_us = by_uptime(times.export_us, times.uptime_ms, word(bytes, 24)).min(end_us);
        let (start_us, end_us, time_source) = times.correction.event(start_us, end_us, TimeSource::Uptime);
        batch.records.push(Record {
            source: Address::from_v4_bits(word(bytes, 0)),
            destination: Address::from_v4_bits(word(bytes, 4)),
            next_hop: Address::from_v4_bits(word(bytes, 8)),
            input: u32::from(half(bytes, 12)),
            output: u32::from(half(bytes, 14)),
            packets: u64::from(word(bytes, 16)),
            bytes: u64::from(word(bytes, 20)),
            start_us,
            end_us,
            time_source,
            source_port: half(bytes, 32),
            destination_port: half(bytes, 34),
            tcp_flags: byte(bytes, 37),
            protocol: byte(bytes, 38),
            source_asn: u32::from(half(bytes, 40)),
            destination_asn: u32::from(half(bytes, 42)),
            source_mask: byte(bytes, 44),
            destination_mask: byte(bytes, 45),
            exporter: exporter.id,
            domain: domain.number,
            ..Record::default()
        });
        let Some(record) = batch.records.last_mut() else { return };
        if self.is_summary {
            self.summary.data_records += 1;
            self.summary.ipv4 += 1;
            self.summary.bytes += record.bytes;
            self.summary.packets += record.packets;
        }
        if let Err(reason) = plausible(record, self.settings.packet_bytes) {
            batch.records.pop();
            return self.refuse_record(index, reason);
        }
        record.sampling = exporter.rules.apply(record, stated);
        tally.add(record);
    }
}

/// What the records of a datagram have in common.
struct Times {
    export_us: i64,
    uptime_ms: u32,
    correction: Correction,
}

/// Two bits of mode, 14 of interval; 0 says nothing, not "unsampled".
fn header_sampling(field: u16) -> Sampling {
    match field & 0x3fff {
        0 => Sampling::default(),
        interval => Sampling::one_in(u32::from(interval), SamplingOrigin::Header),
    }
}
