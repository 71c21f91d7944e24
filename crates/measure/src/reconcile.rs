//! Flows against counters: what a port carried by both, hour by hour, and why they may differ.

use std::collections::BTreeMap;

use model::tables::PortRow;
use model::time::{HOUR_US, slot_start_us};
use model::{Name, Role};

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
/// Below this load by counters nothing is missed where flows tell nothing, bit/s: it may be no IP.
pub const MISSED_LEAST_BPS: f64 = 1e7;

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
    /// Seconds of the windows of which flows tell nothing.
    pub silent_seconds: f64,
    /// Bits by the counters in these.
    pub silent_bits: f64,
    /// Seconds of the windows in which both are known.
    pub seconds: f64,
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
    /// Flows tell nothing of it: no record names this interface, or none of a known sampling rate.
    NoFlows,
    /// It has the flows of another port of its router, besides its own: of equal paths always the first is told.
    FirstPath,
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
    /// Its router's address.
    pub exporter: Name,
    /// As in the table `ports`.
    pub direction: Name,
    /// Hours with both, in order.
    pub hours: Vec<Hour>,
    /// Why they differ; `None` where they fit.
    pub cause: Option<Cause>,
    /// Where the cause is [`Cause::FirstPath`], the ports whose flows it has.
    pub others: Vec<Name>,
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
            silent_seconds: sum.silent_seconds + hour.silent_seconds,
            silent_bits: sum.silent_bits + hour.silent_bits,
            seconds: sum.seconds + hour.seconds,
            variance: sum.variance + hour.variance,
        })
    }

    /// Whether flows tell nothing most of the time, though counters count.
    fn is_silent(&self) -> bool {
        let total = self.total();
        total.silent_seconds > total.seconds && total.silent_bits > MISSED_LEAST_BPS * total.silent_seconds
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

    /// The silent ports of the same router whose flows this one has, besides its own.
    fn has_flows_of<'a>(&self, all: &'a [Comparison]) -> Vec<&'a Comparison> {
        let is_near = |other: &&Comparison| other.exporter == self.exporter && other.direction == self.direction;
        let silent: Vec<&Comparison> = all.iter().filter(is_near).filter(|other| other.is_silent()).collect();
        let (own, theirs) = (self.total(), silent.iter().map(|other| other.total().silent_bits).sum::<f64>());
        let both = own.counter_bits + theirs;
        let is_sum = theirs > 0.0 && (own.flow_bits - both).abs() <= TOLERANCE * both + ERRORS * own.variance.sqrt();
        if is_sum { silent } else { Vec::new() }
    }

    fn judge(&self, other: Option<&Comparison>, has_flows_of_others: bool) -> Option<Cause> {
        if self.is_silent() {
            return Some(Cause::NoFlows);
        }
        if self.fits() {
            return None;
        }
        if has_flows_of_others {
            return Some(Cause::FirstPath);
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
    let mut exporters: BTreeMap<Name, Name> = BTreeMap::new();
    for row in rows {
        let Some(counter_bps) = row.counter_bps else { continue };
        let is_of_interest = [Role::Direct, Role::Exchange, Role::Transit].iter().any(|role| *row.role == *role.name());
        if row.mean_bps.is_none() && !is_of_interest {
            continue;
        }
        let start_us = slot_start_us(row.window_start.0, HOUR_US);
        exporters.insert(row.port.clone(), row.exporter.clone());
        let way = ways.entry((row.port.clone(), row.direction.clone())).or_default();
        let hour = way.entry(start_us).or_insert(Hour { start_us, ..Hour::default() });
        let seconds = row.window_seconds as f64;
        let Some(flow_bps) = row.mean_bps else {
            hour.silent_seconds += seconds;
            hour.silent_bits += counter_bps * seconds;
            continue;
        };
        hour.windows += 1;
        hour.seconds += seconds;
        hour.flow_bits += flow_bps * seconds;
        hour.counter_bits += counter_bps * seconds;
        hour.variance += (row.standard_error_bps.unwrap_or(0.0) * seconds).powi(2);
    }
    let bare = |((port, direction), hours): ((Name, Name), BTreeMap<i64, Hour>)| Comparison {
        exporter: exporters.get(&port).cloned().unwrap_or_else(|| Name::from("")),
        port,
        direction,
        hours: hours.into_values().collect(),
        cause: None,
        others: Vec::new(),
    };
    let bare: Vec<Comparison> = ways.into_iter().map(bare).collect();
    let other = |one: &Comparison| bare.iter().find(|other| other.port == one.port && other.direction != one.direction);
    let judged = |one: &Comparison| {
        let mut others: Vec<Name> = one.has_flows_of(&bare).into_iter().map(|other| other.port.clone()).collect();
        let cause = one.judge(other(one), !others.is_empty());
        if cause != Some(Cause::FirstPath) {
            others.clear();
        }
        Comparison { cause, others, ..one.clone() }
    };
    bare.iter().map(judged).collect()
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

    #[test]
    fn a_port_without_flows_is_found_and_the_one_that_has_them() {
        let of = |port: &str, exporter: &str, hours: &[(f64, f64)], has_flows: bool| -> Vec<PortRow> {
            let named = |row: PortRow| PortRow {
                port: port.into(),
                exporter: exporter.into(),
                role: Role::Direct.name().into(),
                mean_bps: row.mean_bps.filter(|_| has_flows),
                ..row
            };
            rows("to_microsoft", hours).into_iter().map(named).collect()
        };
        let cause = |found: &[Comparison], port: &str| {
            let one = found.iter().find(|one| &*one.port == port).unwrap();
            (one.cause, one.others.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let silent = of("b", "r1", &[(0.0, 1e9), (0.0, 2e9)], false);
        let first = of("a", "r1", &[(2e9, 1e9), (4.1e9, 2e9)], true);
        let found = reconcile(&[first.clone(), silent.clone()].concat());
        assert_eq!(cause(&found, "a"), (Some(Cause::FirstPath), vec!["b".to_owned()]));
        assert_eq!(cause(&found, "b"), (Some(Cause::NoFlows), vec![]));
        // Of another router it has nothing; and what counts next to nothing lacks nothing.
        let elsewhere = of("b", "r2", &[(0.0, 1e9), (0.0, 2e9)], false);
        assert_eq!(cause(&reconcile(&[first, elsewhere].concat()), "a").0, Some(Cause::CountedTwice));
        assert_eq!(cause(&reconcile(&of("b", "r1", &[(0.0, 1e6)], false)), "b").0, None);
    }
}
