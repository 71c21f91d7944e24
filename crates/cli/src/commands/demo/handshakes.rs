//! Latency of mirrored connections beside the truth.

use std::path::Path;

use measure::Histogram;
use measure::judge::percentile;
use model::tables::LatencyRow;
use simulate::{Handshakes, Scenario};

use super::table::Table;
use crate::failure::Failure;

/// Round trips of each mirrored connection, in the times in which it is slower and in the others.
pub(super) fn table(data: &Path, mirrors: &[Handshakes], scenario: &Scenario) -> Result<Table, Failure> {
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
            .map(|slower| (scenario.at_us(slower.at_seconds), scenario.at_us(slower.at_seconds + slower.duration_seconds)))
            .collect();
        for (when, is_slow) in [("usual", false), ("slower", true)] {
            let fits = |at_us: i64| spans.iter().any(|(from, to)| (*from..*to).contains(&at_us)) == is_slow;
            let of = rows.iter().filter(|row| {
                &*row.connection == mirror.connection.as_str() && &*row.method == "handshake" && &*row.span == "edge_to_microsoft"
            });
            let measured = merged(of.filter(|row| fits(row.window_start.0)));
            let mut really: Vec<f64> =
                handshakes.round_trips_us().iter().filter(|(at_us, _)| fits(*at_us)).map(|(_, us)| *us as f64).collect();
            if !really.is_empty() {
                let told = |us: Option<f64>| us.map_or_else(|| "not known".to_owned(), |us| format!("{:.2}", us / 1e3));
                let quantile = |share| told(measured.quantile_us(share).map(|us| us as f64));
                table.rows.push(vec![
                    mirror.connection.clone(),
                    when.to_owned(),
                    measured.count().to_string(),
                    really.len().to_string(),
                    quantile(0.5),
                    told(percentile(&mut really, 0.5)),
                    quantile(0.99),
                    told(percentile(&mut really, 0.99)),
                ]);
            }
        }
    }
    Ok(table)
}

/// Histograms of rows, merged.
fn merged<'a>(rows: impl Iterator<Item = &'a LatencyRow>) -> Histogram {
    let mut merged = Histogram::default();
    for row in rows {
        for (us, count) in row.bucket_us.iter().flatten().zip(row.bucket_count.iter().flatten()) {
            merged.record(us.unsigned_abs(), count.unsigned_abs());
        }
    }
    merged
}
