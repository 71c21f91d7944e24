//! A histogram in HdrHistogram's format V2, which its libraries read in every language.
//!
//! Big-endian: cookie, length of what follows the header, an offset that is 0, significant digits, least and largest
//! value, a factor that is 1; then the counts by index, zigzag in LEB128; a negative one is so many zeros.

use super::histogram::{Histogram, shift_of};

/// Format V2, whose numbers take 1 to 9 bytes.
const COOKIE: u32 = 0x1c84_9303 | 0x10;
const DIGITS: u32 = 3;
/// Values of one half of a power of two, each with an index of its own.
const HALF: u64 = 1_024;

/// The bytes of a histogram; `None` where it is empty.
pub(crate) fn encode(histogram: &Histogram) -> Option<Vec<u8>> {
    let (most_us, _) = histogram.buckets().last()?;
    let mut counts = Vec::new();
    let mut next = 0;
    for (bucket_us, count) in histogram.buckets() {
        let index = index_of(bucket_us as u64);
        match index - next {
            0 => {}
            // A single zero is a count.
            1 => number(0, &mut counts),
            zeros => number(-(zeros as i64), &mut counts),
        }
        number(count, &mut counts);
        next = index + 1;
    }
    let mut bytes = Vec::with_capacity(40 + counts.len());
    for word in [COOKIE, counts.len() as u32, 0, DIGITS] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(1_u64.to_be_bytes());
    bytes.extend((most_us as u64).max(2).to_be_bytes());
    bytes.extend(1_f64.to_be_bytes());
    bytes.extend(counts);
    Some(bytes)
}

/// The place of a value's count.
fn index_of(value_us: u64) -> u64 {
    let shift = shift_of(value_us as u32);
    u64::from(shift) * HALF + (value_us >> shift)
}

/// Appends a number: zigzag, seven bits a byte, the ninth byte whole.
fn number(value: i64, bytes: &mut Vec<u8>) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    for _ in 0..8 {
        if rest < 0x80 {
            break;
        }
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected bytes are those of the serializer of hdrhistogram 7.6.
    #[test]
    fn bytes_are_those_of_hdrhistograms_serializer() {
        let check = |values: &[(u64, u64)], most_us: u64, expected: &[u8]| {
            let mut histogram = Histogram::default();
            values.iter().for_each(|(value, count)| {
                histogram.record(*value, *count);
            });
            let bytes = encode(&histogram).unwrap();
            assert_eq!(bytes[..4], [28, 132, 147, 19]);
            assert_eq!(bytes[4..8], (expected.len() as u32).to_be_bytes());
            assert_eq!(bytes[8..24], [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1]);
            assert_eq!(bytes[24..32], most_us.to_be_bytes());
            assert_eq!(bytes[32..40], [63, 240, 0, 0, 0, 0, 0, 0]);
            assert_eq!(&bytes[40..], expected);
        };
        check(&[(0, 1)], 2, &[2]);
        let values = [(1, 2), (3, 300), (2_047, 1), (2_048, 7), (12_345, 1), (60_000_000, 1)];
        // Its bucket's largest value, which reads into the same bucket.
        check(&values, 60_030_975, &[0, 4, 0, 216, 4, 245, 31, 2, 14, 139, 40, 2, 189, 196, 1, 2]);
        check(&[(0, u64::MAX >> 1)], 2, &[254, 255, 255, 255, 255, 255, 255, 255, 255]);
    }
}
