//! A finished hour becomes one file a table.
//!
//! The new folder is built in `DATA/.work`, which no reader of `DATA/TABLE` looks into, and
//! exchanged for the old one in one step: at every moment a listing shows each row once. A reader
//! that listed the old files and opens them after the exchange finds them gone and has to list
//! again, as ours does. Where the file system cannot exchange folders, two renames do it: the hour
//! is away for the moment between them, and the next start puts it back if the program ends there.

use std::path::{Path, PathBuf};

use model::table::Row;

use crate::layout::{hour_folder, hour_folders, hour_start_us};
use crate::manifest::{Entry, HOUR_FILE, Manifest};
use crate::reading::{self, Failure};
use crate::store::{TABLES, WORK, all_tables};
use crate::{Store, StoreError, columns, files, tiers};
use model::time::HOUR_US;

/// How often to look for finished hours, microseconds.
const LOOK_EVERY_US: i64 = 60_000_000;

/// Hours of a table that are removed at a look: the disk has other work to do.
const EXPIRED_AT_ONCE: usize = 4;

/// Folder in the data folder for files that turned out damaged.
const DAMAGED: &str = ".damaged";

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
        let expired = self.expire(now_us);
        let limit_us = now_us.saturating_sub(self.settings.compact_after_seconds * 1_000_000);
        let is_due = |(_, hour_us): &&(&str, i64)| hour_us.saturating_add(HOUR_US) <= limit_us;
        let due: Vec<(&'static str, i64)> = self.in_parts.iter().filter(is_due).copied().collect();
        let (mut compacted, mut first_error) = (0, None);
        for (table, hour_us) in due {
            let Some((_, compact_hour)) = TABLES.iter().find(|(name, _)| *name == table) else { continue };
            match hour_folder(&self.data, table, hour_us).and_then(|folder| compact_hour(self, &folder)) {
                Ok(()) => {
                    self.in_parts.remove(&(table, hour_us));
                    compacted += 1;
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(compacted), Err).and_then(|compacted| expired.map(|()| compacted))
    }

    /// Removes hours that are kept no longer, a few at a time.
    ///
    /// An hour goes out of its table in one step, so that readers find it whole or not at all. One that is
    /// not compacted yet stays: its coarse rows are still to be made.
    pub(crate) fn expire(&self, now_us: i64) -> Result<(), StoreError> {
        for (table, days) in self.settings.days() {
            let Some(limit_us) = days.map(|days| now_us.saturating_sub(days * 24 * HOUR_US)) else { continue };
            let is_over = |hour_us: i64| {
                hour_us.saturating_add(HOUR_US) <= limit_us
                    && !self.in_parts.iter().any(|(of, at)| *of == table && *at == hour_us)
            };
            let hours = hour_folders(&self.data, table)?;
            for (_, folder) in hours.iter().filter(|(hour_us, _)| is_over(*hour_us)).take(EXPIRED_AT_ONCE) {
                let aside = self.data.join(WORK).join(flat_name(table, folder));
                files::remove_folder(&aside)?;
                files::make_folder(&self.data.join(WORK))?;
                files::rename(folder, &aside)?;
                files::remove_folder(&aside)?;
                // Only of a day that is over is the folder empty.
                let _ = folder.parent().map(std::fs::remove_dir);
            }
        }
        Ok(())
    }

    /// Makes one file of an hour's parts.
    pub(crate) fn compact_hour<R: Row>(&mut self, folder: &Path) -> Result<(), StoreError> {
        let rows = self.take_rows::<R>(folder)?;
        if rows.is_empty() { Ok(()) } else { self.replace_tiers(folder, &rows) }
    }

    /// Puts a window's revised rows into an hour that has been compacted.
    pub(crate) fn revise_compacted<R: Row + Clone>(
        &mut self,
        folder: &Path,
        start_us: i64,
        revised: &[R],
    ) -> Result<(), StoreError> {
        let mut rows = self.take_rows::<R>(folder)?;
        let before = rows.len();
        rows.retain(|row| columns::start_us(row) != start_us);
        if revised.is_empty() && rows.len() == before {
            return Ok(());
        }
        rows.extend_from_slice(revised);
        rows.sort_by_key(columns::start_us);
        self.replace_tiers(folder, &rows)
    }

    /// Replaces an hour's file, its coarse rows first.
    fn replace_tiers<R: Row>(&self, folder: &Path, rows: &[R]) -> Result<(), StoreError> {
        if let (Some(table), Some(hour_us)) = (tiers::tier_of(R::TABLE), hour_start_us(folder)) {
            let coarse_folder = hour_folder(&self.data, table, hour_us)?;
            files::make_folder(&coarse_folder)?;
            self.replace_hour(table, &coarse_folder, &tiers::coarse(rows))?;
        }
        self.replace_hour(R::TABLE, folder, rows)
    }

    /// The rows of an hour. A damaged file does not stop the work: it is moved out, for the hour's
    /// folder will be replaced, and nothing is thrown away that someone may still mend.
    fn take_rows<R: Row>(&mut self, folder: &Path) -> Result<Vec<R>, StoreError> {
        let checked = Manifest::check(folder)?;
        let mut damaged = checked.damaged;
        let mut rows = Vec::new();
        for path in checked.manifest.files.iter().map(|entry| folder.join(&entry.name)) {
            match reading::read_file::<R>(&path) {
                Ok(part) => rows.extend(part),
                Err(Failure::Damaged(reason)) => damaged.push((path, reason)),
                Err(Failure::Gone) => return Err(StoreError::files("read", &path)(std::io::ErrorKind::NotFound.into())),
                Err(Failure::Unreadable(error)) => return Err(StoreError::files("read", &path)(error)),
            }
        }
        for (path, reason) in damaged {
            let aside = self.damaged_path::<R>(&path)?;
            files::set_aside(&path, &aside)?;
            self.notices.push(format!(
                "{}: damaged: {reason}; kept as {}, its rows are missing",
                path.display(),
                aside.display()
            ));
        }
        Ok(rows)
    }

    fn replace_hour<R: Row>(&self, table: &str, folder: &Path, rows: &[R]) -> Result<(), StoreError> {
        let aside = self.data.join(WORK).join(flat_name(table, folder));
        files::remove_folder(&aside)?;
        files::make_folder(&aside)?;
        let bytes = self.write_file(&aside.join(HOUR_FILE), rows)?;
        let mut manifest = Manifest::new();
        manifest.enter(Entry::of(HOUR_FILE, rows, bytes));
        manifest.save(&aside)?;
        files::replace_folder(&aside, folder)?;
        files::remove_folder(&aside)
    }

    fn damaged_path<R: Row>(&self, path: &Path) -> Result<PathBuf, StoreError> {
        let folder = self.data.join(DAMAGED);
        files::make_folder(&folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let first =
            folder.join(format!("{} {name}", path.parent().map(|folder| flat_name(R::TABLE, folder)).unwrap_or_default()));
        // An earlier one of that name is kept as well.
        let taken = (0_u32..).map(|count| files::with_ending(&first, &format!("{count}.damaged")));
        Ok(taken.into_iter().find(|path| !path.exists()).unwrap_or(first))
    }
}

/// Ends the replacements that the program was stopped in: an hour that is away comes back, the rest goes.
pub(crate) fn recover(data: &Path) -> Result<(), StoreError> {
    let work = data.join(WORK);
    for replaced in files::entries(&work)?.iter().filter(|path| files::has_ending(path, files::REPLACED)) {
        if let Some(folder) = replaced.file_stem().and_then(|name| name.to_str()).and_then(|name| folder_of(data, name))
            && !folder.exists()
        {
            files::make_folder(folder.parent().unwrap_or(data))?;
            files::set_aside(replaced, &folder)?;
        }
    }
    files::remove_folder(&work)
}

/// `TABLE date=YYYY-MM-DD hour=HH`.
fn flat_name(table: &str, folder: &Path) -> String {
    let last =
        |path: Option<&Path>| path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{table} {} {}", last(folder.parent()), last(Some(folder)))
}

/// The folder of such a name, if it is one of ours.
fn folder_of(data: &Path, flat_name: &str) -> Option<PathBuf> {
    let mut parts = flat_name.split(' ');
    let (table, date, hour) = (parts.next()?, parts.next()?, parts.next()?);
    let table = all_tables().find(|name| *name == table)?;
    let hour_us = hour_start_us(&Path::new(date).join(hour))?;
    hour_folder(data, table, hour_us).ok()
}
