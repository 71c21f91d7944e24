//! Parquet files to answers: SQL fetches, `measure` judges.
//!
//! * [`Tables`]: where tables are had from, of one collector or of several;
//! * [`Data`]: these tables over a range, open to SQL;
//! * [`Report`]: the reports by name, each a file; each query is a text of its own in `sql/`, in the subset that
//!   other engines read the same way;
//! * [`Answer`]: what a report says: sentences, and sections of rows with units; as JSON and as an HTML page.
//!
//! Everything heavy of the program sits here: the collector builds without this crate.

mod answer;
mod batch;
mod chart;
mod connections;
mod data;
mod error;
mod falls;
mod files;
mod frames;
mod growth;
mod html;
mod loads;
mod matrix;
mod networks;
mod range;
mod reports;
mod shared;
mod sharing;
mod source;
mod tables;

pub use answer::{Answer, Cell, Column, Section, Unit};
pub use chart::Chart;
pub use data::{Data, Filter, Rows};
pub use error::ReportError;
pub use html::page;
pub use matrix::{Matrix, MatrixCell};
pub use measure::judge::ReportSettings;
pub use range::{Range, parse_instant, parse_span};
pub use reports::{Compares, Options, QUERIES, Report};
pub use source::{Source, Tables};
