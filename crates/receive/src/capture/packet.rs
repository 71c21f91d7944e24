//! A captured packet down to its UDP datagram: link layers, VLANs, both IP versions, tunnels of mirrors.
//!
//! What a router mirrors to a distance comes in GRE (RFC 2784, 2890): IP, Ethernet, or ERSPAN types I to III.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const PROTOCOL_UDP: u8 = 17;
/// IPv6 extension headers in a row; a chain longer than this is not honest traffic.
const EXTENSIONS_MOST: usize = 8;
const PROTOCOL_GRE: u8 = 47;
/// Tunnels in each other.
const TUNNELS_MOST: usize = 2;
/// VLAN tags in a row.
const TAGS_MOST: usize = 4;

/// What a packet turned out to be; ranges are within the packet.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed {
    /// A whole UDP datagram.
    Datagram(Datagram),
    /// A fragment of a UDP datagram.
    Fragment(Fragment),
    /// Something else: another protocol, or too short to tell.
    Other,
    /// A link layer that is not known.
    UnknownLinkType,
}

/// A UDP datagram within a packet.
#[derive(Debug, PartialEq)]
pub(crate) struct Datagram {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) payload: Range<usize>,
    /// The capture holds less of it than was sent.
    pub(crate) is_cut_off: bool,
}

/// A fragment of an IP packet that carries UDP.
#[derive(Debug, PartialEq)]
pub(crate) struct Fragment {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) identification: u32,
    /// Offset of its bytes in the IP payload.
    pub(crate) offset: usize,
    pub(crate) is_last: bool,
    pub(crate) bytes: Range<usize>,
    pub(crate) is_cut_off: bool,
}

/// Where what a link layer carries begins.
enum Carried {
    /// Behind an Ethernet header.
    Ethernet,
    /// As the ethertype at one place says, at another.
    Cooked { ethertype: usize, at: usize },
    /// IP, of whichever version its first byte says.
    Ip(usize),
}

impl Carried {
    /// Of a link type by the numbers of tcpdump.org; `None` where it is not known.
    fn by(link_type: i32) -> Option<Carried> {
        match link_type {
            0 | 108 => Some(Carried::Ip(4)),
            1 => Some(Carried::Ethernet),
            12 | 14 | 101 | 228 | 229 => Some(Carried::Ip(0)),
            113 => Some(Carried::Cooked { ethertype: 14, at: 16 }),
            276 => Some(Carried::Cooked { ethertype: 0, at: 20 }),
            _ => None,
        }
    }
}

/// Finds the UDP datagram in a packet of the given link type (the numbers of tcpdump.org).
pub(crate) fn parse(link_type: i32, packet: &[u8]) -> Parsed {
    match Carried::by(link_type) {
        Some(Carried::Ethernet) => ethertype_at(packet, 12, 0),
        Some(Carried::Cooked { ethertype, at }) => {
            half(packet, ethertype).map_or(Parsed::Other, |ethertype| network_of(packet, ethertype, at, 0))
        }
        Some(Carried::Ip(at)) => by_version(packet, at),
        None => Parsed::UnknownLinkType,
    }
}

/// Where a packet of a link type begins: whether with an Ethernet header or with IP, and at which byte.
pub(crate) fn frame_start(link_type: i32, packet: &[u8]) -> Option<(bool, usize)> {
    Some(match Carried::by(link_type)? {
        Carried::Ethernet => (true, 0),
        Carried::Ip(at) => (false, at),
        Carried::Cooked { ethertype, at } => {
            let is_tag = |at: &usize| half(packet, *at).is_some_and(is_tag);
            // The type of what a tag stands before is in the tag's own last bytes.
            let tags = std::iter::once(ethertype).chain((0..TAGS_MOST).map(|tag| at + 4 * tag + 2)).take_while(is_tag).count();
            (false, at + 4 * tags)
        }
    })
}

/// Parses a UDP datagram whose IP payload has been joined from fragments.
pub(crate) fn joined(source: IpAddr, destination: IpAddr, payload: &[u8]) -> Option<Datagram> {
    match udp(payload, 0..payload.len(), source, destination, false) {
        Parsed::Datagram(datagram) => Some(datagram),
        _ => None,
    }
}

fn half(packet: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?))
}

/// Whether an ethertype is that of a VLAN tag: 802.1Q, 802.1ad, 0x9100.
fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100)
}

/// The ethertype at `at`, VLAN tags skipped, and what follows it.
fn ethertype_at(packet: &[u8], mut at: usize, depth: usize) -> Parsed {
    for _ in 0..=TAGS_MOST {
        let Some(ethertype) = half(packet, at) else { return Parsed::Other };
        if !is_tag(ethertype) {
            return network_of(packet, ethertype, at + 2, depth);
        }
        at += 4;
    }
    Parsed::Other
}

fn network_of(packet: &[u8], ethertype: u16, at: usize, depth: usize) -> Parsed {
    match ethertype {
        ETHERTYPE_IPV4 => ipv4(packet, at, depth),
        ETHERTYPE_IPV6 => ipv6(packet, at, depth),
        tag if is_tag(tag) => ethertype_at(packet, at + 2, depth),
        _ => Parsed::Other,
    }
}

fn by_version(packet: &[u8], at: usize) -> Parsed {
    match packet.get(at).map(|byte| byte >> 4) {
        Some(4) => ipv4(packet, at, 0),
        Some(6) => ipv6(packet, at, 0),
        _ => Parsed::Other,
    }
}

fn ipv4(packet: &[u8], at: usize, depth: usize) -> Parsed {
    let Some(header) = packet.get(at..at + 20) else { return Parsed::Other };
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let total_length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || header_length < 20 || total_length < header_length {
        return Parsed::Other;
    }
    let source = IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15]));
    let destination = IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19]));
    let flags = u16::from_be_bytes([header[6], header[7]]);
    let offset = usize::from(flags & 0x1fff) * 8;
    let is_last = flags & 0x2000 == 0;
    // The header's length leaves out the padding of a short Ethernet frame.
    let end = (at + total_length).min(packet.len());
    let bytes = (at + header_length).min(end)..end;
    let is_cut_off = at + total_length > packet.len();
    let is_whole = offset == 0 && is_last;
    if header[9] != PROTOCOL_UDP {
        return if header[9] == PROTOCOL_GRE && is_whole { gre(packet, bytes.start, depth + 1) } else { Parsed::Other };
    }
    if is_whole {
        return udp(packet, bytes, source, destination, is_cut_off);
    }
    let identification = u32::from(u16::from_be_bytes([header[4], header[5]]));
    Parsed::Fragment(Fragment { source, destination, identification, offset, is_last, bytes, is_cut_off })
}

fn ipv6(packet: &[u8], at: usize, depth: usize) -> Parsed {
    let Some(header) = packet.get(at..at + 40) else { return Parsed::Other };
    if header[0] >> 4 != 6 {
        return Parsed::Other;
    }
    let address = |from: usize| <[u8; 16]>::try_from(&header[from..from + 16]).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
    let (Ok(source), Ok(destination)) = (address(8), address(24)) else { return Parsed::Other };
    let full_end = at + 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let end = full_end.min(packet.len());
    let is_cut_off = full_end > packet.len();
    let (mut next, mut at) = (header[6], at + 40);
    for _ in 0..EXTENSIONS_MOST {
        let Some(extension) = packet.get(at..(at + 8).min(end)) else { return Parsed::Other };
        match next {
            PROTOCOL_UDP => return udp(packet, at.min(end)..end, source, destination, is_cut_off),
            PROTOCOL_GRE => return gre(packet, at, depth + 1),
            0 | 43 | 60 if extension.len() == 8 => {
                next = extension[0];
                at += (usize::from(extension[1]) + 1) * 8;
            }
            44 if extension.len() == 8 && extension[0] == PROTOCOL_UDP => {
                let field = u16::from_be_bytes([extension[2], extension[3]]);
                let identification = u32::from_be_bytes([extension[4], extension[5], extension[6], extension[7]]);
                let (offset, is_last) = (usize::from(field & 0xfff8), field & 1 == 0);
                let bytes = (at + 8).min(end)..end;
                if offset == 0 && is_last {
                    return udp(packet, bytes, source, destination, is_cut_off);
                }
                return Parsed::Fragment(Fragment { source, destination, identification, offset, is_last, bytes, is_cut_off });
            }
            _ => return Parsed::Other,
        }
    }
    Parsed::Other
}

/// What a GRE tunnel carries.
fn gre(packet: &[u8], at: usize, depth: usize) -> Parsed {
    let (Some(flags), Some(protocol)) = (half(packet, at), half(packet, at + 2)) else { return Parsed::Other };
    // Version 0, without source routes; checksum, key and sequence number take four bytes each.
    if flags & 0x4007 != 0 || depth > TUNNELS_MOST {
        return Parsed::Other;
    }
    let options = [0x8000, 0x2000, 0x1000].iter().filter(|bit| flags & **bit != 0).count();
    let at = at + 4 + options * 4;
    match protocol {
        // Ethernet, and ERSPAN: type I has no header of its own, type II (with a sequence number) one of 8 bytes.
        0x6558 => ethertype_at(packet, at + 12, depth),
        0x88be if flags & 0x1000 == 0 => ethertype_at(packet, at + 12, depth),
        0x88be => ethertype_at(packet, at + 8 + 12, depth),
        // Type III: 12 bytes, and 8 more where its last bit says so.
        0x22eb => match packet.get(at + 11) {
            Some(last) => ethertype_at(packet, at + 12 + usize::from(last & 1) * 8 + 12, depth),
            None => Parsed::Other,
        },
        _ => network_of(packet, protocol, at, depth),
    }
}

fn udp(packet: &[u8], bytes: Range<usize>, source: IpAddr, destination: IpAddr, is_cut_off: bool) -> Parsed {
    let Some(header) = packet.get(bytes.start..bytes.start + 8).filter(|_| bytes.len() >= 8) else { return Parsed::Other };
    let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    // A length of 0 is a jumbogram's (RFC 2675): the IP length decides.
    let length = match usize::from(port(4)) {
        0 => bytes.len(),
        length => length,
    };
    if length < 8 {
        return Parsed::Other;
    }
    let full_end = bytes.start + length;
    Parsed::Datagram(Datagram {
        source: SocketAddr::new(source, port(0)),
        destination: SocketAddr::new(destination, port(2)),
        payload: bytes.start + 8..full_end.min(bytes.end),
        is_cut_off: is_cut_off || full_end > bytes.end,
    })
}
