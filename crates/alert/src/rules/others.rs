//! What others judged already: failures to come, failovers, AS12076, latency, troubles of the collector.

use crate::alert::Subject;
use crate::finding::{Finding, called, rate};
use crate::kind::Kind;
use crate::observed::{Event, ExpressRoute, FailureOutcome, Latency, Observed};

pub(super) fn find(observed: &Observed, found: &mut Vec<Finding>) {
    found.extend(observed.failures.iter().map(|outcome| n_minus_1(outcome, observed.now_us)));
    found.extend(observed.events.iter().map(|event| failover(event, observed.now_us)));
    found.extend(observed.express_routes.iter().map(as12076));
    found.extend(observed.latencies.iter().map(latency));
    for (what, sentence) in &observed.troubles {
        let subject = Subject { detail: Some(what.clone()), ..Subject::default() };
        found.push(Finding::new(Kind::Trouble, subject, observed.now_us, Some(1.0), sentence.clone()));
    }
}

fn n_minus_1(outcome: &FailureOutcome, now_us: i64) -> Finding {
    let percent = outcome.utilisation * 100.0;
    let text = format!("if {} failed now, {} would be {percent:.0} % full", called(&outcome.subject), outcome.survivor);
    Finding::new(Kind::NMinus1, outcome.subject.clone(), now_us, Some(percent), text).with_error(outcome.standard_error * 100.0)
}

fn failover(event: &Event, now_us: i64) -> Finding {
    let value = if event.is_open { 1.0 } else { 0.0 };
    let text = format!("{} (event {})", event.summary, event.id);
    // It began when it began, and is told at once.
    let at_us = if event.is_open { event.started_us } else { now_us };
    Finding::new(Kind::Failover, event.subject.clone(), at_us, Some(value), text)
}

fn as12076(route: &ExpressRoute) -> Finding {
    let text = format!(
        "{} carries {} of AS12076 (ExpressRoute): a peer must not accept its routes",
        called(&route.subject),
        rate(route.bps)
    );
    Finding::new(Kind::As12076, route.subject.clone(), route.end_us, Some(route.bps / 1e6), text)
        .with_error(route.standard_error_bps / 1e6)
}

fn latency(latency: &Latency) -> Finding {
    let percent = (latency.p95_us / latency.usual_us - 1.0) * 100.0;
    let text = format!(
        "{}: 95 % of its round trips take up to {:.1} ms, last week {:.1} ms",
        called(&latency.subject),
        latency.p95_us / 1e3,
        latency.usual_us / 1e3
    );
    Finding::new(Kind::Latency, latency.subject.clone(), latency.end_us, percent.is_finite().then_some(percent), text)
}
