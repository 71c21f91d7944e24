//! The first bytes of a packet, as a switch copies them into a sample.

use std::net::IpAddr;

use super::{put_u16, put_u32};
use crate::record::FlowRecord;

/// Ethernet, VLAN tag if any, IP, TCP or UDP, then zeros for payload: at most `bytes_max` bytes of the frame.
pub(crate) fn put_frame(out: &mut Vec<u8>, record: &FlowRecord, ip_bytes: u64, bytes_max: usize) {
    let start = out.len();
    out.extend_from_slice(&record.destination_mac);
    out.extend_from_slice(&record.source_mac);
    if record.vlan != 0 {
        put_u16(out, 0x8100);
        put_u16(out, record.vlan);
    }
    put_u16(out, if record.is_v6() { 0x86DD } else { 0x0800 });
    put_ip(out, record, ip_bytes);
    let without_check_sequence = record.frame_bytes(ip_bytes) as usize - 4;
    out.resize(start + without_check_sequence.min(bytes_max), 0);
}

fn put_ip(out: &mut Vec<u8>, record: &FlowRecord, ip_bytes: u64) {
    let header = out.len();
    let payload_bytes = match (record.source, record.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            out.extend_from_slice(&[0x45, 0]);
            put_u16(out, ip_bytes as u16);
            put_u32(out, 0x0000_4000);
            out.extend_from_slice(&[58, record.protocol, 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
            let sum = checksum(&out[header..]);
            out[header + 10..header + 12].copy_from_slice(&sum.to_be_bytes());
            ip_bytes - 20
        }
        (source, destination) => {
            put_u32(out, 0x6000_0000);
            put_u16(out, (ip_bytes - 40) as u16);
            out.extend_from_slice(&[record.protocol, 58]);
            for address in [source, destination] {
                if let IpAddr::V6(address) = address {
                    out.extend_from_slice(&address.octets());
                }
            }
            ip_bytes - 40
        }
    };
    put_u16(out, record.source_port);
    put_u16(out, record.destination_port);
    if record.protocol == 6 {
        put_u32(out, 1);
        put_u32(out, 1);
        out.extend_from_slice(&[0x50, record.tcp_flags]);
        put_u16(out, 65_535);
        put_u32(out, 0);
    } else {
        put_u16(out, payload_bytes as u16);
        put_u16(out, 0);
    }
}

/// The Internet checksum (RFC 1071) of bytes in which the checksum is 0.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::put_frame;
    use crate::encode::sflow::tests::packet;

    #[test]
    fn another_parser_reads_the_frame() {
        let check = |is_v6: bool, protocol: u8, vlan: u16, ip_bytes: u64| {
            let record = packet(is_v6, protocol, vlan);
            let mut frame = Vec::new();
            put_frame(&mut frame, &record, ip_bytes, 2_000);
            assert_eq!(frame.len() as u64 + 4, record.frame_bytes(ip_bytes));
            let sliced = SlicedPacket::from_ethernet(&frame).expect("a frame");
            match sliced.net.expect("IP") {
                NetSlice::Ipv4(ip) => {
                    assert_eq!(u64::from(ip.header().total_len()), ip_bytes);
                    assert_eq!(ip.header().to_header().calc_header_checksum(), ip.header().header_checksum());
                }
                NetSlice::Ipv6(ip) => assert_eq!(u64::from(ip.header().payload_length()) + 40, ip_bytes),
                other => panic!("{other:?}"),
            }
            let ports = match sliced.transport.expect("ports") {
                TransportSlice::Tcp(tcp) => (tcp.source_port(), tcp.destination_port()),
                TransportSlice::Udp(udp) => (udp.source_port(), udp.destination_port()),
                other => panic!("{other:?}"),
            };
            assert_eq!(ports, (record.source_port, record.destination_port));
        };
        for is_v6 in [false, true] {
            for protocol in [6, 17] {
                check(is_v6, protocol, 0, 60);
                check(is_v6, protocol, 100, 1_500);
            }
        }
    }
}
