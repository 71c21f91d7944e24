//! Publishing: a window's rows as one file.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use model::table::{Kind, Row};
use model::tables::{
    AlertRow, ConnectionRow, ExporterRow, FailoverRow, FlowRow, LatencyRow, LinkRow, PortRow, PrefixRow, TrafficRow,
};
use model::{Publication, Rows};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::StoreError;
use crate::flows::FlowFiles;
use crate::layout::{hour_folder, hour_folders, window_file};
use crate::manifest::{Checked, Entry, Manifest};
use crate::{columns, compaction, files, tiers};
use model::time::HOUR_US;

/// Folder in the data folder for what is not published yet.
pub(crate) const WORK: &str = ".work";
pub(crate) const LOCK: &str = ".lock";

model::settings! {
    /// How rows are kept.
    pub struct StoreSettings in "store" {
        /// How long after its end a finished hour becomes one file a table.
        compact_after_seconds: i64 = 3_900, "s", 60..=86_400;
        /// Level of the zstd compression.
        zstd_level: i32 = 3, "", 1..=19;
        /// How long `links` are kept, a row a minute; 0 for ever. Five-minute rows are made of them first.
        links_days: i64 = 14, "d", 0..=36_500;
        /// How long `ports` are kept, a row a minute; 0 for ever. Five-minute rows are made of them first.
        ports_days: i64 = 14, "d", 0..=36_500;
        /// How long `exporters` are kept; 0 for ever.
        exporters_days: i64 = 14, "d", 0..=36_500;
        /// How long `links_5m` and `ports_5m` are kept, a row in five minutes; 0 for ever.
        five_minutes_days: i64 = 730, "d", 0..=36_500;
        /// How long `traffic` is kept; 0 for ever.
        traffic_days: i64 = 730, "d", 0..=36_500;
        /// How long `prefixes` are kept; 0 for ever.
        prefixes_days: i64 = 730, "d", 0..=36_500;
        /// How long `alerts` are kept; 0 for ever.
        alerts_days: i64 = 730, "d", 0..=36_500;
        /// How long `latency` is kept; 0 for ever.
        latency_days: i64 = 730, "d", 0..=36_500;
        /// Whether the records themselves are written, as `flows`: some 30 bytes each.
        flows: bool = false, "", 0..=1;
        /// How long a file of `flows` gathers, unless it is full before; what it has not written yet, a kill loses.
        flows_file_seconds: i64 = 60, "s", 1..=3_600;
        /// How long `flows` are kept; 0 for ever.
        flows_days: i64 = 14, "d", 0..=36_500;
    }
}

/// The name of every table with its compaction, so that no table can be forgotten.
pub(crate) type Compact = fn(&mut Store, &Path) -> Result<(), StoreError>;
pub(crate) const TABLES: &[(&str, Compact)] = &[
    (ConnectionRow::TABLE, Store::compact_hour::<ConnectionRow>),
    (PortRow::TABLE, Store::compact_hour::<PortRow>),
    (LinkRow::TABLE, Store::compact_hour::<LinkRow>),
    (TrafficRow::TABLE, Store::compact_hour::<TrafficRow>),
    (PrefixRow::TABLE, Store::compact_hour::<PrefixRow>),
    (ExporterRow::TABLE, Store::compact_hour::<ExporterRow>),
    (AlertRow::TABLE, Store::compact_hour::<AlertRow>),
    (LatencyRow::TABLE, Store::compact_hour::<LatencyRow>),
    (FailoverRow::TABLE, Store::compact_hour::<FailoverRow>),
];

impl StoreSettings {
    /// Tables of which old rows are removed, and after how many days; `None` for never.
    ///
    /// `connections` is not among them: its few rows say what the names in the others stand for; nor `failovers`, of
    /// which what a network has seen of its own is learned for good.
    pub(crate) fn days(&self) -> Vec<(&'static str, Option<i64>)> {
        let coarse = tiers::coarse_tables().map(|table| (table, self.five_minutes_days));
        let fine = [
            (LinkRow::TABLE, self.links_days),
            (PortRow::TABLE, self.ports_days),
            (ExporterRow::TABLE, self.exporters_days),
            (TrafficRow::TABLE, self.traffic_days),
            (PrefixRow::TABLE, self.prefixes_days),
            (AlertRow::TABLE, self.alerts_days),
            (LatencyRow::TABLE, self.latency_days),
            (FlowRow::TABLE, self.flows_days),
        ];
        fine.into_iter().chain(coarse).map(|(table, days)| (table, (days > 0).then_some(days))).collect()
    }
}

/// The folders of all tables, coarse rows and flows included.
pub fn all_tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(table, _)| *table).chain(tiers::coarse_tables()).chain([FlowRow::TABLE])
}

/// The process that writes into a data folder; `None` if none does.
///
/// # Errors
///
/// If its lock cannot be read.
pub fn writer_of(data: &Path) -> Result<Option<u32>, StoreError> {
    files::holder(&data.join(LOCK))
}

/// Whether a data folder holds tables.
pub fn has_tables(data: &Path) -> bool {
    TABLES.iter().any(|(table, _)| data.join(table).exists())
}

/// Removes the tables of a data folder, and nothing else.
///
/// # Errors
///
/// If another process writes into it, or they cannot be removed.
pub fn remove_tables(data: &Path) -> Result<(), StoreError> {
    let Some(_lock) = files::lock(&data.join(LOCK))? else {
        return Err(StoreError::InUse { path: data.to_path_buf() });
    };
    all_tables().try_for_each(|table| files::remove_folder(&data.join(table)))
}

/// Writes a data folder; the only one that does while it lives.
pub struct Store {
    pub(crate) data: PathBuf,
    pub(crate) settings: StoreSettings,
    /// When the next look for finished hours is due.
    pub(crate) compaction_due_us: i64,
    /// The hours that are not compacted yet: table and start.
    pub(crate) in_parts: BTreeSet<(&'static str, i64)>,
    /// What the operator should hear and has not yet.
    pub(crate) notices: Vec<String>,
    pub(crate) flow_files: FlowFiles,
    _lock: File,
}

impl Store {
    /// Opens a data folder, makes it if need be, and removes what an interrupted run left half-done.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or another process writes into it.
    pub fn open(data: &Path, settings: StoreSettings) -> Result<Store, StoreError> {
        files::make_folder(data)?;
        let Some(lock) = files::lock(&data.join(LOCK))? else {
            return Err(StoreError::InUse { path: data.to_path_buf() });
        };
        compaction::recover(data)?;
        let data = data.to_path_buf();
        let mut store = Store {
            data,
            settings,
            compaction_due_us: i64::MIN,
            in_parts: BTreeSet::new(),
            notices: Vec::new(),
            flow_files: FlowFiles::default(),
            _lock: lock,
        };
        for table in all_tables() {
            for (hour_us, folder) in hour_folders(&store.data, table)? {
                store.check_hour(table, hour_us, &folder)?;
            }
        }
        Ok(store)
    }

    /// Sweeps an hour's folder and makes its manifest agree with its files.
    fn check_hour(&mut self, table: &'static str, hour_us: i64, folder: &Path) -> Result<(), StoreError> {
        files::sweep(folder)?;
        let checked = Manifest::check(folder)?;
        for path in &checked.gone {
            self.notices.push(format!("{}: the manifest lists it and it is gone; its rows are missing", path.display()));
        }
        for (path, reason) in &checked.damaged {
            self.notices.push(format!("{}: damaged: {reason}; it is passed over", path.display()));
        }
        if !checked.is_as_stored {
            self.notices.push(format!("{}: the manifest was missing or behind; made anew from the files", folder.display()));
            checked.manifest.save(folder)?;
        }
        let is_flows = table == FlowRow::TABLE;
        if !is_flows && (!checked.is_compacted || !tiers::has_tier(&self.data, table, hour_us)) {
            self.in_parts.insert((table, hour_us));
        }
        Ok(())
    }

    /// What the operator should hear: manifests made anew, files found damaged. Each is given once.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Publishes a window; a revision replaces what was published before, one without rows takes it back.
    ///
    /// # Errors
    ///
    /// If it cannot be written; what was there before still stands.
    pub fn publish(&mut self, publication: &Publication) -> Result<(), StoreError> {
        let window = (publication.window_start_us, publication.rows.window_seconds());
        match &publication.rows {
            Rows::Connections(rows) => self.publish_rows(window, rows),
            Rows::Ports(rows) => self.publish_rows(window, rows),
            Rows::Links(rows) => self.publish_rows(window, rows),
            Rows::Traffic(rows) => self.publish_rows(window, rows),
            Rows::Prefixes(rows) => self.publish_rows(window, rows),
            Rows::Exporters(rows) => self.publish_rows(window, rows),
            Rows::Alerts(rows) => self.publish_rows(window, rows),
            Rows::Latency(rows) => self.publish_rows(window, rows),
            Rows::Failovers(rows) => self.publish_rows(window, rows),
        }
    }

    fn publish_rows<R: Row + Clone>(&mut self, (start_us, seconds): (i64, i64), rows: &[R]) -> Result<(), StoreError> {
        let folder = hour_folder(&self.data, R::TABLE, start_us)?;
        if rows.is_empty() && !folder.exists() {
            return Ok(());
        }
        files::make_folder(&folder)?;
        let Checked { mut manifest, is_compacted, .. } = Manifest::check(&folder)?;
        if is_compacted {
            return self.revise_compacted(&folder, start_us, rows);
        }
        let name = window_file(start_us, seconds)?;
        if rows.is_empty() && manifest.files.iter().all(|entry| entry.name != name) {
            return Ok(());
        }
        self.in_parts.insert((R::TABLE, start_us.div_euclid(HOUR_US) * HOUR_US));
        let bytes = self.write_file(&folder.join(&name), rows)?;
        manifest.enter(Entry::of(&name, rows, bytes));
        manifest.save(&folder)
    }

    /// Publishes rows as one file; gives its size.
    pub(crate) fn write_file<R: Row>(&self, path: &Path, rows: &[R]) -> Result<usize, StoreError> {
        let wrong = |error: &dyn std::fmt::Display| StoreError::Format { path: path.to_path_buf(), reason: error.to_string() };
        let batch = columns::batch(rows).map_err(|error| wrong(&error))?;
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(self.properties::<R>())).map_err(|error| wrong(&error))?;
        writer.write(&batch).map_err(|error| wrong(&error))?;
        let bytes = writer.into_inner().map_err(|error| wrong(&error))?;
        files::publish(path, &bytes)?;
        Ok(bytes.len())
    }

    /// Names are worth a dictionary; whole numbers, which hardly repeat, are smaller and faster as differences, fractions
    /// byte by byte.
    fn properties<R: Row>(&self) -> WriterProperties {
        let level = ZstdLevel::try_new(self.settings.zstd_level).unwrap_or_default();
        let mut builder = WriterProperties::builder()
            .set_created_by(format!("peerscope {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::ZSTD(level));
        for column in R::COLUMNS {
            let encoding = match column.kind {
                Kind::Integer | Kind::Timestamp => Encoding::DELTA_BINARY_PACKED,
                Kind::Float => Encoding::BYTE_STREAM_SPLIT,
                _ => continue,
            };
            let path = ColumnPath::from(column.name);
            builder = builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding);
        }
        builder.build()
    }
}
