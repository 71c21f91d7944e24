//! A picture of loads over time, as SVG.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::Range;
use crate::html::escaped;

/// Width and height of the drawing, and what is left of it for words.
const WIDTH: f64 = 680.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 18.0;
const TOP: f64 = 8.0;
/// Points of a line at most: more than pixels are nothing to see.
const POINTS_MOST: usize = 340;

/// Utilisation over time, a line a direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it is of.
    pub title: String,
    /// Names and values, a value a step of the range; what is not a number is a gap.
    pub lines: Vec<(String, Vec<f64>)>,
}

impl Chart {
    /// The drawing; a share of 1 is full, and the line at half is Microsoft's for an upgrade.
    pub(crate) fn svg(&self, range: Range, zone: &TimeZone) -> String {
        let known = self.lines.iter().flat_map(|(_, values)| values).copied().filter(|value| !value.is_nan());
        let top = known.fold(1.0_f64, f64::max) * 1.02;
        let y = |ratio: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - ratio / top);
        let title = escaped(&self.title);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"utilisation of {title} over time\"><title>{title}</title>"
        );
        for (ratio, class) in [(0.0, "axis"), (0.5, "half"), (1.0, "full")] {
            let height = y(ratio);
            _ = write!(svg, "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{height:.1}\" y2=\"{height:.1}\"/>");
            let percent = ratio * 100.0;
            _ = write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{percent:.0} %</text>", LEFT - 4.0, height + 4.0);
        }
        for (number, (_, values)) in self.lines.iter().enumerate() {
            for points in runs(values) {
                let points: Vec<String> = points
                    .iter()
                    .map(|(place, value)| format!("{:.1},{:.1}", LEFT + (WIDTH - LEFT) * place, y(*value)))
                    .collect();
                _ = write!(svg, "<polyline class=\"line{number}\" points=\"{}\"/>", points.join(" "));
            }
        }
        for (place, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
            let at_us = range.from_us + (range.length_us() as f64 * place) as i64;
            let at = crate::Cell::Time(at_us).text(crate::Unit::Time, zone).unwrap_or_default();
            let x = LEFT + (WIDTH - LEFT) * place;
            _ = write!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{at}</text>", HEIGHT - 4.0);
        }
        svg.push_str("</svg>");
        svg
    }
}

/// A line as runs of points without gaps: place in the range, and the largest value around it.
fn runs(values: &[f64]) -> Vec<Vec<(f64, f64)>> {
    let each = values.len().div_ceil(POINTS_MOST).max(1);
    let mut runs: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut is_open = false;
    for (number, part) in values.chunks(each).enumerate() {
        let Some(most) = part.iter().copied().filter(|value| !value.is_nan()).reduce(f64::max) else {
            is_open = false;
            continue;
        };
        let place = ((number * each) as f64 + each as f64 / 2.0) / values.len() as f64;
        match runs.last_mut().filter(|_| is_open) {
            Some(run) => run.push((place, most)),
            None => runs.push(vec![(place, most)]),
        }
        is_open = true;
    }
    // A run of one point has no length, and is drawn as a dash.
    runs.iter_mut().filter(|run| run.len() == 1).for_each(|run| run.push((run[0].0 + 0.002, run[0].1)));
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_stay_gaps_and_peaks_stay_peaks() {
        let mut values = vec![0.1; 2_000];
        values[1_000] = 0.9;
        values[500..600].fill(f64::NAN);
        let runs = runs(&values);
        assert_eq!(runs.len(), 2);
        assert!(runs.iter().map(Vec::len).sum::<usize>() <= POINTS_MOST);
        assert!(runs[1].iter().any(|(place, value)| *value == 0.9 && (place - 0.5).abs() < 0.01));
    }
}
