//! Tables of texts, for the terminal and the page.

use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Format, Heading, number, print_rows, text};

/// A table whose cells are written already.
pub(super) struct Table {
    pub(super) title: String,
    pub(super) columns: &'static [&'static str],
    /// Columns from here on stand to the right.
    pub(super) numbers_from: usize,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(title: &str, columns: &'static [&'static str], numbers_from: usize) -> Table {
        Table { title: title.to_owned(), columns, numbers_from, rows: Vec::new() }
    }

    /// Prints it under its title; nothing where it has no rows.
    pub(super) fn print(&self) -> Result<(), Failure> {
        use std::io::Write as _;
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(std::io::stdout(), "\n{}:\n", self.title)?;
        let headings: Vec<Heading> = (0..)
            .zip(self.columns)
            .map(|(place, name)| if place < self.numbers_from { text(name) } else { number(name) })
            .collect();
        let cells: Vec<Vec<Value>> =
            self.rows.iter().map(|row| row.iter().map(|cell| Value::from(cell.as_str())).collect()).collect();
        print_rows(&headings, &cells, Format::Table)
    }
}
