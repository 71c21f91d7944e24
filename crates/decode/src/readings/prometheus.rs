//! Prometheus' text format, as snmp_exporter answers with it.

use std::collections::BTreeMap;

use super::{Reading, Scalar};

/// Interfaces of one answer; routers have some thousands.
const INTERFACES_MAX: usize = 65_536;

/// What an answer says of interfaces, by the labels `ifIndex` and `ifName` (or `ifDescr`); it has no time.
pub fn parse_exposition(text: &str) -> Vec<Reading> {
    let mut readings: BTreeMap<(Option<u32>, Option<String>), Reading> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((metric, labels, value)) = split(line) else { continue };
        let label = |name: &str| labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.clone());
        let index = label("ifIndex").and_then(|index| index.parse().ok());
        let name = label("ifName").filter(|name| !name.is_empty()).or_else(|| label("ifDescr"));
        if index.is_none() && name.is_none() || readings.len() >= INTERFACES_MAX {
            continue;
        }
        let reading = readings.entry((index, name.clone())).or_default();
        (reading.index, reading.name) = (index, name);
        reading.take(metric, &value);
    }
    readings.into_values().filter(Reading::is_useful).collect()
}

type Labels<'a> = Vec<(&'a str, String)>;

/// `metric{label="value",…} number [time]`.
fn split(line: &str) -> Option<(&str, Labels<'_>, Scalar)> {
    let (metric, rest) = line.split_once('{')?;
    let (labels, rest) = labels(rest)?;
    let number: f64 = rest.split_whitespace().next()?.parse().ok()?;
    Some((metric.trim(), labels, Scalar::float(number)))
}

/// The labels up to the closing brace, and what stands behind it. Values may have escapes.
fn labels(mut rest: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (mut value, mut is_escaped, mut end) = (String::new(), false, None);
        for (at, c) in quoted.char_indices() {
            match c {
                'n' if is_escaped => value.push('\n'),
                _ if is_escaped => value.push(c),
                '\\' => {}
                '"' => {
                    end = Some(at);
                    break;
                }
                _ => value.push(c),
            }
            is_escaped = c == '\\' && !is_escaped;
        }
        labels.push((name.trim(), value));
        rest = &quoted[end? + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_snmp_exporter() {
        let text = r#"# HELP ifHCInOctets The total number of octets received
# TYPE ifHCInOctets counter
ifHCInOctets{ifAlias="to \"MSFT\", fra",ifDescr="xe-0/0/0",ifIndex="513",ifName="xe-0/0/0"} 1.234567890123e+12
ifHCOutOctets{ifAlias="",ifDescr="xe-0/0/0",ifIndex="513",ifName="xe-0/0/0"} 42
ifHCInUcastPkts{ifIndex="513",ifName="xe-0/0/0"} 10
ifHCInMulticastPkts{ifIndex="513",ifName="xe-0/0/0"} 1
ifHighSpeed{ifIndex="513",ifName="xe-0/0/0"} 100000
ifOperStatus{ifIndex="513",ifName="xe-0/0/0"} 1
ifOutDiscards{ifIndex="514",ifName="xe-0/0/1"} 9
sysUpTime 123
broken{ifIndex="5
ifHCInOctets{ifIndex="6"} NaN
"#;
        let readings = parse_exposition(text);
        assert_eq!(readings.len(), 2);
        let (first, second) = (&readings[0].counters, &readings[1]);
        assert_eq!((readings[0].index, readings[0].name.as_deref()), (Some(513), Some("xe-0/0/0")));
        assert_eq!((first.in_octets, first.out_octets), (Some(1_234_567_890_123), Some(42)));
        assert_eq!((first.in_packets, first.speed_bps, first.oper_up), (Some(11), Some(100_000_000_000), Some(true)));
        assert_eq!((second.index, second.counters.out_discards), (Some(514), Some(9)));
    }
}
