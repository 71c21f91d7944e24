//! An hour of a table in the store: what is listed of it, and what its manifest says.

use std::collections::BTreeMap;

use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::names::{ManifestName, PARQUET, hour_of};
use crate::{ObjectsError, Place};

/// What an hour consists of, as it is put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HourManifest {
    /// Version of the layout of the table that its writer knew.
    pub(crate) schema_version: String,
    pub(crate) files: Vec<HourEntry>,
}

/// A file, and the object that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HourEntry {
    pub(crate) object: String,
    #[serde(flatten)]
    pub(crate) file: store::Entry,
}

/// An hour as a listing has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListedHour {
    /// Its manifests in the order of their numbers, and when each was put, µs since 1970 by the store's clock.
    pub(crate) manifests: BTreeMap<ManifestName, i64>,
    /// Its data objects.
    pub(crate) objects: BTreeMap<String, ListedObject>,
}

/// A data object as a listing has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedObject {
    pub(crate) bytes: u64,
    /// When it was put, µs since 1970 by the store's clock.
    pub(crate) put_us: i64,
}

impl ListedHour {
    /// The manifest that holds.
    pub(crate) fn newest(&self) -> Option<&ManifestName> {
        self.manifests.keys().next_back()
    }
}

/// The hours below a folder, a table's or a day's.
pub(crate) async fn list(place: &Place, folder: &Path) -> Result<BTreeMap<i64, ListedHour>, ObjectsError> {
    let mut hours: BTreeMap<i64, ListedHour> = BTreeMap::new();
    for object in place.list(folder).await? {
        enter(&mut hours, &object);
    }
    Ok(hours)
}

fn enter(hours: &mut BTreeMap<i64, ListedHour>, object: &ObjectMeta) {
    // What else lies there is nobody's here.
    let Some((hour_us, name)) = hour_of(object) else { return };
    let hour = hours.entry(hour_us).or_default();
    let put_us = object.last_modified.timestamp_micros();
    if let Some(manifest) = ManifestName::parse(&name) {
        hour.manifests.insert(manifest, put_us);
    } else if name.ends_with(PARQUET) {
        hour.objects.insert(name, ListedObject { bytes: object.size, put_us });
    }
}

/// The folder of an hour, or of its day, below that of a collector.
pub(crate) fn hour_path(collector: &Path, table: &str, hour_us: i64) -> Result<Path, ObjectsError> {
    let folder = store::hour_folder(std::path::Path::new(""), table, hour_us)?;
    Ok(folder.iter().fold(collector.clone(), |path, part| path.join(part.to_string_lossy().into_owned())))
}

/// As [`hour_path`], of the day.
pub(crate) fn day_path(collector: &Path, table: &str, day_us: i64) -> Result<Path, ObjectsError> {
    let hour = hour_path(collector, table, day_us)?;
    let parts: Vec<_> = hour.parts().collect();
    Ok(parts[..parts.len() - 1].iter().cloned().collect())
}

impl HourManifest {
    /// Reads a manifest; `None` if it is gone: a newer one holds.
    pub(crate) async fn read(place: &Place, object: &Path) -> Result<Option<HourManifest>, ObjectsError> {
        let bytes = place.read(object).await?;
        bytes.map(|bytes| HourManifest::parse(place, object, &bytes)).transpose()
    }

    pub(crate) fn parse(place: &Place, object: &Path, bytes: &[u8]) -> Result<HourManifest, ObjectsError> {
        serde_json::from_slice(bytes).map_err(|error| ObjectsError::Damaged {
            place: place.url().to_owned(),
            object: object.to_string(),
            reason: error.to_string(),
        })
    }
}
