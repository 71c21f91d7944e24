//! Datagrams into a pcap file of raw IP packets.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

/// Link type of raw IP: each packet begins with its IP header.
const LINKTYPE_RAW: u32 = 101;

/// Writes UDP datagrams as a pcap file with microseconds.
pub struct CaptureWriter<W: Write> {
    out: W,
}

impl<W: Write> CaptureWriter<W> {
    /// Begins a capture: writes its header.
    ///
    /// # Errors
    ///
    /// If `out` cannot be written.
    pub fn new(mut out: W) -> io::Result<CaptureWriter<W>> {
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&0xa1b2_c3d4u32.to_le_bytes());
        header.extend_from_slice(&2u16.to_le_bytes());
        header.extend_from_slice(&4u16.to_le_bytes());
        header.extend_from_slice(&[0; 8]);
        header.extend_from_slice(&65_535u32.to_le_bytes());
        header.extend_from_slice(&LINKTYPE_RAW.to_le_bytes());
        out.write_all(&header)?;
        Ok(CaptureWriter { out })
    }

    /// Writes one datagram; both addresses are of one family.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or the payload does not fit an IP packet.
    pub fn write(&mut self, at_us: i64, source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> io::Result<()> {
        let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a datagram does not fit an IP packet");
        let udp_length = u16::try_from(payload.len() + 8).map_err(|_| too_long())?;
        let mut packet = Vec::with_capacity(payload.len() + 48);
        ip_header(&mut packet, source.ip(), destination.ip(), udp_length).ok_or_else(too_long)?;
        for half in [source.port(), destination.port(), udp_length, 0] {
            packet.extend_from_slice(&half.to_be_bytes());
        }
        packet.extend_from_slice(payload);
        let length = (packet.len() as u32).to_le_bytes();
        self.out.write_all(&(at_us.div_euclid(1_000_000) as u32).to_le_bytes())?;
        self.out.write_all(&(at_us.rem_euclid(1_000_000) as u32).to_le_bytes())?;
        self.out.write_all(&length)?;
        self.out.write_all(&length)?;
        self.out.write_all(&packet)
    }

    /// Ends the capture.
    ///
    /// # Errors
    ///
    /// If what is left cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

fn ip_header(packet: &mut Vec<u8>, source: IpAddr, destination: IpAddr, udp_length: u16) -> Option<()> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            packet.extend_from_slice(&[0x45, 0]);
            packet.extend_from_slice(&udp_length.checked_add(20)?.to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]);
            packet.extend_from_slice(&source.octets());
            packet.extend_from_slice(&destination.octets());
            let sum: u32 = packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
            let folded = (sum & 0xffff) + (sum >> 16);
            let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        (source, destination) => {
            let octets = |address: IpAddr| match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            packet.extend_from_slice(&[0x60, 0, 0, 0]);
            packet.extend_from_slice(&udp_length.to_be_bytes());
            packet.extend_from_slice(&[17, 64]);
            packet.extend_from_slice(&octets(source));
            packet.extend_from_slice(&octets(destination));
        }
    }
    Some(())
}
