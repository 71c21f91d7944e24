//! Latency of mirrored connections beside the truth.

use std::collections::BTreeMap;
use std::path::Path;

use model::tables::LatencyRow;
use simulate::Handshakes;

use super::table::Table;
use crate::failure::Failure;

/// Round trips of each mirrored connection, in the times in which it is slower and in the others.
pub(super) fn table(data: &Path, mirrors: &[Handshakes], start_us: i64) -> Result<Table, Failure> {
    let mut table = Table::new(
        "From SYN to SYN-ACK on mirrored connections, ms; histograms of 3 digits",
        &["connection", "when", "handshakes", "true_handshakes", "p50", "true_p50", "p99", "true_p99"],
        2,
    );
    let rows = store::read::<LatencyRow>(data, i64::MIN, i64::MAX).map_err(Failure::failed)?.rows;
    for handshakes in mirrors {
        let mirror = handshakes.mirror();
        let spans: Vec<(i64, i64)> = mirror
            .slower
            .iter()
            .map(|slower| {
                let at = |seconds: f64| start_us + (seconds * 1e6) as i64;
                (at(slower.at_seconds), at(slower.at_seconds + slower.duration_seconds))
            })
            .collect();
        for (when, is_slow) in [("usual", false), ("slower", true)] {
            let fits = |at_us: i64| spans.iter().any(|(from, to)| (*from..*to).contains(&at_us)) == is_slow;
            let of = rows.iter().filter(|row| {
                &*row.connection == mirror.connection.as_str() && &*row.method == "handshake" && &*row.span == "edge_to_microsoft"
            });
            let measured = counts(of.filter(|row| fits(row.window_start.0)));
            let mut really: BTreeMap<i64, i64> = BTreeMap::new();
            for (_, us) in handshakes.round_trips_us().iter().filter(|(at_us, _)| fits(*at_us)) {
                *really.entry(*us).or_default() += 1;
            }
            if !really.is_empty() {
                let told = |counts: &BTreeMap<i64, i64>, share| {
                    quantile(counts, share).map_or_else(|| "not known".to_owned(), |us| format!("{:.2}", us as f64 / 1e3))
                };
                let (total, true_total): (i64, i64) = (measured.values().sum(), really.values().sum());
                table.rows.push(vec![
                    mirror.connection.clone(),
                    when.to_owned(),
                    total.to_string(),
                    true_total.to_string(),
                    told(&measured, 0.5),
                    told(&really, 0.5),
                    told(&measured, 0.99),
                    told(&really, 0.99),
                ]);
            }
        }
    }
    Ok(table)
}

/// Values and how often they came: histograms merged.
fn counts<'a>(rows: impl Iterator<Item = &'a LatencyRow>) -> BTreeMap<i64, i64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        let buckets = row.bucket_us.iter().flatten().zip(row.bucket_count.iter().flatten());
        buckets.for_each(|(us, count)| *counts.entry(*us).or_default() += count);
    }
    counts
}

/// By nearest rank.
fn quantile(counts: &BTreeMap<i64, i64>, share: f64) -> Option<i64> {
    let rank = (counts.values().sum::<i64>() as f64 * share).ceil() as i64;
    let mut passed = 0;
    counts.iter().find_map(|(us, count)| {
        passed += count;
        (passed >= rank.max(1)).then_some(*us)
    })
}
