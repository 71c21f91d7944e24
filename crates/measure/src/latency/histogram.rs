//! Histograms as HdrHistogram has them, to three significant digits, kept sparse.

use serde::{Deserialize, Serialize};

/// Values below are buckets of their own; above, a bucket is at most a 1024th of its value wide.
const EXACT_BITS: u32 = 11;

/// Counts of microseconds by bucket: only buckets that have any.
///
/// Histograms add up exactly; percentiles come from a sum, never from other percentiles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Largest value of a bucket and its count, ascending.
    buckets: Vec<(u32, u64)>,
    count: u64,
}

/// The largest value of the bucket of a value.
fn bucket_of(value_us: u64) -> u32 {
    let value = u32::try_from(value_us).unwrap_or(u32::MAX);
    value | ((1 << shift_of(value)) - 1)
}

/// Bits of a value that its bucket does not tell.
pub(super) fn shift_of(value: u32) -> u32 {
    (u32::BITS - value.leading_zeros()).saturating_sub(EXACT_BITS)
}

impl Histogram {
    /// Counts a value so many times; gives whether it opened a bucket.
    pub fn record(&mut self, value_us: u64, count: u64) -> bool {
        let bucket = bucket_of(value_us);
        self.count = self.count.saturating_add(count);
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(place) => {
                self.buckets[place].1 = self.buckets[place].1.saturating_add(count);
                false
            }
            Err(place) => {
                self.buckets.insert(place, (bucket, count));
                true
            }
        }
    }

    /// Whether the bucket of a value is open.
    pub(crate) fn has_bucket_of(&self, value_us: u64) -> bool {
        self.buckets.binary_search_by_key(&bucket_of(value_us), |(bucket, _)| *bucket).is_ok()
    }

    /// Adds another.
    pub fn add(&mut self, other: &Histogram) {
        for (bucket, count) in &other.buckets {
            self.record(u64::from(*bucket), *count);
        }
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many buckets there are.
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Largest value and count of each bucket, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.buckets.iter().map(|(bucket, count)| (i64::from(*bucket), i64::try_from(*count).unwrap_or(i64::MAX)))
    }

    /// The nearest rank: the bucket by whose end at least this share of the values has come; `None` without values.
    pub fn quantile_us(&self, share: f64) -> Option<i64> {
        let rank = ((share * self.count as f64).ceil() as u64).max(1);
        let mut passed = 0_u64;
        let found = self.buckets.iter().find(|(_, count)| {
            passed = passed.saturating_add(*count);
            passed >= rank
        });
        found.map(|(bucket, _)| i64::from(*bucket))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buckets_and_percentiles_are_hdrhistograms(values in proptest::collection::vec(0_u64..100_000_000, 1..200)) {
            let mut ours = Histogram::default();
            let mut theirs = hdrhistogram::Histogram::<u64>::new_with_max(1 << 32, 3).unwrap();
            for value in &values {
                ours.record(*value, 1);
                theirs.record(*value).unwrap();
                prop_assert_eq!(u64::from(bucket_of(*value)), theirs.highest_equivalent(*value));
            }
            for share in [0.001, 0.5, 0.9, 0.95, 0.99, 1.0] {
                prop_assert_eq!(ours.quantile_us(share).unwrap() as u64, theirs.value_at_quantile(share));
            }
        }

        #[test]
        fn sums_do_not_depend_on_how_values_were_split(values in proptest::collection::vec(0_u64..1 << 40, 0..100), at in 0_usize..100) {
            let all = |values: &[u64]| {
                let mut histogram = Histogram::default();
                values.iter().for_each(|value| { histogram.record(*value, 1); });
                histogram
            };
            let (first, second) = values.split_at(at.min(values.len()));
            let mut sum = all(second);
            sum.add(&all(first));
            prop_assert_eq!(sum, all(&values));
        }
    }

    #[test]
    fn no_values_have_no_percentile() {
        assert_eq!(Histogram::default().quantile_us(0.5), None);
    }
}
