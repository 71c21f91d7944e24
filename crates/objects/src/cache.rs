//! Objects on this disk: none ever changes, so what was fetched once is there for good, within a bound.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use object_store::path::Path as ObjectPath;

use crate::ObjectsError;

/// Beginning of the folders of readers that are at work.
const VIEW: &str = ".view-";
/// File in such a folder that its reader holds locked.
const LOCK: &str = ".lock";
/// Ending of what is being fetched.
const PARTIAL: &str = "partial";

/// A folder of objects, and a folder of links to those that a reader sees.
///
/// A reader's links stay what they are whatever others fetch or remove meanwhile.
pub(crate) struct Cache {
    objects: PathBuf,
    view: PathBuf,
    /// Locked while the view is in use.
    _lock: File,
}

impl Cache {
    /// Opens the cache of a place below `folder`; removes the oldest objects beyond `bytes_most`.
    pub(crate) fn open(folder: &Path, place: &str, bytes_most: u64) -> Result<Cache, ObjectsError> {
        let name: String = place.bytes().map(|byte| if byte.is_ascii_alphanumeric() { byte as char } else { '_' }).collect();
        let objects = folder.join("objects").join(name);
        fs::create_dir_all(&objects).map_err(ObjectsError::file("make", &objects))?;
        sweep_views(folder)?;
        shrink(&folder.join("objects"), bytes_most)?;
        let (view, lock) = new_view(folder)?;
        Ok(Cache { objects, view, _lock: lock })
    }

    /// The folder of a reader's links.
    pub(crate) fn view(&self) -> &Path {
        &self.view
    }

    /// An object's bytes, where it was fetched before.
    pub(crate) fn read(&self, object: &ObjectPath) -> Option<Vec<u8>> {
        fs::read(self.path(object)).ok()
    }

    /// Whether an object of this size was fetched before; it counts as used now.
    pub(crate) fn has(&self, object: &ObjectPath, bytes: u64) -> bool {
        let path = self.path(object);
        let is_there = fs::metadata(&path).is_ok_and(|metadata| metadata.len() == bytes);
        if is_there {
            // If it cannot be marked, it goes earlier than it might.
            let _ = File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        }
        is_there
    }

    /// Keeps an object, whole or not at all.
    pub(crate) fn keep(&self, object: &ObjectPath, bytes: &[u8]) -> Result<(), ObjectsError> {
        let path = self.path(object);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(ObjectsError::file("make", parent))?;
        }
        // Two readers may fetch the same.
        let partial = path.with_extension(format!("{}.{PARTIAL}", std::process::id()));
        let write = || {
            let mut file = File::create(&partial)?;
            io::Write::write_all(&mut file, bytes)?;
            file.sync_data()
        };
        write().map_err(ObjectsError::file("write", &partial))?;
        fs::rename(&partial, &path).map_err(ObjectsError::file("rename onto", &path))
    }

    /// Shows an object to the reader as a file of its view.
    pub(crate) fn link(&self, object: &ObjectPath, file: &Path) -> Result<(), ObjectsError> {
        let path = self.view.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(ObjectsError::file("make", parent))?;
        }
        let object = self.path(object);
        // Some file systems have no links.
        let linked = fs::hard_link(&object, &path).or_else(|_| fs::copy(&object, &path).map(|_| ()));
        linked.map_err(ObjectsError::file("link", &path))
    }

    fn path(&self, object: &ObjectPath) -> PathBuf {
        object.parts().fold(self.objects.clone(), |path, part| path.join(part.as_ref()))
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // What stays, the next reader removes.
        let _ = fs::remove_dir_all(&self.view);
    }
}

fn new_view(folder: &Path) -> Result<(PathBuf, File), ObjectsError> {
    for number in 0_u64.. {
        let view = folder.join(format!("{VIEW}{}-{number}", std::process::id()));
        match fs::create_dir(&view) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                made.map_err(ObjectsError::file("make", &view))?;
                let path = view.join(LOCK);
                let lock = File::create(&path).map_err(ObjectsError::file("make", &path))?;
                lock.lock().map_err(ObjectsError::file("lock", &path))?;
                return Ok((view, lock));
            }
        }
    }
    unreachable!("there are more numbers than folders")
}

/// Removes the views of readers that ended without a word.
fn sweep_views(folder: &Path) -> Result<(), ObjectsError> {
    for entry in fs::read_dir(folder).map_err(ObjectsError::file("list", folder))?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(VIEW) {
            continue;
        }
        let lock = File::open(entry.path().join(LOCK));
        // One without a lock is being made.
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Removes what was not used for the longest time, until no more is left than so many bytes.
fn shrink(objects: &Path, bytes_most: u64) -> Result<(), ObjectsError> {
    let mut files = Vec::new();
    let mut folders = vec![objects.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(ObjectsError::file("list", &folder))?.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                files.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len(), entry.path()));
            }
        }
    }
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    files.sort();
    for (_, length, path) in files {
        if bytes <= bytes_most {
            break;
        }
        // Another reader may have removed it.
        let _ = fs::remove_file(&path);
        bytes -= length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_long_goes_first_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let object = |name: &str| ObjectPath::from(format!("collector=a/links/{name}"));
        let open = |most| Cache::open(folder.path(), "az://account/tables", most).unwrap();
        let cache = open(1_000);
        for (name, age) in [("old", 30), ("older", 40), ("new", 10)] {
            cache.keep(&object(name), &[0; 100]).unwrap();
            let at = SystemTime::now() - std::time::Duration::from_secs(age);
            File::options().append(true).open(cache.path(&object(name))).unwrap().set_modified(at).unwrap();
        }
        assert!(cache.has(&object("older"), 100) && !cache.has(&object("older"), 99) && !cache.has(&object("none"), 1));
        cache.link(&object("old"), Path::new("a/links/x.parquet")).unwrap();
        let other = open(200);
        let left: Vec<bool> = ["older", "new", "old"].iter().map(|name| other.read(&object(name)).is_some()).collect();
        assert_eq!(left, [true, true, false], "it was used just now");
        assert_eq!(fs::read(cache.view().join("a/links/x.parquet")).unwrap(), [0; 100]);
        let views =
            || fs::read_dir(folder.path()).unwrap().filter(|entry| entry.as_ref().unwrap().file_name() != "objects").count();
        assert_eq!(views(), 2);
        drop(cache);
        std::mem::forget(other);
        // Its lock is held on: as a reader that is at work.
        assert_eq!(views(), 1);
        drop(open(200));
        assert_eq!(views(), 1);
    }
}
