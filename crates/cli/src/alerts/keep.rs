//! What alerts keep in the data folder: their state, and the silences that were asked for.

use std::path::Path;

use alert::{Keep, SILENCES_MAX, Saved, Silence};
use store::{StateFile, StoreError};

use crate::failure::Failure;

/// Folder in the data folder, and the files in it.
const FOLDER: &str = "alerts";
const STATE: &str = "state";
const SILENCES: &str = "silences";

/// The two files, for the thread that waits for the disk.
pub(super) struct Files {
    state: StateFile,
    silences: StateFile,
    /// The silences as they were read last; `None` before.
    read: Option<Vec<u8>>,
}

/// Opens what an earlier run left, if it left anything that can be read.
pub(super) fn open(data: &Path) -> Result<(Files, Option<Saved>), StoreError> {
    let state = StateFile::open(data, FOLDER, STATE)?;
    let saved = state.read()?.and_then(|bytes| Saved::read(&bytes));
    Ok((Files { state, silences: StateFile::open(data, FOLDER, SILENCES)?, read: None }, saved))
}

impl Keep for Files {
    fn save(&mut self, state: &[u8]) -> Result<(), String> {
        self.state.write(state).map_err(|error| error.to_string())
    }

    fn silences(&mut self) -> Option<Vec<Silence>> {
        // What cannot be read now is as it was.
        let bytes = self.silences.read().ok()?.unwrap_or_default();
        if self.read.as_ref() == Some(&bytes) {
            return None;
        }
        let silences = parse(&bytes);
        self.read = Some(bytes);
        Some(silences)
    }
}

fn parse(bytes: &[u8]) -> Vec<Silence> {
    let mut silences: Vec<Silence> = serde_json::from_slice(bytes).unwrap_or_default();
    silences.truncate(SILENCES_MAX);
    silences
}

/// The state of alerts in a data folder; `None` if no collector has left any.
pub(crate) fn saved(data: &Path) -> Result<Option<Saved>, Failure> {
    let state = StateFile::open(data, FOLDER, STATE).and_then(|file| file.read()).map_err(Failure::failed)?;
    Ok(state.and_then(|bytes| Saved::read(&bytes)))
}

/// The silences that were asked for.
pub(crate) fn read_silences(data: &Path) -> Result<Vec<Silence>, Failure> {
    let bytes = StateFile::open(data, FOLDER, SILENCES).and_then(|file| file.read()).map_err(Failure::failed)?;
    Ok(parse(&bytes.unwrap_or_default()))
}

/// Writes them; a collector that runs takes them in within some seconds.
pub(crate) fn write_silences(data: &Path, silences: &[Silence]) -> Result<(), Failure> {
    let bytes = serde_json::to_vec(silences).map_err(Failure::failed)?;
    StateFile::open(data, FOLDER, SILENCES).and_then(|file| file.write(&bytes)).map_err(Failure::failed)
}
