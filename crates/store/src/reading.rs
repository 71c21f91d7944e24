//! Rows read back without SQL; damaged files are named and passed over.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use model::table::{Row, Value};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::StoreError;
use crate::columns;
use crate::layout::{HOUR_US, hour_folders};
use crate::manifest::Manifest;

/// Largest footer that is believed; ours are some 10 KB.
const FOOTER_BYTES_MOST: u32 = 16 << 20;
/// Most rows of a file; an hour of the largest table stays below.
const ROWS_MOST: i64 = 50_000_000;
/// Rows decoded at once.
const BATCH_ROWS: usize = 8_192;

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

/// Reads the rows of a table with `from_us <= window_start < to_us` (of `connections`: `valid_from`).
///
/// # Errors
///
/// If the folder cannot be listed; a damaged file is passed over and named in the answer.
pub fn read<R: Row>(data: &Path, from_us: i64, to_us: i64) -> Result<Found<R>, StoreError> {
    let mut found = Found { rows: Vec::new(), damaged: Vec::new() };
    for (hour_us, folder) in hour_folders(data, R::TABLE)? {
        if hour_us >= to_us || hour_us.saturating_add(HOUR_US) <= from_us {
            continue;
        }
        for path in Manifest::load(&folder)?.paths(&folder) {
            match read_file::<R>(&path) {
                Ok(rows) => found.rows.extend(rows.into_iter().filter(|row| is_within(row, from_us, to_us))),
                Err(reason) => found.damaged.push(Damaged { path, reason }),
            }
        }
    }
    Ok(found)
}

/// Rows of one file, whatever their time.
pub(crate) fn read_file<R: Row>(path: &Path) -> Result<Vec<R>, String> {
    let reader = open(path)?.with_batch_size(BATCH_ROWS).build().map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for batch in reader {
        rows.extend(columns::rows::<R>(&batch.map_err(|error| error.to_string())?)?);
    }
    Ok(rows)
}

/// Rows of a file by its footer.
pub(crate) fn row_count(path: &Path) -> Result<u64, String> {
    Ok(open(path)?.metadata().file_metadata().num_rows().unsigned_abs())
}

/// Opens a file once its footer has a believable size, so that a hostile one costs nothing.
pub(crate) fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut tail = [0; 8];
    file.seek(SeekFrom::End(-8)).and_then(|_| file.read_exact(&mut tail)).map_err(|_| "it is shorter than a Parquet footer".to_string())?;
    let footer_bytes = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    if &tail[4..] != b"PAR1" || footer_bytes > FOOTER_BYTES_MOST {
        return Err("it does not end as a Parquet file does".to_string());
    }
    file.rewind().map_err(|error| error.to_string())?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    let rows = builder.metadata().file_metadata().num_rows();
    if (0..=ROWS_MOST).contains(&rows) { Ok(builder) } else { Err(format!("its footer claims {rows} rows")) }
}

fn is_within<R: Row>(row: &R, from_us: i64, to_us: i64) -> bool {
    let at = row.values().into_iter().find_map(|value| match value {
        Value::Timestamp(at) => Some(at),
        _ => None,
    });
    at.is_none_or(|at| from_us <= at && at < to_us)
}
