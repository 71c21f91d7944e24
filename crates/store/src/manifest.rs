//! What an hour's folder holds, for our own reader: the files are the truth, the manifest saves
//! opening them and tells when one is gone.

use std::path::{Path, PathBuf};

use model::table::Row;
use serde::{Deserialize, Serialize};

use crate::columns::{self, SCHEMA_VERSION};
use crate::layout::PARQUET;
use crate::{StoreError, files, reading};

/// Its name in the folder.
pub const MANIFEST_FILE: &str = "_manifest.json";

/// The file of a compacted hour.
pub(crate) const HOUR_FILE: &str = "hour.parquet";

/// What an hour's folder holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the layout of the table that its writer knew.
    pub schema_version: String,
    /// Its valid files, in the order of their names.
    pub files: Vec<Entry>,
}

/// A valid file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name in the folder.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Start of the earliest window in it, µs since 1970.
    pub first_us: i64,
    /// Start of the latest.
    pub last_us: i64,
}

/// The readable files of an hour's folder as they are now.
///
/// # Errors
///
/// If the folder cannot be listed.
pub fn hour_files(folder: &Path) -> Result<Manifest, StoreError> {
    Ok(Manifest::check(folder)?.manifest)
}

/// A folder's manifest made to agree with its files.
pub(crate) struct Checked {
    pub(crate) manifest: Manifest,
    /// Whether the hour has been compacted, be its file damaged or not.
    pub(crate) is_compacted: bool,
    /// Whether what was stored says the same.
    pub(crate) is_as_stored: bool,
    /// Files of the stored manifest that are gone.
    pub(crate) gone: Vec<PathBuf>,
    /// Files that cannot be read, and why.
    pub(crate) damaged: Vec<(PathBuf, String)>,
}

impl Entry {
    /// The entry of a file of these rows.
    pub(crate) fn of<R: Row>(name: &str, rows: &[R], bytes: usize) -> Entry {
        let starts = || rows.iter().map(columns::start_us);
        let (first_us, last_us) = (starts().min().unwrap_or(i64::MIN), starts().max().unwrap_or(i64::MAX));
        Entry { name: name.to_string(), rows: rows.len() as u64, bytes: bytes as u64, first_us, last_us }
    }
}

impl Manifest {
    pub(crate) fn new() -> Manifest {
        Manifest { schema_version: SCHEMA_VERSION.to_string(), files: Vec::new() }
    }

    /// The stored manifest, if there is one and it is whole.
    fn stored(folder: &Path) -> Result<Option<Manifest>, StoreError> {
        Ok(files::read(&folder.join(MANIFEST_FILE))?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// The manifest of a folder, made to agree with the files that are there: a crash between a
    /// file's rename and the manifest's leaves one that the manifest does not know.
    pub(crate) fn check(folder: &Path) -> Result<Checked, StoreError> {
        let stored = Manifest::stored(folder)?;
        let known = stored.as_ref().map_or(&[][..], |manifest| &manifest.files);
        let (mut manifest, mut damaged) = (Manifest::new(), Vec::new());
        for path in files::entries(folder)?.iter().filter(|path| files::has_ending(path, PARQUET)) {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            match known.iter().find(|entry| entry.name == name && entry.bytes == bytes) {
                Some(entry) => manifest.enter(entry.clone()),
                None => match reading::inspect(path, name, bytes) {
                    Ok(entry) => manifest.enter(entry),
                    Err(reading::Failure::Gone) => {}
                    Err(failure) => damaged.push((path.clone(), failure.to_string())),
                },
            }
        }
        let is_here = |entry: &Entry| folder.join(&entry.name).exists();
        let gone = known.iter().filter(|entry| !is_here(entry)).map(|entry| folder.join(&entry.name)).collect();
        let is_as_stored = stored.as_ref() == Some(&manifest) || (stored.is_none() && manifest.files.is_empty());
        let is_compacted = folder.join(HOUR_FILE).exists();
        Ok(Checked { manifest, is_compacted, is_as_stored, gone, damaged })
    }

    /// Enters a file, in place of an earlier one of its name.
    pub(crate) fn enter(&mut self, entry: Entry) {
        self.files.retain(|known| known.name != entry.name);
        self.files.push(entry);
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Publishes it into its folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), StoreError> {
        let path = folder.join(MANIFEST_FILE);
        let bytes =
            serde_json::to_vec(self).map_err(|error| StoreError::Format { path: path.clone(), reason: error.to_string() })?;
        files::publish(&path, &bytes)
    }
}
