//! What the tables tell, under the names of the API.

use serde::Serialize;

use crate::archive::{By, LoadColumns, Loads, Share, Shares};
use crate::view::{ms, whole};

/// The answer of `/api/v1/loads`.
#[derive(Serialize)]
pub(crate) struct LoadsView<'a> {
    connection: &'a str,
    capacity_bps: Option<f64>,
    from_ms: i64,
    step_seconds: i64,
    is_cut: bool,
    files_damaged: usize,
    to_microsoft: ColumnsView,
    from_microsoft: ColumnsView,
}

#[derive(Serialize)]
struct ColumnsView {
    mean_bps: Vec<Option<f64>>,
    standard_error_bps: Vec<Option<f64>>,
    peak_bps: Vec<Option<f64>>,
    utilisation_ratio: Vec<Option<f64>>,
    port_bps: Vec<Option<f64>>,
    port_counter_bps: Vec<Option<f64>>,
    port_discards: Vec<Option<f64>>,
    p95_bps: Option<f64>,
    p95_steps_known: usize,
}

impl<'a> LoadsView<'a> {
    pub(crate) fn of(connection: &'a str, capacity_bps: Option<f64>, loads: &Loads) -> LoadsView<'a> {
        let [to_microsoft, from_microsoft] = loads.ways.each_ref().map(ColumnsView::of);
        LoadsView {
            connection,
            capacity_bps,
            from_ms: ms(loads.from_us),
            step_seconds: loads.step_us / 1_000_000,
            is_cut: loads.is_cut,
            files_damaged: loads.files_damaged,
            to_microsoft,
            from_microsoft,
        }
    }
}

impl ColumnsView {
    fn of(columns: &LoadColumns) -> ColumnsView {
        let whole = |values: &[f64]| values.iter().map(|value| whole(*value)).collect();
        let ratio = |value: &f64| (!value.is_nan()).then(|| (value * 1e4).round() / 1e4);
        ColumnsView {
            mean_bps: whole(&columns.mean_bps),
            standard_error_bps: whole(&columns.standard_error_bps),
            peak_bps: whole(&columns.peak_bps),
            utilisation_ratio: columns.utilisation.iter().map(ratio).collect(),
            port_bps: whole(&columns.port_bps),
            port_counter_bps: whole(&columns.counter_bps),
            port_discards: whole(&columns.discards),
            p95_bps: columns.p95_bps.map(f64::round),
            p95_steps_known: columns.p95_steps_known,
        }
    }
}

/// The answer of `/api/v1/shares`: mean rates of IP bytes.
#[derive(Serialize)]
pub(crate) struct SharesView<'a> {
    connection: &'a str,
    by: &'static str,
    from_ms: i64,
    to_ms: i64,
    seconds_known: i64,
    is_cut: bool,
    files_damaged: usize,
    to_microsoft_bytes: f64,
    from_microsoft_bytes: f64,
    rows: Vec<ShareView<'a>>,
}

#[derive(Serialize)]
struct ShareView<'a> {
    name: Option<&'a str>,
    to_microsoft_bytes: f64,
    to_microsoft_standard_error_bytes: f64,
    from_microsoft_bytes: f64,
    from_microsoft_standard_error_bytes: f64,
}

impl<'a> SharesView<'a> {
    pub(crate) fn of(connection: &'a str, by: By, (from_us, to_us): (i64, i64), shares: &'a Shares) -> SharesView<'a> {
        let row = |share: &'a Share| ShareView {
            name: share.name.as_deref(),
            to_microsoft_bytes: share.bytes[0].round(),
            to_microsoft_standard_error_bytes: share.standard_error_bytes[0].round(),
            from_microsoft_bytes: share.bytes[1].round(),
            from_microsoft_standard_error_bytes: share.standard_error_bytes[1].round(),
        };
        SharesView {
            connection,
            by: by.name(),
            from_ms: ms(from_us),
            to_ms: ms(to_us),
            seconds_known: shares.seconds_known,
            is_cut: shares.is_cut,
            files_damaged: shares.files_damaged,
            to_microsoft_bytes: shares.total_bytes[0].round(),
            from_microsoft_bytes: shares.total_bytes[1].round(),
            rows: shares.rows.iter().map(row).collect(),
        }
    }
}
