//! The power fails, or the process is killed, at every moment of a run that journals and publishes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use model::tables::LinkRow;
use model::{Publication, Rows};

use super::disk::{Dice, Disk, Noted};
use super::link;
use crate::files::steps;
use crate::{Journal, JournalSync, Recovered, Store, StoreSettings, read};
use model::time::HOUR_US;

/// Crash points that are tried.
const POINTS: usize = 10_000;
/// Entries of a run: each counts a sample in a window.
const ENTRIES: u64 = 32;
const WINDOWS: u64 = 4;

/// What a collector is, small: samples by window, and how many entries made them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Toy {
    entries: u64,
    samples: BTreeMap<i64, i64>,
}

impl Toy {
    fn start_us(entry: u64) -> i64 {
        // Two hours, so that one is compacted while the other goes on.
        let window = entry * WINDOWS / ENTRIES;
        (window / 2) as i64 * HOUR_US + (window % 2) as i64 * 60_000_000
    }

    fn apply(&mut self, entry: u64) {
        assert_eq!(entry, self.entries, "an entry is missing or comes twice");
        self.entries += 1;
        *self.samples.entry(Toy::start_us(entry)).or_default() += 1;
    }

    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&(self.entries, &self.samples)).unwrap()
    }

    fn from_bytes(bytes: &[u8]) -> Toy {
        let (entries, samples) = serde_json::from_slice(bytes).unwrap();
        Toy { entries, samples }
    }
}

/// A run of it.
struct Run {
    toy: Toy,
    store: Store,
    journal: Journal,
    sync: JournalSync,
}

/// What the caller was told, in order.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// So many entries were appended.
    Appended(u64),
    /// So many are on the disk.
    Synced(u64),
    /// A window was published with so many samples.
    Published(i64, i64),
}

impl Run {
    fn start(data: &Path) -> Run {
        let store = Store::open(data, StoreSettings::default()).unwrap();
        let mut toy = Toy::default();
        let (mut journal, _) = Journal::recover(data, |item| match item {
            Recovered::Checkpoint(bytes) => toy = Toy::from_bytes(&bytes),
            Recovered::Entry(bytes) => toy.apply(u64::from_le_bytes(bytes.try_into().unwrap())),
        })
        .unwrap();
        let sync = journal.begin().unwrap();
        sync.checkpoint(&toy.to_bytes()).unwrap();
        let mut run = Run { toy, store, journal, sync };
        // What the earlier run may have published, or may not.
        for start_us in run.toy.samples.keys().copied().collect::<Vec<_>>() {
            run.publish(start_us, &mut |_| {});
        }
        run
    }

    fn publish(&mut self, start_us: i64, told: &mut impl FnMut(Told)) {
        let samples = self.toy.samples[&start_us];
        let rows = Rows::Links(vec![link(start_us, "a", samples), link(start_us, "b", samples)]);
        self.store.publish(&Publication { window_start_us: start_us, rows }).unwrap();
        told(Told::Published(start_us, samples));
    }

    /// Goes on to the last entry.
    fn go_on(&mut self, told: &mut impl FnMut(Told)) {
        for entry in self.toy.entries..ENTRIES {
            self.journal.append(&entry.to_le_bytes()).unwrap();
            self.toy.apply(entry);
            told(Told::Appended(self.toy.entries));
            if entry % 4 == 3 {
                self.sync.sync().unwrap();
                told(Told::Synced(self.toy.entries));
                self.publish(Toy::start_us(entry), told);
            }
            if entry % 12 == 7 {
                self.sync = self.journal.begin().unwrap();
                self.sync.checkpoint(&self.toy.to_bytes()).unwrap();
                told(Told::Synced(self.toy.entries));
            }
            if entry == ENTRIES / 2 + 5 {
                self.store.compaction_due_us = i64::MIN;
                self.store.compact(HOUR_US + 3_900_000_000).unwrap();
            }
        }
        let windows: Vec<i64> = self.toy.samples.keys().copied().collect();
        windows.into_iter().for_each(|start_us| self.publish(start_us, told));
    }
}

/// Samples by window; each window has its two rows.
fn stored(data: &Path) -> BTreeMap<i64, i64> {
    let found = read::<LinkRow>(data, i64::MIN, i64::MAX).unwrap();
    assert_eq!(found.damaged, []);
    let mut windows: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    found.rows.iter().for_each(|row| windows.entry(row.window_start.0).or_default().push(row.samples));
    let one = |samples: Vec<i64>| {
        assert!(samples.len() == 2 && samples[0] == samples[1], "twice, missed or mixed: {samples:?}");
        samples[0]
    };
    windows.into_iter().map(|(start_us, samples)| (start_us, one(samples))).collect()
}

/// Changes, each with what the caller was told before the next.
type Changes = Vec<(Noted, Vec<Told>)>;

/// The changes of a whole run.
fn recorded() -> Changes {
    let data = tempfile::tempdir().unwrap();
    let notes: Rc<RefCell<Changes>> = Rc::default();
    let (of_steps, root) = (notes.clone(), data.path().to_path_buf());
    steps::observe(Some(Box::new(move |change| of_steps.borrow_mut().push((Noted::of(change, &root), Vec::new())))));
    let of_run = notes.clone();
    Run::start(data.path()).go_on(&mut |told| of_run.borrow_mut().last_mut().unwrap().1.push(told));
    steps::observe(None);
    notes.take()
}

/// Checks that a folder as a crash left it holds what the caller had been told, and that a run goes on from it.
fn check(data: &Path, told: &[Told], is_kill: bool, point: &str) {
    let entries = told.iter().filter_map(|told| match told {
        Told::Appended(entries) if is_kill => Some(*entries),
        Told::Synced(entries) => Some(*entries),
        _ => None,
    });
    let known = entries.max().unwrap_or(0);
    let mut published = BTreeMap::new();
    for told in told {
        if let Told::Published(start_us, samples) = told {
            published.insert(*start_us, *samples);
        }
    }
    // As a reader finds it, before anyone mends anything.
    let before = stored(data);
    for (start_us, samples) in &published {
        assert!(before.get(start_us).is_some_and(|found| found >= samples), "{point}: {start_us} was published");
    }
    let mut run = Run::start(data);
    assert!(run.toy.entries >= known, "{point}: {} entries of {known}", run.toy.entries);
    for (start_us, samples) in &before {
        assert!(run.toy.samples[start_us] >= *samples, "{point}: more was published than is known");
    }
    run.go_on(&mut |_| {});
    assert_eq!(stored(data), run.toy.samples, "{point}");
    assert_eq!(run.toy.samples.values().sum::<i64>(), ENTRIES as i64, "{point}");
}

#[test]
fn what_was_told_is_there_wherever_power_fails() {
    let changes = recorded();
    assert!(changes.len() > 150, "{}", changes.len());
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        for thread in 0..threads {
            let changes = &changes;
            scope.spawn(move || {
                steps::leave_syncs_out();
                (thread..POINTS).step_by(threads).for_each(|point| crash(changes, point));
            });
        }
    });
}

/// A folder in memory, where there is one: the disk is the model's.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn crash(changes: &[(Noted, Vec<Told>)], point: usize) {
    let mut dice = Dice(point as u64);
    // Every place comes, with every second of them another part of what was not synced.
    let place = 1 + point % (changes.len() - 1);
    let (mut disk, mut told) = (Disk::new(), Vec::new());
    for (change, after) in &changes[..place] {
        disk.make(change);
        told.extend_from_slice(after);
    }
    let data = folder();
    let is_kill = point.is_multiple_of(4);
    if is_kill {
        disk.after_kill(data.path());
    } else {
        disk.after_power_loss(data.path(), &mut dice);
    }
    check(data.path(), &told, is_kill, &format!("point {point}, after change {place}"));
}
