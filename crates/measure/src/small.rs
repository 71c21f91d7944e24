//! The common case of a record: 31 bits hold its bytes and its packets, so 64 hold all that is made of them.
//!
//! Here nothing waits in memory between a record and the sums that it goes into, and no division is of
//! 128 bits. What does not fit goes the general way of [`crate::sums`] and [`crate::spread`].

use model::Record;
use model::time::slot_start_us;

use crate::scale::Scale;
use crate::sums::{FRAME_BYTES, TAGGED_FRAME_BYTES};

/// Bytes are fewer than this,
const SMALL: u64 = 1 << 31;
/// packets, too, so that bytes with their frames are fewer than 2³²,
const FEW: u64 = 1 << 26;
/// and durations shorter than this, so that a product of both fits.
const SHORT_US: u64 = 1 << 32;

/// Bytes, packets and what the variance needs; [`crate::sums::Sums`] says what each is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Small {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    pub(crate) squares: u64,
    pub(crate) spread_squares: u64,
}

/// What a small record counts on both layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SmallLayers {
    pub(crate) link: Small,
    pub(crate) ip: Small,
}

impl SmallLayers {
    /// The layers of a record of packets; `None` where it is not small.
    #[inline]
    pub(crate) fn of(record: &Record, scale: Scale, duration_us: u64) -> Option<SmallLayers> {
        let (bytes, packets, frame_bytes) = (record.bytes, record.packets, record.frame_bytes);
        if bytes >= SMALL || packets.wrapping_sub(1) >= FEW - 1 || frame_bytes >= SMALL || duration_us >= SHORT_US {
            return None;
        }
        let frame = if record.vlan == 0 { FRAME_BYTES } else { TAGGED_FRAME_BYTES };
        let link_bytes = if frame_bytes == 0 { bytes + packets * frame } else { frame_bytes };
        let mut layers = SmallLayers {
            link: Small { bytes: link_bytes, packets, ..Small::default() },
            ip: Small { bytes, packets, ..Small::default() },
        };
        if scale.is_sampled() {
            if scale.is_flow_sampled {
                return None;
            }
            layers.add_squares(frame, frame_bytes, record.is_packet_sample);
        }
        Some(layers)
    }

    #[inline]
    fn add_squares(&mut self, frame: u64, frame_bytes: u64, is_packet_sample: bool) {
        let (bytes, packets) = (self.ip.bytes, self.ip.packets);
        let squares = bytes * bytes / packets;
        self.ip.squares = squares;
        // (b + p f)² / p = b² / p + 2 f b + f² p, of which only the first is no whole number.
        self.link.squares = match frame_bytes {
            0 => squares + 2 * frame * bytes + frame * frame * packets,
            given => given * given / packets,
        };
        if packets > 1 && !is_packet_sample {
            // See the general way.
            self.ip.spread_squares = squares - squares / packets;
            self.link.spread_squares = self.ip.spread_squares;
        }
    }
}

impl Small {
    /// What falls into the first part of a time. Squares are no counts: they are split as nearly as it gets.
    #[inline]
    fn first(&self, elapsed_us: u64, length_us: u64) -> Small {
        // All are below 2⁶³; processors turn signed numbers into floats, unsigned ones only by detours.
        let float = |number: u64| number as i64 as f64;
        let share = float(elapsed_us) / float(length_us);
        let of = |squares: u64| ((float(squares) * share) as i64 as u64).min(squares);
        Small {
            bytes: self.bytes * elapsed_us / length_us,
            packets: self.packets * elapsed_us / length_us,
            squares: of(self.squares),
            spread_squares: of(self.spread_squares),
        }
    }

    #[inline]
    fn less(&self, given: &Small) -> Small {
        Small {
            bytes: self.bytes - given.bytes,
            packets: self.packets - given.packets,
            squares: self.squares - given.squares,
            spread_squares: self.spread_squares - given.spread_squares,
        }
    }

    /// Calls `add` with each slot's part in order, all but the last, and gives that: the slot of the
    /// record's last packet, where the record itself counts. `start_us` is not after `end_us`, and `last` is
    /// the start of the slot of `end_us`.
    #[inline]
    pub(crate) fn spread<const WIDTH_US: i64>(
        &self,
        (start_us, end_us): (i64, i64),
        last: i64,
        mut add: impl FnMut(i64, &Small),
    ) -> Small {
        if start_us >= last {
            return *self;
        }
        let before = last - WIDTH_US;
        if start_us >= before {
            let part = self.first(last.abs_diff(start_us), end_us.abs_diff(start_us));
            add(before, &part);
            return self.less(&part);
        }
        self.spread_far::<WIDTH_US>((start_us, end_us), last, &mut add)
    }

    /// The same over more than two slots.
    #[inline(never)]
    fn spread_far<const WIDTH_US: i64>(
        &self,
        (start_us, end_us): (i64, i64),
        last: i64,
        add: &mut dyn FnMut(i64, &Small),
    ) -> Small {
        let mut given = Small::default();
        let mut slot = slot_start_us(start_us, WIDTH_US);
        while slot < last {
            let next = slot + WIDTH_US;
            let upto = self.first(next.abs_diff(start_us), end_us.abs_diff(start_us));
            add(slot, &upto.less(&given));
            (given, slot) = (upto, next);
        }
        self.less(&given)
    }
}

/// The slot that a time fell into last: most of the times that come next do, too.
#[derive(Default)]
pub(crate) struct LastSlot<const WIDTH_US: i64> {
    start_us: i64,
}

impl<const WIDTH_US: i64> LastSlot<WIDTH_US> {
    /// The start of the slot of a time.
    #[inline]
    pub(crate) fn start_us(&mut self, at_us: i64) -> i64 {
        if at_us.wrapping_sub(self.start_us) as u64 >= WIDTH_US.unsigned_abs() {
            self.start_us = slot_start_us(at_us, WIDTH_US);
        }
        self.start_us
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spread::{Parts, spread};
    use crate::sums::{Layers, Sums};

    const SCALES: [Scale; 3] = [
        Scale { population: 1, sample: 1, is_flow_sampled: false },
        Scale { population: 1_000, sample: 1, is_flow_sampled: false },
        Scale::UNKNOWN,
    ];

    #[test]
    fn what_does_not_fit_is_left_to_the_general_way() {
        let check = |bytes, packets, frame_bytes, duration_us, expected: bool| {
            let record = Record { bytes, packets, frame_bytes, ..Record::default() };
            assert_eq!(SmallLayers::of(&record, SCALES[1], duration_us).is_some(), expected, "{record:?}");
        };
        check(1_000, 1, 0, 0, true);
        check(SMALL - 1, 1, 0, SHORT_US - 1, true);
        check(SMALL, 1, 0, 0, false);
        check(1_000, 0, 0, 0, false);
        check(1_000, FEW, 0, 0, false);
        check(1_000, 1, SMALL, 0, false);
        check(1_000, 1, 0, SHORT_US, false);
        let flow_sampled = Scale { is_flow_sampled: true, ..SCALES[1] };
        assert_eq!(SmallLayers::of(&Record { bytes: 1, packets: 1, ..Record::default() }, flow_sampled, 0), None);
    }

    proptest! {
        #[test]
        fn it_says_what_the_general_way_says(
            bytes in 0..SMALL, packets in 1..FEW, frame_bytes in prop::sample::select(vec![0, 0, 64, SMALL - 1]),
            vlan in 0_u16..2, is_packet_sample in any::<bool>(), scale in prop::sample::select(SCALES.to_vec()),
            start_us in -1_000_000_000_i64..1_000_000_000, length_us in 0_i64..1 << 32,
        ) {
            let record = Record { bytes, packets, frame_bytes, vlan, is_packet_sample, ..Record::default() };
            let expected = Layers::of(&record, scale);
            let Some(layers) = SmallLayers::of(&record, scale, length_us.unsigned_abs()) else { return Ok(()) };
            prop_assert_eq!((Sums::from(&layers.ip), Sums::from(&layers.link)), (expected.ip, expected.link));
            let (mut parts, mut small) = (Parts::new(), Vec::new());
            spread::<10_000_000>(&expected.link, start_us, start_us + length_us, &mut parts);
            let last_us = LastSlot::<10_000_000>::default().start_us(start_us + length_us);
            let last =
                layers.link.spread::<10_000_000>((start_us, start_us + length_us), last_us, |slot, part| small.push((slot, *part)));
            small.push((last_us, last));
            prop_assert_eq!(parts.len(), small.len());
            for ((slot, part), (at, small)) in parts.iter().zip(&small) {
                prop_assert_eq!((slot, part.bytes, part.packets), (at, small.bytes, small.packets));
                let near = |exact: u128, small: u64, of: u128| (exact as f64 - small as f64).abs() <= 2.0 + of as f64 * 1e-15;
                prop_assert!(near(part.squares, small.squares, expected.link.squares));
                prop_assert!(near(part.spread_squares, small.spread_squares, expected.link.spread_squares));
            }
            prop_assert_eq!(small.iter().map(|(_, part)| part.squares).sum::<u64>(), layers.link.squares);
        }
    }
}
