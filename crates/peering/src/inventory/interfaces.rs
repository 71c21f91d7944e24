//! Interfaces bound to ports and links.

use std::sync::Arc;

use model::Role;
use model::link::Member;
use model::record::Metering;

use super::build::Builder;
use super::{CounterPlan, ExporterPlan, FlowPlan, LinkDetail, NONE, PortDetail, Rule, name};
use crate::config::InterfaceRef;
use crate::resolver::selector::Selector;

impl ExporterPlan {
    /// The index of an interface, where the configuration or the table says it.
    pub(crate) fn index_of(&self, interface: &InterfaceRef) -> Option<u32> {
        match interface {
            InterfaceRef::Index(index) => Some(*index),
            InterfaceRef::Name(wanted) => {
                // The smallest, so that a table with a name twice reads the same every time.
                self.table.iter().filter(|(_, (name, _))| name == wanted).map(|(index, _)| *index).min()
            }
        }
    }

    /// Speed of a port by the table: its own interface's, else its members' together, in bit/s.
    pub(super) fn speed_bps(&self, port: &PortDetail) -> Option<u64> {
        let speed = |interface: &InterfaceRef| self.table.get(&self.index_of(interface)?)?.1;
        let own = port.counters.iter().chain(&port.interfaces).find_map(speed);
        own.or_else(|| port.members.iter().map(speed).sum::<Option<u64>>().filter(|sum| *sum > 0))
    }

    /// A member of a bundle, where its index is known.
    pub(super) fn member(&self, member: &InterfaceRef) -> Option<Member> {
        let interface = self.index_of(member)?;
        let by_table = self.table.get(&interface).map(|(text, _)| name(text));
        let by_config = match member {
            InterfaceRef::Name(text) => Some(name(text)),
            InterfaceRef::Index(_) => None,
        };
        Some(Member { interface, name: by_config.or(by_table) })
    }
}

impl Builder<'_> {
    /// Gives each interface its rule, each port its role.
    pub(super) fn bind_interfaces(&mut self) {
        for port in 0..self.inventory.directory.ports.len() {
            self.bind_port(port);
        }
        for exporter in &self.config.exporter {
            let Some(plan) = self.exporter_by_name.get(&exporter.name).copied() else { continue };
            for interface in &exporter.internal_interfaces {
                let internal = FlowPlan { rule: Rule::Internal, port: NONE, metering: Metering::Unstated };
                self.bind_flow(plan, interface, internal, &format!("[[exporter]] \"{}\"", exporter.name));
            }
        }
    }

    fn bind_port(&mut self, port: usize) {
        let detail = self.inventory.ports[port].clone();
        let port_name = self.inventory.directory.ports[port].name.clone();
        let place = format!("[[port]] \"{port_name}\"");
        let metering = self.config.port.iter().find(|config| *config.name == *port_name).and_then(|config| config.metering);
        let metering = metering.map_or(Metering::Unstated, Metering::from);
        let links = self.links_of_port[port].clone();
        let own: Vec<(u32, Vec<InterfaceRef>)> =
            self.own_interfaces.iter().filter(|(link, _)| links.contains(link)).cloned().collect();
        for (link, interfaces) in &own {
            let rule = self.rule_of_one(*link, port as u32);
            for interface in interfaces {
                self.bind_flow(detail.holder, interface, FlowPlan { rule, port: port as u32, metering }, &place);
            }
        }
        let shared: Vec<u32> = links.iter().copied().filter(|link| !own.iter().any(|(other, _)| other == link)).collect();
        let rule = self.rule_of(port, &shared, !own.is_empty());
        for interface in &detail.interfaces {
            if !own.iter().any(|(_, interfaces)| interfaces.contains(interface)) {
                self.bind_flow(detail.holder, interface, FlowPlan { rule, port: port as u32, metering }, &place);
            }
        }
        for (interfaces, is_member) in [(&detail.counters, false), (&detail.members, true)] {
            for interface in interfaces {
                self.bind_counter(detail.holder, interface, CounterPlan { port: port as u32, is_member }, &place);
            }
        }
        self.describe_port(port, &links);
    }

    /// Role, and what Azure has provisioned for its Active connections.
    fn describe_port(&mut self, port: usize, links: &[u32]) {
        let directory = &mut self.inventory.directory;
        let role = links.iter().map(|link| directory.links[*link as usize].role).min().unwrap_or(Role::Other);
        let active = links.iter().filter(|link| directory.links[**link as usize].is_active);
        let provisioned: u64 = active.filter_map(|link| self.inventory.details[*link as usize].provisioned_bps).sum();
        let described = Arc::make_mut(&mut directory.ports[port]);
        described.role = role;
        described.provisioned_bps = (provisioned > 0).then_some(provisioned);
    }

    /// The rule of interfaces that are one link's alone.
    fn rule_of_one(&mut self, link: u32, port: u32) -> Rule {
        match self.inventory.directory.links[link as usize].role {
            Role::Direct => Rule::All(link),
            // An exchange port carries many networks, also with one session of ours.
            Role::Exchange => self.select(&[link], port),
            Role::Transit | Role::Other => Rule::ByTag(link),
        }
    }

    fn rule_of(&mut self, port: usize, links: &[u32], has_own: bool) -> Rule {
        match links {
            [] if has_own => Rule::Select(self.selector(&[], port as u32)),
            [] => {
                let text = self.inventory.directory.ports[port].name.to_string();
                Rule::Rest(self.rest_link(text, Role::Other, port as u32))
            }
            [link] => self.rule_of_one(*link, port as u32),
            links => self.select(links, port as u32),
        }
    }

    fn select(&mut self, links: &[u32], port: u32) -> Rule {
        Rule::Select(self.selector(links, port))
    }

    /// A selector among the links of a port, with the port's rest for what it cannot tell apart.
    fn selector(&mut self, links: &[u32], port: u32) -> u32 {
        let roles: Vec<Role> = links.iter().map(|link| self.inventory.directory.links[*link as usize].role).collect();
        let is_all_direct = !roles.is_empty() && roles.iter().all(|role| *role == Role::Direct);
        let has_exchange = roles.contains(&Role::Exchange);
        let port_name = self.inventory.directory.ports[port as usize].name.clone();
        let (suffix, role) = if has_exchange {
            ("unidentified", Role::Exchange)
        } else {
            ("unresolved", roles.iter().copied().min().unwrap_or(Role::Other))
        };
        let rest = self.rest_link(format!("{port_name}/{suffix}"), role, port);
        self.inherit_peering(rest, links);
        let details: Vec<(u32, &LinkDetail)> =
            links.iter().map(|link| (*link, &self.inventory.details[*link as usize])).collect();
        let selector = Selector::new(&details, rest, is_all_direct, has_exchange);
        self.inventory.selectors.push(selector);
        self.inventory.selectors.len() as u32 - 1
    }

    /// A rest belongs to the peering and metro of the port's connections, where they agree.
    fn inherit_peering(&mut self, rest: u32, links: &[u32]) {
        let directory = &mut self.inventory.directory;
        let Some(first) = links.first().map(|link| directory.links[*link as usize].clone()) else { return };
        let agree = |same: fn(&model::Link, &model::Link) -> bool| {
            links.iter().all(|link| same(&directory.links[*link as usize], &first))
        };
        let (is_peering_shared, is_location_shared) =
            (agree(|one, other| one.peering == other.peering), agree(|one, other| one.location == other.location));
        let rest = Arc::make_mut(&mut directory.links[rest as usize]);
        if is_peering_shared {
            rest.peering = first.peering.clone();
            rest.kind = first.kind.clone();
        }
        if is_location_shared {
            rest.location = first.location.clone();
        }
    }

    fn bind_flow(&mut self, plan: usize, interface: &InterfaceRef, flow: FlowPlan, place: &str) {
        self.check_interface(plan, interface, place);
        let exporter = &mut self.inventory.exporters[plan];
        let exporter_name = exporter.name.clone();
        let index = exporter.index_of(interface);
        let taken = exporter.flows.get(interface).copied().or_else(|| {
            let index = index?;
            exporter.flows.iter().find(|(other, _)| exporter.index_of(other) == Some(index)).map(|(_, flow)| *flow)
        });
        match taken {
            None => drop(exporter.flows.insert(interface.clone(), flow)),
            Some(same) if same == flow => {}
            Some(_) => self.error(format!(
                "{place}: interface {interface} of exporter \"{exporter_name}\" is bound twice; leave it with one port or connection"
            )),
        }
    }

    fn bind_counter(&mut self, plan: usize, interface: &InterfaceRef, counter: CounterPlan, place: &str) {
        self.check_interface(plan, interface, place);
        let exporter = &mut self.inventory.exporters[plan];
        let exporter_name = exporter.name.clone();
        match exporter.counters.insert(interface.clone(), counter) {
            Some(other) if other != counter => self.error(format!(
                "{place}: the counters of interface {interface} of exporter \"{exporter_name}\" are bound twice; leave them with one port, as its own or a member's"
            )),
            _ => {}
        }
    }

    fn check_interface(&mut self, plan: usize, interface: &InterfaceRef, place: &str) {
        match interface {
            InterfaceRef::Index(0) => self.error(format!("{place}: interface 0 means unknown; give the ifIndex or the name")),
            InterfaceRef::Name(text) if text.is_empty() => {
                self.error(format!("{place}: an interface has an empty name; give its name or ifIndex"))
            }
            InterfaceRef::Name(_) => {
                let exporter = &self.inventory.exporters[plan];
                if !exporter.table.is_empty() && exporter.index_of(interface).is_none() {
                    let sentence = format!(
                        "{place}: the interface table has no {interface} of exporter \"{}\"; it counts once the exporter itself tells the name",
                        exporter.name
                    );
                    if !self.inventory.notes.contains(&sentence) {
                        self.note(sentence);
                    }
                }
            }
            InterfaceRef::Index(_) => {}
        }
    }
}
