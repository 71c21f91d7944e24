//! When a port will be full, if its load goes on rising as it did.

use model::time::SECOND_US;

use crate::average::judged;
use crate::finding::{Finding, called};
use crate::kind::Kind;
use crate::observed::{Bin, Load, Observed};

/// Bins that a trend is drawn through: 15 minutes; those that it needs at least: ten.
const BINS_MOST: usize = 90;
const BINS_LEAST: usize = 60;
/// What counts as full, and the load below which nobody needs to hear of a trend, over capacity.
const FULL: f64 = 0.95;
const LOAD_LEAST: f64 = 0.5;
/// What is further away is not said, minutes.
const MINUTES_MOST: f64 = 600.0;

pub(super) fn find(observed: &Observed, found: &mut Vec<Finding>) {
    let ports = observed.ports.iter().filter(|port| port.is_active);
    found.extend(ports.map(|port| time_to_full(port, observed.now_us)));
}

fn time_to_full(port: &Load, now_us: i64) -> Finding {
    let subject = port.subject.clone();
    let name = called(&subject);
    let line = judged(port, now_us).and_then(|end| Some((Line::through(&port.bins[..end], port.capacity_bps?)?, end)));
    let Some((line, end)) = line else {
        return Finding::new(Kind::TimeToFull, subject, now_us, None, format!("{name}: too little is known for a trend"));
    };
    // The slope that is sure, and at the lower end of it: rather later than too early.
    let slope = line.slope - 2.0 * line.slope_error;
    let is_rising = slope > 0.0 && line.level >= LOAD_LEAST && line.level < FULL;
    let minutes = if is_rising { ((FULL - line.level) / slope / 60.0).min(MINUTES_MOST) } else { MINUTES_MOST };
    let text = format!(
        "{name} is {:.0} % full and rising: at this pace it is full in {minutes:.0} minutes or sooner",
        line.level * 100.0
    );
    Finding::new(Kind::TimeToFull, subject, port.bins[end - 1].end_us(), Some(minutes), text)
}

/// A straight line through loads over capacity.
struct Line {
    /// At the end.
    level: f64,
    /// A second.
    slope: f64,
    slope_error: f64,
}

impl Line {
    /// Least squares over the last bins, those unknown left out.
    fn through(bins: &[Bin], capacity_bps: f64) -> Option<Line> {
        let end_us = bins.last()?.end_us();
        let seconds = |bin: &Bin| (bin.end_us() - end_us) as f64 / SECOND_US as f64;
        let known: Vec<(f64, f64)> =
            bins.iter().rev().take(BINS_MOST).filter_map(|bin| Some((seconds(bin), bin.load()?.0 / capacity_bps))).collect();
        if known.len() < BINS_LEAST {
            return None;
        }
        let count = known.len() as f64;
        let (sum_x, sum_y) = known.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (mut xx, mut xy) = (0.0, 0.0);
        for (x, y) in &known {
            xx += (x - mean_x).powi(2);
            xy += (x - mean_x) * (y - mean_y);
        }
        let slope = xy / xx;
        let rest: f64 = known.iter().map(|(x, y)| (y - mean_y - slope * (x - mean_x)).powi(2)).sum();
        // Neighbouring bins go together more than chance has it: some four of them count as one.
        let slope_error = (rest / (count - 2.0) / xx).sqrt() * 2.0;
        (slope.is_finite() && slope_error.is_finite()).then_some(Line { level: mean_y - slope * mean_x, slope, slope_error })
    }
}
