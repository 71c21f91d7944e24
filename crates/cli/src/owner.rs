//! The owner: merges what the workers counted, judges windows, and hands rows to the writer.

use std::path::{Path, PathBuf};

use decode::DecoderState;
use measure::judge::{Basis, Falls, Split};
use measure::{Delta, Owner};
use model::tables::FailoverRow;
use model::{FlowBatch, Ledger, Publication, Rows};
use store::Store;

use crate::alerts::{AlertPlan, Alerts, Health};
use crate::configuration::Configured;
use crate::connections::Connections;
use crate::failure::Failure;
use crate::journal::{Entry, Keeper, Kept, Rules};
use crate::pipeline::Shared;
use crate::writer::{Writer, Written};

/// The owner of all windows, and the thread that writes.
pub(crate) struct Publisher {
    kept: Kept,
    /// A live collector's; a replay begins anew instead.
    keeper: Option<Keeper>,
    connections: Connections,
    alerts: Alerts,
    /// Earlier failovers, and what goes where at present.
    falls: Falls,
    split: Split,
    /// The same as failures are judged by it.
    basis: Basis,
    writer: Writer,
    /// A live collector's that has where to.
    #[cfg(feature = "objects")]
    copying: Option<crate::copying::Copying>,
    data: PathBuf,
    /// What the last minutes told of exporters and paths, for the page.
    #[cfg(feature = "web")]
    heard: crate::page::Heard,
}

impl Publisher {
    /// An owner that publishes into the data folder that `store` writes.
    pub(crate) fn open(configured: &Configured, store: Store, data: &Path) -> Result<Publisher, Failure> {
        let connections = Connections::open(configured.shared.inventory.clone(), data).map_err(Failure::failed)?;
        let kept = Kept::new(Rules::of(&configured.shared));
        let alerts = Alerts::new(configured.alerts.clone());
        Ok(Publisher {
            kept,
            keeper: None,
            connections,
            alerts,
            falls: Falls::default(),
            split: Split::default(),
            basis: Basis::default(),
            writer: Writer::start(store),
            #[cfg(feature = "objects")]
            copying: None,
            data: data.to_path_buf(),
            #[cfg(feature = "web")]
            heard: crate::page::Heard::default(),
        })
    }

    /// An owner that keeps a journal, and goes on from an earlier one's; gives when that ended without a word.
    pub(crate) fn resume(
        configured: &Configured,
        store: Store,
        data: &Path,
        now_us: i64,
    ) -> Result<(Publisher, Option<i64>), Failure> {
        let (keeper, earlier) = Keeper::open(data, &Rules::of(&configured.shared))?;
        let mut publisher = Publisher::open(configured, store, data)?;
        #[cfg(feature = "objects")]
        if let Some(settings) = &configured.objects {
            publisher.copying = Some(crate::copying::Copying::start(settings, data)?);
        }
        match earlier.kept {
            Some(kept) => publisher.kept = kept,
            None => {
                if let Some(end_us) = crate::collector::last_published_us(data, now_us)? {
                    publisher.kept.owner.start_after(end_us);
                }
            }
        }
        publisher.alerts.resume(data, now_us).map_err(Failure::failed)?;
        let failovers = store::read::<FailoverRow>(data, i64::MIN, i64::MAX).map_err(Failure::failed)?.rows;
        publisher.learn(&failovers);
        // They may have been written before the end, or not: the same rows in the same files.
        publisher.writer.publish(earlier.publications);
        publisher.kept.apply(Entry::Begin);
        publisher.keeper = Some(keeper);
        publisher.save();
        publisher.keep(&Entry::Begin);
        Ok((publisher, earlier.killed_us))
    }

    /// Goes on under another configuration.
    ///
    /// # Errors
    ///
    /// If what the table of connections says cannot be read.
    pub(crate) fn reconfigure(&mut self, shared: &Shared, alerts: &AlertPlan) -> Result<(), Failure> {
        self.alerts.reconfigure(alerts.clone());
        self.connections = Connections::open(shared.inventory.clone(), &self.data).map_err(Failure::failed)?;
        self.kept.set(Rules::of(shared));
        self.enter(Entry::Reconfigured);
        Ok(())
    }

    /// What decoders of earlier runs knew.
    pub(crate) fn decoder(&self) -> &DecoderState {
        &self.kept.decoder
    }

    /// Takes a worker's counts in, and what its decoder learned.
    pub(crate) fn merge(&mut self, worker: usize, delta: Delta, changes: DecoderState, now_us: i64) {
        let counts = self.kept.owner.translate(worker, delta, now_us);
        self.enter(Entry::Counts(Box::new(counts), changes));
    }

    /// Has flows written.
    pub(crate) fn flows(&mut self, batch: FlowBatch, now_us: i64) {
        self.writer.flows(batch, now_us);
    }

    /// As [`Publisher::flows`], for one who can wait; gives whether the disk works.
    pub(crate) fn flows_and_wait(&mut self, batch: FlowBatch, now_us: i64) -> bool {
        self.flows(batch, now_us);
        self.writer.catch_up()
    }

    /// Keeps in mind what failovers tell of the next.
    fn learn(&mut self, rows: &[FailoverRow]) {
        let news = rows.iter().filter(|row| self.falls.take(row)).count();
        if news > 0 {
            self.basis.falls = self.falls.list().into();
        }
    }

    /// Has published what is due, and finished hours compacted.
    pub(crate) fn advance(&mut self, now_us: i64) {
        let due = self.enter(Entry::Advance(now_us));
        #[cfg(feature = "web")]
        self.heard.take(&due, now_us);
        if let Some(sync) = self.keeper.as_ref().and_then(Keeper::sync) {
            // Before the rows: what was published must be known after a loss of power.
            self.writer.sync(sync);
        }
        let changes = self.connections.changes(self.kept.owner.links(), now_us);
        let health = Health {
            written: self.writer.written(),
            is_disk_failing: self.writer.is_failing(),
            #[cfg(feature = "objects")]
            copied: self.copied(),
        };
        for publication in &due {
            match &publication.rows {
                Rows::Failovers(rows) => self.learn(rows),
                Rows::Prefixes(rows) if self.split.take(rows) => self.basis.split = self.split.list().into(),
                _ => {}
            }
        }
        self.alerts.look(&due);
        let alerts = self.alerts.judge(&self.kept.owner, &self.basis, &health, now_us);
        self.writer.publish(due.into_iter().chain(changes).chain(alerts));
        self.writer.compact(now_us);
        self.writer.publish_flows(now_us);
        self.save();
    }

    /// What the page is made of: loads from `from_us` on, and all besides that the owner knows.
    #[cfg(feature = "web")]
    pub(crate) fn look(&self, from_us: i64, now_us: i64) -> crate::page::Sight {
        let owner = &self.kept.owner;
        crate::page::Sight {
            at_us: now_us,
            series: owner.series(from_us, now_us, now_us),
            edge: self.connections.current().cloned().collect(),
            exporters: self.heard.rows().cloned().collect(),
            latencies: self.heard.latencies().cloned().collect(),
            events: crate::events::of_page(owner),
            basis: self.basis.clone(),
            alerts: self.alerts.seen(now_us),
            late_records: owner.late_records(),
            written: self.writer.written(),
            waiting: self.writer.waiting(),
            #[cfg(feature = "objects")]
            copied: self.copied(),
        }
    }

    /// As [`Publisher::advance`], for one who can wait until the rows are written; gives whether the disk works.
    pub(crate) fn advance_and_wait(&mut self, now_us: i64) -> bool {
        self.advance(now_us);
        self.writer.catch_up()
    }

    /// How far the copy in the object store is; `None` where there is none.
    #[cfg(feature = "objects")]
    fn copied(&self) -> Option<crate::copying::Copied> {
        self.copying.as_ref().map(crate::copying::Copying::copied)
    }

    fn enter(&mut self, entry: Entry) -> Vec<Publication> {
        self.keep(&entry);
        self.kept.apply(entry)
    }

    fn keep(&mut self, entry: &Entry) {
        if let Some(keeper) = &mut self.keeper {
            keeper.keep(entry);
        }
    }

    /// Writes a checkpoint if one is due.
    fn save(&mut self) {
        let failures = self.writer.written().journal_failures;
        let due = self.keeper.as_mut().and_then(|keeper| keeper.checkpoint(&self.kept, failures));
        if let Some((journal, state)) = due {
            self.writer.checkpoint(journal, state);
        }
    }

    /// Publishes everything that there is as final, and ends: nothing will come after.
    ///
    /// # Errors
    ///
    /// If not everything could be written.
    pub(crate) fn finish(mut self, now_us: i64) -> Result<(Owner, Written), Failure> {
        let due = self.kept.owner.finish(now_us);
        let changes = self.connections.changes(self.kept.owner.links(), now_us);
        self.writer.publish(due.into_iter().chain(changes));
        if let Some(keeper) = &mut self.keeper {
            keeper.hurry();
        }
        self.save();
        self.keep(&Entry::End);
        self.writer.publish(self.alerts.stop(now_us));
        let written = self.writer.finish(now_us);
        #[cfg(feature = "objects")]
        self.copying.into_iter().for_each(crate::copying::Copying::finish);
        Ok((self.kept.owner, written?))
    }

    /// Publishes what open windows hold so far, for readers, saves them for the next start, and ends.
    ///
    /// # Errors
    ///
    /// If not everything could be written.
    pub(crate) fn stop(mut self, now_us: i64) -> Result<(Owner, Written), Failure> {
        self.advance(now_us);
        self.writer.publish(self.kept.owner.preview(now_us));
        if let Some(keeper) = &mut self.keeper {
            keeper.hurry();
        }
        self.save();
        self.keep(&Entry::End);
        self.writer.publish(self.alerts.stop(now_us));
        let is_saved = self.keeper.as_ref().is_some_and(|keeper| keeper.sync().is_some());
        let written = self.writer.finish(now_us);
        #[cfg(feature = "objects")]
        self.copying.into_iter().for_each(crate::copying::Copying::finish);
        let written = written?;
        if is_saved { Ok((self.kept.owner, written)) } else { Err(Failure::failed("the open windows could not be saved")) }
    }
}

/// The balances of the workers, with what came too late told apart.
pub(crate) fn settle(owner: &Owner, mut ledger: Ledger) -> Ledger {
    let late = owner.late_records();
    ledger.records_attributed -= late.min(ledger.records_attributed);
    ledger.records_late += late;
    ledger
}

/// What found no room, a sentence each; `None` if there was nothing of the kind.
pub(crate) fn losses(owner: &Owner) -> Option<String> {
    let losses = owner.losses();
    let folded = losses.folded_lanes + losses.folded_cells + losses.moved_bins;
    let mut sentences = Vec::new();
    if folded > 0 {
        sentences.push(format!(
            "{folded} records or parts found no room and were counted as \"other\"; raise the limits of [measure]"
        ));
    }
    if owner.readings_refused() > 0 {
        let refused = owner.readings_refused();
        sentences.push(format!("{refused} readings of counters found no room; raise counter_readings_max of [measure]"));
    }
    if losses.latency_refused > 0 {
        let refused = losses.latency_refused;
        sentences.push(format!(
            "{refused} measurements of latency found no room or came too late; raise the limits of [measure] for latency"
        ));
    }
    (!sentences.is_empty()).then(|| sentences.join("\n"))
}
