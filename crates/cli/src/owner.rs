//! The owner: merges what the workers counted, judges windows, and hands rows to the store.

use std::collections::VecDeque;
use std::path::Path;

use measure::{Delta, Owner, OwnerState};
use model::{Ledger, Publication};
use store::{Store, StoreError};

use crate::configuration::Configured;
use crate::connections::Connections;
use crate::failure::Failure;

/// Publications kept for a second try while the store fails; beyond it the oldest fall off, counted.
const PENDING_MOST: usize = 10_000;

/// The owner of all windows, and its store.
pub(crate) struct Publisher {
    owner: Owner,
    store: Store,
    connections: Connections,
    pending: VecDeque<Publication>,
    published: u64,
    fell_off: u64,
    is_failing: bool,
}

impl Publisher {
    /// An owner that publishes into the data folder that `store` writes; it goes on with `saved` if there is that.
    pub(crate) fn open(
        configured: &Configured,
        store: Store,
        data: &Path,
        saved: Option<OwnerState>,
    ) -> Result<Publisher, Failure> {
        let connections = Connections::open(configured.shared.inventory.clone(), data).map_err(Failure::failed)?;
        let settings = configured.shared.measure.clone();
        let owner = match saved {
            Some(state) => Owner::resume(settings, state),
            None => Owner::new(settings),
        };
        Ok(Publisher { owner, store, connections, pending: VecDeque::new(), published: 0, fell_off: 0, is_failing: false })
    }

    /// Leaves windows alone that end by `at_us`: an earlier run has published them.
    pub(crate) fn start_after(&mut self, at_us: i64) {
        self.owner.start_after(at_us);
    }

    /// Takes a worker's counts in.
    pub(crate) fn merge(&mut self, worker: usize, delta: Delta, now_us: i64) {
        self.owner.merge(worker, delta, now_us);
    }

    /// Publishes what is due, and compacts finished hours.
    ///
    /// # Errors
    ///
    /// When the store fails; what could not be written is kept and tried again at the next call.
    pub(crate) fn advance(&mut self, now_us: i64) -> Result<(), StoreError> {
        let due = self.owner.advance(now_us);
        let changes = self.connections.changes(self.owner.links(), now_us);
        self.publish(due.into_iter().chain(changes))?;
        let compacted = self.store.compact(now_us);
        self.tell_notices();
        compacted.map(|_| ())
    }

    /// Publishes everything that there is: the input is at its end.
    pub(crate) fn finish(&mut self, now_us: i64) -> Result<(), StoreError> {
        let due = self.owner.finish(now_us);
        let changes = self.connections.changes(self.owner.links(), now_us);
        self.publish(due.into_iter().chain(changes))?;
        self.tell_notices();
        Ok(())
    }

    /// Publishes what open windows hold so far, for readers; the next start goes on with them.
    pub(crate) fn preview(&mut self, now_us: i64) -> Result<(), StoreError> {
        let due = self.owner.preview(now_us);
        self.publish(due)
    }

    fn publish(&mut self, due: impl IntoIterator<Item = Publication>) -> Result<(), StoreError> {
        self.pending.extend(due);
        while self.pending.len() > PENDING_MOST {
            self.pending.pop_front();
            self.fell_off += 1;
        }
        while let Some(publication) = self.pending.front() {
            self.store.publish(publication)?;
            self.pending.pop_front();
            self.published += 1;
        }
        Ok(())
    }

    fn tell_notices(&mut self) {
        for notice in self.store.take_notices() {
            tracing::warn!("{notice}");
        }
    }

    /// As [`Publisher::advance`], for a collector that goes on: a failure is told once, not returned.
    pub(crate) fn advance_or_tell(&mut self, now_us: i64) {
        match self.advance(now_us) {
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the data folder can be written again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!("{error}; receiving goes on, rows are kept and written when it is mended");
                }
            }
        }
    }

    /// The balances of the workers, with what came too late told apart.
    pub(crate) fn settle(&self, mut ledger: Ledger) -> Ledger {
        let late = self.owner.late_records();
        ledger.records_attributed -= late.min(ledger.records_attributed);
        ledger.records_late += late;
        ledger
    }

    /// Windows published, revisions included.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// Windows that could not be written and fell off the queue.
    pub(crate) fn fell_off(&self) -> u64 {
        self.fell_off
    }

    /// What the owner holds, to be saved.
    pub(crate) fn state(&self) -> &OwnerState {
        self.owner.state()
    }

    /// What workers could not count as it came, in one sentence; `None` if there was nothing of the kind.
    pub(crate) fn losses(&self) -> Option<String> {
        let losses = self.owner.losses();
        let folded = losses.folded_lanes + losses.folded_cells + losses.moved_bins;
        (folded > 0).then(|| {
            format!("{folded} records or parts found no room and were counted as \"other\"; raise the limits of [measure]")
        })
    }
}
