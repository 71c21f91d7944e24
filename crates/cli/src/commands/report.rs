//! `peerscope report`: answers from the Parquet files.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use model::table::Row;
use model::tables::{LatencyRow, LinkRow};
use model::time::{DETAIL_WINDOW_US, WINDOW_US, slot_start_us};
use report::{Answer, Filter, Options, Range, ReportError, Tables, Unit, parse_instant, parse_span};

use crate::clock::Clock;
use crate::configuration::report_settings;
use crate::failure::Failure;
use crate::output::{Format, Heading, write_rows};
use crate::tables::TablesArguments;

/// What the Parquet files say: loads, growth, what leaks, what cannot be trusted
///
/// The range is the last 24 hours that there are (links, resilience, transit, policy: 30 days), unless --from, --to or --last
/// say otherwise. Tables show local time, CSV and JSON have UTC and every column.
#[derive(Args)]
pub(crate) struct Report {
    /// Which
    #[arg(value_parser = reports())]
    name: &'static report::Report,
    #[command(flatten)]
    scope: Scope,
    /// Columns that rows are told apart by (traffic, customers), with commas between; `survivor`: who takes what (resilience)
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    by: Vec<String>,
    /// What fails, all at once (resilience): connections, or a port, router, facility, exchange, metro, risk group
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    down: Vec<String>,
    /// `previous`: beside it the range of the same length before (traffic, customers). A file: Azure Monitor's export (azure), or
    /// the output of `az peering received-route list` (policy)
    #[arg(long, value_name = "previous|FILE")]
    compare: Vec<PathBuf>,
    /// Step of the series (azure): 1m, 5m or 1h
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    step: String,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Shape,
    /// Which of an answer's tables CSV has, counted from 1
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    section: usize,
    /// File to write to, in place of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Configuration file, for its section [report]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Of what.
#[derive(Args)]
pub(crate) struct Scope {
    #[command(flatten)]
    pub(crate) tables: TablesArguments,
    /// Start: 2026-11-24, 2026-11-24T12:00 (local time) or 2026-11-24T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "last")]
    from: Option<String>,
    /// End, not in it
    #[arg(long, value_name = "TIME", conflicts_with = "last")]
    to: Option<String>,
    /// The last of what there is: 90m, 24h, 7d, 4w
    #[arg(long, value_name = "SPAN")]
    last: Option<String>,
    /// Only rows whose column has this value; an empty value is null
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    filters: Vec<String>,
    /// Time zone of days and of what is shown, such as Europe/Berlin; this machine's if left out
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Sentences and columns for a person
    #[default]
    Table,
    /// One section, the main one unless --section says, as comma-separated values (RFC 4180)
    Csv,
    /// One object with `columns` and `rows`
    Json,
    /// One HTML file with pictures
    Html,
}

/// The reports by name, with what each says.
fn reports() -> impl TypedValueParser<Value = &'static report::Report> {
    let one = |report: &report::Report| PossibleValue::new(report.name).help(report.about);
    let by_name = |name: String| report::Report::named(&name).ok_or("there is no such report");
    PossibleValuesParser::new(report::Report::ALL.iter().map(one)).try_map(by_name)
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Failure {
        match error {
            ReportError::Usage(_) => Failure::usage(error),
            _ => Failure::failed(error),
        }
    }
}

impl Scope {
    pub(crate) fn zone(&self) -> Result<TimeZone, Failure> {
        let Some(name) = &self.time_zone else { return Ok(TimeZone::system()) };
        TimeZone::get(name)
            .map_err(|_| Failure::usage(format!("--time-zone {name}: no such zone; write it as Europe/Berlin or UTC")))
    }

    /// The range that was asked for; without one, the last of what there is.
    pub(crate) fn range(&self, tables: &Tables, zone: &TimeZone, default: &str) -> Result<Range, Failure> {
        let end_us = match &self.to {
            Some(_) => 0,
            None => end_of_data(tables)?,
        };
        let to_us = self.to.as_deref().map_or(Ok(end_us), |text| parse_instant(text, zone))?;
        let from_us = match (&self.from, &self.last) {
            (Some(text), _) => parse_instant(text, zone)?,
            (None, Some(span)) => to_us - parse_span(span)?,
            // Before the first row there is nothing to say.
            (None, None) => {
                let first_us = tables.extent(LinkRow::TABLE)?.map_or(i64::MIN, |(first_us, _)| first_us);
                (to_us - parse_span(default)?).max(first_us.min(to_us - 1))
            }
        };
        Ok(Range::new(from_us, to_us)?)
    }

    /// The range, if one was asked for.
    pub(crate) fn range_if_given(&self, tables: &Tables, zone: &TimeZone) -> Result<Option<Range>, Failure> {
        let is_given = self.from.is_some() || self.to.is_some() || self.last.is_some();
        is_given.then(|| self.range(tables, zone, "24h")).transpose()
    }

    pub(crate) fn filters(&self) -> Result<Vec<Filter>, Failure> {
        let one = |text: &String| {
            let (column, value) = text
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("--where {text}: write COLUMN=VALUE, such as connection=fra-pni-1")))?;
            Ok(Filter { column: column.trim().to_owned(), value: value.to_owned() })
        };
        self.filters.iter().map(one).collect()
    }
}

/// End of the last whole five minutes that there are; of less than that, the end of it.
fn end_of_data(tables: &Tables) -> Result<i64, Failure> {
    let last_us = tables.last_window_us(LinkRow::TABLE)?;
    // Where packets were measured without telemetry there is nothing but latency.
    if let (None, Some(latency_us)) = (last_us, tables.last_window_us(LatencyRow::TABLE)?) {
        return Ok(latency_us + WINDOW_US);
    }
    // Of what is older than two weeks there are rows of five minutes alone.
    let coarse_us = tables.extent("links_5m")?.map(|(_, end_us)| end_us);
    let last_us = last_us.map(|last_us| last_us + WINDOW_US).or(coarse_us).unwrap_or_else(|| Clock::wall().now_us());
    let first_us = tables.extent(LinkRow::TABLE)?.map_or(0, |(first_us, _)| first_us);
    let whole_us = slot_start_us(last_us, DETAIL_WINDOW_US);
    Ok(if whole_us > first_us { whole_us } else { last_us })
}

impl Report {
    /// Answers and prints.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let zone = self.scope.zone()?;
        let tables = self.scope.tables.open()?;
        let range = self.scope.range(&tables, &zone, self.name.default_span)?;
        let (previous, others): (Vec<&PathBuf>, Vec<&PathBuf>) =
            self.compare.iter().partition(|compare| compare.as_os_str() == "previous");
        let options = Options {
            by: self.by.clone(),
            down: self.down.clone(),
            filters: self.scope.filters()?,
            compares_previous: !previous.is_empty(),
            others: others.into_iter().cloned().collect(),
            is_page: self.format == Shape::Html,
            zone: zone.clone(),
            step_seconds: parse_span(&self.step)? / 1_000_000,
            settings: report_settings(self.config.as_deref())?,
        };
        let progress = Progress::start();
        let answer = self.name.answer(&tables, range, &options);
        progress.end();
        self.print(&answer?, &zone)
    }

    /// The table that CSV has; the others are named.
    fn section<'a>(&self, answer: &'a Answer) -> Result<Option<&'a report::Section>, Failure> {
        let titles = || {
            let one = |(number, section): (usize, &report::Section)| format!("{} {}", number + 1, section.title);
            answer.sections.iter().enumerate().map(one).collect::<Vec<_>>().join("; ")
        };
        let section = self.section.checked_sub(1).and_then(|place| answer.sections.get(place));
        if section.is_none() && !answer.sections.is_empty() {
            return Err(Failure::usage(format!("--section {}: there are {}", self.section, titles())));
        }
        if answer.sections.len() > 1 {
            eprintln!("--section: {}", titles());
        }
        Ok(section)
    }

    fn print(&self, answer: &Answer, zone: &TimeZone) -> Result<(), Failure> {
        let mut text = Vec::new();
        match self.format {
            Shape::Html => text.extend(report::page(answer, zone).into_bytes()),
            Shape::Json => writeln!(text, "{:#}", answer.json())?,
            Shape::Csv => {
                answer.notes.iter().for_each(|note| eprintln!("{note}"));
                if let Some(section) = self.section(answer)? {
                    let headings = headings(section, false);
                    let row = |row: &Vec<report::Cell>| {
                        row.iter().zip(&section.columns).map(|(cell, column)| cell.value(column.unit)).collect()
                    };
                    write_rows(&mut text, &headings, &section.rows.iter().map(row).collect::<Vec<_>>(), Format::Csv)?;
                }
            }
            Shape::Table => table(&mut text, answer, zone)?,
        }
        match &self.output {
            Some(path) => std::fs::write(path, text)
                .map_err(|error| Failure::failed(format!("{}: cannot be written: {error}; check --output", path.display()))),
            None => Ok(std::io::stdout().lock().write_all(&text)?),
        }
    }
}

/// Names of the columns; for people of those that are no details, and with units where values do not tell them.
fn headings(section: &report::Section, is_for_people: bool) -> Vec<Heading> {
    let one = |column: &report::Column| {
        let has_unit = is_for_people && matches!(column.unit, Unit::Mbps | Unit::Seconds | Unit::Milliseconds | Unit::Bytes);
        let name = if has_unit { format!("{} {}", column.name, column.unit.name()).into() } else { column.name.into() };
        Heading { name, is_number: column.unit.is_number() }
    };
    section.columns.iter().filter(|column| !(is_for_people && column.is_detail)).map(one).collect()
}

fn table(text: &mut Vec<u8>, answer: &Answer, zone: &TimeZone) -> Result<(), Failure> {
    let at = |at_us: i64, zone: &TimeZone| report::Cell::Time(at_us).text(report::Unit::Time, zone).unwrap_or_default();
    let span = |zone: &TimeZone| format!("{} to {}", at(answer.range.from_us, zone), at(answer.range.to_us, zone));
    let name = zone.iana_name().unwrap_or("local time");
    match span(zone) == span(&TimeZone::UTC) {
        true => writeln!(text, "{}, {} UTC", answer.report, span(zone))?,
        false => writeln!(text, "{}, {} ({name}); {} UTC", answer.report, span(zone), span(&TimeZone::UTC))?,
    }
    for sentence in &answer.verdict {
        writeln!(text, "* {sentence}")?;
    }
    for section in &answer.sections {
        writeln!(text, "\n{}", section.title)?;
        let headings = headings(section, true);
        let shown = |row: &Vec<report::Cell>| -> Vec<serde_json::Value> {
            let cells = row.iter().zip(&section.columns).filter(|(_, column)| !column.is_detail);
            cells.map(|(cell, column)| cell.text(column.unit, zone).into()).collect()
        };
        write_rows(text, &headings, &section.rows.iter().map(shown).collect::<Vec<_>>(), Format::Table)?;
    }
    if !answer.notes.is_empty() {
        writeln!(text)?;
    }
    for note in &answer.notes {
        writeln!(text, "note: {note}")?;
    }
    Ok(())
}

/// A sign of life on a terminal while an answer takes long.
pub(crate) struct Progress {
    stop: std::sync::mpsc::Sender<()>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Progress {
    pub(crate) fn start() -> Progress {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let run = move || {
            let started = std::time::Instant::now();
            while stopped.recv_timeout(std::time::Duration::from_secs(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                eprint!("\rreading, {} s", started.elapsed().as_secs());
            }
            if started.elapsed().as_secs() > 0 {
                eprint!("\r                 \r");
            }
        };
        Progress { stop, thread: std::io::stderr().is_terminal().then(|| std::thread::spawn(run)) }
    }

    pub(crate) fn end(self) {
        drop(self.stop);
        if let Some(thread) = self.thread {
            // It writes a few letters and ends.
            let _ = thread.join();
        }
    }
}
