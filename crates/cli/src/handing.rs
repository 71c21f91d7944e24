//! A new configuration for a collector at work: handed in once, taken in by every worker and by the owner.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::alerts::AlertPlan;
use crate::pipeline::Shared;
use crate::running::WAIT_LEAST;

/// How long workers are waited for that take a configuration in: they may be stopping.
const HAND_IN_PATIENCE: Duration = Duration::from_secs(10);

/// A configuration that waits to be taken in, and how many there were.
#[derive(Clone, Default)]
pub(crate) struct Reload {
    count: Arc<AtomicU64>,
    latest: Arc<Mutex<Option<Arc<Shared>>>>,
    /// Of the same configuration; the owner's matter.
    alerts: Arc<Mutex<AlertPlan>>,
    /// How often workers took one in.
    taken: Arc<AtomicU64>,
    workers: u64,
}

impl Reload {
    /// For so many workers.
    pub(crate) fn of(workers: u64) -> Reload {
        Reload { workers, ..Reload::default() }
    }

    /// Hands a configuration in, and waits until every worker has it.
    pub(crate) fn hand_in(&self, shared: Shared, alerts: AlertPlan) {
        *self.alerts.lock().unwrap_or_else(PoisonError::into_inner) = alerts;
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(shared));
        let taken = self.taken.load(Ordering::Acquire) + self.workers;
        self.count.fetch_add(1, Ordering::Release);
        let started = Instant::now();
        while self.taken.load(Ordering::Acquire) < taken && started.elapsed() < HAND_IN_PATIENCE {
            thread::sleep(WAIT_LEAST);
        }
    }

    /// The configuration that came since `seen`, which is set to the count now.
    pub(crate) fn since(&self, seen: &mut u64) -> Option<Arc<Shared>> {
        let count = self.count.load(Ordering::Acquire);
        if std::mem::replace(seen, count) == count {
            return None;
        }
        self.latest()
    }

    /// Notes that one more worker has the latest configuration.
    pub(crate) fn note_taken(&self) {
        self.taken.fetch_add(1, Ordering::Release);
    }

    /// What is alerted of under the latest one.
    pub(crate) fn alerts(&self) -> AlertPlan {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The latest one, if there was any.
    pub(crate) fn latest(&self) -> Option<Arc<Shared>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
