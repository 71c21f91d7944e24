//! What a resolver learns: exporters, interfaces, links and ports that nobody configured.

use std::sync::Arc;

use model::{Address, ExporterId, Fact, Link, MatchedBy, Port, Record, Role, View};

use super::exporter::{ExporterState, OVERFLOW};
use super::{Leg, Place, Resolver};
use crate::azure::clean;
use crate::inventory::{NONE, Rule, name};
use crate::seen::{Seen, SeenExporter, SeenInterface, SeenLink, SeenNextHop};

impl Resolver {
    /// Takes in what a batch says about exporters; before [`Resolver::resolve`].
    pub fn learn(&mut self, facts: &[Fact]) {
        if !facts.is_empty() {
            self.forget_paths();
        }
        for fact in facts {
            match fact {
                Fact::Exporter { exporter, address } => {
                    let index = self.exporter_at(*address);
                    self.number_exporter(*exporter, index);
                }
                Fact::InterfaceName { exporter, interface, name } => {
                    let index = self.exporter_index(*exporter);
                    let state = &mut self.exporters[index];
                    let plan = state.plan.map(|plan| &self.inventory.exporters[plan]);
                    state.name_interface(*interface, &clean(name), plan);
                }
                Fact::InterfaceSpeed { exporter, interface, speed_bps } => {
                    let index = self.exporter_index(*exporter);
                    self.learn_speed(index, *interface, *speed_bps);
                }
            }
        }
    }

    /// The index of an interface by its name, as the exporter or the configuration tell it.
    pub fn interface_named(&mut self, exporter: ExporterId, name: &str) -> Option<u32> {
        let index = self.exporter_index(exporter);
        self.exporters[index].names.get(name).copied()
    }

    /// The exporter of a decoder's number; one without an address if it was never introduced.
    #[inline]
    pub(super) fn exporter_index(&mut self, exporter: ExporterId) -> usize {
        match self.exporter_by_id.get(exporter.0 as usize) {
            Some(index) if *index != 0 => *index as usize - 1,
            _ => self.exporter_at(Address::UNKNOWN),
        }
    }

    fn number_exporter(&mut self, exporter: ExporterId, index: usize) {
        let number = exporter.0 as usize;
        // The decoder numbers densely: a number far off is not one of its own.
        if number > self.exporter_by_id.len() + (1 << 16) {
            return;
        }
        if self.exporter_by_id.len() <= number {
            self.exporter_by_id.resize(number + 1, 0);
        }
        self.exporter_by_id[number] = index as u32 + 1;
    }

    fn exporter_at(&mut self, address: Address) -> usize {
        if let Some(index) = self.exporter_by_address.get(&address) {
            return *index as usize;
        }
        let plan = self.inventory.exporter_by_address.get(&address).copied();
        let plan = plan.map(|plan| (plan, &self.inventory.exporters[plan]));
        let index = self.exporters.len();
        self.exporters.push(ExporterState::new(address, plan, self.inventory.settings.interfaces_per_exporter_max));
        self.exporter_by_address.insert(address, index as u32);
        index
    }

    /// The speed of an interface; that of its port, unless configuration or table say it.
    pub(super) fn learn_speed(&mut self, exporter: usize, interface: u32, speed_bps: u64) {
        let state = &mut self.exporters[exporter];
        let slot = state.slot(interface);
        if slot <= OVERFLOW {
            return;
        }
        state.slots[slot].speed_bps = speed_bps;
        let slot = &state.slots[slot];
        let port = if slot.counter_port != NONE { slot.counter_port } else { slot.port };
        if port == NONE || speed_bps == 0 {
            return;
        }
        let speed_bps = if slot.is_member && slot.counter_port != NONE {
            state.slots.iter().filter(|slot| slot.counter_port == port && slot.is_member).map(|slot| slot.speed_bps).sum()
        } else {
            speed_bps
        };
        let tabled = self.inventory.directory.ports.get(port as usize).and_then(|port| port.speed_bps);
        let known = &mut self.directory.ports[port as usize];
        if tabled.is_none() && known.speed_bps != Some(speed_bps) {
            Arc::make_mut(known).speed_bps = Some(speed_bps);
        }
    }

    /// The link and port of an interface that nobody configured, made with its first Microsoft traffic.
    pub(super) fn interface(&mut self, leg: Leg) -> Place {
        let place = |link| Place { link, view: leg.view, matched_by: MatchedBy::Tag };
        let slot = &self.exporters[leg.exporter].slots[leg.slot];
        if slot.own_link != NONE {
            return place(slot.own_link);
        }
        if self.interface_links >= self.inventory.settings.interface_links_max {
            return self.overflow(leg.exporter);
        }
        self.interface_links += 1;
        let (index, speed_bps) = (slot.index, slot.speed_bps);
        let address = self.exporters[leg.exporter].address;
        let text = name(&format!("{address}/{index}"));
        let link = self.add_link(Link { port: Some(text.clone()), ..plain_link(text.clone(), address) });
        let port = self.directory.ports.len() as u32;
        self.directory.ports.push(Arc::new(Port {
            name: text,
            exporter: address,
            role: Role::Other,
            configured_bps: None,
            provisioned_bps: None,
            speed_bps: (speed_bps > 0).then_some(speed_bps),
            members: Vec::new(),
        }));
        let slot = &mut self.exporters[leg.exporter].slots[leg.slot];
        slot.own_link = link;
        slot.port = port;
        place(link)
    }

    /// `ADDRESS/unresolved`: interface unknown, or next hop ambiguous. All in one view, for each of
    /// its records is traffic of its own.
    pub(super) fn unresolved(&mut self, exporter: usize) -> Place {
        if self.exporters[exporter].unresolved_link == NONE {
            let address = self.exporters[exporter].address;
            self.exporters[exporter].unresolved_link = self.add_link(plain_link(name(&format!("{address}/unresolved")), address));
        }
        Place { link: self.exporters[exporter].unresolved_link, view: View::Unstated, matched_by: MatchedBy::Unresolved }
    }

    /// `ADDRESS/other`: interfaces past the limits.
    pub(super) fn overflow(&mut self, exporter: usize) -> Place {
        if self.exporters[exporter].other_link == NONE {
            let address = self.exporters[exporter].address;
            self.exporters[exporter].other_link = self.add_link(plain_link(name(&format!("{address}/other")), address));
        }
        Place { link: self.exporters[exporter].other_link, view: View::Unstated, matched_by: MatchedBy::Tag }
    }

    fn add_link(&mut self, link: Link) -> u32 {
        self.directory.links.push(Arc::new(link));
        self.link_records.push([0; 2]);
        self.directory.links.len() as u32 - 1
    }

    /// Keeps a next hop that named a link, for suggestions.
    pub(super) fn note_hop(&mut self, leg: Leg, link: u32, record: &Record, is_bgp: bool) {
        let next_hops_max = self.inventory.settings.next_hops_per_exporter_max;
        let state = &mut self.exporters[leg.exporter];
        let key = (link, state.slots[leg.slot].index, is_bgp);
        if state.hops.len() >= next_hops_max && !state.hops.contains_key(&key) {
            return;
        }
        let hop = state.hops.entry(key).or_default();
        hop.records += 1;
        hop.bytes += record.bytes;
        if hop.mac.is_unknown() {
            hop.mac = record.destination_mac;
        }
    }

    /// What was seen so far, for [`crate::Inventory::check`] and [`crate::Inventory::suggest`].
    pub fn seen(&mut self) -> Seen {
        self.forget_paths();
        let links = self.directory.links.iter().zip(&self.link_records).filter(|(_, records)| **records != [0; 2]);
        Seen {
            exporters: self.exporters.iter().map(|state| self.seen_exporter(state)).collect(),
            links: links
                .map(|(link, [to, from])| SeenLink {
                    name: link.name.to_string(),
                    to_microsoft_records: *to,
                    from_microsoft_records: *from,
                })
                .collect(),
            refused: Vec::new(),
        }
    }

    fn seen_exporter(&self, state: &ExporterState) -> SeenExporter {
        let is_seen = |slot: &&super::exporter::Slot| {
            slot.index != 0 && (slot.input_records + slot.output_records + slot.counter_readings > 0 || slot.speed_bps > 0)
        };
        let interfaces = state.slots.iter().filter(is_seen).map(|slot| SeenInterface {
            index: slot.index,
            name: state.name_by_index.get(&slot.index).cloned(),
            speed_bps: (slot.speed_bps > 0).then_some(slot.speed_bps),
            input_records: slot.input_records,
            output_records: slot.output_records,
            from_microsoft_bytes: slot.from_microsoft_bytes,
            to_microsoft_bytes: slot.to_microsoft_bytes,
            counter_readings: slot.counter_readings,
            is_configured: slot.rule != Rule::Unknown || slot.counter_port != NONE,
        });
        // Slots have no order of their own.
        let mut interfaces: Vec<SeenInterface> = interfaces.collect();
        interfaces.sort_by_key(|interface| interface.index);
        let mut next_hops: Vec<SeenNextHop> = state
            .hops
            .iter()
            .map(|((link, output, is_bgp), hop)| SeenNextHop {
                connection: self.directory.links[*link as usize].name.to_string(),
                output: *output,
                is_bgp: *is_bgp,
                mac: hop.mac,
                records: hop.records,
                bytes: hop.bytes,
            })
            .collect();
        next_hops.sort_by(|one, other| {
            (&one.connection, one.output, one.is_bgp).cmp(&(&other.connection, other.output, other.is_bgp))
        });
        let [unstated_records, ingress_records, egress_records] = state.metered;
        let overflow = &state.slots[OVERFLOW];
        SeenExporter {
            address: state.address,
            records: state.records,
            unstated_records,
            ingress_records,
            egress_records,
            twins: state.twins,
            to_microsoft_records: state.to_microsoft_records,
            output_unknown_records: state.output_unknown_records,
            ambiguous_records: state.ambiguous_records,
            as12076_records: state.as12076_records,
            overflow_records: overflow.input_records + overflow.output_records,
            interfaces,
            next_hops,
        }
    }
}

/// A link of an interface that nobody configured.
fn plain_link(text: model::Name, exporter: Address) -> Link {
    Link {
        name: text,
        peering: None,
        kind: None,
        role: Role::Other,
        location: None,
        exchange: None,
        port: None,
        exporters: vec![exporter],
        is_active: false,
    }
}
