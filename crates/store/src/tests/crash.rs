//! The process ends before each step that changes the disk, and starts again.

use std::collections::BTreeMap;
use std::path::Path;

use model::tables::LinkRow;
use model::{Publication, Rows};

use super::{WINDOW_US, link};
use crate::files::steps;
use crate::layout::PARQUET;
use crate::{Store, StoreError, StoreSettings, files, read, reading};
use model::time::HOUR_US;

/// Publishes a window with this many samples, or compacts.
#[derive(Clone, Copy)]
enum Action {
    Publish(i64, i64),
    Compact,
}

const ACTIONS: [Action; 9] = [
    Action::Publish(0, 1),
    Action::Publish(WINDOW_US, 2),
    Action::Publish(0, 3),
    Action::Publish(HOUR_US, 4),
    Action::Compact,
    Action::Publish(WINDOW_US, 5),
    Action::Publish(2 * WINDOW_US, 6),
    Action::Publish(HOUR_US + WINDOW_US, 7),
    Action::Publish(HOUR_US, 8),
];

fn act(store: &mut Store, action: Action) -> Result<(), StoreError> {
    match action {
        Action::Publish(start_us, samples) => {
            let rows = Rows::Links(vec![link(start_us, "a", samples), link(start_us, "b", samples)]);
            store.publish(&Publication { window_start_us: start_us, rows })
        }
        Action::Compact => {
            store.compaction_due_us = i64::MIN;
            store.compact(HOUR_US + 3_900_000_000).map(|_| ())
        }
    }
}

/// Samples by window, by our own reader; each window has its two rows.
fn stored(data: &Path) -> BTreeMap<i64, i64> {
    let found = read::<LinkRow>(data, i64::MIN, i64::MAX).unwrap();
    assert_eq!(found.damaged, []);
    windows(found.rows)
}

/// The same as a reader sees it that knows no manifest.
fn globbed(folder: &Path) -> Vec<LinkRow> {
    let mut rows = Vec::new();
    for path in files::entries(folder).unwrap() {
        if path.is_dir() {
            rows.extend(globbed(&path));
        } else if files::has_ending(&path, PARQUET) {
            rows.extend(reading::read_file::<LinkRow>(&path).unwrap());
        }
    }
    rows
}

fn windows(rows: Vec<LinkRow>) -> BTreeMap<i64, i64> {
    let mut windows: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    rows.iter().for_each(|row| windows.entry(row.window_start.0).or_default().push(row.samples));
    let one = |samples: Vec<i64>| {
        assert!(samples.len() == 2 && samples[0] == samples[1], "twice, missed or mixed: {samples:?}");
        samples[0]
    };
    windows.into_iter().map(|(start_us, samples)| (start_us, one(samples))).collect()
}

/// Ends the process after `steps`; gives whether it got to the end before.
fn check(steps_before: usize) -> bool {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    let mut expected = BTreeMap::new();
    steps::end_after(steps_before);
    let ended_in = ACTIONS.iter().position(|action| {
        let failed = act(&mut store, *action).is_err();
        if let (Action::Publish(start_us, samples), false) = (*action, failed) {
            expected.insert(start_us, samples);
        }
        failed
    });
    drop(store);
    steps::end_after(usize::MAX);
    let Some(ended_in) = ended_in else { return true };

    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    let mut with_last = expected.clone();
    if let Action::Publish(start_us, samples) = ACTIONS[ended_in] {
        with_last.insert(start_us, samples);
    }
    let found = stored(data.path());
    assert!(found == expected || found == with_last, "step {steps_before}: {found:?}, not {expected:?}");
    assert_eq!(windows(globbed(&data.path().join("links"))), found, "step {steps_before}");

    ACTIONS[ended_in..].iter().for_each(|action| act(&mut store, *action).unwrap());
    let all = BTreeMap::from([(0, 3), (WINDOW_US, 5), (2 * WINDOW_US, 6), (HOUR_US, 8), (HOUR_US + WINDOW_US, 7)]);
    assert_eq!(stored(data.path()), all, "step {steps_before}");
    assert_eq!(windows(globbed(&data.path().join("links"))), all, "step {steps_before}");
    false
}

fn check_every_step() -> usize {
    (0..).find(|steps| check(*steps)).unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_wherever_the_process_ends() {
    assert!(check_every_step() > 80);
}

#[test]
fn nor_where_the_file_system_cannot_exchange_folders() {
    steps::set_cannot_exchange(true);
    let count = check_every_step();
    steps::set_cannot_exchange(false);
    assert!(count > 80);
}

#[test]
fn what_fails_for_want_of_space_is_written_by_the_next_try() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    act(&mut store, Action::Publish(0, 1)).unwrap();
    for steps_before in 0..10 {
        steps::end_after(steps_before);
        let failed = act(&mut store, Action::Publish(0, 2)).is_err();
        steps::end_after(usize::MAX);
        assert!(failed && [1, 2].contains(&stored(data.path())[&0]));
        act(&mut store, Action::Publish(0, 1)).unwrap();
        assert_eq!(stored(data.path())[&0], 1);
    }
}
