//! The table of records: files by the time of reception, made in memory and published whole.
//!
//! Other than windows they are never revised, and too many to be read back for compaction: a file is
//! as large as memory allows, and an hour keeps its files.

use std::collections::VecDeque;

use model::FlowBatch;
use model::table::{Kind, Row};
use model::tables::FlowRow;
use model::time::SECOND_US;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::flow_columns::{RowGroup, schema};
use crate::layout::{hour_folder, window_file};
use crate::manifest::{Checked, Entry, Manifest};
use crate::{Store, StoreError, columns, files};

/// Rows of a row group: enough for dictionaries to pay.
const GROUP_ROWS: usize = 262_144;
/// Rows of a file: some 50 MB.
const FILE_ROWS: usize = 8 * GROUP_ROWS;
/// Bytes of files that wait at most while the disk fails; beyond it the oldest fall off. Tests reach it soon.
const WAITING_BYTES_MOST: usize = if cfg!(test) { 4 << 20 } else { 128 << 20 };
/// Level of the compression: what delta and dictionary leave is small, and higher levels gain little.
const ZSTD_LEVEL: i32 = 1;
/// Bytes of a column's dictionary, beyond which its values are written out.
const DICTIONARY_BYTES_MOST: usize = 16 << 20;

/// Flows that are not published yet.
#[derive(Default)]
pub(crate) struct FlowFiles {
    open: Option<OpenFile>,
    waiting: VecDeque<Waiting>,
    /// Flows that could not be kept.
    lost: u64,
}

struct OpenFile {
    start_us: i64,
    group: RowGroup,
    writer: ArrowWriter<Vec<u8>>,
    /// Rows in the writer.
    rows: usize,
}

/// A file that is complete.
struct Waiting {
    start_us: i64,
    rows: usize,
    bytes: Vec<u8>,
}

impl OpenFile {
    fn new(start_us: i64) -> Result<OpenFile, String> {
        let options = ArrowWriterOptions::new().with_properties(properties()).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema(), options).map_err(|error| error.to_string())?;
        Ok(OpenFile { start_us, group: RowGroup::new(), writer, rows: 0 })
    }

    fn rows(&self) -> usize {
        self.rows + self.group.rows()
    }

    fn add(&mut self, batch: &FlowBatch, seconds: i64) -> Result<(), String> {
        let mut flows = &batch.flows[..];
        while !flows.is_empty() {
            let (now, later) = flows.split_at(flows.len().min(GROUP_ROWS - self.group.rows()));
            self.group.add(batch, now, (self.start_us, seconds));
            flows = later;
            if self.group.rows() >= GROUP_ROWS {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), String> {
        let rows = self.group.rows();
        let batch = self.group.take().map_err(|error| error.to_string())?;
        self.writer.write(&batch).and_then(|()| self.writer.flush()).map_err(|error| error.to_string())?;
        self.rows += rows;
        Ok(())
    }

    fn finish(mut self) -> Result<Waiting, String> {
        if self.group.rows() > 0 {
            self.end_group()?;
        }
        let bytes = self.writer.into_inner().map_err(|error| error.to_string())?;
        Ok(Waiting { start_us: self.start_us, rows: self.rows, bytes })
    }
}

/// Numbers as differences, texts by dictionary, statistics only of what rows are looked for by.
fn properties() -> WriterProperties {
    let table = columns::schema::<FlowRow>();
    let metadata = table.metadata().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let mut builder = WriterProperties::builder()
        .set_created_by(format!("peerscope {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()))
        .set_key_value_metadata(Some(metadata.collect()))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MOST)
        .set_data_page_row_count_limit(GROUP_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    for column in FlowRow::COLUMNS {
        let path = ColumnPath::from(column.name);
        if matches!(column.kind, Kind::Integer | Kind::Timestamp) {
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED);
        }
        if column.kind == Kind::Timestamp {
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
        }
    }
    builder.build()
}

impl FlowFiles {
    fn add(&mut self, batch: &FlowBatch, now_us: i64, seconds: i64) {
        let open = match self.open.take() {
            Some(open) => Ok(open),
            None => OpenFile::new(now_us),
        };
        let added = open.and_then(|mut open| {
            open.add(batch, seconds)?;
            Ok(open)
        });
        match added {
            Ok(open) => self.open = Some(open),
            // The format's library refuses nothing that we give it; were it so, the flows are counted.
            Err(_) => self.lost += batch.flows.len() as u64,
        }
        if self.open.as_ref().is_some_and(|open| open.rows() >= FILE_ROWS) {
            self.end();
        }
    }

    fn end(&mut self) {
        let Some(open) = self.open.take() else { return };
        let rows = open.rows();
        match open.finish() {
            Ok(file) => self.waiting.push_back(file),
            Err(_) => self.lost += rows as u64,
        }
        while self.waiting.iter().map(|file| file.bytes.len()).sum::<usize>() > WAITING_BYTES_MOST {
            self.lost += self.waiting.pop_front().map_or(0, |file| file.rows as u64);
        }
    }
}

impl Store {
    /// Takes flows in, received at `now_us`; a file that is full is published.
    ///
    /// # Errors
    ///
    /// If a file cannot be written; it waits for the next call, within bounds. The flows are taken in all the same.
    pub fn add_flows(&mut self, batch: &FlowBatch, now_us: i64) -> Result<(), StoreError> {
        self.flow_files.add(batch, now_us, self.settings.flows_file_seconds);
        self.publish_flows(now_us)
    }

    /// Publishes the flows whose time is over at `now_us`, and what could not be written before.
    ///
    /// # Errors
    ///
    /// As [`Store::add_flows`].
    pub fn publish_flows(&mut self, now_us: i64) -> Result<(), StoreError> {
        let every_us = self.settings.flows_file_seconds * SECOND_US;
        // Also where the clock was set back since.
        let is_over = |open: &OpenFile| !(open.start_us..open.start_us.saturating_add(every_us)).contains(&now_us);
        if self.flow_files.open.as_ref().is_some_and(is_over) {
            self.flow_files.end();
        }
        while let Some(file) = self.flow_files.waiting.front() {
            self.publish_flow_file(file)?;
            self.flow_files.waiting.pop_front();
        }
        Ok(())
    }

    /// Publishes all flows that there are.
    ///
    /// # Errors
    ///
    /// As [`Store::add_flows`].
    pub fn end_flows(&mut self, now_us: i64) -> Result<(), StoreError> {
        self.flow_files.end();
        self.publish_flows(now_us)
    }

    /// Flows that could not be kept because files could not be written for too long, since the last call.
    pub fn take_flows_lost(&mut self) -> u64 {
        std::mem::take(&mut self.flow_files.lost)
    }

    fn publish_flow_file(&self, file: &Waiting) -> Result<(), StoreError> {
        let folder = hour_folder(&self.data, FlowRow::TABLE, file.start_us)?;
        files::make_folder(&folder)?;
        let Checked { mut manifest, .. } = Manifest::check(&folder)?;
        // Another file may have begun in the same second: names go on from it.
        let seconds = self.settings.flows_file_seconds;
        let mut name = window_file(file.start_us, seconds)?;
        let mut number = 1;
        while folder.join(&name).exists() {
            name = window_file(file.start_us, seconds)?.replace('.', &format!("-{number}."));
            number += 1;
        }
        files::publish(&folder.join(&name), &file.bytes)?;
        let (rows, bytes) = (file.rows as u64, file.bytes.len() as u64);
        manifest.enter(Entry { name, rows, bytes, first_us: file.start_us, last_us: file.start_us });
        manifest.save(&folder)
    }
}

/// Removes all flows of a data folder, before the same input makes them anew.
///
/// # Errors
///
/// If another process writes into it, or they cannot be removed.
pub fn remove_flows(data: &std::path::Path) -> Result<(), StoreError> {
    let Some(_lock) = files::lock(&data.join(crate::store::LOCK))? else {
        return Err(StoreError::InUse { path: data.to_path_buf() });
    };
    files::remove_folder(&data.join(FlowRow::TABLE))
}
