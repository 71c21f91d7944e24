//! Growth of a load over days, by medians: a few days of surge do not bend it.

use super::median;

/// The 95th percentile of one day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Day {
    /// Number of the day, from any first day.
    pub day: i64,
    /// Its value, in any unit.
    pub value: f64,
}

/// Days that a trend needs at least.
const DAYS_LEAST: usize = 7;
/// Days from which the weekly shape is taken out first.
const WEEKLY_DAYS_LEAST: usize = 21;
/// Deviations, in robust standard deviations, from which a day is one of surge.
const SURGE_DEVIATIONS: f64 = 4.0;
/// A day of surge is also at least this far from the trend: quiet links have tiny deviations.
const SURGE_SHARE: f64 = 0.1;
/// Median absolute deviations to standard deviations, of normal errors.
const DEVIATION_SCALE: f64 = 1.4826;
/// Normal quantile of a two-sided range of 95 %.
const Z: f64 = 1.96;

/// A straight line through days, and how sure its slope is.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// Value on the last day.
    pub level: f64,
    /// Growth a day.
    pub slope: f64,
    /// Range of the growth a day, 95 %.
    pub slope_range: (f64, f64),
    /// The last day.
    pub last_day: i64,
    /// Days that the line goes through.
    pub days: usize,
    /// Days of surge (or of outage) that were left out.
    pub left_out: Vec<i64>,
}

/// When a threshold is reached, in days from the last day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crossing {
    /// The trend's value is there already.
    Reached,
    /// In so many days, at the earliest, most likely, and at the latest; `None` beyond the horizon or never.
    In {
        /// By the upper end of the range of the growth.
        earliest: Option<f64>,
        /// By the growth itself.
        likely: Option<f64>,
        /// By the lower end of the range.
        latest: Option<f64>,
    },
}

/// The trend of some days; `None` where there are too few of them.
///
/// Theil and Sen's median of slopes, its range by Kendall's statistic (Sen 1968). From three weeks on each
/// weekday's own median deviation is taken out first. Days far from the line are left out, and the line
/// drawn again.
pub fn trend(days: &[Day]) -> Option<Trend> {
    let mut days: Vec<Day> = days.iter().copied().filter(|day| day.value.is_finite()).collect();
    days.sort_by_key(|day| day.day);
    let last_day = days.last()?.day;
    if days.len() < DAYS_LEAST {
        return None;
    }
    let flat = without_weekdays(&days)?;
    let line = Line::through(&flat)?;
    let deviations: Vec<f64> = flat.iter().map(|day| day.value - line.at(day.day)).collect();
    let spread = median(&mut deviations.iter().map(|deviation| deviation.abs()).collect::<Vec<_>>())? * DEVIATION_SCALE;
    let is_surge = |day: &Day| {
        let (deviation, expected) = ((day.value - line.at(day.day)).abs(), line.at(day.day).abs());
        deviation > SURGE_DEVIATIONS * spread && deviation > SURGE_SHARE * expected
    };
    let (surges, kept): (Vec<Day>, Vec<Day>) = flat.into_iter().partition(is_surge);
    if kept.len() < DAYS_LEAST {
        return None;
    }
    let line = Line::through(&kept)?;
    let left_out = surges.into_iter().map(|day| day.day).collect();
    let (level, slope, slope_range) = (line.at(last_day), line.slope, line.range);
    Some(Trend { level, slope, slope_range, last_day, days: kept.len(), left_out })
}

/// When a trend reaches a threshold, at most `horizon` days ahead.
pub fn crossing(trend: &Trend, threshold: f64, horizon: f64) -> Crossing {
    if trend.level >= threshold {
        return Crossing::Reached;
    }
    let days = |slope: f64| Some((threshold - trend.level) / slope).filter(|days| slope > 0.0 && *days <= horizon);
    let (low, high) = trend.slope_range;
    Crossing::In { earliest: days(high), likely: days(trend.slope), latest: days(low) }
}

/// The days less what their weekday is usually above or below the line, where there are weeks enough.
fn without_weekdays(days: &[Day]) -> Option<Vec<Day>> {
    if days.len() < WEEKLY_DAYS_LEAST {
        return Some(days.to_vec());
    }
    let line = Line::through(days)?;
    let mut usual = [0.0; 7];
    for (weekday, usual) in usual.iter_mut().enumerate() {
        let of_weekday = days.iter().filter(|day| day.day.rem_euclid(7) as usize == weekday);
        let mut deviations: Vec<f64> = of_weekday.map(|day| day.value - line.at(day.day)).collect();
        *usual = median(&mut deviations).unwrap_or(0.0);
    }
    // The level stays that of the peak days: what is full on working days is full.
    let most = usual.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let flat = |day: &Day| Day { day: day.day, value: day.value - usual[day.day.rem_euclid(7) as usize] + most };
    Some(days.iter().map(flat).collect())
}

struct Line {
    slope: f64,
    range: (f64, f64),
    at_zero: f64,
}

impl Line {
    fn through(days: &[Day]) -> Option<Line> {
        let pairs = days.iter().enumerate().flat_map(|(index, one)| days[index + 1..].iter().map(move |other| (one, other)));
        let mut slopes: Vec<f64> = pairs
            .filter(|(one, other)| one.day != other.day)
            .map(|(one, other)| (other.value - one.value) / (other.day - one.day) as f64)
            .collect();
        let slope = median(&mut slopes)?;
        slopes.sort_by(f64::total_cmp);
        let count = days.len() as f64;
        let deviation = Z * (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
        let rank = |from_middle: f64| {
            let rank = (slopes.len() as f64 + from_middle) / 2.0;
            slopes[(rank.max(0.0) as usize).min(slopes.len() - 1)]
        };
        let mut levels: Vec<f64> = days.iter().map(|day| day.value - slope * day.day as f64).collect();
        Some(Line { slope, range: (rank(-deviation), rank(deviation)), at_zero: median(&mut levels)? })
    }

    fn at(&self, day: i64) -> f64 {
        self.at_zero + self.slope * day as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Growth of 2 a day from 100, weekends 30 lower, with a little noise that repeats.
    fn weeks(days: i64) -> Vec<Day> {
        let noise = |day: i64| ((day * 37) % 11) as f64 / 10.0 - 0.5;
        let weekend = |day: i64| if day.rem_euclid(7) >= 5 { -30.0 } else { 0.0 };
        (0..days).map(|day| Day { day, value: 100.0 + 2.0 * day as f64 + weekend(day) + noise(day) }).collect()
    }

    #[test]
    fn growth_is_found_under_a_weekly_shape_and_surges_are_left_out() {
        let mut days = weeks(60);
        days[20].value *= 4.0;
        days[41].value = 0.0;
        let trend = trend(&days).unwrap();
        assert!((trend.slope - 2.0).abs() < 0.05, "{trend:?}");
        assert!(trend.slope_range.0 <= 2.0 && 2.0 <= trend.slope_range.1 && trend.slope_range.1 < 2.2, "{trend:?}");
        assert!((trend.level - 218.0).abs() < 2.0, "the level of working days: {trend:?}");
        assert_eq!(trend.left_out, [20, 41]);
    }

    #[test]
    fn a_threshold_has_a_date_and_a_range() {
        let trend = trend(&weeks(60)).unwrap();
        let Crossing::In { earliest: Some(earliest), likely: Some(likely), latest: Some(latest) } = crossing(&trend, 300.0, 1e4)
        else {
            panic!("it grows")
        };
        assert!(earliest <= likely && likely <= latest && (likely - 41.0).abs() < 3.0, "{earliest} {likely} {latest}");
        assert_eq!(crossing(&trend, 200.0, 1e4), Crossing::Reached);
        assert_eq!(crossing(&trend, 1e9, 1e4), Crossing::In { earliest: None, likely: None, latest: None });
    }

    #[test]
    fn too_few_days_have_no_trend_and_flat_ones_reach_nothing() {
        assert_eq!(trend(&weeks(6)), None);
        let flat: Vec<Day> = (0..30).map(|day| Day { day, value: 5.0 }).collect();
        let trend = trend(&flat).unwrap();
        assert_eq!((trend.slope, trend.level), (0.0, 5.0));
        assert_eq!(crossing(&trend, 6.0, 1e4), Crossing::In { earliest: None, likely: None, latest: None });
    }
}
