//! What is added up: integers only, so that neither the order nor the split of the input matters.
//!
//! Additions saturate. For counts that cannot be negative this, too, does not depend on the order.

use model::Record;
use serde::{Deserialize, Serialize};

use crate::scale::Scale;
use crate::small::Small;

/// Link-layer bytes of a packet over its IP bytes: Ethernet header and frame check sequence.
pub(crate) const FRAME_BYTES: u64 = 18;
/// The same with a VLAN tag.
pub(crate) const TAGGED_FRAME_BYTES: u64 = 22;
/// Packet size assumed where a record gives bytes without packets; for the variance only.
const ASSUMED_PACKET_BYTES: u64 = 1_500;
/// Bound of one record's sum of squares, so that it can be spread in 128 bits; no link carries as much.
const SQUARES_MAX: u128 = 1 << 88;

/// Bytes, packets and what the variance needs, of records of one scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Bytes as exported, of the layer of its table.
    pub(crate) bytes: u64,
    /// Packets as exported.
    pub(crate) packets: u64,
    /// Records whose last packet is here.
    pub(crate) records: u64,
    /// Sum of the squares of the sampled packets' sizes; of a record of p packets, bytes² / p.
    pub(crate) squares: u128,
    /// What is multiplied with the relative variance of packet sizes and added: bytes² / p × (p − 1) / p in layer 3.
    pub(crate) spread_squares: u128,
}

impl From<&Small> for Sums {
    fn from(small: &Small) -> Sums {
        Sums {
            bytes: small.bytes,
            packets: small.packets,
            records: 0,
            squares: small.squares.into(),
            spread_squares: small.spread_squares.into(),
        }
    }
}

impl Sums {
    pub(crate) const ZERO: Sums = Sums { bytes: 0, packets: 0, records: 0, squares: 0, spread_squares: 0 };

    /// What is left of it without a part of it.
    pub(crate) fn less(&self, part: &Sums) -> Sums {
        Sums {
            bytes: self.bytes - part.bytes,
            packets: self.packets - part.packets,
            records: self.records - part.records,
            squares: self.squares - part.squares,
            spread_squares: self.spread_squares - part.spread_squares,
        }
    }

    /// Adds a small part, of which the record itself counts here or not.
    #[inline]
    pub(crate) fn add_small(&mut self, small: &Small, records: u64) {
        self.bytes = self.bytes.saturating_add(small.bytes);
        self.packets = self.packets.saturating_add(small.packets);
        self.records = self.records.saturating_add(records);
        // Those of a record are below 2⁸⁸, and nobody counts 2⁴⁰ records.
        self.squares = self.squares.wrapping_add(small.squares.into());
        self.spread_squares = self.spread_squares.wrapping_add(small.spread_squares.into());
    }

    #[inline]
    pub(crate) fn add(&mut self, other: &Sums) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.packets = self.packets.saturating_add(other.packets);
        self.records = self.records.saturating_add(other.records);
        self.squares = self.squares.saturating_add(other.squares);
        self.spread_squares = self.spread_squares.saturating_add(other.spread_squares);
    }
}

/// What one record counts, on both layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layers {
    /// On the link layer, as interface counters count it.
    pub(crate) link: Sums,
    pub(crate) ip: Sums,
}

impl Layers {
    pub(crate) fn of(record: &Record, scale: Scale) -> Layers {
        let frame = if record.vlan == 0 { FRAME_BYTES } else { TAGGED_FRAME_BYTES };
        let link_bytes = match record.frame_bytes {
            0 => record.bytes.saturating_add(record.packets.saturating_mul(frame)),
            given => given,
        };
        let sums = |bytes| Sums { bytes, packets: record.packets, ..Sums::default() };
        let mut layers = Layers { link: sums(link_bytes), ip: sums(record.bytes) };
        if scale.is_sampled() {
            layers.add_squares(record, scale, frame);
        }
        layers
    }

    fn add_squares(&mut self, record: &Record, scale: Scale, frame: u64) {
        let Layers { link, ip } = self;
        if scale.is_flow_sampled {
            // The flow is the unit of the sample, and its size is known.
            ip.squares = square(ip.bytes).min(SQUARES_MAX);
            link.squares = square(link.bytes).min(SQUARES_MAX);
            return;
        }
        let packets = match record.packets {
            0 => record.bytes.div_ceil(ASSUMED_PACKET_BYTES).max(1),
            packets => packets,
        };
        if record.frame_bytes == 0 && record.packets > 0 && ip.bytes < SMALL_BYTES {
            return self.add_small_squares(packets, frame, record.is_packet_sample);
        }
        let squares = divide(square(ip.bytes), packets);
        ip.squares = squares.min(SQUARES_MAX);
        let is_framed = record.frame_bytes == 0 && record.packets > 0 && link.bytes < u64::MAX;
        let framed_squares = if is_framed {
            // (b + p f)² / p = b² / p + 2 f b + f² p, of which only the first is no whole number.
            let (bytes, packets, frame) = (u128::from(ip.bytes), u128::from(packets), u128::from(frame));
            squares + 2 * frame * bytes + frame * frame * packets
        } else {
            divide(square(link.bytes), packets)
        };
        link.squares = framed_squares.min(SQUARES_MAX);
        if packets > 1 && !record.is_packet_sample {
            // The sum of the squares of p sizes of mean m and variance v is expected to be (p m)² / p + (p − 1) v:
            // a lone packet's size is known, so nothing is added for it.
            ip.spread_squares = ip.squares - divide(ip.squares, packets);
            link.spread_squares = ip.spread_squares;
        }
    }
}

/// Records of fewer bytes are squared in 64 bits, most of the time of all that there are.
const SMALL_BYTES: u64 = 1 << 31;

impl Layers {
    /// As [`Layers::add_squares`], of packets without frame lengths, none shorter than a byte.
    fn add_small_squares(&mut self, packets: u64, frame: u64, is_packet_sample: bool) {
        let Layers { link, ip } = self;
        let bytes = ip.bytes;
        let squares = bytes * bytes / packets;
        ip.squares = squares.into();
        link.squares = u128::from(squares) + u128::from(2 * frame * bytes) + u128::from(frame * frame) * u128::from(packets);
        if packets > 1 && !is_packet_sample {
            ip.spread_squares = (squares - squares / packets).into();
            link.spread_squares = ip.spread_squares;
        }
    }
}

/// Sizes of lone packets: from them the relative variance of packet sizes is learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moments {
    /// Flow records of one packet.
    pub(crate) count: u64,
    /// Their IP bytes.
    pub(crate) bytes: u64,
    /// The squares of their IP bytes.
    pub(crate) squares: u128,
}

impl Moments {
    pub(crate) const ZERO: Moments = Moments { count: 0, bytes: 0, squares: 0 };

    /// Whether a record is a lone packet that was sampled.
    #[inline]
    pub(crate) fn has(record: &Record, scale: Scale) -> bool {
        record.packets == 1 && !record.is_packet_sample && scale.is_sampled() && !scale.is_flow_sampled
    }

    /// Those of a lone packet.
    pub(crate) fn of(record: &Record) -> Moments {
        Moments { count: 1, bytes: record.bytes, squares: square(record.bytes).min(SQUARES_MAX) }
    }

    pub(crate) fn add(&mut self, other: &Moments) {
        self.count = self.count.saturating_add(other.count);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.squares = self.squares.saturating_add(other.squares);
    }
}

/// What a lane counts in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BinSums {
    pub(crate) sums: Sums,
    pub(crate) moments: Moments,
    /// Records of the ledger whose last packet is here: each record once, whatever links it is on.
    pub(crate) ledger_records: u64,
}

impl BinSums {
    pub(crate) const ZERO: BinSums = BinSums { sums: Sums::ZERO, moments: Moments::ZERO, ledger_records: 0 };

    pub(crate) fn add(&mut self, other: &BinSums) {
        self.sums.add(&other.sums);
        self.moments.add(&other.moments);
        self.ledger_records = self.ledger_records.saturating_add(other.ledger_records);
    }
}

fn square(bytes: u64) -> u128 {
    u128::from(bytes) * u128::from(bytes)
}

/// A quotient; in 64 bits where they suffice, for that is several times as fast.
pub(crate) fn divide(dividend: u128, divisor: u64) -> u128 {
    match u64::try_from(dividend) {
        _ if divisor == 1 => dividend,
        Ok(small) => u128::from(small / divisor),
        Err(_) => dividend / u128::from(divisor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: u64, packets: u64) -> Record {
        Record { bytes, packets, ..Record::default() }
    }

    const SAMPLED: Scale = Scale { population: 10, sample: 1, is_flow_sampled: false };

    #[test]
    fn the_link_layer_counts_as_interfaces_do() {
        let check = |record: Record, bytes: u64| assert_eq!(Layers::of(&record, SAMPLED).link.bytes, bytes, "{record:?}");
        check(record(1_000, 2), 1_036);
        check(Record { vlan: 100, ..record(1_000, 2) }, 1_044);
        check(Record { frame_bytes: 1_022, vlan: 100, ..record(1_000, 1) }, 1_022);
        check(record(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn the_variance_knows_what_the_record_shows() {
        let check = |record: Record, scale: Scale, squares: u128, spread_squares: u128| {
            let sums = Layers::of(&record, scale).ip;
            assert_eq!((sums.squares, sums.spread_squares), (squares, spread_squares), "{record:?}");
        };
        check(record(1_000, 1), SAMPLED, 1_000_000, 0);
        check(record(1_000, 4), SAMPLED, 250_000, 187_500);
        check(Record { is_packet_sample: true, ..record(1_000, 1) }, SAMPLED, 1_000_000, 0);
        check(record(3_000, 0), SAMPLED, 4_500_000, 2_250_000);
        check(record(1_000, 4), Scale { is_flow_sampled: true, ..SAMPLED }, 1_000_000, 0);
        check(record(1_000, 4), Scale { population: 1, ..SAMPLED }, 0, 0);
        check(record(1_000, 4), Scale::UNKNOWN, 0, 0);
        check(record(u64::MAX, 1), SAMPLED, SQUARES_MAX, 0);
    }

    #[test]
    fn the_squares_of_frames_are_those_of_their_bytes() {
        for (bytes, packets) in [(1_000, 1), (1_000, 3), (123_457, 91), (40, 7), (1 << 40, 3_000_001), (3_000, 0), (1 << 60, 1)] {
            let link = Layers::of(&record(bytes, packets), SAMPLED).link;
            let divisor = if packets == 0 { bytes.div_ceil(1_500) } else { packets };
            assert_eq!(link.squares, (square(link.bytes) / u128::from(divisor)).min(SQUARES_MAX), "{bytes} in {packets}");
        }
    }
}
