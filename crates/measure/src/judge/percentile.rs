//! Percentiles by nearest rank: a value that was measured, not one in between.

/// The least value that at least `share` of the values do not exceed; `None` of nothing.
///
/// The nearest-rank method, as transit is billed: of 8,640 five-minute means of a month the 95th percentile is
/// the largest after the 432 largest. Values that are not numbers are left out: a missing mean is missing, not 0.
/// The order of `values` changes.
pub fn percentile(values: &mut Vec<f64>, share: f64) -> Option<f64> {
    values.retain(|value| !value.is_nan());
    let rank = (share * values.len() as f64).ceil() as usize;
    let index = rank.max(1).min(values.len()).checked_sub(1)?;
    Some(*values.select_nth_unstable_by(index, f64::total_cmp).1)
}

/// The middle value, of an even number the mean of the two in the middle; `None` of nothing.
pub fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    let is_odd = values.len() % 2 == 1;
    if values.is_empty() {
        return None;
    }
    let (before, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if is_odd {
        return Some(upper);
    }
    let lower = before.iter().copied().max_by(f64::total_cmp)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_by_nearest_rank() {
        let month: Vec<f64> = (1..=8_640).map(f64::from).collect();
        for (values, share, expected) in [
            (month, 0.95, Some(8_208.0)),
            (vec![3.0, 1.0, 2.0], 0.5, Some(2.0)),
            (vec![3.0, f64::NAN, 1.0], 1.0, Some(3.0)),
            (vec![5.0], 0.0, Some(5.0)),
            (vec![f64::NAN], 0.95, None),
            (vec![], 0.95, None),
        ] {
            assert_eq!(percentile(&mut values.clone(), share), expected, "{share} of {}", values.len());
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        for (values, expected) in [(vec![4.0, 1.0, 3.0, 2.0], Some(2.5)), (vec![9.0, 1.0, 5.0], Some(5.0)), (vec![], None)] {
            assert_eq!(median(&mut values.clone()), expected, "{values:?}");
        }
    }
}
