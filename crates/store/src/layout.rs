//! Where a window's file lies; names come from fixed table names and numbers only.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::StoreError;

/// Ending of the files that readers look for.
pub(crate) const PARQUET: &str = "parquet";

/// The folder of a table's hour that holds an instant.
///
/// # Errors
///
/// If the instant has no date.
pub fn hour_folder(data: &Path, table: &str, at_us: i64) -> Result<PathBuf, StoreError> {
    Ok(data.join(table).join(print(at_us, "date=%Y-%m-%d")?).join(print(at_us, "hour=%H")?))
}

/// The file name of a window.
pub(crate) fn window_file(window_start_us: i64, seconds: i64) -> Result<String, StoreError> {
    Ok(format!("{}-{seconds}.{PARQUET}", print(window_start_us, "%H%M%S")?))
}

/// The start of the hour that a folder `…/date=YYYY-MM-DD/hour=HH` is named after.
pub fn hour_start_us(folder: &Path) -> Option<i64> {
    let hour: i8 = folder.file_name()?.to_str()?.strip_prefix("hour=")?.parse().ok()?;
    let date = folder.parent()?.file_name()?.to_str()?.strip_prefix("date=")?;
    let date: jiff::civil::Date = date.parse().ok()?;
    let zoned = date.to_datetime(jiff::civil::Time::new(hour, 0, 0, 0).ok()?).to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_microsecond())
}

/// The hour folders of a table with the starts of their hours, in the order of time.
///
/// # Errors
///
/// If a folder cannot be listed.
pub fn hour_folders(data: &Path, table: &str) -> Result<Vec<(i64, PathBuf)>, StoreError> {
    let mut folders = Vec::new();
    for date in crate::files::entries(&data.join(table))?.iter().filter(|path| path.is_dir()) {
        for hour in crate::files::entries(date)?.into_iter().filter(|path| path.is_dir()) {
            if let Some(start_us) = hour_start_us(&hour) {
                folders.push((start_us, hour));
            }
        }
    }
    Ok(folders)
}

fn print(at_us: i64, format: &str) -> Result<String, StoreError> {
    let at = Timestamp::from_microsecond(at_us).map_err(|_| StoreError::Time(at_us))?;
    Ok(at.to_zoned(TimeZone::UTC).strftime(format).to_string())
}
