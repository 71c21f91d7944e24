//! A record's bytes, packets and squares over the slots that it touches.
//!
//! The rule is that of [`model::time::spread`]: the part of a slot is the difference of the cumulative
//! floors at its ends. Here the floors are carried from slot to slot by quotient and remainder, so a
//! record costs a few divisions however many slots it touches.

use model::time::slot_start_us;

use crate::sums::{Sums, divide};

/// Parts of a record by slot, in order; the last is the slot of the record's last packet.
pub(crate) type Parts = Vec<(i64, Sums)>;

/// Fills `parts` with the parts of `total` in slots of a width; the record itself counts in the last.
#[inline]
pub(crate) fn spread<const WIDTH_US: i64>(total: &Sums, start_us: i64, end_us: i64, parts: &mut Parts) {
    parts.clear();
    let last = slot_start_us(end_us, WIDTH_US);
    if start_us >= end_us || start_us >= last {
        parts.push((last, Sums { records: 1, ..*total }));
        return;
    }
    let first = slot_start_us(start_us, WIDTH_US);
    if first + WIDTH_US == last {
        let part = first_part(total, last.abs_diff(start_us), end_us.abs_diff(start_us));
        parts.push((first, part));
        parts.push((last, Sums { records: 1, ..total.less(&part) }));
        return;
    }
    spread_far::<WIDTH_US>(total, start_us, end_us, parts);
}

/// The part of the first `first_us` of `length_us`.
fn first_part(total: &Sums, first_us: u64, length_us: u64) -> Sums {
    let part = |total: u128| divide(total * u128::from(first_us), length_us);
    Sums {
        bytes: part(total.bytes.into()) as u64,
        packets: part(total.packets.into()) as u64,
        records: 0,
        squares: part(total.squares),
        spread_squares: part(total.spread_squares),
    }
}

/// Over more than two slots.
fn spread_far<const WIDTH_US: i64>(total: &Sums, start_us: i64, end_us: i64, parts: &mut Parts) {
    let last = slot_start_us(end_us, WIDTH_US);
    let length_us = end_us.abs_diff(start_us);
    let mut slot = slot_start_us(start_us, WIDTH_US);
    let first_us = (slot + WIDTH_US).abs_diff(start_us);
    let ramp = |total: u128| Ramp::new(total, first_us, WIDTH_US.unsigned_abs(), length_us);
    let mut bytes = ramp(u128::from(total.bytes));
    let mut packets = ramp(u128::from(total.packets));
    let mut squares = ramp(total.squares);
    let mut spread_squares = ramp(total.spread_squares);
    let mut given = Sums::default();
    while slot + WIDTH_US < end_us {
        let part = Sums {
            bytes: bytes.next() as u64,
            packets: packets.next() as u64,
            records: 0,
            squares: squares.next(),
            spread_squares: spread_squares.next(),
        };
        given.add(&part);
        parts.push((slot, part));
        slot += WIDTH_US;
    }
    parts.push((slot, Sums { records: u64::from(slot == last), ..total.less(&given) }));
    if slot != last {
        // The last packet stands at the very start of the next slot.
        parts.push((last, Sums { records: 1, ..Sums::default() }));
    }
}

/// The cumulative floors of one total at the ends of successive slots.
struct Ramp {
    /// The floor at the end of the slot before.
    given: u128,
    /// The floor at the end of this slot, and what it leaves.
    upto: u128,
    remainder: u128,
    /// What one slot adds to both.
    step: u128,
    step_remainder: u128,
    length: u128,
}

impl Ramp {
    fn new(total: u128, first_us: u64, width_us: u64, length_us: u64) -> Ramp {
        let length = u128::from(length_us);
        let (first, step) = (total * u128::from(first_us), total * u128::from(width_us));
        let (upto, each) = (divide(first, length_us), divide(step, length_us));
        Ramp { given: 0, upto, remainder: first - upto * length, step: each, step_remainder: step - each * length, length }
    }

    /// The part of the next slot.
    fn next(&mut self) -> u128 {
        let part = self.upto - self.given;
        self.given = self.upto;
        self.upto += self.step;
        self.remainder += self.step_remainder;
        if self.remainder >= self.length {
            self.remainder -= self.length;
            self.upto += 1;
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_counts_in_the_slot_of_its_last_packet() {
        let check = |start: i64, end: i64, expected: &[(i64, u64, u64)]| {
            let mut parts = Parts::new();
            spread::<10>(&Sums { bytes: 100, ..Sums::default() }, start, end, &mut parts);
            let parts: Vec<_> = parts.iter().map(|(slot, part)| (*slot, part.bytes, part.records)).collect();
            assert_eq!(parts, expected, "{start}..{end}");
        };
        check(3, 3, &[(0, 100, 1)]);
        check(3, 9, &[(0, 100, 1)]);
        check(5, 25, &[(0, 25, 0), (10, 50, 0), (20, 25, 1)]);
        check(5, 10, &[(0, 100, 0), (10, 0, 1)]);
        check(10, 10, &[(10, 100, 1)]);
        check(9, 3, &[(0, 100, 1)]);
        check(-5, 5, &[(-10, 50, 0), (0, 50, 1)]);
    }

    proptest! {
        #[test]
        fn the_parts_are_those_of_the_model(
            bytes in any::<u64>(),
            squares in 0_u128..1 << 88,
            start in -1_000_000_000_i64..1_000_000_000,
            length in 0_i64..7_200_000_000,
            width in prop::sample::select(vec![10_000_000_i64, 60_000_000, 300_000_000]),
        ) {
            let end = start + length;
            let total = Sums { bytes, packets: bytes >> 7, squares, spread_squares: squares / 3, records: 0 };
            let mut parts = Parts::new();
            match width {
                10_000_000 => spread::<10_000_000>(&total, start, end, &mut parts),
                60_000_000 => spread::<60_000_000>(&total, start, end, &mut parts),
                _ => spread::<300_000_000>(&total, start, end, &mut parts),
            }
            let mut expected = Vec::new();
            model::time::spread(bytes, start, end, width, |slot, part| expected.push((slot, part)));
            let bytes: Vec<_> = parts.iter().filter(|(_, part)| part.records == 0 || part.bytes > 0).map(|(slot, part)| (*slot, part.bytes)).collect();
            let expected: Vec<_> = expected.into_iter().filter(|(slot, part)| *part > 0 || parts.iter().any(|(at, part)| at == slot && part.records == 0)).collect();
            prop_assert_eq!(bytes, expected);
            let mut sum = Sums::default();
            parts.iter().for_each(|(_, part)| sum.add(part));
            prop_assert_eq!(sum, Sums { records: 1, ..total });
            prop_assert_eq!(parts.last().unwrap().0, slot_start_us(end, width));
        }
    }
}
