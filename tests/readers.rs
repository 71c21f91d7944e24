//! DuckDB and pyarrow read the data folder while the store publishes, revises and compacts.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use model::table::{Cell, Kind, Row, Timestamp, Value};
use model::tables::LinkRow;
use model::{Name, Publication, Rows};
use store::{Store, StoreSettings};

use crate::has_program;

const WINDOW_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * WINDOW_US;
const CONNECTIONS: i64 = 8;

/// A row whose other columns are null, or as empty as they may be.
fn row(start_us: i64, connection: i64, samples: i64) -> LinkRow {
    let values = LinkRow::COLUMNS.iter().map(|column| match column.kind {
        _ if column.is_nullable => Value::Null,
        Kind::Integer => 60_i64.value(),
        Kind::Float => 0.0.value(),
        Kind::Text => Name::from("").value(),
        Kind::Timestamp => Timestamp(start_us).value(),
        Kind::Boolean => false.value(),
        Kind::Texts => Value::Texts(Vec::new()),
        Kind::Counts => Value::Counts(Default::default()),
        Kind::Integers => Value::Integers(Vec::new()),
        Kind::Bytes => Value::Bytes(Vec::new()),
        Kind::Structs(_) => Value::Structs(Vec::new()),
    });
    let row = LinkRow::from_values(values.collect()).unwrap();
    LinkRow { connection: format!("connection {connection}").into(), samples, ..row }
}

fn publish(store: &mut Store, start_us: i64, samples: i64) {
    let rows = (0..CONNECTIONS).map(|connection| row(start_us, connection, samples)).collect();
    store.publish(&Publication { window_start_us: start_us, rows: Rows::Links(rows) }).unwrap();
}

/// Publishes window after window, each revised a little later, with hours compacted on the way and
/// revised after that; gives how many windows there were.
fn write(data: &Path, for_long: Duration) -> i64 {
    let mut store = Store::open(data, StoreSettings::default()).unwrap();
    let until = Instant::now() + for_long;
    let mut windows = 0;
    while Instant::now() < until {
        publish(&mut store, windows * WINDOW_US, 1);
        for windows_ago in [2, 59, 200] {
            if windows >= windows_ago {
                publish(&mut store, (windows - windows_ago) * WINDOW_US, windows);
            }
        }
        windows += 1;
        store.compact(windows * WINDOW_US + HOUR_US).unwrap();
    }
    windows
}

#[test]
fn other_readers_never_see_a_row_twice_or_a_broken_file() {
    if !has_program("python3") {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/readers.py");
    // The first files are there before anyone looks for them.
    publish(&mut Store::open(data.path(), StoreSettings::default()).unwrap(), 0, 0);
    let mut readers =
        Command::new("python3").arg(script).arg(data.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(readers.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let windows = write(data.path(), Duration::from_secs(8));
    drop(readers.stdin.take());
    let seen = lines.next().map(Result::unwrap).unwrap_or_default();
    assert!(readers.wait().unwrap().success());
    eprintln!("{windows} windows: {seen}");
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    for reader in seen.as_array().unwrap() {
        assert_eq!(reader["rows"], windows * CONNECTIONS, "{reader}");
        assert!(reader["reads"].as_i64() > Some(1), "{reader}");
    }
}

#[test]
fn our_own_reader_never_misses_doubles_or_blames_a_row() {
    let data = tempfile::tempdir().unwrap();
    publish(&mut Store::open(data.path(), StoreSettings::default()).unwrap(), 0, 0);
    let (mut seen, mut reads) = (0, 0);
    let windows = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(data.path(), Duration::from_secs(3)));
        while !writer.is_finished() {
            let found = store::read::<LinkRow>(data.path(), i64::MIN, i64::MAX).unwrap();
            assert_eq!(found.damaged, []);
            let rows = found.rows.len();
            let keys: HashSet<_> = found.rows.into_iter().map(|row| (row.window_start, row.connection)).collect();
            assert!(keys.len() == rows && rows >= seen, "{} of {rows} rows after {seen}", keys.len());
            (seen, reads) = (rows, reads + 1);
        }
        writer.join().unwrap()
    });
    eprintln!("{windows} windows, {reads} reads");
    let rows = store::read::<LinkRow>(data.path(), i64::MIN, i64::MAX).unwrap().rows.len();
    assert!(reads > 1 && rows as i64 == windows * CONNECTIONS);
}

#[test]
fn our_queries_never_miss_double_or_blame_a_row() {
    let data = tempfile::tempdir().unwrap();
    publish(&mut Store::open(data.path(), StoreSettings::default()).unwrap(), 0, 0);
    let (mut seen, mut reads) = (0, 0);
    let count =
        "select count(*) as rows, count(distinct (connection || cast(window_start as varchar))) as distinct_rows from links";
    let windows = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(data.path(), Duration::from_secs(5)));
        while !writer.is_finished() {
            let mut tables =
                report::Data::open(data.path(), report::Range::EVER, &[], &report::ReportSettings::default()).unwrap();
            tables.register(&["links"]).unwrap();
            let found = tables.table(count).unwrap().rows;
            assert_eq!(tables.notes(), Vec::<String>::new());
            let [rows, distinct] = [0, 1].map(|place| found[0][place].as_i64().unwrap());
            assert!(rows == distinct && rows >= seen, "{distinct} of {rows} rows after {seen}");
            (seen, reads) = (rows, reads + 1);
        }
        writer.join().unwrap()
    });
    eprintln!("{windows} windows, {reads} reads");
    assert!(reads > 1 && seen > 0);
}

#[test]
fn a_damaged_hour_is_named_and_the_others_are_answered_from() {
    let data = tempfile::tempdir().unwrap();
    let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
    for hour in 0..3 {
        (0..60).for_each(|minute| publish(&mut store, hour * HOUR_US + minute * WINDOW_US, 1));
    }
    store.compact(24 * HOUR_US).unwrap();
    let file = data.path().join("links/date=1970-01-01/hour=01/hour.parquet");
    let mut bytes = std::fs::read(&file).unwrap();
    // The footer stays: only reading the rows shows it.
    let middle = bytes.len() / 2;
    bytes[4..middle].fill(0xff);
    std::fs::write(&file, bytes).unwrap();
    let mut tables = report::Data::open(data.path(), report::Range::EVER, &[], &report::ReportSettings::default()).unwrap();
    tables.register(&["links"]).unwrap();
    let sum = tables.table("select sum(samples) as samples, max(connection) as last from links").unwrap().rows;
    assert_eq!(sum[0][0], 2 * 60 * CONNECTIONS);
    assert!(tables.notes().iter().any(|note| note.contains("hour=01/hour.parquet: passed over")), "{:?}", tables.notes());
}
