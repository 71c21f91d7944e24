//! Every file operation of the store: whole files or none.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Ending of a file that is not published yet; no reader's `*.parquet` matches it.
pub(crate) const TEMPORARY: &str = "tmp";

/// Writes a file whole: temporary name, sync, rename, sync of its folder.
pub(crate) fn publish(path: &Path, write: impl FnOnce(&mut File) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let temporary = temporary_name(path);
    let mut file = File::create(&temporary).map_err(StoreError::files("create", &temporary))?;
    let written = write(&mut file).and_then(|()| file.sync_all().map_err(StoreError::files("sync", &temporary)));
    if let Err(error) = written {
        // What was begun is of no use; that it cannot be removed either changes nothing.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    fs::rename(&temporary, path).map_err(StoreError::files("rename onto", path))?;
    sync_parent(path)
}

/// Publishes bytes.
pub(crate) fn publish_bytes(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    publish(path, |file| file.write_all(bytes).map_err(StoreError::files("write", path)))
}

/// Makes a folder and its parents, each synced into its own parent.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folder(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made.map_err(StoreError::files("create the folder", path))?,
    }
    sync_parent(path)
}

/// Exchanges two folders in one step (Linux `renameat2`).
pub(crate) fn exchange(one: &Path, other: &Path) -> Result<(), StoreError> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)
        .map_err(|error| StoreError::files("exchange the folder", one)(error.into()))?;
    sync_parent(one)?;
    sync_parent(other)
}

/// Removes a folder with all that is in it; one that is not there is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(StoreError::files("remove", path)),
    }
}

/// The entries of a folder in the order of their names; none if it is not there.
pub(crate) fn entries(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(StoreError::files("list", path))?,
    };
    let mut entries = Vec::new();
    for entry in listed {
        entries.push(entry.map_err(StoreError::files("list", path))?.path());
    }
    entries.sort();
    Ok(entries)
}

/// Whether a path ends so.
pub(crate) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension() == Some(OsStr::new(ending))
}

/// Removes what an interrupted publication left in a folder.
pub(crate) fn sweep(folder: &Path) -> Result<(), StoreError> {
    for path in entries(folder)?.iter().filter(|path| has_ending(path, TEMPORARY)) {
        fs::remove_file(path).map_err(StoreError::files("remove", path))?;
    }
    Ok(())
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".");
    name.push(TEMPORARY);
    PathBuf::from(name)
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(StoreError::files("sync", parent))
}
