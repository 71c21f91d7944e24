//! The `links` report: what each connection carried over a range, both directions.

use std::collections::BTreeMap;
use std::path::Path;

use model::Name;
use model::tables::LinkRow;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{Format, Heading, number, print_rows, text};

const HEADINGS: &[Heading] = &[
    text("connection"),
    text("role"),
    text("location"),
    text("direction"),
    number("mean_mbps"),
    number("standard_error_mbps"),
    number("peak_mbps"),
    number("utilisation_peak"),
    number("samples"),
    number("coverage"),
    text("matched_by"),
];

/// What the rows of one connection and direction add up to.
#[derive(Default)]
struct Sum {
    role: Option<Name>,
    location: Option<Name>,
    matched_by: Option<Name>,
    windows: u32,
    windows_known: u32,
    bits: f64,
    variance: f64,
    seconds: f64,
    peak_bps: Option<f64>,
    utilisation: Option<f64>,
    samples: i64,
    coverage: Option<f64>,
}

/// Prints what the links of a data folder carried between two instants.
pub(crate) fn print(data: &Path, from_us: i64, to_us: i64, format: Format) -> Result<(), Failure> {
    let found = store::read::<LinkRow>(data, from_us, to_us).map_err(Failure::failed)?;
    for damaged in &found.damaged {
        eprintln!("{damaged}");
    }
    let rows = found.rows;
    if rows.is_empty() {
        return Err(Failure::failed(format!("{}: no rows of the table links in this range", data.display())));
    }
    let mut sums: BTreeMap<(Name, Name), Sum> = BTreeMap::new();
    for row in &rows {
        add(sums.entry((row.connection.clone(), row.direction.clone())).or_default(), row);
    }
    let cells: Vec<Vec<Value>> = sums.iter().map(|((connection, direction), sum)| cells(connection, direction, sum)).collect();
    print_rows(HEADINGS, &cells, format)
}

fn add(sum: &mut Sum, row: &LinkRow) {
    sum.role = Some(row.role.clone());
    sum.location = row.location.clone();
    sum.matched_by = row.matched_by.clone().or(sum.matched_by.take());
    sum.windows += 1;
    sum.samples += row.samples;
    if let (Some(mean), Some(error)) = (row.mean_bps, row.standard_error_bps) {
        let seconds = row.window_seconds as f64;
        sum.windows_known += 1;
        sum.seconds += seconds;
        sum.bits += mean * seconds;
        sum.variance += (error * seconds).powi(2);
    }
    sum.peak_bps = largest(sum.peak_bps, row.peak_bps);
    sum.utilisation = largest(sum.utilisation, row.utilisation_ratio);
    sum.coverage = match (sum.coverage, row.coverage_ratio) {
        (Some(least), Some(ratio)) => Some(least.min(ratio)),
        (known, None) => known,
        (None, ratio) => ratio,
    };
}

fn largest(so_far: Option<f64>, value: Option<f64>) -> Option<f64> {
    match (so_far, value) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

fn cells(connection: &Name, direction: &Name, sum: &Sum) -> Vec<Value> {
    let mbps = |bps: f64| json!((bps / 1e4).round() / 1e2);
    let is_known = sum.windows_known > 0;
    vec![
        json!(**connection),
        json!(sum.role.as_deref()),
        json!(sum.location.as_deref()),
        json!(**direction),
        if is_known { mbps(sum.bits / sum.seconds) } else { Value::Null },
        if is_known { mbps(sum.variance.sqrt() / sum.seconds) } else { Value::Null },
        sum.peak_bps.map_or(Value::Null, mbps),
        sum.utilisation.map_or(Value::Null, |ratio| json!((ratio * 1e3).round() / 1e3)),
        json!(sum.samples),
        sum.coverage.map_or(Value::Null, |ratio| json!((ratio * 1e4).round() / 1e4)),
        json!(sum.matched_by.as_deref()),
    ]
}
