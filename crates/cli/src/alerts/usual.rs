//! A connection's latency beside its own of the seven days before: what is usual for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use alert::{Latency, Subject};
use measure::Histogram;
use model::Name;
use model::tables::LatencyRow;
use model::time::{DAY_US, HOUR_US, SECOND_US, slot_start_us};

/// Whole days that are usual.
const DAYS: i64 = 7;
/// Length of what is read of files at a time: latency is a row a connection and region, with its histogram.
const STRETCH_US: i64 = HOUR_US;
/// Kinds of latency of which the usual is held.
const KEYS_MOST: usize = 1_024;
/// Steps of an octave that values are rounded to: to half a percent, far finer than any rule asks, and few enough for a
/// week of all connections to be held.
const STEPS_OF_OCTAVE: f64 = 64.0;
/// Fewer measurements tell no 95th percentile.
const SAMPLES_LEAST: u64 = 100;

/// Latencies that can be compared: of a connection, measured in one way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    connection: Name,
    method: Name,
    span: Name,
    initiator: Option<Name>,
}

fn add_row(histogram: &mut Histogram, row: &LatencyRow) {
    let buckets = row.bucket_us.iter().flatten().zip(row.bucket_count.iter().flatten());
    for (value_us, count) in buckets.filter(|(value_us, count)| **value_us > 0 && **count > 0) {
        let step = ((*value_us as f64).log2() * STEPS_OF_OCTAVE).round();
        histogram.record((step / STEPS_OF_OCTAVE).exp2() as u64, count.unsigned_abs());
    }
}

/// The 95th percentile, µs; `None` of too few.
fn p95_us(histogram: &Histogram) -> Option<f64> {
    histogram.quantile_us(0.95).filter(|_| histogram.count() >= SAMPLES_LEAST).map(|us| us as f64)
}

/// What is known of a kind of latency.
#[derive(Debug, Default)]
struct Known {
    /// Start of a day and its measurements, ascending; the last is not over.
    days: VecDeque<(i64, Histogram)>,
    /// The window that came last, which may be told anew: start, end, measurements.
    last: Option<(i64, i64, Histogram)>,
}

impl Known {
    fn settle(&mut self) {
        let Some((start_us, _, counts)) = self.last.take() else { return };
        let day_us = slot_start_us(start_us, DAY_US);
        let at = self.days.partition_point(|(known_us, _)| *known_us < day_us);
        if self.days.get(at).is_none_or(|(known_us, _)| *known_us != day_us) {
            self.days.insert(at, (day_us, Histogram::default()));
        }
        self.days[at].1.add(&counts);
        let newest_us = self.days.back().map_or(day_us, |(newest_us, _)| *newest_us);
        self.days.retain(|(known_us, _)| newest_us - known_us <= DAYS * DAY_US);
    }

    fn take(&mut self, row: &LatencyRow) {
        let (start_us, end_us) = (row.window_start.0, row.window_start.0 + row.window_seconds * SECOND_US);
        match &mut self.last {
            Some((last_us, ..)) if start_us < *last_us => return,
            // Of another region, or of the same told anew: `look` begins a window's counts over.
            Some((last_us, _, counts)) if start_us == *last_us => return add_row(counts, row),
            _ => self.settle(),
        }
        let mut counts = Histogram::default();
        add_row(&mut counts, row);
        self.last = Some((start_us, end_us, counts));
    }

    /// The 95th percentile of whole days before the window's own.
    fn usual_us(&self, start_us: i64) -> Option<f64> {
        let today_us = slot_start_us(start_us, DAY_US);
        let is_usual = |day_us: i64| (today_us - DAYS * DAY_US..today_us).contains(&day_us);
        let mut all = Histogram::default();
        self.days.iter().filter(|(day_us, _)| is_usual(*day_us)).for_each(|(_, counts)| all.add(counts));
        p95_us(&all)
    }
}

/// What is usual of every connection, and what was measured last.
#[derive(Default)]
pub(super) struct Usual {
    known: BTreeMap<Key, Known>,
    found: Vec<Latency>,
    /// What files have of earlier days, as it is read.
    earlier: Option<Receiver<Vec<LatencyRow>>>,
}

impl Usual {
    /// Has what files have of the last days read, on a thread of its own: the owner has other work.
    pub(super) fn read(&mut self, data: &Path, now_us: i64) {
        let (data, (sender, earlier)) = (data.to_path_buf(), mpsc::sync_channel(1));
        self.earlier = Some(earlier);
        let today_us = slot_start_us(now_us, DAY_US);
        thread::spawn(move || {
            for start_us in (today_us - DAYS * DAY_US..now_us).step_by(STRETCH_US as usize) {
                let rows = match store::read::<LatencyRow>(&data, start_us, (start_us + STRETCH_US).min(now_us)) {
                    Ok(found) => found.rows,
                    Err(error) => return tracing::warn!("what latency is usual is not known before now: {error}"),
                };
                // At the end nobody waits for it any more.
                if !rows.is_empty() && sender.send(rows).is_err() {
                    return;
                }
            }
        });
    }

    /// Takes a window's rows, all of them, and sets them beside what is usual.
    pub(super) fn look(&mut self, rows: &[LatencyRow]) {
        for key in self.count(rows) {
            let Some((known, (start_us, end_us, counts))) =
                self.known.get(&key).and_then(|known| Some((known, known.last.as_ref()?)))
            else {
                continue;
            };
            if let Some((p95_us, usual_us)) = p95_us(counts).zip(known.usual_us(*start_us)) {
                let detail = format!("{} {}", key.method, key.span);
                let subject = Subject {
                    connection: Some(key.connection),
                    detail: Some(match key.initiator {
                        Some(initiator) => format!("{detail} by {initiator}").into(),
                        None => detail.into(),
                    }),
                    ..Subject::default()
                };
                self.found.push(Latency { subject, end_us: *end_us, p95_us, usual_us });
            }
        }
    }

    /// Counts a window's rows; gives what they are of.
    fn count(&mut self, rows: &[LatencyRow]) -> BTreeSet<Key> {
        let mut touched = BTreeSet::new();
        for row in rows.iter().filter(|row| row.bucket_us.is_some()) {
            let (connection, method, span) = (row.connection.clone(), row.method.clone(), row.span.clone());
            let key = Key { connection, method, span, initiator: row.initiator.clone() };
            if self.known.len() >= KEYS_MOST && !self.known.contains_key(&key) {
                continue;
            }
            let known = self.known.entry(key.clone()).or_default();
            if touched.insert(key) {
                // Told anew it takes the place of what was told before.
                known.last.take_if(|(start_us, ..)| *start_us == row.window_start.0);
            }
            known.take(row);
        }
        touched
    }

    /// What came since the last time, beside what is usual.
    pub(super) fn take(&mut self) -> Vec<Latency> {
        self.take_earlier();
        std::mem::take(&mut self.found)
    }

    fn take_earlier(&mut self) {
        let Some(earlier) = &self.earlier else { return };
        let rows = match earlier.try_recv() {
            Ok(rows) => rows,
            Err(mpsc::TryRecvError::Empty) => return,
            Err(mpsc::TryRecvError::Disconnected) => {
                self.earlier = None;
                return;
            }
        };
        // What is going on is set aside: the earlier rows come in before it.
        let now: Vec<_> = self.known.iter_mut().filter_map(|(key, known)| Some((key.clone(), known.last.take()?))).collect();
        rows.chunk_by(|a, b| a.window_start == b.window_start).for_each(|window| _ = self.count(window));
        for (key, last) in now {
            let known = self.known.entry(key).or_default();
            known.settle();
            known.last = Some(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::table::Timestamp;

    use super::*;

    fn row(start_us: i64, region: &str, value_us: i64, samples: i64) -> LatencyRow {
        LatencyRow {
            window_start: Timestamp(start_us),
            window_seconds: 300,
            connection: "fra-1".into(),
            region: Some(region.into()),
            method: "handshake".into(),
            span: "edge_to_microsoft".into(),
            bucket_us: Some(vec![value_us]),
            bucket_count: Some(vec![samples]),
            samples,
            return_connection: None,
            initiator: None,
            element: None,
            derivation: Some("as_measured".into()),
            mean_us: None,
            min_us: None,
            p50_us: None,
            p90_us: None,
            p95_us: None,
            p99_us: None,
            max_us: None,
            hdr: None,
            absent_reason: None,
        }
    }

    fn told(usual: &mut Usual) -> Vec<(f64, f64)> {
        usual
            .take()
            .iter()
            .map(|latency| ((latency.p95_us / 100.0).round() * 100.0, (latency.usual_us / 100.0).round() * 100.0))
            .collect()
    }

    #[test]
    fn a_window_stands_beside_the_days_before_its_own() {
        let mut usual = Usual::default();
        usual.look(&[row(0, "westeurope", 10_000, 900), row(0, "northeurope", 20_000, 100)]);
        assert_eq!(told(&mut usual), [], "nothing is usual on the first day");
        usual.look(&[row(DAY_US, "westeurope", 15_000, 100)]);
        assert_eq!(told(&mut usual), [(15_000.0, 19_900.0)]);
        // Told anew it counts once; too few say nothing.
        usual.look(&[row(DAY_US, "westeurope", 15_000, 100)]);
        assert_eq!(told(&mut usual).len(), 1);
        usual.look(&[row(DAY_US + 1, "westeurope", 15_000, 99)]);
        assert_eq!(told(&mut usual), []);
        let days: Vec<u64> = usual.known.values().flat_map(|known| known.days.iter().map(|(_, counts)| counts.count())).collect();
        assert_eq!(days, [1_000, 100]);
        // A week later what was is forgotten.
        usual.look(&[row(9 * DAY_US, "westeurope", 15_000, 100)]);
        assert_eq!(told(&mut usual), []);
    }

    #[test]
    fn what_files_have_is_usual_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store::Store::open(folder.path(), store::StoreSettings::default()).unwrap();
        for window in 0..3 {
            let start_us = window * 300 * SECOND_US;
            let rows = model::Rows::Latency(vec![row(start_us, "westeurope", 10_000, 50)]);
            store.publish(&model::Publication { window_start_us: start_us, rows }).unwrap();
        }
        let mut usual = Usual::default();
        usual.look(&[row(DAY_US, "westeurope", 15_000, 100)]);
        usual.read(folder.path(), DAY_US + 1);
        while usual.earlier.is_some() {
            usual.take_earlier();
            thread::yield_now();
        }
        usual.look(&[row(DAY_US, "westeurope", 15_000, 100)]);
        assert_eq!(told(&mut usual), [(15_000.0, 10_000.0)]);
    }
}
