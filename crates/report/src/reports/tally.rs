//! Sums of traffic by columns that the reader chooses.

use std::collections::{BTreeMap, BTreeSet};

use model::Direction;

use super::Options;
use super::selection::no_such;
use crate::answer::{Cell, Column, Unit};
use crate::connections::{Edge, is_unresolved};
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

impl Sum {
    fn add(&mut self, other: &Sum) {
        self.bytes_estimated += other.bytes_estimated;
        self.variance += other.variance;
        self.bytes_exported += other.bytes_exported;
        self.packets_estimated += other.packets_estimated;
        self.rows_unknown += other.rows_unknown;
    }
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

impl Asked {
    /// Whether sums lack what no connection is told of: there is such, and rows are not asked for by connection.
    fn leaves_out(&self, edge: &Edge) -> bool {
        let is_asked_for = self.keys.iter().any(|key| key.name == "connection")
            || self.of_table.iter().any(|filter| filter.column == "connection");
        !is_asked_for && edge.iter().any(|row| is_unresolved(&row.connection))
    }
}

/// What a tally comes to.
pub(super) struct Tallied {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
    pub(super) notes: Vec<String>,
}

/// Sums, and beside them those of traffic whose connection a router does not tell: where it leaves, it is counted, too.
#[derive(Default)]
struct Gathered {
    sums: Sums,
    unresolved: Sums,
    /// Links of it, and its IP bytes by direction.
    links: BTreeSet<String>,
    bytes: BTreeMap<Direction, f64>,
}

impl Gathered {
    /// Takes in the sum of a key on a connection in a direction.
    fn add(&mut self, key: Vec<String>, sum: &Sum, unresolved: Option<(&str, Option<Direction>)>) {
        let sums = match unresolved {
            None => &mut self.sums,
            Some((link, direction)) => {
                self.links.insert(link.to_owned());
                direction.into_iter().for_each(|way| *self.bytes.entry(way).or_default() += sum.bytes_estimated);
                &mut self.unresolved
            }
        };
        sums.entry(key).or_default().add(sum);
    }

    /// The sums, and what is to be said of what is not in them. Where there is nothing else that it could be part of,
    /// nothing is left out.
    fn settle(self, seconds: f64) -> (Sums, Vec<String>) {
        if self.sums.is_empty() {
            return (self.unresolved, Vec::new());
        }
        let links: Vec<String> = self.links.into_iter().collect();
        let note = |(direction, bytes): (Direction, f64)| {
            format!(
                "left out are {:.0} Mbit/s {} whose connection a router does not tell ({}): where they cross a connection that \
                 is metered they are counted there; --by connection shows them",
                bytes * 8.0 / seconds / 1e6,
                direction.words(),
                links.join(", ")
            )
        };
        (self.sums, self.bytes.into_iter().map(note).collect())
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
        let seconds = data.known_seconds(self.table, STEP_US);
        let (sums, notes) = self.sums(data, &asked, &edge)?.settle(seconds);
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
        if !data.has_rows(self.table) {
            return Ok(None);
        }
        let (sums, _) = self.sums(&data, asked, edge)?.settle(seconds);
        Ok(Some((sums, seconds)))
    }

    fn sums(&self, data: &Data, asked: &Asked, edge: &Edge) -> Result<Gathered, ReportError> {
        let keys = &asked.keys;
        let leaves_out = asked.leaves_out(edge);
        let mut by: Vec<&str> = keys.iter().map(|key| key.of_connection.map_or(key.name, |_| "connection")).collect();
        by.extend(asked.of_connections.iter().map(|_| "connection"));
        by.extend(["connection", "direction"].into_iter().filter(|_| leaves_out));
        by.sort_unstable();
        by.dedup();
        let is_by = |column: &str| by.contains(&column);
        data.fold(&self.sql.replace("{by}", &by.join(", ")), Gathered::default, |gathered, batch| {
            let texts = keys
                .iter()
                .map(|key| batch.texts(key.of_connection.map_or(key.name, |_| "connection")))
                .collect::<Result<Vec<_>, _>>()?;
            let (estimated, variances) = (batch.floats("bytes_estimated")?, batch.floats("variance")?);
            let (exported, packets) = (batch.floats("bytes_exported")?, batch.floats("packets_estimated")?);
            let unknown = batch.integers("rows_unknown")?;
            let connections = is_by("connection").then(|| batch.texts("connection")).transpose()?;
            let directions = is_by("direction").then(|| batch.texts("direction")).transpose()?;
            let connection = |row: usize| connections.as_ref().map_or("", |connections| connections.known(row));
            let fits = |row: &usize| {
                let has = |(key, value): &(&Key, String)| {
                    key.of_connection.is_none_or(|of| of(edge, connection(*row)).unwrap_or_default() == *value)
                };
                asked.of_connections.iter().all(has)
            };
            for row in (0..batch.rows()).filter(fits) {
                let one = |(key, texts): (&&Key, &crate::batch::Texts)| match key.of_connection {
                    Some(of) => of(edge, texts.known(row)).unwrap_or_else(|| UNKNOWN.to_owned()),
                    None => texts.get(row).unwrap_or(UNKNOWN).to_owned(),
                };
                let sum = Sum {
                    bytes_estimated: estimated.get(row).unwrap_or(0.0),
                    variance: variances.get(row).unwrap_or(0.0),
                    bytes_exported: exported.get(row).unwrap_or(0.0),
                    packets_estimated: packets.get(row).unwrap_or(0.0),
                    rows_unknown: unknown.get(row).unwrap_or(0),
                };
                let direction = directions.as_ref().and_then(|directions| Direction::named(directions.known(row)));
                let is_left_out = leaves_out && is_unresolved(connection(row));
                let unresolved = is_left_out.then(|| (connection(row), direction));
                gathered.add(keys.iter().zip(&texts).map(one).collect(), &sum, unresolved);
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
    fn what_no_connection_is_told_of_is_left_out_of_sums_and_told() {
        let sum = |bytes: f64| Sum { bytes_estimated: bytes, ..Sum::default() };
        let key = || vec!["Exchange".to_owned()];
        let unresolved = || Some(("192.0.2.1/unresolved", Some(Direction::ToMicrosoft)));
        let mut both = Gathered::default();
        both.add(key(), &sum(4e6), None);
        both.add(key(), &sum(1e6), None);
        both.add(key(), &sum(2e6), unresolved());
        let (sums, notes) = both.settle(8.0);
        assert_eq!((sums[&key()].bytes_estimated, notes.len()), (5e6, 1));
        assert!(
            notes[0].starts_with("left out are 2 Mbit/s to Microsoft") && notes[0].contains("192.0.2.1/unresolved"),
            "{notes:?}"
        );
        // Alone it is part of nothing else.
        let mut alone = Gathered::default();
        alone.add(key(), &sum(2e6), unresolved());
        let (sums, notes) = alone.settle(8.0);
        assert_eq!((sums[&key()].bytes_estimated, notes), (2e6, Vec::new()));
    }
}
