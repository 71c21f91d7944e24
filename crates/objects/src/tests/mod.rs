//! What is copied is what is read, whatever happens in between.

mod breaking;

use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::TryStreamExt;
use model::table::{Kind, Row, Value};
use model::tables::LinkRow;
use model::{Publication, Rows};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use store::{Store, StoreSettings};
use tempfile::TempDir;

use crate::{Copier, Look, ObjectsError, Place, Reader};

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
const GRACE_SECONDS: i64 = 3_600;

/// A row of this many samples.
pub(super) fn link(start_us: i64, samples: i64) -> LinkRow {
    let none = |column: &model::table::Column| match column.kind {
        _ if column.is_nullable => Value::Null,
        Kind::Integer => Value::Integer(1),
        Kind::Float => Value::Float(0.0),
        Kind::Timestamp => Value::Timestamp(start_us),
        _ => Value::Text("a".into()),
    };
    let row = LinkRow::from_values(LinkRow::COLUMNS.iter().map(none).collect()).unwrap();
    LinkRow { samples, window_seconds: 60, ..row }
}

/// A data folder with its writer.
pub(super) struct Written {
    pub(super) folder: TempDir,
    pub(super) store: Store,
}

impl Written {
    pub(super) fn new() -> Written {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), StoreSettings { links_days: 1, ..StoreSettings::default() }).unwrap();
        Written { folder, store }
    }

    pub(super) fn publish(&mut self, minute: i64, samples: i64) {
        let window_start_us = minute * MINUTE_US;
        self.store.publish(&Publication { window_start_us, rows: Rows::Links(vec![link(window_start_us, samples)]) }).unwrap();
    }

    pub(super) fn rows(&self) -> Vec<(i64, i64)> {
        rows(self.folder.path())
    }
}

/// Minutes and samples of the rows of a data folder.
pub(super) fn rows(folder: &FilePath) -> Vec<(i64, i64)> {
    let found = store::read::<LinkRow>(folder, i64::MIN, i64::MAX).unwrap();
    assert_eq!(found.damaged, []);
    found.rows.iter().map(|row| (row.window_start.0 / MINUTE_US, row.samples)).collect()
}

pub(super) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(super) fn copier(objects: &Arc<dyn ObjectStore>, name: &str, data: &FilePath) -> Copier {
    Copier::new(Place::of(objects.clone(), "some/where"), name, data, GRACE_SECONDS)
}

/// One round of a copier that knows nothing of earlier ones.
pub(super) fn copy(objects: &Arc<dyn ObjectStore>, name: &str, data: &FilePath) -> Result<(), ObjectsError> {
    block_on(copier(objects, name, data).round(Look::All, now_us()))
}

pub(super) fn reader(objects: &Arc<dyn ObjectStore>, cache: &FilePath) -> Reader {
    Reader::open(Place::of(objects.clone(), "some/where"), &[], cache, 100).unwrap()
}

/// What a reader sees, by collector; it has nothing to complain of.
pub(super) fn seen(reader: &Reader) -> Vec<(String, Vec<(i64, i64)>)> {
    let folders = reader.folders("links", i64::MIN, i64::MAX).unwrap();
    assert_eq!(reader.notes(), Vec::<String>::new());
    folders.into_iter().map(|(collector, folder)| (collector, rows(&folder))).collect()
}

pub(super) fn names(objects: &Arc<dyn ObjectStore>) -> Vec<String> {
    let listed = block_on(objects.list(None).try_collect::<Vec<_>>()).unwrap();
    let mut names: Vec<String> = listed.into_iter().map(|object| object.location.to_string()).collect();
    names.sort();
    names
}

pub(super) fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

#[test]
fn what_was_published_revised_and_compacted_is_read_as_it_is() {
    let (objects, cache, mut written) = (memory(), tempfile::tempdir().unwrap(), Written::new());
    let mut copier = copier(&objects, "fra-1", written.folder.path());
    let counts = copier.counts();
    for step in 0..5 {
        match step {
            0 => (0..3).for_each(|minute| written.publish(minute, 10)),
            1 => written.publish(1, 20),
            2 => written.publish(61, 30),
            3 => assert_eq!(written.store.compact(2 * HOUR_US + 3_900_000_000).unwrap(), 2),
            _ => written.publish(2, 40),
        }
        block_on(copier.round(Look::Recent, now_us())).unwrap();
        assert!(!copier.is_behind());
        assert_eq!(seen(&reader(&objects, cache.path())), [("fra-1".to_owned(), written.rows())], "step {step}");
    }
    let put = (counts.objects.load(Ordering::Relaxed), counts.manifests.load(Ordering::Relaxed));
    block_on(copier.round(Look::All, now_us())).unwrap();
    assert_eq!(put, (counts.objects.load(Ordering::Relaxed), counts.manifests.load(Ordering::Relaxed)), "nothing is new");
    copy(&objects, "fra-1", written.folder.path()).unwrap();
    let reader = reader(&objects, cache.path());
    assert_eq!(seen(&reader)[0].1, written.rows());
    assert_eq!(reader.extent("links").unwrap(), Some((0, 2 * HOUR_US)));
    assert_eq!(reader.extent("traffic").unwrap(), None);
}

#[test]
fn five_minute_rows_are_of_minutes_where_there_are_no_others() {
    let (objects, cache, mut written) = (memory(), tempfile::tempdir().unwrap(), Written::new());
    written.publish(0, 10);
    written.store.compact(HOUR_US + 3_900_000_000).unwrap();
    written.publish(61, 30);
    copy(&objects, "fra-1", written.folder.path()).unwrap();
    let reader = reader(&objects, cache.path());
    let folders = reader.folders("links_5m", i64::MIN, i64::MAX).unwrap();
    let coarse = store::read_five_minutes::<LinkRow>(&folders[0].1, i64::MIN, i64::MAX).unwrap().rows;
    let expected = store::read_five_minutes::<LinkRow>(written.folder.path(), i64::MIN, i64::MAX).unwrap().rows;
    assert_eq!(coarse, expected);
    assert_eq!(rows(&folders[0].1), [(61, 30)], "minutes that five-minute rows stand for are not fetched");
}

#[test]
fn a_range_fetches_its_hours_alone_and_within_the_bound() {
    let (objects, cache, mut written) = (memory(), tempfile::tempdir().unwrap(), Written::new());
    (0..4).for_each(|hour| written.publish(60 * hour, hour));
    copy(&objects, "fra-1", written.folder.path()).unwrap();
    let some = reader(&objects, cache.path());
    let folders = some.folders("links", HOUR_US, 2 * HOUR_US).unwrap();
    assert_eq!(rows(&folders[0].1), [(60, 1)]);
    let place = || Place::of(objects.clone(), "some/where");
    let bounded = Reader::open(place(), &[], cache.path(), 0).unwrap();
    assert!(matches!(bounded.folders("links", i64::MIN, i64::MAX), Err(ObjectsError::TooMuch { mib: 0, .. })));
    let unknown = Reader::open(place(), &["ams-1".to_owned()], cache.path(), 100).err().unwrap();
    assert_eq!(unknown.to_string(), "test: there is no collector \"ams-1\"; there are fra-1");
    let nothing = Reader::open(Place::of(objects.clone(), "else"), &[], cache.path(), 100).err().unwrap();
    assert!(nothing.to_string().contains("there are no tables here"), "{nothing}");
}

#[test]
fn two_collectors_write_beside_each_other_and_one_name_is_one_folder() {
    let (objects, cache) = (memory(), tempfile::tempdir().unwrap());
    let (mut one, mut other) = (Written::new(), Written::new());
    one.publish(0, 1);
    other.publish(0, 2);
    copy(&objects, "ams-1", one.folder.path()).unwrap();
    copy(&objects, "fra-1", other.folder.path()).unwrap();
    let refused = copy(&objects, "ams-1", other.folder.path()).unwrap_err().to_string();
    assert!(refused.contains("the collector \"ams-1\" is another data folder's"), "{refused}");
    let expected = [("ams-1".to_owned(), vec![(0, 1)]), ("fra-1".to_owned(), vec![(0, 2)])];
    assert_eq!(seen(&reader(&objects, cache.path())), expected);
    let one = Reader::open(Place::of(objects.clone(), "some/where"), &["fra-1".to_owned()], cache.path(), 100).unwrap();
    assert_eq!(seen(&one), expected[1..]);
}

#[test]
fn what_was_replaced_goes_after_its_time_of_grace() {
    let (objects, cache, mut written) = (memory(), tempfile::tempdir().unwrap(), Written::new());
    (0..3).for_each(|minute| written.publish(minute, 10));
    let mut copier = copier(&objects, "fra-1", written.folder.path());
    block_on(copier.round(Look::Recent, now_us())).unwrap();
    // They have listed what is there, and not fetched it yet.
    let (early, late) = (reader(&objects, cache.path()), reader(&objects, cache.path()));
    early.extent("links").unwrap();
    late.extent("links").unwrap();
    let before = written.rows();
    written.publish(1, 20);
    block_on(copier.round(Look::Recent, now_us())).unwrap();
    assert_eq!(seen(&early)[0].1, before, "within the time of grace a reader has what it listed");
    let removed = |copier: &Copier| copier.counts().removed.load(Ordering::Relaxed);
    block_on(copier.round(Look::Recent, now_us() + (GRACE_SECONDS - 10) * 1_000_000)).unwrap();
    assert_eq!((removed(&copier), names(&objects).len()), (0, 7));
    block_on(copier.round(Look::Recent, now_us() + (GRACE_SECONDS + 10) * 1_000_000)).unwrap();
    // The minute's earlier file and the earlier manifest.
    assert_eq!((removed(&copier), names(&objects).len()), (2, 5));
    std::fs::remove_dir_all(cache.path().join("objects")).unwrap();
    std::fs::create_dir_all(cache.path().join("objects/test")).unwrap();
    assert_eq!(seen(&late)[0].1, written.rows(), "after it a reader lists anew");
}

#[test]
fn what_is_missing_or_damaged_is_said() {
    let (objects, cache, mut written) = (memory(), tempfile::tempdir().unwrap(), Written::new());
    written.publish(0, 10);
    written.publish(1, 10);
    written.publish(61, 10);
    copy(&objects, "fra-1", written.folder.path()).unwrap();
    let path = |part: &str| Path::from(names(&objects).into_iter().find(|name| name.contains(part)).unwrap());
    block_on(objects.delete(&path("hour=00/000100-60."))).unwrap();
    block_on(objects.put(&path("hour=01/_manifest-"), "{}".into())).unwrap();
    let reader = reader(&objects, cache.path());
    let folders = reader.folders("links", i64::MIN, i64::MAX).unwrap();
    assert_eq!(rows(&folders[0].1), [(0, 10)]);
    let notes = reader.notes();
    assert_eq!(notes.len(), 2);
    assert!(notes[0].contains("hour=00/000100-60.") && notes[0].contains("not there"), "{notes:?}");
    assert!(notes[1].contains("hour=01/_manifest-") && notes[1].contains("damaged"), "{notes:?}");
}

#[test]
fn what_a_store_says_does_not_lead_out_of_the_cache() {
    let (objects, cache) = (memory(), tempfile::tempdir().unwrap());
    let folder = "some/where/collector=x/links/date=1970-01-01/hour=00";
    let entry = serde_json::json!({
        "object": "../../../../../../a.parquet", "name": "../a.parquet", "rows": 1, "bytes": 1, "first_us": 0, "last_us": 0
    });
    let manifest = serde_json::json!({ "schema_version": "1", "files": [entry] }).to_string();
    let put = |name: &str, text: String| block_on(objects.put(&Path::from(format!("{folder}/{name}")), text.into())).unwrap();
    put("_manifest-0000000001-0000000000000001.json", manifest);
    block_on(objects.put(&Path::from("some/where/collector=a b/links/x"), "x".into())).unwrap();
    let reader = reader(&objects, cache.path());
    let folders = reader.folders("links", i64::MIN, i64::MAX).unwrap();
    assert_eq!(folders.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x"]);
    assert_eq!((rows(&folders[0].1), reader.notes().len()), (vec![], 1));
}

#[test]
fn hours_that_the_disk_keeps_no_longer_stay_and_what_was_never_copied_is_counted() {
    let (objects, cache, mut written) = (memory(), tempfile::tempdir().unwrap(), Written::new());
    let (old, new) = (0, 60);
    written.publish(old, 10);
    let mut copier = copier(&objects, "fra-1", written.folder.path());
    block_on(copier.round(Look::All, now_us())).unwrap();
    written.publish(new, 20);
    let broken: Arc<dyn ObjectStore> = Arc::new(breaking::Breaking::new(objects.clone(), 0));
    let mut failing = super::tests::copier(&broken, "fra-1", written.folder.path());
    block_on(failing.round(Look::All, now_us())).unwrap_err();
    let keep = written.rows();
    let later_us = 3 * 24 * HOUR_US;
    for _ in 0..2 {
        written.store.compact(later_us).unwrap();
        written.store = {
            drop(written.store);
            Store::open(written.folder.path(), StoreSettings { links_days: 1, ..StoreSettings::default() }).unwrap()
        };
    }
    assert_eq!((keep.len(), written.rows().len()), (2, 0), "the disk keeps a day");
    // The target answers again.
    failing = failing.onto(Place::of(objects.clone(), "some/where"));
    block_on(failing.round(Look::All, now_us())).unwrap();
    assert_eq!(failing.counts().lost_hours.load(Ordering::Relaxed), 1);
    let notices = failing.take_notices();
    assert!(notices.len() == 1 && notices[0].contains("hour=01 was removed from the disk before it was copied"), "{notices:?}");
    assert_eq!(seen(&reader(&objects, cache.path()))[0].1, [(0, 10)], "what was copied stays");
}
