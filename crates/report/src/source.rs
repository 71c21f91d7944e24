//! Where tables are had from: data folders, one a collector, or what fetches such.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::table::Row;

use crate::ReportError;

/// Has tables; a data folder a collector.
pub trait Source: Send + Sync {
    /// What it is called in messages.
    fn name(&self) -> String;

    /// Whether there are any tables.
    fn has_tables(&self) -> bool;

    /// Start of the first hour that a table has, and end of its last, µs since 1970; `None` if it has none.
    ///
    /// # Errors
    ///
    /// If it cannot be asked.
    fn extent(&self, table: &'static str) -> Result<Option<(i64, i64)>, ReportError>;

    /// Data folders that hold what there is of a table within a range, each with its collector's name.
    ///
    /// # Errors
    ///
    /// If it cannot be had.
    fn folders(&self, table: &'static str, from_us: i64, to_us: i64) -> Result<Vec<(String, PathBuf)>, ReportError>;

    /// What could not be had, a sentence each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A source that is shared by whoever asks.
#[derive(Clone)]
pub struct Tables(Arc<dyn Source>);

impl Tables {
    /// The tables of a source.
    pub fn of(source: impl Source + 'static) -> Tables {
        Tables(Arc::new(source))
    }

    /// The tables of data folders on this machine.
    pub fn in_folders(folders: &[PathBuf]) -> Tables {
        Tables::of(Folders(folders.to_vec()))
    }

    /// Start of the last window of a table, by what is known of its files; `None` if it has none.
    ///
    /// # Errors
    ///
    /// If it cannot be asked.
    pub fn last_window_us(&self, table: &'static str) -> Result<Option<i64>, ReportError> {
        let Some((_, end_us)) = self.extent(table)? else { return Ok(None) };
        let mut last_us = None;
        for (_, folder) in self.folders(table, end_us.saturating_sub(model::time::HOUR_US), end_us)? {
            last_us = last_us.max(store::last_window_us(&folder, table)?);
        }
        Ok(last_us)
    }

    /// Rows of a table with `from_us <= window_start < to_us`, collector by collector.
    pub(crate) fn read<R: Row>(&self, from_us: i64, to_us: i64) -> Result<Vec<R>, ReportError> {
        let mut rows = Vec::new();
        for (_, folder) in self.folders(R::TABLE, from_us, to_us)? {
            rows.extend(store::read::<R>(&folder, from_us, to_us)?.rows);
        }
        Ok(rows)
    }
}

impl std::ops::Deref for Tables {
    type Target = dyn Source;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl From<&Path> for Tables {
    fn from(folder: &Path) -> Tables {
        Tables::in_folders(&[folder.to_path_buf()])
    }
}

impl From<&PathBuf> for Tables {
    fn from(folder: &PathBuf) -> Tables {
        Tables::from(folder.as_path())
    }
}

impl From<&Tables> for Tables {
    fn from(tables: &Tables) -> Tables {
        tables.clone()
    }
}

/// Data folders on this machine.
struct Folders(Vec<PathBuf>);

impl Source for Folders {
    fn name(&self) -> String {
        // Of several only those that have no tables are worth a word.
        let empty: Vec<_> = self.0.iter().filter(|folder| !store::has_tables(folder)).collect();
        let folders = if empty.is_empty() { self.0.iter().collect() } else { empty };
        folders.into_iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn has_tables(&self) -> bool {
        self.0.iter().all(|folder| store::has_tables(folder))
    }

    fn extent(&self, table: &'static str) -> Result<Option<(i64, i64)>, ReportError> {
        let mut extent: Option<(i64, i64)> = None;
        for folder in &self.0 {
            if let Some((from_us, to_us)) = store::extent(folder, table)? {
                extent = Some(extent.map_or((from_us, to_us), |(from, to)| (from.min(from_us), to.max(to_us))));
            }
        }
        Ok(extent)
    }

    fn folders(&self, _: &'static str, _: i64, _: i64) -> Result<Vec<(String, PathBuf)>, ReportError> {
        Ok(self.0.iter().map(|folder| (folder.display().to_string(), folder.clone())).collect())
    }
}
