//! The two legs of a record, each by the rule of its interface; a leaving one also by its next hop.

use model::{Address, MatchedBy, Metering, Record, View};

use super::ends::Ends;
use super::selector::FarEnd;
use super::{Leg, Place, Resolver};
use crate::inventory::{NONE, Rule};

/// The link that an address names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hop {
    Nothing,
    Ambiguous,
    Link { link: u32, is_bgp: bool },
}

/// What the next hop of a record names.
#[derive(Clone, Copy, Debug)]
enum Named {
    /// No link.
    Nothing,
    /// This one.
    Link(Place),
    /// Several, and nothing tells which.
    Ambiguous,
    /// One, but the record came from another router of ours, which has counted it.
    CountedElsewhere,
}

impl Resolver {
    /// Where the leg over the input interface counts: it comes from Microsoft.
    #[inline]
    pub(super) fn entering(&mut self, record: &Record, ends: Ends, leg: Leg) -> Option<Place> {
        let place = |link, matched_by| Some(Place { link, view: leg.view, matched_by });
        match self.exporters[leg.exporter].slots[leg.slot].rule {
            Rule::All(link) => place(link, MatchedBy::Interface),
            Rule::Select(selector) => {
                let far = FarEnd { mac: record.source_mac, vlan: record.vlan, address: record.source, ..FarEnd::default() };
                self.select(selector, &far, ends.source, leg)
            }
            Rule::ByTag(link) | Rule::Rest(link) if ends.source => place(link, MatchedBy::Tag),
            Rule::Unknown if ends.source => Some(self.interface(leg)),
            Rule::Absent if ends.source => Some(self.unresolved(leg.exporter)),
            Rule::Overflow if ends.source => Some(self.overflow(leg.exporter)),
            _ => None,
        }
    }

    /// Where the leg over the output interface counts: it goes to Microsoft.
    #[inline]
    pub(super) fn leaving(&mut self, record: &Record, ends: Ends, leg: Leg, input: usize) -> Option<Place> {
        let place = |link, matched_by| Some(Place { link, view: leg.view, matched_by });
        let rule = self.exporters[leg.exporter].slots[leg.slot].rule;
        match rule {
            Rule::All(link) => return place(link, MatchedBy::Interface),
            Rule::ByTag(link) => return if ends.destination { place(link, MatchedBy::Tag) } else { None },
            Rule::Select(selector) => {
                let far = FarEnd {
                    mac: record.destination_mac,
                    vlan: record.vlan,
                    next_hop: record.next_hop,
                    bgp_next_hop: record.bgp_next_hop,
                    address: record.destination,
                };
                let found = self.select(selector, &far, ends.destination, leg);
                if let Some(Place { link, matched_by: MatchedBy::NextHop | MatchedBy::BgpNextHop, .. }) = found {
                    self.note_hop(leg, link, record, false);
                }
                return found;
            }
            _ => {}
        }
        match self.named_by_next_hop(record, ends, leg, input) {
            Named::Link(found) if ends.destination || !self.is_by_tag(found.link) => return Some(found),
            Named::CountedElsewhere => return None,
            Named::Ambiguous if ends.destination => {
                self.exporters[leg.exporter].ambiguous_records += 1;
                return Some(self.unresolved(leg.exporter));
            }
            Named::Link(_) | Named::Ambiguous | Named::Nothing => {}
        }
        match rule {
            _ if !ends.destination => None,
            Rule::Rest(link) => place(link, MatchedBy::Tag),
            Rule::Unknown => Some(self.interface(leg)),
            Rule::Absent => Some(self.unresolved(leg.exporter)),
            Rule::Overflow => Some(self.overflow(leg.exporter)),
            _ => None,
        }
    }

    /// A leg over a port of several links: the one that the record names, else the port's rest.
    fn select(&self, selector: u32, far: &FarEnd, is_microsoft: bool, leg: Leg) -> Option<Place> {
        let selector = &self.inventory.selectors[selector as usize];
        match selector.pick(far) {
            Some((link, matched_by)) if is_microsoft || !self.is_by_tag(link) => Some(Place { link, view: leg.view, matched_by }),
            Some(_) => None,
            None if is_microsoft || selector.is_all_direct => {
                Some(Place { link: selector.rest, view: leg.view, matched_by: selector.rest_matched_by.into() })
            }
            None => None,
        }
    }

    /// The link that the next hop names.
    ///
    /// Where this exporter holds the link, or nobody is known to and it is the IP next hop, which is
    /// that of a neighbour, the record is of the link's own router. Else it is of another router, and
    /// counts there only if it entered our network there.
    fn named_by_next_hop(&mut self, record: &Record, ends: Ends, leg: Leg, input: usize) -> Named {
        if self.inventory.next_hops.is_empty() && self.inventory.routers.is_empty() {
            return Named::Nothing;
        }
        let state = &self.exporters[leg.exporter];
        let is_internal = state.slots[input].rule == Rule::Internal;
        let holder = state.plan.map_or(NONE, |plan| plan as u32);
        match self.hop(record, ends, holder) {
            Hop::Link { link, is_bgp } => {
                let matched_by = if is_bgp { MatchedBy::BgpNextHop } else { MatchedBy::NextHop };
                let held_by = self.inventory.details[link as usize].holder;
                let is_own = (holder != NONE && held_by == holder) || (!is_bgp && held_by == NONE);
                self.note_hop(leg, link, record, is_bgp);
                self.seen_from(is_own, Place { link, view: leg.view, matched_by }, record, leg.exporter, input)
            }
            Hop::Ambiguous if is_internal => Named::CountedElsewhere,
            Hop::Ambiguous => Named::Ambiguous,
            Hop::Nothing => Named::Nothing,
        }
    }

    /// The link that the IP next hop, or else the BGP next hop, is a session address of; or the only
    /// one of the router of ours that it is.
    ///
    /// A router of ours leads to other networks as well, so there the tag must say that it is
    /// Microsoft's; and where the BGP next hop is known, it alone says through which router.
    pub(super) fn hop(&self, record: &Record, ends: Ends, holder: u32) -> Hop {
        let router = if record.bgp_next_hop.is_unknown() { record.next_hop } else { record.bgp_next_hop };
        let router = if ends.destination { router } else { Address::UNKNOWN };
        let (sessions, routers) = (&self.inventory.next_hops, &self.inventory.routers);
        let mut found = Hop::Nothing;
        for (links, address, is_bgp) in
            [(sessions, record.next_hop, false), (sessions, record.bgp_next_hop, true), (routers, router, true)]
        {
            let links = if address.is_unknown() { None } else { links.get(&address) };
            let Some(links) = links.map(Vec::as_slice) else { continue };
            if let [link] = links {
                return Hop::Link { link: *link, is_bgp };
            }
            let mut held = links.iter().filter(|link| holder != NONE && self.inventory.details[**link as usize].holder == holder);
            match (held.next(), held.next()) {
                (Some(link), None) => return Hop::Link { link: *link, is_bgp },
                _ => found = Hop::Ambiguous,
            }
        }
        found
    }

    fn seen_from(&self, is_own: bool, place: Place, record: &Record, exporter: usize, input: usize) -> Named {
        let state = &self.exporters[exporter];
        if is_own {
            return Named::Link(place);
        }
        // Another router that meters both sides shows the packet twice: once is at its entry.
        let is_second = record.metering == Metering::Egress && state.metered[Metering::Ingress as usize] > 0;
        if is_second || state.slots[input].rule == Rule::Internal {
            return Named::CountedElsewhere;
        }
        Named::Link(Place { view: View::OtherRouter, ..place })
    }

    pub(super) fn is_by_tag(&self, link: u32) -> bool {
        self.inventory.details.get(link as usize).is_none_or(|detail| detail.is_by_tag)
    }
}
