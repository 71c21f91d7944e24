//! How exporters fared in their last whole minute.

use std::collections::BTreeMap;

use model::tables::ExporterRow;
use model::time::SECOND_US;
use model::{Name, Publication, Rows};

/// An exporter that was silent for longer is not shown any more.
const SHOWN_US: i64 = 24 * 3_600 * SECOND_US;
/// Exporters' domains that are kept; the `exporters` table has all.
const DOMAINS_MOST: usize = 20_000;

/// The last row of each exporter's domain.
#[derive(Default)]
pub(crate) struct Heard {
    by_domain: BTreeMap<(Name, i64, Name), ExporterRow>,
}

impl Heard {
    /// Takes in what is published.
    pub(crate) fn take(&mut self, due: &[Publication], now_us: i64) {
        for publication in due {
            let Rows::Exporters(rows) = &publication.rows else { continue };
            for row in rows {
                let key = (row.exporter.clone(), row.domain, row.protocol.clone());
                if self.by_domain.len() < DOMAINS_MOST || self.by_domain.contains_key(&key) {
                    self.by_domain.insert(key, row.clone());
                }
            }
            self.by_domain.retain(|_, row| row.window_start.0 > now_us - SHOWN_US);
        }
    }

    /// All of them, by address.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &ExporterRow> {
        self.by_domain.values()
    }
}
