//! What a query engine is to read: the files of a table and range, and the rows that no file has yet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use model::table::Row;
use model::tables::FlowRow;

use crate::layout::hour_folders;
use crate::manifest::{HOUR_FILE, Manifest};
use crate::reading::{ATTEMPTS, Damaged, check_file, read_table};
use crate::{StoreError, columns, tiers};
use model::time::HOUR_US;

/// What a table has of a range. Files may have rows from before and after it: whoever reads them filters.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The table's columns.
    pub schema: SchemaRef,
    /// Files in the order of their hours.
    pub files: Vec<ListedFile>,
    /// Rows of hours that are not compacted yet; of those tables five-minute rows, which are in no file.
    pub rows: Option<RecordBatch>,
    /// Starts of the windows of [`Listing::rows`], each once.
    pub starts_us: Vec<i64>,
    /// Starts of the hours that have something.
    pub hours_us: BTreeSet<i64>,
    /// Files that were passed over.
    pub damaged: Vec<Damaged>,
}

/// A file of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Starts of its first and of its last window, µs.
    pub span_us: (i64, i64),
}

impl Listing {
    fn new<R: Row>() -> Listing {
        let schema = columns::schema::<R>();
        Listing { schema, files: Vec::new(), rows: None, starts_us: Vec::new(), hours_us: BTreeSet::new(), damaged: Vec::new() }
    }

    /// Takes out the files that turn out to be damaged when they are read to the end, or are gone; gives whether there were any.
    pub fn pass_over_damaged<R: Row>(&mut self) -> bool {
        let before = self.files.len();
        let damaged = &mut self.damaged;
        self.files.retain(|file| match check_file::<R>(&file.path) {
            Ok(()) => true,
            Err(reason) => {
                damaged.push(Damaged { path: file.path.clone(), reason });
                false
            }
        });
        self.files.len() < before
    }
}

/// A table's rows of `from_us <= window_start < to_us` (of `connections`: `valid_from`).
///
/// Files are those of compacted hours, which hardly ever change; the rows of hours that still change are read.
///
/// # Errors
///
/// If a folder cannot be listed.
pub fn list<R: Row>(data: &Path, from_us: i64, to_us: i64) -> Result<Listing, StoreError> {
    let mut listing = Listing::new::<R>();
    listing.add_files(data, R::TABLE, from_us, to_us)?;
    if R::TABLE != FlowRow::TABLE {
        let settled = listing.hours_us.clone();
        let found = read_table::<R>(data, R::TABLE, from_us, to_us, |hour_us| settled.contains(&hour_us), None)?;
        listing.add_rows(data, R::TABLE, &found.rows, found.damaged)?;
    }
    Ok(listing)
}

/// As [`list`], of the five-minute rows of a table that has a row a minute; those that are in no file yet are made.
///
/// # Errors
///
/// As [`list`].
pub fn list_five_minutes<R: Row>(data: &Path, from_us: i64, to_us: i64) -> Result<Listing, StoreError> {
    let Some(table) = tiers::tier_of(R::TABLE) else { return list::<R>(data, from_us, to_us) };
    let mut listing = Listing::new::<R>();
    listing.add_files(data, table, from_us, to_us)?;
    // An hour outside of the range has no files here, and no rows in the range either.
    let coarse_hours = listing.hours_us.clone();
    let fine = read_table::<R>(data, R::TABLE, from_us, to_us, |hour_us| coarse_hours.contains(&hour_us), None)?;
    listing.add_rows(data, table, &tiers::coarse(&fine.rows), fine.damaged)?;
    Ok(listing)
}

impl Listing {
    /// Adds the files of hours that are compacted; of `flows` all files, which never change.
    fn add_files(&mut self, data: &Path, table: &str, from_us: i64, to_us: i64) -> Result<(), StoreError> {
        for (hour_us, folder) in hour_folders(data, table)? {
            if hour_us >= to_us || hour_us.saturating_add(HOUR_US) <= from_us {
                continue;
            }
            if table != FlowRow::TABLE && !folder.join(HOUR_FILE).exists() {
                continue;
            }
            let mut checked = Manifest::check(&folder)?;
            // An hour that is compacted while it is listed is listed anew.
            for _ in 1..ATTEMPTS {
                if checked.gone.is_empty() {
                    break;
                }
                checked = Manifest::check(&folder)?;
            }
            for entry in checked.manifest.files.iter().filter(|entry| entry.first_us < to_us && from_us <= entry.last_us) {
                self.files.push(ListedFile {
                    path: folder.join(&entry.name),
                    bytes: entry.bytes,
                    span_us: (entry.first_us, entry.last_us),
                });
            }
            self.damaged.extend(checked.damaged.into_iter().map(|(path, reason)| Damaged { path, reason }));
            self.hours_us.insert(hour_us);
        }
        Ok(())
    }

    fn add_rows<R: Row>(&mut self, data: &Path, table: &str, rows: &[R], damaged: Vec<Damaged>) -> Result<(), StoreError> {
        let format = |error: ArrowError| StoreError::Format { path: data.join(table), reason: error.to_string() };
        let mut starts: Vec<i64> = rows.iter().map(columns::start_us).collect();
        starts.sort_unstable();
        starts.dedup();
        self.hours_us.extend(starts.iter().map(|start_us| start_us.div_euclid(HOUR_US) * HOUR_US));
        self.starts_us = starts;
        self.rows = (!rows.is_empty()).then(|| columns::batch(rows)).transpose().map_err(format)?;
        self.damaged.extend(damaged);
        Ok(())
    }
}

/// Start of the first hour that a table has, and end of its last; `None` if it has none.
///
/// # Errors
///
/// If the folder cannot be listed.
pub fn extent(data: &Path, table: &str) -> Result<Option<(i64, i64)>, StoreError> {
    let folders = hour_folders(data, table)?;
    Ok(folders.first().zip(folders.last()).map(|((first_us, _), (last_us, _))| (*first_us, *last_us + HOUR_US)))
}

/// Start of the last window of a table, by what is known of its files; `None` if it has none.
///
/// # Errors
///
/// If a folder cannot be listed.
pub fn last_window_us(data: &Path, table: &str) -> Result<Option<i64>, StoreError> {
    for (_, folder) in hour_folders(data, table)?.into_iter().rev() {
        let last_us = Manifest::check(&folder)?.manifest.files.iter().map(|entry| entry.last_us).max();
        if last_us.is_some() {
            return Ok(last_us);
        }
    }
    Ok(None)
}
