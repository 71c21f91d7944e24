//! The coarse tier: five-minute rows of the tables that have a row a minute, kept far longer.
//!
//! They lie in tables of their own (`links_5m`, `ports_5m`), with the same columns, so that no query
//! counts anything twice; they are made when an hour is compacted, and again with each revision of it.
//! An hour's coarse rows are there before its parts are gone.

use std::collections::BTreeMap;
use std::path::Path;

use model::Name;
use model::table::{Row, Value};
use model::tables::{LinkRow, PortRow};
use model::time::{DETAIL_WINDOW_US, SECOND_US, WINDOW_US, slot_start_us};

use crate::columns;
use crate::layout::hour_folder;
use crate::manifest::HOUR_FILE;

/// Seconds of a coarse row.
const SECONDS: i64 = DETAIL_WINDOW_US / SECOND_US;
/// Rows of a minute in a coarse row.
const MINUTES: f64 = (DETAIL_WINDOW_US / WINDOW_US) as f64;

/// Tables of which coarse rows are kept, and those that hold them.
const TIERS: &[(&str, &str)] = &[(LinkRow::TABLE, "links_5m"), (PortRow::TABLE, "ports_5m")];

/// The table of a table's coarse rows.
pub(crate) fn tier_of(table: &str) -> Option<&'static str> {
    TIERS.iter().find(|(fine, _)| *fine == table).map(|(_, coarse)| *coarse)
}

/// The table that a table of coarse rows is made of.
pub fn fine_of(coarse: &str) -> Option<&'static str> {
    TIERS.iter().find(|(_, table)| *table == coarse).map(|(fine, _)| *fine)
}

/// The names of all tables of coarse rows.
pub(crate) fn coarse_tables() -> impl Iterator<Item = &'static str> {
    TIERS.iter().map(|(_, coarse)| *coarse)
}

/// How the values of the minutes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merge {
    /// It tells rows apart.
    Key,
    /// The start of the five minutes.
    Start,
    /// Their length.
    Length,
    /// The last that is known.
    Last,
    /// The least that is known.
    Least,
    /// The mean over the minutes that there are; unknown if it is in one of them.
    Mean,
    /// The same over the minutes in which it is known: counters are not read in every minute.
    MeanOfKnown,
    /// The sum over five minutes: a minute without a row adds nothing.
    MeanOfFive,
    /// The largest; unknown if it is in one of them.
    Most,
    /// The largest that is known.
    MostOfKnown,
    /// The sum of what is known.
    Sum,
    /// The error of a mean: of independent errors the squares add up.
    Error,
    /// The least settled.
    Status,
}

/// How a column becomes coarse; `None` for one that nobody thought of.
fn merge_of(column: &str) -> Option<Merge> {
    Some(match column {
        "window_start" => Merge::Start,
        "window_seconds" => Merge::Length,
        "connection" | "port" | "direction" => Merge::Key,
        "peering" | "kind" | "role" | "location" | "exporter" | "matched_by" | "capacity_source" | "members_total"
        | "peak_seconds" => Merge::Last,
        "capacity_bps" | "members_up" => Merge::Least,
        "mean_bps" | "packets_per_second" | "exported_bps" | "utilisation_ratio" => Merge::Mean,
        "counter_bps" => Merge::MeanOfKnown,
        "coverage_ratio" => Merge::MeanOfFive,
        "peak_bps" => Merge::Most,
        "member_peak_ratio" => Merge::MostOfKnown,
        "samples" | "bytes_unknown_rate" | "late_bytes" | "through_bytes" | "counter_discards" | "counter_errors" => Merge::Sum,
        "standard_error_bps" => Merge::Error,
        "status" => Merge::Status,
        _ => return None,
    })
}

/// Five-minute rows of one-minute rows, in the order of time and key.
pub(crate) fn coarse<R: Row>(rows: &[R]) -> Vec<R> {
    let merges: Vec<Merge> = R::COLUMNS.iter().map(|column| merge_of(column.name).unwrap_or(Merge::Last)).collect();
    let mut groups: BTreeMap<(i64, Vec<Name>), Vec<Vec<Value>>> = BTreeMap::new();
    for row in rows {
        let values = row.values();
        let keys = values.iter().zip(&merges).filter(|(_, merge)| **merge == Merge::Key);
        let key = keys.filter_map(|(value, _)| if let Value::Text(name) = value { Some(name.clone()) } else { None }).collect();
        groups.entry((slot_start_us(columns::start_us(row), DETAIL_WINDOW_US), key)).or_default().push(values);
    }
    let merged = groups.into_iter().filter_map(|((start_us, _), mut minutes)| {
        minutes.sort_by_key(|values| start_of(values));
        let values = merges.iter().enumerate().map(|(place, merge)| {
            let column: Vec<&Value> = minutes.iter().map(|values| &values[place]).collect();
            merge.apply(&column, start_us)
        });
        R::from_values(values.collect())
    });
    merged.collect()
}

/// The first time in a row, which is the start of its window.
fn start_of(values: &[Value]) -> i64 {
    values.iter().find_map(|value| if let Value::Timestamp(at) = value { Some(*at) } else { None }).unwrap_or(0)
}

impl Merge {
    /// The value of five minutes; `column` has those of the minutes in order, one at least.
    fn apply(self, column: &[&Value], start_us: i64) -> Value {
        let known: Vec<&Value> = column.iter().copied().filter(|value| **value != Value::Null).collect();
        let is_whole = known.len() == column.len();
        match self {
            Merge::Start => Value::Timestamp(start_us),
            Merge::Length => Value::Integer(SECONDS),
            Merge::Key | Merge::Last => known.last().map_or(Value::Null, |value| (*value).clone()),
            Merge::Least => integers(&known).min().map_or(Value::Null, Value::Integer),
            Merge::Sum if known.is_empty() => Value::Null,
            Merge::Sum => Value::Integer(integers(&known).fold(0, i64::saturating_add)),
            Merge::Mean | Merge::MeanOfFive | Merge::Most | Merge::Error if !is_whole => Value::Null,
            _ if known.is_empty() => Value::Null,
            Merge::Mean | Merge::MeanOfKnown => Value::Float(floats(&known).sum::<f64>() / known.len() as f64),
            Merge::MeanOfFive => Value::Float(floats(&known).sum::<f64>() / MINUTES),
            Merge::Most | Merge::MostOfKnown => Value::Float(floats(&known).fold(f64::MIN, f64::max)),
            Merge::Error => Value::Float(floats(&known).map(|error| error * error).sum::<f64>().sqrt() / known.len() as f64),
            Merge::Status => least_settled(&known),
        }
    }
}

fn integers<'a>(values: &'a [&Value]) -> impl Iterator<Item = i64> + 'a {
    values.iter().filter_map(|value| if let Value::Integer(number) = value { Some(*number) } else { None })
}

fn floats<'a>(values: &'a [&Value]) -> impl Iterator<Item = f64> + 'a {
    values.iter().filter_map(|value| if let Value::Float(number) = value { Some(*number) } else { None })
}

fn least_settled(values: &[&Value]) -> Value {
    let order = |value: &Value| match value {
        Value::Text(name) if &**name == "final" => 2,
        Value::Text(name) if &**name == "mature" => 1,
        _ => 0,
    };
    values.iter().min_by_key(|value| order(value)).map_or(Value::Null, |value| (*value).clone())
}

/// Whether the coarse rows of a table's hour are there, if it has any.
pub(crate) fn has_tier(data: &Path, table: &str, hour_us: i64) -> bool {
    let is_there = |coarse| hour_folder(data, coarse, hour_us).is_ok_and(|folder| folder.join(HOUR_FILE).exists());
    tier_of(table).is_none_or(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(minute: i64, connection: &str, mean_bps: Option<f64>) -> LinkRow {
        let none = |column: &model::table::Column| match column.kind {
            _ if column.is_nullable => Value::Null,
            model::table::Kind::Integer => Value::Integer(1),
            model::table::Kind::Float => Value::Float(0.0),
            model::table::Kind::Timestamp => Value::Timestamp(minute * WINDOW_US),
            _ => Value::Text("".into()),
        };
        let row = LinkRow::from_values(LinkRow::COLUMNS.iter().map(none).collect()).unwrap();
        let (peak_bps, standard_error_bps) = (mean_bps.map(|mean| mean * 2.0), mean_bps.map(|mean| mean / 10.0));
        let status = if minute == 3 { "mature".into() } else { "final".into() };
        LinkRow {
            connection: connection.into(),
            mean_bps,
            peak_bps,
            standard_error_bps,
            status,
            coverage_ratio: Some(1.0),
            ..row
        }
    }

    #[test]
    fn every_column_has_a_rule() {
        for column in LinkRow::COLUMNS.iter().chain(PortRow::COLUMNS) {
            assert!(merge_of(column.name).is_some(), "{}", column.name);
        }
    }

    #[test]
    fn minutes_become_five() {
        let mut rows: Vec<LinkRow> = (0..5).map(|minute| link(minute, "a", Some(10.0 + minute as f64))).collect();
        rows.extend([link(5, "a", Some(1.0)), link(1, "b", Some(4.0)), link(2, "b", None)]);
        let coarse = coarse(&rows);
        let keys: Vec<(i64, &str)> = coarse.iter().map(|row| (row.window_start.0 / WINDOW_US, &*row.connection)).collect();
        assert_eq!(keys, [(0, "a"), (0, "b"), (5, "a")]);
        let first = &coarse[0];
        assert_eq!((first.window_seconds, first.mean_bps, first.peak_bps), (300, Some(12.0), Some(28.0)));
        let error = [1.0, 1.1, 1.2, 1.3, 1.4_f64].iter().map(|error| error * error).sum::<f64>().sqrt() / 5.0;
        assert!((first.standard_error_bps.unwrap() - error).abs() < 1e-12);
        assert_eq!((first.samples, &*first.status, first.coverage_ratio), (5, "mature", Some(1.0)));
        // Unknown in one minute is unknown in five; minutes that are missing were not covered.
        assert_eq!((coarse[1].mean_bps, coarse[1].peak_bps, coarse[1].coverage_ratio), (None, None, Some(0.4)));
        assert_eq!((coarse[2].mean_bps, coarse[2].coverage_ratio), (Some(1.0), Some(0.2)));
    }
}
