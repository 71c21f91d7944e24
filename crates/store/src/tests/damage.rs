//! Files that are not what we wrote, and manifests that are not there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{Field, Schema};
use model::tables::LinkRow;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::{WINDOW_US, link, publish, samples};
use crate::{Found, Store, StoreSettings, columns, read};
use model::time::HOUR_US;

const FOLDER: &str = "links/date=1970-01-01/hour=00";

fn store_of_two_windows(data: &Path) -> (Store, PathBuf) {
    let mut store = Store::open(data, StoreSettings::default()).unwrap();
    publish(&mut store, 0, 1);
    publish(&mut store, WINDOW_US, 2);
    (store, data.join(FOLDER).join("000000-60.parquet"))
}

fn everything(data: &Path) -> Found<LinkRow> {
    read::<LinkRow>(data, i64::MIN, i64::MAX).unwrap()
}

fn write(path: &Path, batch: &RecordBatch) {
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_damaged_file_is_named_and_passed_over() {
    let data = tempfile::tempdir().unwrap();
    let (mut store, file) = store_of_two_windows(data.path());
    let whole = fs::read(&file).unwrap();
    let mut claims_much = whole.clone();
    let length = claims_much.len();
    claims_much[length - 8..length - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    for damaged in [&whole[..whole.len() / 2], b"", &claims_much] {
        fs::write(&file, damaged).unwrap();
        let found = everything(data.path());
        assert_eq!(found.rows.len(), 2);
        assert!(!found.damaged.is_empty() && found.damaged.iter().all(|damaged| damaged.path == file));
    }
    // Compaction goes on without it, keeps it, and says so.
    assert_eq!(store.compact(HOUR_US * 3).unwrap(), 1);
    let notices = store.take_notices();
    assert!(notices.len() == 1 && notices[0].contains("000000-60.parquet"), "{notices:?}");
    assert_eq!(fs::read_dir(data.path().join(".damaged")).unwrap().count(), 1);
    assert_eq!(samples(data.path()), [2]);
}

#[test]
fn a_damaged_hour_does_not_stop_a_revision() {
    let data = tempfile::tempdir().unwrap();
    let (mut store, _) = store_of_two_windows(data.path());
    assert_eq!(store.compact(HOUR_US * 3).unwrap(), 1);
    fs::write(data.path().join(FOLDER).join("hour.parquet"), b"not a Parquet file").unwrap();
    publish(&mut store, 0, 3);
    assert_eq!(samples(data.path()), [3]);
    assert_eq!(fs::read_dir(data.path().join(".damaged")).unwrap().count(), 1);
}

#[test]
fn a_manifest_is_made_anew_and_a_compacted_hour_is_known_as_one() {
    let data = tempfile::tempdir().unwrap();
    let (mut store, _) = store_of_two_windows(data.path());
    store.compact(HOUR_US * 3).unwrap();
    drop(store);
    let manifest = data.path().join(FOLDER).join("_manifest.json");
    let stored = fs::read(&manifest).unwrap();
    for damaged in [None, Some(&b"{damaged"[..]), Some(b"{}")] {
        fs::remove_file(&manifest).unwrap();
        damaged.into_iter().for_each(|bytes| fs::write(&manifest, bytes).unwrap());
        assert_eq!(samples(data.path()), [1, 2]);
        let mut store = Store::open(data.path(), StoreSettings::default()).unwrap();
        assert_eq!(store.take_notices().len(), 1);
        assert_eq!(fs::read(&manifest).unwrap(), stored);
        publish(&mut store, 0, 1);
        assert_eq!(samples(data.path()), [1, 2]);
    }
}

#[test]
fn a_listed_file_that_is_gone_is_named() {
    let data = tempfile::tempdir().unwrap();
    let (store, file) = store_of_two_windows(data.path());
    fs::remove_file(&file).unwrap();
    assert_eq!(everything(data.path()).damaged[0].path, file);
    drop(store);
    assert_eq!(Store::open(data.path(), StoreSettings::default()).unwrap().take_notices().len(), 2);
}

#[test]
fn an_older_or_newer_layout_is_read() {
    let data = tempfile::tempdir().unwrap();
    let (_store, file) = store_of_two_windows(data.path());
    let row = LinkRow { capacity_bps: Some(5), ..link(0, "a", 1) };
    let full = columns::batch(std::slice::from_ref(&row)).unwrap();
    let index = full.schema().index_of("capacity_bps").unwrap();
    let kept: Vec<usize> = (0..full.num_columns()).filter(|column| *column != index).collect();
    write(&file, &full.project(&kept).unwrap());
    assert!(everything(data.path()).rows.contains(&LinkRow { capacity_bps: None, ..row.clone() }));

    let extra: ArrayRef = Arc::new(Int64Array::from(vec![9]));
    let mut fields = full.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("of_a_later_version", extra.data_type().clone(), false)));
    let arrays = full.columns().iter().cloned().chain([extra]).collect();
    write(&file, &RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap());
    assert!(everything(data.path()).rows.contains(&row));

    let needed: Vec<usize> =
        (0..full.num_columns()).filter(|column| full.schema().field(*column).name() != "connection").collect();
    write(&file, &full.project(&needed).unwrap());
    assert_eq!(everything(data.path()).damaged[0].reason, "the column connection is missing");
}

#[test]
fn a_small_file_of_very_many_rows_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let (_store, file) = store_of_two_windows(data.path());
    let nothing = Field::new("nothing", arrow_schema::DataType::Int64, true);
    let array: ArrayRef = Arc::new(Int64Array::from(vec![None; 1_000_000]));
    write(&file, &RecordBatch::try_new(Arc::new(Schema::new(vec![nothing])), vec![array]).unwrap());
    let found = everything(data.path());
    assert_eq!((found.rows.len(), found.damaged[0].reason.as_str()), (2, "its footer claims 1000000 rows"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn bytes_changed_anywhere_do_no_harm(changes in proptest::collection::vec((any::<u32>(), any::<u8>()), 1..6), in_footer in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        write(&path, &columns::batch(&[link(0, "a", 1), link(WINDOW_US, "b", 2)]).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        let footer = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
        let from = if in_footer { bytes.len() - 8 - footer } else { 0 };
        for (at, byte) in changes {
            let at = from + at as usize % (bytes.len() - from);
            bytes[at] = byte;
        }
        fs::write(&path, &bytes).unwrap();
        // Rows or a reason; no panic gets out.
        if let Err(failure) = crate::reading::read_file::<LinkRow>(&path) {
            prop_assert!(!failure.to_string().is_empty());
        }
    }
}
