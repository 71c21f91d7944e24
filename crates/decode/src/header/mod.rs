//! The first bytes of a sampled packet to the fields of a record.
//!
//! Packet samples carry the first 64 to 256 bytes of a packet: sFlow raw headers, IPFIX frame and
//! header sections (elements 104, 313, 315). [`parse`] reads them from the link layer to the ports,
//! takes what is there and leaves the rest empty: a header may be cut off anywhere.
//!
//! Which addresses count: those of the **outermost IP header**. It is what rides the link, what the
//! routers on both ends forward by, and what a flow exporter on the same port would export. VLAN
//! tags, MPLS labels, PPPoE and Ethernet pseudo-wires around it are taken off; a tunnel in it (GRE,
//! VXLAN, Geneve, IP in IP, SRv6) is looked into once, for [`PacketHeader::inner`] only.
//!
//! Every step forward consumes bytes, and layers, tags and extension headers are counted against a
//! limit, so the work is bounded. Nothing is allocated.

mod link;
mod mirrored;
mod network;
mod tunnel;

#[cfg(test)]
mod tests;

use model::{Address, Mac};

pub use mirrored::mirrored;

/// Most link layers (tags, label stacks, pseudo-wires) and most extension headers that are walked where
/// nobody sets another number.
pub const LAYERS_MOST: usize = 8;

/// What the first sampled byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderKind {
    /// An Ethernet frame from its destination address on (sFlow header protocol 1, element 315).
    Ethernet,
    /// PPP, with or without its address and control bytes (sFlow 7 and 14).
    Ppp,
    /// An IPv4 header (sFlow 11).
    Ipv4,
    /// An IPv6 header (sFlow 12).
    Ipv6,
    /// An IP header of the version in its first four bits (element 313).
    Ip,
    /// An MPLS label stack (sFlow 13).
    Mpls,
}

impl HeaderKind {
    /// The kind by sFlow's `header_protocol`; `None` for link layers that are not parsed.
    pub const fn from_sflow(header_protocol: u32) -> Option<HeaderKind> {
        match header_protocol {
            1 => Some(HeaderKind::Ethernet),
            7 | 14 => Some(HeaderKind::Ppp),
            11 => Some(HeaderKind::Ipv4),
            12 => Some(HeaderKind::Ipv6),
            13 => Some(HeaderKind::Mpls),
            _ => None,
        }
    }
}

/// What was read of a sampled packet; what is cut off or absent is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketHeader {
    /// Source Ethernet address of the outermost frame.
    pub source_mac: Mac,
    /// Destination Ethernet address of the outermost frame.
    pub destination_mac: Mac,
    /// Identifier of the outermost VLAN tag (IEEE 802.1Q; a priority tag has none); 0 untagged.
    pub vlan: u16,
    /// Identifier of the next VLAN tag inside (802.1ad, QinQ); 0 where there is none.
    pub inner_vlan: u16,
    /// Label on top of the MPLS stack; 0 where there is no stack.
    pub mpls_label: u32,
    /// 4 or 6; 0 where no IP header was found.
    pub ip_version: u8,
    /// The outermost IP header.
    pub ip: IpHeader,
    /// Bytes of layer 3: the length that the IP header gives, else what the packet's length leaves
    /// after the link layer; 0 unknown.
    pub ip_bytes: u64,
    /// The first IP header inside a tunnel.
    pub inner: Option<IpHeader>,
    /// It has more layers than are walked: what lies below is not read.
    pub is_too_deep: bool,
}

/// An IP header and what it carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpHeader {
    /// Source address; unknown where the header is cut off before it.
    pub source: Address,
    /// Destination address; unknown where the header is cut off before it.
    pub destination: Address,
    /// Protocol after all extension headers that could be read.
    pub protocol: u8,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    /// Source port of TCP, UDP, UDP-Lite, SCTP and DCCP, else 0.
    pub source_port: u16,
    /// Destination port, likewise; of ICMP type × 256 + code, as NetFlow has it.
    pub destination_port: u16,
    /// TCP flags, the lower eight.
    pub tcp_flags: u8,
    /// A fragment other than the first: it has no ports.
    pub is_later_fragment: bool,
}

impl PacketHeader {
    /// Whether the addresses of an IP header were read.
    pub const fn has_addresses(&self) -> bool {
        self.ip_version != 0 && (self.ip.source.bits() | self.ip.destination.bits()) != 0
    }
}

/// Reads the sampled `bytes` of a packet whose whole length, from the first of them on and without
/// trailer and frame check sequence, is `packet_length` (0 unknown).
///
/// `None` where not even the first header is there.
pub fn parse(kind: HeaderKind, bytes: &[u8], packet_length: u64) -> Option<PacketHeader> {
    parse_within(kind, bytes, packet_length, LAYERS_MOST)
}

/// The same, of so many layers at most.
pub fn parse_within(kind: HeaderKind, bytes: &[u8], packet_length: u64, layers_most: usize) -> Option<PacketHeader> {
    let mut header = PacketHeader::default();
    let (version, packet) = link::to_ip(kind, bytes, layers_most, Some(&mut header))?;
    let link_bytes = (bytes.len() - packet.len()) as u64;
    let by_length = packet_length.saturating_sub(link_bytes);
    let Some(version) = version else {
        header.ip_bytes = by_length;
        return Some(header);
    };
    let network = network::read(version, packet, layers_most);
    header.ip_version = version.number();
    header.ip = network.header;
    header.ip_bytes = network.length.map_or(by_length, u64::from);
    header.inner = tunnel::inner(&network, layers_most);
    header.is_too_deep = network.is_too_deep;
    Some(header)
}

/// Big-endian 16 bits at `at`.
#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Big-endian 32 bits at `at`.
#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
