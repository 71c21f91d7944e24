//! Ranges of time as a person writes them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use model::time::{DAY_US, SECOND_US};

use crate::ReportError;

/// Length of the steps that reports are made of: five minutes.
pub(crate) const STEP_US: i64 = 300 * SECOND_US;
/// Longest range that is answered: the longest that any table is kept.
const YEARS_MOST_US: i64 = 10 * 366 * DAY_US;

/// From one instant to before another, whole steps of five minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Start, µs since 1970, UTC.
    pub from_us: i64,
    /// End, µs since 1970, UTC; not in it.
    pub to_us: i64,
}

impl Range {
    /// All that there may be.
    pub const EVER: Range = Range { from_us: i64::MIN, to_us: i64::MAX };

    /// A range that is widened to whole steps of five minutes.
    ///
    /// # Errors
    ///
    /// If it is empty, or too long to be meant.
    pub fn new(from_us: i64, to_us: i64) -> Result<Range, ReportError> {
        if from_us >= to_us {
            return Err(ReportError::Usage("the range ends before it begins: --from is to lie before --to, or, where that is not given, before the end of the data"
                    .to_owned()));
        }
        let from_us = from_us.div_euclid(STEP_US) * STEP_US;
        let to_us = to_us.saturating_add(STEP_US - 1).div_euclid(STEP_US) * STEP_US;
        if to_us.saturating_sub(from_us) > YEARS_MOST_US {
            return Err(ReportError::Usage("the range is longer than ten years; give --from, --to or --last".to_owned()));
        }
        Ok(Range { from_us, to_us })
    }

    /// The range of the same length before it.
    pub fn previous(self) -> Range {
        Range { from_us: self.from_us - self.length_us(), to_us: self.from_us }
    }

    /// Its length, µs.
    pub fn length_us(self) -> i64 {
        self.to_us.saturating_sub(self.from_us)
    }

    /// Its steps of five minutes.
    pub(crate) fn steps(self) -> usize {
        usize::try_from(self.length_us() / STEP_US).unwrap_or(0)
    }

    /// The step that an instant lies in.
    pub(crate) fn step_of(self, at_us: i64) -> Option<usize> {
        if !(self.from_us..self.to_us).contains(&at_us) {
            return None;
        }
        usize::try_from((at_us - self.from_us) / STEP_US).ok()
    }

    /// The start of a step.
    pub(crate) fn start_of(self, step: usize) -> i64 {
        self.from_us + step as i64 * STEP_US
    }
}

/// An instant: `2026-11-24T12:00:00Z`, or without a zone, or a date alone, in the zone given; µs since 1970.
///
/// # Errors
///
/// If it is none of these.
pub fn parse_instant(text: &str, zone: &TimeZone) -> Result<i64, ReportError> {
    let civil =
        || text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.to_datetime(jiff::civil::Time::midnight())));
    let instant = text.parse::<Timestamp>().or_else(|_| civil()?.to_zoned(zone.clone()).map(|zoned: Zoned| zoned.timestamp()));
    let forms = "2026-11-24, 2026-11-24T12:00 or 2026-11-24T12:00:00Z";
    instant
        .map(|at| at.as_microsecond())
        .map_err(|_| ReportError::Usage(format!("\"{text}\" is no instant; write it as {forms}")))
}

/// A span: `90m`, `24h`, `7d`, `4w`; µs.
///
/// # Errors
///
/// If it is none of these.
pub fn parse_span(text: &str) -> Result<i64, ReportError> {
    let refused = || ReportError::Usage(format!("\"{text}\" is no span of time; write it as 90m, 24h, 7d or 4w"));
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(refused)?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(refused()),
    };
    let span = number.parse::<i64>().ok().and_then(|number| number.checked_mul(seconds * SECOND_US));
    span.filter(|span| *span > 0).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_spans_are_read_as_people_write_them() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (text, expected) in [
            ("1970-01-02T00:00:00Z", Some(DAY_US)),
            ("1970-01-02T02:00", Some(DAY_US)),
            ("1970-01-02", Some(DAY_US - 7_200 * SECOND_US)),
            ("yesterday", None),
        ] {
            assert_eq!(parse_instant(text, &zone).ok(), expected, "{text}");
        }
        for (text, hours) in
            [("90m", Some(1.5)), ("24h", Some(24.0)), ("2w", Some(336.0)), ("5", None), ("h", None), ("0h", None)]
        {
            assert_eq!(parse_span(text).ok().map(|span| span as f64 / 3.6e9), hours, "{text}");
        }
    }

    #[test]
    fn ranges_are_whole_steps() {
        let range = Range::new(1, STEP_US + 1).unwrap();
        assert_eq!((range.from_us, range.to_us, range.steps()), (0, 2 * STEP_US, 2));
        assert_eq!((range.step_of(STEP_US), range.step_of(2 * STEP_US), range.start_of(1)), (Some(1), None, STEP_US));
        assert_eq!(range.previous(), Range { from_us: -2 * STEP_US, to_us: 0 });
        assert!(Range::new(5, 5).is_err() && Range::new(i64::MIN / 2, 0).is_err());
    }
}
