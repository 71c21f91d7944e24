//! What minutes tell when they are published: how exporters fared, and how fast paths are.

use std::collections::BTreeMap;

use model::tables::{ExporterRow, LatencyRow};
use model::time::SECOND_US;
use model::{Name, Publication, Rows};
use web::Latency;

/// An exporter that was silent for longer is not shown any more.
const SHOWN_US: i64 = 24 * 3_600 * SECOND_US;
/// Latencies of longer ago are not of late.
const LATE_US: i64 = 900 * SECOND_US;
/// Exporters' domains and latencies that are kept; the tables have all.
const KEPT_MOST: usize = 20_000;

/// What a latency is of: connection, region, method, span.
type Path = (Name, Option<Name>, Name, Name);

/// The last row of each exporter's domain, and of each path.
#[derive(Default)]
pub(crate) struct Heard {
    by_domain: BTreeMap<(Name, i64, Name), ExporterRow>,
    by_path: BTreeMap<Path, (i64, Latency)>,
}

impl Heard {
    /// Takes in what is published.
    pub(crate) fn take(&mut self, due: &[Publication], now_us: i64) {
        for publication in due {
            match &publication.rows {
                Rows::Exporters(rows) => rows.iter().for_each(|row| self.take_exporter(row)),
                Rows::Latency(rows) => rows.iter().for_each(|row| self.take_latency(row)),
                _ => continue,
            }
            self.by_domain.retain(|_, row| row.window_start.0 > now_us - SHOWN_US);
            self.by_path.retain(|_, (start_us, _)| *start_us > now_us - LATE_US);
        }
    }

    fn take_exporter(&mut self, row: &ExporterRow) {
        let key = (row.exporter.clone(), row.domain, row.protocol.clone());
        if self.by_domain.len() < KEPT_MOST || self.by_domain.contains_key(&key) {
            self.by_domain.insert(key, row.clone());
        }
    }

    fn take_latency(&mut self, row: &LatencyRow) {
        let key = (row.connection.clone(), row.region.clone(), row.method.clone(), row.span.clone());
        let start_us = row.window_start.0;
        // Of a minute there may be several, by who opened the connection: the one with most samples stands for it.
        let held = self.by_path.get(&key);
        if held.is_some_and(|(at_us, held)| (*at_us, held.samples) > (start_us, row.samples))
            || held.is_none() && self.by_path.len() >= KEPT_MOST
        {
            return;
        }
        let latency = Latency {
            connection: row.connection.clone(),
            region: row.region.clone(),
            method: row.method.clone(),
            span: row.span.clone(),
            samples: row.samples,
            p50_us: row.p50_us.map(|us| us as f64),
            p95_us: row.p95_us.map(|us| us as f64),
            absent_reason: row.absent_reason.clone(),
        };
        self.by_path.insert(key, (start_us, latency));
    }

    /// All exporters' domains, by address.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &ExporterRow> {
        self.by_domain.values()
    }

    /// Latencies of late, by connection.
    pub(crate) fn latencies(&self) -> impl Iterator<Item = &Latency> {
        self.by_path.values().map(|(_, latency)| latency)
    }
}
