//! What a killed program goes on from: checkpoints, and journals of what came since.
//!
//! Checkpoint `n` is a state whole; journal `n` holds the entries that came after it. A journal begins
//! before its checkpoint is written: until that is on the disk, the one before it and both journals
//! give the same state. The last two generations are kept, so that one damaged file costs nothing.
//!
//! An entry that the system has taken outlives the program; one that was synced, a loss of power.

use std::path::{Path, PathBuf};

use crate::StoreError;
use crate::files::{self, Appending};
use crate::state::{State, checksum, read_state, write_state};

/// Folder in the data folder.
const FOLDER: &str = ".journal";
const CHECKPOINT: &str = "checkpoint";
const JOURNAL: &str = "journal";
/// Bytes before an entry: its length and its checksum.
const HEAD_BYTES: usize = 12;
/// No entry is longer; a length beyond it is damage.
const ENTRY_BYTES_MOST: usize = 1 << 30;

/// What is found of an earlier run, in order.
pub enum Recovered {
    /// The state from which the entries go on; comes first, if there is one.
    Checkpoint(Vec<u8>),
    /// An entry that came after it.
    Entry(Vec<u8>),
}

/// The journal of a data folder that this program writes.
pub struct Journal {
    folder: PathBuf,
    number: u64,
    file: Option<Appending>,
    bytes: u64,
    frame: Vec<u8>,
}

/// Writes the checkpoint of a journal, and syncs its entries; it may be used in another thread.
pub struct JournalSync {
    folder: PathBuf,
    number: u64,
    file: Appending,
}

impl Journal {
    /// Gives what an earlier run left, then begins after it; what is damaged is set aside and named in the answer.
    ///
    /// The caller writes a checkpoint next: [`Journal::begin`] and [`JournalSync::checkpoint`].
    ///
    /// # Errors
    ///
    /// If the folder cannot be read or written.
    pub fn recover(data: &Path, mut each: impl FnMut(Recovered)) -> Result<(Journal, Vec<String>), StoreError> {
        let folder = data.join(FOLDER);
        files::make_folder(&folder)?;
        files::sweep(&folder)?;
        let mut notices = Vec::new();
        let (checkpoints, journals) = (numbers(&folder, CHECKPOINT)?, numbers(&folder, JOURNAL)?);
        let last = checkpoints.last().max(journals.last()).copied().unwrap_or(0);
        for number in checkpoints.into_iter().rev() {
            match read_state(&path(&folder, CHECKPOINT, number))? {
                State::Present(bytes) => {
                    each(Recovered::Checkpoint(bytes));
                    entries_from(&folder, number, last, &mut each, &mut notices)?;
                    break;
                }
                State::SetAside(aside) => {
                    notices.push(format!("{}: a checkpoint was damaged and is set aside", aside.display()));
                }
                State::Absent => {}
            }
        }
        Ok((Journal { folder, number: last, file: None, bytes: 0, frame: Vec::new() }, notices))
    }

    /// Begins a journal: its entries go on from a checkpoint of the state as it is now.
    ///
    /// # Errors
    ///
    /// If the file cannot be made; entries are refused until a later one can be.
    pub fn begin(&mut self) -> Result<JournalSync, StoreError> {
        self.number += 1;
        (self.file, self.bytes) = (None, 0);
        self.file = Some(Appending::create(&path(&self.folder, JOURNAL, self.number))?);
        self.sync()
    }

    /// Appends an entry; one that cannot be written ends the journal: what came after a gap would mean something else.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or an earlier one could not.
    pub fn append(&mut self, entry: &[u8]) -> Result<(), StoreError> {
        let Some(file) = &mut self.file else {
            return Err(StoreError::files("write", &path(&self.folder, JOURNAL, self.number))(
                std::io::ErrorKind::BrokenPipe.into(),
            ));
        };
        self.frame.clear();
        self.frame.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        self.frame.extend_from_slice(&checksum(entry).to_le_bytes());
        self.frame.extend_from_slice(entry);
        let written = file.write(&self.frame);
        self.bytes += self.frame.len() as u64;
        if written.is_err() {
            self.file = None;
        }
        written
    }

    /// Bytes since it began.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether entries are taken.
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// A handle by which another thread puts what was appended on the disk.
    ///
    /// # Errors
    ///
    /// If no journal is begun, or the system has no handle left.
    pub fn sync(&self) -> Result<JournalSync, StoreError> {
        let missing =
            || StoreError::files("sync", &path(&self.folder, JOURNAL, self.number))(std::io::ErrorKind::NotFound.into());
        let file = self.file.as_ref().ok_or_else(missing)?.again()?;
        Ok(JournalSync { folder: self.folder.clone(), number: self.number, file })
    }

    /// Removes everything: without it the next start knows that windows may have been published that it knows nothing of.
    ///
    /// # Errors
    ///
    /// If it cannot be removed.
    pub fn discard(&mut self) -> Result<(), StoreError> {
        self.file = None;
        for kind in [CHECKPOINT, JOURNAL] {
            for number in numbers(&self.folder, kind)? {
                files::remove_file(&path(&self.folder, kind, number))?;
            }
        }
        Ok(())
    }
}

impl JournalSync {
    /// Puts what was appended so far on the disk.
    ///
    /// # Errors
    ///
    /// If the system cannot.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.file.sync()
    }

    /// Writes the state that the journal goes on from, then removes what is not needed any more.
    ///
    /// # Errors
    ///
    /// If it cannot be written; what there was before still stands.
    pub fn checkpoint(&self, state: &[u8]) -> Result<(), StoreError> {
        self.file.sync()?;
        write_state(&path(&self.folder, CHECKPOINT, self.number), state)?;
        let checkpoints = numbers(&self.folder, CHECKPOINT)?;
        let before = checkpoints.iter().rev().find(|number| **number < self.number).copied().unwrap_or(self.number);
        for (kind, numbers) in [(CHECKPOINT, checkpoints), (JOURNAL, numbers(&self.folder, JOURNAL)?)] {
            for number in numbers.into_iter().filter(|number| *number < before) {
                files::remove_file(&path(&self.folder, kind, number))?;
            }
        }
        Ok(())
    }
}

fn path(folder: &Path, kind: &str, number: u64) -> PathBuf {
    folder.join(format!("{kind}-{number:010}"))
}

/// The numbers of the files of a kind, ascending.
fn numbers(folder: &Path, kind: &str) -> Result<Vec<u64>, StoreError> {
    let number = |path: PathBuf| path.file_name()?.to_str()?.strip_prefix(kind)?.strip_prefix('-')?.parse().ok();
    let mut numbers: Vec<u64> = files::entries(folder)?.into_iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Gives the entries of the journals from `first` on, until one is damaged or missing.
fn entries_from(
    folder: &Path,
    first: u64,
    last: u64,
    each: &mut impl FnMut(Recovered),
    notices: &mut Vec<String>,
) -> Result<(), StoreError> {
    for number in first..=last {
        let path = path(folder, JOURNAL, number);
        let Some(bytes) = files::read(&path)? else { break };
        let rest = entries(&bytes, each);
        if rest.is_empty() {
            continue;
        }
        if is_cut_off(rest) {
            // The run that came after it knew as much of it.
            if number == last {
                let lost = rest.len();
                notices.push(format!(
                    "{}: ends within an entry, as a killed writer leaves it; {lost} bytes are lost",
                    path.display()
                ));
            }
            continue;
        }
        // A copy: until the next checkpoint is written, the whole entries before are all that there is.
        let (at, aside) = (bytes.len() - rest.len(), files::with_ending(&path, "damaged"));
        files::publish(&aside, &bytes)?;
        notices.push(format!("{}: a journal is damaged at byte {at} and was copied; what came after is lost", aside.display()));
        break;
    }
    Ok(())
}

/// Whether an entry ends beyond the bytes that there are, or there are only the zeros of a file that grew
/// before its bytes came.
fn is_cut_off(rest: &[u8]) -> bool {
    if rest.iter().all(|byte| *byte == 0) {
        return true;
    }
    let length = rest.first_chunk::<4>().map_or(u32::MAX, |length| u32::from_le_bytes(*length)) as usize;
    rest.len() < HEAD_BYTES || length > rest.len() - HEAD_BYTES
}

/// Gives the whole entries; what is left is damaged or cut off.
fn entries<'a>(mut bytes: &'a [u8], each: &mut impl FnMut(Recovered)) -> &'a [u8] {
    while let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some((entry, rest)) = rest.split_at_checked(length).filter(|_| length <= ENTRY_BYTES_MOST) else { return bytes };
        if head[4..] != checksum(entry).to_le_bytes() {
            return bytes;
        }
        each(Recovered::Entry(entry.to_vec()));
        bytes = rest;
    }
    bytes
}
