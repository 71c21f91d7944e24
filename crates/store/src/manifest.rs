//! The valid files of an hour's folder, for our own reader.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::files;
use crate::layout::PARQUET;

const FILE: &str = "manifest.json";

/// What an hour's folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) files: Vec<Entry>,
    /// The hour has been compacted to one file.
    pub(crate) is_compacted: bool,
}

/// A valid file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Manifest {
    /// The manifest of a folder; made from its files where it is missing or damaged.
    pub(crate) fn load(folder: &Path) -> Result<Manifest, StoreError> {
        let stored = std::fs::read(folder.join(FILE)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match stored {
            Some(manifest) => Ok(manifest),
            None => Manifest::rebuild(folder),
        }
    }

    fn rebuild(folder: &Path) -> Result<Manifest, StoreError> {
        let mut manifest = Manifest::default();
        for path in files::entries(folder)?.iter().filter(|path| files::has_ending(path, PARQUET)) {
            if let (Ok(rows), Some(name)) = (crate::reading::row_count(path), path.file_name().and_then(|name| name.to_str())) {
                manifest.enter(name, rows, std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
            }
        }
        Ok(manifest)
    }

    /// Enters a file, in place of an earlier one of its name.
    pub(crate) fn enter(&mut self, name: &str, rows: u64, bytes: u64) {
        self.files.retain(|entry| entry.name != name);
        self.files.push(Entry { name: name.to_string(), rows, bytes });
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Publishes it into its folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(self).map_err(|error| StoreError::Format { path: folder.join(FILE), reason: error.to_string() })?;
        files::publish_bytes(&folder.join(FILE), &bytes)
    }

    /// The paths of the valid files. Names that leave the folder, as no manifest of ours has, do not count.
    pub(crate) fn paths(&self, folder: &Path) -> Vec<PathBuf> {
        self.files.iter().filter(|entry| !entry.name.contains('/')).map(|entry| folder.join(&entry.name)).collect()
    }
}
