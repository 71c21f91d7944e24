//! What a worker measures of latency between two reports: values by key, and what was seen where there are none.

use hashbrown::HashMap;
use model::Name;
use model::latency::{Absence, Derivation, End, Method, Span};
use model::time::{WINDOW_US, slot_start_us};
use serde::{Deserialize, Serialize};

use super::histogram::Histogram;

/// What values are told apart by, besides their window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct LatencyKey {
    pub(crate) link: u32,
    /// The link of the way back, where it is another one.
    pub(crate) return_link: Option<u32>,
    pub(crate) region: Option<Name>,
    pub(crate) method: Method,
    pub(crate) span: Span,
    pub(crate) initiator: Option<End>,
    pub(crate) element: Option<Name>,
    pub(crate) derivation: Derivation,
}

/// Values that are added up together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Values {
    pub(crate) samples: u64,
    pub(crate) sum_us: u64,
    pub(crate) min_us: Option<u64>,
    pub(crate) max_us: Option<u64>,
    /// Of fewer values than there are samples where only sums were told.
    pub(crate) histogram: Histogram,
}

impl Values {
    pub(crate) fn one(value_us: u64) -> Values {
        let mut values =
            Values { samples: 1, sum_us: value_us, min_us: Some(value_us), max_us: Some(value_us), ..Values::default() };
        values.histogram.record(value_us, 1);
        values
    }

    /// Adds what fits into so many new buckets; gives how many it opened, and how many samples were left out.
    ///
    /// A histogram that lacks values would have wrong percentiles: what finds no bucket is not counted at all.
    pub(crate) fn add(&mut self, other: &Values, room: usize) -> (usize, u64) {
        let new = other.histogram.buckets().filter(|(bucket, _)| !self.histogram.has_bucket_of(*bucket as u64)).count();
        if new > room {
            return (0, other.samples);
        }
        self.samples = self.samples.saturating_add(other.samples);
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.min_us = self.min_us.into_iter().chain(other.min_us).min();
        self.max_us = self.max_us.max(other.max_us);
        self.histogram.add(&other.histogram);
        (new, 0)
    }
}

/// What was seen of a link by a method: packets, or why records tell nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sight(u16);

impl Sight {
    /// Packets to Microsoft, and from it.
    pub(crate) const WAYS: [Sight; 2] = [Sight(1 << 10), Sight(1 << 11)];
    pub(crate) const TCP: Sight = Sight(1 << 12);
    /// Segments that open a connection.
    pub(crate) const SYN: Sight = Sight(1 << 13);
    /// Segments with TCP timestamps.
    pub(crate) const STAMPED: Sight = Sight(1 << 14);

    pub(crate) const fn absent(absence: Absence) -> Sight {
        Sight(absence.bit())
    }

    #[must_use]
    pub(crate) const fn and(self, other: Sight) -> Sight {
        Sight(self.0 | other.0)
    }

    const fn has(self, other: Sight) -> bool {
        self.0 & other.0 == other.0
    }

    /// Why nothing could be measured.
    pub(crate) fn absence(self, method: Method) -> Absence {
        if let Some(absence) = Absence::of_bits(self.0) {
            return absence;
        }
        match method {
            _ if !self.has(Sight::TCP) => Absence::NoTcp,
            _ if !Sight::WAYS.iter().all(|way| self.has(*way)) => Absence::Unidirectional,
            Method::Handshake if !self.has(Sight::SYN) => Absence::NoHandshake,
            Method::Timestamps if !self.has(Sight::STAMPED) => Absence::NoTimestamps,
            _ => Absence::Unmatched,
        }
    }
}

/// What a worker measured between two reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyDelta {
    /// Start of the window, key, values.
    pub(crate) values: Vec<(i64, LatencyKey, Values)>,
    /// Start of the window, link, method, what was seen.
    pub(crate) sights: Vec<(i64, u32, Method, Sight)>,
    /// Measurements that found no room.
    pub(crate) refused: u64,
}

/// Values of one worker, bounded.
pub(crate) struct LatencyCells {
    values: HashMap<(i64, LatencyKey), Values>,
    buckets: usize,
    buckets_max: usize,
    refused: u64,
    sights: HashMap<(i64, u32, Method), Sight>,
    /// By link and method: the window seen last, and what was seen in it.
    last: Vec<[Option<(i64, Sight)>; Method::ALL.len()]>,
}

impl LatencyCells {
    pub(crate) fn new(buckets_max: usize) -> LatencyCells {
        LatencyCells { values: HashMap::new(), buckets: 0, buckets_max, refused: 0, sights: HashMap::new(), last: Vec::new() }
    }

    /// Counts values of the window of `at_us`.
    pub(crate) fn add(&mut self, at_us: i64, key: LatencyKey, values: &Values) {
        let window_us = slot_start_us(at_us, WINDOW_US);
        let room = self.buckets_max - self.buckets;
        // A key of its own takes as much room as a bucket.
        let held = self.values.len();
        if held >= self.buckets_max && !self.values.contains_key(&(window_us, key.clone())) {
            self.refused = self.refused.saturating_add(values.samples);
            return;
        }
        let (opened, refused) = self.values.entry((window_us, key)).or_default().add(values, room);
        self.buckets += opened;
        self.refused = self.refused.saturating_add(refused);
    }

    /// Notes what was seen of a link at `at_us`; cheap enough for every packet.
    #[inline]
    pub(crate) fn see(&mut self, at_us: i64, link: u32, method: Method, sight: Sight) {
        // Nearly all tell what the one before them told.
        if let Some(Some((of_us, seen))) = self.last.get(link as usize).map(|methods| methods[method as usize])
            && (at_us.wrapping_sub(of_us) as u64) < WINDOW_US.unsigned_abs()
            && seen.has(sight)
        {
            return;
        }
        self.note(at_us, link, method, sight);
    }

    #[inline(never)]
    fn note(&mut self, at_us: i64, link: u32, method: Method, sight: Sight) {
        let window_us = slot_start_us(at_us, WINDOW_US);
        let place = link as usize;
        if place >= self.last.len() {
            self.last.resize(place + 1, [None; Method::ALL.len()]);
        }
        match &mut self.last[place][method as usize] {
            Some((of_us, seen)) if *of_us == window_us => *seen = seen.and(sight),
            last => {
                if let Some((of_us, seen)) = last.replace((window_us, sight)) {
                    let all = self.sights.entry((of_us, link, method)).or_default();
                    *all = all.and(seen);
                }
            }
        }
    }

    /// Takes out what was measured since the last time.
    pub(crate) fn take(&mut self) -> LatencyDelta {
        for (link, methods) in self.last.iter_mut().enumerate() {
            for (method, last) in methods.iter_mut().enumerate() {
                if let Some((of_us, seen)) = last.take() {
                    let all = self.sights.entry((of_us, link as u32, Method::ALL[method])).or_default();
                    *all = all.and(seen);
                }
            }
        }
        self.buckets = 0;
        LatencyDelta {
            values: self.values.drain().map(|((window_us, key), values)| (window_us, key, values)).collect(),
            sights: self.sights.drain().map(|((window_us, link, method), sight)| (window_us, link, method, sight)).collect(),
            refused: std::mem::take(&mut self.refused),
        }
    }
}

/// The link that went to Microsoft, and the one of the way back where it is another.
pub(crate) fn ways(to_microsoft: u32, from_microsoft: u32) -> (u32, Option<u32>) {
    (to_microsoft, (from_microsoft != to_microsoft).then_some(from_microsoft))
}
