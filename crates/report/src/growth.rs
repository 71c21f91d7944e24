//! Growth of loads, and the dates that follow from it.

use jiff::tz::TimeZone;
use measure::judge::{Crossing, Trend, crossing, trend};
use model::time::DAY_US;

use crate::answer::{Cell, Column, Unit};
use crate::loads::daily_p95;
use crate::{Range, ReportSettings};

/// Growth of a utilisation's daily 95th percentiles.
pub(crate) struct Growth {
    trend: Option<Trend>,
    end_us: i64,
    horizon: f64,
    lead_days: i64,
}

/// Columns of [`Growth::cells`].
pub(crate) const COLUMNS: [Column; 19] = [
    Column::new("growth_month", Unit::Ratio),
    Column::detail("growth_month_low", Unit::Ratio),
    Column::detail("growth_month_high", Unit::Ratio),
    Column::detail("trend_days", Unit::Count),
    Column::detail("surge_days", Unit::Count),
    Column::new("reaches_50", Unit::Date),
    Column::detail("reaches_50_earliest", Unit::Date),
    Column::detail("reaches_50_latest", Unit::Date),
    Column::detail("reaches_70", Unit::Date),
    Column::detail("reaches_70_earliest", Unit::Date),
    Column::detail("reaches_70_latest", Unit::Date),
    Column::new("reaches_100", Unit::Date),
    Column::detail("reaches_100_earliest", Unit::Date),
    Column::detail("reaches_100_latest", Unit::Date),
    Column::new("n1_breaks", Unit::Date),
    Column::detail("n1_breaks_earliest", Unit::Date),
    Column::detail("n1_breaks_latest", Unit::Date),
    Column::new("order_by", Unit::Date),
    Column::detail("order_by_earliest", Unit::Date),
];

/// When a failure will no longer be held, as the fullest survivor's load with it grows: most likely, earliest, latest.
pub(crate) type Breaks = [Option<i64>; 3];

impl Growth {
    /// The growth of a utilisation over a range; days are those of `zone`.
    pub(crate) fn of(utilisation: &[f64], range: Range, zone: &TimeZone, settings: &ReportSettings) -> Growth {
        let trend = trend(&daily_p95(utilisation, range, zone));
        Growth { trend, end_us: range.to_us, horizon: settings.horizon_days as f64, lead_days: settings.lead_time_days }
    }

    /// Dates of a threshold: most likely, earliest, latest.
    fn dates(&self, threshold: f64) -> [Option<i64>; 3] {
        let Some(trend) = &self.trend else { return [None; 3] };
        let at = |days: f64| self.end_us + (days * DAY_US as f64) as i64;
        match crossing(trend, threshold, self.horizon) {
            Crossing::Reached => [Some(self.end_us); 3],
            Crossing::In { earliest, likely, latest } => [likely.map(at), earliest.map(at), latest.map(at)],
        }
    }

    /// When the worst moment, at `worst` now, is at `full`: when the daily percentiles have grown by as much.
    pub(crate) fn breaks(&self, worst: f64, full: f64) -> Breaks {
        if worst > full {
            return [Some(self.end_us); 3];
        }
        let level = self.trend.as_ref().map(|trend| trend.level);
        level.filter(|level| *level > 0.0 && worst > 0.0).map_or([None; 3], |level| self.dates(level * full / worst))
    }

    /// When to order most likely, and the dates of being full and of N-1 breaking that ask for it.
    pub(crate) fn order(&self, breaks: Breaks) -> Option<(i64, Option<i64>, Option<i64>)> {
        let (all, n1) = (self.dates(1.0)[0], breaks[0]);
        let first = all.into_iter().chain(n1).min()?;
        Some((first - self.lead_days * DAY_US, all, n1))
    }

    /// Cells for [`COLUMNS`]; `breaks` is when the failure of this one will no longer be held.
    pub(crate) fn cells(&self, breaks: Breaks) -> Vec<Cell> {
        let trend = self.trend.as_ref();
        let month = |slope: f64| slope * 30.0;
        let (half, most, all) = (self.dates(0.5), self.dates(0.7), self.dates(1.0));
        // A new port is needed when the first of the two comes: full, or no longer safe.
        let first = |place: usize| all[place].into_iter().chain(breaks[place]).min();
        let order = |place: usize| first(place).map(|at| at - self.lead_days * DAY_US);
        let mut cells: Vec<Cell> = vec![
            trend.map(|trend| month(trend.slope)).into(),
            trend.map(|trend| month(trend.slope_range.0)).into(),
            trend.map(|trend| month(trend.slope_range.1)).into(),
            trend.map(|trend| trend.days).into(),
            trend.map(|trend| trend.left_out.len()).into(),
        ];
        cells.extend(half.into_iter().chain(most).chain(all).chain(breaks).map(Cell::time));
        cells.extend([Cell::time(order(0)), Cell::time(order(1))]);
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ordered_is_there_when_the_first_of_two_lines_is_reached() {
        // 30 days from 50 %, a point a day: full 21 days after the last, and a survivor at 90 % breaks at 95 % sooner.
        let range = Range::new(0, 30 * DAY_US).unwrap();
        let day = |step: usize| (range.start_of(step) / DAY_US) as f64;
        let utilisation: Vec<f64> = (0..range.steps()).map(|step| 0.5 + 0.01 * day(step)).collect();
        let growth = |utilisation: &[f64]| Growth::of(utilisation, range, &TimeZone::UTC, &ReportSettings::default());
        let order = |growth: &Growth, n1: Option<f64>| growth.order(n1.map_or([None; 3], |n1| growth.breaks(n1, 0.95)));
        let days = |at_us: Option<i64>| at_us.map(|at_us| ((at_us - range.to_us) as f64 / DAY_US as f64).round());
        for (n1, ordered, full, breaks) in [
            (None, Some(-69.0), Some(21.0), None),
            (Some(0.9), Some(-86.0), Some(21.0), Some(4.0)),
            (Some(0.5), Some(-69.0), Some(21.0), Some(71.0)),
        ] {
            let (by_us, full_us, n1_us) = order(&growth(&utilisation), n1).unwrap();
            assert_eq!((days(Some(by_us)), days(full_us), days(n1_us)), (ordered, full, breaks), "{n1:?}");
        }
        assert_eq!(order(&growth(&vec![0.3; range.steps()]), Some(0.6)), None);
    }
}
