//! Whether two series of the same load agree: ours and a counter's, ours and Azure Monitor's.

use super::median;

/// How two series agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Median of the first over the second.
    pub ratio: f64,
    /// Time steps in which both are known.
    pub steps: usize,
    /// The first time step from which on the ratio stays beyond tolerance to the end; `None` if it does not.
    pub differs_since: Option<usize>,
}

/// How a series agrees with one that it should equal, within a relative tolerance; `None` where they are never known together.
///
/// Values that are not numbers, and zeros of the second, are passed over.
pub fn agreement(ours: &[f64], theirs: &[f64], tolerance: f64) -> Option<Agreement> {
    let ratios: Vec<(usize, f64)> =
        ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).enumerate().filter(|(_, ratio)| ratio.is_finite()).collect();
    let ratio = median(&mut ratios.iter().map(|(_, ratio)| *ratio).collect::<Vec<_>>())?;
    let last_fit = ratios.iter().rposition(|(_, ratio)| (ratio - 1.0).abs() <= tolerance);
    let differs_since = ratios.get(last_fit.map_or(0, |last| last + 1)).map(|(step, _)| *step);
    Some(Agreement { ratio, steps: ratios.len(), differs_since })
}

/// Pearson's correlation of two series where both are known; `None` of fewer than three steps, or of a flat one.
pub fn correlation(one: &[f64], other: &[f64]) -> Option<f64> {
    let pairs: Vec<(f64, f64)> =
        one.iter().copied().zip(other.iter().copied()).filter(|(a, b)| a.is_finite() && b.is_finite()).collect();
    if pairs.len() < 3 {
        return None;
    }
    let count = pairs.len() as f64;
    let (sum_a, sum_b) = pairs.iter().fold((0.0, 0.0), |(sum_a, sum_b), (a, b)| (sum_a + a, sum_b + b));
    let (mean_a, mean_b) = (sum_a / count, sum_b / count);
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        both += (a - mean_a) * (b - mean_b);
        of_a += (a - mean_a).powi(2);
        of_b += (b - mean_b).powi(2);
    }
    (of_a > 0.0 && of_b > 0.0).then(|| both / (of_a * of_b).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_found_and_since_when() {
        let theirs = [10.0, 20.0, 0.0, 30.0, 40.0, f64::NAN, 10.0];
        let ours = [10.1, 19.8, 5.0, 15.0, 20.0, 7.0, 5.0];
        let found = agreement(&ours, &theirs, 0.05).unwrap();
        assert_eq!((found.steps, found.differs_since), (5, Some(3)));
        assert!((found.ratio - 0.5).abs() < 1e-9);
        assert_eq!(agreement(&[1.0, 2.0], &[1.0, 2.0], 0.05).unwrap().differs_since, None);
        assert_eq!(agreement(&[1.0], &[0.0], 0.05), None);
    }

    #[test]
    fn correlation_tells_which_way_is_whose() {
        let day = [1.0, 5.0, 9.0, 4.0];
        assert!(correlation(&day, &[2.0, 10.0, 18.0, 8.0]).unwrap() > 0.999);
        assert!(correlation(&day, &[9.0, 5.0, 1.0, 6.0]).unwrap() < -0.99);
        assert_eq!(correlation(&day, &[3.0; 4]), None);
        assert_eq!(correlation(&day[..2], &day[..2]), None);
    }
}
