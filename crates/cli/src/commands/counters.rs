//! Flows against interface counters, for `peerscope peerings check`.

use std::path::Path;

use measure::{Cause, Comparison, Hour};
use model::tables::PortRow;
use model::time::SECOND_US;
use peering::{Finding, FindingKind};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{Heading, number, text};

/// Of [`hours`].
pub(crate) const HOURS: &[Heading] = &[
    text("port"),
    text("direction"),
    text("hour"),
    number("windows"),
    number("flow_bps"),
    number("counter_bps"),
    number("ratio"),
    text("cause"),
];

/// How far back flows are compared with counters.
const COMPARED_US: i64 = 24 * 3_600 * SECOND_US;

/// Flows against counters in the last day that there is.
pub(crate) fn compared(data: &Path) -> Result<Vec<Comparison>, Failure> {
    let Some(last_us) = store::last_us::<PortRow>(data).map_err(Failure::failed)? else { return Ok(Vec::new()) };
    let found = store::read::<PortRow>(data, last_us - COMPARED_US, i64::MAX).map_err(Failure::failed)?;
    found.damaged.iter().for_each(|damaged| tracing::warn!("{damaged}"));
    Ok(measure::reconcile(&found.rows))
}

const fn cause_name(cause: Option<Cause>) -> &'static str {
    match cause {
        None => "fits",
        Some(Cause::SamplingRate) => "sampling_rate",
        Some(Cause::CountedTwice) => "counted_twice",
        Some(Cause::OneSided) => "one_sided",
        Some(Cause::NoFlows) => "no_flows",
        Some(Cause::FirstPath) => "first_path",
        Some(Cause::CacheOverflow) => "cache_overflow",
        Some(Cause::Unknown) => "unknown",
    }
}

/// Each port, direction and hour.
pub(crate) fn hours(compared: &[Comparison]) -> Vec<Vec<Value>> {
    let rows = compared.iter().flat_map(|comparison| comparison.hours.iter().map(move |hour| (comparison, hour)));
    let row = |(comparison, hour): (&Comparison, &Hour)| {
        let rate = |bits: f64, seconds: f64| if seconds > 0.0 { json!((bits / seconds).round()) } else { Value::Null };
        let start = jiff::Timestamp::from_microsecond(hour.start_us).map_or_else(|_| String::new(), |at| at.to_string());
        vec![
            json!(&*comparison.port),
            json!(&*comparison.direction),
            json!(start),
            json!(hour.windows),
            rate(hour.flow_bits, hour.seconds),
            rate(hour.counter_bits + hour.silent_bits, hour.seconds + hour.silent_seconds),
            hour.ratio().map_or(Value::Null, |ratio| json!((ratio * 1_000.0).round() / 1_000.0)),
            json!(cause_name(comparison.cause)),
        ]
    };
    rows.map(row).collect()
}

/// A finding where flows and counters do not fit.
pub(crate) fn flows_differ(comparison: &Comparison) -> Option<Finding> {
    let subject = format!("{} {}", comparison.port, comparison.direction);
    let finding = |text: String| Some(Finding { kind: FindingKind::FlowsDiffer, subject, text });
    let first_path;
    let ratios: Vec<f64> = comparison.hours.iter().filter_map(Hour::ratio).collect();
    let (least, most) = ratios.iter().fold((f64::MAX, 0.0_f64), |(least, most), ratio| (least.min(*ratio), most.max(*ratio)));
    let because = match comparison.cause? {
        Cause::NoFlows => return finding(no_flows(comparison)),
        Cause::FirstPath => {
            first_path = format!(
                "as much as those of {} besides its own, of which flows tell nothing: likely the router exports the first of \
                 equal paths as output interface; have it export the one that a packet leaves by, or meter at these ports",
                comparison.others.join(", ")
            );
            &first_path
        }
        Cause::SamplingRate => {
            "by one factor throughout: the sampling rate is likely wrong; compare what `inspect` shows with the router's own, \
             or give sampling of its [[port]] or [[exporter]]"
        }
        Cause::CountedTwice => {
            "twice as much: likely metered at ingress and egress both; give metering of its [[exporter]], or meter at one side"
        }
        Cause::OneSided => {
            "the other direction fits: likely its records do not name this interface (output interface 0), or it is metered \
             in one direction only"
        }
        Cause::CacheOverflow => {
            "the less the busier: likely the router's flow cache overflows or it polices samples; sample more sparsely"
        }
        Cause::Unknown => "not by one factor, nor with the load; `peerings check --counters` shows the hours",
    };
    let ratio = comparison.ratio()?;
    let text = format!("flows are {ratio:.2} of the counters ({least:.2} to {most:.2} by hour), {because}");
    finding(text)
}

/// How much flows do not tell.
fn no_flows(comparison: &Comparison) -> String {
    let sum = |of: fn(&Hour) -> f64| comparison.hours.iter().map(of).sum::<f64>();
    let mbps = sum(|hour| hour.silent_bits) / sum(|hour| hour.silent_seconds) / 1e6;
    format!(
        "counters show {mbps:.0} Mbit/s, and flows nothing: no record names this interface, or their sampling rate is not \
         known; meter at it, and have the router export the interface that a packet leaves by"
    )
}
