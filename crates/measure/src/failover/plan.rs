//! Planned work: intervals of the configuration and of iCalendar files (RFC 5545).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::Name;

/// Most events that are taken of one calendar.
const EVENTS_MOST: usize = 10_000;
/// Longest line of a calendar, folded lines put together.
const LINE_MOST: usize = 8_192;
/// How far before and after its time planned work may begin and end: people are not punctual, µs.
const AROUND_US: i64 = 300_000_000;

/// An interval of planned work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Start, microseconds since 1970.
    pub from_us: i64,
    /// End, not in it.
    pub to_us: i64,
    /// The connections that it is of; empty stands for all.
    pub connections: Vec<Name>,
    /// What it is.
    pub summary: Option<Name>,
}

/// All planned work that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans(pub Vec<Planned>);

impl Plans {
    /// The plan that a failure of these connections at that time is of.
    pub fn of<'a>(&self, at_us: i64, mut connections: impl Iterator<Item = &'a str> + Clone) -> Option<&Planned> {
        self.0.iter().find(|plan| {
            let is_then = (plan.from_us - AROUND_US..plan.to_us + AROUND_US).contains(&at_us);
            let is_of = |connection: &str| plan.connections.iter().any(|name| **name == *connection);
            is_then && (plan.connections.is_empty() || connections.clone().any(is_of) || connections.next().is_none())
        })
    }
}

/// Reads the events of an iCalendar file; a summary or description that holds the name of a connection makes the
/// event that connection's, and without one it is of all.
///
/// # Errors
///
/// One sentence with the line: what is no calendar, a time that cannot be read, or more events than are taken.
pub fn parse_calendar(text: &str, connections: &[Name]) -> Result<Vec<Planned>, String> {
    let lines = unfold(text)?;
    if !lines.first().is_some_and(|(_, line)| line.eq_ignore_ascii_case("BEGIN:VCALENDAR")) {
        return Err("line 1: this is no iCalendar file: it does not begin with BEGIN:VCALENDAR".to_owned());
    }
    let mut plans = Vec::new();
    let mut event: Option<CalendarEvent> = None;
    for (number, line) in lines {
        let (head, value) = line.split_once(':').unwrap_or((&line, ""));
        let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
        match (name.to_ascii_uppercase().as_str(), &mut event) {
            ("BEGIN", None) if value.eq_ignore_ascii_case("VEVENT") => event = Some(CalendarEvent::default()),
            ("END", Some(_)) if value.eq_ignore_ascii_case("VEVENT") => {
                plans.extend(event.take().map(|event| event.plan(number, connections)).transpose()?);
                if plans.len() > EVENTS_MOST {
                    return Err(format!("line {number}: the calendar has over {EVENTS_MOST} events; give one with fewer"));
                }
            }
            ("DTSTART", Some(event)) => event.from = Some(instant(value, parameters, number)?),
            ("DTEND", Some(event)) => event.to = Some(instant(value, parameters, number)?),
            ("DURATION", Some(event)) => event.duration = Some(duration(value, number)?),
            ("SUMMARY", Some(event)) => event.summary = Some(value.replace("\\,", ",").replace("\\n", " ")),
            ("DESCRIPTION", Some(event)) => event.description = value.replace("\\,", ",").replace("\\n", " "),
            _ => {}
        }
    }
    Ok(plans)
}

/// Lines with those put together that were folded (RFC 5545, 3.1), and the number of each one's first.
fn unfold(text: &str) -> Result<Vec<(usize, String)>, String> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, held))) => held.push_str(rest),
            _ => lines.push((number, line.trim_end().to_owned())),
        }
        if lines.last().is_some_and(|(_, held)| held.len() > LINE_MOST) {
            return Err(format!("line {number}: the line is longer than {LINE_MOST} bytes"));
        }
    }
    Ok(lines)
}

#[derive(Default)]
struct CalendarEvent {
    from: Option<i64>,
    to: Option<i64>,
    duration: Option<i64>,
    summary: Option<String>,
    description: String,
}

impl CalendarEvent {
    fn plan(self, number: usize, connections: &[Name]) -> Result<Planned, String> {
        let from_us = self.from.ok_or_else(|| format!("line {number}: an event ends here that has no DTSTART"))?;
        let to_us = self.to.or_else(|| self.duration.map(|length| from_us.saturating_add(length)));
        // A day without an end is that day (RFC 5545, 3.6.1).
        let to_us = to_us.unwrap_or(from_us.saturating_add(86_400_000_000));
        if to_us < from_us {
            return Err(format!("line {number}: an event ends here whose DTEND is before its DTSTART"));
        }
        let text = format!("{} {}", self.summary.as_deref().unwrap_or(""), self.description);
        let is_named = |name: &&Name| {
            text.split(|letter: char| letter.is_whitespace() || ",;()[]".contains(letter)).any(|word| *word == ***name)
        };
        let named = connections.iter().filter(is_named).cloned().collect();
        Ok(Planned { from_us, to_us, connections: named, summary: self.summary.map(|summary| Name::from(summary.as_str())) })
    }
}

/// `20261125T020000Z`, the same without Z in the zone of TZID (UTC if none), or a day.
fn instant(value: &str, parameters: &str, number: usize) -> Result<i64, String> {
    let wrong = || format!("line {number}: \"{value}\" is no time; iCalendar has 20261125T020000Z, or a zone as TZID");
    let (text, is_utc) = value.strip_suffix('Z').map_or((value, false), |text| (text, true));
    let format = if text.contains('T') { "%Y%m%dT%H%M%S" } else { "%Y%m%d" };
    let civil = match format {
        "%Y%m%d" => jiff::civil::Date::strptime(format, text).map(|date| date.to_datetime(jiff::civil::Time::midnight())),
        _ => DateTime::strptime(format, text),
    };
    let civil = civil.map_err(|_| wrong())?;
    let zone = parameters.split(';').find_map(|parameter| parameter.strip_prefix("TZID=")).map(|zone| zone.trim_matches('"'));
    let zone = match zone {
        Some(name) if !is_utc => TimeZone::get(name).map_err(|_| {
            format!("line {number}: the time zone \"{name}\" is not known; give one such as Europe/Berlin, or UTC")
        })?,
        _ => TimeZone::UTC,
    };
    let at: Timestamp = civil.to_zoned(zone).map_err(|_| wrong())?.timestamp();
    Ok(at.as_microsecond())
}

/// `PT2H`, `P1D`.
fn duration(value: &str, number: usize) -> Result<i64, String> {
    let wrong = || format!("line {number}: \"{value}\" is no duration; iCalendar has PT2H or P1D");
    let span: jiff::Span = value.parse().map_err(|_| wrong())?;
    let length = span.to_duration(DateTime::constant(2026, 1, 1, 0, 0, 0, 0)).map_err(|_| wrong())?;
    if length < SignedDuration::ZERO { Err(wrong()) } else { Ok(length.as_micros().min(i64::MAX as i128) as i64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn calendars_are_read_with_zones_folds_and_durations() {
        let text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;TZID=Europe/Berlin:20261125T030000\r\nDTEND:20261125T040000Z\r\n\
                    SUMMARY:Maintenance of fra-\r\n pni-1\\, night\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nDTSTART:20261126T000000Z\r\n\
                    DURATION:PT2H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let plans = parse_calendar(text, &["fra-pni-1".into(), "fra-pni-2".into()]).unwrap();
        let expected = [
            (at("2026-11-25T02:00:00Z"), at("2026-11-25T04:00:00Z"), vec![Name::from("fra-pni-1")]),
            (at("2026-11-26T00:00:00Z"), at("2026-11-26T02:00:00Z"), vec![]),
        ];
        let got: Vec<_> = plans.iter().map(|plan| (plan.from_us, plan.to_us, plan.connections.clone())).collect();
        assert_eq!(got, expected);
        let plans = Plans(plans);
        assert!(plans.of(at("2026-11-25T03:12:00Z"), ["fra-pni-1"].into_iter()).is_some());
        assert!(plans.of(at("2026-11-25T03:12:00Z"), ["fra-pni-2"].into_iter()).is_none());
        assert!(plans.of(at("2026-11-26T01:00:00Z"), ["fra-pni-2"].into_iter()).is_some(), "work that names none is of all");
        assert!(plans.of(at("2026-11-26T03:00:00Z"), ["fra-pni-2"].into_iter()).is_none());
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let whole = |inner: &str| format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{inner}\nEND:VEVENT\nEND:VCALENDAR\n");
        for (text, part) in [
            ("hello".to_owned(), "line 1: this is no iCalendar file"),
            (whole("DTSTART:yesterday"), "line 3: \"yesterday\" is no time"),
            (whole("DTSTART;TZID=Mars/Base:20261125T030000"), "line 3: the time zone \"Mars/Base\""),
            (whole("SUMMARY:x"), "line 4: an event ends here that has no DTSTART"),
            (whole("DTSTART:20261125T030000Z\nDTEND:20261124T030000Z"), "before its DTSTART"),
            (whole("DTSTART:20261125T030000Z\nDURATION:long"), "line 4: \"long\" is no duration"),
        ] {
            let error = parse_calendar(&text, &[]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
