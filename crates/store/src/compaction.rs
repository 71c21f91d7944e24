//! A finished hour becomes one file a table.
//!
//! The new folder is built in `DATA/.work`, which no reader looks into, and exchanged for the old
//! one in one step: at every moment a listing shows the rows once. A reader that listed the old
//! files and opens them after the exchange finds them gone and has to list again.

use std::path::{Path, PathBuf};

use model::table::{Row, Value};

use crate::layout::{HOUR_US, PARQUET, hour_folders};
use crate::manifest::Manifest;
use crate::store::{TABLES, WORK};
use crate::{Store, StoreError, files, reading};

/// How often to look for finished hours, microseconds.
const LOOK_EVERY_US: i64 = 60_000_000;

impl Store {
    /// Compacts the hours that ended long enough ago; gives how many folders there were.
    ///
    /// # Errors
    ///
    /// The first one met; the parts of that hour then still stand, and the other hours are done.
    pub fn compact(&mut self, now_us: i64) -> Result<usize, StoreError> {
        if now_us < self.compaction_due_us {
            return Ok(0);
        }
        self.compaction_due_us = now_us.saturating_add(LOOK_EVERY_US);
        let limit_us = now_us.saturating_sub(self.settings.compact_after_seconds * 1_000_000);
        let (mut compacted, mut first_error) = (0, None);
        for (table, compact_hour) in TABLES {
            for (hour_us, folder) in hour_folders(&self.data, table)? {
                let manifest = Manifest::load(&folder)?;
                if hour_us + HOUR_US <= limit_us && !manifest.is_compacted && !manifest.files.is_empty() {
                    match compact_hour(self, &folder) {
                        Ok(()) => compacted += 1,
                        Err(error) => first_error = first_error.or(Some(error)),
                    }
                }
            }
        }
        first_error.map_or(Ok(compacted), Err)
    }

    /// Makes one file of an hour's parts. A part that cannot be read stays where it is, and so does the hour.
    pub(crate) fn compact_hour<R: Row>(&self, folder: &Path) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        for path in Manifest::load(folder)?.paths(folder) {
            let part = reading::read_file::<R>(&path).map_err(|reason| StoreError::Format { path: path.clone(), reason })?;
            rows.extend(part);
        }
        self.replace_hour(folder, &rows)
    }

    /// Puts a window's revised rows into an hour that has been compacted.
    pub(crate) fn revise_compacted<R: Row + Clone>(&self, folder: &Path, start_us: i64, revised: &[R]) -> Result<(), StoreError> {
        let mut rows: Vec<R> = Vec::new();
        for path in Manifest::load(folder)?.paths(folder) {
            let kept = reading::read_file::<R>(&path).map_err(|reason| StoreError::Format { path: path.clone(), reason })?;
            rows.extend(kept.into_iter().filter(|row| !is_of_window(row, start_us)));
        }
        rows.extend_from_slice(revised);
        rows.sort_by_key(window_start_us);
        self.replace_hour(folder, &rows)
    }

    fn replace_hour<R: Row>(&self, folder: &Path, rows: &[R]) -> Result<(), StoreError> {
        let aside = self.work_folder::<R>(folder);
        files::remove_folder(&aside)?;
        files::make_folder(&aside)?;
        let name = format!("hour.{PARQUET}");
        let bytes = self.write_file(&aside.join(&name), rows)?;
        let mut manifest = Manifest { files: Vec::new(), is_compacted: true };
        manifest.enter(&name, rows.len() as u64, bytes);
        manifest.save(&aside)?;
        files::exchange(&aside, folder)?;
        files::remove_folder(&aside)
    }

    fn work_folder<R: Row>(&self, folder: &Path) -> PathBuf {
        let last = |path: Option<&Path>| path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.data.join(WORK).join(format!("{} {} {}", R::TABLE, last(folder.parent()), last(Some(folder))))
    }
}

fn is_of_window<R: Row>(row: &R, start_us: i64) -> bool {
    window_start_us(row) == start_us
}

fn window_start_us<R: Row>(row: &R) -> i64 {
    row.values()
        .into_iter()
        .find_map(|value| match value {
            Value::Timestamp(at) => Some(at),
            _ => None,
        })
        .unwrap_or_default()
}
