//! Why a report cannot be had; each a sentence with the remedy.

use datafusion::error::DataFusionError;

/// Why a report cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It was asked for in a way that means nothing.
    #[error("{0}")]
    Usage(String),
    /// There is nothing to answer from.
    #[error("{0}")]
    NoData(String),
    /// The data folder cannot be read.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A query failed.
    #[error("the query failed: {0}")]
    Query(String),
}

impl From<DataFusionError> for ReportError {
    fn from(error: DataFusionError) -> ReportError {
        ReportError::Query(error.strip_backtrace())
    }
}
