//! What a stopped program resumes with: one file, whole or not at all, with a checksum.

use std::path::{Path, PathBuf};

use crate::StoreError;
use crate::files;

/// A file beside the tables in which a part of the program keeps what it goes on from.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// The file of that name in a folder `.FOLDER` of the data folder, which is made if need be.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made.
    pub fn open(data: &Path, folder: &str, name: &str) -> Result<StateFile, StoreError> {
        let folder = data.join(format!(".{folder}"));
        files::make_folder(&folder)?;
        Ok(StateFile { path: folder.join(name) })
    }

    /// What it holds; `None` if there is none yet, or if it was damaged: then it is set aside.
    ///
    /// # Errors
    ///
    /// If it is there and cannot be read or set aside.
    pub fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        match read_state(&self.path)? {
            State::Present(bytes) => Ok(Some(bytes)),
            State::Absent | State::SetAside(_) => Ok(None),
        }
    }

    /// Writes it whole, in place of what it held.
    ///
    /// # Errors
    ///
    /// If it cannot be written; what it held still stands.
    pub fn write(&self, bytes: &[u8]) -> Result<(), StoreError> {
        write_state(&self.path, bytes)
    }
}

/// First bytes of a state file.
const MAGIC: &[u8; 8] = b"peerst02";

/// A state file as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is none.
    Absent,
    /// Its bytes.
    Present(Vec<u8>),
    /// It was damaged and has been renamed to this.
    SetAside(PathBuf),
}

/// Writes a state file whole.
///
/// # Errors
///
/// If it cannot be written; the earlier one then still stands.
pub(crate) fn write_state(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = Vec::with_capacity(bytes.len() + 16);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&checksum(bytes).to_le_bytes());
    file.extend_from_slice(bytes);
    files::publish(path, &file)
}

/// Reads a state file; a damaged one is set aside.
///
/// # Errors
///
/// If it is there and cannot be read or set aside.
pub(crate) fn read_state(path: &Path) -> Result<State, StoreError> {
    let Some(file) = files::read(path)? else { return Ok(State::Absent) };
    if let Some((head, bytes)) = file.split_at_checked(16)
        && &head[..8] == MAGIC
        && head[8..] == checksum(bytes).to_le_bytes()
    {
        return Ok(State::Present(bytes.to_vec()));
    }
    let aside = files::with_ending(path, "damaged");
    files::set_aside(path, &aside)?;
    Ok(State::SetAside(aside))
}

/// A checksum of 64 bits, eight bytes at a time: finds damage, not malice.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain(std::iter::once(&last));
    // Not from 0: nothing but zeros, as a loss of power leaves them, must not be right.
    words.fold(0x5bd1_e995_97f4_a7c5 ^ bytes.len() as u64, |hash, word| {
        (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}
