//! The common case of a template: records of fixed length, each value in one element.
//!
//! Where each value of a record lies is asked once a template: every field of a [`Record`] has a place
//! there, that of an element which the template lacks reads as 0. So a record is made without a branch
//! that its bytes decide, and written once. Anything that needs a choice between
//! elements (totals for deltas, physical for logical interfaces, biflows, packet sections, firewall
//! events, rates in the record) is left to the general way of [`crate::plan`] and [`crate::build`].

use model::{Address, Metering, Record, TimeSource};

use crate::build::{self, Message};
use crate::fields::{Slot, SlotSet};

/// The bytes from the start of a record on: those of the longest one that is read so, and of a word behind
/// it. As no place in it needs a check, a value costs six instructions.
pub(crate) const WINDOW: usize = RECORD_MOST + 8;

/// Bytes of the longest record.
const RECORD_MOST: usize = 256;

/// What a template may have to be read so, beside what nothing is read from.
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
const MORE: SlotSet = SlotSet::of(&[Slot::Vlan, Slot::SourceMac, Slot::DestinationMac, Slot::ForwardingStatus]);
const UPTIMES: SlotSet = SlotSet::of(&[Slot::FirstUptime, Slot::LastUptime]);
const MILLISECONDS: SlotSet = SlotSet::of(&[Slot::StartMs, Slot::EndMs]);

/// A value of up to 32 bits: where its word begins, and the bits of it that stand behind the value.
#[derive(Clone, Copy, Debug)]
struct Narrow {
    at: u8,
    /// 32 where the template has no such element.
    shift: u8,
}

impl Default for Narrow {
    fn default() -> Narrow {
        Narrow { at: 0, shift: 32 }
    }
}

/// A value of up to 64 bits.
#[derive(Clone, Copy, Debug, Default)]
struct Wide {
    at: u8,
    shift: u8,
    /// 0 where the template has no such element.
    mask: u64,
}

/// Device times of records, before they are corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Times {
    /// Elements 21 and 22, by the header's uptime.
    Uptimes,
    /// Elements 152 and 153.
    #[default]
    Milliseconds,
}

/// How the records of a plain template are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    /// Source, destination, next hop, BGP next hop of IPv4.
    addresses_v4: [Narrow; 4],
    /// The same of IPv6, in halves.
    addresses_v6: [[Wide; 2]; 4],
    bytes: Wide,
    packets: Wide,
    start: Wide,
    end: Wide,
    input: Narrow,
    output: Narrow,
    source_asn: Narrow,
    destination_asn: Narrow,
    source_port: Narrow,
    destination_port: Narrow,
    vlan: Narrow,
    source_mac: Wide,
    destination_mac: Wide,
    source_mask: Narrow,
    destination_mask: Narrow,
    protocol: Narrow,
    tcp_flags: Narrow,
    direction: Narrow,
    forwarding_status: Narrow,
    sampler: Wide,
    is_v4: bool,
    has_direction: bool,
    has_sampler: bool,
    /// It has what few templates have: VLAN, Ethernet addresses, forwarding status.
    has_more: bool,
    times: Times,
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
        if !slots.is_within(PLAIN) || !is_one_family || !has_ends || !has_one_sampler || record_bytes > RECORD_MOST {
            return None;
        }
        let (is_v4, has_direction) = (slots.has_any(V4), slots.has(Slot::Direction));
        let has_sampler = slots.has(Slot::SamplerId) || slots.has(Slot::SelectorId);
        let mut columns =
            Columns { is_v4, has_direction, has_sampler, has_more: slots.has_any(MORE), times, ..Columns::default() };
        for (at, length, slot) in loads {
            columns.add(u8::try_from(at).ok()?, length, slot)?;
        }
        Some(columns)
    }

    /// Notes where a value is; `None` if it is longer than what it is taken for.
    fn add(&mut self, at: u8, length: usize, slot: Slot) -> Option<()> {
        if let Some(column) = self.wide(slot) {
            *column = Wide { at, shift: (64 - 8 * length.clamp(1, 8)) as u8, mask: u64::MAX };
        } else if let Some(column) = self.narrow(slot) {
            *column = Narrow { at, shift: 32 - u8::try_from(8 * length).ok().filter(|bits| (8..=32).contains(bits))? };
        }
        Some(())
    }

    fn wide(&mut self, slot: Slot) -> Option<&mut Wide> {
        let [source, destination, next_hop, bgp_next_hop] = &mut self.addresses_v6;
        Some(match slot {
            Slot::SourceHigh => &mut source[0],
            Slot::SourceLow => &mut source[1],
            Slot::DestinationHigh => &mut destination[0],
            Slot::DestinationLow => &mut destination[1],
            Slot::NextHopHigh => &mut next_hop[0],
            Slot::NextHopLow => &mut next_hop[1],
            Slot::BgpNextHopHigh => &mut bgp_next_hop[0],
            Slot::BgpNextHopLow => &mut bgp_next_hop[1],
            Slot::Bytes => &mut self.bytes,
            Slot::Packets => &mut self.packets,
            Slot::FirstUptime | Slot::StartMs => &mut self.start,
            Slot::LastUptime | Slot::EndMs => &mut self.end,
            Slot::SourceMac => &mut self.source_mac,
            Slot::DestinationMac => &mut self.destination_mac,
            Slot::SamplerId | Slot::SelectorId => &mut self.sampler,
            _ => return None,
        })
    }

    fn narrow(&mut self, slot: Slot) -> Option<&mut Narrow> {
        let [source, destination, next_hop, bgp_next_hop] = &mut self.addresses_v4;
        Some(match slot {
            Slot::Source4 => source,
            Slot::Destination4 => destination,
            Slot::NextHop4 => next_hop,
            Slot::BgpNextHop4 => bgp_next_hop,
            Slot::Input => &mut self.input,
            Slot::Output => &mut self.output,
            Slot::SourceAsn => &mut self.source_asn,
            Slot::DestinationAsn => &mut self.destination_asn,
            Slot::SourcePort => &mut self.source_port,
            Slot::DestinationPort => &mut self.destination_port,
            Slot::Vlan => &mut self.vlan,
            Slot::SourceMask4 | Slot::SourceMask6 => &mut self.source_mask,
            Slot::DestinationMask4 | Slot::DestinationMask6 => &mut self.destination_mask,
            Slot::Protocol => &mut self.protocol,
            Slot::TcpFlags => &mut self.tcp_flags,
            Slot::Direction => &mut self.direction,
            Slot::ForwardingStatus => &mut self.forwarding_status,
            _ => return None,
        })
    }

    /// Whether its records can be read in a message of this kind.
    pub(crate) fn fits(&self, message: &Message) -> bool {
        self.times == Times::Milliseconds || message.uptime_ms.is_some()
    }

    /// The number that names the sampler of a record.
    #[inline]
    pub(crate) fn sampler(&self, bytes: &[u8; WINDOW]) -> Option<u64> {
        self.has_sampler.then(|| self.sampler.value(bytes))
    }

    /// Reads a record in place: what it does not set stays as it is. Says whether the record ends before it starts.
    ///
    /// A function of its own: where it is part of the loop over a set, all columns are copied to the stack first.
    #[inline(never)]
    pub(crate) fn read(&self, bytes: &[u8; WINDOW], message: &Message, record: &mut Record) -> bool {
        [record.source, record.destination, record.next_hop, record.bgp_next_hop] = self.addresses(bytes);
        record.bytes = self.bytes.value(bytes);
        record.packets = self.packets.value(bytes);
        record.input = build::interface(self.input.value(bytes).into());
        record.output = build::interface(self.output.value(bytes).into());
        record.source_asn = self.source_asn.value(bytes);
        record.destination_asn = self.destination_asn.value(bytes);
        record.source_port = self.source_port.value(bytes) as u16;
        record.destination_port = self.destination_port.value(bytes) as u16;
        record.source_mask = self.source_mask.value(bytes) as u8;
        record.destination_mask = self.destination_mask.value(bytes) as u8;
        record.protocol = self.protocol.value(bytes) as u8;
        record.tcp_flags = self.tcp_flags.value(bytes) as u8;
        record.metering = self.metering(bytes);
        if self.has_more {
            record.vlan = self.vlan.value(bytes) as u16 & 0x0fff;
            record.source_mac = build::mac(self.source_mac.value(bytes));
            record.destination_mac = build::mac(self.destination_mac.value(bytes));
            record.is_dropped = build::is_dropped(self.forwarding_status.value(bytes) as u8);
        }
        let (start_us, end_us, source) = self.times(bytes, message);
        (record.start_us, record.end_us, record.time_source) = message.correction.event(start_us, end_us, source);
        end_us < start_us
    }

    /// Source, destination, next hop, BGP next hop.
    #[inline]
    fn addresses(&self, bytes: &[u8; WINDOW]) -> [Address; 4] {
        if self.is_v4 {
            let [source, destination, next_hop, bgp_next_hop] = self.addresses_v4.map(|column| column.value(bytes));
            let hop = |bits: u32| if bits == 0 { Address::UNKNOWN } else { Address::from_v4_bits(bits) };
            return [Address::from_v4_bits(source), Address::from_v4_bits(destination), hop(next_hop), hop(bgp_next_hop)];
        }
        let wide = |[high, low]: [Wide; 2]| u128::from(high.value(bytes)) << 64 | u128::from(low.value(bytes));
        self.addresses_v6.map(|halves| Address::from_bits(wide(halves)))
    }

    #[inline]
    fn metering(&self, bytes: &[u8; WINDOW]) -> Metering {
        match self.direction.value(bytes) {
            0 if self.has_direction => Metering::Ingress,
            1 => Metering::Egress,
            _ => Metering::Unstated,
        }
    }

    /// Device times of a record's first and last packet.
    #[inline]
    fn times(&self, bytes: &[u8; WINDOW], message: &Message) -> (i64, i64, TimeSource) {
        let (start, end) = (self.start.value(bytes) as i64, self.end.value(bytes) as i64);
        if start | end == 0 {
            return (message.export_us, message.export_us, TimeSource::Export);
        }
        let (start, end) = build::both(start, end);
        match self.times {
            Times::Uptimes => {
                let at = |uptime: i64| build::by_uptime(message.export_us, message.uptime_ms.unwrap_or(0), uptime as u32);
                (at(start), at(end), TimeSource::Uptime)
            }
            Times::Milliseconds => (start.saturating_mul(1_000), end.saturating_mul(1_000), TimeSource::Milliseconds),
        }
    }
}

impl Narrow {
    #[inline]
    fn value(self, bytes: &[u8; WINDOW]) -> u32 {
        let at = usize::from(self.at);
        let word = bytes[at..at + 4].first_chunk().map_or(0, |word| u32::from_be_bytes(*word));
        // In 64 bits, for of 32 all may be shifted out.
        (u64::from(word) >> (self.shift & 63)) as u32
    }
}

impl Wide {
    #[inline]
    fn value(self, bytes: &[u8; WINDOW]) -> u64 {
        let at = usize::from(self.at);
        let word = bytes[at..at + 8].first_chunk().map_or(0, |word| u64::from_be_bytes(*word));
        word >> (self.shift & 63) & self.mask
    }
}
