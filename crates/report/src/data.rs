//! A data folder, open to SQL over a range.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::compute::cast;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{Expr, cast as cast_to};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext, col, ident, lit};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use model::time::HOUR_US;
use store::{ListedFile, Listing};
use tokio::runtime::Runtime;

use crate::batch::Batch;
use crate::tables::{TABLES, Table, by_name};
use crate::{Range, ReportError, ReportSettings};

/// How often a query is asked again, after files that it stumbled over were taken out or an hour was exchanged under it.
const ATTEMPTS: usize = 4;
/// Rows of a batch at most: an hour of five-minute rows of some 600 connections is one.
const BATCH_ROWS: usize = 16_384;

/// Rows whose column has a value; an empty value is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The column.
    pub column: String,
    /// Its value, as text.
    pub value: String,
}

/// A query that did not come to an end.
struct Stumble {
    error: ReportError,
    /// It may come to one over other files.
    is_of_files: bool,
}

/// What a query gives.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Columns: their names, and whether they are numbers.
    pub columns: Vec<(String, bool)>,
    /// A value a column.
    pub rows: Vec<Vec<serde_json::Value>>,
}

/// The tables of a data folder, of a range.
pub struct Data {
    folder: PathBuf,
    range: Range,
    /// Rows that queries see: of one table, or of every one that has the column.
    filters: Vec<(Option<&'static str>, Filter)>,
    context: SessionContext,
    runtime: Runtime,
    /// What was listed of each table that was asked for, and what is to be said of it.
    listed: Mutex<Vec<(&'static Table, Listing)>>,
    asked: BTreeSet<String>,
}

impl Data {
    /// Opens a folder. Rows that do not fit the filters are not seen, in tables that have the column.
    ///
    /// # Errors
    ///
    /// If there is nothing in the folder, or no table has a filter's column.
    pub fn open(folder: &Path, range: Range, filters: &[Filter], settings: &ReportSettings) -> Result<Data, ReportError> {
        if !store::has_tables(folder) {
            let what = format!("{}: there are no tables in this folder; give the --data of collect or replay", folder.display());
            return Err(ReportError::NoData(what));
        }
        for filter in filters {
            if !TABLES.iter().any(|table| has_column(table, &filter.column)) {
                return Err(ReportError::Usage(format!("no table has the column \"{}\"; TABLES.md has them all", filter.column)));
            }
        }
        let bytes = usize::try_from(settings.memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        let memory = RuntimeEnvBuilder::new().with_memory_limit(bytes, 1.0).build_arc()?;
        let config = SessionConfig::new()
            .with_batch_size(BATCH_ROWS)
            .with_collect_statistics(false)
            .with_information_schema(true)
            .set_bool("datafusion.sql_parser.enable_ident_normalization", true);
        let runtime = Runtime::new().map_err(|error| ReportError::Query(format!("no threads for it: {error}")))?;
        Ok(Data {
            folder: folder.to_path_buf(),
            range,
            filters: filters.iter().map(|filter| (None, filter.clone())).collect(),
            context: SessionContext::new_with_config_rt(config, memory),
            runtime,
            listed: Mutex::default(),
            asked: BTreeSet::new(),
        })
    }

    /// Has queries see only the rows of a table that fit; to be said before the table is registered.
    ///
    /// # Errors
    ///
    /// If the table has no such column.
    pub(crate) fn filter(&mut self, table: &'static str, filters: &[Filter]) -> Result<(), ReportError> {
        let columns = by_name(table).map(|table| table.columns).unwrap_or_default();
        for filter in filters {
            if !columns.iter().any(|column| column.name == filter.column) {
                let known = columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
                return Err(ReportError::Usage(format!("--where {}: the table {table} has only {known}", filter.column)));
            }
            self.filters.push((Some(table), filter.clone()));
        }
        Ok(())
    }

    /// What is answered of.
    pub fn range(&self) -> Range {
        self.range
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes tables known to queries; those that are known already stay as they are.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    pub fn register(&mut self, names: &[&str]) -> Result<(), ReportError> {
        let new: Vec<&'static Table> =
            names.iter().filter_map(|name| by_name(name).filter(|_| self.asked.insert((*name).to_owned()))).collect();
        let listings: Vec<Result<Listing, ReportError>> = std::thread::scope(|scope| {
            let of = &*self;
            let lists: Vec<_> = new.iter().map(|table| scope.spawn(move || of.list(table))).collect();
            let join = |list: std::thread::ScopedJoinHandle<'_, _>| list.join().unwrap_or_else(|panic| resume_unwind(panic));
            lists.into_iter().map(join).collect()
        });
        for (table, listing) in new.into_iter().zip(listings) {
            let listing = listing?;
            self.show(table, &listing)?;
            self.listed().push((table, listing));
        }
        Ok(())
    }

    fn listed(&self) -> MutexGuard<'_, Vec<(&'static Table, Listing)>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes every table known.
    ///
    /// # Errors
    ///
    /// As [`Data::register`].
    pub fn register_all(&mut self) -> Result<(), ReportError> {
        self.register(&TABLES.iter().map(|table| table.name).collect::<Vec<_>>())
    }

    /// Puts what was listed in a query's sight: the rows of the range that fit the filters.
    fn show(&self, table: &Table, listing: &Listing) -> Result<(), ReportError> {
        let schema = viewed(&listing.schema);
        let rows = listing.rows.as_ref().map(|rows| as_viewed(rows, &schema)).transpose()?;
        let in_memory = MemTable::try_new(schema.clone(), vec![rows.into_iter().collect()])?;
        let mut frame = self.context.read_table(Arc::new(in_memory))?;
        // Only the files at the ends of the range have rows outside of it: the others need not be looked through.
        let is_inside = |span: &(i64, i64)| span.0 >= self.range.from_us && span.1 < self.range.to_us;
        let (inside, at_the_ends): (Vec<_>, Vec<_>) = listing.files.iter().partition(|file| is_inside(&file.span_us));
        if !at_the_ends.is_empty() {
            let mut ends = self.context.read_table(files(&at_the_ends, &schema)?)?;
            let at = |at_us: i64| lit(ScalarValue::TimestampMicrosecond(Some(at_us), Some("UTC".into())));
            if !table.is_lasting {
                ends = ends.filter(col(table.time).gt_eq(at(self.range.from_us)))?;
            }
            ends = ends.filter(col(table.time).lt(at(self.range.to_us)))?;
            frame = if listing.rows.is_some() { ends.union(frame)? } else { ends };
        }
        if !inside.is_empty() {
            let inside = self.context.read_table(files(&inside, &schema)?)?;
            frame = if listing.rows.is_some() || !at_the_ends.is_empty() { inside.union(frame)? } else { inside };
        }
        let is_of = |of: &Option<&str>| of.is_none_or(|of| of == table.name);
        for (_, filter) in self.filters.iter().filter(|(of, filter)| is_of(of) && has_column(table, &filter.column)) {
            frame = frame.filter(fits(filter))?;
        }
        self.context.deregister_table(table.name)?;
        self.context.register_table(table.name, frame.into_view())?;
        Ok(())
    }

    /// Runs a query over known tables and takes its rows in, batch by batch, into what `start` gives.
    ///
    /// A file that turns out to be damaged is passed over: then all is taken in anew.
    ///
    /// # Errors
    ///
    /// If the query is none, or cannot be run.
    pub(crate) fn fold<S>(
        &self,
        sql: &str,
        start: impl Fn() -> S,
        mut take: impl FnMut(&mut S, &Batch<'_>) -> Result<(), ReportError>,
    ) -> Result<S, ReportError> {
        self.again(|| {
            let mut state = start();
            self.runtime.block_on(self.run(sql, &mut |batch| take(&mut state, &Batch::new(batch))))?;
            Ok(state)
        })
    }

    /// The rows of a query as they come, read only.
    ///
    /// # Errors
    ///
    /// As [`Data::register`] and if the query fails.
    pub fn rows(&self, sql: &str) -> Result<Vec<RecordBatch>, ReportError> {
        self.again(|| {
            let mut batches = Vec::new();
            self.runtime.block_on(self.run(sql, &mut |batch| {
                batches.push(batch.clone());
                Ok(())
            }))?;
            Ok(batches)
        })
    }

    /// Asks until there is an answer: files may go, come anew or turn out to be damaged while they are read.
    fn again<T>(&self, mut once: impl FnMut() -> Result<T, Stumble>) -> Result<T, ReportError> {
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            match once() {
                Ok(answer) => return Ok(answer),
                Err(Stumble { error, is_of_files }) if attempts == 0 || !is_of_files => return Err(error),
                Err(_) => self.mend()?,
            }
        }
    }

    /// A query's columns and rows as JSON has them; instants in UTC.
    ///
    /// # Errors
    ///
    /// As [`Data::rows`].
    pub fn table(&self, sql: &str) -> Result<Rows, ReportError> {
        let batches = self.rows(sql)?;
        let schema = batches.first().map(RecordBatch::schema);
        let fields = schema.iter().flat_map(|schema| schema.fields());
        let columns = fields.map(|field| (field.name().clone(), field.data_type().is_numeric())).collect();
        let mut rows = Vec::new();
        for batch in &batches {
            rows.extend(crate::batch::values(batch)?);
        }
        Ok(Rows { columns, rows })
    }

    async fn run(&self, sql: &str, take: &mut dyn FnMut(&RecordBatch) -> Result<(), ReportError>) -> Result<(), Stumble> {
        let in_question = |error: ReportError| Stumble { error, is_of_files: false };
        let in_files = |error: DataFusionError| Stumble { error: error.into(), is_of_files: true };
        let is_read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let planned = self.context.sql_with_options(sql, is_read_only).await;
        let frame = planned.map_err(|error| in_question(error.into()))?;
        let empty = RecordBatch::new_empty(Arc::new(frame.schema().as_arrow().clone()));
        take(&empty).map_err(in_question)?;
        let mut stream = frame.execute_stream().await.map_err(in_files)?;
        while let Some(batch) = stream.next().await {
            take(&batch.map_err(in_files)?).map_err(in_question)?;
        }
        Ok(())
    }

    /// Lists anew, as an hour may have been compacted under the query; where nothing has changed, looks for damage.
    fn mend(&self) -> Result<(), ReportError> {
        let mut listed = self.listed();
        let mut has_changed = false;
        for (table, listing) in listed.iter_mut() {
            let mut fresh = self.list(table)?;
            fresh.files.retain(|file| !listing.damaged.iter().any(|damaged| damaged.path == file.path));
            if fresh.files != listing.files {
                fresh.damaged.append(&mut listing.damaged);
                *listing = fresh;
                self.show(table, listing)?;
                has_changed = true;
            }
        }
        if has_changed {
            return Ok(());
        }
        for (table, listing) in listed.iter_mut() {
            if (table.pass_over_damaged)(listing) {
                self.show(table, listing)?;
            }
        }
        Ok(())
    }

    /// What a table has of the range, and what lasts of all time before its end.
    fn list(&self, table: &Table) -> Result<Listing, ReportError> {
        let from_us = if table.is_lasting { i64::MIN } else { self.range.from_us };
        Ok((table.list)(&self.folder, from_us, self.range.to_us)?)
    }

    /// What is to be known of the files that were read: those that were passed over, and hours of which there is nothing.
    pub fn notes(&self) -> Vec<String> {
        let listed = self.listed();
        let mut notes: Vec<String> =
            listed.iter().flat_map(|(_, listing)| listing.damaged.iter().map(ToString::to_string)).collect();
        notes.sort();
        notes.dedup();
        for (table, listing) in listed.iter().filter(|(table, _)| table.name.starts_with("links") || table.name == "traffic") {
            notes.extend(holes(table.name, &listing.hours_us, self.range));
        }
        notes
    }

    /// Whether a table has anything in the range.
    pub(crate) fn has_rows(&self, name: &str) -> bool {
        self.listed().iter().any(|(table, listing)| table.name == name && !listing.hours_us.is_empty())
    }

    /// Seconds of the range of which a table has windows, each `window_us` long; what is missing is no zero.
    pub(crate) fn known_seconds(&self, name: &str, window_us: i64) -> f64 {
        let listed = self.listed();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for (_, listing) in listed.iter().filter(|(table, _)| table.name == name) {
            spans.extend(listing.files.iter().map(|file| file.span_us).chain(listing.starts_us.iter().map(|at| (*at, *at))));
        }
        spans.sort_unstable();
        let mut until_us = self.range.from_us;
        let mut known_us = 0;
        for (first_us, last_us) in spans {
            let end_us = (last_us + window_us).min(self.range.to_us);
            known_us += (end_us - first_us.max(until_us)).max(0);
            until_us = until_us.max(end_us);
        }
        known_us as f64 / 1e6
    }

    /// The error for a table that has nothing in the range, with the range that it has.
    pub(crate) fn nothing(&self, name: &str) -> ReportError {
        let folder = self.folder.display();
        let hour = |at_us: i64| jiff::Timestamp::from_microsecond(at_us).map_or_else(|_| at_us.to_string(), |at| at.to_string());
        let fine = name.trim_end_matches("_5m");
        ReportError::NoData(match store::extent(&self.folder, fine) {
            Ok(Some((from_us, to_us))) => {
                let (from, to) = (hour(from_us), hour(to_us));
                format!(
                    "{folder}: the table {fine} has no rows in this range; it has some from {from} to {to}: give --from and --to"
                )
            }
            _ => format!("{folder}: the table {fine} has no rows yet"),
        })
    }
}

fn has_column(table: &Table, name: &str) -> bool {
    table.columns.iter().any(|column| column.name == name)
}

fn fits(filter: &Filter) -> Expr {
    let column = ident(&filter.column);
    if filter.value.is_empty() { column.is_null() } else { cast_to(column, DataType::Utf8).eq(lit(&filter.value)) }
}

/// The same columns with texts as views: what queries are fastest with.
fn viewed(schema: &SchemaRef) -> SchemaRef {
    let view = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => Field::new(field.name(), DataType::Utf8View, field.is_nullable()),
        other => Field::new(field.name(), other.clone(), field.is_nullable()),
    };
    Arc::new(Schema::new(schema.fields().iter().map(view).collect::<Vec<_>>()))
}

fn as_viewed(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ReportError> {
    let refused = |error: arrow_schema::ArrowError| ReportError::Query(error.to_string());
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>().map_err(refused)?;
    RecordBatch::try_new(schema.clone(), columns).map_err(refused)
}

fn files(files: &[&ListedFile], schema: &SchemaRef) -> Result<Arc<dyn TableProvider>, ReportError> {
    let url = |file: &&ListedFile| {
        let absolute = file.path.canonicalize().unwrap_or_else(|_| file.path.clone());
        let url = url::Url::from_file_path(&absolute)
            .map_err(|()| ReportError::Query(format!("{}: the path is not absolute", absolute.display())))?;
        Ok::<_, ReportError>(ListingTableUrl::try_new(url, None)?)
    };
    let urls = files.iter().map(url).collect::<Result<Vec<_>, _>>()?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options).with_schema(schema.clone());
    Ok(Arc::new(ListingTable::try_new(config)?))
}

/// Sentences about hours of the range, between the first and the last that there are, of which there is nothing.
fn holes(table: &str, hours_us: &BTreeSet<i64>, range: Range) -> Vec<String> {
    let mut found = Vec::new();
    if range == Range::EVER {
        return found;
    }
    for (before, after) in hours_us.iter().zip(hours_us.iter().skip(1)) {
        let hours = (after - before) / HOUR_US - 1;
        if hours > 0 {
            let start = jiff::Timestamp::from_microsecond(before + HOUR_US).map_or_else(|_| String::new(), |at| at.to_string());
            found.push(format!("{table}: there are no rows from {start} for {hours} hours"));
        }
    }
    let is_later = hours_us.first().is_some_and(|first| *first >= range.from_us + HOUR_US);
    if let Some(first) = hours_us.first().filter(|_| is_later) {
        let start = jiff::Timestamp::from_microsecond(*first).map_or_else(|_| String::new(), |at| at.to_string());
        found.push(format!("{table}: the first rows of the range are of {start}"));
    }
    found
}
