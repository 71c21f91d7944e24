//! What is to be said in words: of the whole, and of an exporter.

use model::tables::ExporterRow;
use model::time::SECOND_US;

use crate::snapshot::Snapshot;
use crate::status::Status;

/// An exporter whose last whole minute is older is silent.
const SILENT_US: i64 = 180 * SECOND_US;

/// The state of things in a few words, the worst first.
pub(crate) fn verdict(snapshot: &Snapshot) -> Vec<String> {
    let peerings = snapshot.connections.iter().filter(|connection| connection.is_peering);
    let mut counts = [0; Status::ALL.len()];
    let mut all = 0;
    for connection in peerings {
        counts[connection.status as usize] += 1;
        all += 1;
    }
    let count = |status: Status| counts[status as usize];
    let mut words = Vec::new();
    for (status, what) in [
        (Status::Down, "down"),
        (Status::Full, "full"),
        (Status::Hot, "above 80 %"),
        (Status::Unsafe, "whose failure the others would not hold"),
        (Status::Unknown, "of unknown load"),
        (Status::Half, "past the 50 % line"),
    ] {
        if count(status) > 0 {
            words.push(format!("{} {what}", count(status)));
        }
    }
    if snapshot.connections.is_empty() {
        words.push("No telemetry of Microsoft's traffic has come yet".to_owned());
    } else if all == 0 {
        words.push("No peering connection is configured: links are shown as the telemetry names them".to_owned());
    } else if words.is_empty() {
        words.push(if all == 1 { "The connection is fine".to_owned() } else { format!("All {all} connections are fine") });
    }
    words
}

/// What is wrong with an exporter, in a sentence each.
pub(crate) fn faults(row: &ExporterRow, at_us: i64) -> Vec<String> {
    let mut faults = Vec::new();
    let until_us = row.window_start.0 + row.window_seconds * SECOND_US;
    if at_us - until_us > SILENT_US {
        faults.push(format!("Silent for {} min.", (at_us - until_us) / (60 * SECOND_US)));
    }
    if let Some(coverage) = row.coverage_ratio.filter(|coverage| *coverage < 0.95) {
        faults.push(format!("Only {:.1} % of what it sent came.", coverage * 100.0));
    }
    if row.rate_unknown_records > 0 {
        faults.push(format!("{} records without a sampling rate: send the sampler options.", row.rate_unknown_records));
    }
    if row.is_clock_refused {
        faults.push("Its clock is absurd or unstable: times of reception are used.".to_owned());
    }
    if let Some(offset) = row.clock_offset_ms.filter(|offset| offset.abs() > 5_000.0 && !row.is_clock_refused) {
        faults.push(format!("Its clock is {:.0} s off.", offset / 1e3));
    }
    if row.undecodable > 0 {
        faults.push(format!("{} sets could not be decoded.", row.undecodable));
    }
    if let Some(share) = row.out_interface_unknown_ratio.filter(|share| *share > 0.05) {
        faults.push(format!("Output interface unknown for {:.0} % of its records.", share * 100.0));
    }
    if let Some(seconds) = row.active_timeout_s.filter(|seconds| *seconds > 120) {
        faults.push(format!("Active timeout {seconds} s: loads come late and peaks are flattened; set 60 s."));
    }
    faults
}
