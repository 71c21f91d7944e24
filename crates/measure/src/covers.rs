//! Which exporters counted a link or port of late, and by which view.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use model::{Address, View};
use serde::{Deserialize, Serialize};

use crate::window::Way;

/// Pairs of view and exporter that are remembered for one link and direction; a link has few.
const PAIRS_MAX: usize = 64;

/// Since when, and until when, windows had something by a view of an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    first_us: i64,
    last_us: i64,
}

/// Who counted what, by link (or port) and direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Covers {
    ways: HashMap<Way, BTreeMap<(View, Address), Span>>,
}

impl Covers {
    /// Notes that an exporter counted something in a window.
    pub(crate) fn note(&mut self, way: Way, view: View, exporter: Address, window_us: i64) {
        let pairs = self.ways.entry(way).or_default();
        let count = pairs.len();
        match pairs.get_mut(&(view, exporter)) {
            Some(span) => {
                span.first_us = span.first_us.min(window_us);
                span.last_us = span.last_us.max(window_us);
            }
            None if count < PAIRS_MAX => {
                pairs.insert((view, exporter), Span { first_us: window_us, last_us: window_us });
            }
            None => {}
        }
    }

    /// The exporters of a link or port that counted something up to `within_us` before the window.
    pub(crate) fn exporters(&self, way: Way, view: Option<View>, window_us: i64, within_us: i64) -> Vec<Address> {
        let from_us = window_us.saturating_sub(within_us);
        let held = self.ways.get(&way).into_iter().flatten();
        let mut exporters: Vec<Address> = held
            .filter(|((of, _), span)| {
                view.is_none_or(|view| view == *of) && span.first_us <= window_us && span.last_us >= from_us
            })
            .map(|((_, exporter), _)| *exporter)
            .collect();
        exporters.sort_unstable();
        exporters.dedup();
        exporters
    }

    /// All links or ports and directions that are remembered.
    pub(crate) fn ways(&self) -> impl Iterator<Item = Way> + '_ {
        self.ways.keys().copied()
    }

    /// Forgets what ended before `at_us`, but of what `is_kept`.
    pub(crate) fn forget_before(&mut self, at_us: i64, is_kept: impl Fn(Way) -> bool) {
        self.ways.retain(|way, pairs| {
            if is_kept(*way) {
                return true;
            }
            pairs.retain(|_, span| span.last_us >= at_us);
            !pairs.is_empty()
        });
    }
}
