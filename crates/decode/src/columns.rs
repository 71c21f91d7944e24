//! The common case of a template: records of fixed length, each value in one element.
//!
//! Such a set is read column by column: the loop over its records stands inside, so that what a field
//! is and where it lies is asked once a set and not once a record. Anything that needs a choice between
//! elements (totals for deltas, physical for logical interfaces, biflows, packet sections, firewall
//! events, rates in the record) is left to the general way of [`crate::plan`] and [`crate::build`].

use model::{Address, Metering, Record, TimeSource};

use crate::build::{self, Message, NoRecord};
use crate::fields::{Slot, SlotSet};

/// Bytes that a load reads at once.
const WORD_BYTES: usize = 8;

/// What a template may have to be read by columns, beside what nothing is read from.
const PLAIN: SlotSet = SlotSet::of(&[
    Slot::Bytes,
    Slot::Packets,
    Slot::Source4,
    Slot::Destination4,
    Slot::SourceHigh,
    Slot::SourceLow,
    Slot::DestinationHigh,
    Slot::DestinationLow,
    Slot::NextHop4,
    Slot::NextHopHigh,
    Slot::NextHopLow,
    Slot::BgpNextHop4,
    Slot::BgpNextHopHigh,
    Slot::BgpNextHopLow,
    Slot::Input,
    Slot::Output,
    Slot::SourcePort,
    Slot::DestinationPort,
    Slot::Protocol,
    Slot::TcpFlags,
    Slot::SourceAsn,
    Slot::DestinationAsn,
    Slot::SourceMask4,
    Slot::DestinationMask4,
    Slot::SourceMask6,
    Slot::DestinationMask6,
    Slot::Vlan,
    Slot::SourceMac,
    Slot::DestinationMac,
    Slot::Direction,
    Slot::IpVersion,
    Slot::ForwardingStatus,
    Slot::SamplerId,
    Slot::SelectorId,
    Slot::FirstUptime,
    Slot::LastUptime,
    Slot::StartMs,
    Slot::EndMs,
]);
const V4: SlotSet = SlotSet::of(&[
    Slot::Source4,
    Slot::Destination4,
    Slot::NextHop4,
    Slot::BgpNextHop4,
    Slot::SourceMask4,
    Slot::DestinationMask4,
]);
const V6: SlotSet = SlotSet::of(&[
    Slot::SourceHigh,
    Slot::DestinationHigh,
    Slot::NextHopHigh,
    Slot::BgpNextHopHigh,
    Slot::SourceMask6,
    Slot::DestinationMask6,
]);
const UPTIMES: SlotSet = SlotSet::of(&[Slot::FirstUptime, Slot::LastUptime]);
const MILLISECONDS: SlotSet = SlotSet::of(&[Slot::StartMs, Slot::EndMs]);

/// A value in a record: a word that holds it, and which of its bits.
#[derive(Clone, Copy, Debug)]
struct Column {
    slot: Slot,
    /// Offset of the word in the record.
    at: usize,
    shift: u8,
    mask: u64,
}

/// Device times of records, before they are corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    /// Elements 21 and 22, by the header's uptime.
    Uptimes,
    /// Elements 152 and 153.
    Milliseconds,
}

/// How the records of a plain template are read.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    times: Times,
    /// The element that names the sampler.
    sampler: Option<Column>,
    record_bytes: usize,
}

impl Columns {
    /// Compiles a template; `None` where it is not plain.
    ///
    /// `loads` are its values: offset, length, slot, each slot once.
    pub(crate) fn compile(
        record_bytes: usize,
        loads: impl Iterator<Item = (usize, usize, Slot)>,
        slots: SlotSet,
    ) -> Option<Columns> {
        let is_one_family = slots.has_any(V4) != slots.has_any(V6);
        let has_ends = slots.has_all(SlotSet::of(&[Slot::Bytes, Slot::Packets]))
            && (slots.has(Slot::Source4) && slots.has(Slot::Destination4)
                || slots.has(Slot::SourceHigh) && slots.has(Slot::DestinationHigh));
        let times = match (slots.has_all(UPTIMES), slots.has_all(MILLISECONDS)) {
            (true, false) if !slots.has_any(MILLISECONDS) => Times::Uptimes,
            (false, true) if !slots.has_any(UPTIMES) => Times::Milliseconds,
            _ => return None,
        };
        let has_one_sampler = !(slots.has(Slot::SamplerId) && slots.has(Slot::SelectorId));
        if !slots.is_within(PLAIN) || !is_one_family || !has_ends || !has_one_sampler || record_bytes < WORD_BYTES {
            return None;
        }
        let mut columns = Vec::new();
        let mut sampler = None;
        for (at, length, slot) in loads {
            let column = Column::new(at, length, slot, record_bytes)?;
            match slot {
                Slot::SamplerId | Slot::SelectorId => sampler = Some(column),
                Slot::IpVersion => {}
                _ => columns.push(column),
            }
        }
        Some(Columns { columns, times, sampler, record_bytes })
    }

    /// Whether its records can be read in a message of this kind.
    pub(crate) fn fits(&self, message: &Message) -> bool {
        self.times == Times::Milliseconds || message.uptime_ms.is_some()
    }

    /// Reads the values of as many records as there are; their times are the device's, raw.
    pub(crate) fn read(&self, body: &[u8], records: &mut [Record]) {
        for column in &self.columns {
            column.read(body, self.record_bytes, records);
        }
    }

    /// The number that names the sampler of the record that starts there.
    #[inline]
    pub(crate) fn sampler(&self, record: &[u8]) -> Option<u64> {
        Some(self.sampler?.value(record))
    }

    /// Checks a record that was read, and puts its times right; counts it if it ends before it starts.
    #[inline]
    pub(crate) fn finish(
        &self,
        message: &Message,
        packet_bytes_most: u64,
        record: &mut Record,
        ends_before_starts: &mut u64,
    ) -> Result<(), NoRecord> {
        build::plausible(record, packet_bytes_most)?;
        let (start, end, source) = match (self.times, message.uptime_ms) {
            (Times::Uptimes, Some(uptime_ms)) if record.start_us | record.end_us != 0 => {
                let (first, last) = build::both(record.start_us, record.end_us);
                let [start, end] = [first, last].map(|at| build::by_uptime(message.export_us, uptime_ms, at as u32));
                (start, end, TimeSource::Uptime)
            }
            (Times::Milliseconds, _) if record.start_us | record.end_us != 0 => {
                let (start, end) = build::both(record.start_us, record.end_us);
                (start.saturating_mul(1_000), end.saturating_mul(1_000), TimeSource::Milliseconds)
            }
            _ => (message.export_us, message.export_us, TimeSource::Export),
        };
        *ends_before_starts += u64::from(end < start);
        (record.start_us, record.end_us, record.time_source) = message.correction.event(start, end, source);
        Ok(())
    }
}

/// Calls a closure for each record with the value of a column.
macro_rules! each {
    ($column:expr, $body:expr, $stride:expr, $records:expr, |$record:ident, $value:ident| $set:expr) => {
        for ($record, bytes) in $records.iter_mut().zip($body.chunks_exact($stride)) {
            let $value = $column.value(bytes);
            $set;
        }
    };
}

impl Column {
    /// A word within the record that holds the value: it may begin before it.
    fn new(at: usize, length: usize, slot: Slot, record_bytes: usize) -> Option<Column> {
        let length = length.clamp(1, WORD_BYTES);
        let mask = u64::MAX >> (64 - 8 * length);
        let start = at.min(record_bytes.checked_sub(WORD_BYTES)?);
        let behind = (start + WORD_BYTES).checked_sub(at + length)?;
        Some(Column { slot, at: start, shift: (behind * 8) as u8, mask })
    }

    #[inline]
    fn value(&self, record: &[u8]) -> u64 {
        let word = record.get(self.at..).and_then(|bytes| bytes.first_chunk::<WORD_BYTES>());
        word.map_or(0, |word| u64::from_be_bytes(*word) >> self.shift & self.mask)
    }

    fn read(&self, body: &[u8], stride: usize, records: &mut [Record]) {
        // A copy on the stack: what is written to the records cannot change it.
        let column = *self;
        match column.slot {
            Slot::Bytes => each!(column, body, stride, records, |record, value| record.bytes = value),
            Slot::Packets => each!(column, body, stride, records, |record, value| record.packets = value),
            Slot::Input => each!(column, body, stride, records, |record, value| record.input = build::interface(value)),
            Slot::Output => each!(column, body, stride, records, |record, value| record.output = build::interface(value)),
            Slot::SourcePort => each!(column, body, stride, records, |record, value| record.source_port = value as u16),
            Slot::DestinationPort => each!(column, body, stride, records, |record, value| record.destination_port = value as u16),
            Slot::Protocol => each!(column, body, stride, records, |record, value| record.protocol = value as u8),
            Slot::TcpFlags => each!(column, body, stride, records, |record, value| record.tcp_flags = value as u8),
            Slot::SourceAsn => each!(column, body, stride, records, |record, value| record.source_asn = value as u32),
            Slot::DestinationAsn => each!(column, body, stride, records, |record, value| record.destination_asn = value as u32),
            Slot::Vlan => each!(column, body, stride, records, |record, value| record.vlan = value as u16 & 0x0fff),
            Slot::SourceMac => each!(column, body, stride, records, |record, value| record.source_mac = build::mac(value)),
            Slot::DestinationMac => {
                each!(column, body, stride, records, |record, value| record.destination_mac = build::mac(value))
            }
            Slot::Direction => each!(column, body, stride, records, |record, value| record.metering = metering(value)),
            Slot::ForwardingStatus => {
                each!(column, body, stride, records, |record, value| { record.is_dropped = build::is_dropped(value as u8) })
            }
            Slot::FirstUptime | Slot::StartMs => {
                each!(column, body, stride, records, |record, value| record.start_us = value as i64)
            }
            Slot::LastUptime | Slot::EndMs => each!(column, body, stride, records, |record, value| record.end_us = value as i64),
            _ => column.read_address(body, stride, records),
        }
    }

    /// Addresses and what belongs to them. The first half of a wide one stands before the second.
    fn read_address(self, body: &[u8], stride: usize, records: &mut [Record]) {
        let column = self;
        let narrow = |value: u64| Address::from_v4_bits(value as u32);
        let high = |value: u64| Address::from_bits(u128::from(value) << 64);
        let low = |address: Address, value: u64| Address::from_bits(address.bits() | u128::from(value));
        match column.slot {
            Slot::Source4 => each!(column, body, stride, records, |record, value| record.source = narrow(value)),
            Slot::Destination4 => each!(column, body, stride, records, |record, value| record.destination = narrow(value)),
            Slot::NextHop4 => each!(column, body, stride, records, |record, value| {
                record.next_hop = if value == 0 { Address::UNKNOWN } else { narrow(value) }
            }),
            Slot::BgpNextHop4 => each!(column, body, stride, records, |record, value| {
                record.bgp_next_hop = if value == 0 { Address::UNKNOWN } else { narrow(value) }
            }),
            Slot::SourceHigh => each!(column, body, stride, records, |record, value| record.source = high(value)),
            Slot::SourceLow => each!(column, body, stride, records, |record, value| record.source = low(record.source, value)),
            Slot::DestinationHigh => each!(column, body, stride, records, |record, value| record.destination = high(value)),
            Slot::DestinationLow => {
                each!(column, body, stride, records, |record, value| { record.destination = low(record.destination, value) })
            }
            Slot::NextHopHigh => each!(column, body, stride, records, |record, value| record.next_hop = high(value)),
            Slot::NextHopLow => {
                each!(column, body, stride, records, |record, value| record.next_hop = low(record.next_hop, value))
            }
            Slot::BgpNextHopHigh => each!(column, body, stride, records, |record, value| record.bgp_next_hop = high(value)),
            Slot::BgpNextHopLow => {
                each!(column, body, stride, records, |record, value| { record.bgp_next_hop = low(record.bgp_next_hop, value) })
            }
            Slot::SourceMask4 | Slot::SourceMask6 => {
                each!(column, body, stride, records, |record, value| record.source_mask = value as u8);
            }
            Slot::DestinationMask4 | Slot::DestinationMask6 => {
                each!(column, body, stride, records, |record, value| record.destination_mask = value as u8);
            }
            _ => {}
        }
    }
}

fn metering(value: u64) -> Metering {
    match value {
        0 => Metering::Ingress,
        1 => Metering::Egress,
        _ => Metering::Unstated,
    }
}
