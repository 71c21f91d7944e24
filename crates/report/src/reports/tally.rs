//! Sums of traffic by columns that the reader chooses.

use std::collections::{BTreeMap, BTreeSet};

use model::Direction;

use super::Options;
use super::selection::no_such;
use crate::answer::{Cell, Column, Unit};
use crate::connections::Edge;
use crate::range::STEP_US;
use crate::{Data, Filter, ReportError};

/// A column by which rows may be told apart.
pub(super) struct Key {
    pub(super) name: &'static str,
    unit: Unit,
    /// Taken from the connection of that name, not from the table.
    of_connection: Option<fn(&Edge, &str) -> Option<String>>,
}

impl Key {
    pub(super) const fn text(name: &'static str) -> Key {
        Key { name, unit: Unit::Text, of_connection: None }
    }

    pub(super) const fn whole(name: &'static str) -> Key {
        Key { name, unit: Unit::Count, of_connection: None }
    }
}

/// Keys that connections lend to every table.
pub(super) const LOCATION: Key =
    Key { of_connection: Some(|edge, name| edge.location(name).map(ToString::to_string)), ..Key::text("location") };
pub(super) const PEERING: Key = Key {
    of_connection: Some(|edge, name| edge.get(name).and_then(|row| row.peering.as_ref()).map(ToString::to_string)),
    ..Key::text("peering")
};
pub(super) const ROLE: Key = Key { of_connection: Some(|edge, name| Some(edge.role(name).to_owned())), ..Key::text("role") };

/// What rows of one key add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) bytes_estimated: f64,
    pub(super) variance: f64,
    pub(super) bytes_exported: f64,
    pub(super) packets_estimated: f64,
    /// Rows whose estimate is unknown: then the sum is only a part.
    pub(super) rows_unknown: i64,
}

/// A query, and the keys that it may be asked by.
pub(super) struct Tally {
    pub(super) table: &'static str,
    pub(super) sql: &'static str,
    pub(super) keys: &'static [Key],
    pub(super) default: &'static [&'static str],
}

/// What rows are told apart and limited by.
struct Asked {
    keys: Vec<&'static Key>,
    of_table: Vec<Filter>,
    of_connections: Vec<(&'static Key, String)>,
}

/// What a tally comes to.
pub(super) struct Tallied {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
    pub(super) notes: Vec<String>,
}

/// Links of traffic whose connection a router does not tell: where it leaves, it is counted, too, so it is left out of sums
/// unless it is asked for.
#[derive(Default)]
struct Unresolved {
    links: Vec<String>,
}

impl Unresolved {
    fn of(edge: &Edge, asked: &Asked) -> Unresolved {
        let is_asked_for = asked.keys.iter().any(|key| key.name == "connection")
            || asked.of_table.iter().any(|filter| filter.column == "connection");
        let links =
            edge.iter().map(|row| row.connection.to_string()).filter(|name| !is_asked_for && name.ends_with("/unresolved"));
        Unresolved { links: links.collect() }
    }

    /// A query over the rows of a table that are (`in`), or are not (`not in`), of these links.
    fn within(&self, sql: &str, table: &str, is: &str) -> String {
        if self.links.is_empty() {
            return sql.to_owned();
        }
        let quoted: Vec<String> = self.links.iter().map(|link| format!("'{}'", link.replace('\'', "''"))).collect();
        let rows = format!("from (select * from {table} where connection {is} ({})) as {table}", quoted.join(", "));
        sql.replace(&format!("from {table}"), &rows)
    }
}

/// Columns after those of the keys.
const COLUMNS: [Column; 6] = [
    Column::new("mean", Unit::Mbps),
    Column::new("standard_error", Unit::Mbps),
    Column::new("share", Unit::Ratio),
    Column::new("bytes_estimated", Unit::Bytes),
    Column::detail("bytes_exported", Unit::Bytes),
    Column::detail("packets_estimated", Unit::Count),
];
/// Columns after these, where the range before is asked for too.
const PREVIOUS: [Column; 2] = [Column::new("previous_mean", Unit::Mbps), Column::new("growth", Unit::Ratio)];

/// Sums by key.
type Sums = BTreeMap<Vec<String>, Sum>;
/// What stands for an unknown key; no name of ours has it.
const UNKNOWN: &str = "\u{0}";

impl Tally {
    /// The keys that were asked for, or the report's own.
    pub(super) fn chosen(&self, by: &[String]) -> Result<Vec<&'static Key>, ReportError> {
        let names: Vec<&str> = if by.is_empty() { self.default.to_vec() } else { by.iter().map(String::as_str).collect() };
        let known = || self.keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ");
        let one = |name: &&str| {
            let unknown = || ReportError::Usage(format!("--by {name}: there is no such column here; give some of {}", known()));
            self.keys.iter().find(|key| key.name == *name).ok_or_else(unknown)
        };
        names.iter().map(one).collect()
    }

    /// Columns and rows of the table's traffic, the largest first, and what is to be said of them.
    pub(super) fn rows(&self, data: &mut Data, options: &Options) -> Result<Tallied, ReportError> {
        let asked = Asked { keys: self.chosen(&options.by)?, ..self.limits(&options.filters) };
        data.filter(self.table, &asked.of_table)?;
        data.register(&[self.table])?;
        if !data.has_rows(self.table) {
            return Err(data.nothing(self.table));
        }
        let edge = Edge::read(data)?;
        let unresolved = Unresolved::of(&edge, &asked);
        let mut sums = self.sums(data, &asked, &edge, &unresolved)?;
        let mut notes = self.notes(data, &unresolved)?;
        if sums.is_empty() && !unresolved.links.is_empty() {
            // There is nothing else that it could be part of.
            (sums, notes) = (self.sums(data, &asked, &edge, &Unresolved::default())?, Vec::new());
        }
        if sums.is_empty() && !options.filters.is_empty() {
            return Err(self.no_row(data, &asked, &edge, options));
        }
        let before = if options.compares_previous { self.before(data, options, &asked, &edge)? } else { None };
        let keys = &asked.keys;
        let mut columns: Vec<Column> = keys.iter().map(|key| Column::new(key.name, key.unit)).collect();
        columns.extend(COLUMNS);
        if options.compares_previous {
            columns.extend(PREVIOUS);
        }
        let seconds = data.known_seconds(self.table, STEP_US);
        let all: f64 = sums.values().map(|sum| sum.bytes_estimated).sum();
        let gone = before
            .iter()
            .flat_map(|(before, _)| before)
            .filter(|(key, _)| !sums.contains_key(*key))
            .map(|(key, _)| (key.clone(), Sum::default()));
        let mut rows: Vec<(Vec<String>, Sum)> = sums.clone().into_iter().chain(gone).collect();
        rows.sort_by(|(_, a), (_, b)| b.bytes_estimated.total_cmp(&a.bytes_estimated));
        let row = |(key, sum): (Vec<String>, Sum)| {
            let mut cells: Vec<Cell> = key.iter().zip(keys).map(|(text, key)| cell(text, key.unit)).collect();
            let known = (sum.rows_unknown == 0 || sum.bytes_estimated > 0.0).then_some(sum.bytes_estimated);
            let mbps = known.map(|bytes| bytes * 8.0 / seconds);
            cells.extend([Cell::mbps(mbps), Cell::mbps(sum.variance.sqrt() * 8.0 / seconds)]);
            cells.extend([known.filter(|_| all > 0.0).map(|bytes| bytes / all).into(), known.into()]);
            cells.extend([sum.bytes_exported.into(), sum.packets_estimated.into()]);
            if options.compares_previous {
                let rate =
                    |(before, seconds): &(Sums, f64)| before.get(&key).map_or(0.0, |sum| sum.bytes_estimated) * 8.0 / seconds;
                let previous = before.as_ref().map(rate);
                let growth = previous.filter(|bps| *bps > 0.0).zip(mbps).map(|(previous, now)| now / previous - 1.0);
                cells.extend([Cell::mbps(previous), growth.into()]);
            }
            cells
        };
        Ok(Tallied { columns, rows: rows.into_iter().map(row).collect(), notes })
    }

    /// How much has no link, where it is left out.
    fn notes(&self, data: &Data, unresolved: &Unresolved) -> Result<Vec<String>, ReportError> {
        if unresolved.links.is_empty() {
            return Ok(Vec::new());
        }
        let sql = unresolved.within(&self.sql.replace("{by}", "direction"), self.table, "in");
        let seconds = data.known_seconds(self.table, STEP_US);
        data.fold(&sql, Vec::new, |notes, batch| {
            let (directions, bytes) = (batch.texts("direction")?, batch.floats("bytes_estimated")?);
            for row in 0..batch.rows() {
                let mbps = bytes.get(row).unwrap_or(0.0) * 8.0 / seconds / 1e6;
                let which = if directions.known(row) == Direction::ToMicrosoft.name() { "to" } else { "from" };
                notes.push(format!(
                    "left out are {mbps:.0} Mbit/s {which} Microsoft whose connection a router does not tell ({}): where they cross a \
                     connection that is metered they are counted there; --by connection shows them",
                    unresolved.links.join(", ")
                ));
            }
            Ok(())
        })
    }

    /// Filters on the table's own columns, and on what connections lend to it.
    fn limits(&self, filters: &[Filter]) -> Asked {
        let lent = |filter: &&Filter| self.keys.iter().find(|key| key.name == filter.column && key.of_connection.is_some());
        let of_connections = filters.iter().filter_map(|filter| Some((lent(&filter)?, filter.value.clone()))).collect();
        let of_table = filters.iter().filter(|filter| lent(filter).is_none()).cloned().collect();
        Asked { keys: Vec::new(), of_table, of_connections }
    }

    /// The error for filters that leave nothing; the first that fits nothing on its own is named, with what there is.
    fn no_row(&self, data: &Data, asked: &Asked, edge: &Edge, options: &Options) -> ReportError {
        let known = |column: &str| -> Result<BTreeSet<String>, ReportError> {
            let mut all = Data::open(data.tables(), data.range(), &[], &options.settings)?;
            all.register(&[self.table])?;
            let sql = format!("select distinct {column} from {}", self.table);
            all.fold(&sql, BTreeSet::new, |known: &mut BTreeSet<String>, batch| {
                let texts = batch.texts(column)?;
                known.extend((0..batch.rows()).filter_map(|row| texts.get(row).map(str::to_owned)));
                Ok(())
            })
        };
        for filter in &options.filters {
            let lent =
                asked.of_connections.iter().find(|(key, _)| key.name == filter.column).and_then(|(key, _)| key.of_connection);
            let there_is = match lent {
                Some(of) => Ok(edge.iter().filter_map(|row| of(edge, &row.connection)).collect()),
                None => known(&filter.column),
            };
            match there_is {
                Ok(there_is) if !there_is.contains(&filter.value) => return no_such(filter, &there_is),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        ReportError::NoData(format!("the table {} has no rows that fit every --where in this range", self.table))
    }

    /// The sums of the range before; `None` where there is nothing of it.
    fn before(&self, data: &Data, options: &Options, asked: &Asked, edge: &Edge) -> Result<Option<(Sums, f64)>, ReportError> {
        let mut data = Data::open(data.tables(), data.range().previous(), &asked.of_table, &options.settings)?;
        data.register(&[self.table])?;
        let seconds = data.known_seconds(self.table, STEP_US);
        let unresolved = Unresolved::of(edge, asked);
        if data.has_rows(self.table) { Ok(Some((self.sums(&data, asked, edge, &unresolved)?, seconds))) } else { Ok(None) }
    }

    fn sums(&self, data: &Data, asked: &Asked, edge: &Edge, unresolved: &Unresolved) -> Result<Sums, ReportError> {
        let keys = &asked.keys;
        let mut by: Vec<&str> = keys.iter().map(|key| key.of_connection.map_or(key.name, |_| "connection")).collect();
        by.extend(asked.of_connections.iter().map(|_| "connection"));
        by.sort_unstable();
        by.dedup();
        let sql = unresolved.within(&self.sql.replace("{by}", &by.join(", ")), self.table, "not in");
        data.fold(&sql, Sums::new, |sums, batch| {
            let texts = keys
                .iter()
                .map(|key| batch.texts(key.of_connection.map_or(key.name, |_| "connection")))
                .collect::<Result<Vec<_>, _>>()?;
            let (estimated, variances) = (batch.floats("bytes_estimated")?, batch.floats("variance")?);
            let (exported, packets) = (batch.floats("bytes_exported")?, batch.floats("packets_estimated")?);
            let unknown = batch.integers("rows_unknown")?;
            let connections = if asked.of_connections.is_empty() { None } else { Some(batch.texts("connection")?) };
            let fits = |row: &usize| {
                let name = connections.as_ref().map_or("", |connections| connections.known(*row));
                let has = |(key, value): &(&Key, String)| {
                    key.of_connection.is_none_or(|of| of(edge, name).unwrap_or_default() == *value)
                };
                asked.of_connections.iter().all(has)
            };
            for row in (0..batch.rows()).filter(fits) {
                let one = |(key, texts): (&&Key, &crate::batch::Texts)| match key.of_connection {
                    Some(of) => of(edge, texts.known(row)).unwrap_or_else(|| UNKNOWN.to_owned()),
                    None => texts.get(row).unwrap_or(UNKNOWN).to_owned(),
                };
                let sum: &mut Sum = sums.entry(keys.iter().zip(&texts).map(one).collect()).or_default();
                sum.bytes_estimated += estimated.get(row).unwrap_or(0.0);
                sum.variance += variances.get(row).unwrap_or(0.0);
                sum.bytes_exported += exported.get(row).unwrap_or(0.0);
                sum.packets_estimated += packets.get(row).unwrap_or(0.0);
                sum.rows_unknown += unknown.get(row).unwrap_or(0);
            }
            Ok(())
        })
    }
}

fn cell(text: &str, unit: Unit) -> Cell {
    match (text, unit) {
        (UNKNOWN, _) => Cell::Null,
        (text, Unit::Count) => text.parse::<i64>().ok().into(),
        (text, _) => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_connection_is_told_of_is_left_out_of_sums() {
        let none = Unresolved::default();
        assert_eq!(none.within("select 1 from traffic group by 1", "traffic", "not in"), "select 1 from traffic group by 1");
        let some = Unresolved { links: vec!["192.0.2.1/unresolved".to_owned(), "it's".to_owned()] };
        assert_eq!(
            some.within("select 1 from traffic group by 1", "traffic", "not in"),
            "select 1 from (select * from traffic where connection not in ('192.0.2.1/unresolved', 'it''s')) as traffic group by 1"
        );
        // The texts of both reports are such that it can be.
        for (sql, table) in [(include_str!("../sql/traffic.sql"), "traffic"), (include_str!("../sql/prefixes.sql"), "prefixes")] {
            assert!(some.within(sql, table, "in").contains("connection in ("), "{table}");
        }
    }
}
