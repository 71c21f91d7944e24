//! Every file operation of the store: whole files or none.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Ending of a file that is not published yet; no reader's `*.parquet` matches it, and those that
/// take every file of a folder (pyarrow, Spark) pass over its name's first character, a dot.
pub(crate) const TEMPORARY: &str = "tmp";

/// Ending of a folder that awaits its replacement, where two folders cannot be exchanged in one step.
pub(crate) const REPLACED: &str = "replaced";

/// Publishes bytes as a file: temporary name, sync, rename, sync of its folder.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{TEMPORARY}"));
    if let Err(error) = write_synced(&temporary, bytes) {
        // What was begun is of no use; that it cannot be removed either changes nothing.
        let _ = step(Change::RemoveFile(&temporary), || fs::remove_file(&temporary));
        return Err(error);
    }
    rename(&temporary, path)?;
    sync_parent(path)
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = step(Change::Create(path), || File::create(path)).map_err(StoreError::files("create", path))?;
    step(Change::Write(path, bytes), || file.write_all(bytes)).map_err(StoreError::files("write", path))?;
    sync(Change::SyncFile(path), || file.sync_all()).map_err(StoreError::files("sync", path))
}

/// A file that grows at its end.
pub(crate) struct Appending {
    path: PathBuf,
    file: File,
}

impl Appending {
    /// Makes a new file, in place of any that is there.
    pub(crate) fn create(path: &Path) -> Result<Appending, StoreError> {
        let file = step(Change::Create(path), || File::create(path)).map_err(StoreError::files("create", path))?;
        Ok(Appending { path: path.to_path_buf(), file })
    }

    /// Hands bytes to the system: they outlive this process, not a loss of power.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        step(Change::Write(&self.path, bytes), || self.file.write_all(bytes)).map_err(StoreError::files("write", &self.path))
    }

    /// A second handle, to sync from another thread.
    pub(crate) fn again(&self) -> Result<Appending, StoreError> {
        let file = self.file.try_clone().map_err(StoreError::files("open again", &self.path))?;
        Ok(Appending { path: self.path.clone(), file })
    }

    /// Puts what was written, and that the file is there, on the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        sync(Change::SyncFile(&self.path), || self.file.sync_data()).map_err(StoreError::files("sync", &self.path))?;
        sync_parent(&self.path)
    }
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match step(Change::RemoveFile(path), || fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(StoreError::files("remove", path)),
    }
}

/// A file's bytes; `None` if it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(StoreError::files("read", path)),
    }
}

/// Makes a folder and its parents, each synced into its own parent.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folder(parent)?;
    }
    match step(Change::CreateFolder(path), || fs::create_dir(path)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made.map_err(StoreError::files("create the folder", path))?,
    }
    sync_parent(path)
}

/// Opens a file that only one process can hold; `None` if another one does.
pub(crate) fn lock(path: &Path) -> Result<Option<File>, StoreError> {
    // Not emptied before it is locked: it names the process that holds it.
    let open = || File::options().write(true).create(true).truncate(false).open(path);
    let file = step(Change::Create(path), open).map_err(StoreError::files("create", path))?;
    match file.try_lock() {
        Ok(()) => {
            // For whoever wants to tell this process something.
            let sign = || file.set_len(0).and_then(|()| write!(&file, "{}", std::process::id()));
            step(Change::Write(path, b""), sign).map_err(StoreError::files("write", path))?;
            Ok(Some(file))
        }
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(StoreError::files("lock", path)(error)),
    }
}

/// The process that holds a lock; `None` if none does.
pub(crate) fn holder(path: &Path) -> Result<Option<u32>, StoreError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(StoreError::files("open", path))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(fs::TryLockError::WouldBlock) => {
            let text = fs::read_to_string(path).map_err(StoreError::files("read", path))?;
            Ok(text.trim().parse().ok())
        }
        Err(fs::TryLockError::Error(error)) => Err(StoreError::files("lock", path)(error)),
    }
}

/// Puts a new folder into the place of an old one, which is then under the new one's name.
///
/// One step (Linux `renameat2`); where the file system has none, two renames, between which the
/// old folder lies beside the new one with the ending [`REPLACED`].
pub(crate) fn replace_folder(new: &Path, old: &Path) -> Result<(), StoreError> {
    use nix::errno::Errno;
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    let exchange = || match renameat2(AT_FDCWD, new, AT_FDCWD, old, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => Ok(()),
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::ENOTSUP) => Err(io::ErrorKind::Unsupported.into()),
        Err(error) => Err(io::Error::from(error)),
    };
    let is_done = !steps::cannot_exchange()
        && match step(Change::Exchange(new, old), exchange) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => false,
            done => done.map(|()| true).map_err(StoreError::files("exchange the folder", old))?,
        };
    if !is_done {
        replace_in_two_steps(new, old)?;
    }
    sync_parent(old)?;
    sync_parent(new)
}

fn replace_in_two_steps(new: &Path, old: &Path) -> Result<(), StoreError> {
    let replaced = with_ending(new, REPLACED);
    remove_folder(&replaced)?;
    rename(old, &replaced)?;
    if let Err(error) = sync_parent(&replaced).and_then(|()| rename(new, old)) {
        // If this fails too, the next start puts it back.
        let _ = rename(&replaced, old);
        return Err(error);
    }
    sync_parent(old)?;
    remove_folder(&replaced)
}

/// Renames a file or folder.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    step(Change::Rename(from, to), || fs::rename(from, to)).map_err(StoreError::files("rename onto", to))
}

/// Renames a file, which may go into another folder, for good.
pub(crate) fn set_aside(from: &Path, to: &Path) -> Result<(), StoreError> {
    rename(from, to)?;
    sync_parent(to)?;
    sync_parent(from)
}

/// Removes a folder with all that is in it; one that is not there is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), StoreError> {
    match step(Change::RemoveFolder(path), || fs::remove_dir_all(path)) {
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

/// A path with a further ending.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Removes what an interrupted publication left in a folder.
pub(crate) fn sweep(folder: &Path) -> Result<(), StoreError> {
    for path in entries(folder)?.iter().filter(|path| has_ending(path, TEMPORARY)) {
        step(Change::RemoveFile(path), || fs::remove_file(path)).map_err(StoreError::files("remove", path))?;
    }
    Ok(())
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    sync(Change::SyncFolder(parent), || File::open(parent).and_then(|folder| folder.sync_all()))
        .map_err(StoreError::files("sync", parent))
}

/// A change of the disk.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests look at what a change is"))]
pub(crate) enum Change<'a> {
    Create(&'a Path),
    /// Bytes at the end.
    Write(&'a Path, &'a [u8]),
    SyncFile(&'a Path),
    CreateFolder(&'a Path),
    SyncFolder(&'a Path),
    Rename(&'a Path, &'a Path),
    Exchange(&'a Path, &'a Path),
    RemoveFile(&'a Path),
    RemoveFolder(&'a Path),
}

/// An operation that changes the disk: a test can end the process, as it were, before each, and look on.
fn step<T>(change: Change<'_>, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    steps::pass()?;
    let done = operation()?;
    steps::note(change);
    Ok(done)
}

/// As [`step`], of what only a loss of power would show.
fn sync(change: Change<'_>, operation: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    step(change, || if steps::are_synced() { operation() } else { Ok(()) })
}

#[cfg(not(test))]
mod steps {
    pub(super) fn are_synced() -> bool {
        true
    }

    pub(super) fn pass() -> std::io::Result<()> {
        Ok(())
    }

    pub(super) fn note(_: super::Change<'_>) {}

    pub(super) fn cannot_exchange() -> bool {
        false
    }
}

/// Where a test ends the writer: every operation after that many fails, cleaning up too.
#[cfg(test)]
pub(crate) mod steps {
    use std::cell::{Cell, RefCell};
    use std::io;

    use super::Change;

    /// Is told of each change that was made.
    type Observer = Box<dyn FnMut(Change<'_>)>;

    thread_local! {
        static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
        static CANNOT_EXCHANGE: Cell<bool> = const { Cell::new(false) };
        static ARE_SYNCED: Cell<bool> = const { Cell::new(true) };
        static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
    }

    pub(crate) fn end_after(steps: usize) {
        LEFT.set(steps);
    }

    pub(crate) fn set_cannot_exchange(cannot: bool) {
        CANNOT_EXCHANGE.set(cannot);
    }

    /// Leaves syncs out, for a test that models the disk itself.
    pub(crate) fn leave_syncs_out() {
        ARE_SYNCED.set(false);
    }

    pub(super) fn are_synced() -> bool {
        ARE_SYNCED.get()
    }

    pub(crate) fn observe(observer: Option<Observer>) {
        OBSERVER.set(observer);
    }

    pub(super) fn note(change: Change<'_>) {
        OBSERVER.with_borrow_mut(|observer| {
            if let Some(observe) = observer {
                observe(change);
            }
        });
    }

    pub(super) fn pass() -> io::Result<()> {
        match LEFT.get() {
            usize::MAX => Ok(()),
            0 => Err(io::Error::other("ended by the test")),
            left => {
                LEFT.set(left - 1);
                Ok(())
            }
        }
    }

    pub(super) fn cannot_exchange() -> bool {
        CANNOT_EXCHANGE.get()
    }
}
