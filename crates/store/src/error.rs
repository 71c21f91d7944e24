//! What can go wrong with a data folder; each a sentence with the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot do what was asked; nothing that was stored is lost by it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("{}: cannot {what}: {source}; {}", path.display(), remedy(source))]
    Files {
        /// What was attempted.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes into the folder.
    #[error("{}: another peerscope writes into this folder; stop it or give another --data", path.display())]
    InUse {
        /// The data folder.
        path: PathBuf,
    },
    /// Rows could not be put into the Parquet format.
    #[error("{}: cannot be written as Parquet: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the format's library said.
        reason: String,
    },
    /// An instant outside of the years that have a date.
    #[error("the instant {0} µs has no date; the clock that it came from is absurd")]
    Time(i64),
}

impl StoreError {
    pub(crate) fn files(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_path_buf();
        move |source| StoreError::Files { what, path, source }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space: writing goes on when there is room",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "make the folder writable for this user",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "give a folder, not a file",
        io::ErrorKind::NotFound => "check the path",
        _ => "check the disk",
    }
}
