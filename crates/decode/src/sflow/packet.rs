//! The records of a flow sample to one sampled packet.

use model::{Address, Mac, Record};

use super::datagram::Structure;
use super::xdr::Xdr;
use crate::header::{self, HeaderKind};

/// Most autonomous systems in a path that is read.
pub(crate) const AS_PATH_MAX: u32 = 1_000;

/// The first bytes of the packet (sFlow version 5, section 5, `sampled_header`).
pub(crate) const RAW_HEADER: u32 = 1;
/// Ethernet fields (`sampled_ethernet`).
pub(crate) const ETHERNET: u32 = 2;
/// IPv4 fields (`sampled_ipv4`).
pub(crate) const IPV4: u32 = 3;
/// IPv6 fields (`sampled_ipv6`).
pub(crate) const IPV6: u32 = 4;
/// VLANs (`extended_switch`).
pub(crate) const EXTENDED_SWITCH: u32 = 1_001;
/// Next hop and prefix lengths (`extended_router`).
pub(crate) const EXTENDED_ROUTER: u32 = 1_002;
/// BGP next hop and AS path (`extended_gateway`).
pub(crate) const EXTENDED_GATEWAY: u32 = 1_003;
/// VLAN tags that the device took off (`extended_vlantunnel`).
pub(crate) const EXTENDED_VLAN_TUNNEL: u32 = 1_012;

/// Octets of the frame check sequence.
const CHECK_SEQUENCE_BYTES: u32 = 4;

/// What a flow sample says about its packet.
#[derive(Debug, Default)]
pub(crate) struct SampledPacket {
    /// Addresses, ports and everything else that has a place in a record.
    pub(crate) record: Record,
    /// Length as the sample states it: of the raw header's frame, else of the IP packet, else of the
    /// frame.
    pub(crate) stated_bytes: u64,
    /// 4 or 6; 0 where there is no IP.
    pub(crate) ip_version: u8,
    /// How well it could be read.
    pub(crate) reading: Reading,
    /// Its header has more layers than are walked.
    pub(crate) is_too_deep: bool,
    has_raw_header: bool,
    layers_most: usize,
    /// VLAN that the device put the packet in.
    switch_vlan: u16,
    /// Outermost tag that was taken off before the header was sampled.
    stripped_vlan: u16,
}

/// How well a sampled packet could be read; the best record of the sample decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reading {
    /// No header, one of a kind that is not parsed, or one that is cut off before its addresses.
    #[default]
    Unreadable,
    /// A frame without IP, or with MAC addresses alone.
    NoAddress,
    /// By `sampled_ipv4` or `sampled_ipv6`.
    Fields,
    /// By the raw header.
    Header,
}

impl SampledPacket {
    /// A packet of which nothing is known yet, and of whose header so many layers are walked.
    pub(crate) fn new(layers_most: usize) -> SampledPacket {
        SampledPacket { layers_most, ..SampledPacket::default() }
    }

    /// Takes in one record; `None` where its content contradicts its length, or it says nothing here.
    ///
    /// The raw header wins over the fields that other records give of the same packet.
    pub(crate) fn take(&mut self, record: Structure<'_>) -> Option<()> {
        let mut xdr = record.data;
        match record.format {
            RAW_HEADER => self.raw_header(&mut xdr),
            ETHERNET => self.ethernet(&mut xdr),
            IPV4 => self.ipv4(&mut xdr),
            IPV6 => self.ipv6(&mut xdr),
            EXTENDED_SWITCH => self.extended_switch(&mut xdr),
            EXTENDED_ROUTER => self.extended_router(&mut xdr),
            EXTENDED_GATEWAY => self.extended_gateway(&mut xdr),
            EXTENDED_VLAN_TUNNEL => self.extended_vlan_tunnel(&mut xdr),
            _ => None,
        }
    }

    /// Settles what several records say: the VLAN nearest to the link.
    pub(crate) fn finish(&mut self) {
        let tags = [self.stripped_vlan, self.record.vlan, self.switch_vlan];
        self.record.vlan = tags.into_iter().find(|vlan| *vlan != 0).unwrap_or(0);
    }

    fn raw_header(&mut self, xdr: &mut Xdr<'_>) -> Option<()> {
        let [protocol, frame_length, stripped] = xdr.words()?;
        let bytes = xdr.opaque()?;
        if self.has_raw_header {
            return None;
        }
        self.has_raw_header = true;
        self.stated_bytes = u64::from(frame_length);
        self.record.frame_bytes = u64::from(frame_length);
        let kind = HeaderKind::from_sflow(protocol)?;
        // `stripped` counts what was taken off before and behind the header, the check sequence of
        // an Ethernet frame included; some agents leave it at 0.
        let trailer = if kind == HeaderKind::Ethernet { stripped.max(CHECK_SEQUENCE_BYTES) } else { stripped };
        let length = u64::from(frame_length.saturating_sub(trailer));
        let packet = header::parse_within(kind, bytes, length, self.layers_most)?;
        self.is_too_deep = packet.is_too_deep;
        let record = &mut self.record;
        if kind == HeaderKind::Ethernet {
            record.source_mac = packet.source_mac;
            record.destination_mac = packet.destination_mac;
        }
        record.vlan = packet.vlan;
        if packet.has_addresses() {
            record.source = packet.ip.source;
            record.destination = packet.ip.destination;
            record.protocol = packet.ip.protocol;
            record.source_port = packet.ip.source_port;
            record.destination_port = packet.ip.destination_port;
            record.tcp_flags = packet.ip.tcp_flags;
            record.bytes = packet.ip_bytes;
            self.ip_version = packet.ip_version;
            self.reading = Reading::Header;
        } else if packet.ip_version == 0 {
            self.reading = self.reading.max(Reading::NoAddress);
        }
        Some(())
    }

    /// `sampled_ethernet`: a length with the check sequence, two addresses of eight bytes, a type.
    fn ethernet(&mut self, xdr: &mut Xdr<'_>) -> Option<()> {
        let length = xdr.u32()?;
        let source = xdr.fixed(6)?;
        let destination = xdr.fixed(6)?;
        if self.has_raw_header {
            return None;
        }
        self.record.source_mac = Mac(source.try_into().ok()?);
        self.record.destination_mac = Mac(destination.try_into().ok()?);
        self.record.frame_bytes = u64::from(length);
        if self.reading < Reading::Fields {
            self.stated_bytes = u64::from(length);
        }
        self.reading = self.reading.max(Reading::NoAddress);
        Some(())
    }

    fn ipv4(&mut self, xdr: &mut Xdr<'_>) -> Option<()> {
        let [length, protocol, source, destination] = xdr.words()?;
        let transport = xdr.words()?;
        self.fields(length, protocol, Address::from_v4_bits(source), Address::from_v4_bits(destination), transport)
    }

    fn ipv6(&mut self, xdr: &mut Xdr<'_>) -> Option<()> {
        let [length, protocol] = xdr.words()?;
        let (source, destination) = (xdr.address_v6()?, xdr.address_v6()?);
        let transport = xdr.words()?;
        self.fields(length, protocol, source, destination, transport)
    }

    /// Addresses and ports in fields of their own; `transport` is both ports, flags, traffic class.
    fn fields(&mut self, length: u32, protocol: u32, source: Address, destination: Address, transport: [u32; 4]) -> Option<()> {
        if self.reading >= Reading::Fields {
            return None;
        }
        let record = &mut self.record;
        let [source_port, destination_port, flags, _traffic_class] = transport;
        record.source = source;
        record.destination = destination;
        record.protocol = protocol as u8;
        record.source_port = source_port as u16;
        record.destination_port = destination_port as u16;
        record.tcp_flags = flags as u8;
        record.bytes = u64::from(length);
        if !self.has_raw_header {
            self.stated_bytes = u64::from(length);
        }
        self.ip_version = source.ip_version();
        self.reading = Reading::Fields;
        Some(())
    }

    fn extended_switch(&mut self, xdr: &mut Xdr<'_>) -> Option<()> {
        let [source_vlan, _, destination_vlan, _] = xdr.words()?;
        let vlan = if source_vlan != 0 { source_vlan } else { destination_vlan };
        self.switch_vlan = u16::try_from(vlan).ok().filter(|vlan| *vlan < 4_096).unwrap_or(0);
        Some(())
    }

    fn extended_router(&mut self, xdr: &mut Xdr<'_>) -> Option<()> {
        let next_hop = xdr.address()?;
        let [source_mask, destination_mask] = xdr.words()?;
        self.record.next_hop = next_hop;
        self.record.source_mask = u8::try_from(source_mask).ok().filter(|mask| *mask <= 128).unwrap_or(0);
        self.record.destination_mask = u8::try_from(destination_mask).ok().filter(|mask| *mask <= 128).unwrap_or(0);
        Some(())
    }

    /// BGP next hop, AS of the source, and the path whose last AS is the destination's.
    fn extended_gateway(&mut self, xdr: &mut Xdr<'_>) -> Option<()> {
        let next_hop = xdr.address()?;
        let [_own, source_asn, _source_peer, segment_count] = xdr.words()?;
        let mut destination_asn = 0;
        let mut length = 0u32;
        for _ in 0..segment_count {
            crate::steps::count(1);
            let [kind, count] = xdr.words()?;
            length = length.checked_add(count).filter(|length| *length <= AS_PATH_MAX)?;
            for position in 1..=count {
                crate::steps::count(1);
                let asn = xdr.u32()?;
                if position == count {
                    // A set of several is unordered: none of them is the origin.
                    destination_asn = if kind == AS_SET && count > 1 { 0 } else { asn };
                }
            }
        }
        self.record.bgp_next_hop = next_hop;
        self.record.source_asn = source_asn;
        self.record.destination_asn = destination_asn;
        Some(())
    }

    /// Tags that were taken off before the header was sampled, the outermost first.
    fn extended_vlan_tunnel(&mut self, xdr: &mut Xdr<'_>) -> Option<()> {
        let [count, outermost] = xdr.words()?;
        if count > 0 {
            self.stripped_vlan = (outermost & 0x0fff) as u16;
        }
        Some(())
    }
}

/// Type of a path segment whose members are unordered.
pub(crate) const AS_SET: u32 = 1;
