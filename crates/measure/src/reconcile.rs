//! Flows against counters: what a port carried by both, hour by hour, and why they may differ.

use std::collections::BTreeMap;

use model::Name;
use model::tables::PortRow;
use model::time::{HOUR_US, slot_start_us};

/// Flows and counters that differ by less fit: clocks, short polls and frame overheads differ by some percent.
const TOLERANCE: f64 = 0.1;
/// Standard errors of the estimate that are no difference.
const ERRORS: f64 = 3.0;
/// Hours whose ratios differ by less than this factor have one and the same reason.
const STEADY: f64 = 1.15;
/// In the busier half of the hours the ratio is lower by this factor: it falls with the load.
const FALLING: f64 = 0.9;
/// A ratio from here to there is that of a port that is counted twice.
const TWICE: std::ops::Range<f64> = 1.8..2.2;
/// Hours that tell steady from falling.
const HOURS_LEAST: usize = 4;

/// One hour of a port and direction by both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hour {
    /// Its start.
    pub start_us: i64,
    /// Windows in which both are known.
    pub windows: u32,
    /// Bits by flows, after sampling correction, in these windows.
    pub flow_bits: f64,
    /// Bits by the counters in the same windows.
    pub counter_bits: f64,
    /// Variance of `flow_bits`.
    variance: f64,
}

impl Hour {
    /// Flows over counters; `None` where the counters counted nothing.
    pub fn ratio(&self) -> Option<f64> {
        (self.counter_bits > 0.0).then(|| self.flow_bits / self.counter_bits)
    }
}

/// Why flows and counters of a port may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By one factor in every hour and both directions: the sampling rate.
    SamplingRate,
    /// Twice as much: metered at both sides, or by two exporters.
    CountedTwice,
    /// In one direction alone: records of it do not name this interface, or it is not metered.
    OneSided,
    /// The more the busier: the flow cache overflows, or samples are policed.
    CacheOverflow,
    /// None of these.
    Unknown,
}

/// A port and direction by both.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The port.
    pub port: Name,
    /// As in the table `ports`.
    pub direction: Name,
    /// Hours with both, in order.
    pub hours: Vec<Hour>,
    /// Why they differ; `None` where they fit.
    pub cause: Option<Cause>,
}

impl Comparison {
    /// Flows over counters in all hours.
    pub fn ratio(&self) -> Option<f64> {
        self.total().ratio()
    }

    fn total(&self) -> Hour {
        self.hours.iter().fold(Hour::default(), |sum, hour| Hour {
            start_us: sum.start_us,
            windows: sum.windows + hour.windows,
            flow_bits: sum.flow_bits + hour.flow_bits,
            counter_bits: sum.counter_bits + hour.counter_bits,
            variance: sum.variance + hour.variance,
        })
    }

    fn fits(&self) -> bool {
        let total = self.total();
        let apart = (total.flow_bits - total.counter_bits).abs();
        apart <= TOLERANCE * total.counter_bits || apart <= ERRORS * total.variance.sqrt()
    }

    /// Ratios of the hours, the least loaded hour first; those in which next to nothing came say nothing.
    fn ratios_by_load(&self) -> Vec<f64> {
        let most = self.hours.iter().map(|hour| hour.counter_bits).fold(0.0, f64::max);
        let mut loaded: Vec<&Hour> = self.hours.iter().filter(|hour| hour.counter_bits > most / 100.0).collect();
        loaded.sort_by(|a, b| a.counter_bits.total_cmp(&b.counter_bits));
        loaded.into_iter().filter_map(Hour::ratio).collect()
    }

    fn is_steady(&self) -> bool {
        let ratios = self.ratios_by_load();
        let (least, most) = ratios.iter().fold((f64::MAX, 0.0_f64), |(least, most), ratio| (least.min(*ratio), most.max(*ratio)));
        most <= least * STEADY
    }

    fn falls_with_load(&self) -> bool {
        let ratios = self.ratios_by_load();
        if ratios.len() < HOURS_LEAST {
            return false;
        }
        let (quiet, busy) = ratios.split_at(ratios.len() / 2);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        mean(busy) < mean(quiet) * FALLING
    }

    fn judge(&self, other: Option<&Comparison>) -> Option<Cause> {
        if self.fits() {
            return None;
        }
        let ratio = self.ratio()?;
        if ratio < 1.0 && other.is_some_and(Comparison::fits) {
            return Some(Cause::OneSided);
        }
        if ratio < 1.0 && self.falls_with_load() {
            return Some(Cause::CacheOverflow);
        }
        if TWICE.contains(&ratio) {
            return Some(Cause::CountedTwice);
        }
        let is_alike = other.and_then(Comparison::ratio).is_none_or(|other| (ratio / other).max(other / ratio) <= STEADY);
        Some(if self.is_steady() && is_alike { Cause::SamplingRate } else { Cause::Unknown })
    }
}

/// Compares rows of `ports`, by port and direction; those without counters are left out.
pub fn reconcile<'a>(rows: impl IntoIterator<Item = &'a PortRow>) -> Vec<Comparison> {
    let mut ways: BTreeMap<(Name, Name), BTreeMap<i64, Hour>> = BTreeMap::new();
    for row in rows {
        let (Some(flow_bps), Some(counter_bps)) = (row.mean_bps, row.counter_bps) else { continue };
        let start_us = slot_start_us(row.window_start.0, HOUR_US);
        let way = ways.entry((row.port.clone(), row.direction.clone())).or_default();
        let hour = way.entry(start_us).or_insert(Hour { start_us, ..Hour::default() });
        let seconds = row.window_seconds as f64;
        hour.windows += 1;
        hour.flow_bits += flow_bps * seconds;
        hour.counter_bits += counter_bps * seconds;
        hour.variance += (row.standard_error_bps.unwrap_or(0.0) * seconds).powi(2);
    }
    let bare = |((port, direction), hours): ((Name, Name), BTreeMap<i64, Hour>)| Comparison {
        port,
        direction,
        hours: hours.into_values().collect(),
        cause: None,
    };
    let bare: Vec<Comparison> = ways.into_iter().map(bare).collect();
    let other = |one: &Comparison| bare.iter().find(|other| other.port == one.port && other.direction != one.direction);
    bare.iter().map(|one| Comparison { cause: one.judge(other(one)), ..one.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use model::table::{Kind, Row, Value};

    use super::*;

    /// A port with these flows and counters by hour, bit/s, in one direction.
    fn rows(direction: &str, hours: &[(f64, f64)]) -> Vec<PortRow> {
        let none = |column: &model::table::Column| match column.kind {
            _ if column.is_nullable => Value::Null,
            Kind::Integer => Value::Integer(60),
            Kind::Float => Value::Float(0.0),
            Kind::Timestamp => Value::Timestamp(0),
            _ => Value::Text("".into()),
        };
        let row = PortRow::from_values(PortRow::COLUMNS.iter().map(none).collect()).unwrap();
        let of_hour = |(hour, (flows, counters)): (usize, &(f64, f64))| PortRow {
            window_start: (hour as i64 * HOUR_US).into(),
            direction: direction.into(),
            mean_bps: Some(*flows),
            counter_bps: Some(*counters),
            standard_error_bps: Some(flows / 1_000.0),
            ..row.clone()
        };
        hours.iter().enumerate().map(of_hour).collect()
    }

    #[track_caller]
    fn check(to: &[(f64, f64)], from: &[(f64, f64)], expected: Option<Cause>) {
        let rows: Vec<PortRow> = [rows("to_microsoft", to), rows("from_microsoft", from)].concat();
        let found = reconcile(&rows);
        let to = found.iter().find(|comparison| &*comparison.direction == "to_microsoft").unwrap();
        assert_eq!(to.cause, expected, "{to:?}");
    }

    #[test]
    fn the_ratio_tells_the_cause() {
        let fits = [(1e9, 1e9), (2e9, 2.05e9), (3e9, 2.9e9), (1e9, 1.02e9)];
        let times = |factor: f64| fits.map(|(flows, counters)| (flows * factor, counters));
        check(&fits, &fits, None);
        check(&times(0.1), &times(0.1), Some(Cause::SamplingRate));
        check(&times(8.0), &times(8.0), Some(Cause::SamplingRate));
        check(&times(2.0), &times(2.0), Some(Cause::CountedTwice));
        check(&times(0.6), &fits, Some(Cause::OneSided));
        let overflowing = [(1e9, 1e9), (1.9e9, 2e9), (2.2e9, 4e9), (2.4e9, 8e9)];
        check(&overflowing, &overflowing, Some(Cause::CacheOverflow));
        check(&[(1e9, 3e9), (5e9, 2e9)], &[(1e9, 5e9), (9e9, 2e9)], Some(Cause::Unknown));
        // One hour is not enough to tell steady from falling, and enough to see a factor.
        check(&[(1e8, 1e9)], &[], Some(Cause::SamplingRate));
    }

    #[test]
    fn what_the_sample_cannot_tell_apart_fits() {
        let mut rows = rows("to_microsoft", &[(1.3e9, 1e9)]);
        rows[0].standard_error_bps = Some(0.2e9);
        assert_eq!(reconcile(&rows)[0].cause, None);
        rows[0].counter_bps = None;
        assert!(reconcile(&rows).is_empty());
    }
}
