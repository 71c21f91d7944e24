//! What a stopped collector leaves for the next start.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Name of the file in the data folder.
const STATE_FILE: &str = "collector.state";

/// Open windows, and what decoders know of exporters.
#[derive(Serialize, Deserialize)]
pub(crate) struct Saved {
    /// Windows that may still change.
    pub(crate) owner: measure::OwnerState,
    /// Of each worker: templates, samplers, sequences, clocks.
    pub(crate) decoders: Vec<decode::DecoderState>,
}

/// Reads the state and takes it away: it must not be resumed from twice, for the windows go on.
pub(crate) fn take_saved(data: &Path) -> Result<Option<Saved>, Failure> {
    let path = data.join(STATE_FILE);
    let bytes = match store::read_state(&path).map_err(Failure::failed)? {
        store::State::Absent => return Ok(None),
        store::State::SetAside(aside) => {
            tracing::warn!(
                "{}: the saved state was damaged; it is set aside as {}, and open windows begin anew",
                path.display(),
                aside.display()
            );
            return Ok(None);
        }
        store::State::Present(bytes) => bytes,
    };
    let saved = postcard::from_bytes(&bytes);
    let taken = data.join(format!("{STATE_FILE}.{}", if saved.is_ok() { "taken" } else { "unknown" }));
    std::fs::rename(&path, &taken).map_err(|error| Failure::failed(format!("{}: cannot be renamed: {error}", path.display())))?;
    if let Err(error) = &saved {
        tracing::warn!(
            "{}: the saved state is of another version ({error}); it is set aside, and open windows begin anew",
            taken.display()
        );
    }
    Ok(saved.ok())
}

/// Writes the state.
pub(crate) fn write_saved(data: &Path, saved: &Saved) -> Result<(), Failure> {
    let bytes =
        postcard::to_allocvec(saved).map_err(|error| Failure::failed(format!("cannot save the open windows: {error}")))?;
    store::write_state(&data.join(STATE_FILE), &bytes).map_err(Failure::failed)
}
