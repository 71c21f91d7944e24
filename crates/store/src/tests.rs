mod crash;
mod damage;
mod disk;
mod flows;
mod power;

use std::collections::BTreeMap;
use std::path::Path;

use model::table::{Cell, Row, Timestamp, Value};
use model::tables::{AlertRow, ConnectionRow, ExporterRow, FailoverRow, LatencyRow, LinkRow, PortRow, PrefixRow, TrafficRow};
use model::{Name, Publication, Rows};
use proptest::prelude::*;

use crate::state::{State, read_state, write_state};
use crate::{
    Selection, Store, StoreError, StoreSettings, columns, read, read_five_minutes, read_five_minutes_selected, read_selected,
};
use model::time::HOUR_US;

const WINDOW_US: i64 = 60_000_000;

/// A row of any table from a stream of numbers: every kind of value, nulls where they may be.
fn row<R: Row>(numbers: &[u64], start_us: i64) -> R {
    let mut stream = numbers.iter().cycle().copied();
    let mut next = move || stream.next().unwrap_or(1);
    let values = R::COLUMNS.iter().enumerate().map(|(index, column)| cell(column, next().wrapping_add(index as u64), start_us));
    R::from_values(values.collect()).unwrap()
}

fn cell(column: &model::table::Column, number: u64, start_us: i64) -> Value {
    if column.is_nullable && number.is_multiple_of(3) {
        return Value::Null;
    }
    let text: Name = ["", "fra-pni-1", "Zürich", "a\u{0}b", "日本"][(number % 5) as usize].into();
    match column.kind {
        model::table::Kind::Integer => (number as i64).value(),
        model::table::Kind::Float => (number as f64 / 7.0).value(),
        model::table::Kind::Text => text.value(),
        model::table::Kind::Timestamp => Timestamp(start_us).value(),
        model::table::Kind::Boolean => number.is_multiple_of(2).value(),
        model::table::Kind::Texts => vec![text; (number % 3) as usize].value(),
        model::table::Kind::Integers => vec![number as i64; (number % 3) as usize].value(),
        model::table::Kind::Bytes => vec![number as u8; (number % 5) as usize].value(),
        model::table::Kind::Counts => {
            BTreeMap::from_iter((0..number % 3).map(|i| (format!("reason {i}").into(), number as i64))).value()
        }
        model::table::Kind::Structs(columns) => {
            let one = |place: u64| columns.iter().zip(place..).map(|(column, extra)| cell(column, number ^ extra, start_us));
            Value::Structs((0..number % 3).map(|place| one(place).collect()).collect())
        }
    }
}

fn link(start_us: i64, connection: &str, samples: i64) -> LinkRow {
    let mut row: LinkRow = row(&[1, 2], start_us);
    (row.connection, row.samples, row.window_seconds) = (connection.into(), samples, 60);
    row
}

fn publish(store: &mut Store, start_us: i64, samples: i64) {
    let rows = Rows::Links(vec![link(start_us, "a", samples), link(start_us, "b", samples)]);
    store.publish(&Publication { window_start_us: start_us, rows }).unwrap();
}

fn samples(data: &Path) -> Vec<i64> {
    let found = read::<LinkRow>(data, i64::MIN, i64::MAX).unwrap();
    assert_eq!(found.damaged, []);
    found.rows.iter().filter(|row| &*row.connection == "a").map(|row| row.samples).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn rows_come_back_as_they_were(numbers in proptest::collection::vec(any::<u64>(), 1..40)) {
        fn check<R: Row + PartialEq + std::fmt::Debug>(numbers: &[u64]) {
            let rows: Vec<R> = (0..3).map(|start| row(&numbers[start % numbers.len()..], 5)).collect();
            assert_eq!(columns::rows::<R>(&columns::batch(&rows).unwrap()).unwrap(), rows);
        }
        check::<ConnectionRow>(&numbers);
        check::<PortRow>(&numbers);
        check::<LinkRow>(&numbers);
        check::<TrafficRow>(&numbers);
        check::<PrefixRow>(&numbers);
        check::<ExporterRow>(&numbers);
        check::<AlertRow>(&numbers);
        check::<LatencyRow>(&numbers);
        check::<FailoverRow>(&numbers);
    }
}

#[test]
fn a_window_is_a_file_and_a_revision_replaces_it() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    let start_us = 1_800_000_000_000_000 / WINDOW_US * WINDOW_US;
    publish(&mut store, start_us, 1);
    publish(&mut store, start_us + WINDOW_US, 2);
    publish(&mut store, start_us, 3);
    assert_eq!(samples(data.path()), [3, 2]);
    let file = data.path().join("links/date=2027-01-15/hour=08/080000-60.parquet");
    assert!(file.exists(), "{}", file.display());
    let part = read::<LinkRow>(data.path(), start_us + 1, i64::MAX).unwrap().rows;
    assert_eq!(part.len(), 2);
}

#[test]
fn rows_of_one_link_are_read_alone_and_no_further_than_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), StoreSettings::default()).unwrap();
    for minute in 0..10 {
        let start_us = minute * WINDOW_US;
        let rows = ["a", "b", "c"].map(|name| link(start_us, name, minute)).to_vec();
        store.publish(&Publication { window_start_us: start_us, rows: Rows::Links(rows) }).unwrap();
    }
    let most = std::cell::Cell::new(usize::MAX);
    let goes_on = |rows: usize| rows < most.get();
    let selection = Selection { column: "connection", value: "b", goes_on: &goes_on };
    let read = || read_selected::<LinkRow>(folder.path(), 2 * WINDOW_US, 9 * WINDOW_US, &selection).unwrap().rows;
    assert!(read().iter().all(|row| &*row.connection == "b"));
    assert_eq!(read().iter().map(|row| row.samples).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8]);
    let coarse = read_five_minutes_selected::<LinkRow>(folder.path(), 0, 10 * WINDOW_US, &selection).unwrap().rows;
    assert_eq!(coarse.iter().map(|row| (&*row.connection, row.samples)).collect::<Vec<_>>(), [("b", 10), ("b", 35)]);
    most.set(3);
    assert_eq!(read().len(), 3);
    // Of two hours as of one: what the first one gave counts.
    for minute in 0..5 {
        let start_us = HOUR_US + minute * WINDOW_US;
        let rows = Rows::Links(vec![link(start_us, "b", minute)]);
        store.publish(&Publication { window_start_us: start_us, rows }).unwrap();
    }
    most.set(12);
    assert_eq!(read_selected::<LinkRow>(folder.path(), 0, i64::MAX, &selection).unwrap().rows.len(), 12);
    let unknown = Selection { column: "nothing", ..selection };
    let found = read_selected::<LinkRow>(folder.path(), 0, i64::MAX, &unknown).unwrap();
    assert!(found.rows.is_empty() && found.damaged[0].reason.contains("nothing"), "{:?}", found.damaged.first());
}

#[test]
fn a_finished_hour_becomes_one_file_and_takes_revisions() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    let windows: Vec<i64> = (0..61).map(|index| index * WINDOW_US).collect();
    windows.iter().for_each(|start_us| publish(&mut store, *start_us, *start_us));
    assert_eq!(store.compact(HOUR_US + 3_899_000_000).unwrap(), 0);
    assert_eq!(store.compact(HOUR_US + 4_000_000_000).unwrap(), 1);
    let names: Vec<_> =
        std::fs::read_dir(data.path().join("links/date=1970-01-01/hour=00")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(samples(data.path()), windows);
    publish(&mut store, 5 * WINDOW_US, -5);
    let mut expected = windows.clone();
    expected[5] = -5;
    assert_eq!(samples(data.path()), expected);
}

#[test]
fn an_hour_becomes_coarse_once_and_minutes_go_first() {
    const DAY_US: i64 = 24 * HOUR_US;
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    (0..60).for_each(|window| publish(&mut store, window * WINDOW_US, window));
    let five_minutes = || -> Vec<(i64, i64)> {
        let found = read_five_minutes::<LinkRow>(data.path(), i64::MIN, i64::MAX).unwrap();
        assert_eq!(found.damaged, []);
        let of_a = found.rows.iter().filter(|row| &*row.connection == "a");
        of_a.map(|row| (row.window_start.0 / WINDOW_US, row.samples)).collect()
    };
    let mut expected: Vec<(i64, i64)> = (0..12).map(|slot| (slot * 5, (0..5).map(|minute| slot * 5 + minute).sum())).collect();
    assert_eq!(five_minutes(), expected);
    // While it works nothing is missing and nothing twice.
    std::thread::scope(|scope| {
        let compacting = scope.spawn(|| store.compact(HOUR_US + 4_000_000_000).unwrap());
        while !compacting.is_finished() {
            assert_eq!(five_minutes(), expected);
        }
    });
    assert_eq!((five_minutes(), samples(data.path()).len()), (expected.clone(), 60));
    publish(&mut store, 7 * WINDOW_US, 100);
    expected[1].1 += 93;
    assert_eq!(five_minutes(), expected);
    let mut at = |days: i64| {
        store.compaction_due_us = i64::MIN;
        store.compact(HOUR_US + days * DAY_US).unwrap();
    };
    at(13);
    assert_eq!(samples(data.path()).len(), 60);
    at(14);
    assert_eq!((samples(data.path()).len(), five_minutes()), (0, expected));
    assert!(!data.path().join("links/date=1970-01-01").exists());
    at(730);
    assert_eq!(five_minutes(), []);
}

#[test]
fn what_is_not_compacted_is_never_too_old() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings { links_days: 1, ..StoreSettings::default() }).unwrap();
    publish(&mut store, 0, 1);
    store.expire(1_000 * HOUR_US).unwrap();
    assert_eq!(samples(data.path()), [1]);
}

#[test]
fn a_revision_without_rows_takes_them_back() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    let nothing = |window_start_us| Publication { window_start_us, rows: Rows::Links(Vec::new()) };
    store.publish(&nothing(0)).unwrap();
    assert!(!data.path().join("links").exists());
    (0..3).for_each(|window| publish(&mut store, window * WINDOW_US, window));
    store.publish(&nothing(WINDOW_US)).unwrap();
    store.publish(&nothing(7 * WINDOW_US)).unwrap();
    assert_eq!(samples(data.path()), [0, 2]);
    assert_eq!(store.compact(2 * HOUR_US + 4_000_000_000).unwrap(), 1);
    store.publish(&nothing(7 * WINDOW_US)).unwrap();
    store.publish(&nothing(0)).unwrap();
    assert_eq!(samples(data.path()), [2]);
}

#[test]
fn what_an_interrupted_run_left_is_swept() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    publish(&mut store, 0, 1);
    drop(store);
    let folder = data.path().join("links/date=1970-01-01/hour=00");
    std::fs::write(folder.join("000100-60.parquet.tmp"), b"half").unwrap();
    std::fs::create_dir_all(data.path().join(".work/links x")).unwrap();
    std::fs::write(folder.join("_manifest.json"), b"{damaged").unwrap();
    Store::open(data.path(), StoreSettings::default()).unwrap();
    assert!(!folder.join("000100-60.parquet.tmp").exists() && !data.path().join(".work").exists());
    assert_eq!(samples(data.path()), [1]);
}

#[test]
fn two_processes_never_share_a_folder() {
    let data = tempfile::tempdir().unwrap();
    let _first = Store::open(data.path(), StoreSettings::default()).unwrap();
    assert!(matches!(Store::open(data.path(), StoreSettings::default()), Err(StoreError::InUse { .. })));
    let file = data.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let sentence = Store::open(&file, StoreSettings::default()).err().unwrap().to_string();
    assert!(sentence.contains("give a folder, not a file"), "{sentence}");
}

#[test]
fn a_state_file_is_whole_or_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.state");
    assert_eq!(read_state(&path).unwrap(), State::Absent);
    write_state(&path, b"first").unwrap();
    write_state(&path, b"second").unwrap();
    assert_eq!(read_state(&path).unwrap(), State::Present(b"second".to_vec()));
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(read_state(&path).unwrap(), State::SetAside(_)), "{length}");
        assert_eq!(read_state(&path).unwrap(), State::Absent);
    }
}
