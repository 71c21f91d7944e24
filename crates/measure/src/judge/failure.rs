//! What can fail at once: a connection, a port, a router, a facility, an exchange, a metro, a risk group.

use std::collections::BTreeMap;

use model::Name;
use model::tables::ConnectionRow;

/// What a connection or transit link hangs on: what fails takes it along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub connection: Name,
    /// Its port.
    pub port: Option<Name>,
    /// Our routers that it needs: the exporters of its port.
    pub routers: Vec<Name>,
    /// Facility.
    pub facility: Option<Name>,
    /// Internet exchange.
    pub exchange: Option<Name>,
    /// Metro.
    pub metro: Option<Name>,
    /// Risk groups of the configuration.
    pub risk_groups: Vec<Name>,
}

impl Default for Place {
    fn default() -> Place {
        Place {
            connection: Name::from(""),
            port: None,
            routers: Vec::new(),
            facility: None,
            exchange: None,
            metro: None,
            risk_groups: Vec::new(),
        }
    }
}

impl From<&ConnectionRow> for Place {
    fn from(row: &ConnectionRow) -> Place {
        Place {
            connection: row.connection.clone(),
            port: row.ports.first().cloned(),
            routers: row.exporters.clone(),
            facility: row.facility.clone(),
            exchange: row.exchange.clone(),
            metro: row.location.clone(),
            risk_groups: row.risk_groups.clone().unwrap_or_default(),
        }
    }
}

/// What kind of thing fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// One connection.
    Connection,
    /// All that rides a port.
    Port,
    /// All that one of our routers holds.
    Router,
    /// All in a facility.
    Facility,
    /// All on an exchange.
    Exchange,
    /// All in a metro.
    Metro,
    /// All of a risk group of the configuration.
    RiskGroup,
    /// Any others together.
    Set,
}

impl FailureKind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            FailureKind::Connection => "connection",
            FailureKind::Port => "port",
            FailureKind::Router => "router",
            FailureKind::Facility => "facility",
            FailureKind::Exchange => "exchange",
            FailureKind::Metro => "metro",
            FailureKind::RiskGroup => "risk_group",
            FailureKind::Set => "set",
        }
    }
}

/// Something that may fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of thing.
    pub kind: FailureKind,
    /// Its name.
    pub name: Name,
    /// Places of the connections and transit links that it takes along, in order.
    pub failed: Vec<usize>,
}

/// Everything that may fail, by kind and name; each thing that takes along a connection with Microsoft.
///
/// `links` are all connections and transit links, with whether each is a connection with Microsoft: a port or router
/// takes its transit along, but one that holds transit alone is no failure of a peering.
pub fn failures<'a>(links: impl IntoIterator<Item = (&'a Place, bool)>) -> Vec<Failure> {
    let mut found: BTreeMap<(FailureKind, Name), (Vec<usize>, bool)> = BTreeMap::new();
    for (number, (place, is_peering)) in links.into_iter().enumerate() {
        let one = |kind: FailureKind| move |name: &Name| (kind, name.clone());
        let things = std::iter::once((FailureKind::Connection, place.connection.clone()))
            .chain(place.port.iter().map(one(FailureKind::Port)))
            .chain(place.routers.iter().map(one(FailureKind::Router)))
            .chain(place.facility.iter().map(one(FailureKind::Facility)))
            .chain(place.exchange.iter().map(one(FailureKind::Exchange)))
            .chain(place.metro.iter().map(one(FailureKind::Metro)))
            .chain(place.risk_groups.iter().map(one(FailureKind::RiskGroup)));
        for thing in things {
            let (failed, has_peering) = found.entry(thing).or_default();
            if failed.last() != Some(&number) {
                failed.push(number);
            }
            *has_peering |= is_peering;
        }
    }
    let of_peerings = found.into_iter().filter(|(_, (_, has_peering))| *has_peering);
    of_peerings.map(|((kind, name), (failed, _))| Failure { kind, name, failed }).collect()
}

/// The failure of whatever is named, together: connections and transit links, and else any thing of [`failures`].
///
/// # Errors
///
/// The first name that is none of these.
pub fn failure_of(links: &[(&Place, bool)], names: &[&str]) -> Result<Failure, String> {
    let things = failures(links.iter().copied());
    let mut failed: Vec<usize> = Vec::new();
    for name in names {
        let of_links = links.iter().position(|(place, _)| *place.connection == **name).map(|link| vec![link]);
        let of_things = || {
            let named = things.iter().filter(|thing| *thing.name == **name).flat_map(|thing| thing.failed.clone());
            Some(named.collect::<Vec<usize>>()).filter(|failed| !failed.is_empty())
        };
        failed.extend(of_links.or_else(of_things).ok_or_else(|| (*name).to_owned())?);
    }
    failed.sort_unstable();
    failed.dedup();
    Ok(Failure { kind: FailureKind::Set, name: Name::from(names.join(",")), failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(connection: &str, port: &str, router: &str, metro: &str) -> Place {
        let name = |text: &str| Some(Name::from(text)).filter(|name| !name.is_empty());
        Place {
            connection: connection.into(),
            port: name(port),
            routers: name(router).into_iter().collect(),
            metro: name(metro),
            risk_groups: if port == "ae1" { vec!["duct".into()] } else { Vec::new() },
            ..Place::default()
        }
    }

    #[test]
    fn everything_that_takes_a_connection_along_is_a_failure() {
        let places = [
            place("fra-1", "ae1", "r1", "Frankfurt"),
            place("fra-2", "ae2", "r1", "Frankfurt"),
            place("transit-1", "ae1", "r1", ""),
            place("transit-2", "ae3", "r2", ""),
        ];
        let links: Vec<(&Place, bool)> = places.iter().enumerate().map(|(number, place)| (place, number < 2)).collect();
        let found = failures(links.clone());
        let told: Vec<(&str, &str, &[usize])> =
            found.iter().map(|failure| (failure.kind.name(), &*failure.name, &failure.failed[..])).collect();
        assert_eq!(
            told,
            [
                ("connection", "fra-1", &[0][..]),
                ("connection", "fra-2", &[1]),
                ("port", "ae1", &[0, 2]),
                ("port", "ae2", &[1]),
                ("router", "r1", &[0, 1, 2]),
                ("metro", "Frankfurt", &[0, 1]),
                ("risk_group", "duct", &[0, 2]),
            ]
        );
        let failed = |names: &[&str]| failure_of(&links, names).map(|failure| failure.failed);
        assert_eq!(failed(&["fra-2", "transit-2"]), Ok(vec![1, 3]));
        assert_eq!(failed(&["ae1", "fra-1"]), Ok(vec![0, 2]));
        assert_eq!(failed(&["fra-1", "nowhere"]), Err("nowhere".to_owned()));
    }
}
