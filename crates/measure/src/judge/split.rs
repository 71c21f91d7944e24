//! What prefixes of ours have from Microsoft on each connection at present, by the rows of late.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::tables::PrefixRow;
use model::time::HOUR_US;
use model::{Direction, Name};

use super::{Fall, Network, PrefixLoad};

/// How long a connection's last rows count as present, beside the newest of all.
const PRESENT_US: i64 = HOUR_US;
/// What in the column `prefix` is none.
const NO_PREFIXES: [&str; 2] = ["other", "unknown"];

/// The latest detail window of each connection.
#[derive(Debug, Default)]
pub struct Split {
    held: BTreeMap<Name, Latest>,
}

/// A connection's latest window: its start, and IP bytes by prefix.
#[derive(Debug, Default)]
struct Latest {
    window_us: i64,
    prefixes: Vec<(Name, f64)>,
}

/// What one connection carries, by the number of the prefix: IP bytes in five minutes.
#[derive(Clone, Debug, PartialEq)]
pub struct Portion {
    /// The connection.
    pub connection: Name,
    /// Number of the prefix, the same on all connections, and its bytes.
    pub prefixes: Vec<(usize, f64)>,
}

/// What failures are judged by that lie ahead: what earlier ones did, and what goes where at present.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    /// Earlier failovers.
    pub falls: Arc<[Fall]>,
    /// The present split.
    pub split: Arc<[Portion]>,
}

impl Split {
    /// Takes in the rows of a detail window; says whether anything of it counts.
    pub fn take(&mut self, rows: &[PrefixRow]) -> bool {
        let counts = |row: &&PrefixRow| {
            &*row.side == "customer" && &*row.direction == Direction::FromMicrosoft.name() && !NO_PREFIXES.contains(&&*row.prefix)
        };
        let mut has_news = false;
        // The rows of one connection stand together.
        for of_one in rows.chunk_by(|one, next| one.connection == next.connection) {
            let bytes = |row: &PrefixRow| Some((row.prefix.clone(), row.bytes_estimated.filter(|bytes| *bytes > 0.0)?));
            let prefixes: Vec<(Name, f64)> = of_one.iter().filter(counts).filter_map(bytes).collect();
            let Some(first) = of_one.first().filter(|_| !prefixes.is_empty()) else { continue };
            let (window_us, latest) = (first.window_start.0, self.held.entry(first.connection.clone()).or_default());
            if latest.prefixes.is_empty() || window_us >= latest.window_us {
                *latest = Latest { window_us, prefixes };
                has_news = true;
            }
        }
        let newest_us = self.held.values().map(|latest| latest.window_us).max().unwrap_or(i64::MIN);
        self.held.retain(|_, latest| latest.window_us >= newest_us.saturating_sub(PRESENT_US));
        has_news
    }

    /// What each connection carries, in the order of their names.
    pub fn list(&self) -> Vec<Portion> {
        let mut numbers: HashMap<&Name, usize> = HashMap::new();
        let mut portions = Vec::with_capacity(self.held.len());
        for (connection, latest) in &self.held {
            let mut prefixes = Vec::with_capacity(latest.prefixes.len());
            for (prefix, bytes) in &latest.prefixes {
                let next = numbers.len();
                prefixes.push((*numbers.entry(prefix).or_insert(next), *bytes));
            }
            portions.push(Portion { connection: connection.clone(), prefixes });
        }
        portions
    }
}

impl Network {
    /// The same network, judged by that; earlier failovers count whenever their connections were built.
    pub fn judged_by(self, basis: &Basis) -> Network {
        let places: HashMap<&Name, usize> =
            self.connections.iter().enumerate().map(|(place, connection)| (&connection.place.connection, place)).collect();
        let mut loads = Vec::new();
        if self.direction == Direction::FromMicrosoft {
            for portion in basis.split.iter() {
                let Some(connection) = places.get(&portion.connection).copied() else { continue };
                loads.extend(portion.prefixes.iter().map(|(prefix, bytes)| PrefixLoad {
                    prefix: *prefix,
                    connection,
                    bytes: *bytes,
                }));
            }
        }
        self.with_prefixes(&loads).with_falls(&basis.falls, |_| None)
    }
}

#[cfg(test)]
mod tests {
    use model::time::{DETAIL_WINDOW_US, SECOND_US};

    use super::super::{Connection, Origin, Place, Port};
    use super::*;

    fn row(connection: &str, window: i64, side: &str, prefix: &str, bytes: f64) -> PrefixRow {
        PrefixRow {
            window_start: (window * DETAIL_WINDOW_US).into(),
            window_seconds: DETAIL_WINDOW_US / SECOND_US,
            connection: connection.into(),
            direction: Direction::FromMicrosoft.name().into(),
            side: side.into(),
            prefix: prefix.into(),
            customer: None,
            asn: None,
            bytes_exported: 0,
            bytes_estimated: Some(bytes),
            packets_estimated: None,
            bytes_standard_error: None,
        }
    }

    #[test]
    fn the_latest_window_of_each_connection_counts() {
        let mut split = Split::default();
        assert!(split.take(&[
            row("a", 1, "customer", "p", 5.0),
            row("a", 1, "customer", "q", 1.0),
            row("b", 1, "customer", "q", 2.0)
        ]));
        // A revision, a later window of one, and rows that say nothing of prefixes of ours.
        assert!(split.take(&[row("a", 1, "customer", "p", 6.0)]));
        assert!(split.take(&[row("b", 2, "customer", "p", 3.0)]));
        assert!(!split.take(&[
            row("b", 0, "customer", "p", 9.0),
            row("c", 2, "microsoft", "p", 9.0),
            row("d", 2, "customer", "other", 9.0)
        ]));
        let portion =
            |connection: &str, prefixes: &[(usize, f64)]| Portion { connection: connection.into(), prefixes: prefixes.to_vec() };
        assert_eq!(split.list(), [portion("a", &[(0, 6.0)]), portion("b", &[(0, 3.0)])]);
        // What has been silent for an hour is past.
        assert!(split.take(&[row("b", 14, "customer", "q", 3.0)]));
        assert_eq!(split.list(), [portion("b", &[(0, 3.0)])]);
    }

    #[test]
    fn a_prefix_goes_where_it_goes_already() {
        let mut split = Split::default();
        let carried = [("a", "p", 8.0), ("a", "q", 2.0), ("b", "q", 1.0), ("c", "p", 4.0)];
        let rows = carried.map(|(connection, prefix, bytes)| row(connection, 1, "customer", prefix, bytes));
        assert!(split.take(&rows));
        let basis = Basis { split: split.list().into(), ..Basis::default() };
        let network = |direction| {
            let connection = |(port, name): (usize, &str)| {
                let place = Place { connection: name.into(), metro: Some("fra".into()), ..Place::default() };
                Connection { place, port, wire_bps: vec![1.0], ..Connection::default() }
            };
            let ports = vec![Port { capacity_bps: Some(10.0), wire_bps: vec![1.0] }; 3];
            Network::new(direction, 1.0, ports, ["a", "b", "c"].into_iter().enumerate().map(connection).collect())
        };
        let shares = network(Direction::FromMicrosoft).judged_by(&basis).shares(0, &[true, false, false]).unwrap();
        let taken: Vec<(usize, f64)> = shares.shares.iter().map(|share| (share.to, share.share)).collect();
        assert_eq!((shares.origin, taken), (Origin::Split, vec![(1, 0.2), (2, 0.8)]));
        // Where we choose the exit, Microsoft's choice says nothing.
        let shares = network(Direction::ToMicrosoft).judged_by(&basis).shares(0, &[true, false, false]).unwrap();
        assert_eq!(shares.shares.iter().map(|share| share.share).collect::<Vec<_>>(), [0.5, 0.5]);
    }
}
