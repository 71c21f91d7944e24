//! Fetches what a range needs, and shows it to readers as data folders, one a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use tokio::runtime::Runtime;

use crate::cache::Cache;
use crate::hour::{HourEntry, HourManifest, ListedHour, day_path, hour_path, list};
use crate::names::is_file_name;
use crate::{ObjectsError, Place};

/// Objects fetched at once.
const AT_ONCE: usize = 16;
/// How often an hour is looked up anew because what its manifest names was replaced and removed meanwhile.
const ATTEMPTS: usize = 4;
/// Bytes of a mebibyte.
const MIB: u64 = 1 << 20;

/// Reads tables of a store. Every hour is taken up once: what is asked later sees the same.
pub struct Reader {
    place: Place,
    cache: Cache,
    runtime: Runtime,
    collectors: Vec<String>,
    cache_mib: u64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Hours that are in the view.
    hours: BTreeSet<(String, &'static str, i64)>,
    /// What the hours of a day are, by collector, table and day.
    days: BTreeMap<(String, &'static str, i64), BTreeMap<i64, ListedHour>>,
    /// Bytes that this reader sees.
    bytes: u64,
    notes: BTreeSet<String>,
}

impl Reader {
    /// Opens a store, with a cache of so many MiB below `cache`; of some collectors, or of all that there are.
    ///
    /// # Errors
    ///
    /// If it cannot be asked, nothing is there, or the cache cannot be written.
    pub fn open(place: Place, wanted: &[String], cache: &FilePath, cache_mib: u64) -> Result<Reader, ObjectsError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| ObjectsError::Place(format!("no threads to fetch with: {error}")))?;
        let mut collectors = runtime.block_on(place.collectors())?;
        if collectors.is_empty() {
            return Err(ObjectsError::Place(format!("{}: there are no tables here; check the address", place.url())));
        }
        if let Some(unknown) = wanted.iter().find(|name| !collectors.contains(name)) {
            let known = collectors.join(", ");
            return Err(ObjectsError::Place(format!("{}: there is no collector \"{unknown}\"; there are {known}", place.url())));
        }
        collectors.retain(|name| wanted.is_empty() || wanted.contains(name));
        let cache = Cache::open(cache, place.url(), cache_mib.saturating_mul(MIB))?;
        Ok(Reader { place, cache, runtime, collectors, cache_mib, seen: Mutex::default() })
    }

    /// The address.
    pub fn url(&self) -> &str {
        self.place.url()
    }

    /// What could not be had, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        self.seen().notes.iter().cloned().collect()
    }

    /// Start of the first hour that a table has, and end of its last; `None` if it has none.
    ///
    /// # Errors
    ///
    /// If the store cannot be asked.
    pub fn extent(&self, table: &'static str) -> Result<Option<(i64, i64)>, ObjectsError> {
        self.runtime.block_on(async {
            let mut extent: Option<(i64, i64)> = None;
            for collector in &self.collectors {
                let days = self.days(collector, table).await?;
                let (mut first, mut last) = (None, None);
                for day_us in &days {
                    first = first.or(self.hours(collector, table, *day_us).await?.first());
                    if first.is_some() {
                        break;
                    }
                }
                for day_us in days.iter().rev() {
                    last = last.or(self.hours(collector, table, *day_us).await?.last());
                    if last.is_some() {
                        break;
                    }
                }
                if let Some((first_us, last_us)) = first.zip(last) {
                    let end_us = last_us + model::time::HOUR_US;
                    extent = Some(extent.map_or((first_us, end_us), |(from, to)| (from.min(first_us), to.max(end_us))));
                }
            }
            Ok(extent)
        })
    }

    /// Folders that hold what there is of a table within a range, a data folder a collector.
    ///
    /// Of a table of five-minute rows the hours of which there are none yet are those of its minutes.
    ///
    /// # Errors
    ///
    /// If the store cannot be asked, or more is needed than the cache may hold.
    pub fn folders(&self, table: &'static str, from_us: i64, to_us: i64) -> Result<Vec<(String, PathBuf)>, ObjectsError> {
        self.runtime.block_on(async {
            let mut folders = Vec::new();
            for collector in &self.collectors {
                let had = self.fetch(collector, table, (from_us, to_us), &BTreeSet::new()).await?;
                if let Some(fine) = store::fine_of(table) {
                    self.fetch(collector, fine, (from_us, to_us), &had).await?;
                }
                let folder = self.cache.view().join(collector);
                std::fs::create_dir_all(&folder).map_err(ObjectsError::file("make", &folder))?;
                folders.push((collector.clone(), folder));
            }
            Ok(folders)
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts of the days that a table has, in the order of time.
    async fn days(&self, collector: &str, table: &'static str) -> Result<Vec<i64>, ObjectsError> {
        let folder = self.place.collector(collector).join(table);
        let day = |name: String| store::hour_start_us(&FilePath::new(&name).join("hour=00"));
        let mut days: Vec<i64> = self.place.folders(&folder).await?.into_iter().filter_map(day).collect();
        days.sort_unstable();
        Ok(days)
    }

    /// The hours of a day that have a manifest, as they were when they were asked for first.
    async fn hours(&self, collector: &str, table: &'static str, day_us: i64) -> Result<Hours, ObjectsError> {
        let key = (collector.to_owned(), table, day_us);
        let known = self.seen().days.get(&key).cloned();
        let hours = match known {
            Some(hours) => hours,
            None => {
                let hours = list(&self.place, &day_path(&self.place.collector(collector), table, day_us)?).await?;
                self.seen().days.entry(key).or_insert(hours).clone()
            }
        };
        Ok(Hours(hours.into_iter().filter(|(_, hour)| hour.newest().is_some()).collect()))
    }

    /// Has the hours of a range in the view, without those that are left out; gives those that there are.
    async fn fetch(
        &self,
        collector: &str,
        table: &'static str,
        (from_us, to_us): (i64, i64),
        left_out: &BTreeSet<i64>,
    ) -> Result<BTreeSet<i64>, ObjectsError> {
        let is_inside = |start_us: i64, length_us: i64| start_us < to_us && start_us.saturating_add(length_us) > from_us;
        let mut hours: BTreeMap<i64, ListedHour> = BTreeMap::new();
        for day_us in self.days(collector, table).await? {
            if is_inside(day_us, 24 * model::time::HOUR_US) {
                let of_day = self.hours(collector, table, day_us).await?.0;
                hours.extend(of_day.into_iter().filter(|(hour_us, _)| is_inside(*hour_us, model::time::HOUR_US)));
            }
        }
        hours.retain(|hour_us, _| !left_out.contains(hour_us));
        let there: BTreeSet<i64> = hours.keys().copied().collect();
        let is_new = |hour_us: &i64| !self.seen().hours.contains(&(collector.to_owned(), table, *hour_us));
        let new: Vec<(i64, ListedHour)> = hours.into_iter().filter(|(hour_us, _)| is_new(hour_us)).collect();
        let tasks = new.into_iter().map(|(hour_us, hour)| self.fetch_hour(collector, table, hour_us, hour));
        stream::iter(tasks).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok(there)
    }

    async fn fetch_hour(
        &self,
        collector: &str,
        table: &'static str,
        hour_us: i64,
        mut hour: ListedHour,
    ) -> Result<(), ObjectsError> {
        let path = hour_path(&self.place.collector(collector), table, hour_us)?;
        let mut attempts = ATTEMPTS;
        let manifest = loop {
            attempts -= 1;
            let manifest = match self.manifest(&path, &hour).await {
                Err(damaged @ ObjectsError::Damaged { .. }) => {
                    self.note(damaged.to_string());
                    return Ok(());
                }
                manifest => manifest?,
            };
            let missing = match &manifest {
                Some(manifest) => self.fetch_objects(&path, manifest).await?,
                None => Vec::new(),
            };
            match manifest {
                Some(mut manifest) if missing.is_empty() || attempts == 0 => {
                    for object in &missing {
                        let url = self.url();
                        self.note(format!(
                            "{url}: {path}/{object}: the manifest names it and it is not there; its rows are missing"
                        ));
                    }
                    manifest.files.retain(|entry| !missing.contains(&entry.object));
                    break manifest;
                }
                None if attempts == 0 => {
                    self.note(format!("{}: {path}: its manifest is not there any more; its rows are missing", self.url()));
                    return Ok(());
                }
                // It was replaced, and the time of grace is over.
                _ => hour = list(&self.place, &path).await?.remove(&hour_us).unwrap_or_default(),
            }
        };
        self.show(collector, table, hour_us, &path, manifest)
    }

    /// The manifest that holds; `None` if it is gone.
    async fn manifest(&self, path: &Path, hour: &ListedHour) -> Result<Option<HourManifest>, ObjectsError> {
        let Some(newest) = hour.newest() else { return Ok(None) };
        let object = path.clone().join(newest.object());
        if let Some(manifest) = self.cache.read(&object).and_then(|bytes| HourManifest::parse(&self.place, &object, &bytes).ok())
        {
            return Ok(Some(manifest));
        }
        let Some(bytes) = self.place.read(&object).await? else { return Ok(None) };
        let manifest = HourManifest::parse(&self.place, &object, &bytes)?;
        self.cache.keep(&object, &bytes)?;
        Ok(Some(manifest))
    }

    /// Fetches what is not here yet; gives what is not there.
    async fn fetch_objects(&self, path: &Path, manifest: &HourManifest) -> Result<Vec<String>, ObjectsError> {
        let mut missing = Vec::new();
        for HourEntry { object, file } in &manifest.files {
            let at = path.clone().join(object.clone());
            if !is_file_name(object) || !is_file_name(&file.name) {
                missing.push(object.clone());
                continue;
            }
            if self.cache.has(&at, file.bytes) {
                continue;
            }
            if file.bytes > self.cache_mib.saturating_mul(MIB) {
                return Err(self.too_much());
            }
            match self.place.read_most(&at, file.bytes).await? {
                Some(bytes) if bytes.len() as u64 == file.bytes => self.cache.keep(&at, &bytes)?,
                _ => missing.push(object.clone()),
            }
        }
        Ok(missing)
    }

    /// Puts an hour into the view.
    fn show(
        &self,
        collector: &str,
        table: &'static str,
        hour_us: i64,
        path: &Path,
        manifest: HourManifest,
    ) -> Result<(), ObjectsError> {
        let mut seen = self.seen();
        if !seen.hours.insert((collector.to_owned(), table, hour_us)) {
            return Ok(());
        }
        seen.bytes += manifest.files.iter().map(|entry| entry.file.bytes).sum::<u64>();
        if seen.bytes > self.cache_mib.saturating_mul(MIB) {
            return Err(self.too_much());
        }
        let folder = store::hour_folder(FilePath::new(collector), table, hour_us)?;
        let whole = self.cache.view().join(&folder);
        std::fs::create_dir_all(&whole).map_err(ObjectsError::file("make", &whole))?;
        for HourEntry { object, file } in &manifest.files {
            self.cache.link(&path.clone().join(object.clone()), &folder.join(&file.name))?;
        }
        let HourManifest { schema_version, files } = manifest;
        let local = store::Manifest { schema_version, files: files.into_iter().map(|entry| entry.file).collect() };
        let local_path = whole.join(store::MANIFEST_FILE);
        std::fs::write(&local_path, serde_json::to_vec(&local).unwrap_or_default())
            .map_err(ObjectsError::file("write", &local_path))
    }

    fn note(&self, sentence: String) {
        self.seen().notes.insert(sentence);
    }

    fn too_much(&self) -> ObjectsError {
        ObjectsError::TooMuch { place: self.url().to_owned(), mib: self.cache_mib }
    }
}

/// The hours of a day.
struct Hours(BTreeMap<i64, ListedHour>);

impl Hours {
    fn first(&self) -> Option<i64> {
        self.0.keys().next().copied()
    }

    fn last(&self) -> Option<i64> {
        self.0.keys().next_back().copied()
    }
}
