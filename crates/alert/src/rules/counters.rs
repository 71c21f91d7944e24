//! Flows against counters: which of the two is wrong nobody knows here, only that one is.

use crate::finding::{Finding, called, rate};
use crate::kind::Kind;
use crate::observed::{Load, Observed};

/// Bins over which they are compared: five minutes, of which so many must have both.
const BINS: usize = 30;
const BINS_LEAST: usize = 20;
/// Below this load by counters nothing is compared, bit/s: what is not IP is much of an idle port's load.
const LOAD_LEAST_BPS: f64 = 1e7;

pub(super) fn find(observed: &Observed, found: &mut Vec<Finding>) {
    found.extend(observed.ports.iter().filter(|port| port.is_active).map(|port| differ(port, observed.now_us)));
}

fn differ(port: &Load, now_us: i64) -> Finding {
    let subject = port.subject.clone();
    let name = called(&subject);
    let both = port.bins.iter().rev().filter_map(|bin| Some((bin.end_us(), bin.flow_load()?, bin.counter_wire_bps?)));
    let both: Vec<_> = both.take(BINS).collect();
    let count = both.len() as f64;
    let (flows, variance, counters) =
        both.iter().fold((0.0, 0.0, 0.0), |sum, (_, (bps, variance), counter)| (sum.0 + bps, sum.1 + variance, sum.2 + counter));
    let is_known =
        both.len() >= BINS_LEAST && both.first().is_some_and(|(end_us, ..)| now_us - end_us <= port.timeout_us + 300_000_000);
    if !is_known || counters / count < LOAD_LEAST_BPS {
        let value = is_known.then_some(0.0);
        return Finding::new(
            Kind::CountersDiffer,
            subject,
            now_us,
            value,
            format!("{name}: flows and counters cannot be compared"),
        );
    }
    let percent = (flows / counters - 1.0) * 100.0;
    let text = format!(
        "{name}: flows show {} and counters {}: {percent:+.0} %; see peerscope peerings check --counters for why",
        rate(flows / count),
        rate(counters / count)
    );
    Finding::new(Kind::CountersDiffer, subject, now_us, Some(percent.abs()), text).with_error(variance.sqrt() / counters * 100.0)
}
