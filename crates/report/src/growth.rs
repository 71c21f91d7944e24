//! Growth of a connection, and the dates that follow from it.

use jiff::tz::TimeZone;
use measure::judge::{Crossing, Trend, crossing, trend};

use crate::answer::{Cell, Column, Unit};
use crate::loads::{Load, daily_p95};
use crate::range::DAY_US;
use crate::{Range, ReportSettings};

/// Growth of the utilisation's daily 95th percentiles.
pub(crate) struct Growth {
    trend: Option<Trend>,
    end_us: i64,
    horizon: f64,
    lead_days: i64,
}

/// Columns of [`Growth::cells`].
pub(crate) const COLUMNS: [Column; 20] = [
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
    Column::detail("n1_breaks_at_load", Unit::Ratio),
    Column::new("order_by", Unit::Date),
    Column::detail("order_by_earliest", Unit::Date),
];

impl Growth {
    /// The growth of a load over a range; days are those of `zone`.
    pub(crate) fn of(load: &Load, range: Range, zone: &TimeZone, settings: &ReportSettings) -> Growth {
        let trend = trend(&daily_p95(&load.utilisation, range, zone));
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

    /// Cells for [`COLUMNS`]; `n1` is the worst utilisation of a survivor if this one fails, and the line at which it breaks.
    ///
    /// What a failure brings grows as the trend does, so N-1 breaks when the trend has grown by what is missing.
    pub(crate) fn cells(&self, n1: Option<f64>, full: f64) -> Vec<Cell> {
        let trend = self.trend.as_ref();
        let month = |slope: f64| slope * 30.0;
        let breaks_at = trend.zip(n1).filter(|(_, n1)| *n1 > 0.0).map(|(trend, n1)| trend.level * full / n1);
        let n1_dates = breaks_at.map_or([None; 3], |threshold| self.dates(threshold));
        let (half, most, all) = (self.dates(0.5), self.dates(0.7), self.dates(1.0));
        // A new port is needed when the first of the two comes: full, or no longer safe.
        let first = |place: usize| all[place].into_iter().chain(n1_dates[place]).min();
        let order = |place: usize| first(place).map(|at| at - self.lead_days * DAY_US);
        let mut cells: Vec<Cell> = vec![
            trend.map(|trend| month(trend.slope)).into(),
            trend.map(|trend| month(trend.slope_range.0)).into(),
            trend.map(|trend| month(trend.slope_range.1)).into(),
            trend.map(|trend| trend.days).into(),
            trend.map(|trend| trend.left_out.len()).into(),
        ];
        cells.extend(half.into_iter().chain(most).chain(all).chain(n1_dates).map(Cell::time));
        cells.extend([breaks_at.into(), Cell::time(order(0)), Cell::time(order(1))]);
        cells
    }
}
