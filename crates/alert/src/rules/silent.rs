//! Connections on which nearly nothing comes any more, beside what they usually carry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::Subject;
use crate::average::{judged, over};
use crate::finding::{Finding, called, rate};
use crate::kind::Kind;
use crate::observed::{Load, Observed};

/// Bins over which the load of now is averaged: a minute.
const BINS: usize = 6;
/// Minutes after which what is usual is known, and over which it is averaged at most: some six hours.
const MINUTES_LEAST: f64 = 10.0;
const MINUTES_MOST: f64 = 360.0;
/// Below this nothing is usual, bit/s.
const USUAL_LEAST_BPS: f64 = 1e6;
/// What is below this share of the usual load is not taken into it: silence must not become usual.
const LEARN_SHARE: f64 = 0.05;

/// What a connection usually carries.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Usual {
    bps: f64,
    minutes: f64,
    seen_us: i64,
}

impl Usual {
    pub(super) fn is_remembered(&self, now_us: i64) -> bool {
        super::is_remembered(self.seen_us, now_us)
    }

    fn learn(&mut self, bps: f64, end_us: i64) {
        if self.minutes >= MINUTES_LEAST && bps < self.bps * LEARN_SHARE || end_us < self.seen_us + 60_000_000 {
            return;
        }
        self.minutes = (self.minutes + 1.0).min(MINUTES_MOST);
        self.bps += (bps - self.bps) / self.minutes;
        self.seen_us = end_us;
    }
}

pub(super) fn find(observed: &Observed, usuals: &mut BTreeMap<Subject, Usual>, found: &mut Vec<Finding>) {
    for link in observed.links.iter().filter(|link| link.is_active && link.is_peering()) {
        let usual = usuals.entry(link.subject.clone()).or_default();
        found.push(silent(link, usual, observed.now_us));
    }
}

fn silent(link: &Load, usual: &mut Usual, now_us: i64) -> Finding {
    let subject = link.subject.clone();
    let name = called(&subject);
    let Some(average) = judged(link, now_us).and_then(|end| over(&link.bins[..end], BINS)) else {
        return Finding::new(Kind::ConnectionSilent, subject, now_us, None, format!("{name}: its load is not known"));
    };
    usual.learn(average.bps, average.end_us);
    if usual.minutes < MINUTES_LEAST || usual.bps < USUAL_LEAST_BPS {
        let text = format!("{name} carries little anyway");
        return Finding::new(Kind::ConnectionSilent, subject, average.end_us, Some(100.0), text);
    }
    let percent = |bps: f64| bps / usual.bps * 100.0;
    let text = format!("{name} carries {}; usual are {}", rate(average.bps), rate(usual.bps));
    Finding::new(Kind::ConnectionSilent, subject, average.end_us, Some(percent(average.bps)), text)
        .with_error(percent(average.error_bps))
}
