//! A load that stopped varying at its top.
//!
//! Traffic of many users varies from one ten seconds to the next. Where something on the way is full, what gets
//! through is what fits, and the variation is gone. Microsoft's queue drops before our interface shows discards:
//! this is all that can be seen of it here.

use serde::{Deserialize, Serialize};

use crate::average::{Average, judged, over};
use crate::finding::{Finding, called, rate};
use crate::kind::Kind;
use crate::observed::{Bin, Load, Observed};

/// Bins that a plateau must last: three minutes.
const BINS: usize = 18;
/// Steps from bin to bin after which what is usual is known: half an hour's.
const STEPS_LEAST: f64 = 180.0;
/// Steps over which what is usual is averaged: some three hours' .
const STEPS_MOST: f64 = 1_080.0;
/// The variance of a plateau over the usual one, at most: a third of the deviation.
const VARIANCE_SHARE: f64 = 1.0 / 9.0;
/// What varies less than this anyway, of no plateau can be told: 0.3 % from bin to bin.
const VARIANCE_LEAST: f64 = 9e-6;
/// The variance of sampling over the usual one, at most: beyond it nobody can tell.
const NOISE_SHARE: f64 = 0.25;
/// A plateau is at least so high, over the highest load that was seen.
const TOP_SHARE: f64 = 0.97;

/// How a load usually varies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Shape {
    /// Variance of the steps from bin to bin over the load, less that of sampling.
    variance: f64,
    steps: f64,
    /// The highest mean over a plateau's time that was seen of late.
    top_bps: f64,
    /// End of the last bin that was taken in.
    seen_us: i64,
}

impl Shape {
    pub(super) fn is_remembered(&self, now_us: i64) -> bool {
        super::is_remembered(self.seen_us, now_us)
    }
}

pub(super) fn find(
    observed: &Observed,
    shapes: &mut std::collections::BTreeMap<crate::alert::Subject, Shape>,
    found: &mut Vec<Finding>,
) {
    for port in observed.ports.iter().filter(|port| port.is_active) {
        let shape = shapes.entry(port.subject.clone()).or_default();
        found.push(flat_top(port, shape, observed.now_us));
    }
}

fn flat_top(port: &Load, shape: &mut Shape, now_us: i64) -> Finding {
    let subject = port.subject.clone();
    let name = called(&subject);
    let unknown = |text| Finding::new(Kind::FlatTop, subject.clone(), now_us, None, text);
    let Some(bins) = judged(port, now_us).map(|end| &port.bins[..end]) else {
        return unknown(format!("{name}: its load is not known"));
    };
    let usual = (shape.variance, shape.steps);
    let plateau = over(bins, BINS).zip(steps_over(&bins[bins.len().saturating_sub(BINS)..]));
    let verdict = plateau.and_then(|(average, (variance, noise))| {
        let is_usual_known = usual.1 >= STEPS_LEAST && usual.0 >= VARIANCE_LEAST && noise <= usual.0 * NOISE_SHARE;
        let is_flat = variance <= usual.0 * VARIANCE_SHARE && average.bps >= shape.top_bps * TOP_SHARE;
        is_usual_known.then_some((average, is_flat))
    });
    let is_flat = verdict.is_some_and(|(_, is_flat)| is_flat);
    learn(shape, bins, plateau.map(|(average, _)| average), is_flat);
    match verdict.zip(port.capacity_bps) {
        Some(((average, is_flat), capacity)) => {
            let value = if is_flat { average.bps / capacity * 100.0 } else { 0.0 };
            let text = format!(
                "{name} stands flat at {} ({:.0} % of its capacity): something on the way is full, and drops there",
                rate(average.bps),
                average.bps / capacity * 100.0
            );
            Finding::new(Kind::FlatTop, subject, average.end_us, Some(value), text)
        }
        None => unknown(format!("{name}: how it varies is not known well enough")),
    }
}

/// Takes the bins that are new into what is usual; not those of a plateau, or it would become so.
fn learn(shape: &mut Shape, bins: &[Bin], average: Option<Average>, is_flat: bool) {
    for pair in bins.windows(2).filter(|pair| pair[1].end_us() > shape.seen_us) {
        if is_flat {
            continue;
        }
        if let Some((square, noise)) = step(&pair[0], &pair[1]) {
            shape.steps = (shape.steps + 1.0).min(STEPS_MOST);
            shape.variance += ((square - noise) - shape.variance) / shape.steps;
        }
    }
    let newest_us = bins.last().map_or(0, Bin::end_us);
    if newest_us > shape.seen_us {
        // It sinks by a tenth in a day, so that a top of long ago is forgotten.
        let passed = if shape.seen_us == 0 { 1.0 } else { (newest_us - shape.seen_us) as f64 / 1e7 };
        shape.top_bps *= 1.0 - 0.1 * (passed / 8_640.0).min(1.0);
        shape.top_bps = shape.top_bps.max(average.map_or(0.0, |average| average.bps));
        shape.seen_us = newest_us;
    }
}

/// The square of a step over the load, and how much of it sampling makes.
fn step(one: &Bin, other: &Bin) -> Option<(f64, f64)> {
    let ((a, variance_a), (b, variance_b)) = one.load().zip(other.load())?;
    let mean = (a + b) / 2.0;
    (mean > 0.0).then(|| (((b - a) / mean).powi(2), (variance_a + variance_b) / mean.powi(2)))
}

/// Mean square of the steps less the part of sampling, and that part.
fn steps_over(bins: &[Bin]) -> Option<(f64, f64)> {
    let steps: Vec<(f64, f64)> = bins.windows(2).map(|pair| step(&pair[0], &pair[1])).collect::<Option<_>>()?;
    let count = steps.len() as f64;
    let (square, noise) = steps.iter().fold((0.0, 0.0), |(square, noise), step| (square + step.0, noise + step.1));
    (count > 0.0).then(|| ((square - noise) / count, noise / count))
}
