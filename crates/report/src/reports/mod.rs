//! The reports, a file each.

mod azure;
mod customers;
mod exporters;
mod failovers;
mod latency;
mod links;
mod overview;
mod policy;
mod resilience;
mod selection;
mod tally;
mod traffic;
mod transit;

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::{Answer, Data, Filter, Range, ReportError, ReportSettings, Tables};

/// A report: its name, what it may be asked with, and how it is answered.
///
/// To add one, write `reports/NAME.rs` with a `pub(super) const REPORT` in it, put each of its queries into a file in `sql/` that is
/// entered in [`QUERIES`], and enter the report in [`Report::ALL`]: the program, its help and the tests know it from there.
#[derive(Debug)]
pub struct Report {
    /// Its name, as it is asked for.
    pub name: &'static str,
    /// What it says, in a line.
    pub about: &'static str,
    /// What is answered of unless it is said, as [`crate::parse_span`] reads it.
    pub default_span: &'static str,
    /// Whether the columns that rows are told apart by can be chosen.
    pub takes_by: bool,
    /// What it can be compared with.
    pub compares: Compares,
    /// Answers it.
    answer: fn(&mut Data, &Options) -> Result<Answer, ReportError>,
}

/// What a report can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compares {
    /// Nothing.
    Nothing,
    /// The range of the same length before.
    Previous,
    /// Files of another's figures.
    Files,
}

/// What a report is asked for with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Columns that rows are told apart by; empty: the report's own.
    pub by: Vec<String>,
    /// What fails, all at once (resilience); empty: each thing in turn.
    pub down: Vec<String>,
    /// Rows that are looked at.
    pub filters: Vec<Filter>,
    /// Beside it the range of the same length before.
    pub compares_previous: bool,
    /// Files of another's figures: Azure Monitor's export, or the lists of received routes.
    pub others: Vec<PathBuf>,
    /// It is for a page: pictures, and more sections.
    pub is_page: bool,
    /// Zone of days and of instants that people read.
    pub zone: TimeZone,
    /// Step of series, s.
    pub step_seconds: i64,
    /// What is judged by.
    pub settings: ReportSettings,
}

impl Report {
    /// All of them, in the order in which help names them.
    pub const ALL: &[Report] = &[
        overview::REPORT,
        links::REPORT,
        traffic::REPORT,
        customers::REPORT,
        failovers::REPORT,
        resilience::REPORT,
        latency::REPORT,
        transit::REPORT,
        policy::REPORT,
        azure::REPORT,
        exporters::REPORT,
    ];

    /// The report of a name.
    pub fn named(name: &str) -> Option<&'static Report> {
        Report::ALL.iter().find(|report| report.name == name)
    }

    /// Answers it from a data folder, or from other tables.
    ///
    /// # Errors
    ///
    /// If the options mean nothing to it, or there is nothing to answer from.
    pub fn answer(&self, tables: impl Into<Tables>, range: Range, options: &Options) -> Result<Answer, ReportError> {
        self.refuse_what_means_nothing(options)?;
        let mut data = Data::open(tables, range, &[], &options.settings)?;
        let mut answer = (self.answer)(&mut data, options)?;
        answer.notes.extend(data.notes());
        // Of the day or the range before it was said already.
        let mut said = BTreeSet::new();
        answer.notes.retain(|note| said.insert(note.clone()));
        Ok(answer)
    }

    fn refuse_what_means_nothing(&self, options: &Options) -> Result<(), ReportError> {
        let names = |fits: fn(&Report) -> bool| {
            Report::ALL.iter().filter(|report| fits(report)).map(|report| report.name).collect::<Vec<_>>().join(", ")
        };
        let refused = |what: &str, others: String| {
            Err(ReportError::Usage(format!("the report {} takes no {what}; these do: {others}", self.name)))
        };
        if !options.by.is_empty() && !self.takes_by {
            return refused("--by", names(|report| report.takes_by));
        }
        if !options.down.is_empty() && self.name != resilience::REPORT.name {
            return refused("--down", resilience::REPORT.name.to_owned());
        }
        if options.compares_previous && self.compares != Compares::Previous {
            return refused("--compare previous", names(|report| report.compares == Compares::Previous));
        }
        if !options.others.is_empty() && self.compares != Compares::Files {
            return refused("--compare FILE", names(|report| report.compares == Compares::Files));
        }
        Ok(())
    }
}

/// Sentences of one kind, the first of them: a verdict is read, not searched.
fn first_of(mut sentences: Vec<String>, what: &str) -> Vec<String> {
    const TOLD_MOST: usize = 5;
    let more = sentences.len().saturating_sub(TOLD_MOST);
    if more > 1 {
        sentences.truncate(TOLD_MOST);
        sentences.push(format!("And {more} more {what}: the table has them."));
    }
    sentences
}

/// A number of things: `1 exporter`, `2 exporters`.
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The queries of the reports by name, for other engines to run; `{by}` stands for columns, `{connections}` for texts.
pub const QUERIES: &[(&str, &str)] = &[
    ("links", include_str!("../sql/links.sql")),
    ("ports", include_str!("../sql/ports.sql")),
    ("traffic", include_str!("../sql/traffic.sql")),
    ("prefixes", include_str!("../sql/prefixes.sql")),
    ("split", include_str!("../sql/split.sql")),
    ("latency", include_str!("../sql/latency.sql")),
    ("latency_buckets", include_str!("../sql/latency_buckets.sql")),
    ("exporters", include_str!("../sql/exporters.sql")),
    ("origins", include_str!("../sql/origins.sql")),
    ("failovers", include_str!("../sql/failovers.sql")),
    ("moved", include_str!("../sql/moved.sql")),
    ("transit", include_str!("../sql/transit.sql")),
    ("expressroute", include_str!("../sql/expressroute.sql")),
    ("versions", include_str!("../sql/versions.sql")),
    ("sessions", include_str!("../sql/sessions.sql")),
    ("minutes", include_str!("../sql/minutes.sql")),
];
