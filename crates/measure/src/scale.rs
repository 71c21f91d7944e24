//! The sampling rate of what is added up: integers are kept apart by it and scaled once.

use model::Record;
use serde::{Deserialize, Serialize};

/// How records were sampled; what has the same scale is added up before it is scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Scale {
    /// Packets (or flows) from which the sample was taken; 0 where the rate is unknown.
    pub(crate) population: u32,
    /// Packets (or flows) taken; 0 where the rate is unknown.
    pub(crate) sample: u32,
    /// Whole flows were sampled, not packets.
    pub(crate) is_flow_sampled: bool,
}

impl Scale {
    /// Nobody said how it was sampled.
    pub(crate) const UNKNOWN: Scale = Scale { population: 0, sample: 0, is_flow_sampled: false };

    pub(crate) fn of(record: &Record) -> Scale {
        let sampling = record.sampling;
        if !sampling.is_known() {
            return Scale::UNKNOWN;
        }
        Scale { population: sampling.population, sample: sampling.sample, is_flow_sampled: sampling.is_of_flows }
    }

    pub(crate) fn is_known(self) -> bool {
        self.population > 0
    }

    /// Whether something was left out: only then is there a sampling error.
    pub(crate) fn is_sampled(self) -> bool {
        self.population > self.sample
    }

    /// An exported count, scaled: one multiplication in integers, one division.
    pub(crate) fn estimate(self, exported: u64) -> f64 {
        if !self.is_known() {
            return 0.0;
        }
        (u128::from(exported) * u128::from(self.population)) as f64 / f64::from(self.sample)
    }

    /// N (N − 1), what the sum of squares is multiplied with (design: 1-in-N sampling), N = population / sample.
    pub(crate) fn variance_factor(self) -> f64 {
        if !self.is_sampled() {
            return 0.0;
        }
        let (population, sample) = (f64::from(self.population), f64::from(self.sample));
        if sample == 0.0 { 0.0 } else { population * (population - sample) / (sample * sample) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_rationals() {
        // (population, sample, exported, estimate, factor of the variance)
        let check = |population: u32, sample: u32, exported: u64, estimate: f64, factor: f64| {
            let scale = Scale { population, sample, is_flow_sampled: false };
            assert_eq!((scale.estimate(exported), scale.variance_factor()), (estimate, factor), "{population}/{sample}");
        };
        check(0, 0, 1_000, 0.0, 0.0);
        check(1, 1, 1_000, 1_000.0, 0.0);
        check(1_000, 1, 3, 3_000.0, 999_000.0);
        check(10_000, 3, 3, 10_000.0, 10_000.0 * 9_997.0 / 9.0);
        check(3, 2, 2, 3.0, 0.75);
        // A sample larger than its population is nonsense: nothing was left out.
        check(1, 2, 8, 4.0, 0.0);
        check(u32::MAX, 1, u64::MAX, u64::MAX as f64 * f64::from(u32::MAX), f64::from(u32::MAX) * f64::from(u32::MAX - 1));
    }
}
