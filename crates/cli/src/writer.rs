//! The thread that writes: rows, checkpoints, and what puts them on the disk, in the order in which it is told.
//!
//! Whatever the disk does, nobody who receives or measures waits for it. While it fails, what is to be
//! written waits here, bounded: a revision takes the place of the one before it, and beyond the bound
//! the oldest rows fall off, counted.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use model::{Publication, Rows};
use store::{JournalSync, Store, StoreError};

use crate::failure::Failure;

/// Rows that wait at most while the disk fails; some 100 bytes each.
const WAITING_ROWS_MOST: usize = 4_000_000;
/// Tasks that a writer who can be waited for may be behind.
const BEHIND_MOST: usize = 64;
/// Time between two tries while the disk fails.
const AGAIN: Duration = Duration::from_secs(1);

/// What is to be done.
enum Task {
    Publish(Publication),
    Compact(i64),
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
    /// Syncs and checkpoints of the journal that failed.
    pub(crate) journal_failures: u64,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    rows: usize,
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

    /// Has the journal put on the disk before what is told later is done.
    pub(crate) fn sync(&self, journal: JournalSync) {
        self.push(Task::Sync(journal));
    }

    /// Has a checkpoint written, when all rows told of before it are.
    pub(crate) fn checkpoint(&self, journal: JournalSync, state: Vec<u8>) {
        self.push(Task::Checkpoint(journal, state));
    }

    fn push(&self, task: Task) {
        let mut queue = self.shared.lock();
        // What a later task of its kind does anyway need not wait twice.
        let is_same = |waiting: &Task| std::mem::discriminant(waiting) == std::mem::discriminant(&task);
        queue.tasks.retain(|waiting| matches!(waiting, Task::Publish(_)) || !is_same(waiting));
        queue.tasks.push_back(task);
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

    /// Has everything written and ends; what cannot be written counts as fallen off.
    ///
    /// # Errors
    ///
    /// The store's, where something could not be written.
    pub(crate) fn finish(self) -> Result<Written, Failure> {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
        let failed = self.thread.join().map_err(|_| Failure::failed("the writer panicked; please report this"))?;
        let written = self.shared.lock().written;
        failed.map_or(Ok(written), |error| Err(Failure::failed(error)))
    }
}

impl Queue {
    fn publish(&mut self, publication: Publication) {
        self.rows += rows(&publication);
        let is_same = |task: &&mut Task| matches!(task, Task::Publish(held) if is_revision(held, &publication));
        if let Some(Task::Publish(held)) = self.tasks.iter_mut().find(is_same) {
            self.rows -= rows(held);
            *held = publication;
        } else {
            self.tasks.push_back(Task::Publish(publication));
        }
        while self.rows > WAITING_ROWS_MOST {
            let Some(oldest) = self.tasks.iter().position(|task| matches!(task, Task::Publish(_))) else { break };
            if let Some(Task::Publish(fallen)) = self.tasks.remove(oldest) {
                self.rows -= rows(&fallen);
                self.written.fell_off += 1;
            }
        }
    }

    /// Puts a task back that could not be done, unless a later one does its work.
    fn put_back(&mut self, task: Task) {
        if let Task::Publish(publication) = &task {
            let has_revision =
                self.tasks.iter().any(|task| matches!(task, Task::Publish(held) if is_revision(held, publication)));
            if !has_revision {
                self.rows += rows(publication);
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

fn rows(publication: &Publication) -> usize {
    match &publication.rows {
        Rows::Connections(rows) => rows.len(),
        Rows::Ports(rows) => rows.len(),
        Rows::Links(rows) => rows.len(),
        Rows::Traffic(rows) => rows.len(),
        Rows::Prefixes(rows) => rows.len(),
        Rows::Exporters(rows) => rows.len(),
    }
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
        if let Task::Publish(publication) = &task {
            queue.rows -= rows(publication);
        }
        drop(queue);
        let done = perform(&mut store, &task);
        store.take_notices().iter().for_each(|notice| tracing::warn!("{notice}"));
        let mut queue = shared.lock();
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
        Task::Sync(journal) => journal.sync(),
        Task::Checkpoint(journal, state) => journal.checkpoint(state),
    }
}
