//! IP fragments joined, bounded in count, bytes and time.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::packet::Fragment;

/// Packets under way at once; the oldest falls off.
const PACKETS_MOST: usize = 64;
/// Bytes of an IP payload.
const BYTES_MOST: usize = 65_535;
/// Fragments of one packet.
const FRAGMENTS_MOST: usize = 128;
/// How long the rest may take (RFC 8200, section 4.5).
const PATIENCE_US: i64 = 60_000_000;

/// The fragments of packets that are not complete yet.
#[derive(Default)]
pub(crate) struct Fragments {
    packets: VecDeque<Packet>,
    /// Packets that fell off incomplete.
    pub(crate) given_up: u64,
}

struct Packet {
    key: (IpAddr, IpAddr, u32),
    first_us: i64,
    pieces: Vec<(usize, Vec<u8>)>,
    end: Option<usize>,
    bytes: usize,
}

impl Fragments {
    /// Takes a fragment in; gives the whole payload when it was the last that was missing.
    pub(crate) fn add(&mut self, at_us: i64, fragment: &Fragment, bytes: &[u8]) -> Option<Vec<u8>> {
        self.give_up_before(at_us.saturating_sub(PATIENCE_US));
        let key = (fragment.source, fragment.destination, fragment.identification);
        let index = match self.packets.iter().position(|packet| packet.key == key) {
            Some(index) => index,
            None => {
                if self.packets.len() == PACKETS_MOST {
                    self.packets.pop_front();
                    self.given_up += 1;
                }
                self.packets.push_back(Packet { key, first_us: at_us, pieces: Vec::new(), end: None, bytes: 0 });
                self.packets.len() - 1
            }
        };
        let packet = &mut self.packets[index];
        if packet.pieces.iter().any(|(offset, piece)| *offset == fragment.offset && piece == bytes) {
            // A copy: the packet was seen on two interfaces.
            return None;
        }
        packet.bytes += bytes.len();
        if fragment.offset + bytes.len() > BYTES_MOST || packet.bytes > BYTES_MOST || packet.pieces.len() == FRAGMENTS_MOST {
            self.packets.remove(index);
            self.given_up += 1;
            return None;
        }
        if fragment.is_last {
            packet.end = Some(fragment.offset + bytes.len());
        }
        packet.pieces.push((fragment.offset, bytes.to_vec()));
        let whole = packet.whole()?;
        self.packets.remove(index);
        Some(whole)
    }

    /// Packets that are still incomplete.
    pub(crate) fn waiting(&self) -> u64 {
        self.packets.len() as u64
    }

    fn give_up_before(&mut self, limit_us: i64) {
        let before = self.packets.len();
        self.packets.retain(|packet| packet.first_us >= limit_us);
        self.given_up += (before - self.packets.len()) as u64;
    }
}

impl Packet {
    /// The payload, if the pieces cover it without a hole or an overlap.
    fn whole(&mut self) -> Option<Vec<u8>> {
        let end = self.end?;
        self.pieces.sort_by_key(|(offset, _)| *offset);
        let mut whole = Vec::with_capacity(end);
        for (offset, bytes) in &self.pieces {
            if *offset != whole.len() {
                return None;
            }
            whole.extend_from_slice(bytes);
        }
        (whole.len() == end).then_some(whole)
    }
}
