//! Whole packets of mirror ports: the tunnel of the mirror is taken off, and TCP is read.

use model::segment::{Packet, Segment};

use super::link::{IpVersion, to_ip, walk};
use super::network::{self, Network, TCP};
use super::{HeaderKind, LAYERS_MOST, PacketHeader, tunnel, u32_at};

/// Tunnels in each other: that of the mirror, and one of the network's own.
const TUNNELS_MAX: usize = 2;
/// A TCP header without options (RFC 9293, section 3.1).
const TCP_BYTES: usize = 20;
/// The option with timestamps, and its length (RFC 7323, section 3.2).
const TIMESTAMPS: [u8; 2] = [8, 10];

/// Reads a mirrored packet: the innermost addresses, for the outer ones are those of the mirror's tunnel.
///
/// `vlan` is that of a tag which was taken off before, 0 if none was. `None` where there is no IP.
pub fn mirrored(kind: HeaderKind, bytes: &[u8], vlan: u16) -> Option<Packet> {
    let mut header = PacketHeader { vlan, ..PacketHeader::default() };
    let (version, packet) = to_ip(kind, bytes, LAYERS_MOST, Some(&mut header))?;
    let mut found = read(version?, packet, &header);
    for _ in 0..TUNNELS_MAX {
        let Some((layer, rest)) = tunnel::contents(&found.network) else { break };
        let mut header = PacketHeader::default();
        let (version, packet) = walk(layer, rest, LAYERS_MOST, Some(&mut header));
        let Some(version) = version.filter(|_| !packet.is_empty()) else { break };
        // What has no frame of its own is on the link of the frame around it.
        if header.source_mac.is_unknown() && header.destination_mac.is_unknown() {
            (header.source_mac, header.destination_mac) = (found.packet.source_mac, found.packet.destination_mac);
            header.vlan = found.packet.vlan;
        }
        found = read(version, packet, &header);
    }
    let mut packet = found.packet;
    packet.segment = segment(&found.network, found.bytes);
    Some(packet)
}

struct Found<'a> {
    packet: Packet,
    network: Network<'a>,
    /// From the IP header on.
    bytes: &'a [u8],
}

fn read<'a>(version: IpVersion, bytes: &'a [u8], header: &PacketHeader) -> Found<'a> {
    let network = network::read(version, bytes, LAYERS_MOST);
    let packet = Packet {
        source_mac: header.source_mac,
        destination_mac: header.destination_mac,
        vlan: header.vlan,
        source: network.header.source,
        destination: network.header.destination,
        segment: None,
    };
    Found { packet, network, bytes }
}

/// The TCP segment of a packet, whose header must be whole.
fn segment(network: &Network<'_>, packet: &[u8]) -> Option<Segment> {
    let payload = network.payload;
    if network.header.protocol != TCP || payload.len() < TCP_BYTES {
        return None;
    }
    let header_bytes = usize::from(payload[12] >> 4) * 4;
    let before = payload.as_ptr() as usize - packet.as_ptr() as usize;
    // By the length of the packet: of a capture its end may be cut off.
    let whole = network.length.map_or(before + payload.len(), |length| length as usize);
    Some(Segment {
        source_port: network.header.source_port,
        destination_port: network.header.destination_port,
        flags: payload[13],
        sequence: u32_at(payload, 4)?,
        acknowledgement: u32_at(payload, 8)?,
        timestamps: timestamps(payload.get(TCP_BYTES..header_bytes.min(payload.len())).unwrap_or(&[])),
        has_data: whole > before + header_bytes,
    })
}

/// TSval and TSecr among the options of a segment.
fn timestamps(mut options: &[u8]) -> Option<(u32, u32)> {
    loop {
        match options {
            [1, rest @ ..] => options = rest,
            [kind, length, ..] if *kind != 0 && *length >= 2 => {
                if [*kind, *length] == TIMESTAMPS {
                    return Some((u32_at(options, 2)?, u32_at(options, 6)?));
                }
                options = options.get(usize::from(*length)..)?;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Address;
    use proptest::prelude::*;

    use super::*;

    /// IPv4 and TCP, with timestamps 7 and 9 and so many bytes of data.
    fn tcp(flags: u8, data: usize) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 52 + data as u8, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1];
        packet.extend([0xc3, 0x50, 1, 0xbb, 0, 0, 0, 5, 0, 0, 0, 6, 0x80, flags, 0, 0, 0, 0, 0, 0]);
        packet.extend([1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9]);
        packet.extend(vec![0; data]);
        packet
    }

    fn frame(vlan: Option<u8>, packet: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        frame.extend(vlan.into_iter().flat_map(|vlan| [0x81, 0, 0, vlan]));
        frame.extend([8, 0]);
        frame.extend(packet);
        frame
    }

    /// IPv4 with GRE, and what it carries.
    fn gre(flags: u8, ethertype: [u8; 2], rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([flags, 0, ethertype[0], ethertype[1]]);
        packet.extend(rest);
        let length = packet.len() as u16;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        frame(Some(99), &packet)
    }

    #[test]
    fn a_segment_is_read_through_whatever_the_mirror_put_around_it() {
        let inner = frame(Some(101), &tcp(0x12, 3));
        let erspan = |header: &[u8]| [header, &inner].concat();
        let plain = mirrored(HeaderKind::Ethernet, &inner, 0).unwrap();
        assert_eq!((plain.vlan, plain.source, plain.source_mac.0[5]), (101, Address::from_v4_bits(0xc000_0201), 2));
        let expected = Segment {
            source_port: 50_000,
            destination_port: 443,
            flags: 0x12,
            sequence: 5,
            acknowledgement: 6,
            timestamps: Some((7, 9)),
            has_data: true,
        };
        assert_eq!(plain.segment, Some(expected));
        for around in [
            gre(0, [0x88, 0xbe], &inner),
            gre(0x10, [0x88, 0xbe], &erspan(&[0, 0, 0, 1, 0x10, 1, 0, 0, 0, 0, 0, 0])),
            gre(0x10, [0x22, 0xeb], &erspan(&[0, 0, 0, 1, 0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
            gre(0x10, [0x22, 0xeb], &erspan(&[0, 0, 0, 1, 0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])),
            gre(0, [0x65, 0x58], &inner),
        ] {
            assert_eq!(mirrored(HeaderKind::Ethernet, &around, 0), Some(plain));
        }
        // Without a frame inside, the VLAN is that of the frame around.
        let bare = mirrored(HeaderKind::Ethernet, &gre(0, [8, 0], &tcp(0x02, 0)), 0).unwrap();
        assert_eq!((bare.vlan, bare.segment.unwrap().has_data), (99, false));
    }

    #[test]
    fn data_is_counted_by_the_packets_length_though_it_is_cut_off() {
        let cut = tcp(0x10, 8);
        assert!(mirrored(HeaderKind::Ip, &cut[..52], 0).unwrap().segment.unwrap().has_data);
        assert_eq!(mirrored(HeaderKind::Ip, &cut[..39], 0).unwrap().segment, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..120), from in 0_usize..100) {
            let mut packet = gre(0x10, [0x88, 0xbe], &frame(None, &tcp(2, 0)));
            let end = packet.len().min(from + bytes.len());
            let from = from.min(end);
            packet[from..end].copy_from_slice(&bytes[..end - from]);
            let _ = mirrored(HeaderKind::Ethernet, &packet, 0);
            let _ = mirrored(HeaderKind::Ip, &bytes, 7);
        }
    }
}
