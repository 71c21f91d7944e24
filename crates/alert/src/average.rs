//! Averages of loads: as long as their error asks for, and no longer.

use model::time::{BIN_US, SECOND_US};

use crate::observed::{Bin, Load};

/// How far behind its exporters' hold time the newest load may be, until it says nothing of now any more.
const STALE_US: i64 = 180 * SECOND_US;

/// A mean over some bins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Average {
    /// bit/s on the wire.
    pub(crate) bps: f64,
    /// Standard error of it by sampling.
    pub(crate) error_bps: f64,
    /// Its last bin ends here.
    pub(crate) end_us: i64,
    /// Bins that it is over.
    pub(crate) bins: usize,
}

/// How many bins can be judged, from the first one on; `None` where the newest of them is too old.
pub(crate) fn judged(load: &Load, now_us: i64) -> Option<usize> {
    let last = load.bins.iter().rposition(|bin| bin.load().is_some())?;
    let age_us = now_us - load.bins[last].end_us();
    (age_us <= load.timeout_us + STALE_US).then_some(last + 1)
}

/// The mean over the last bins that are known without a gap: as few as its error allows, `most` at most.
pub(crate) fn shortest(bins: &[Bin], most: usize, is_enough: impl Fn(f64) -> bool) -> Option<Average> {
    let (mut sum, mut variance, mut found) = (0.0, 0.0, None);
    for (index, bin) in bins.iter().rev().take(most).enumerate() {
        let Some((bps, of_bin)) = bin.load() else { break };
        sum += bps;
        variance += of_bin;
        let count = (index + 1) as f64;
        let average = Average {
            bps: sum / count,
            error_bps: f64::sqrt(variance) / count,
            end_us: bins[bins.len() - 1].end_us(),
            bins: index + 1,
        };
        found = Some(average);
        if is_enough(average.error_bps) {
            break;
        }
    }
    found
}

/// The mean over exactly so many bins; `None` unless all are known.
pub(crate) fn over(bins: &[Bin], count: usize) -> Option<Average> {
    shortest(bins, count, |_| false).filter(|average| average.bins == count)
}

/// Bins in so many seconds, one at least.
pub(crate) fn bins_in(seconds: i64) -> usize {
    (seconds * SECOND_US / BIN_US).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(index: i64, bps: f64, error: f64) -> Bin {
        Bin { start_us: index * BIN_US, wire_bps: Some(bps), standard_error_bps: Some(error), is_mature: true, ..Bin::default() }
    }

    #[test]
    fn an_average_is_as_long_as_its_error_asks_for() {
        let bins: Vec<Bin> = (0..30).map(|index| bin(index, 100.0 + index as f64, 8.0)).collect();
        let average = |most, error: f64| shortest(&bins, most, |found| found <= error).unwrap();
        assert_eq!(average(30, 8.0), Average { bps: 129.0, error_bps: 8.0, end_us: 30 * BIN_US, bins: 1 });
        assert_eq!((average(30, 4.0).bins, average(30, 4.0).bps), (4, 127.5));
        assert_eq!(average(9, 1.0).bins, 9);
        assert_eq!(over(&bins, 30).unwrap().bins, 30);
        assert_eq!(over(&bins, 31), None);
    }

    #[test]
    fn counters_are_taken_at_once_and_a_gap_ends_an_average() {
        let mut bins: Vec<Bin> = (0..6).map(|index| bin(index, 100.0, 8.0)).collect();
        bins[5].is_mature = false;
        bins[1].wire_bps = None;
        let load = |bins: &[Bin], timeout_us| Load { bins: bins.to_vec(), timeout_us, ..Load::default() };
        assert_eq!(judged(&load(&bins, 0), 6 * BIN_US), Some(5));
        assert_eq!(shortest(&bins[..5], 30, |_| false).unwrap().bins, 3);
        bins[5].counter_wire_bps = Some(90.0);
        assert_eq!(judged(&load(&bins, 0), 6 * BIN_US), Some(6));
        assert_eq!(shortest(&bins, 1, |_| false).unwrap().bps, 90.0);
        // What is known is long past.
        assert_eq!(judged(&load(&bins, 0), 6 * BIN_US + STALE_US + 1), None);
        assert_eq!(judged(&load(&bins, 60 * SECOND_US), 6 * BIN_US + STALE_US + 1), Some(6));
    }
}
