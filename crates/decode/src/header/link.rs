//! From the first byte of a frame to its IP header: Ethernet, tags, labels, PPP.

use model::Mac;

use super::{HeaderKind, PacketHeader, u16_at, u32_at};

/// The version of an IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IpVersion {
    V4,
    V6,
}

impl IpVersion {
    pub(super) const fn number(self) -> u8 {
        match self {
            IpVersion::V4 => 4,
            IpVersion::V6 => 6,
        }
    }

    /// By the first four bits of a header.
    fn of(bytes: &[u8]) -> Option<IpVersion> {
        match bytes.first()? >> 4 {
            4 => Some(IpVersion::V4),
            6 => Some(IpVersion::V6),
            _ => None,
        }
    }
}

/// What the next bytes are.
#[derive(Clone, Copy)]
pub(super) enum Layer {
    Ethernet,
    EtherType(u16),
    Ppp,
    Mpls,
    Ip(IpVersion),
    /// Nothing that is parsed: ARP, control protocols, an unknown type.
    Other,
}

pub(super) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(super) const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_MPLS: u16 = 0x8847;
const ETHERTYPE_MPLS_UPSTREAM: u16 = 0x8848;
const ETHERTYPE_PPPOE_SESSION: u16 = 0x8864;
/// Transparent Ethernet bridging: GRE and Geneve carry frames under it.
const ETHERTYPE_BRIDGING: u16 = 0x6558;
/// Below it the type field is an IEEE 802.3 length.
const ETHERTYPE_LEAST: u16 = 0x0600;

const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
const PPP_MPLS: u16 = 0x0281;

/// Walks to the IP header: its version (`None` where there is no IP) and the bytes from it on.
///
/// `None` where the first header is cut off. Addresses and tags of the frame go to `header`, which
/// the inside of a tunnel has none of.
pub(super) fn to_ip<'a>(
    kind: HeaderKind,
    bytes: &'a [u8],
    layers_most: usize,
    header: Option<&mut PacketHeader>,
) -> Option<(Option<IpVersion>, &'a [u8])> {
    let layer = match kind {
        HeaderKind::Ethernet if bytes.len() >= 14 => Layer::Ethernet,
        HeaderKind::Ppp if bytes.len() >= 2 => Layer::Ppp,
        HeaderKind::Mpls if bytes.len() >= 4 => Layer::Mpls,
        // What the agent says is believed only if the header says the same.
        HeaderKind::Ipv4 | HeaderKind::Ipv6 | HeaderKind::Ip if !bytes.is_empty() => {
            IpVersion::of(bytes).map_or(Layer::Other, Layer::Ip)
        }
        _ => return None,
    };
    Some(walk(layer, bytes, layers_most, header))
}

/// Takes off one layer after another until IP or the end is reached.
pub(super) fn walk<'a>(
    mut layer: Layer,
    mut bytes: &'a [u8],
    layers_most: usize,
    mut header: Option<&mut PacketHeader>,
) -> (Option<IpVersion>, &'a [u8]) {
    for _ in 0..=layers_most {
        crate::steps::count(1);
        let header = header.as_deref_mut();
        let next = match layer {
            // A header of another version than its type says is not read as either.
            Layer::Ip(version) if !bytes.is_empty() && IpVersion::of(bytes) != Some(version) => return (None, bytes),
            Layer::Ip(version) => return (Some(version), bytes),
            Layer::Other => return (None, bytes),
            Layer::Ethernet => ethernet(bytes, header),
            Layer::EtherType(ethertype) => tagged(ethertype, bytes, header),
            Layer::Ppp => ppp(bytes),
            Layer::Mpls => mpls(bytes, header),
        };
        let Some((next_layer, rest)) = next else { return (None, bytes) };
        (layer, bytes) = (next_layer, rest);
    }
    if let Some(header) = header {
        header.is_too_deep = true;
    }
    (None, bytes)
}

/// Addresses and type of a frame; a later frame (pseudo-wire) leaves the outer addresses alone.
fn ethernet<'a>(bytes: &'a [u8], header: Option<&mut PacketHeader>) -> Option<(Layer, &'a [u8])> {
    let (addresses, rest) = bytes.split_at_checked(12)?;
    let ethertype = u16_at(rest, 0)?;
    if let Some(header) = header
        && header.destination_mac.is_unknown()
        && header.source_mac.is_unknown()
    {
        header.destination_mac = Mac(addresses[..6].try_into().ok()?);
        header.source_mac = Mac(addresses[6..].try_into().ok()?);
    }
    by_ethertype(ethertype, &rest[2..])
}

/// The layer that an EtherType announces; IEEE 802.3 lengths are followed through LLC and SNAP.
fn by_ethertype(ethertype: u16, rest: &[u8]) -> Option<(Layer, &[u8])> {
    if ethertype >= ETHERTYPE_LEAST {
        return Some((Layer::EtherType(ethertype), rest));
    }
    match rest {
        [0xaa, 0xaa, 0x03, 0, 0, 0, high, low, rest @ ..] => Some((Layer::EtherType(u16::from_be_bytes([*high, *low])), rest)),
        _ => Some((Layer::Other, rest)),
    }
}

/// What stands under an EtherType: a tag is taken off, IP and labels are handed on.
fn tagged<'a>(ethertype: u16, bytes: &'a [u8], header: Option<&mut PacketHeader>) -> Option<(Layer, &'a [u8])> {
    match ethertype {
        ETHERTYPE_IPV4 => Some((Layer::Ip(IpVersion::V4), bytes)),
        ETHERTYPE_IPV6 => Some((Layer::Ip(IpVersion::V6), bytes)),
        ETHERTYPE_MPLS | ETHERTYPE_MPLS_UPSTREAM => Some((Layer::Mpls, bytes)),
        ETHERTYPE_BRIDGING => Some((Layer::Ethernet, bytes)),
        // Six bytes of PPPoE (RFC 2516, section 4), then the PPP protocol.
        ETHERTYPE_PPPOE_SESSION => Some((Layer::Ppp, bytes.get(6..)?)),
        0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
            let identifier = u16_at(bytes, 0)? & 0x0fff;
            if let Some(header) = header {
                if header.vlan == 0 {
                    header.vlan = identifier;
                } else if header.inner_vlan == 0 {
                    header.inner_vlan = identifier;
                }
            }
            by_ethertype(u16_at(bytes, 2)?, &bytes[4..])
        }
        _ => Some((Layer::Other, bytes)),
    }
}

/// PPP: address and control bytes where they are, then the protocol, of one byte if compressed.
fn ppp(bytes: &[u8]) -> Option<(Layer, &[u8])> {
    let bytes = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
    let (protocol, rest) = match bytes {
        [first, rest @ ..] if first & 1 == 1 => (u16::from(*first), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return None,
    };
    let layer = match protocol {
        PPP_IPV4 => Layer::Ip(IpVersion::V4),
        PPP_IPV6 => Layer::Ip(IpVersion::V6),
        PPP_MPLS => Layer::Mpls,
        _ => Layer::Other,
    };
    Some((layer, rest))
}

/// A label stack to its bottom (RFC 3032, section 2.1).
///
/// Nothing says what follows it. The first four bits decide: 4 and 6 are IP; else a frame is looked
/// for, after the control word of a pseudo-wire (RFC 4385, section 3) or without one. An Ethernet
/// address can begin with 4 or 6 too: see [`is_likely_ip`].
fn mpls<'a>(bytes: &'a [u8], header: Option<&mut PacketHeader>) -> Option<(Layer, &'a [u8])> {
    if let Some(header) = header
        && header.mpls_label == 0
    {
        header.mpls_label = u32_at(bytes, 0)? >> 12;
    }
    let mut rest = bytes;
    loop {
        crate::steps::count(1);
        let entry = u32_at(rest, 0)?;
        rest = &rest[4..];
        if entry & 0x100 != 0 {
            break;
        }
    }
    let version = IpVersion::of(rest);
    let layer = match version {
        Some(version) if is_likely_ip(version, rest) || !is_frame(rest) => Layer::Ip(version),
        _ if is_frame(rest) => Layer::Ethernet,
        _ if rest.first()? >> 4 == 0 && rest.get(4..).is_some_and(is_frame) => {
            return Some((Layer::Ethernet, &rest[4..]));
        }
        _ => Layer::Other,
    };
    Some((layer, rest))
}

/// Whether an IP header is what it says: by the checksum of version 4, by the known protocol and
/// the kind of source address of version 6.
fn is_likely_ip(version: IpVersion, bytes: &[u8]) -> bool {
    match version {
        IpVersion::V4 => {
            let header_bytes = usize::from(bytes[0] & 0x0f) * 4;
            header_bytes >= 20 && bytes.get(..header_bytes).is_some_and(has_right_checksum)
        }
        IpVersion::V6 => {
            let is_known = |protocol| matches!(protocol, 0 | 4 | 6 | 17 | 41 | 43 | 44 | 47 | 50 | 51 | 58 | 60 | 132);
            let is_unicast = |first| (0x20..0x40).contains(&first) || first >= 0xfc;
            bytes.get(6).copied().is_some_and(is_known) && bytes.get(8).copied().is_some_and(is_unicast)
        }
    }
}

/// The checksum of an IPv4 header (RFC 791, section 3.1): the one's complement sum is all ones.
fn has_right_checksum(header: &[u8]) -> bool {
    let sum: u32 = header.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

/// Whether the bytes can be a frame: two addresses, then a type that fits what follows it.
fn is_frame(bytes: &[u8]) -> bool {
    matches!(
        (u16_at(bytes, 12), bytes.get(14).map(|first| first >> 4)),
        (Some(ETHERTYPE_IPV4), Some(4)) | (Some(ETHERTYPE_IPV6), Some(6)) | (Some(0x8100 | 0x88a8), Some(_))
    )
}
