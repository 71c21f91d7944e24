//! The thread that copies what the store publishes to an object store: whatever the target does, nobody waits for it.

use std::path::Path;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use objects::{Copier, Counts, Look, ObjectsError, ObjectsSettings, Place};
use tokio::runtime::Runtime;

use crate::clock::Clock;
use crate::failure::Failure;

/// How long the last round may take when the collector stops; the next start copies the rest.
const STOP_PATIENCE: Duration = Duration::from_secs(4);
/// Time between two looks at whether it is to stop.
const TICK: Duration = Duration::from_millis(100);
/// Time after a round that failed; twice as long after each further one.
const AGAIN: Duration = Duration::from_secs(2);
/// Time between two rounds that look at all that there is.
const LOOK_AT_ALL_EVERY: Duration = Duration::from_secs(3_600);

/// What is known of it from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copied {
    /// Everything published before this is in the store, µs since 1970; at first the start of the program.
    pub(crate) until_us: i64,
    /// From how long a lag on it is trouble, µs.
    behind_us: i64,
    /// Why the last round failed.
    pub(crate) failure: Option<String>,
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) removed: u64,
    pub(crate) failures: u64,
    pub(crate) lost_hours: u64,
}

impl Copied {
    /// The sentence of an alert, where it is one.
    pub(crate) fn trouble(&self, now_us: i64) -> Option<String> {
        (now_us - self.until_us > self.behind_us).then(|| {
            let at = jiff::Timestamp::from_second(self.until_us / 1_000_000).map_or_else(|_| String::new(), |at| at.to_string());
            let why = self.failure.as_deref().unwrap_or("it takes long");
            format!("what was published since {at} is not in the object store yet: {why}")
        })
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// When the collector wants it to have ended.
    deadline: Option<Instant>,
    copied: Copied,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle of the thread.
pub(crate) struct Copying {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Copying {
    /// Starts it; the target is not waited for.
    pub(crate) fn start(settings: &ObjectsSettings, data: &Path) -> Result<Copying, Failure> {
        let place = Place::open(&settings.url, settings.limits.timeout_seconds).map_err(Failure::usage)?;
        let copier = Copier::new(place, &settings.collector, data, settings.limits.grace_seconds);
        let shared = Arc::new(Shared::default());
        let copied = Copied {
            until_us: Clock::wall().now_us(),
            behind_us: settings.limits.behind_seconds * 1_000_000,
            ..Copied::default()
        };
        shared.lock().copied = copied;
        let every = Duration::from_secs(settings.limits.every_seconds.unsigned_abs());
        let of_thread = shared.clone();
        let runtime = runtime()?;
        Ok(Copying { shared, thread: thread::spawn(move || copy_until_stopped(copier, &runtime, every, &of_thread)) })
    }

    /// How far it is.
    pub(crate) fn copied(&self) -> Copied {
        self.shared.lock().copied.clone()
    }

    /// Copies what was published last, as far as that goes within a moment, and ends.
    pub(crate) fn finish(self) {
        self.shared.lock().deadline = Some(Instant::now() + STOP_PATIENCE);
        self.shared.changed.notify_all();
        if self.thread.join().is_err() {
            tracing::error!("the copier to the object store panicked; please report this");
        }
    }
}

pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::failed(format!("no thread to copy with: {error}")))
}

fn copy_until_stopped(mut copier: Copier, runtime: &Runtime, every: Duration, shared: &Shared) {
    let counts = copier.counts();
    let (mut looked_at_all, mut in_vain): (Option<Instant>, u32) = (None, 0);
    loop {
        let is_last = shared.lock().deadline.is_some();
        let is_all_due = looked_at_all.is_none_or(|at| at.elapsed() >= LOOK_AT_ALL_EVERY);
        let look = if is_all_due { Look::All } else { Look::Recent };
        let started_us = Clock::wall().now_us();
        let ended = runtime.block_on(one_round(&mut copier, look, started_us, shared));
        copier.take_notices().iter().for_each(|notice| tracing::warn!("{notice}"));
        match &ended {
            Some(Ok(())) => {
                looked_at_all = if is_all_due { Some(Instant::now()) } else { looked_at_all };
                in_vain = 0;
            }
            Some(Err(error)) => {
                in_vain = in_vain.saturating_add(1);
                tracing::warn!("not everything is copied: {error}");
            }
            None => {}
        }
        let mut state = shared.lock();
        note(&mut state.copied, &counts, ended.as_ref(), started_us, copier.is_behind());
        if is_last || ended.is_none() {
            return;
        }
        let wait = if in_vain > 0 { every.min(AGAIN * 2_u32.saturating_pow(in_vain.min(16) - 1)) } else { every };
        let due = Instant::now() + wait;
        while state.deadline.is_none() && Instant::now() < due {
            let left = due.saturating_duration_since(Instant::now());
            state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// One round; `None` if it did not end in time.
async fn one_round(copier: &mut Copier, look: Look, now_us: i64, shared: &Shared) -> Option<Result<(), ObjectsError>> {
    let mut round = pin!(copier.round(look, now_us));
    loop {
        if let Ok(ended) = tokio::time::timeout(TICK, round.as_mut()).await {
            return Some(ended);
        }
        if shared.lock().deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
    }
}

fn note(copied: &mut Copied, counts: &Counts, ended: Option<&Result<(), ObjectsError>>, started_us: i64, is_behind: bool) {
    match ended {
        Some(Ok(())) => {
            copied.failure = None;
            copied.until_us = if is_behind { copied.until_us } else { started_us };
        }
        Some(Err(error)) => {
            copied.failure = Some(error.to_string());
            copied.failures += 1;
        }
        None => {}
    }
    copied.objects = counts.objects.load(Ordering::Relaxed);
    copied.bytes = counts.bytes.load(Ordering::Relaxed);
    copied.removed = counts.removed.load(Ordering::Relaxed);
    copied.lost_hours = counts.lost_hours.load(Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_lags_is_trouble_and_says_since_when_and_why() {
        let minute_us = 60_000_000;
        let mut copied = Copied { until_us: 0, behind_us: 60 * minute_us, ..Copied::default() };
        let failed = Err(ObjectsError::Place("the store is away".to_owned()));
        note(&mut copied, &Counts::default(), Some(&failed), 10 * minute_us, true);
        assert_eq!((copied.until_us, copied.failures, copied.trouble(60 * minute_us)), (0, 1, None));
        let told = copied.trouble(61 * minute_us).unwrap();
        assert_eq!(told, "what was published since 1970-01-01T00:00:00Z is not in the object store yet: the store is away");
        // A round that leaves something open is none that everything was copied in.
        note(&mut copied, &Counts::default(), Some(&Ok(())), 61 * minute_us, true);
        assert_eq!((copied.until_us, copied.failure.is_none(), copied.trouble(62 * minute_us).is_some()), (0, true, true));
        note(&mut copied, &Counts::default(), Some(&Ok(())), 62 * minute_us, false);
        assert_eq!((copied.until_us, copied.trouble(63 * minute_us)), (62 * minute_us, None));
    }
}
