//! What a live collector keeps, so that the next one goes on where it was, however it ended.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use decode::DecoderState;
use measure::{Counts, Judging, MeasureSettings, Owner, OwnerState};
use model::Publication;
use serde::{Deserialize, Serialize};
use store::{Journal, JournalSync, Recovered};

use crate::failure::Failure;
use crate::pipeline::Shared;

/// Time between two checkpoints, and bytes of the journal after which one comes sooner.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// Time after which a journal that could not be written is begun anew.
const AGAIN: Duration = Duration::from_secs(10);

/// A state whole: windows, and what decoders know of exporters.
#[derive(Serialize, Deserialize)]
struct Saved {
    owner: OwnerState,
    decoder: DecoderState,
}

/// What changed the state, in order.
#[derive(Serialize, Deserialize)]
pub(crate) enum Entry {
    /// Other workers go on from here.
    Begin,
    /// A worker's report, and what its decoder learned since the last.
    Counts(Box<Counts>, DecoderState),
    /// Windows were judged at this time.
    Advance(i64),
    /// Another configuration is in force.
    Reconfigured,
    /// The run ended as it should: nothing came after.
    End,
}

/// The state of a collector: all that a journal holds.
pub(crate) struct Kept {
    pub(crate) owner: Owner,
    /// Of all workers; an exporter is on one at a time.
    pub(crate) decoder: DecoderState,
    /// Those in force.
    rules: Rules,
}

/// What an owner measures and judges by.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) measure: MeasureSettings,
    pub(crate) judging: Judging,
}

impl Rules {
    pub(crate) fn of(shared: &Shared) -> Rules {
        Rules { measure: shared.measure.clone(), judging: shared.judging.clone() }
    }
}

impl Kept {
    /// A state without windows.
    pub(crate) fn new(rules: Rules) -> Kept {
        Kept::restore(rules, OwnerState::default(), DecoderState::default())
    }

    fn restore(rules: Rules, owner: OwnerState, decoder: DecoderState) -> Kept {
        let mut owner = Owner::restore(rules.measure.clone(), owner);
        owner.judge_by(rules.judging.clone());
        Kept { owner, decoder, rules }
    }

    /// Goes on under other settings from the next entry [`Entry::Reconfigured`] on.
    pub(crate) fn set(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Takes an entry in; gives what is due to be published.
    pub(crate) fn apply(&mut self, entry: Entry) -> Vec<Publication> {
        match entry {
            Entry::Begin => self.owner.begin_run(),
            Entry::Counts(counts, changes) => {
                self.owner.apply(&counts);
                self.decoder.merge(changes);
            }
            Entry::Advance(now_us) => return self.owner.advance(now_us),
            Entry::Reconfigured => {
                self.owner.reconfigure(self.rules.measure.clone());
                self.owner.judge_by(self.rules.judging.clone());
            }
            Entry::End => {}
        }
        Vec::new()
    }

    /// Its bytes, in a vector that begins with room for so many: one that doubles takes three times the memory.
    fn to_bytes(&self, room: usize) -> Result<Vec<u8>, postcard::Error> {
        /// As [`Saved`], by reference.
        #[derive(Serialize)]
        struct Saving<'a> {
            owner: &'a OwnerState,
            decoder: &'a DecoderState,
        }
        postcard::to_extend(&Saving { owner: self.owner.state(), decoder: &self.decoder }, Vec::with_capacity(room))
    }
}

/// What an earlier run left.
pub(crate) struct Earlier {
    /// Its state; `None` if there was none, or none that can be read.
    pub(crate) kept: Option<Kept>,
    /// What it published, or was about to, since its last checkpoint: the last revision of each window.
    pub(crate) publications: Vec<Publication>,
    /// The end of its input where it did not end as it should.
    pub(crate) killed_us: Option<i64>,
}

/// The journal of this run.
pub(crate) struct Keeper {
    journal: Journal,
    /// When the last checkpoint was tried; `None` has one made at once.
    tried: Option<Instant>,
    buffer: Vec<u8>,
    /// Length of the last checkpoint.
    state_bytes: usize,
    /// It could not be written, and that was told.
    is_given_up: bool,
    /// Failures of the writer that were answered with a new checkpoint.
    answered_failures: u64,
}

impl Keeper {
    /// Reads what an earlier run left.
    pub(crate) fn open(data: &Path, rules: &Rules) -> Result<(Keeper, Earlier), Failure> {
        let mut reading = Reading::default();
        let (journal, notices) = Journal::recover(data, |item| reading.take(item, rules)).map_err(Failure::failed)?;
        notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        if reading.is_unknown {
            tracing::warn!("{}: the saved state is of another version; open windows begin anew", data.display());
        }
        let keeper =
            Keeper { journal, tried: None, buffer: Vec::new(), state_bytes: 0, is_given_up: false, answered_failures: 0 };
        Ok((keeper, reading.finish()))
    }

    /// Appends an entry. A journal that cannot be written is given up until the next checkpoint.
    pub(crate) fn keep(&mut self, entry: &Entry) {
        if !self.journal.is_open() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let appended = match postcard::to_extend(entry, buffer) {
            Ok(bytes) => {
                let appended = self.journal.append(&bytes);
                self.buffer = bytes;
                appended.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = appended {
            tracing::error!("{error}; the journal is given up until it can be written again: a kill loses open windows");
            // Rows that are published from now on it would not know of.
            let _ = self.journal.discard();
            self.is_given_up = true;
            self.tried = Some(Instant::now());
        }
    }

    /// A handle to put the journal on the disk; `None` while there is none.
    pub(crate) fn sync(&self) -> Option<JournalSync> {
        if self.journal.is_open() { self.journal.sync().ok() } else { None }
    }

    /// The state to write as a checkpoint, if one is due; the journal goes on from it.
    ///
    /// What the writer failed to sync or write is not tried again but answered with a new one: after a
    /// failed sync nobody knows what of the old file is on the disk.
    pub(crate) fn checkpoint(&mut self, kept: &Kept, writer_failures: u64) -> Option<(JournalSync, Vec<u8>)> {
        let has_failed = writer_failures > self.answered_failures || !self.journal.is_open();
        let every = if has_failed { AGAIN } else { CHECKPOINT_EVERY };
        let is_due =
            self.tried.is_none_or(|tried| tried.elapsed() >= every) || self.journal.bytes() >= CHECKPOINT_BYTES && !has_failed;
        if !is_due {
            return None;
        }
        self.tried = Some(Instant::now());
        self.answered_failures = writer_failures;
        let made = self.journal.begin().map_err(|error| error.to_string()).and_then(|sync| {
            kept.to_bytes(self.state_bytes + self.state_bytes / 8).map(|bytes| (sync, bytes)).map_err(|error| error.to_string())
        });
        match made {
            Ok(made) => {
                self.state_bytes = made.1.len();
                if std::mem::take(&mut self.is_given_up) {
                    tracing::info!("the journal is written again");
                }
                Some(made)
            }
            Err(error) => {
                // Once, not at every try.
                if !std::mem::replace(&mut self.is_given_up, true) {
                    tracing::error!("{error}; the open windows cannot be saved, a kill loses them");
                }
                let _ = self.journal.discard();
                None
            }
        }
    }

    /// Makes the next checkpoint due.
    pub(crate) fn hurry(&mut self) {
        self.tried = None;
    }
}

/// An earlier run's state, as it is read.
#[derive(Default)]
struct Reading {
    kept: Option<Kept>,
    publications: BTreeMap<(u8, i64), Publication>,
    last_us: Option<i64>,
    has_ended: bool,
    is_unknown: bool,
}

impl Reading {
    fn take(&mut self, item: Recovered, rules: &Rules) {
        match item {
            Recovered::Checkpoint(bytes) => match postcard::from_bytes::<Saved>(&bytes) {
                Ok(Saved { owner, decoder }) => {
                    self.kept = Some(Kept::restore(rules.clone(), owner, decoder));
                }
                Err(_) => self.is_unknown = true,
            },
            Recovered::Entry(bytes) => match postcard::from_bytes::<Entry>(&bytes) {
                Ok(entry) if !self.is_unknown => self.apply(entry),
                _ => self.is_unknown = true,
            },
        }
    }

    fn apply(&mut self, entry: Entry) {
        self.has_ended = matches!(entry, Entry::End);
        match &entry {
            Entry::Advance(now_us) => self.last_us = Some(*now_us),
            Entry::Counts(counts, _) => self.last_us = Some(counts.now_us()),
            Entry::Begin | Entry::Reconfigured | Entry::End => {}
        }
        let Some(kept) = &mut self.kept else { return };
        for publication in kept.apply(entry) {
            self.publications.insert((publication.rows.number(), publication.window_start_us), publication);
        }
    }

    fn finish(self) -> Earlier {
        let killed_us = self.last_us.filter(|_| !self.has_ended);
        Earlier { kept: self.kept, publications: self.publications.into_values().collect(), killed_us }
    }
}
