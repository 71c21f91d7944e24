//! Latency as active probes write it, a JSON document a line: plain objects, RIPE Atlas' pings, Azure Monitor's metrics.

use model::latency::{End, Span};
use serde_json::{Map, Value};

/// Depth of a document beyond which nothing is looked for.
const DEPTH_MAX: usize = 8;
/// Values of one line that are taken.
const VALUES_MAX: usize = 4_096;
/// Larger ones are no latency, µs.
const VALUE_US_MAX: f64 = 3_600e6;
/// Keys of values in a plain object, and microseconds of their units.
const VALUES: [(&str, f64); 6] =
    [("rtt_us", 1.0), ("rtt_ms", 1e3), ("latency_us", 1.0), ("latency_ms", 1e3), ("delay_us", 1.0), ("delay_ms", 1e3)];
/// Azure's metrics of latency, in milliseconds, measured by Microsoft.
const METRICS: [&str; 3] = ["ConnectivityProbeLatency", "RoundTripTime", "RegisteredPrefixLatency"];

/// When something was measured, as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// Microseconds since 1970.
    Us(i64),
    /// A date and time.
    Text(String),
}

/// What a line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probed {
    /// When; `None` where it does not say.
    pub at: Option<Moment>,
    /// The connection, where it says one.
    pub connection: Option<String>,
    /// Azure's region, likewise.
    pub region: Option<String>,
    /// What was measured, likewise.
    pub span: Option<Span>,
    /// Who asked, likewise.
    pub initiator: Option<End>,
    /// Single values, µs.
    pub values_us: Vec<u64>,
    /// Of several that are not told singly: how many, and their mean, least and largest, µs.
    pub summary: Option<(u64, f64, Option<u64>, Option<u64>)>,
}

/// What a line says of latency; nothing if it speaks of other things.
///
/// # Errors
///
/// If it is not JSON: why.
pub fn parse_line(line: &str) -> Result<Vec<Probed>, String> {
    let document: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    collect(&document, 0, &mut found);
    Ok(found)
}

fn collect(value: &Value, depth: usize, found: &mut Vec<Probed>) {
    match value {
        Value::Array(documents) if depth < DEPTH_MAX => documents.iter().for_each(|one| collect(one, depth + 1, found)),
        Value::Object(document) => match document.get("records") {
            // Azure's diagnostic settings write many metrics at once.
            Some(records @ Value::Array(_)) => collect(records, depth + 1, found),
            _ => found.extend(object(document)),
        },
        _ => {}
    }
}

fn object(document: &Map<String, Value>) -> Option<Probed> {
    let text = |keys: &[&str]| keys.iter().find_map(|key| document.get(*key)?.as_str()).map(str::to_owned);
    let named = |key: &str| document.get(key).and_then(Value::as_str);
    let mut probed = Probed {
        at: ["time", "timestamp", "timeStamp", "TimeGenerated"].iter().find_map(|key| moment(document.get(*key)?)),
        connection: text(&["connection"]),
        region: text(&["region", "azureRegion"]),
        span: named("span").and_then(|name| Span::ALL.iter().copied().find(|span| span.name() == name)),
        initiator: named("initiator").and_then(|name| End::ALL.iter().copied().find(|end| end.name() == name)),
        ..Probed::default()
    };
    let metric = text(&["metricName", "MetricName"]).filter(|name| METRICS.contains(&name.as_str()));
    if metric.is_some() {
        probed.initiator = probed.initiator.or(Some(End::Microsoft));
        probed.summary = summary(document, ["count", "average", "minimum", "maximum"], 1e3);
    } else if let (Some("ping"), Some(Value::Array(results))) = (named("type"), document.get("result")) {
        probed.values_us = results.iter().filter_map(|one| micros(one.get("rtt")?, 1e3)).take(VALUES_MAX).collect();
    } else {
        for (key, unit_us) in VALUES {
            match document.get(key) {
                Some(Value::Array(values)) => {
                    probed.values_us.extend(values.iter().filter_map(|value| micros(value, unit_us)).take(VALUES_MAX));
                }
                Some(value) => probed.values_us.extend(micros(value, unit_us)),
                None => {}
            }
        }
        probed.summary = [("us", 1.0), ("ms", 1e3)].into_iter().find_map(|(unit, unit_us)| {
            let keys = ["mean", "min", "max"].map(|key| format!("{key}_{unit}"));
            summary(document, ["samples", &keys[0], &keys[1], &keys[2]], unit_us)
        });
    }
    (!probed.values_us.is_empty() || probed.summary.is_some()).then_some(probed)
}

/// Count (1 if it is not told), mean, least and largest under these keys.
fn summary(
    document: &Map<String, Value>,
    [count, mean, least, most]: [&str; 4],
    unit_us: f64,
) -> Option<(u64, f64, Option<u64>, Option<u64>)> {
    let mean_us = micros(document.get(mean)?, unit_us)? as f64;
    let samples = document.get(count).and_then(Value::as_f64).map_or(1, |count| count as u64);
    let bound = |key: &str| micros(document.get(key)?, unit_us);
    (samples > 0).then(|| (samples, mean_us, bound(least), bound(most)))
}

/// A value in µs; `None` where it is none, or absurd: Atlas writes -1 for what was lost.
fn micros(value: &Value, unit_us: f64) -> Option<u64> {
    let us = value.as_f64()? * unit_us;
    (0.0..=VALUE_US_MAX).contains(&us).then(|| us.round() as u64)
}

fn moment(value: &Value) -> Option<Moment> {
    crate::readings::time_us(value).map(Moment::Us).or_else(|| value.as_str().map(|text| Moment::Text(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn one(line: &str) -> Probed {
        let mut found = parse_line(line).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn plain_objects_with_values_or_a_summary() {
        let probed = one(
            r#"{"time":1793577600,"connection":"fra-1","region":"westeurope","span":"one_way","initiator":"customer","delay_us":[700,"x",-1,800]}"#,
        );
        assert_eq!(probed.at, Some(Moment::Us(1_793_577_600_000_000)));
        assert_eq!((probed.connection.as_deref(), probed.region.as_deref()), (Some("fra-1"), Some("westeurope")));
        assert_eq!((probed.span, probed.initiator), (Some(Span::OneWay), Some(End::Customer)));
        assert_eq!(probed.values_us, [700, 800]);
        let probed = one(r#"{"time":"2026-11-02T00:00:00Z","rtt_ms":1.5,"samples":20,"mean_ms":2,"min_ms":1,"max_ms":9}"#);
        assert_eq!(probed.at, Some(Moment::Text("2026-11-02T00:00:00Z".to_owned())));
        assert_eq!((probed.values_us, probed.summary), (vec![1_500], Some((20, 2_000.0, Some(1_000), Some(9_000)))));
    }

    #[test]
    fn pings_of_ripe_atlas() {
        let probed = one(
            r#"{"af":4,"dst_addr":"13.107.4.52","prb_id":1,"timestamp":1793577600,"type":"ping","result":[{"rtt":3.25},{"x":"*"},{"rtt":3.5}]}"#,
        );
        assert_eq!((probed.values_us, probed.initiator), (vec![3_250, 3_500], None));
    }

    #[test]
    fn metrics_of_azure_monitor() {
        let line = r#"{"records":[{"time":"2026-11-02T00:00:00Z","metricName":"ConnectivityProbeLatency","count":4,"total":48,"minimum":11,"maximum":14,"average":12,"timeGrain":"PT1M"},
            {"time":"2026-11-02T00:00:00Z","metricName":"EgressTrafficRate","average":1}]}"#;
        let probed = one(line);
        assert_eq!(probed.summary, Some((4, 12_000.0, Some(11_000), Some(14_000))));
        assert_eq!(probed.initiator, Some(End::Microsoft));
    }

    #[test]
    fn what_speaks_of_other_things_is_passed_over() {
        for line in ["{}", "[]", "7", r#"{"rtt_ms":1e300}"#, r#"{"type":"traceroute","result":[{"rtt":1}]}"#] {
            assert_eq!(parse_line(line), Ok(vec![]), "{line}");
        }
        assert!(parse_line("{").is_err());
    }
}
