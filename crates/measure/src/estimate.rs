//! Integers to estimates: scaled once per rate, with the error that sampling makes.

use std::collections::BTreeMap;

use crate::scale::Scale;
use crate::sums::{FRAME_BYTES, Moments, Sums};
use crate::window::{BINS, WindowSums};

/// Lone packets from which the relative variance of packet sizes is learned.
const LONE_PACKETS_LEAST: u64 = 100;
/// Records from which it is learned where lone packets are too few.
const RECORDS_LEAST: u64 = 30;
/// The relative variance where there is nothing to learn from: packets of 60 and 1500 bytes in a mix.
const RELATIVE_VARIANCE_ASSUMED: f64 = 0.5;
/// Bound of what is learned; packet sizes from 40 to 1500 bytes stay far below.
const RELATIVE_VARIANCE_MAX: f64 = 100.0;
/// Above this share of bytes of unknown rate there is no mean: 1 in 100.
const UNKNOWN_SHARE: u128 = 100;

/// The relative variance c² of packet sizes, IP layer.
///
/// Learned for a link, direction and view within a detail window: from the records of one packet, whose
/// sizes are known. It holds the differences between flows, too, so it is rather too large. Where lone
/// packets are too few, from how far records' mean sizes scatter, weighted by their packets; else assumed.
pub(crate) fn relative_variance(moments: &Moments, link_layer: &Sums) -> f64 {
    let learned = if moments.count >= LONE_PACKETS_LEAST {
        let (count, bytes) = (moments.count as f64, moments.bytes as f64);
        let mean = bytes / count;
        (moments.squares as f64 - bytes * mean) / (count - 1.0) / (mean * mean)
    } else if link_layer.records >= RECORDS_LEAST && link_layer.packets > 0 {
        let (bytes, packets) = (link_layer.bytes as f64, link_layer.packets as f64);
        let variance = (link_layer.squares as f64 - bytes * bytes / packets) / (link_layer.records as f64 - 1.0);
        let mean = bytes / packets - FRAME_BYTES as f64;
        variance / (mean * mean)
    } else {
        RELATIVE_VARIANCE_ASSUMED
    };
    if learned.is_finite() { learned.clamp(0.0, RELATIVE_VARIANCE_MAX) } else { RELATIVE_VARIANCE_ASSUMED }
}

/// What some integers, kept apart by rate, add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) bytes_exported: u64,
    pub(crate) packets_exported: u64,
    pub(crate) records: u64,
    /// Sampled packets behind the estimate; sampled flows where flows were sampled.
    pub(crate) samples: u64,
    /// Exported bytes of unknown rate; not in the estimate.
    pub(crate) bytes_unknown_rate: u64,
    pub(crate) bytes: f64,
    pub(crate) packets: f64,
    /// Variance of `bytes` by sampling.
    pub(crate) variance: f64,
}

impl Estimate {
    /// Adds up in the order of the scales, so that rounding does not depend on the order of the input.
    pub(crate) fn of(by_scale: &BTreeMap<Scale, Sums>, relative_variance: f64) -> Estimate {
        let mut estimate = Estimate::default();
        for (scale, sums) in by_scale {
            estimate.add(*scale, sums, relative_variance);
        }
        estimate
    }

    pub(crate) fn add(&mut self, scale: Scale, sums: &Sums, relative_variance: f64) {
        self.bytes_exported = self.bytes_exported.saturating_add(sums.bytes);
        self.packets_exported = self.packets_exported.saturating_add(sums.packets);
        self.records = self.records.saturating_add(sums.records);
        if !scale.is_known() {
            self.bytes_unknown_rate = self.bytes_unknown_rate.saturating_add(sums.bytes);
            return;
        }
        self.samples = self.samples.saturating_add(if scale.is_flow_sampled { sums.records } else { sums.packets });
        self.bytes += scale.estimate(sums.bytes);
        self.packets += scale.estimate(sums.packets);
        let squares = sums.squares as f64 + relative_variance * sums.spread_squares as f64;
        self.variance += scale.variance_factor() * squares;
    }

    pub(crate) fn standard_error(&self) -> f64 {
        self.variance.sqrt()
    }

    /// Whether so much has a known rate that the estimate stands for the whole.
    pub(crate) fn is_known(&self) -> bool {
        u128::from(self.bytes_unknown_rate) * UNKNOWN_SHARE <= u128::from(self.bytes_exported)
    }

    /// A number of the estimate, or nothing where it does not stand for the whole.
    pub(crate) fn known(&self, value: f64) -> Option<f64> {
        self.is_known().then_some(value)
    }
}

/// The load of a link or port in a window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) estimate: Estimate,
    /// Estimated bytes of the fullest bin.
    pub(crate) peak_bytes: f64,
}

impl Load {
    pub(crate) fn of(by_scale: &BTreeMap<Scale, WindowSums>, relative_variance: f64) -> Load {
        let mut load = Load::default();
        let mut bins = [0.0; BINS];
        for (scale, window) in by_scale {
            load.estimate.add(*scale, &window.sums, relative_variance);
            for (bin, bytes) in bins.iter_mut().zip(window.bins) {
                *bin += scale.estimate(bytes);
            }
        }
        load.peak_bytes = bins.into_iter().fold(0.0, f64::max);
        load
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(population: u32) -> Scale {
        Scale { population, sample: 1, is_flow_sampled: false }
    }

    fn sums(bytes: u64, squares: u128) -> Sums {
        Sums { bytes, packets: bytes / 100, records: 1, squares, spread_squares: 0 }
    }

    #[test]
    fn rates_add_up_and_the_unknown_stays_apart() {
        let by_scale =
            BTreeMap::from([(Scale::UNKNOWN, sums(500, 0)), (scale(1), sums(1_000, 0)), (scale(10), sums(2_000, 40_000))]);
        let estimate = Estimate::of(&by_scale, 0.0);
        assert_eq!((estimate.bytes_exported, estimate.bytes_unknown_rate), (3_500, 500));
        assert_eq!((estimate.bytes, estimate.packets, estimate.samples), (21_000.0, 210.0, 30));
        assert_eq!(estimate.variance, 90.0 * 40_000.0);
        assert!(!estimate.is_known());
    }

    #[test]
    fn one_per_cent_of_unknown_rate_is_borne() {
        let check = |unknown: u64, known: u64, expected: bool| {
            let by_scale = BTreeMap::from([(Scale::UNKNOWN, sums(unknown, 0)), (scale(10), sums(known, 0))]);
            assert_eq!(Estimate::of(&by_scale, 0.0).is_known(), expected, "{unknown} of {}", unknown + known);
        };
        check(0, 0, true);
        check(1, 99, true);
        check(1, 98, false);
        check(1, 0, false);
        check(u64::MAX / 2, u64::MAX / 2, false);
    }

    #[test]
    fn the_variance_of_sizes_is_learned_from_lone_packets_first() {
        let lone = |count: u64| Moments { count, bytes: count * 500, squares: u128::from(count) * 500 * 750 };
        let pooled =
            Sums { bytes: 100 * 518, packets: 100, records: 51, squares: 100 * 518 * 518 + 50 * 125_000, spread_squares: 0 };
        let check = |moments: Moments, sums: Sums, expected: f64| {
            let learned = relative_variance(&moments, &sums);
            assert!((learned - expected).abs() < 0.01, "{learned} is not {expected}");
        };
        check(lone(1_000), Sums::default(), 0.5);
        check(lone(10), pooled, 0.5);
        check(lone(10), Sums::default(), RELATIVE_VARIANCE_ASSUMED);
        check(Moments { count: 100, bytes: 0, squares: 0 }, Sums::default(), RELATIVE_VARIANCE_ASSUMED);
    }
}
