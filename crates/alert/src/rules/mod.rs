//! The rules: pure functions of what is observed and what they remember.

mod counters;
mod exporters;
mod flat_top;
mod others;
mod saturation;
mod silent;
mod trend;

use std::collections::BTreeMap;

use model::Name;
use model::time::SECOND_US;
use serde::{Deserialize, Serialize};

use crate::alert::Subject;
use crate::finding::Finding;
use crate::observed::Observed;
use crate::rule::Rules;
use crate::settings::AlertSettings;

/// After this long without a word of something, it is forgotten.
const FORGET_US: i64 = 86_400 * SECOND_US;
/// After this long without being judged, silence is counted anew.
const GAP_US: i64 = 60 * SECOND_US;

/// What rules remember from one time to the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    ports: BTreeMap<Subject, flat_top::Shape>,
    links: BTreeMap<Subject, silent::Usual>,
    exporters: BTreeMap<Name, exporters::Heard>,
    /// When it was looked last, and since when without a gap.
    last_us: i64,
    since_us: i64,
}

/// All findings of a moment.
pub(crate) fn find(observed: &Observed, memory: &mut Memory, rules: &Rules, settings: &AlertSettings) -> Vec<Finding> {
    let now_us = observed.now_us;
    if !(0..=GAP_US).contains(&now_us.saturating_sub(memory.last_us)) {
        memory.since_us = now_us;
    }
    memory.last_us = now_us;
    let mut found = Vec::new();
    saturation::find(observed, rules, settings, &mut found);
    trend::find(observed, &mut found);
    flat_top::find(observed, &mut memory.ports, &mut found);
    counters::find(observed, &mut found);
    silent::find(observed, &mut memory.links, &mut found);
    exporters::find(observed, &mut memory.exporters, memory.since_us, &mut found);
    others::find(observed, &mut found);
    for finding in &mut found {
        // A share of nothing is no number.
        finding.value = finding.value.filter(|value| value.is_finite());
    }
    memory.ports.retain(|_, shape| shape.is_remembered(now_us));
    memory.links.retain(|_, usual| usual.is_remembered(now_us));
    memory.exporters.retain(|_, heard| heard.is_remembered(now_us));
    found
}

/// Whether something that was seen last at `seen_us` is still remembered.
fn is_remembered(seen_us: i64, now_us: i64) -> bool {
    now_us.saturating_sub(seen_us) < FORGET_US
}
