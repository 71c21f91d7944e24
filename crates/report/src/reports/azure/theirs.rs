//! An export of Azure Monitor's metrics: the answer of its REST API (`az monitor metrics list`), or CSV.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::range::STEP_US;
use crate::{Range, ReportError};

/// Largest export that is read.
const BYTES_MOST: u64 = 512 << 20;

/// What Azure Monitor says of connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Theirs {
    /// Rates by metric and connection.
    pub(super) rates: BTreeMap<(String, String), Rates>,
    /// What could not be taken.
    pub(super) notes: Vec<String>,
}

/// Rates of a connection in our steps of five minutes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rates {
    /// bit/s, at the step in which each figure begins; else not a number.
    pub(super) bps: Vec<f64>,
    /// Steps that a figure is the mean of: 12, where there is one an hour.
    pub(super) each: usize,
}

/// Rates by their instant, µs; by metric, connection and what else tells series apart: session, traffic class.
type Points = BTreeMap<(String, String, String), BTreeMap<i64, f64>>;

/// What files have.
#[derive(Default)]
struct Export {
    points: Points,
    /// Figures whose time cannot be read.
    untimed: usize,
    /// Series that do not say which connection they are of.
    of_nobody: usize,
}

/// Reads exports. Figures of less than five minutes are averaged; those of more stay as they are.
pub(super) fn read(files: &[PathBuf], range: Range) -> Result<Theirs, ReportError> {
    let mut export = Export::default();
    for file in files {
        let refused = |what: String| {
            let give = "give the JSON of az monitor metrics list, or CSV with TimeStamp, MetricName, ConnectionId, Average";
            ReportError::Usage(format!("{}: {what}; {give}", file.display()))
        };
        let text = read_text(file).map_err(refused)?;
        if text.trim_start().starts_with(['{', '[']) {
            let value: Value = serde_json::from_str(&text).map_err(|error| refused(format!("it is no JSON: {error}")))?;
            export.add_json(&value);
        } else {
            export.add_csv(&text).map_err(refused)?;
        }
    }
    Ok(export.over(range))
}

fn read_text(file: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("it cannot be read: {error}");
    if std::fs::metadata(file).map_err(cannot)?.len() > BYTES_MOST {
        return Err(format!("it is larger than {} MiB", BYTES_MOST >> 20));
    }
    std::fs::read_to_string(file).map_err(cannot)
}

/// An instant as Azure writes it; one without a zone is UTC.
fn instant(text: &str) -> Option<i64> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    Some(text.parse::<Timestamp>().ok().or_else(civil)?.as_microsecond())
}

impl Export {
    fn enter(&mut self, (metric, connection, series): (&str, &str, &str), at: &str, average: f64) {
        match instant(at) {
            Some(at_us) => {
                let key = (metric.to_owned(), connection.to_owned(), series.to_owned());
                self.points.entry(key).or_default().insert(at_us, average);
            }
            None => self.untimed += 1,
        }
    }

    fn add_json(&mut self, value: &Value) {
        let metrics = value.get("value").and_then(Value::as_array).or_else(|| value.as_array());
        for metric in metrics.into_iter().flatten() {
            let Some(name) = metric.pointer("/name/value").and_then(Value::as_str) else { continue };
            for series in metric.get("timeseries").and_then(Value::as_array).into_iter().flatten() {
                let mut dimensions: BTreeMap<String, &str> = BTreeMap::new();
                for dimension in series.get("metadatavalues").and_then(Value::as_array).into_iter().flatten() {
                    let name = dimension.pointer("/name/value").and_then(Value::as_str);
                    if let Some((name, value)) = name.zip(dimension.get("value").and_then(Value::as_str)) {
                        dimensions.insert(name.to_ascii_lowercase(), value);
                    }
                }
                let Some(connection) = dimensions.remove("connectionid") else {
                    self.of_nobody += 1;
                    continue;
                };
                let others = dimensions.into_values().collect::<Vec<_>>().join(",");
                for point in series.get("data").and_then(Value::as_array).into_iter().flatten() {
                    let at = point.get("timeStamp").and_then(Value::as_str);
                    if let Some((at, average)) = at.zip(point.get("average").and_then(Value::as_f64)) {
                        self.enter((name, connection, &others), at, average);
                    }
                }
            }
        }
    }

    fn add_csv(&mut self, text: &str) -> Result<(), String> {
        let mut lines = text.trim_start_matches('\u{feff}').lines();
        let cells = |line: &str| line.split(',').map(|cell| cell.trim().trim_matches('"').to_owned()).collect::<Vec<_>>();
        let names: Vec<String> = cells(lines.next().unwrap_or_default());
        let place = |wanted: &str| {
            let found = names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
            found.ok_or_else(|| format!("its first line names no column {wanted}"))
        };
        let (at, metric, connection, average) =
            (place("TimeStamp")?, place("MetricName")?, place("ConnectionId")?, place("Average")?);
        let others: Vec<usize> = ["SessionIp", "TrafficClass"].into_iter().filter_map(|name| place(name).ok()).collect();
        for line in lines {
            let cells = cells(line);
            let cell = |place: usize| cells.get(place).map_or("", String::as_str);
            if let Some(rate) = cell(average).parse().ok().filter(|rate: &f64| rate.is_finite()) {
                let series = others.iter().map(|place| cell(*place)).collect::<Vec<_>>().join(",");
                self.enter((cell(metric), cell(connection), &series), cell(at), rate);
            }
        }
        Ok(())
    }

    /// What of it lies in a range.
    fn over(self, range: Range) -> Theirs {
        let mut theirs = Theirs { rates: BTreeMap::new(), notes: self.notes(range) };
        let step_us = |points: &BTreeMap<i64, f64>| points.keys().zip(points.keys().skip(1)).map(|(a, b)| b - a).min();
        for ((metric, connection, _), points) in &self.points {
            let each = step_us(points).map_or(1, |us| usize::try_from(us / STEP_US).unwrap_or(1).max(1));
            let mut steps = vec![(0.0, 0_u32); range.steps()];
            for (at_us, bps) in points {
                if let Some(step) = range.step_of(*at_us) {
                    steps[step].0 += bps;
                    steps[step].1 += 1;
                }
            }
            if steps.iter().all(|(_, count)| *count == 0) {
                continue;
            }
            let means = steps.into_iter().map(|(sum, count)| if count > 0 { sum / f64::from(count) } else { f64::NAN });
            // Series of a connection add up; where one of them is not known the sum is not either.
            match theirs.rates.entry((metric.clone(), connection.clone())) {
                std::collections::btree_map::Entry::Vacant(entry) => _ = entry.insert(Rates { bps: means.collect(), each }),
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    entry.get_mut().bps.iter_mut().zip(means).for_each(|(sum, mean)| *sum += mean);
                }
            }
        }
        theirs
    }

    fn notes(&self, range: Range) -> Vec<String> {
        let mut notes = Vec::new();
        let instants = || self.points.values().flat_map(BTreeMap::keys).copied();
        if let Some((first, last)) = instants().min().zip(instants().max())
            && !instants().any(|at_us| range.step_of(at_us).is_some())
        {
            let at = |at_us: i64| Timestamp::from_microsecond(at_us).map_or_else(|_| at_us.to_string(), |at| at.to_string());
            notes.push(format!("Azure's figures are from {} to {}: none lies in the range", at(first), at(last)));
        }
        if self.untimed > 0 {
            notes.push(format!("{} of Azure's figures have a time that cannot be read: they are left out", self.untimed));
        }
        if self.of_nobody > 0 {
            let ask = "ask Azure with --filter \"ConnectionId eq '*'\"";
            notes.push(format!("{} of Azure's series do not say which connection they are of: {ask}", self.of_nobody));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an export of this text has of the first ten minutes of 1970 and, with `steps`, of more.
    fn found(text: &str, steps: i64) -> Result<Theirs, ReportError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metrics");
        std::fs::write(&file, text).unwrap();
        read(&[file], Range::new(0, steps * STEP_US).unwrap())
    }

    fn rates(theirs: &Theirs) -> &Rates {
        &theirs.rates[&("EgressTrafficRate".to_owned(), "c1".to_owned())]
    }

    #[test]
    fn both_forms_of_an_export_are_read() {
        let json = r#"{"value":[{"name":{"value":"EgressTrafficRate"},"unit":"BitsPerSecond","timeseries":[{"metadatavalues":
            [{"name":{"value":"connectionid"},"value":"c1"}],"data":[{"timeStamp":"1970-01-01T00:00:00Z","average":10.0},
            {"timeStamp":"1970-01-01T00:01:00Z","average":30.0},{"timeStamp":"1970-01-01T00:05:00Z"}]}]}]}"#;
        let csv = "TimeStamp,MetricName,ConnectionId,Average\n1970-01-01T00:00:00Z,EgressTrafficRate,c1,10\n\
                   1970-01-01 00:04:00,EgressTrafficRate,c1,30\n1970-01-01T00:09:00Z,EgressTrafficRate,c1,\n";
        for text in [json, csv] {
            let found = found(text, 2).unwrap();
            let rates = rates(&found);
            assert!(rates.bps[0] == 20.0 && rates.bps[1].is_nan() && rates.each == 1 && found.notes.is_empty(), "{found:?}");
        }
        assert!(found("a,b\n", 1).is_err_and(|error| error.to_string().contains("TimeStamp")));
    }

    #[test]
    fn series_of_a_connection_add_up_where_all_are_known() {
        let line = |minute: u32, session: &str, rate: u32| {
            format!("1970-01-01T00:{minute:02}:00Z,EgressTrafficRate,c1,{session},{rate}\n")
        };
        let lines = [line(0, "192.0.2.1", 10), line(0, "2001:db8::1", 5), line(5, "192.0.2.1", 10)].concat();
        let found = found(&format!("TimeStamp,MetricName,ConnectionId,SessionIp,Average\n{lines}"), 2).unwrap();
        assert!(rates(&found).bps[0] == 15.0 && rates(&found).bps[1].is_nan(), "{found:?}");
    }

    #[test]
    fn figures_of_an_hour_say_so_and_what_cannot_be_taken_is_told() {
        let csv = "TimeStamp,MetricName,ConnectionId,Average\n1970-01-01T00:00:00Z,EgressTrafficRate,c1,10\n\
                   1970-01-01T01:00:00Z,EgressTrafficRate,c1,30\nnoon,EgressTrafficRate,c1,1\n";
        let hourly = found(csv, 24).unwrap();
        assert_eq!((rates(&hourly).each, rates(&hourly).bps[12]), (12, 30.0));
        assert!(hourly.notes[0].contains("1 of Azure's figures"), "{hourly:?}");
        let later = read(&[], Range::new(0, STEP_US).unwrap()).unwrap();
        assert_eq!(later, Theirs::default());
        let nobodys = r#"{"value":[{"name":{"value":"EgressTrafficRate"},"timeseries":[{"metadatavalues":[],"data":[]}]}]}"#;
        assert!(found(nobodys, 1).unwrap().notes[0].contains("ConnectionId eq '*'"));
    }
}
