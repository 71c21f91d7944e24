//! Exporters: silent ones, and ones of which too little comes.

use std::collections::BTreeMap;

use model::Name;
use model::time::SECOND_US;
use serde::{Deserialize, Serialize};

use crate::alert::Subject;
use crate::finding::Finding;
use crate::kind::Kind;
use crate::observed::{ExporterMinute, Observed};

/// What is remembered of an exporter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Heard {
    /// End of the last minute in which something came.
    last_us: i64,
    /// When it was last among those that cover connections.
    covering_us: i64,
}

impl Heard {
    pub(super) fn is_remembered(&self, now_us: i64) -> bool {
        super::is_remembered(self.covering_us, now_us)
    }
}

/// Only those that cover connections: whatever sends from any address is not worth an alert when it ends.
pub(super) fn find(observed: &Observed, heard: &mut BTreeMap<Name, Heard>, since_us: i64, found: &mut Vec<Finding>) {
    let now_us = observed.now_us;
    for exporter in &observed.covering {
        heard.entry(exporter.clone()).or_default().covering_us = now_us;
    }
    for minute in &observed.exporters {
        if let Some(heard) = heard.get_mut(&minute.exporter) {
            if minute.datagrams > 0 {
                heard.last_us = heard.last_us.max(minute.end_us);
            }
            found.push(coverage(minute));
        }
    }
    // An exporter that never sent is a matter of `peerings check`.
    for (exporter, heard) in heard.iter().filter(|(_, heard)| heard.last_us > 0) {
        let silent_us = now_us.saturating_sub(heard.last_us.max(since_us)).max(0);
        let seconds = silent_us as f64 / SECOND_US as f64;
        let subject = Subject { exporter: Some(exporter.clone()), ..Subject::default() };
        let text = format!("{exporter} has sent nothing for {seconds:.0} s: its connections are not seen");
        found.push(Finding::new(Kind::ExporterSilent, subject, now_us, Some(seconds), text));
    }
}

fn coverage(minute: &ExporterMinute) -> Finding {
    let subject = Subject { exporter: Some(minute.exporter.clone()), ..Subject::default() };
    let percent = minute.coverage_ratio.map(|ratio| ratio * 100.0);
    let text = format!("{:.1} % of what {} sends is received and decoded", percent.unwrap_or(0.0), minute.exporter);
    Finding::new(Kind::Coverage, subject, minute.end_us, percent, text)
}
