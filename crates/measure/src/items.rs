//! The rows of `traffic` and `prefixes` that a worker's cells count in.

use hashbrown::HashMap;

use crate::cell::OpenedCell;
use crate::cell_key::{CellKey, End};
use crate::delta::Delta;
use crate::kept::{PrefixItem, TrafficItem};
use crate::names::Names;

/// The owner's numbers for the tags and customers of one delta, each looked up once.
pub(crate) struct Items<'a> {
    delta: &'a Delta,
    tags: HashMap<u32, u32>,
    places: HashMap<(u32, End), PrefixItem>,
}

impl<'a> Items<'a> {
    pub(crate) fn of(delta: &'a Delta) -> Items<'a> {
        Items { delta, tags: HashMap::new(), places: HashMap::new() }
    }

    /// The row of `traffic` that a cell of the Microsoft end counts in; `None` is `other`.
    pub(crate) fn traffic(&mut self, names: &mut Names, key: &CellKey) -> Option<TrafficItem> {
        if key.is_other() {
            return None;
        }
        let delta = self.delta;
        let tag = *self.tags.entry(key.tag()).or_insert_with(|| match delta.names.tags.get(key.tag() as usize) {
            Some(tag) if key.tag() != 0 => names.tag(tag),
            _ => 0,
        });
        Some(TrafficItem { ip_version: key.ip_version(), tag, asn: key.asn() })
    }

    /// The row of `prefixes` that a cell counts in; `None` is `other`.
    pub(crate) fn prefix(&mut self, names: &mut Names, opened: &OpenedCell) -> Option<PrefixItem> {
        let key = &opened.key;
        if key.is_other() {
            return None;
        }
        if key.place() == 0 {
            return Some(PrefixItem { prefix: opened.prefix, asn: key.asn(), customer: 0 });
        }
        let delta = self.delta;
        let place = (key.place(), key.end());
        // A customer's AS is the list's, else the cell's own.
        let item = *self.places.entry(place).or_insert_with(|| listed(names, delta, key));
        Some(if item.asn == 0 { PrefixItem { asn: key.asn(), ..item } } else { item })
    }
}

/// What the lists say of a place; an AS of 0 is for the exporter to say.
fn listed(names: &mut Names, delta: &Delta, key: &CellKey) -> PrefixItem {
    let place = delta.names.places.get(key.place() as usize);
    let own = place.and_then(|place| place.own.as_ref());
    let microsoft = place.and_then(|place| place.microsoft_prefix);
    match (key.end(), own) {
        (End::Customer, Some(own)) => PrefixItem {
            prefix: Some(own.prefix),
            asn: own.asn.unwrap_or(0),
            customer: own.name.as_ref().map_or(0, |name| names.customer(name)),
        },
        _ => PrefixItem { prefix: microsoft, asn: 0, customer: 0 },
    }
}
