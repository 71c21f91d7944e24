//! The first IP header inside a tunnel.

use super::link::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, IpVersion, Layer, walk};
use super::network::{self, Network, UDP};
use super::{IpHeader, u16_at};

const IP_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;
const MPLS_IN_IP: u8 = 137;
/// Ethernet in IPv6: SRv6 L2 services (RFC 8986, section 4.9).
const ETHERNET_IN_IP: u8 = 143;

/// Frames that a switch mirrors to a distance, in GRE: types I and II, and type III (draft-foschiano-erspan-03).
const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;

const VXLAN_PORT: u16 = 4789;
/// What Linux used for VXLAN before the port was assigned, and still does by default.
const VXLAN_PORT_LINUX: u16 = 8472;
const GENEVE_PORT: u16 = 6081;

/// Looks into the tunnel that a packet may be; one level.
pub(super) fn inner(outer: &Network<'_>, layers_most: usize) -> Option<IpHeader> {
    let (layer, payload) = contents(outer)?;
    let (version, packet) = walk(layer, payload, layers_most, None);
    let version = version.filter(|_| !packet.is_empty())?;
    Some(network::read(version, packet, layers_most).header)
}

/// What a tunnel carries; `None` where the packet is none.
pub(super) fn contents<'a>(outer: &Network<'a>) -> Option<(Layer, &'a [u8])> {
    let payload = outer.payload;
    match outer.header.protocol {
        IP_IN_IP => Some((Layer::Ip(IpVersion::V4), payload)),
        IPV6_IN_IP => Some((Layer::Ip(IpVersion::V6), payload)),
        MPLS_IN_IP => Some((Layer::Mpls, payload)),
        ETHERNET_IN_IP => Some((Layer::Ethernet, payload)),
        GRE => gre(payload),
        UDP => match outer.header.destination_port {
            VXLAN_PORT | VXLAN_PORT_LINUX => vxlan(payload.get(8..)?),
            GENEVE_PORT => geneve(payload.get(8..)?),
            _ => None,
        },
        _ => None,
    }
}

/// GRE version 0 with its optional words (RFC 2784, RFC 2890).
fn gre(bytes: &[u8]) -> Option<(Layer, &[u8])> {
    let flags = u16_at(bytes, 0)?;
    if flags & 0x0007 != 0 {
        return None;
    }
    let has_checksum = flags & 0xc000 != 0;
    let words = usize::from(has_checksum) + usize::from(flags & 0x2000 != 0) + usize::from(flags & 0x1000 != 0);
    let rest = bytes.get(4 + 4 * words..)?;
    match u16_at(bytes, 2)? {
        // What routers mirror: type I has no header of its own, type II (with a sequence number) one of 8 bytes.
        ERSPAN if flags & 0x1000 == 0 => Some((Layer::Ethernet, rest)),
        ERSPAN => Some((Layer::Ethernet, rest.get(8..)?)),
        // 12 bytes, and 8 more where its last bit says so.
        ERSPAN_3 => Some((Layer::Ethernet, rest.get(12 + usize::from(rest.get(11)? & 1) * 8..)?)),
        ethertype => Some((Layer::EtherType(ethertype), rest)),
    }
}

/// VXLAN (RFC 7348, section 5): eight bytes, the flag of a valid network identifier among them.
fn vxlan(bytes: &[u8]) -> Option<(Layer, &[u8])> {
    let (header, rest) = bytes.split_at_checked(8)?;
    (header[0] & 0x08 != 0).then_some((Layer::Ethernet, rest))
}

/// Geneve (RFC 8926, section 3.4): eight bytes, options, then what the protocol type says.
fn geneve(bytes: &[u8]) -> Option<(Layer, &[u8])> {
    let options = usize::from(bytes.first()? & 0x3f) * 4;
    let layer = match u16_at(bytes, 2)? {
        ETHERTYPE_IPV4 => Layer::Ip(IpVersion::V4),
        ETHERTYPE_IPV6 => Layer::Ip(IpVersion::V6),
        other => Layer::EtherType(other),
    };
    Some((layer, bytes.get(8 + options..)?))
}
