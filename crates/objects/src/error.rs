//! What can go wrong with an object store; each a sentence with the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be copied or fetched; nothing that is in the store is lost by it.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// The address, or what the environment says of it, is wrong.
    #[error("{0}")]
    Place(String),
    /// The store cannot be asked, or refuses.
    #[error("{place}: cannot {what}: {reason}")]
    Target {
        /// Where.
        place: String,
        /// What was attempted, with which object.
        what: String,
        /// What the store or the network said.
        reason: String,
    },
    /// The name belongs to another data folder.
    #[error(
        "{place}: the collector \"{collector}\" is another data folder's; give this one a name of its own, or delete \
         {object} there if that folder is gone for good"
    )]
    Taken {
        /// Where.
        place: String,
        /// The name.
        collector: String,
        /// The object that says so.
        object: String,
    },
    /// Somebody put another manifest of the same number at the same time.
    #[error("{object}: another program copies under this name at the same time; end one of them")]
    Overtaken {
        /// The manifest.
        object: String,
    },
    /// A manifest is none.
    #[error("{place}: {object}: damaged: {reason}; its rows are missing")]
    Damaged {
        /// Where.
        place: String,
        /// The manifest.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More is needed than the cache may hold.
    #[error("{place}: this needs more than the {mib} MiB that may be fetched; give a shorter range, or raise --cache-mib")]
    TooMuch {
        /// Where.
        place: String,
        /// The limit.
        mib: u64,
    },
    /// A file operation failed.
    #[error("{}: cannot {what}: {source}", path.display())]
    File {
        /// What was attempted.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The data folder cannot be read.
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl ObjectsError {
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ObjectsError {
        let path = path.to_path_buf();
        move |source| ObjectsError::File { what, path, source }
    }

    /// Whether it is of one hour, and the others may fare better.
    pub(crate) fn is_of_one(&self) -> bool {
        matches!(self, ObjectsError::File { .. } | ObjectsError::Store(_) | ObjectsError::Damaged { .. })
    }
}
