//! Rows of the table `latency`.

use std::collections::BTreeSet;

use model::latency::{End, Method, Span};
use model::table::Timestamp;
use model::tables::LatencyRow;
use model::time::{SECOND_US, WINDOW_US};

use super::cells::{LatencyKey, Sight, Values};
use super::hdr;
use crate::owner::Owner;

impl Owner {
    /// The rows of a window, in the order of their keys; a row with the reason for each method that saw a link
    /// and could measure nothing.
    pub(crate) fn latency_rows(&self, window_us: i64) -> Vec<LatencyRow> {
        let Some(window) = self.state.windows.get(&window_us) else { return Vec::new() };
        // What found no room may have left its key.
        let values = || window.latency.values.iter().filter(|(_, values)| values.samples > 0);
        let mut rows: Vec<LatencyRow> = values().map(|(key, values)| self.latency_row(window_us, key, values)).collect();
        let links_of = |key: &LatencyKey| [Some(key.link), key.return_link].map(|link| link.map(|link| (link, key.method)));
        let measured: BTreeSet<(u32, Method)> = values().flat_map(|(key, _)| links_of(key)).flatten().collect();
        let absent = window.latency.sights.iter().filter(|(of, _)| !measured.contains(*of));
        rows.extend(absent.map(|((link, method), sight)| self.absent_row(window_us, *link, *method, *sight)));
        rows.sort_by(|a, b| order(a).cmp(&order(b)));
        rows
    }

    fn latency_row(&self, window_us: i64, key: &LatencyKey, values: &Values) -> LatencyRow {
        let histogram = &values.histogram;
        let is_whole = histogram.count() == values.samples && values.samples > 0;
        let quantile = |share: f64| histogram.quantile_us(share).filter(|_| is_whole);
        let whole = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
        // A bucket's end may lie beyond the largest value.
        let most = values.max_us.map(whole);
        let percentile = |share: f64| quantile(share).map(|us| most.map_or(us, |most| us.min(most)));
        LatencyRow {
            window_start: Timestamp(window_us),
            window_seconds: WINDOW_US / SECOND_US,
            connection: self.link(key.link).name.clone(),
            return_connection: key.return_link.map(|link| self.link(link).name.clone()),
            region: key.region.clone(),
            method: key.method.name().into(),
            span: key.span.name().into(),
            initiator: key.initiator.map(|end| end.name().into()),
            element: key.element.clone(),
            derivation: Some(key.derivation.name().into()),
            samples: whole(values.samples),
            mean_us: (values.samples > 0).then(|| values.sum_us as f64 / values.samples as f64),
            min_us: values.min_us.map(whole),
            p50_us: percentile(0.5),
            p90_us: percentile(0.9),
            p95_us: percentile(0.95),
            p99_us: percentile(0.99),
            max_us: most,
            bucket_us: is_whole.then(|| histogram.buckets().map(|(bucket, _)| bucket).collect()),
            bucket_count: is_whole.then(|| histogram.buckets().map(|(_, count)| count).collect()),
            hdr: hdr::encode(histogram).filter(|_| is_whole),
            absent_reason: None,
        }
    }

    /// The row of a link of which a method could tell nothing: of the span and initiator that are asked for most.
    fn absent_row(&self, window_us: i64, link: u32, method: Method, sight: Sight) -> LatencyRow {
        LatencyRow {
            window_start: Timestamp(window_us),
            window_seconds: WINDOW_US / SECOND_US,
            connection: self.link(link).name.clone(),
            return_connection: None,
            region: None,
            method: method.name().into(),
            span: Span::EdgeToMicrosoft.name().into(),
            initiator: Some(End::Customer.name().into()),
            element: None,
            derivation: None,
            samples: 0,
            mean_us: None,
            min_us: None,
            p50_us: None,
            p90_us: None,
            p95_us: None,
            p99_us: None,
            max_us: None,
            bucket_us: None,
            bucket_count: None,
            hdr: None,
            absent_reason: Some(sight.absence(method).name().into()),
        }
    }
}

/// What rows of a window are told apart by.
fn order(row: &LatencyRow) -> impl Ord + '_ {
    let way = (&row.connection, &row.return_connection, &row.region);
    (way, &row.method, &row.span, &row.initiator, &row.element, &row.derivation)
}
