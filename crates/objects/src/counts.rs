//! What was copied so far, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start; they only rise.
#[derive(Debug, Default)]
pub struct Counts {
    /// Data objects put.
    pub objects: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Manifests put.
    pub manifests: AtomicU64,
    /// Objects removed after their time of grace.
    pub removed: AtomicU64,
    /// Rounds that did not come to their end.
    pub failures: AtomicU64,
    /// Hours of tables that were removed from the disk before they were copied.
    pub lost_hours: AtomicU64,
}

impl Counts {
    pub(crate) fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Ordering::Relaxed);
    }
}
