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

const VXLAN_PORT: u16 = 4789;
/// What Linux used for VXLAN before the port was assigned, and still does by default.
const VXLAN_PORT_LINUX: u16 = 8472;
const GENEVE_PORT: u16 = 6081;

/// Looks into the tunnel that a packet may be; one level.
pub(super) fn inner(outer: &Network<'_>, layers_most: usize) -> Option<IpHeader> {
    let payload = outer.payload;
    let (layer, payload) = match outer.header.protocol {
        IP_IN_IP => (Layer::Ip(IpVersion::V4), payload),
        IPV6_IN_IP => (Layer::Ip(IpVersion::V6), payload),
        MPLS_IN_IP => (Layer::Mpls, payload),
        ETHERNET_IN_IP => (Layer::Ethernet, payload),
        GRE => gre(payload)?,
        UDP => match outer.header.destination_port {
            VXLAN_PORT | VXLAN_PORT_LINUX => vxlan(payload.get(8..)?)?,
            GENEVE_PORT => geneve(payload.get(8..)?)?,
            _ => return None,
        },
        _ => return None,
    };
    let (version, packet) = walk(layer, payload, layers_most, None);
    let version = version.filter(|_| !packet.is_empty())?;
    Some(network::read(version, packet, layers_most).header)
}

/// GRE version 0 with its optional words (RFC 2784, RFC 2890).
fn gre(bytes: &[u8]) -> Option<(Layer, &[u8])> {
    let flags = u16_at(bytes, 0)?;
    if flags & 0x0007 != 0 {
        return None;
    }
    let has_checksum = flags & 0xc000 != 0;
    let words = usize::from(has_checksum) + usize::from(flags & 0x2000 != 0) + usize::from(flags & 0x1000 != 0);
    Some((Layer::EtherType(u16_at(bytes, 2)?), bytes.get(4 + 4 * words..)?))
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
