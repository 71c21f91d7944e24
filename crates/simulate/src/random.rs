//! A small pseudo-random generator: the same seed gives the same network on every machine.
//!
//! xoshiro256++ by Blackman and Vigna, its state filled by splitmix64.

/// xoshiro256++: 256 bits of state, 64 bits a call.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: [u64; 4],
}

impl Random {
    /// A generator of its own for one purpose (`stream`) of one seed: adding a router must not change the traffic.
    pub(crate) fn new(seed: u64, stream: u64) -> Random {
        let mut filler = seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03);
        let mut next = || {
            filler = filler.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = filler;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        Random { state: [next(), next(), next(), next()] }
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A number in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A whole number in [0, bound); 0 for a bound of 0. The bias of one in 2^32 does not matter here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// True with the given probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// A waiting time with the given mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -(1.0 - self.unit()).ln() * mean
    }

    /// How many failures come before the first success of probability 1 / `one_in`.
    pub(crate) fn failures_before_success(&mut self, one_in: u32) -> u64 {
        if one_in <= 1 {
            return 0;
        }
        let survival = (1.0 - 1.0 / f64::from(one_in)).ln();
        ((1.0 - self.unit()).ln() / survival) as u64
    }

    /// The index of one of the weights, drawn in proportion; 0 when all are 0.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut left = self.unit() * weights.clone().sum::<f64>();
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if weight > 0.0 {
                last = index;
                left -= weight;
                if left < 0.0 {
                    return index;
                }
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_and_a_stream_name_one_sequence() {
        let draw = |seed, stream| Random::new(seed, stream).bits();
        assert_eq!(draw(1, 1), draw(1, 1));
        assert_ne!(draw(1, 1), draw(2, 1));
        assert_ne!(draw(1, 1), draw(1, 2));
    }

    #[test]
    fn one_in_n_is_one_in_n_on_average() {
        for one_in in [1_u32, 10, 1000] {
            let mut random = Random::new(7, 0);
            let draws = 200_000;
            let total: u64 = (0..draws).map(|_| random.failures_before_success(one_in) + 1).sum();
            let mean = total as f64 / f64::from(draws);
            assert!((mean / f64::from(one_in) - 1.0).abs() < 0.01, "1 in {one_in}: {mean}");
        }
    }
}
