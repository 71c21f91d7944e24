//! The latest datagrams of a domain, by which a copy made on the way is known.

use serde::{Deserialize, Serialize};

/// Datagrams that are remembered.
const RECENT: usize = 32;
/// Bytes at the beginning of a datagram that go into its mark.
const MARKED_BYTES: usize = 64;

/// Sequence numbers of the latest datagrams, each with a mark of its bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Recent {
    datagrams: Vec<(u32, u64)>,
    /// Place of the oldest one, once all places are taken.
    oldest: usize,
}

impl Recent {
    /// Whether the same datagram has come before.
    pub(crate) fn is_copy(&self, number: u32, mark: u64) -> bool {
        self.datagrams.contains(&(number, mark))
    }

    pub(crate) fn remember(&mut self, number: u32, mark: u64) {
        if self.datagrams.len() < RECENT {
            self.datagrams.push((number, mark));
        } else {
            self.datagrams[self.oldest % RECENT] = (number, mark);
            self.oldest = (self.oldest + 1) % RECENT;
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Recent::default();
    }
}

/// Tells a copy of a datagram from another with the same sequence number: the header, with its times,
/// the beginning of the content, and the length.
pub(crate) fn mark(payload: &[u8]) -> u64 {
    let head = &payload[..payload.len().min(MARKED_BYTES)];
    head.chunks(8).fold(payload.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_among_the_latest_and_by_its_bytes() {
        let mut recent = Recent::default();
        for number in 0..40 {
            recent.remember(number, mark(&[7, number as u8]));
        }
        assert!(recent.is_copy(39, mark(&[7, 39])) && recent.is_copy(8, mark(&[7, 8])));
        assert!(!recent.is_copy(39, mark(&[7, 38])), "same number, other bytes");
        assert!(!recent.is_copy(7, mark(&[7, 7])), "too long ago");
    }

    #[test]
    fn the_mark_sees_every_byte_of_the_beginning_and_the_length() {
        let payload = [1; 70];
        let others = (0..MARKED_BYTES).map(|at| {
            let mut other = payload;
            other[at] ^= 0x80;
            mark(&other)
        });
        let mut marks: Vec<u64> = others.chain([mark(&payload), mark(&payload[..69])]).collect();
        marks.sort_unstable();
        marks.dedup();
        assert_eq!(marks.len(), MARKED_BYTES + 2);
    }
}
