//! An IP header, its extension headers, and the ports behind it.

use model::Address;

use super::link::IpVersion;
use super::{IpHeader, u16_at, u32_at};

const HOP_BY_HOP: u8 = 0;
const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const DCCP: u8 = 33;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const ICMP_V6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;
const SCTP: u8 = 132;
const MOBILITY: u8 = 135;
const UDP_LITE: u8 = 136;
const HOST_IDENTITY: u8 = 139;
const SHIM_6: u8 = 140;

/// An IP packet as far as it was read.
pub(super) struct Network<'a> {
    pub(super) header: IpHeader,
    /// Length of layer 3 by the header; `None` where it is cut off, zero (segmentation offload) or
    /// less than the header.
    pub(super) length: Option<u32>,
    /// What follows the last header read; empty of a later fragment.
    pub(super) payload: &'a [u8],
    /// It has more extension headers than are walked.
    pub(super) is_too_deep: bool,
}

/// Reads an IP header of `version` from what there is of it.
pub(super) fn read(version: IpVersion, bytes: &[u8], layers_most: usize) -> Network<'_> {
    let mut network = match version {
        IpVersion::V4 => ipv4(bytes, layers_most),
        IpVersion::V6 => ipv6(bytes, layers_most),
    };
    if network.header.is_later_fragment {
        network.payload = &[];
    }
    ports(&mut network.header, network.payload);
    network
}

/// IPv4 (RFC 791, section 3.1).
fn ipv4(bytes: &[u8], layers_most: usize) -> Network<'_> {
    let header_bytes = usize::from(bytes.first().map_or(0, |first| first & 0x0f)) * 4;
    let total = u16_at(bytes, 2).unwrap_or(0);
    let mut network = Network {
        header: IpHeader {
            traffic_class: bytes.get(1).copied().unwrap_or(0),
            protocol: bytes.get(9).copied().unwrap_or(0),
            is_later_fragment: u16_at(bytes, 6).unwrap_or(0) & 0x1fff != 0,
            ..IpHeader::default()
        },
        length: (usize::from(total) >= header_bytes.max(20)).then_some(u32::from(total)),
        payload: &[],
        is_too_deep: false,
    };
    if let (Some(source), Some(destination)) = (u32_at(bytes, 12), u32_at(bytes, 16)) {
        network.header.source = Address::from_v4_bits(source);
        network.header.destination = Address::from_v4_bits(destination);
    }
    if header_bytes < 20 {
        return network;
    }
    let packet = within(bytes, network.length);
    network.payload = packet.get(header_bytes..).unwrap_or(&[]);
    if network.header.protocol == AUTHENTICATION && !network.header.is_later_fragment {
        extensions(&mut network, layers_most);
    }
    network
}

/// IPv6 (RFC 8200, section 3). A payload length of 0 is a jumbogram or segmentation offload.
fn ipv6(bytes: &[u8], layers_most: usize) -> Network<'_> {
    let payload_bytes = u16_at(bytes, 4).unwrap_or(0);
    let mut network = Network {
        header: IpHeader {
            traffic_class: (u16_at(bytes, 0).unwrap_or(0) >> 4) as u8,
            protocol: bytes.get(6).copied().unwrap_or(0),
            ..IpHeader::default()
        },
        length: (payload_bytes > 0).then(|| u32::from(payload_bytes) + 40),
        payload: &[],
        is_too_deep: false,
    };
    let Some((header, _)) = bytes.split_at_checked(40) else { return network };
    network.header.source = address_v6(&header[8..24]);
    network.header.destination = address_v6(&header[24..40]);
    network.payload = &within(bytes, network.length)[40..];
    extensions(&mut network, layers_most);
    network
}

fn address_v6(bytes: &[u8]) -> Address {
    let mut bits = [0; 16];
    bits.copy_from_slice(bytes);
    Address::from_bits(u128::from_be_bytes(bits))
}

/// The bytes of the packet alone: what follows it is the padding of a short frame.
fn within(bytes: &[u8], length: Option<u32>) -> &[u8] {
    let length = length.map_or(bytes.len(), |length| length as usize);
    bytes.get(..length).unwrap_or(bytes)
}

/// Steps over extension headers (RFC 8200, section 4) to the protocol and its payload.
///
/// One that is cut off ends the walk: the protocol is then its own number, and there is no payload.
fn extensions(network: &mut Network<'_>, layers_most: usize) {
    for _ in 0..layers_most {
        crate::steps::count(1);
        let protocol = network.header.protocol;
        let payload = network.payload;
        let length = match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM_6 => {
                payload.get(1).map(|units| (usize::from(*units) + 1) * 8)
            }
            FRAGMENT => Some(8),
            AUTHENTICATION => payload.get(1).map(|units| (usize::from(*units) + 2) * 4),
            _ => return,
        };
        let Some((extension, rest)) = length.and_then(|length| payload.split_at_checked(length)) else {
            network.payload = &[];
            return;
        };
        network.header.protocol = extension[0];
        network.payload = rest;
        if protocol == FRAGMENT && u16_at(extension, 2).unwrap_or(0) & 0xfff8 != 0 {
            network.header.is_later_fragment = true;
            return;
        }
    }
    network.is_too_deep = matches!(
        network.header.protocol,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM_6
    );
}

/// Ports and flags from what there is of the transport header.
fn ports(header: &mut IpHeader, payload: &[u8]) {
    match header.protocol {
        TCP | UDP | UDP_LITE | SCTP | DCCP => {
            header.source_port = u16_at(payload, 0).unwrap_or(0);
            header.destination_port = u16_at(payload, 2).unwrap_or(0);
            if header.protocol == TCP {
                header.tcp_flags = payload.get(13).copied().unwrap_or(0);
            }
        }
        ICMP | ICMP_V6 => header.destination_port = u16_at(payload, 0).unwrap_or(0),
        _ => {}
    }
}
