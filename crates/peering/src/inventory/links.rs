//! Connections and transit made links.

use std::sync::Arc;

use hashbrown::HashSet;
use model::{Link, Name, Role};

use super::build::Builder;
use super::{BillDetail, LinkDetail, NONE, name};
use crate::config::{ConnectionConfig, TransitConfig};
use crate::peerings::{Peering, PeeringConnection};

/// Largest VLAN identifier (IEEE 802.1Q).
const VLAN_MAX: u16 = 4_094;

/// A connection of Azure's list, and what of the configuration goes with it.
struct Listed<'a> {
    peering: &'a Peering,
    connection: &'a PeeringConnection,
}

impl<'a> Builder<'a> {
    /// Makes a link of every connection and transit link.
    pub(super) fn links(&mut self) {
        let config = self.config;
        let mut bound = HashSet::new();
        for connection in &config.connection {
            self.connection(connection, &mut bound);
        }
        for peering in self.peerings {
            for (index, connection) in peering.connections.iter().enumerate() {
                if !bound.contains(&std::ptr::from_ref(connection)) {
                    self.unbound(Listed { peering, connection }, index);
                }
            }
        }
        for transit in &config.transit {
            self.transit(transit);
        }
    }

    fn connection(&mut self, config: &ConnectionConfig, bound: &mut HashSet<*const PeeringConnection>) {
        let place = match (&config.name, &config.azure) {
            (Some(text), _) | (None, Some(text)) => format!("[[connection]] \"{text}\""),
            (None, None) => {
                self.error(
                    "[[connection]] has neither name nor azure; give it a name, or the connectionIdentifier of Azure's list"
                        .to_owned(),
                );
                return;
            }
        };
        let Ok(listed) = self.listed(&place, config.azure.as_deref(), bound) else { return };
        let role = config.role.unwrap_or_else(|| listed.as_ref().map_or(Role::Other, |listed| role_of(listed.peering)));
        if !matches!(role, Role::Direct | Role::Exchange) && (config.role.is_some() || listed.is_none()) {
            self.error(format!("{place}: role must be \"direct\" or \"exchange\" (transit has its own section)"));
        }
        let port = self.port_of(&place, config.port.as_deref());
        let (mut link, mut detail) = listed.as_ref().map_or_else(|| (plain_link(), LinkDetail::default()), describe);
        let text =
            config.name.clone().unwrap_or_else(|| listed.as_ref().map_or_else(String::new, |listed| default_name(listed, 0)));
        link.role = role;
        link.is_active &= listed.is_none() || detail.state.as_deref() == Some("Active");
        link.peering = config.peering.as_deref().map(name).or(link.peering);
        link.location = config.location.as_deref().map(name).or(link.location);
        detail.facility = config.facility.as_deref().map(name).or(detail.facility);
        detail.exchange = config.exchange.as_deref().map(name).or(detail.exchange);
        for address in &config.microsoft_addresses {
            let session = if address.is_v4() { &mut detail.session_v4 } else { &mut detail.session_v6 };
            session.get_or_insert(*address);
            if address.is_unknown() {
                self.error(format!("{place}: {address} is no address of a router"));
            } else if !detail.addresses.contains(address) {
                detail.addresses.push(*address);
            }
        }
        detail.macs.clone_from(&config.microsoft_macs);
        detail.vlan = config.vlan;
        detail.port = port;
        self.check_vlan(&place, config.vlan);
        if config.port.is_none() && !config.interfaces.is_empty() {
            self.error(format!("{place} has interfaces but no port; name the [[port]] that they are part of"));
        }
        if role == Role::Exchange
            && config.port.is_some()
            && detail.addresses.is_empty()
            && detail.macs.is_empty()
            && detail.vlan.is_none()
        {
            self.note(format!(
                "{place} has neither session address, microsoft_macs nor vlan: all of its traffic goes to the port's unidentified rest"
            ));
        }
        let index = self.add_link("connection", &text, link, detail, true);
        if port != NONE && !config.interfaces.is_empty() {
            self.own_interfaces.push((index, config.interfaces.clone()));
        }
    }

    /// What Azure's list says of a connection that refers to it; an error was told if it is not there.
    fn listed(
        &mut self,
        place: &str,
        wanted: Option<&str>,
        bound: &mut HashSet<*const PeeringConnection>,
    ) -> Result<Option<Listed<'a>>, ()> {
        let Some(wanted) = wanted else { return Ok(None) };
        let Some(found) = find_listed(self.peerings, wanted) else {
            self.error(format!(
                "{place}: \"{wanted}\" is in no imported list; import Azure's list again with `peerscope peerings import`, or correct the identifier"
            ));
            return Err(());
        };
        if !bound.insert(std::ptr::from_ref(found.connection)) {
            self.error(format!("{place}: \"{wanted}\" is bound twice; leave it with one [[connection]]"));
        }
        Ok(Some(found))
    }

    /// A connection of Azure's list that no section of the configuration binds to a port.
    fn unbound(&mut self, listed: Listed<'_>, index: usize) {
        let mut text = default_name(&listed, index);
        if self.link_names.contains(&text) {
            text = format!("{text}#{}", index + 1);
        }
        let (link, detail) = describe(&listed);
        self.add_link("connection", &text, link, detail, true);
    }

    fn transit(&mut self, config: &TransitConfig) {
        let place = format!("[[transit]] \"{}\"", config.name);
        let port = self.port_of(&place, Some(&config.port));
        self.check_vlan(&place, config.vlan);
        if config.price.is_some_and(|price| !price.is_finite() || price < 0.0) {
            self.error(format!("{place}: price is not a positive number; give the price of a Mbit/s and month"));
        }
        if config.commit_mbps.is_some_and(|commit| !commit.is_finite() || commit < 0.0) {
            self.error(format!("{place}: commit_mbps is not a positive number; give the Mbit/s that are paid for anyway"));
        }
        let charged = config.charged.map(|charged| name(charged.name()));
        let time_zone = config.time_zone.as_deref().map(name);
        let bill = BillDetail { commit_mbps: config.commit_mbps, charged, time_zone };
        let link = Link { role: Role::Transit, location: config.location.as_deref().map(name), ..plain_link() };
        let detail = LinkDetail {
            addresses: config.next_hops.clone(),
            vlan: config.vlan,
            price: config.price,
            bill,
            port,
            is_by_tag: true,
            ..LinkDetail::default()
        };
        self.add_link("transit", &config.name, link, detail, true);
    }

    /// Writes the risk groups to their connections and transit links.
    pub(super) fn risk_groups(&mut self) {
        let config = self.config;
        let mut names: HashSet<&str> = HashSet::new();
        for group in &config.risk_group {
            self.check_name("risk_group", &group.name);
            if !names.insert(&group.name) {
                self.error(format!("[[risk_group]] \"{}\" is there twice; give each its own name", group.name));
            }
            if group.connections.is_empty() {
                self.error(format!("[[risk_group]] \"{}\" has no connections; list those that fail together", group.name));
            }
            for connection in &group.connections {
                let link = self.inventory.directory.links.iter().position(|link| *link.name == **connection);
                let detail = link.and_then(|link| self.inventory.details.get_mut(link)).filter(|detail| detail.is_named);
                match detail {
                    Some(detail) => detail.risk_groups.push(name(&group.name)),
                    None => self.error(format!(
                        "[[risk_group]] \"{}\": \"{connection}\" is neither a connection nor a transit link; add it or correct it",
                        group.name
                    )),
                }
            }
        }
        for detail in &mut self.inventory.details {
            detail.risk_groups.sort();
            detail.risk_groups.dedup();
        }
    }

    /// A link for the rest of a port: what is Microsoft's and no connection's.
    pub(super) fn rest_link(&mut self, text: String, role: Role, port: u32) -> u32 {
        if let Some(index) = self.inventory.directory.links.iter().position(|link| *link.name == *text) {
            let is_rest = !self.inventory.details[index].is_named;
            if is_rest {
                return index as u32;
            }
        }
        let link = Link { role, is_active: false, ..plain_link() };
        self.add_link("port", &text, link, LinkDetail { port, is_by_tag: true, ..LinkDetail::default() }, false)
    }

    fn add_link(&mut self, section: &str, text: &str, mut link: Link, mut detail: LinkDetail, is_named: bool) -> u32 {
        self.check_name(section, text);
        if !self.link_names.insert(text.to_owned()) {
            self.error(format!("[[{section}]] \"{text}\": another link has this name; give each its own"));
        }
        let index = self.inventory.directory.links.len() as u32;
        link.name = name(text);
        link.exchange = detail.exchange.clone();
        detail.is_named = is_named;
        detail.is_by_tag |= matches!(link.role, Role::Transit | Role::Other);
        detail.holder = self.holder_of(detail.port);
        if detail.port != NONE {
            let port = &self.inventory.directory.ports[detail.port as usize];
            link.port = Some(port.name.clone());
            link.exporters = vec![port.exporter];
            if is_named {
                self.links_of_port[detail.port as usize].push(index);
            }
        }
        self.inventory.directory.links.push(Arc::new(link));
        self.inventory.details.push(detail);
        index
    }

    fn port_of(&mut self, place: &str, port: Option<&str>) -> u32 {
        let Some(text) = port else { return NONE };
        match self.port_by_name.get(text) {
            Some(index) => *index,
            None => {
                // A port with an error of its own is told of there.
                if !self.config.port.iter().any(|port| port.name == text) {
                    self.error(format!(
                        "{place}: port \"{text}\" is not configured; add a [[port]] with that name, or correct it"
                    ));
                }
                NONE
            }
        }
    }

    pub(super) fn check_vlan(&mut self, place: &str, vlan: Option<u16>) {
        if vlan.is_some_and(|vlan| vlan == 0 || vlan > VLAN_MAX) {
            self.error(format!("{place}: vlan is out of range: give 1 to {VLAN_MAX}"));
        }
    }
}

/// The connection of Azure's list with this connectionIdentifier or microsoftTrackingId.
fn find_listed<'a>(peerings: &'a [Peering], wanted: &str) -> Option<Listed<'a>> {
    let is_wanted = |id: &Option<String>| id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(wanted));
    peerings.iter().find_map(|peering| {
        let connection =
            peering.connections.iter().find(|connection| is_wanted(&connection.id) || is_wanted(&connection.tracking_id))?;
        Some(Listed { peering, connection })
    })
}

/// The role that Azure's kind gives.
fn role_of(peering: &Peering) -> Role {
    match peering.kind.as_str() {
        "Direct" => Role::Direct,
        "Exchange" => Role::Exchange,
        _ => Role::Other,
    }
}

/// A link of which nothing is known.
fn plain_link() -> Link {
    Link {
        name: name(""),
        peering: None,
        kind: None,
        role: Role::Other,
        location: None,
        exchange: None,
        port: None,
        exporters: Vec::new(),
        is_active: true,
    }
}

/// The name of a connection that nobody named: stable while Azure keeps its identifiers.
fn default_name(listed: &Listed<'_>, index: usize) -> String {
    let Listed { peering, connection } = listed;
    let short = |id: &String| id.chars().take(8).collect::<String>();
    let part = connection.tracking_id.clone().or_else(|| connection.id.as_ref().map(short));
    format!("{}/{}", peering.name, part.unwrap_or_else(|| (index + 1).to_string()))
}

/// What Azure's list says of a connection.
fn describe(listed: &Listed<'_>) -> (Link, LinkDetail) {
    let Listed { peering, connection } = listed;
    let text = |text: &Option<String>| -> Option<Name> { text.as_deref().map(name) };
    let link = Link {
        peering: Some(name(&peering.name)),
        kind: Some(name(&peering.kind)),
        role: role_of(peering),
        location: text(&peering.location),
        is_active: connection.is_active(),
        ..plain_link()
    };
    let number = connection.peeringdb_id.map(|id| id.to_string());
    let is_exchange = link.role == Role::Exchange;
    let place = |kind: &str| number.as_ref().map(|number| name(&format!("peeringdb:{kind}:{number}")));
    let (v4, v6) = (connection.v4.as_ref(), connection.v6.as_ref());
    let detail = LinkDetail {
        facility: if is_exchange { None } else { place("fac") },
        exchange: if is_exchange { place("ix") } else { None },
        azure_id: text(&connection.id),
        state: text(&connection.state),
        session_v4: v4.and_then(|session| session.microsoft),
        session_v6: v6.and_then(|session| session.microsoft),
        session_state_v4: v4.and_then(|session| text(&session.state)),
        session_state_v6: v6.and_then(|session| text(&session.state)),
        provisioned_bps: connection.provisioned_bps,
        addresses: connection.microsoft_addresses().collect(),
        tracking_id: text(&connection.tracking_id),
        is_peering_service: connection.is_peering_service,
        max_prefixes_v4: v4.and_then(|session| session.prefixes_max),
        max_prefixes_v6: v6.and_then(|session| session.prefixes_max),
        port: NONE,
        ..LinkDetail::default()
    };
    (link, detail)
}
