//! Sums by cell as a journal keeps them: many, and written at every report.
//!
//! Each number takes the bytes that it needs, and how many those are stands before them in four bits each:
//! neither writing nor reading has a branch by the size of a number.

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

use crate::sums::Sums;

/// Numbers of a cell: its own as the distance from the one before, and its sums.
const NUMBERS: usize = 8;
/// Bytes of a word.
const WORD: usize = 8;

/// For serde: writes sums by cell.
pub(crate) fn serialize<S: Serializer>(sums: &[(u32, Sums)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(&pack(sums))
}

/// For serde: reads sums by cell.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u32, Sums)>, D::Error> {
    struct Packed;
    impl Visitor<'_> for Packed {
        type Value = Vec<(u32, Sums)>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("packed sums")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            unpack(bytes).ok_or_else(|| E::custom("packed sums are cut off"))
        }
    }
    deserializer.deserialize_bytes(Packed)
}

fn pack(sums: &[(u32, Sums)]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(sums.len() * 24);
    let mut before = 0_u32;
    for (number, sums) in sums {
        let numbers: [u64; NUMBERS] = [
            number.wrapping_sub(before).into(),
            sums.records,
            sums.bytes,
            sums.packets,
            sums.squares as u64,
            (sums.squares >> 64) as u64,
            sums.spread_squares as u64,
            (sums.spread_squares >> 64) as u64,
        ];
        before = *number;
        let (mut buffer, mut widths, mut at) = ([0; 4 + NUMBERS * WORD], 0_u32, 4);
        for (place, number) in numbers.into_iter().enumerate() {
            let width = WORD - number.leading_zeros() as usize / 8;
            buffer[at..at + WORD].copy_from_slice(&number.to_le_bytes());
            widths |= (width as u32) << (4 * place);
            at += width;
        }
        buffer[..4].copy_from_slice(&widths.to_le_bytes());
        packed.extend_from_slice(&buffer[..at]);
    }
    packed
}

fn unpack(mut packed: &[u8]) -> Option<Vec<(u32, Sums)>> {
    let mut sums = Vec::new();
    let mut before = 0_u32;
    while let Some((widths, mut rest)) = packed.split_first_chunk() {
        let widths = u32::from_le_bytes(*widths);
        let mut numbers = [0_u64; NUMBERS];
        for (place, number) in numbers.iter_mut().enumerate() {
            let (bytes, behind) = rest.split_at_checked((widths >> (4 * place) & 0xf) as usize)?;
            let mut word = [0; WORD];
            word.get_mut(..bytes.len())?.copy_from_slice(bytes);
            (*number, rest) = (u64::from_le_bytes(word), behind);
        }
        let [distance, records, bytes, packets, squares, squares_high, spread_squares, spread_squares_high] = numbers;
        let both = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let (squares, spread_squares) = (both(squares_high, squares), both(spread_squares_high, spread_squares));
        before = before.wrapping_add(u32::try_from(distance).ok()?);
        sums.push((before, Sums { bytes, packets, records, squares, spread_squares }));
        packed = rest;
    }
    packed.is_empty().then_some(sums)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_sums() -> impl Strategy<Value = Sums> {
        let number = || (any::<u64>(), 0_u32..64).prop_map(|(number, less)| number >> less);
        (number(), number(), number(), any::<u128>(), 0_u32..128).prop_map(|(bytes, packets, records, squares, less)| Sums {
            bytes,
            packets,
            records,
            squares: squares >> less,
            spread_squares: squares >> less >> 1,
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(sums in prop::collection::vec((any::<u32>(), any_sums()), 0..20), cut in any::<prop::sample::Index>()) {
            let packed = pack(&sums);
            let unpacked = unpack(&packed);
            prop_assert_eq!(unpacked.as_ref(), Some(&sums));
            let whole = unpack(&packed[..cut.index(packed.len() + 1)]);
            prop_assert!(whole.is_none_or(|some| sums.starts_with(&some)));
        }

        #[test]
        fn any_bytes_may_come(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes);
        }
    }
}
