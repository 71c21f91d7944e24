//! Tables, open to SQL over a range.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext, col};
use futures::StreamExt;
use store::Listing;
use tokio::runtime::Runtime;

use crate::batch::Batch;
use crate::files::Files;
use crate::frames::{as_viewed, fits, has_column, holes, instant, viewed};
use crate::sharing::{SharedNames, stays};
use crate::tables::{TABLES, Table, by_name};
use crate::{Range, ReportError, ReportSettings, Tables};

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

/// The tables of a range.
pub struct Data {
    tables: Tables,
    range: Range,
    /// Rows that queries see: of one table, or of every one that has the column.
    filters: Vec<(Option<&'static str>, Filter)>,
    pub(crate) context: SessionContext,
    runtime: Runtime,
    /// What was listed of each table that was asked for, a listing a collector, and what is to be said of it.
    listed: Mutex<Vec<(&'static Table, Vec<Listing>)>>,
    /// What several collectors have rows of.
    pub(crate) shared: SharedNames,
    asked: BTreeSet<String>,
}

impl Data {
    /// Opens tables. Rows that do not fit the filters are not seen, in tables that have the column.
    ///
    /// # Errors
    ///
    /// If there are none, or no table has a filter's column.
    pub fn open(
        tables: impl Into<Tables>,
        range: Range,
        filters: &[Filter],
        settings: &ReportSettings,
    ) -> Result<Data, ReportError> {
        let tables = tables.into();
        if !tables.has_tables() {
            let what = format!("{}: there are no tables in this folder; give the --data of collect or replay", tables.name());
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
            tables,
            range,
            filters: filters.iter().map(|filter| (None, filter.clone())).collect(),
            context: SessionContext::new_with_config_rt(config, memory),
            runtime,
            listed: Mutex::default(),
            shared: SharedNames::default(),
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

    /// Where the tables are had from.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Makes tables known to queries; those that are known already stay as they are.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    pub fn register(&mut self, names: &[&str]) -> Result<(), ReportError> {
        let new: Vec<&'static Table> =
            names.iter().filter_map(|name| by_name(name).filter(|_| self.asked.insert((*name).to_owned()))).collect();
        let listings: Vec<Result<Vec<Listing>, ReportError>> = std::thread::scope(|scope| {
            let of = &*self;
            let lists: Vec<_> = new.iter().map(|table| scope.spawn(move || of.list(table))).collect();
            let join = |list: std::thread::ScopedJoinHandle<'_, _>| list.join().unwrap_or_else(|panic| resume_unwind(panic));
            lists.into_iter().map(join).collect()
        });
        for (table, listings) in new.into_iter().zip(listings) {
            let listings = listings?;
            self.show(table, &listings)?;
            self.listed().push((table, listings));
        }
        Ok(())
    }

    fn listed(&self) -> MutexGuard<'_, Vec<(&'static Table, Vec<Listing>)>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the tables known that a query names; all of them to one that asks which there are.
    ///
    /// # Errors
    ///
    /// As [`Data::register`].
    pub fn register_named_in(&mut self, sql: &str) -> Result<(), ReportError> {
        let text = sql.to_ascii_lowercase();
        let words: BTreeSet<&str> = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
        let asks_for_all = ["information_schema", "show"].iter().any(|word| words.contains(word));
        let named = TABLES.iter().map(|table| table.name).filter(|name| asks_for_all || words.contains(name));
        self.register(&named.collect::<Vec<_>>())
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
    fn show(&self, table: &Table, listings: &[Listing]) -> Result<(), ReportError> {
        let left_out = if listings.len() > 1 { self.left_out(table)? } else { Arc::default() };
        let mut frames = Vec::new();
        for (place, listing) in listings.iter().enumerate() {
            let mut frame = self.frame(table, listing)?;
            for left in left_out.get(place).into_iter().flatten() {
                frame = frame.filter(stays(table, left))?;
            }
            frames.push(frame);
        }
        let mut frames = frames.into_iter();
        let Some(first) = frames.next() else { return Ok(()) };
        let mut frame = frames.try_fold(first, |all, next| all.union(next))?;
        let is_of = |of: &Option<&str>| of.is_none_or(|of| of == table.name);
        for (_, filter) in self.filters.iter().filter(|(of, filter)| is_of(of) && has_column(table, &filter.column)) {
            frame = frame.filter(fits(filter))?;
        }
        self.context.deregister_table(table.name)?;
        self.context.register_table(table.name, frame.into_view())?;
        Ok(())
    }

    /// A collector's rows of the range.
    pub(crate) fn frame(&self, table: &Table, listing: &Listing) -> Result<DataFrame, ReportError> {
        let schema = viewed(&listing.schema);
        let mut frames = Vec::new();
        // Only the files at the ends of the range have rows outside of it: the others need not be looked through.
        let is_inside = |span: &(i64, i64)| span.0 >= self.range.from_us && span.1 < self.range.to_us;
        let (inside, at_the_ends): (Vec<_>, Vec<_>) = listing.files.iter().cloned().partition(|file| is_inside(&file.span_us));
        if !inside.is_empty() {
            frames.push(self.context.read_table(Arc::new(Files::new(inside, schema.clone())))?);
        }
        if !at_the_ends.is_empty() {
            let mut ends = self.context.read_table(Arc::new(Files::new(at_the_ends, schema.clone())))?;
            if !table.is_lasting {
                ends = ends.filter(col(table.time).gt_eq(instant(self.range.from_us)))?;
            }
            frames.push(ends.filter(col(table.time).lt(instant(self.range.to_us)))?);
        }
        if listing.rows.is_some() || frames.is_empty() {
            let rows = listing.rows.as_ref().map(|rows| as_viewed(rows, &schema)).transpose()?;
            let in_memory = MemTable::try_new(schema, vec![rows.into_iter().collect()])?;
            frames.push(self.context.read_table(Arc::new(in_memory))?);
        }
        let all = frames.into_iter().map(Ok).reduce(|all, next| all?.union(next?));
        Ok(all.unwrap_or_else(|| self.context.read_empty())?)
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

    /// As [`Data::fold`], once.
    pub(crate) fn fold_once<S>(
        &self,
        sql: &str,
        mut state: S,
        mut take: impl FnMut(&mut S, &Batch<'_>) -> Result<(), ReportError>,
    ) -> Result<S, ReportError> {
        let ran = self.runtime.block_on(self.run(sql, &mut |batch| take(&mut state, &Batch::new(batch))));
        ran.map(|()| state).map_err(|stumble| stumble.error)
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
        for (table, listings) in listed.iter_mut() {
            let mut fresh = self.list(table)?;
            let mut is_other = false;
            for (fresh, listing) in fresh.iter_mut().zip(listings.iter_mut()) {
                fresh.files.retain(|file| !listing.damaged.iter().any(|damaged| damaged.path == file.path));
                if fresh.files != listing.files {
                    fresh.damaged.append(&mut listing.damaged);
                    std::mem::swap(fresh, listing);
                    is_other = true;
                }
            }
            if is_other {
                self.show(table, listings)?;
                has_changed = true;
            }
        }
        if has_changed {
            return Ok(());
        }
        for (table, listings) in listed.iter_mut() {
            let damaged = listings.iter_mut().filter_map(|listing| (table.pass_over_damaged)(listing).then_some(())).count();
            if damaged > 0 {
                self.show(table, listings)?;
            }
        }
        Ok(())
    }

    /// What a table has of the range, and what lasts of all time before its end, collector by collector.
    pub(crate) fn list(&self, table: &Table) -> Result<Vec<Listing>, ReportError> {
        let from_us = if table.is_lasting { i64::MIN } else { self.range.from_us };
        let folders = self.tables.folders(table.name, from_us, self.range.to_us)?;
        folders.iter().map(|(_, folder)| Ok((table.list)(folder, from_us, self.range.to_us)?)).collect()
    }

    /// What is to be known of the files that were read: those that were passed over, and hours of which there is nothing.
    pub fn notes(&self) -> Vec<String> {
        let listed = self.listed();
        let damaged = |listings: &Vec<Listing>| listings.iter().flat_map(|listing| listing.damaged.clone()).collect::<Vec<_>>();
        let mut notes: Vec<String> =
            listed.iter().flat_map(|(_, listings)| damaged(listings)).map(|damaged| damaged.to_string()).collect();
        notes.sort();
        notes.dedup();
        notes.extend(self.tables.notes());
        notes.extend(self.shared.notes());
        for (table, listings) in listed.iter().filter(|(table, _)| table.name.starts_with("links") || table.name == "traffic") {
            let hours_us = listings.iter().flat_map(|listing| listing.hours_us.iter().copied()).collect();
            notes.extend(holes(table.name, &hours_us, self.range));
        }
        notes
    }

    /// Whether a table has anything in the range.
    pub(crate) fn has_rows(&self, name: &str) -> bool {
        let has_some = |listings: &[Listing]| listings.iter().any(|listing| !listing.hours_us.is_empty());
        self.listed().iter().any(|(table, listings)| table.name == name && has_some(listings))
    }

    /// Seconds of the range of which a table has windows, each `window_us` long; what is missing is no zero.
    pub(crate) fn known_seconds(&self, name: &str, window_us: i64) -> f64 {
        let listed = self.listed();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for listing in listed.iter().filter(|(table, _)| table.name == name).flat_map(|(_, listings)| listings) {
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
        let folder = self.tables.name();
        let hour = |at_us: i64| jiff::Timestamp::from_microsecond(at_us).map_or_else(|_| at_us.to_string(), |at| at.to_string());
        let fine = by_name(name.trim_end_matches("_5m")).map_or("links", |table| table.name);
        ReportError::NoData(match self.tables.extent(fine) {
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
