//! Answers on standard output: a table on a terminal, CSV or JSON on request.

use std::borrow::Cow;
use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};

use crate::failure::Failure;

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for a person.
    #[default]
    Table,
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
    /// JSON, one object a line.
    Json,
}

/// A column of an answer.
#[derive(Clone)]
pub(crate) struct Heading {
    /// Its name, unit included.
    pub(crate) name: Cow<'static, str>,
    /// Numbers stand to the right.
    pub(crate) is_number: bool,
}

/// A text column.
pub(crate) const fn text(name: &'static str) -> Heading {
    Heading { name: Cow::Borrowed(name), is_number: false }
}

/// A numeric column.
pub(crate) const fn number(name: &'static str) -> Heading {
    Heading { name: Cow::Borrowed(name), is_number: true }
}

/// Prints rows of JSON values, in the order of the headings, in the format asked for.
pub(crate) fn print_rows(headings: &[Heading], rows: &[Vec<serde_json::Value>], format: Format) -> Result<(), Failure> {
    write_rows(&mut io::stdout().lock(), headings, rows, format)
}

/// As [`print_rows`], to anywhere.
pub(crate) fn write_rows(
    out: &mut impl Write,
    headings: &[Heading],
    rows: &[Vec<serde_json::Value>],
    format: Format,
) -> Result<(), Failure> {
    match format {
        Format::Table => writeln!(out, "{}", table(headings, rows))?,
        Format::Csv => {
            let names: Vec<String> = headings.iter().map(|heading| csv_cell(&heading.name)).collect();
            writeln!(out, "{}", names.join(","))?;
            for row in rows {
                let cells: Vec<String> = row.iter().map(|cell| csv_cell(&cell_text(cell, ""))).collect();
                writeln!(out, "{}", cells.join(","))?;
            }
        }
        Format::Json => {
            for row in rows {
                let object: serde_json::Map<String, serde_json::Value> =
                    headings.iter().zip(row).map(|(heading, cell)| (heading.name.to_string(), cell.clone())).collect();
                writeln!(out, "{}", serde_json::Value::Object(object))?;
            }
        }
    }
    Ok(())
}

fn table(headings: &[Heading], rows: &[Vec<serde_json::Value>]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings.iter().map(|heading| heading.name.as_ref()));
    for row in rows {
        table.add_row(row.iter().map(|cell| cell_text(cell, "-")));
    }
    for (column, heading) in table.column_iter_mut().zip(headings) {
        if heading.is_number {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn cell_text(cell: &serde_json::Value, unknown: &str) -> String {
    match cell {
        serde_json::Value::Null => unknown.to_string(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A CSV cell; texts that a spreadsheet would run as a formula are kept from it by an apostrophe.
fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '@']) || (text.starts_with('-') && text.parse::<f64>().is_err());
    let guarded = if is_formula { format!("'{text}") } else { text.to_string() };
    if guarded.contains([',', '"', '\n', '\r']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_cells_are_quoted_and_guarded() {
        for (text, cell) in [("a", "a"), ("a,b", "\"a,b\""), ("=1+1", "'=1+1"), ("-5", "-5"), ("say \"x\"", "\"say \"\"x\"\"\"")]
        {
            assert_eq!(csv_cell(text), cell);
        }
    }
}
