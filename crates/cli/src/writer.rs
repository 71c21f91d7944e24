//! The thread that writes: rows, checkpoints, and what puts them on the disk, in the order in which it is told.
//!
//! Whatever the disk does, nobody who receives or measures waits for it. While it fails, what is to be
//! written waits here, bounded: a revision takes the place of the one before it, and beyond the bound
//! the oldest rows fall off, counted.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use model::{FlowBatch, Publication, Rows};
use store::{JournalSync, Store, StoreError};

use crate::failure::Failure;

/// Rows that wait at most while the disk fails; some 100 bytes each.
const WAITING_ROWS_MOST: usize = 4_000_000;
/// Tasks that a writer who can be waited for may be behind.
const BEHIND_MOST: usize = 64;
/// Flows that wait at most; some 130 bytes each.
const WAITING_FLOWS_MOST: usize = 1_000_000;
/// Time between two tries while the disk fails.
const AGAIN: Duration = Duration::from_secs(1);

/// What is to be done.
enum Task {
    Publish(Publication),
    Compact(i64),
    Flows(FlowBatch, i64),
    PublishFlows(i64),
    EndFlows(i64),
    Sync(JournalSync),
    Checkpoint(JournalSync, Vec<u8>),
}

/// What the writer has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    /// Windows published, revisions included.
    pub(crate) published: u64,
    /// Windows that could not be written and fell off.
    pub(crate) fell_off: u64,
    /// Flows that could not be written.
    pub(crate) flows_lost: u64,
    /// Syncs and checkpoints of the journal that failed.
    pub(crate) journal_failures: u64,
    /// Tasks done, and the time that they took.
    pub(crate) tasks: u64,
    /// See `tasks`.
    pub(crate) took: Duration,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    rows: usize,
    flows: usize,
    is_closed: bool,
    is_failing: bool,
    written: Written,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something is to be done, or was done.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic in between leaves nothing half-done.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>, most: Duration) -> MutexGuard<'a, Queue> {
        self.changed.wait_timeout(queue, most).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The handle of the thread that owns the store.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: JoinHandle<Option<StoreError>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(store: Store) -> Writer {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        Writer { shared, thread: thread::spawn(move || write_until_closed(store, &of_thread)) }
    }

    /// Has rows published.
    pub(crate) fn publish(&self, publications: impl IntoIterator<Item = Publication>) {
        let mut queue = self.shared.lock();
        publications.into_iter().for_each(|publication| queue.publish(publication));
        self.shared.changed.notify_all();
    }

    /// Has finished hours compacted.
    pub(crate) fn compact(&self, now_us: i64) {
        self.push(Task::Compact(now_us));
    }

    /// Has flows written, received by `now_us`; those that find no room are counted.
    pub(crate) fn flows(&self, batch: FlowBatch, now_us: i64) {
        let mut queue = self.shared.lock();
        if queue.flows + batch.flows.len() > WAITING_FLOWS_MOST {
            queue.written.flows_lost += batch.flows.len() as u64;
            return;
        }
        queue.flows += batch.flows.len();
        queue.tasks.push_back(Task::Flows(batch, now_us));
        self.shared.changed.notify_all();
    }

    /// Has flows published whose time is over.
    pub(crate) fn publish_flows(&self, now_us: i64) {
        self.push(Task::PublishFlows(now_us));
    }

    /// Has the journal put on the disk before what is told later is done.
    pub(crate) fn sync(&self, journal: JournalSync) {
        self.push(Task::Sync(journal));
    }

    /// Has a checkpoint written, when all rows told of before it are.
    pub(crate) fn checkpoint(&self, journal: JournalSync, state: Vec<u8>) {
        self.push(Task::Checkpoint(journal, state));
    }

    fn push(&self, task: Task) {
        self.shared.lock().push(task);
        self.shared.changed.notify_all();
    }

    /// Waits until it is not far behind, for one who can; gives whether the disk works.
    pub(crate) fn catch_up(&self) -> bool {
        let mut queue = self.shared.lock();
        while queue.tasks.len() > BEHIND_MOST && !queue.is_failing {
            queue = self.shared.wait(queue, AGAIN);
        }
        !queue.is_failing
    }

    /// What it has done so far.
    pub(crate) fn written(&self) -> Written {
        self.shared.lock().written
    }

    /// Whether the disk fails now.
    pub(crate) fn is_failing(&self) -> bool {
        self.shared.lock().is_failing
    }

    /// Tasks and rows that wait, and whether the disk fails.
    #[cfg(feature = "web")]
    pub(crate) fn waiting(&self) -> (usize, usize, bool) {
        let queue = self.shared.lock();
        (queue.tasks.len(), queue.rows, queue.is_failing)
    }

    /// Has everything written and ends; what cannot be written counts as fallen off.
    ///
    /// # Errors
    ///
    /// The store's, where something could not be written.
    pub(crate) fn finish(self, now_us: i64) -> Result<Written, Failure> {
        self.push(Task::EndFlows(now_us));
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
        let failed = self.thread.join().map_err(|_| Failure::failed("the writer panicked; please report this"))?;
        let written = self.shared.lock().written;
        failed.map_or(Ok(written), |error| Err(Failure::failed(error)))
    }
}

impl Queue {
    /// Adds a task behind the others, in place of waiting ones whose work it does.
    fn push(&mut self, task: Task) {
        // Rows wait for the sync before them: of syncs only those that no rows follow can go.
        let first = match task {
            Task::Sync(_) => self.tasks.iter().rposition(|task| matches!(task, Task::Publish(_))).map_or(0, |last| last + 1),
            _ => 0,
        };
        let mut place = 0;
        self.tasks.retain(|waiting| {
            place += 1;
            place <= first || std::mem::discriminant(waiting) != std::mem::discriminant(&task)
        });
        self.tasks.push_back(task);
    }

    fn publish(&mut self, publication: Publication) {
        // A checkpoint is of a state in which the rows before it are published: they must not go past it.
        let first = self.tasks.iter().rposition(|task| matches!(task, Task::Checkpoint(..))).map_or(0, |last| last + 1);
        let is_same = |task: &Task| matches!(task, Task::Publish(held) if is_revision(held, &publication));
        let held = self.tasks.iter().skip(first).position(is_same).and_then(|place| self.tasks.remove(first + place));
        if let Some(Task::Publish(held)) = held {
            self.rows -= held.rows.len();
        }
        self.rows += publication.rows.len();
        self.tasks.push_back(Task::Publish(publication));
        while self.rows > WAITING_ROWS_MOST {
            let Some(oldest) = self.tasks.iter().position(|task| matches!(task, Task::Publish(_))) else { break };
            if let Some(Task::Publish(fallen)) = self.tasks.remove(oldest) {
                self.rows -= fallen.rows.len();
                self.written.fell_off += 1;
            }
        }
    }

    /// Puts a task back that could not be done, unless a later one does its work.
    fn put_back(&mut self, task: Task) {
        if let Task::Publish(publication) = &task {
            let mut before_checkpoint = self.tasks.iter().take_while(|task| !matches!(task, Task::Checkpoint(..)));
            let has_revision =
                before_checkpoint.any(|task| matches!(task, Task::Publish(held) if is_revision(held, publication)));
            if !has_revision {
                self.rows += publication.rows.len();
                self.tasks.push_front(task);
            }
        }
    }
}

/// Whether two publications are of the same window of a table. Rows of `connections` add to each other.
fn is_revision(one: &Publication, other: &Publication) -> bool {
    one.window_start_us == other.window_start_us
        && std::mem::discriminant(&one.rows) == std::mem::discriminant(&other.rows)
        && !matches!(one.rows, Rows::Connections(_))
}

/// The thread: one task after the other; gives why what was left at the end could not be done.
fn write_until_closed(mut store: Store, shared: &Shared) -> Option<StoreError> {
    loop {
        let mut queue = shared.lock();
        let task = loop {
            match queue.tasks.pop_front() {
                Some(task) => break task,
                None if queue.is_closed => return None,
                None => queue = shared.wait(queue, AGAIN),
            }
        };
        match &task {
            Task::Publish(publication) => queue.rows -= publication.rows.len(),
            Task::Flows(batch, _) => queue.flows -= batch.flows.len(),
            _ => {}
        }
        drop(queue);
        let started = Instant::now();
        let done = perform(&mut store, &task);
        store.take_notices().iter().for_each(|notice| tracing::warn!("{notice}"));
        let mut queue = shared.lock();
        queue.written.flows_lost += store.take_flows_lost();
        queue.written.tasks += 1;
        queue.written.took += started.elapsed();
        match done {
            Ok(()) => {
                queue.written.published += u64::from(matches!(task, Task::Publish(_)));
                if std::mem::take(&mut queue.is_failing) {
                    tracing::info!("the data folder can be written again");
                }
            }
            Err(error) => {
                queue.written.journal_failures += u64::from(matches!(task, Task::Sync(_) | Task::Checkpoint(..)));
                queue.put_back(task);
                if !std::mem::replace(&mut queue.is_failing, true) {
                    tracing::error!("{error}; receiving goes on, rows are kept and written when it is mended");
                }
                if queue.is_closed {
                    queue.written.fell_off += queue.tasks.iter().filter(|task| matches!(task, Task::Publish(_))).count() as u64;
                    return Some(error);
                }
                queue = shared.wait(queue, AGAIN);
            }
        }
        drop(queue);
        shared.changed.notify_all();
    }
}

fn perform(store: &mut Store, task: &Task) -> Result<(), StoreError> {
    match task {
        Task::Publish(publication) => store.publish(publication),
        Task::Compact(now_us) => store.compact(*now_us).map(|_| ()),
        Task::Flows(batch, now_us) => store.add_flows(batch, *now_us),
        Task::PublishFlows(now_us) => store.publish_flows(*now_us),
        Task::EndFlows(now_us) => store.end_flows(*now_us),
        Task::Sync(journal) => journal.sync(),
        Task::Checkpoint(journal, state) => journal.checkpoint(state),
    }
}

#[cfg(test)]
mod tests {
    use model::table::{Kind, Row, Value};
    use model::tables::LinkRow;
    use store::Journal;

    use super::*;

    fn publication(window_start_us: i64, rows: usize) -> Publication {
        let value = |kind: Kind| match kind {
            Kind::Integer => Value::Integer(0),
            Kind::Float => Value::Float(0.0),
            Kind::Timestamp => Value::Timestamp(0),
            _ => Value::Text("".into()),
        };
        let values = || LinkRow::COLUMNS.iter().map(|column| if column.is_nullable { Value::Null } else { value(column.kind) });
        let row = |_| LinkRow::from_values(values().collect()).unwrap();
        Publication { window_start_us, rows: Rows::Links((0..rows).map(row).collect()) }
    }

    /// The queue as a person reads it: `S`ync, `C`heckpoint, co`M`paction, or window and rows.
    fn shown(queue: &Queue) -> String {
        let one = |task: &Task| match task {
            Task::Publish(publication) => format!("{}:{}", publication.window_start_us, publication.rows.len()),
            Task::Compact(_) => "M".to_string(),
            Task::Flows(..) | Task::PublishFlows(_) | Task::EndFlows(_) => "F".to_string(),
            Task::Sync(_) => "S".to_string(),
            Task::Checkpoint(..) => "C".to_string(),
        };
        queue.tasks.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rows_follow_the_sync_before_them_and_never_pass_a_checkpoint() {
        let data = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::recover(data.path(), |_| {}).unwrap();
        let sync = journal.begin().unwrap();
        let again = || journal.sync().unwrap();
        let mut queue = Queue::default();
        queue.push(Task::Sync(sync));
        queue.push(Task::Sync(again()));
        queue.publish(publication(0, 1));
        queue.publish(publication(60, 1));
        queue.push(Task::Sync(again()));
        queue.push(Task::Sync(again()));
        assert_eq!(shown(&queue), "S 0:1 60:1 S");
        // A revision goes behind its own sync.
        queue.publish(publication(0, 2));
        assert_eq!(shown(&queue), "S 60:1 S 0:2");
        queue.push(Task::Checkpoint(again(), Vec::new()));
        queue.push(Task::Sync(again()));
        queue.publish(publication(0, 3));
        assert_eq!((shown(&queue).as_str(), queue.rows), ("S 60:1 S 0:2 C S 0:3", 6));
        // What failed goes back where it was, unless its revision comes before the checkpoint.
        queue.put_back(Task::Publish(publication(60, 9)));
        queue.put_back(Task::Publish(publication(120, 1)));
        assert_eq!(shown(&queue), "120:1 S 60:1 S 0:2 C S 0:3");
        queue.push(Task::Checkpoint(again(), Vec::new()));
        queue.push(Task::Compact(1));
        queue.push(Task::Compact(2));
        assert_eq!(shown(&queue), "120:1 S 60:1 S 0:2 S 0:3 C M");
    }
}
