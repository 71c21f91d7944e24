//! The values of a record made into a [`Record`].

use model::{Address, Mac, Metering, Record, Sampling, SamplingOrigin, TimeSource};

use crate::clock::{Clock, Correction};
use crate::fields::{Slot, SlotSet, Values};
use crate::header::{self, HeaderKind};
use crate::plan::{Section, Texts};
use crate::settings::DecodeSettings;

/// Seconds between 1900, where NTP counts from, and 1970.
const NTP_OFFSET_SECONDS: i64 = 2_208_988_800;

/// What the records of one message have in common.
#[derive(Clone, Copy)]
pub(crate) struct Message {
    pub(crate) received_us: i64,
    /// Export time by the header, the device's clock.
    pub(crate) export_us: i64,
    /// The device's uptime by the header; IPFIX has none.
    pub(crate) uptime_ms: Option<u32>,
    pub(crate) correction: Correction,
    /// It is of a file and not of the network: nothing of it was lost or forged on its way.
    pub(crate) is_of_file: bool,
}

/// Why values make no record of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRecord {
    NotTraffic,
    ZeroRecord,
    NoAddress,
    Implausible,
}

/// Fills `record` from the values; sampling, exporter and domain are the caller's.
pub(crate) fn build(
    slots: SlotSet,
    values: &Values,
    texts: Texts<'_>,
    message: &Message,
    clock: &mut Clock,
    settings: &DecodeSettings,
    record: &mut Record,
) -> Result<(), NoRecord> {
    addresses(slots, values, record);
    interfaces(values, record);
    record.source_port = values.get(Slot::SourcePort) as u16;
    record.destination_port = values.get(Slot::DestinationPort) as u16;
    record.protocol = values.get(Slot::Protocol) as u8;
    record.tcp_flags = values.get(Slot::TcpFlags) as u8;
    record.source_asn = values.get(Slot::SourceAsn) as u32;
    record.destination_asn = values.get(Slot::DestinationAsn) as u32;
    record.metering = match (slots.has(Slot::Direction), values.get(Slot::Direction)) {
        (true, 0) => Metering::Ingress,
        (true, 1) => Metering::Egress,
        _ => Metering::Unstated,
    };
    record.is_dropped = is_dropped(values.get(Slot::ForwardingStatus) as u8);
    volume(slots, values, texts, settings.header_layers, record)?;
    plausible(record, settings.packet_bytes)?;
    let (start_us, end_us, source) = times(slots, values, message, clock);
    (record.start_us, record.end_us, record.time_source) = message.correction.event(start_us, end_us, source);
    Ok(())
}

/// Whether a forwarding status says so (RFC 7270, section 4.12: the two upper bits are the status, 2 is dropped).
pub(crate) fn is_dropped(status: u8) -> bool {
    status >> 6 == 2 || status == 2
}

/// Whether a record can be one: it has addresses, and packets of a length that packets have.
#[inline]
pub(crate) fn plausible(record: &Record, packet_bytes_most: u64) -> Result<(), NoRecord> {
    if record.source.is_unknown() && record.destination.is_unknown() {
        let is_empty = record.bytes == 0 && record.packets == 0 && record.protocol == 0;
        return Err(if is_empty { NoRecord::ZeroRecord } else { NoRecord::NoAddress });
    }
    let too_long = packet_bytes_most.saturating_add(1).checked_mul(record.packets);
    let is_long = record.packets > 0 && too_long.is_some_and(|bytes| record.bytes >= bytes);
    let is_short = record.bytes > 0 && record.packets > record.bytes;
    if is_long || is_short { Err(NoRecord::Implausible) } else { Ok(()) }
}

fn addresses(slots: SlotSet, values: &Values, record: &mut Record) {
    let wide = |high: Slot, low: Slot| Address::from_bits(u128::from(values.get(high)) << 64 | u128::from(values.get(low)));
    let narrow = |slot: Slot| Address::from_v4_bits(values.get(slot) as u32);
    let is_v4 = is_v4(slots, values);
    if is_v4 {
        (record.source, record.destination) = (narrow(Slot::Source4), narrow(Slot::Destination4));
        (record.source_mask, record.destination_mask) =
            (values.get(Slot::SourceMask4) as u8, values.get(Slot::DestinationMask4) as u8);
    } else {
        record.source = wide(Slot::SourceHigh, Slot::SourceLow);
        record.destination = wide(Slot::DestinationHigh, Slot::DestinationLow);
        (record.source_mask, record.destination_mask) =
            (values.get(Slot::SourceMask6) as u8, values.get(Slot::DestinationMask6) as u8);
    }
    let next_hop = |narrow_slot: Slot, high: Slot, low: Slot| {
        if values.get(narrow_slot) != 0 { narrow(narrow_slot) } else { wide(high, low) }
    };
    record.next_hop = next_hop(Slot::NextHop4, Slot::NextHopHigh, Slot::NextHopLow);
    record.bgp_next_hop = next_hop(Slot::BgpNextHop4, Slot::BgpNextHopHigh, Slot::BgpNextHopLow);
    record.source_mac = mac(values.either(Slot::SourceMac, Slot::PostSourceMac));
    record.destination_mac = mac(values.either(Slot::DestinationMac, Slot::PostDestinationMac));
    record.vlan = values.either(Slot::Vlan, Slot::PostVlan) as u16 & 0x0fff;
}

/// Whether the record is about IPv4: element 60 decides, else an IPv4 address that is not zero, else
/// what the template has.
pub(crate) fn is_v4(slots: SlotSet, values: &Values) -> bool {
    let has_v4 = slots.has(Slot::Source4) || slots.has(Slot::Destination4);
    let has_v6 = slots.has(Slot::SourceHigh) || slots.has(Slot::DestinationHigh);
    if !(has_v4 && has_v6) {
        return has_v4;
    }
    match values.get(Slot::IpVersion) {
        4 => true,
        6 => false,
        _ => values.get(Slot::Source4) != 0 || values.get(Slot::Destination4) != 0,
    }
}

#[inline]
pub(crate) fn mac(bits: u64) -> Mac {
    Mac((bits << 16).to_be_bytes().first_chunk().copied().unwrap_or_default())
}

fn interfaces(values: &Values, record: &mut Record) {
    record.input = interface(values.either(Slot::Input, Slot::PhysicalInput));
    record.output = interface(values.either(Slot::Output, Slot::PhysicalOutput));
}

/// An index; the all-ones of devices that have none is no interface.
#[inline]
pub(crate) fn interface(value: u64) -> u32 {
    if value >= u64::from(u32::MAX) { 0 } else { value as u32 }
}

/// Bytes and packets: deltas, else what left, else totals (CN-01); of a packet section the packet.
fn volume(slots: SlotSet, values: &Values, texts: Texts<'_>, layers_most: usize, record: &mut Record) -> Result<(), NoRecord> {
    let first = |candidates: [Slot; 4]| candidates.into_iter().find(|slot| slots.has(*slot));
    let bytes = first([Slot::Bytes, Slot::PostBytes, Slot::InitiatorBytes, Slot::TotalBytes]);
    let packets = first([Slot::Packets, Slot::PostPackets, Slot::InitiatorPackets, Slot::TotalPackets]);
    // Firewalls: created and denied carry no traffic; NAT events neither.
    if matches!(values.get(Slot::FirewallEvent), 1 | 3) || (slots.has(Slot::NatEvent) && bytes.is_none()) {
        return Err(NoRecord::NotTraffic);
    }
    match (bytes, packets, texts.section) {
        (None, _, Some((kind, packet))) => section(kind, packet, values.get(Slot::FrameSize), layers_most, record),
        (None, None, None) => Err(NoRecord::NotTraffic),
        (bytes, packets, _) => {
            record.bytes = bytes.map_or(0, |slot| values.get(slot));
            // A record counts at least one packet where its device does not count them.
            record.packets = packets.map_or(u64::from(record.bytes > 0), |slot| values.get(slot));
            Ok(())
        }
    }
}

/// A record that carries the first bytes of one packet (RFC 7133).
fn section(kind: Section, packet: &[u8], frame_bytes: u64, layers_most: usize, record: &mut Record) -> Result<(), NoRecord> {
    let kind = match kind {
        Section::Frame => HeaderKind::Ethernet,
        Section::Ip => HeaderKind::Ip,
    };
    let header = header::parse_within(kind, packet, frame_bytes, layers_most);
    let header = header.filter(|header| header.has_addresses()).ok_or(NoRecord::NoAddress)?;
    (record.source, record.destination) = (header.ip.source, header.ip.destination);
    (record.source_port, record.destination_port) = (header.ip.source_port, header.ip.destination_port);
    (record.protocol, record.tcp_flags) = (header.ip.protocol, header.ip.tcp_flags);
    (record.source_mac, record.destination_mac, record.vlan) = (header.source_mac, header.destination_mac, header.vlan);
    (record.bytes, record.packets, record.is_packet_sample) = (header.ip_bytes, 1, true);
    if header.ip_bytes == 0 { Err(NoRecord::NoAddress) } else { Ok(()) }
}

/// Device times, by the best elements that there are (TM-03).
fn times(slots: SlotSet, values: &Values, message: &Message, clock: &mut Clock) -> (i64, i64, TimeSource) {
    let milliseconds = |slot: Slot| (values.get(slot) as i64).saturating_mul(1_000);
    let seconds = |slot: Slot| values.get(slot) as i64 * 1_000_000;
    let mut pair = |start: i64, end: i64, source: TimeSource| {
        let (start, end) = both(start, end);
        clock.ends_before_starts += u64::from(end < start);
        (start.min(end), end, source)
    };
    let has = |start: Slot, end: Slot| values.get(start) != 0 || values.get(end) != 0;
    if has(Slot::StartMs, Slot::EndMs) {
        return pair(milliseconds(Slot::StartMs), milliseconds(Slot::EndMs), TimeSource::Milliseconds);
    }
    if has(Slot::StartMicro, Slot::EndMicro) {
        return pair(ntp_us(values.get(Slot::StartMicro)), ntp_us(values.get(Slot::EndMicro)), TimeSource::Ntp);
    }
    if has(Slot::StartNano, Slot::EndNano) {
        return pair(ntp_us(values.get(Slot::StartNano)), ntp_us(values.get(Slot::EndNano)), TimeSource::Ntp);
    }
    if has(Slot::StartSeconds, Slot::EndSeconds) {
        return pair(seconds(Slot::StartSeconds), seconds(Slot::EndSeconds), TimeSource::Seconds);
    }
    if slots.has(Slot::StartDelta) && slots.has(Slot::EndDelta) {
        let before = |slot: Slot| message.export_us - values.get(slot) as i64;
        return (before(Slot::StartDelta).min(before(Slot::EndDelta)), before(Slot::EndDelta), TimeSource::DeltaMicroseconds);
    }
    if has(Slot::FirstUptime, Slot::LastUptime) {
        return uptimes(slots, values, message, clock);
    }
    for (slot, us) in
        [(Slot::ObservationMs, milliseconds(Slot::ObservationMs)), (Slot::ObservationSeconds, seconds(Slot::ObservationSeconds))]
    {
        if values.get(slot) != 0 {
            return (us, us, TimeSource::Milliseconds);
        }
    }
    if values.get(Slot::ObservationMicro) != 0 {
        let us = ntp_us(values.get(Slot::ObservationMicro));
        return (us, us, TimeSource::Ntp);
    }
    (message.export_us, message.export_us, TimeSource::Export)
}

/// Two times of which one may be missing: it is as the other then.
#[inline]
pub(crate) fn both(start: i64, end: i64) -> (i64, i64) {
    match (start, end) {
        (0, end) => (end, end),
        (start, 0) => (start, start),
        both => both,
    }
}

/// Elements 21 and 22, by the uptime in the header, element 160, or a learned start.
fn uptimes(slots: SlotSet, values: &Values, message: &Message, clock: &mut Clock) -> (i64, i64, TimeSource) {
    let last = values.either(Slot::LastUptime, Slot::FirstUptime) as u32;
    let first = values.either(Slot::FirstUptime, Slot::LastUptime) as u32;
    if let Some(uptime_ms) = message.uptime_ms {
        let end = by_uptime(message.export_us, uptime_ms, last);
        return (by_uptime(message.export_us, uptime_ms, first).min(end), end, TimeSource::Uptime);
    }
    let (init_us, source) = if slots.has(Slot::InitMs) && values.get(Slot::InitMs) != 0 {
        ((values.get(Slot::InitMs) as i64).saturating_mul(1_000), TimeSource::Uptime)
    } else {
        clock.init_us(message.export_us, last)
    };
    let end = init_us.saturating_add(i64::from(last) * 1_000);
    let duration_ms = (last.wrapping_sub(first) as i32).max(0);
    (end.saturating_sub(i64::from(duration_ms) * 1_000), end, source)
}

/// A time given as uptime, by a header that gives both; right across the wrap after 49.7 days.
#[inline]
pub(crate) fn by_uptime(export_us: i64, uptime_ms: u32, at_ms: u32) -> i64 {
    // Headers give seconds in 32 bits: neither is near the ends of 64.
    export_us - i64::from(uptime_ms.wrapping_sub(at_ms) as i32) * 1_000
}

/// NTP's 32 bits of seconds since 1900 and 32 bits of fraction (RFC 7011, section 6.1.9).
fn ntp_us(bits: u64) -> i64 {
    if bits == 0 {
        return 0;
    }
    let seconds = (bits >> 32) as i64 - NTP_OFFSET_SECONDS;
    let fraction = ((bits & 0xffff_ffff) * 1_000_000) >> 32;
    seconds * 1_000_000 + fraction as i64
}

/// The rate of an element of the record itself.
pub(crate) fn record_sampling(slots: SlotSet, values: &Values) -> Sampling {
    values.rate(slots).map_or_else(Sampling::default, |rate| rate.sampling(SamplingOrigin::Record))
}

/// The reverse half of a biflow (RFC 5103, section 6): ends swapped, its own counts and, where they are told, its
/// own times; `None` if it is empty. Who began it (element 239) changes nothing of this.
pub(crate) fn reverse(slots: SlotSet, values: &Values, message: &Message, forward: &Record) -> Option<Record> {
    let (bytes, packets) = match (slots.has(Slot::ReverseBytes), slots.has(Slot::ResponderBytes)) {
        (true, _) => (values.get(Slot::ReverseBytes), values.get(Slot::ReversePackets)),
        (false, true) => (values.get(Slot::ResponderBytes), values.get(Slot::ResponderPackets)),
        _ => return None,
    };
    if bytes == 0 && packets == 0 {
        return None;
    }
    let mut record = forward.clone();
    std::mem::swap(&mut record.source, &mut record.destination);
    std::mem::swap(&mut record.source_port, &mut record.destination_port);
    std::mem::swap(&mut record.source_asn, &mut record.destination_asn);
    std::mem::swap(&mut record.source_mask, &mut record.destination_mask);
    std::mem::swap(&mut record.source_mac, &mut record.destination_mac);
    std::mem::swap(&mut record.input, &mut record.output);
    (record.next_hop, record.bgp_next_hop) = (Address::UNKNOWN, Address::UNKNOWN);
    (record.bytes, record.packets, record.is_reverse) = (bytes, packets.max(1), true);
    record.tcp_flags = values.get(Slot::ReverseTcpFlags) as u8;
    // It passed the same interface the other way.
    record.metering = match forward.metering {
        Metering::Ingress => Metering::Egress,
        Metering::Egress => Metering::Ingress,
        Metering::Unstated => Metering::Unstated,
    };
    let times = [Slot::ReverseStartMs, Slot::ReverseEndMs].map(|slot| (values.get(slot) as i64).saturating_mul(1_000));
    if times != [0, 0] {
        let (start_us, end_us) = both(times[0], times[1]);
        (record.start_us, record.end_us, record.time_source) =
            message.correction.event(start_us.min(end_us), end_us, TimeSource::Milliseconds);
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_are_right_across_the_wrap() {
        let export_us = 1_000_000_000_000;
        assert_eq!(by_uptime(export_us, 5_000, 4_000), export_us - 1_000_000);
        assert_eq!(by_uptime(export_us, 5_000, u32::MAX - 4_999), export_us - 10_000_000);
        assert_eq!(by_uptime(export_us, 5_000, 6_000), export_us + 1_000_000);
    }

    #[test]
    fn ntp_fractions() {
        assert_eq!(ntp_us((2_208_988_801 << 32) | 1 << 31), 1_500_000);
        assert_eq!(ntp_us(0), 0);
    }
}
