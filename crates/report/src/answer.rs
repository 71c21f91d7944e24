//! What a report says: sentences, and sections of rows whose columns have units.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::{Chart, Matrix, Range};

/// What the numbers of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Words.
    Text,
    /// Mbit/s.
    Mbps,
    /// A share; 1 is all.
    Ratio,
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// An instant.
    Time,
    /// A day.
    Date,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// The currency of the configuration, a month.
    Money,
    /// `true` or `false`.
    Flag,
}

impl Unit {
    /// Its name in JSON and headings; empty where there is none.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Text | Unit::Flag => "",
            Unit::Mbps => "Mbit/s",
            Unit::Ratio => "ratio",
            Unit::Count => "count",
            Unit::Bytes => "bytes",
            Unit::Time => "time",
            Unit::Date => "date",
            Unit::Seconds => "s",
            Unit::Milliseconds => "ms",
            Unit::Money => "a month",
        }
    }

    /// Whether its cells stand to the right.
    pub const fn is_number(self) -> bool {
        !matches!(self, Unit::Text | Unit::Flag | Unit::Time | Unit::Date)
    }
}

/// A column of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its numbers are.
    pub unit: Unit,
    /// Not shown in a table on a terminal: CSV and JSON have it.
    pub is_detail: bool,
}

impl Column {
    /// A column that is always shown.
    pub const fn new(name: &'static str, unit: Unit) -> Column {
        Column { name, unit, is_detail: false }
    }

    /// A column for those who want everything.
    pub const fn detail(name: &'static str, unit: Unit) -> Column {
        Column { name, unit, is_detail: true }
    }
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Unknown.
    Null,
    /// Words.
    Text(String),
    /// A number, in its column's unit.
    Number(f64),
    /// A whole number, in its column's unit.
    Whole(i64),
    /// An instant or the start of a day, µs since 1970.
    Time(i64),
    /// Yes or no.
    Flag(bool),
}

macro_rules! cells {
    ($($type:ty => |$value:ident| $cell:expr;)+) => {$(
        impl From<$type> for Cell {
            fn from($value: $type) -> Cell {
                $cell
            }
        }
    )+};
}

cells! {
    &str => |text| Cell::Text(text.to_owned());
    String => |text| Cell::Text(text);
    &model::Name => |text| Cell::Text(text.to_string());
    f64 => |number| if number.is_finite() { Cell::Number(number) } else { Cell::Null };
    i64 => |number| Cell::Whole(number);
    usize => |number| Cell::Whole(number as i64);
    bool => |flag| Cell::Flag(flag);
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Cell {
        cell.map_or(Cell::Null, Into::into)
    }
}

impl Cell {
    /// bit/s as a cell of [`Unit::Mbps`].
    pub(crate) fn mbps(bps: impl Into<Option<f64>>) -> Cell {
        bps.into().map(|bps| bps / 1e6).into()
    }

    /// An instant; µs since 1970.
    pub(crate) fn time(at_us: impl Into<Option<i64>>) -> Cell {
        at_us.into().map_or(Cell::Null, Cell::Time)
    }

    /// As CSV and JSON have it: instants in UTC, numbers as they are.
    pub fn value(&self, unit: Unit) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Text(text) => json!(text),
            Cell::Number(number) => json!(number),
            Cell::Whole(number) => json!(number),
            Cell::Time(at_us) => json!(instant(*at_us, unit, &TimeZone::UTC, true)),
            Cell::Flag(flag) => json!(flag),
        }
    }

    /// As a person reads it: instants in a zone, numbers rounded; `None` where it is unknown.
    pub fn text(&self, unit: Unit, zone: &TimeZone) -> Option<String> {
        Some(match self {
            Cell::Null => return None,
            Cell::Text(text) => text.clone(),
            Cell::Whole(number) => number.to_string(),
            Cell::Number(number) => rounded(*number, unit),
            Cell::Time(at_us) => instant(*at_us, unit, zone, false),
            Cell::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        })
    }
}

fn rounded(number: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio => format!("{:.1} %", number * 100.0),
        Unit::Bytes => bytes(number),
        Unit::Count => format!("{number:.0}"),
        Unit::Mbps if number.abs() >= 1_000.0 => format!("{number:.0}"),
        Unit::Mbps if number.abs() < 0.1 => format!("{number:.4}"),
        _ => format!("{number:.2}"),
    }
}

/// Bytes in the largest decimal unit of which there is one at least.
fn bytes(number: f64) -> String {
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.into_iter().find(|(_, size)| number >= *size) {
        Some((name, size)) => format!("{:.1} {name}", number / size),
        None => format!("{number:.0} B"),
    }
}

/// An instant as text; a day alone where the column is one of days.
fn instant(at_us: i64, unit: Unit, zone: &TimeZone, is_exact: bool) -> String {
    let Ok(at) = Timestamp::from_microsecond(at_us) else { return format!("{at_us} µs") };
    let zoned = at.to_zoned(zone.clone());
    match unit {
        Unit::Date => zoned.strftime("%Y-%m-%d").to_string(),
        _ if is_exact => at.to_string(),
        _ => zoned.strftime("%Y-%m-%d %H:%M").to_string(),
    }
}

/// Rows under a title.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// What the rows are.
    pub title: String,
    /// Their columns.
    pub columns: Vec<Column>,
    /// A cell a column.
    pub rows: Vec<Vec<Cell>>,
}

impl Section {
    /// A section without rows yet.
    pub(crate) fn new(title: impl Into<String>, columns: &[Column]) -> Section {
        Section { title: title.into(), columns: columns.to_vec(), rows: Vec::new() }
    }

    fn json(&self) -> Value {
        let columns: Vec<Value> =
            self.columns.iter().map(|column| json!({ "name": column.name, "unit": column.unit.name() })).collect();
        let row = |row: &Vec<Cell>| -> Vec<Value> {
            row.iter().zip(&self.columns).map(|(cell, column)| cell.value(column.unit)).collect()
        };
        json!({ "title": self.title, "columns": columns, "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

/// What a report says.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The report's name.
    pub report: &'static str,
    /// What it is of.
    pub range: Range,
    /// What it comes to, a sentence each; the most pressing first.
    pub verdict: Vec<String>,
    /// The verdict asks for something to be done.
    pub is_alarming: bool,
    /// A few numbers that stand for all, by name; of a page alone.
    pub facts: Vec<(&'static str, String)>,
    /// Pictures, of a page alone.
    pub charts: Vec<Chart>,
    /// Who is how full if who fails, of a page alone.
    pub matrices: Vec<Matrix>,
    /// Its rows; the first section is the main one.
    pub sections: Vec<Section>,
    /// What is to be known about the data: damaged files, holes, what cannot be trusted.
    pub notes: Vec<String>,
}

impl Answer {
    /// An answer without anything yet.
    pub(crate) fn new(report: &'static str, range: Range) -> Answer {
        Answer {
            report,
            range,
            verdict: Vec::new(),
            is_alarming: false,
            facts: Vec::new(),
            charts: Vec::new(),
            matrices: Vec::new(),
            sections: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// One object: `columns` and `rows` of the main section, the other sections under `sections`.
    pub fn json(&self) -> Value {
        let mut object = self.sections.first().map_or_else(|| json!({ "columns": [], "rows": [] }), Section::json);
        object["report"] = json!(self.report);
        object["from"] = Cell::Time(self.range.from_us).value(Unit::Time);
        object["to"] = Cell::Time(self.range.to_us).value(Unit::Time);
        object["verdict"] = json!(self.verdict);
        object["notes"] = json!(self.notes);
        object["sections"] = self.sections.iter().skip(1).map(Section::json).collect();
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_exact_for_programs_and_short_for_people() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for (cell, unit, value, text) in [
            (Cell::mbps(1.23456e9), Unit::Mbps, json!(1234.56), Some("1235")),
            (Cell::from(0.12345), Unit::Ratio, json!(0.12345), Some("12.3 %")),
            (Cell::from(2.5e9), Unit::Bytes, json!(2.5e9), Some("2.5 GB")),
            (Cell::Time(0), Unit::Time, json!("1970-01-01T00:00:00Z"), Some("1970-01-01 01:00")),
            (Cell::Time(0), Unit::Date, json!("1970-01-01"), Some("1970-01-01")),
            (Cell::from(f64::NAN), Unit::Mbps, Value::Null, None),
            (Cell::from(true), Unit::Flag, json!(true), Some("yes")),
        ] {
            assert_eq!(cell.value(unit), value);
            assert_eq!(cell.text(unit, &zone).as_deref(), text);
        }
    }
}
