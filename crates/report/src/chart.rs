//! A picture of loads over time, as SVG.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::Range;
use crate::html::escaped;

/// Width and height of the drawing, and what is left of it for words.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 6.0;
const BOTTOM: f64 = 20.0;
const TOP: f64 = 10.0;
/// Points of a line at most: more than pixels are nothing to see.
const POINTS_MOST: usize = 340;
/// Points of a line, up to which each is drawn as a dot too.
const DOTS_MOST: usize = 40;
/// Range up to which times of day are shown, µs.
const HOURS_MOST_US: i64 = 3 * model::time::DAY_US;

/// Utilisation over time, a line a direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it is of.
    pub title: String,
    /// What is to be known of it besides, in short.
    pub caption: String,
    /// Names and values, a value a step of the range; what is not a number is a gap.
    pub lines: Vec<(String, Vec<f64>)>,
}

impl Chart {
    /// The drawing; a share of 1 is full, and the line at half is Microsoft's for an upgrade.
    pub(crate) fn svg(&self, range: Range, zone: &TimeZone) -> String {
        let known = self.lines.iter().flat_map(|(_, values)| values).copied().filter(|value| !value.is_nan());
        let top = known.fold(1.0_f64, f64::max) * 1.02;
        let y = |ratio: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - ratio / top);
        let x = |place: f64| LEFT + (WIDTH - LEFT - RIGHT) * place;
        let title = escaped(&self.title);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"utilisation of {title} over time\"><title>{title}</title>"
        );
        for (ratio, class) in [(0.0, "axis"), (0.5, "half"), (1.0, "full")] {
            let (height, right) = (y(ratio), x(1.0));
            _ = write!(svg, "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{height:.1}\" y2=\"{height:.1}\"/>");
            let percent = ratio * 100.0;
            _ = write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{percent:.0} %</text>", LEFT - 5.0, height + 4.0);
        }
        for (number, (_, values)) in self.lines.iter().enumerate() {
            let runs = runs(values);
            let are_few = runs.iter().map(Vec::len).sum::<usize>() <= DOTS_MOST;
            for run in runs {
                let points: Vec<(f64, f64)> = run.iter().map(|(place, value)| (x(*place), y(*value))).collect();
                let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
                _ = write!(svg, "<polyline class=\"line{number}\" points=\"{}\"/>", line.join(" "));
                // A run of one point has no length: only its dot is seen.
                for (x, y) in points.iter().filter(|_| are_few || run.len() == 1) {
                    _ = write!(svg, "<circle class=\"dot{number}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>");
                }
            }
        }
        for (place, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
            let at_us = range.from_us + (range.length_us() as f64 * place) as i64;
            let at = tick(at_us, range, zone);
            _ = write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{at}</text>", x(place), HEIGHT - 5.0);
        }
        svg.push_str("</svg>");
        svg
    }
}

/// An instant of the axis: a day, and of a short range the time of day.
fn tick(at_us: i64, range: Range, zone: &TimeZone) -> String {
    let Ok(at) = jiff::Timestamp::from_microsecond(at_us) else { return String::new() };
    let format = if range.length_us() <= HOURS_MOST_US { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d" };
    at.to_zoned(zone.clone()).strftime(format).to_string()
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
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_point_is_a_dot() {
        let chart = Chart {
            title: "one".to_owned(),
            caption: String::new(),
            lines: vec![("to".to_owned(), [vec![f64::NAN; 50], vec![0.5], vec![f64::NAN; 50]].concat())],
        };
        let svg = chart.svg(Range::new(0, 101 * crate::range::STEP_US).unwrap(), &TimeZone::UTC);
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
        assert!(svg.contains("1970-01-01 00:00"), "{svg}");
    }

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
