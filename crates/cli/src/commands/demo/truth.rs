//! What the collector measured beside what the simulation knows.

use std::collections::BTreeMap;
use std::path::Path;

use model::tables::LinkRow;
use simulate::Truth;

use super::table::Table;
use crate::failure::Failure;

/// Each link's bytes over the whole run.
pub(super) fn table(data: &Path, truth: &Truth) -> Result<Table, Failure> {
    let mut table = Table::new(
        "Each link over the whole run, GB on the link layer",
        &["link", "direction", "true", "estimated", "standard_error", "difference_in_standard_errors"],
        2,
    );
    let rows = store::read::<LinkRow>(data, i64::MIN, i64::MAX).map_err(Failure::failed)?.rows;
    let mut sums: BTreeMap<(&str, &str), (f64, f64)> = BTreeMap::new();
    for row in &rows {
        let sum = sums.entry((&row.connection, &row.direction)).or_default();
        let bytes = |bps: Option<f64>| bps.unwrap_or(0.0) * row.window_seconds as f64 / 8.0;
        sum.0 += bytes(row.mean_bps);
        sum.1 += bytes(row.standard_error_bps).powi(2);
    }
    let gigabytes = |bytes: f64| format!("{:.1}", bytes / 1e9);
    for link in &truth.links {
        let (bytes, variance) = sums.get(&(link.link.as_str(), link.direction.as_str())).copied().unwrap_or_default();
        let (expected, error) = (link.total.l2_bytes as f64, variance.sqrt());
        let score = if error > 0.0 { format!("{:.2}", (bytes - expected) / error) } else { "-".to_owned() };
        table.rows.push(vec![
            link.link.clone(),
            link.direction.clone(),
            gigabytes(expected),
            gigabytes(bytes),
            gigabytes(error),
            score,
        ]);
    }
    Ok(table)
}
