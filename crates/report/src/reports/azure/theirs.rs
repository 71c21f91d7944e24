//! An export of Azure Monitor's metrics: the answer of its REST API (`az monitor metrics list`), or CSV.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::Theirs;
use crate::{Range, ReportError};

/// Sums and counts of a step by metric, connection and what else tells series apart: session, traffic class.
type Steps = BTreeMap<(String, String, String), Vec<(f64, u32)>>;

/// Reads an export; rates of steps shorter than ours are averaged, of longer ones repeated is none.
pub(super) fn read(file: &Path, range: Range) -> Result<Theirs, ReportError> {
    let refused = |what: String| {
        let give = "give the JSON of az monitor metrics list, or CSV with TimeStamp, MetricName, ConnectionId, Average";
        ReportError::Usage(format!("{}: {what}; {give}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|error| refused(format!("it cannot be read: {error}")))?;
    let mut steps = Steps::new();
    if text.trim_start().starts_with(['{', '[']) {
        let value: Value = serde_json::from_str(&text).map_err(|error| refused(format!("it is no JSON: {error}")))?;
        of_json(&value, range, &mut steps);
    } else {
        of_csv(&text, range, &mut steps).map_err(refused)?;
    }
    let mut theirs = Theirs::new();
    for ((metric, connection, _), steps) in steps {
        let sums = theirs.entry((metric, connection)).or_insert_with(|| vec![f64::NAN; range.steps()]);
        // In time a series is averaged; series of a connection add up.
        for (sum, (rates, count)) in sums.iter_mut().zip(steps).filter(|(_, (_, count))| *count > 0) {
            *sum = rates / f64::from(count) + if sum.is_nan() { 0.0 } else { *sum };
        }
    }
    Ok(theirs)
}

fn enter(steps: &mut Steps, range: Range, (metric, connection, series): (&str, &str, &str), at: &str, average: f64) {
    let Some(step) = at.parse::<jiff::Timestamp>().ok().and_then(|at| range.step_of(at.as_microsecond())) else { return };
    let key = (metric.to_owned(), connection.to_owned(), series.to_owned());
    let series = steps.entry(key).or_insert_with(|| vec![(0.0, 0); range.steps()]);
    series[step].0 += average;
    series[step].1 += 1;
}

fn of_json(value: &Value, range: Range, steps: &mut Steps) {
    let metrics = value.get("value").and_then(Value::as_array).or_else(|| value.as_array());
    for metric in metrics.into_iter().flatten() {
        let Some(name) = metric.pointer("/name/value").and_then(Value::as_str) else { continue };
        for (number, series) in metric.get("timeseries").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let dimensions = series.get("metadatavalues").and_then(Value::as_array).into_iter().flatten();
            let of_connection = |dimension: &&Value| {
                dimension
                    .pointer("/name/value")
                    .and_then(Value::as_str)
                    .is_some_and(|name| name.eq_ignore_ascii_case("connectionid"))
            };
            let Some(connection) = dimensions.into_iter().find(of_connection).and_then(|one| one.get("value")?.as_str()) else {
                continue;
            };
            for point in series.get("data").and_then(Value::as_array).into_iter().flatten() {
                let at = point.get("timeStamp").and_then(Value::as_str);
                if let Some((at, average)) = at.zip(point.get("average").and_then(Value::as_f64)) {
                    enter(steps, range, (name, connection, &number.to_string()), at, average);
                }
            }
        }
    }
}

fn of_csv(text: &str, range: Range, steps: &mut Steps) -> Result<(), String> {
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
        if let Ok(rate) = cell(average).parse() {
            let series = others.iter().map(|place| cell(*place)).collect::<Vec<_>>().join(",");
            enter(steps, range, (cell(metric), cell(connection), &series), cell(at), rate);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_export_are_read() {
        let json = r#"{"value":[{"name":{"value":"EgressTrafficRate"},"unit":"BitsPerSecond","timeseries":[{"metadatavalues":
            [{"name":{"value":"connectionid"},"value":"c1"}],"data":[{"timeStamp":"1970-01-01T00:00:00Z","average":10.0},
            {"timeStamp":"1970-01-01T00:01:00Z","average":30.0},{"timeStamp":"1970-01-01T00:05:00Z"}]}]}]}"#;
        let csv = "TimeStamp,MetricName,ConnectionId,Average\n1970-01-01T00:00:00Z,EgressTrafficRate,c1,10\n\
                   1970-01-01T00:04:00Z,EgressTrafficRate,c1,30\n1970-01-01T00:09:00Z,EgressTrafficRate,c1,\n";
        let folder = tempfile::tempdir().unwrap();
        for text in [json, csv] {
            let file = folder.path().join("metrics");
            std::fs::write(&file, text).unwrap();
            let found = read(&file, Range::new(0, 600_000_000).unwrap()).unwrap();
            let rates = &found[&("EgressTrafficRate".to_owned(), "c1".to_owned())];
            assert!(rates[0] == 20.0 && rates[1].is_nan(), "{found:?}");
        }
        let sessions = "TimeStamp,MetricName,ConnectionId,SessionIp,Average\n1970-01-01T00:00:00Z,EgressTrafficRate,c1,192.0.2.1,10\n\
                        1970-01-01T00:00:00Z,EgressTrafficRate,c1,2001:db8::1,5\n";
        std::fs::write(folder.path().join("metrics"), sessions).unwrap();
        let found = read(&folder.path().join("metrics"), Range::new(0, 600_000_000).unwrap()).unwrap();
        assert_eq!(found[&("EgressTrafficRate".to_owned(), "c1".to_owned())][0], 15.0, "sessions add up");
        std::fs::write(folder.path().join("metrics"), "a,b\n").unwrap();
        assert!(
            read(&folder.path().join("metrics"), Range::new(0, 1).unwrap()).is_err_and(|e| e.to_string().contains("TimeStamp"))
        );
    }
}
