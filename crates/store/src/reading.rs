//! Rows read back without SQL; damaged files are named and passed over.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use model::table::Row;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use crate::layout::hour_folders;
use crate::manifest::{Entry, Manifest};
use crate::{StoreError, columns, tiers};
use model::time::HOUR_US;

/// Largest footer that is believed; ours are some 10 KB.
const FOOTER_BYTES_MOST: u32 = 16 << 20;
/// Most rows of a file; an hour of the largest table stays below.
const ROWS_MOST: i64 = 16_000_000;
/// Most rows for each byte of the file: equal rows cost next to nothing in a file, and much in memory.
const ROWS_PER_BYTE_MOST: u64 = 64;
/// Most bytes that a file may claim to hold uncompressed.
const UNCOMPRESSED_BYTES_MOST: i64 = 4 << 30;
/// Rows decoded at once.
const BATCH_ROWS: usize = 8_192;
/// How often an hour is listed anew because its folder was exchanged while it was read.
pub(crate) const ATTEMPTS: usize = 8;

/// Which rows are wanted, where it is not all of a range.
#[derive(Clone, Copy)]
pub struct Selection<'a> {
    /// A column of texts.
    pub column: &'a str,
    /// Its value in the rows that are wanted.
    pub value: &'a str,
    /// Asked before each file with the rows found so far: whether to read on.
    pub goes_on: &'a dyn Fn(usize) -> bool,
}

impl Selection<'_> {
    fn goes_on(selection: Option<&Selection<'_>>, rows: usize) -> bool {
        selection.is_none_or(|selection| (selection.goes_on)(rows))
    }
}

/// Rows that were found, and the files that were not readable.
#[derive(Clone, Debug)]
pub struct Found<R> {
    /// The rows, in the order of the files' times.
    pub rows: Vec<R>,
    /// Files that were passed over.
    pub damaged: Vec<Damaged>,
}

/// A file that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl std::fmt::Display for Damaged {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: passed over: {}; restore it from a copy or remove it", self.path.display(), self.reason)
    }
}

/// Why a file's rows cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It is not there any more: the hour was compacted meanwhile, or someone removed it.
    #[error("it is listed and not there")]
    Gone,
    /// The system does not let it be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// It is not what we wrote.
    #[error("{0}")]
    Damaged(String),
}

/// Reads the rows of a table with `from_us <= window_start < to_us` (of `connections`: `valid_from`).
///
/// A writer may be at work: an hour that is compacted while it is read is read anew, so that no
/// row comes twice or is missed.
///
/// # Errors
///
/// If the folder cannot be listed; a damaged file is passed over and named in the answer.
pub fn read<R: Row>(data: &Path, from_us: i64, to_us: i64) -> Result<Found<R>, StoreError> {
    read_table(data, R::TABLE, from_us, to_us, |_| false, None)
}

/// As [`read`], of the rows that are wanted alone: the others' cells are not made.
///
/// # Errors
///
/// As [`read`].
pub fn read_selected<R: Row>(data: &Path, from_us: i64, to_us: i64, selection: &Selection<'_>) -> Result<Found<R>, StoreError> {
    read_table(data, R::TABLE, from_us, to_us, |_| false, Some(selection))
}

/// As [`read_five_minutes`], of the rows that are wanted alone.
///
/// # Errors
///
/// As [`read`].
pub fn read_five_minutes_selected<R: Row>(
    data: &Path,
    from_us: i64,
    to_us: i64,
    selection: &Selection<'_>,
) -> Result<Found<R>, StoreError> {
    five_minutes(data, from_us, to_us, Some(selection))
}

/// As [`read`], of a table that has a row a minute: five-minute rows, those of hours that are not compacted
/// yet made on the way, from `from_us` to `to_us`, which are whole five minutes.
///
/// # Errors
///
/// As [`read`].
pub fn read_five_minutes<R: Row>(data: &Path, from_us: i64, to_us: i64) -> Result<Found<R>, StoreError> {
    five_minutes(data, from_us, to_us, None)
}

fn five_minutes<R: Row>(
    data: &Path,
    from_us: i64,
    to_us: i64,
    selection: Option<&Selection<'_>>,
) -> Result<Found<R>, StoreError> {
    let Some(table) = tiers::tier_of(R::TABLE) else {
        return read_table(data, R::TABLE, from_us, to_us, |_| false, selection);
    };
    // Listed once: an hour that becomes coarse meanwhile is neither missed nor counted twice.
    let hours = hour_folders(data, table)?.into_iter().map(|(hour_us, _)| hour_us);
    let hours: BTreeSet<i64> = hours.filter(|hour_us| tiers::has_tier(data, R::TABLE, *hour_us)).collect();
    let mut found = read_table::<R>(data, table, from_us, to_us, |hour_us| !hours.contains(&hour_us), selection)?;
    let coarse = found.rows.len();
    let goes_on = |rows| Selection::goes_on(selection, coarse + rows);
    let rest = selection.map(|selection| Selection { goes_on: &goes_on, ..*selection });
    let fine = read_table::<R>(data, R::TABLE, from_us, to_us, |hour_us| hours.contains(&hour_us), rest.as_ref())?;
    found.rows.extend(tiers::coarse(&fine.rows));
    found.rows.sort_by_key(columns::start_us);
    found.damaged.extend(fine.damaged);
    Ok(found)
}

/// Start of the last window of a table; `None` if it has none.
///
/// # Errors
///
/// As [`read`].
pub fn last_us<R: Row>(data: &Path) -> Result<Option<i64>, StoreError> {
    for (hour_us, _) in hour_folders(data, R::TABLE)?.into_iter().rev() {
        let rows = read::<R>(data, hour_us, hour_us.saturating_add(HOUR_US))?.rows;
        if let Some(last_us) = rows.iter().map(columns::start_us).max() {
            return Ok(Some(last_us));
        }
    }
    Ok(None)
}

/// Rows of a table's folder, whose rows are those of `R`, without the hours that are left out.
pub(crate) fn read_table<R: Row>(
    data: &Path,
    table: &str,
    from_us: i64,
    to_us: i64,
    is_left_out: impl Fn(i64) -> bool,
    selection: Option<&Selection<'_>>,
) -> Result<Found<R>, StoreError> {
    let mut found = Found { rows: Vec::new(), damaged: Vec::new() };
    for (hour_us, folder) in hour_folders(data, table)? {
        if is_left_out(hour_us) {
            continue;
        }
        if hour_us >= to_us || hour_us.saturating_add(HOUR_US) <= from_us {
            continue;
        }
        if !Selection::goes_on(selection, found.rows.len()) {
            break;
        }
        let mut attempts = ATTEMPTS;
        let hour = loop {
            attempts -= 1;
            let (hour, is_whole) = read_hour::<R>(&folder, (from_us, to_us), selection, found.rows.len())?;
            if is_whole || attempts == 0 {
                break hour;
            }
        };
        found.rows.extend(hour.rows);
        found.damaged.extend(hour.damaged);
    }
    Ok(found)
}

/// The rows of an hour, and whether every file that was listed was still there; so many rows were found before.
fn read_hour<R: Row>(
    folder: &Path,
    (from_us, to_us): (i64, i64),
    selection: Option<&Selection<'_>>,
    before: usize,
) -> Result<(Found<R>, bool), StoreError> {
    let checked = Manifest::check(folder)?;
    let mut is_whole = checked.gone.is_empty();
    let mut damaged: Vec<Damaged> =
        checked.gone.into_iter().map(|path| Damaged { path, reason: Failure::Gone.to_string() }).collect();
    damaged.extend(checked.damaged.into_iter().map(|(path, reason)| Damaged { path, reason }));
    let mut rows = Vec::new();
    for entry in checked.manifest.files.iter().filter(|entry| entry.first_us < to_us && from_us <= entry.last_us) {
        if !Selection::goes_on(selection, before + rows.len()) {
            break;
        }
        let path = folder.join(&entry.name);
        match read_rows::<R>(&path, selection) {
            Ok(part) => rows.extend(part.into_iter().filter(|row| (from_us..to_us).contains(&columns::start_us(row)))),
            Err(failure) => {
                is_whole &= !matches!(failure, Failure::Gone);
                damaged.push(Damaged { path, reason: failure.to_string() });
            }
        }
    }
    Ok((Found { rows, damaged }, is_whole))
}

/// Reads a file to its end; the error says why it cannot be.
pub(crate) fn check_file<R: Row>(path: &Path) -> Result<(), String> {
    read_file::<R>(path).map(|_| ()).map_err(|failure| failure.to_string())
}

/// Rows of one file, whatever their time.
pub(crate) fn read_file<R: Row>(path: &Path) -> Result<Vec<R>, Failure> {
    read_rows(path, None)
}

fn read_rows<R: Row>(path: &Path, selection: Option<&Selection<'_>>) -> Result<Vec<R>, Failure> {
    guarded(|| {
        let mut builder = open(path)?.with_batch_size(BATCH_ROWS);
        if let Some(selection) = selection {
            let filter = filter(&builder, selection)?;
            builder = builder.with_row_filter(filter);
        }
        let reader = builder.build().map_err(damaged)?;
        let mut rows = Vec::new();
        for batch in reader {
            rows.extend(columns::rows::<R>(&batch.map_err(damaged)?).map_err(Failure::Damaged)?);
        }
        Ok(rows)
    })
}

/// Passes rows by one column, before the other columns are read.
fn filter(builder: &ParquetRecordBatchReaderBuilder<File>, selection: &Selection<'_>) -> Result<RowFilter, Failure> {
    let columns = builder.parquet_schema().columns();
    let place = columns.iter().position(|column| column.path().string() == selection.column);
    let place = place.ok_or_else(|| damaged(format!("the column {} is missing", selection.column)))?;
    let wanted = selection.value.to_owned();
    let is_wanted = move |batch: RecordBatch| {
        let texts = batch.column(0).as_string_opt::<i32>();
        let texts = texts.ok_or_else(|| ArrowError::SchemaError("the column is no text".to_owned()))?;
        Ok(texts.iter().map(|text| Some(text == Some(&*wanted))).collect::<BooleanArray>())
    };
    let mask = ProjectionMask::leaves(builder.parquet_schema(), [place]);
    Ok(RowFilter::new(vec![Box::new(ArrowPredicateFn::new(mask, is_wanted))]))
}

/// The manifest's entry of a file, by its footer.
pub(crate) fn inspect(path: &Path, name: &str, bytes: u64) -> Result<Entry, Failure> {
    guarded(|| {
        let builder = open(path)?;
        let rows = builder.metadata().file_metadata().num_rows().unsigned_abs();
        let (first_us, last_us) = bounds(builder.metadata()).unwrap_or((i64::MIN, i64::MAX));
        Ok(Entry { name: name.to_string(), rows, bytes, first_us, last_us })
    })
}

/// Earliest and latest value of the column that a row's time is, if every row group tells.
fn bounds(metadata: &ParquetMetaData) -> Option<(i64, i64)> {
    let mut bounds: Option<(i64, i64)> = None;
    for group in metadata.row_groups() {
        let is_time = |name: &str| columns::TIMES.contains(&name);
        let column = group.columns().iter().find(|column| is_time(&column.column_path().string()))?;
        let Some(Statistics::Int64(statistics)) = column.statistics() else { return None };
        let (first, last) = (*statistics.min_opt()?, *statistics.max_opt()?);
        bounds = Some(bounds.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
    }
    bounds
}

/// The format's library is careful with damaged input, not perfect: its panic is damage too.
fn guarded<T>(read: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Failure::Damaged("its contents contradict themselves".to_string())))
}

fn damaged(error: impl std::fmt::Display) -> Failure {
    Failure::Damaged(error.to_string())
}

/// Opens a file once its footer has a believable size, so that a hostile one costs nothing.
fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, Failure> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Gone,
        _ => Failure::Unreadable(error),
    })?;
    let length = file.metadata().map_err(Failure::Unreadable)?.len();
    let mut tail = [0; 8];
    file.seek(SeekFrom::End(-8))
        .and_then(|_| file.read_exact(&mut tail))
        .map_err(|_| damaged("it is shorter than a Parquet footer"))?;
    let footer_bytes = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    if &tail[4..] != b"PAR1" || footer_bytes > FOOTER_BYTES_MOST {
        return Err(damaged("it does not end as a Parquet file does"));
    }
    file.rewind().map_err(Failure::Unreadable)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    check_claims(builder.metadata(), length)?;
    Ok(builder)
}

/// What the footer claims has to be possible before memory is spent on it.
fn check_claims(metadata: &ParquetMetaData, length: u64) -> Result<(), Failure> {
    let rows = metadata.file_metadata().num_rows();
    let groups = metadata.row_groups();
    let grouped_rows = groups
        .iter()
        .try_fold(0_i64, |sum, group| (group.num_rows() >= 0).then_some(()).and_then(|()| sum.checked_add(group.num_rows())));
    let rows_most = length.saturating_mul(ROWS_PER_BYTE_MOST);
    if !(0..=ROWS_MOST).contains(&rows) || rows.unsigned_abs() > rows_most || grouped_rows != Some(rows) {
        return Err(damaged(format!("its footer claims {rows} rows")));
    }
    let bytes = groups.iter().try_fold(0_i64, |sum, group| sum.checked_add(group.total_byte_size().max(0)));
    match bytes {
        Some(bytes) if bytes <= UNCOMPRESSED_BYTES_MOST => Ok(()),
        _ => Err(damaged("its footer claims more bytes than any file of ours has")),
    }
}
