//! Single addresses looked up, and two tables compared, for people.

use model::{Address, Prefix};
use serde::Serialize;

use crate::Table;

/// What the lists say of an address; all but the address null where it is not Microsoft's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The address.
    pub address: Address,
    /// The prefix of the entry that decided.
    pub prefix: Option<Prefix>,
    /// Service.
    pub service: Option<String>,
    /// Region; null where global.
    pub region: Option<String>,
    /// Origin AS.
    pub origin_asn: Option<u32>,
    /// The layer that decided.
    pub source: Option<String>,
    /// Version of its list.
    pub version: Option<String>,
    /// Name of the customer, by the own prefixes.
    pub customer: Option<String>,
}

/// An address whose answer differs between two sets of lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// A prefix of either set whose first address is answered differently.
    pub prefix: Prefix,
    /// `added`, `removed` or `moved`.
    pub change: &'static str,
    /// The answer before.
    pub before: Found,
    /// The answer after.
    pub after: Found,
}

impl Table {
    /// What the lists say of an address.
    pub fn find(&self, address: Address) -> Found {
        let place = self.place(address);
        let tag = &self.names().tags[place.tag.0 as usize];
        let text = |name: &Option<model::Name>| name.as_ref().map(ToString::to_string);
        let is_microsoft = place.tag.is_microsoft();
        Found {
            address,
            prefix: place.microsoft_prefix,
            service: text(&tag.service),
            region: text(&tag.region),
            origin_asn: place.origin_asn.filter(|_| is_microsoft),
            source: is_microsoft.then(|| tag.source.to_string()),
            version: text(&tag.version),
            customer: place.own.as_ref().and_then(|own| text(&own.name)),
        }
    }
}

/// The prefixes that two sets of lists answer differently, by the first address of each prefix.
pub fn compare(before: &Table, after: &Table) -> Vec<Change> {
    let mut prefixes: Vec<Prefix> =
        [before, after].iter().flat_map(|table| table.names().places.iter().filter_map(|place| place.microsoft_prefix)).collect();
    prefixes.sort();
    prefixes.dedup();
    let mut changes = Vec::new();
    for prefix in prefixes {
        let (old, new) = (before.find(prefix.first()), after.find(prefix.first()));
        let change = match (old.source.is_some(), new.source.is_some()) {
            (false, true) => "added",
            (true, false) => "removed",
            _ if (&old.service, &old.region) != (&new.service, &new.region) => "moved",
            _ => continue,
        };
        changes.push(Change { prefix, change, before: old, after: new });
    }
    changes
}
