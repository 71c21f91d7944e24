//! Which of a port's links a record belongs to: by MAC, VLAN, next hop, session address.

use model::{Address, Mac, MatchedBy};

use crate::inventory::LinkDetail;

/// What a record says of the far end of a leg.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FarEnd {
    /// Ethernet address of the neighbour: the source's of what enters, the destination's of what leaves.
    pub(crate) mac: Mac,
    pub(crate) vlan: u16,
    /// IP and BGP next hop; unknown for what enters, whose next hop is on our side.
    pub(crate) next_hop: Address,
    pub(crate) bgp_next_hop: Address,
    /// The packet's own address at the far end.
    pub(crate) address: Address,
}

/// The links of one port, told apart; a handful, so lists are searched from the front.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    macs: Vec<(Mac, u32)>,
    /// VLANs that are one link's alone.
    vlans: Vec<(u16, u32)>,
    addresses: Vec<(Address, u32)>,
    /// Links that say their MACs: a record with another MAC is not theirs, whatever its VLAN.
    with_mac: Vec<u32>,
    /// Where the rest goes.
    pub(crate) rest: u32,
    /// Only Direct connections ride the port: the rest is Microsoft's whatever its tag.
    pub(crate) is_all_direct: bool,
    /// By what the rest is said to be matched.
    pub(crate) rest_matched_by: MatchedByRest,
}

/// By what a rest is said to be matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MatchedByRest {
    /// By tag, on an exchange.
    Tag,
    /// Ambiguous.
    #[default]
    Unresolved,
}

impl From<MatchedByRest> for MatchedBy {
    fn from(rest: MatchedByRest) -> MatchedBy {
        match rest {
            MatchedByRest::Tag => MatchedBy::Tag,
            MatchedByRest::Unresolved => MatchedBy::Unresolved,
        }
    }
}

impl Selector {
    /// A selector among `links`. What several of them share tells none of them.
    pub(crate) fn new(links: &[(u32, &LinkDetail)], rest: u32, is_all_direct: bool, has_exchange: bool) -> Selector {
        let mut selector = Selector {
            rest,
            is_all_direct,
            rest_matched_by: if has_exchange { MatchedByRest::Tag } else { MatchedByRest::Unresolved },
            ..Selector::default()
        };
        for (link, detail) in links {
            selector.macs.extend(detail.macs.iter().map(|mac| (*mac, *link)));
            selector.vlans.extend(detail.vlan.map(|vlan| (vlan, *link)));
            selector.addresses.extend(detail.addresses.iter().map(|address| (*address, *link)));
            if !detail.macs.is_empty() {
                selector.with_mac.push(*link);
            }
        }
        keep_unique(&mut selector.macs);
        keep_unique(&mut selector.vlans);
        keep_unique(&mut selector.addresses);
        selector
    }

    /// The link that the far end names, and by what.
    pub(crate) fn pick(&self, far: &FarEnd) -> Option<(u32, MatchedBy)> {
        if !far.mac.is_unknown()
            && let Some(link) = find(&self.macs, far.mac)
        {
            return Some((link, MatchedBy::Mac));
        }
        let is_possible = |link: u32| far.mac.is_unknown() || !self.with_mac.contains(&link);
        let by_vlan = if far.vlan == 0 { None } else { find(&self.vlans, far.vlan) };
        if let Some(link) = by_vlan.filter(|link| is_possible(*link)) {
            return Some((link, MatchedBy::Vlan));
        }
        let by_address = |address: Address| if address.is_unknown() { None } else { find(&self.addresses, address) };
        by_address(far.next_hop)
            .map(|link| (link, MatchedBy::NextHop))
            .or_else(|| by_address(far.bgp_next_hop).map(|link| (link, MatchedBy::BgpNextHop)))
            .or_else(|| by_address(far.address).map(|link| (link, MatchedBy::SessionAddress)))
    }
}

fn find<K: Copy + PartialEq>(entries: &[(K, u32)], key: K) -> Option<u32> {
    entries.iter().find(|(other, _)| *other == key).map(|(_, link)| *link)
}

fn keep_unique<K: Copy + PartialEq>(entries: &mut Vec<(K, u32)>) {
    let all = entries.clone();
    entries.retain(|(key, link)| all.iter().all(|(other_key, other)| other_key != key || other == link));
}
