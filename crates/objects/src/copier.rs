//! Copies what a data folder publishes, one round after the other.
//!
//! A round compares the folder with what the store lists, day by day of each table, the newest first, and puts what
//! is missing. Nothing is remembered that it rests on: after a kill, a stop or years the next round finds what is
//! missing in the same way. Days that have not changed since the last round are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, stream};
use model::time::DAY_US;
use object_store::path::Path;

use crate::hour::{HourEntry, HourManifest, ListedHour, ListedObject, day_path, hour_path, list};
use crate::names::{LocalFile, ManifestName, fingerprint};
use crate::{Counts, ObjectsError, Place, folder};

/// Hours of a day that are copied at once: so many files are in memory.
const AT_ONCE: usize = 4;
/// How often an hour is begun anew because it changed while it was copied; then the next round has it.
const ATTEMPTS: usize = 4;
/// File in the data folder that tells it apart from others.
const IDENTITY_FILE: &str = ".objects-id";
/// Object that says which data folder a collector's name belongs to.
const CLAIM: &str = "_collector.json";

/// How much of the data folder a round looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The last two days that each table has: what is revised lies there.
    Recent,
    /// All of it.
    All,
}

/// A day of a table.
type Day = (&'static str, i64);
/// The hours of a day: start, folder, files.
type Hours = Vec<(i64, PathBuf, Vec<LocalFile>)>;

/// Copies a data folder; one a collector's name.
pub struct Copier {
    place: Place,
    name: String,
    collector: Path,
    data: PathBuf,
    grace_us: i64,
    counts: Arc<Counts>,
    is_claimed: bool,
    /// What days were when they were found to be copied, and nothing of them to be removed.
    done: BTreeMap<Day, u64>,
    /// Hours that are not known to be copied as they are: what is removed of them is lost.
    waiting: BTreeSet<(&'static str, i64)>,
    notices: Vec<String>,
}

impl Copier {
    /// Will copy this folder under this name.
    pub fn new(place: Place, collector: &str, data: &FilePath, grace_seconds: i64) -> Copier {
        Copier {
            collector: place.collector(collector),
            place,
            name: collector.to_owned(),
            data: data.to_path_buf(),
            grace_us: grace_seconds * 1_000_000,
            counts: Arc::default(),
            is_claimed: false,
            done: BTreeMap::new(),
            waiting: BTreeSet::new(),
            notices: Vec::new(),
        }
    }

    /// The same copier, of a store that works again.
    #[cfg(test)]
    pub(crate) fn onto(self, place: Place) -> Copier {
        Copier { place, ..self }
    }

    /// Whether something is not known to be copied that the last round saw.
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What it has done so far.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// What the operator should hear. Each is given once.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Copies what is not there yet, and removes what has been replaced for long enough.
    ///
    /// # Errors
    ///
    /// The store's at once; a file's that cannot be read after all else is copied.
    pub async fn round(&mut self, look: Look, now_us: i64) -> Result<(), ObjectsError> {
        let days = self.changed_days(look)?;
        let vanished = self.vanished()?;
        if days.is_empty() && vanished.is_empty() {
            return Ok(());
        }
        self.claim().await?;
        self.tell_lost(vanished).await?;
        let mut first_of_one = None;
        for ((table, day_us), hours) in days.into_iter().rev() {
            match self.copy_day((table, day_us), hours, now_us).await {
                Err(error) if error.is_of_one() => first_of_one = first_of_one.or(Some(error)),
                copied => copied?,
            }
        }
        first_of_one.map_or(Ok(()), Err)
    }

    /// Days that are not what they were when they were done; by time, so that the newest come last.
    fn changed_days(&mut self, look: Look) -> Result<Vec<(Day, Hours)>, ObjectsError> {
        let mut changed = Vec::new();
        for table in store::all_tables() {
            let folders = store::hour_folders(&self.data, table)?;
            let last_day_us = folders.last().map_or(i64::MIN, |(hour_us, _)| day_of(*hour_us));
            let mut days: BTreeMap<i64, Hours> = BTreeMap::new();
            for (hour_us, folder) in folders {
                let day_us = day_of(hour_us);
                if look == Look::All || day_us >= last_day_us.saturating_sub(DAY_US) {
                    let files = folder::files(&folder)?;
                    days.entry(day_us).or_default().push((hour_us, folder, files));
                }
            }
            for (day_us, hours) in days {
                if self.done.get(&(table, day_us)) != Some(&print_of(&hours)) {
                    self.done.remove(&(table, day_us));
                    let filled = hours.iter().filter(|(_, _, files)| !files.is_empty());
                    self.waiting.extend(filled.map(|(hour_us, _, _)| (table, *hour_us)));
                    changed.push(((table, day_us), hours));
                }
            }
        }
        changed.sort_by_key(|((table, day_us), _)| (*day_us, *table));
        Ok(changed)
    }

    /// Hours that went from the disk before they were known to be copied.
    fn vanished(&mut self) -> Result<Vec<(&'static str, i64)>, ObjectsError> {
        let mut vanished = Vec::new();
        for (table, hour_us) in &self.waiting {
            if !store::hour_folder(&self.data, table, *hour_us)?.exists() {
                vanished.push((*table, *hour_us));
            }
        }
        Ok(vanished)
    }

    /// Counts those of them of which the store has nothing.
    async fn tell_lost(&mut self, vanished: Vec<(&'static str, i64)>) -> Result<(), ObjectsError> {
        for (table, hour_us) in vanished {
            let path = hour_path(&self.collector, table, hour_us)?;
            let is_there = list(&self.place, &path).await?.values().any(|hour| !hour.manifests.is_empty());
            self.waiting.remove(&(table, hour_us));
            if !is_there {
                Counts::add(&self.counts.lost_hours, 1);
                self.notices.push(format!("{}: {path} was removed from the disk before it was copied", self.place.url()));
            }
        }
        Ok(())
    }

    /// Makes sure that the name is this folder's.
    async fn claim(&mut self) -> Result<(), ObjectsError> {
        if self.is_claimed {
            return Ok(());
        }
        let identity = identity(&self.data)?;
        let object = self.collector.clone().join(CLAIM);
        let claim = serde_json::json!({ "folder": identity }).to_string().into_bytes();
        let is_ours = match self.place.read(&object).await? {
            Some(there) => there == claim,
            // Of two at once one finds the other's.
            None => self.place.create(&object, claim.clone()).await? || self.place.read(&object).await? == Some(claim),
        };
        if !is_ours {
            let (place, collector) = (self.place.url().to_owned(), self.name.clone());
            return Err(ObjectsError::Taken { place, collector, object: object.to_string() });
        }
        self.is_claimed = true;
        Ok(())
    }

    async fn copy_day(&mut self, (table, day_us): Day, hours: Hours, now_us: i64) -> Result<(), ObjectsError> {
        let mut listed = list(&self.place, &day_path(&self.collector, table, day_us)?).await?;
        let print = print_of(&hours);
        let mut tasks = Vec::new();
        for (hour_us, folder, files) in hours.into_iter().filter(|(_, _, files)| !files.is_empty()) {
            let copying = self.copy_hour((table, hour_us), folder, files, listed.remove(&hour_us).unwrap_or_default());
            tasks.push(async move { (hour_us, copying.await) });
        }
        let copied: Vec<(i64, Result<Copied, ObjectsError>)> = stream::iter(tasks).buffer_unordered(AT_ONCE).collect().await;
        // Hours that the disk keeps no longer.
        let kept = listed.into_iter().map(|(hour_us, hour)| (hour_us, Ok(Copied { hour, is_whole: true })));
        let (mut is_done, mut first_error) = (true, None);
        for (hour_us, copied) in copied.into_iter().chain(kept) {
            match copied {
                Ok(Copied { hour, is_whole }) => {
                    if is_whole {
                        self.waiting.remove(&(table, hour_us));
                    }
                    match self.remove_replaced((table, hour_us), &hour, now_us).await {
                        Ok(is_clean) => is_done &= is_clean && is_whole,
                        Err(error) => first_error = first_error.or(Some(error)),
                    }
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        if is_done && first_error.is_none() {
            self.done.insert((table, day_us), print);
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Copies an hour: its files, then its manifest. One that changes meanwhile is copied as it is then.
    async fn copy_hour(
        &self,
        (table, hour_us): (&'static str, i64),
        folder: PathBuf,
        mut files: Vec<LocalFile>,
        mut hour: ListedHour,
    ) -> Result<Copied, ObjectsError> {
        let path = hour_path(&self.collector, table, hour_us)?;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                files = folder::files(&folder)?;
            }
            let print = fingerprint(&files);
            if files.is_empty() || hour.newest().is_some_and(|newest| newest.fingerprint == print) {
                return Ok(Copied { hour, is_whole: !files.is_empty() });
            }
            if !self.put_files(&path, &folder, &files, &mut hour).await? {
                continue;
            }
            // A listing that was taken while the hour was exchanged may have a part of it alone: of two one is whole.
            let manifest = manifest_of(&files, &store::hour_files(&folder)?);
            if folder::files(&folder)? != files {
                continue;
            }
            let name = ManifestName { number: hour.newest().map_or(1, |newest| newest.number + 1), fingerprint: print };
            self.put_manifest(&path.clone().join(name.object()), &manifest).await?;
            hour.manifests.insert(name, i64::MAX);
            return Ok(Copied { hour, is_whole: true });
        }
        Ok(Copied { hour, is_whole: false })
    }

    /// Puts the files that are not there yet; gives whether all of them could be read as they were listed.
    async fn put_files(
        &self,
        path: &Path,
        folder: &FilePath,
        files: &[LocalFile],
        hour: &mut ListedHour,
    ) -> Result<bool, ObjectsError> {
        for file in files {
            let object = file.object();
            if hour.objects.get(&object).is_some_and(|listed| listed.bytes == file.bytes) {
                continue;
            }
            let Some(bytes) = folder::read(folder, file)? else { return Ok(false) };
            // Where it is there already, an earlier try has put it: the name is of this very file.
            if self.place.create(&path.clone().join(object.clone()), bytes).await? {
                Counts::add(&self.counts.objects, 1);
                Counts::add(&self.counts.bytes, file.bytes);
            }
            hour.objects.insert(object, ListedObject { bytes: file.bytes, put_us: i64::MAX });
        }
        Ok(true)
    }

    async fn put_manifest(&self, object: &Path, manifest: &HourManifest) -> Result<(), ObjectsError> {
        let bytes = serde_json::to_vec(manifest).unwrap_or_default();
        if self.place.create(object, bytes.clone()).await? {
            Counts::add(&self.counts.manifests, 1);
        // An answer may have been lost on its way: then it is our own that is there.
        } else if self.place.read(object).await? != Some(bytes) {
            return Err(ObjectsError::Overtaken { object: object.to_string() });
        }
        Ok(())
    }

    /// Removes what the manifest that holds does not name, if it has held for long enough; gives whether nothing is left to remove.
    ///
    /// Earlier manifests go last: while there are any, the next round looks again.
    async fn remove_replaced(&self, (table, hour_us): Day, hour: &ListedHour, now_us: i64) -> Result<bool, ObjectsError> {
        let Some((newest, put_us)) = hour.manifests.iter().next_back() else { return Ok(true) };
        if hour.manifests.len() == 1 {
            return Ok(true);
        }
        if put_us.saturating_add(self.grace_us) > now_us {
            return Ok(false);
        }
        let path = hour_path(&self.collector, table, hour_us)?;
        let Some(manifest) = HourManifest::read(&self.place, &path.clone().join(newest.object())).await? else {
            return Ok(false);
        };
        // What was put after it, another program may be about to name.
        let is_replaced = |(object, listed): &(&String, &ListedObject)| {
            listed.put_us < *put_us && manifest.files.iter().all(|entry| entry.object != **object)
        };
        let unnamed = hour.objects.iter().filter(is_replaced).map(|(object, _)| object.clone());
        let earlier = hour.manifests.keys().filter(|manifest| *manifest != newest).map(ManifestName::object);
        for object in unnamed.chain(earlier) {
            self.place.remove(&path.clone().join(object)).await?;
            Counts::add(&self.counts.removed, 1);
        }
        Ok(true)
    }
}

/// An hour after it was copied.
struct Copied {
    hour: ListedHour,
    /// Whether the store has it as the disk had it.
    is_whole: bool,
}

/// The manifest of these files; what the local one knows of them is taken over.
fn manifest_of(files: &[LocalFile], known: &store::Manifest) -> HourManifest {
    let entry = |file: &LocalFile| {
        let entry = known.files.iter().find(|entry| entry.name == file.name && entry.bytes == file.bytes)?;
        Some(HourEntry { object: file.object(), file: entry.clone() })
    };
    // A damaged file is none that a reader could have.
    HourManifest { schema_version: known.schema_version.clone(), files: files.iter().filter_map(entry).collect() }
}

fn day_of(hour_us: i64) -> i64 {
    hour_us.div_euclid(DAY_US) * DAY_US
}

/// The same for the same files of a day.
fn print_of(hours: &Hours) -> u64 {
    hours.iter().fold(0, |print, (hour_us, _, files)| {
        (print ^ fingerprint(files) ^ hour_us.unsigned_abs()).rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

/// What tells a data folder apart; made when it is asked for first.
fn identity(data: &FilePath) -> Result<String, ObjectsError> {
    let path = data.join(IDENTITY_FILE);
    match std::fs::read_to_string(&path) {
        Ok(identity) if !identity.trim().is_empty() => return Ok(identity.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(ObjectsError::file("read", &path)(error)),
    }
    let part = || RandomState::new().hash_one(std::process::id());
    let identity = format!("{:016x}{:016x}", part(), part());
    let new = path.with_extension("new");
    std::fs::write(&new, &identity).map_err(ObjectsError::file("write", &new))?;
    std::fs::rename(&new, &path).map_err(ObjectsError::file("rename onto", &path))?;
    Ok(identity)
}
