//! This network's own earlier failovers, as failures are judged by them.

use measure::judge::{Fall, Falls};
use model::tables::FailoverRow;

use crate::{Data, ReportError};

/// Reads the failovers up to the end of the range.
pub(crate) fn read(data: &Data) -> Result<Vec<Fall>, ReportError> {
    let rows = data.tables().read::<FailoverRow>(i64::MIN, data.range().to_us)?;
    let mut falls = Falls::default();
    rows.iter().for_each(|row| _ = falls.take(row));
    Ok(falls.list())
}
