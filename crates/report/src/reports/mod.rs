//! The reports, a file each.

mod azure;
mod customers;
mod exporters;
mod links;
mod overview;
mod policy;
mod tally;
mod traffic;
mod transit;

use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::{Answer, Data, Filter, Range, ReportError, ReportSettings};

/// A report by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A verdict, and a line a connection.
    Overview,
    /// Loads, growth and what a failure would do.
    Links,
    /// What Microsoft's traffic is.
    Traffic,
    /// Whose traffic it is, on our side.
    Customers,
    /// What goes around the peerings, and what it costs.
    Transit,
    /// Microsoft's rules for peers, with figures.
    Policy,
    /// Our figures as Azure Monitor has them.
    Azure,
    /// The telemetry itself.
    Exporters,
}

/// What a report is asked for with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Columns that rows are told apart by; empty: the report's own.
    pub by: Vec<String>,
    /// Rows that are looked at.
    pub filters: Vec<Filter>,
    /// Beside it the range of the same length before.
    pub compares_previous: bool,
    /// A file of another's figures: Azure Monitor's export, or the list of received routes.
    pub other: Option<PathBuf>,
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
    /// All of them.
    pub const ALL: [Report; 8] = [
        Report::Overview,
        Report::Links,
        Report::Traffic,
        Report::Customers,
        Report::Transit,
        Report::Policy,
        Report::Azure,
        Report::Exporters,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Report::Overview => "overview",
            Report::Links => "links",
            Report::Traffic => "traffic",
            Report::Customers => "customers",
            Report::Transit => "transit",
            Report::Policy => "policy",
            Report::Azure => "azure",
            Report::Exporters => "exporters",
        }
    }

    /// Answers it from a data folder.
    ///
    /// # Errors
    ///
    /// If the options mean nothing to it, or there is nothing to answer from.
    pub fn answer(self, folder: &std::path::Path, range: Range, options: &Options) -> Result<Answer, ReportError> {
        let mut data = Data::open(folder, range, &options.filters, &options.settings)?;
        let mut answer = match self {
            Report::Overview => overview::answer(&mut data, options),
            Report::Links => links::answer(&mut data, options),
            Report::Traffic => traffic::answer(&mut data, options),
            Report::Customers => customers::answer(&mut data, options),
            Report::Transit => transit::answer(&mut data, options),
            Report::Policy => policy::answer(&mut data, options),
            Report::Azure => azure::answer(&mut data, options),
            Report::Exporters => exporters::answer(&mut data, options),
        }?;
        answer.notes.extend(data.notes());
        Ok(answer)
    }
}

/// The queries of the reports by name, for other engines to run; `{by}` stands for columns, `{connections}` for texts.
pub const QUERIES: &[(&str, &str)] = &[
    ("links", include_str!("../sql/links.sql")),
    ("ports", include_str!("../sql/ports.sql")),
    ("traffic", include_str!("../sql/traffic.sql")),
    ("prefixes", include_str!("../sql/prefixes.sql")),
    ("exporters", include_str!("../sql/exporters.sql")),
    ("origins", include_str!("../sql/origins.sql")),
    ("transit", include_str!("../sql/transit.sql")),
    ("expressroute", include_str!("../sql/expressroute.sql")),
    ("versions", include_str!("../sql/versions.sql")),
    ("sessions", include_str!("../sql/sessions.sql")),
    ("minutes", include_str!("../sql/minutes.sql")),
];
