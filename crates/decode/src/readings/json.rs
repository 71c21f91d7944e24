//! A line of JSON: gnmic's `event` and `json` formats, Telegraf's `json`, or one plain object.

use serde_json::{Map, Value};

use super::{Reading, Scalar, device};

/// Depth of a document beyond which nothing is looked for.
const DEPTH_MAX: usize = 8;
/// Tags that name the device, best first.
const SOURCES: [&str; 6] = ["exporter", "source", "agent_host", "target", "device", "host"];
/// Tags that name the interface, best first.
const NAMES: [&str; 6] = ["ifName", "interface_name", "interface", "name", "ifDescr", "port"];

/// What a line says of interfaces, in the order in which it does; nothing if it speaks of other things.
///
/// # Errors
///
/// If it is not JSON: why.
pub fn parse_line(line: &str) -> Result<Vec<Reading>, String> {
    let document: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let mut readings = Vec::new();
    collect(&document, 0, &mut readings);
    Ok(readings)
}

fn collect(value: &Value, depth: usize, readings: &mut Vec<Reading>) {
    match value {
        Value::Array(documents) if depth < DEPTH_MAX => documents.iter().for_each(|one| collect(one, depth + 1, readings)),
        Value::Object(document) => object(document, depth, readings),
        _ => {}
    }
}

fn object(document: &Map<String, Value>, depth: usize, readings: &mut Vec<Reading>) {
    // Telegraf's batch format.
    if let Some(metrics @ Value::Array(_)) = document.get("metrics") {
        return collect(metrics, depth + 1, readings);
    }
    // gnmic's format json: a notification with its updates.
    if let Some(Value::Array(updates)) = document.get("updates") {
        return notification(document, updates, readings);
    }
    let mut reading = Reading::default();
    reading.counters.at_us = ["timestamp", "time"].iter().find_map(|key| time_us(document.get(*key)?)).unwrap_or(0);
    let tags = document.get("tags").and_then(Value::as_object).unwrap_or(document);
    identify(&mut reading, tags);
    let values = ["fields", "values"].iter().find_map(|key| document.get(*key)?.as_object()).unwrap_or(document);
    take_all(&mut reading, values);
    if reading.is_useful() {
        readings.push(reading);
    }
}

/// Who it is of, by tags.
fn identify(reading: &mut Reading, tags: &Map<String, Value>) {
    let text =
        |key: &&str| tags.get(*key).and_then(|value| if let Value::String(text) = value { Some(text.as_str()) } else { None });
    reading.source = SOURCES.iter().find_map(text).map(device).unwrap_or_default();
    reading.name = NAMES.iter().find_map(text).map(str::to_owned);
    reading.index = tags.get("ifIndex").and_then(scalar).and_then(|value| value.number()).and_then(|index| index.try_into().ok());
}

fn take_all(reading: &mut Reading, values: &Map<String, Value>) {
    for (name, value) in values {
        let last = name.rsplit(['/', ':']).next().unwrap_or(name);
        if let Some(value) = scalar(value) {
            if last == "ifIndex" || last == "ifindex" {
                reading.index = reading.index.or(value.number().and_then(|index| index.try_into().ok()));
            } else if matches!((last, &value), ("ifName", Scalar::Word(_))) && reading.name.is_none() {
                reading.name = if let Scalar::Word(word) = value { Some(word) } else { None };
            } else {
                reading.take(last, &value);
            }
        }
    }
}

/// Updates of one moment, joined by the interface that their paths name.
fn notification(document: &Map<String, Value>, updates: &[Value], readings: &mut Vec<Reading>) {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let (source, prefix) = (device(text("source")), text("prefix"));
    let at_us = document.get("timestamp").and_then(time_us).unwrap_or(0);
    let first = readings.len();
    for update in updates.iter().filter_map(Value::as_object) {
        let path = ["Path", "path"].iter().find_map(|key| update.get(*key)?.as_str()).unwrap_or_default();
        let Some(name) = interface_of(prefix).or_else(|| interface_of(path)) else { continue };
        let mut reading = Reading { source: source.clone(), name: Some(name.to_owned()), ..Reading::default() };
        reading.counters.at_us = at_us;
        if let Some(values) = update.get("values").and_then(Value::as_object) {
            take_all(&mut reading, values);
            // A whole subtree stands under its path.
            values.values().filter_map(Value::as_object).for_each(|subtree| take_all(&mut reading, subtree));
        }
        let known = readings[first..].iter_mut().find(|known| known.name == reading.name);
        match known {
            Some(known) => known.join(reading),
            None => readings.push(reading),
        }
    }
    let mut place = 0;
    readings.retain(|reading| {
        place += 1;
        place <= first || reading.is_useful()
    });
}

/// The name in `…/interface[name=ethernet-1/1]/…`.
fn interface_of(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("interface[name=")?;
    rest.split_once(']').map(|(name, _)| name)
}

fn scalar(value: &Value) -> Option<Scalar> {
    match value {
        Value::Number(number) => Some(match number.as_u64() {
            Some(whole) => Scalar::Number(whole as f64, Some(whole)),
            None => Scalar::float(number.as_f64()?),
        }),
        Value::String(text) => Some(Scalar::word(text)),
        Value::Bool(is_true) => Some(Scalar::Word(is_true.to_string())),
        _ => None,
    }
}

/// A time since 1970, whose unit its size tells: seconds, milli-, micro- or nanoseconds.
pub(crate) fn time_us(value: &Value) -> Option<i64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    let us = match number {
        n if n < 1e11 => n * 1e6,
        n if n < 1e14 => n * 1e3,
        n if n < 1e17 => n,
        n => n / 1e3,
    };
    (us > 0.0 && us < 9e18).then_some(us as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn one(line: &str) -> Reading {
        let mut readings = parse_line(line).unwrap();
        assert_eq!(readings.len(), 1, "{readings:?}");
        readings.remove(0)
    }

    #[track_caller]
    fn check(reading: &Reading, source: &str, name: Option<&str>, index: Option<u32>, at_us: i64, octets: (u64, u64)) {
        let counters = &reading.counters;
        assert_eq!((reading.source.as_str(), reading.name.as_deref(), reading.index), (source, name, index));
        assert_eq!((counters.at_us, counters.in_octets, counters.out_octets), (at_us, Some(octets.0), Some(octets.1)));
    }

    #[test]
    fn gnmic_events() {
        let reading = one(
            r#"[{"name":"port","timestamp":1793577600123456789,"tags":{"interface_name":"ethernet-1/1","source":"192.0.2.1:57400","subscription-name":"port"},
            "values":{"/interfaces/interface/state/counters/in-octets":"100","/interfaces/interface/state/counters/out-octets":200,
            "/interfaces/interface/state/counters/in-unicast-pkts":7,"/interfaces/interface/state/counters/in-multicast-pkts":"2",
            "/interfaces/interface/state/oper-status":"UP","/interfaces/interface/state/counters/in-discards":3}}]"#,
        );
        check(&reading, "192.0.2.1", Some("ethernet-1/1"), None, 1_793_577_600_123_456, (100, 200));
        let counters = reading.counters;
        assert_eq!((counters.in_packets, counters.out_packets), (Some(9), None));
        assert_eq!((counters.oper_up, counters.in_discards), (Some(true), Some(3)));
    }

    #[test]
    fn gnmic_notifications() {
        let reading = one(
            r#"{"source":"[2001:db8::1]:57400","subscription-name":"a","timestamp":1793577600000000000,"time":"2026-11-02T00:00:00Z",
            "prefix":"interfaces/interface[name=xe-0/0/0]","updates":[{"Path":"state/counters","values":{"state/counters":{"in-octets":"5","out-octets":"6"}}},
            {"Path":"ethernet/state/port-speed","values":{"ethernet/state/port-speed":"openconfig-if-ethernet:SPEED_100GB"}}]}"#,
        );
        check(&reading, "2001:db8::1", Some("xe-0/0/0"), None, 1_793_577_600_000_000, (5, 6));
        assert_eq!(reading.counters.speed_bps, Some(100_000_000_000));
    }

    #[test]
    fn telegraf_metrics() {
        let metric = r#"{"fields":{"ifHCInOctets":11,"ifHCOutOctets":12,"ifInOctets":1,"ifOperStatus":2,"ifHighSpeed":10000,"ifInErrors":4},
            "name":"interface","tags":{"agent_host":"192.0.2.9","host":"poller","ifName":"ae1","ifIndex":"513"},"timestamp":1793577600}"#;
        let reading = one(metric);
        check(&reading, "192.0.2.9", Some("ae1"), Some(513), 1_793_577_600_000_000, (11, 12));
        assert_eq!((reading.counters.oper_up, reading.counters.speed_bps), (Some(false), Some(10_000_000_000)));
        assert_eq!(parse_line(&format!("{{\"metrics\":[{metric},{metric}]}}")).unwrap().len(), 2);
    }

    #[test]
    fn a_plain_object() {
        let reading =
            one(r#"{"exporter":"r1","ifIndex":7,"time":1793577600000,"in_octets":1,"out_octets":"2","oper_status":"up"}"#);
        check(&reading, "r1", None, Some(7), 1_793_577_600_000_000, (1, 2));
    }

    #[test]
    fn what_speaks_of_other_things_is_passed_over() {
        for line in ["{}", "[]", "1", r#"{"fields":{"usage_idle":98.1},"name":"cpu","tags":{"host":"a"},"timestamp":1}"#] {
            assert_eq!(parse_line(line), Ok(vec![]), "{line}");
        }
        // Of 32 bits.
        assert_eq!(parse_line(r#"{"ifName":"a","ifInOctets":5}"#), Ok(vec![]));
        assert!(parse_line("{\"a\":").is_err());
        assert!(parse_line(&"[".repeat(100_000)).is_err());
    }
}
