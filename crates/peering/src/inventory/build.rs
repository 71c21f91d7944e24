//! Configuration, Azure's list and interface table checked against each other and compiled.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use model::record::Metering;
use model::{Address, Port, Prefix, Role};

use super::{ExporterPlan, Inventory, NONE, PortDetail, SamplingEntry, name};
use crate::azure::clean;
use crate::config::{ExporterConfig, InterfaceRef, PeeringConfig, PortConfig, SamplingConfig};
use crate::interface_table::TableInterface;
use crate::mirror::TapRule;
use crate::peerings::Peering;

impl Inventory {
    /// Compiles configuration, Azure's list and interface table.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once: a sentence each that says where it stands and how to mend it.
    pub fn build(config: &PeeringConfig, peerings: &[Peering], table: &[TableInterface]) -> Result<Inventory, Vec<String>> {
        let mut builder = Builder::new(config, peerings);
        builder.exporters(table);
        builder.ports();
        builder.links();
        builder.risk_groups();
        builder.bind_interfaces();
        builder.next_hops();
        builder.sampling();
        builder.taps();
        if builder.errors.is_empty() { Ok(builder.inventory) } else { Err(builder.errors) }
    }
}

/// An inventory in the making.
pub(super) struct Builder<'a> {
    pub(super) config: &'a PeeringConfig,
    pub(super) peerings: &'a [Peering],
    pub(super) inventory: Inventory,
    pub(super) errors: Vec<String>,
    pub(super) exporter_by_name: HashMap<String, usize>,
    /// Port indexes by name; entries of `config.port` with errors are missing.
    pub(super) port_by_name: HashMap<String, u32>,
    pub(super) link_names: HashSet<String>,
    /// Links of each port.
    pub(super) links_of_port: Vec<Vec<u32>>,
    /// Interfaces that are one link's alone, by link.
    pub(super) own_interfaces: Vec<(u32, Vec<InterfaceRef>)>,
}

impl<'a> Builder<'a> {
    fn new(config: &'a PeeringConfig, peerings: &'a [Peering]) -> Builder<'a> {
        let mut errors = Vec::new();
        errors.extend(config.peering.check().err());
        Builder {
            config,
            peerings,
            inventory: Inventory { settings: config.peering.clone(), ..Inventory::default() },
            errors,
            exporter_by_name: HashMap::new(),
            port_by_name: HashMap::new(),
            link_names: HashSet::new(),
            links_of_port: Vec::new(),
            own_interfaces: Vec::new(),
        }
    }

    pub(super) fn error(&mut self, sentence: String) {
        self.errors.push(sentence);
    }

    pub(super) fn note(&mut self, sentence: String) {
        self.inventory.notes.push(sentence);
    }

    /// Says whether `text` can be a name.
    pub(super) fn check_name(&mut self, section: &str, text: &str) {
        if text.is_empty() || clean(text) != text {
            self.error(format!(
                "[[{section}]] name \"{}\" is empty, too long, or holds control characters or outer spaces; give it a plain name",
                clean(text)
            ));
        }
    }

    fn exporters(&mut self, table: &[TableInterface]) {
        for exporter in &self.config.exporter {
            self.check_name("exporter", &exporter.name);
            let index = self.inventory.exporters.len();
            if self.exporter_by_name.insert(exporter.name.clone(), index).is_some() {
                self.error(format!("[[exporter]] \"{}\" is there twice; give each its own name", exporter.name));
            }
            for address in std::iter::once(&exporter.address).chain(&exporter.addresses) {
                self.own_address(exporter, *address, index);
            }
            self.inventory.exporters.push(ExporterPlan {
                name: exporter.name.clone(),
                address: exporter.address,
                metering: exporter.metering.map_or(Metering::Unstated, Metering::from),
                is_metering_configured: exporter.metering.is_some(),
                ..ExporterPlan::default()
            });
        }
        for row in table {
            // A table may know more exporters than the configuration does: names and speeds help there too.
            let index = match self.inventory.exporter_by_address.get(&row.exporter) {
                Some(index) => *index,
                None => self.implied_exporter(row.exporter),
            };
            self.inventory.exporters[index].table.insert(row.index, (row.name.clone(), row.speed_bps));
        }
    }

    fn taps(&mut self) {
        for tap in &self.config.tap {
            let place = format!("[[tap]] of \"{}\"", tap.connection);
            self.check_vlan(&place, tap.vlan);
            let links = &self.inventory.directory.links;
            match (0_u32..).zip(links).find(|(_, link)| *link.name == *tap.connection) {
                Some((link, _)) => {
                    let (interface, vlan, macs) = (tap.interface.clone(), tap.vlan, tap.macs.clone());
                    self.inventory.taps.push(TapRule { link, interface, vlan, macs });
                }
                None => self.error(format!("{place}: there is no connection or transit link of this name")),
            }
        }
    }

    fn own_address(&mut self, exporter: &ExporterConfig, address: Address, index: usize) {
        if address.is_unknown() {
            self.error(format!(
                "[[exporter]] \"{}\": {address} is no address of a router; give the one its telemetry comes from",
                exporter.name
            ));
        }
        if let Some(other) = self.inventory.exporter_by_address.insert(address, index)
            && other != index
        {
            let other = self.config.exporter[other].name.clone();
            self.error(format!(
                "[[exporter]] \"{}\" and \"{other}\" both have {address}; leave it with the one that has it",
                exporter.name
            ));
        }
    }

    /// An exporter that only the interface table or a port names, by its address.
    fn implied_exporter(&mut self, address: Address) -> usize {
        let index = self.inventory.exporters.len();
        self.inventory.exporter_by_address.insert(address, index);
        self.inventory.exporters.push(ExporterPlan { name: address.to_string(), address, ..ExporterPlan::default() });
        index
    }

    fn holder(&mut self, port: &PortConfig) -> Option<usize> {
        if let Some(index) = self.exporter_by_name.get(&port.exporter) {
            return Some(*index);
        }
        if let Ok(address) = port.exporter.parse::<Address>() {
            return Some(match self.inventory.exporter_by_address.get(&address) {
                Some(index) => *index,
                None => self.implied_exporter(address),
            });
        }
        self.error(format!(
            "[[port]] \"{}\": exporter \"{}\" is neither the name of an [[exporter]] nor an address; add it or correct it",
            port.name, port.exporter
        ));
        None
    }

    fn ports(&mut self) {
        for port in &self.config.port {
            self.check_name("port", &port.name);
            if port.interfaces.is_empty() {
                self.error(format!(
                    "[[port]] \"{}\" has no interfaces; list the index or name that flow records carry",
                    port.name
                ));
            }
            if port.capacity_bps == Some(0) {
                self.error(format!(
                    "[[port]] \"{}\": capacity_bps = 0 is no capacity; leave it out if it is not known",
                    port.name
                ));
            }
            let Some(holder) = self.holder(port) else { continue };
            let index = self.inventory.directory.ports.len() as u32;
            if self.port_by_name.insert(port.name.clone(), index).is_some() {
                self.error(format!("[[port]] \"{}\" is there twice; give each its own name", port.name));
            }
            let counters = if port.counter_interfaces.is_empty() && port.members.is_empty() {
                port.interfaces.iter().take(1).cloned().collect()
            } else {
                port.counter_interfaces.clone()
            };
            let detail = PortDetail { holder, interfaces: port.interfaces.clone(), counters, members: port.members.clone() };
            let plan = &self.inventory.exporters[holder];
            let model_port = Port {
                name: name(&port.name),
                exporter: plan.address,
                role: Role::Other,
                configured_bps: port.capacity_bps,
                provisioned_bps: None,
                speed_bps: plan.speed_bps(&detail),
                members: port.members.iter().filter_map(|member| plan.member(member)).collect(),
            };
            self.inventory.directory.ports.push(Arc::new(model_port));
            self.inventory.ports.push(detail);
            self.links_of_port.push(Vec::new());
        }
    }

    /// Which links each address names as next hop: session addresses mostly one, own addresses of a router
    /// all that it holds.
    fn next_hops(&mut self) {
        let inventory = &mut self.inventory;
        for (link, detail) in inventory.details.iter().enumerate() {
            for address in &detail.addresses {
                inventory.next_hops.entry(*address).or_default().push(link as u32);
            }
        }
        for (address, plan) in &inventory.exporter_by_address {
            let held =
                inventory.details.iter().enumerate().filter(|(_, detail)| detail.is_named && detail.holder == *plan as u32);
            let held: Vec<u32> = held.map(|(link, _)| link as u32).collect();
            if !held.is_empty() {
                inventory.routers.insert(*address, held);
            }
        }
        for links in inventory.next_hops.values_mut() {
            links.sort_unstable();
            links.dedup();
        }
    }

    fn sampling(&mut self) {
        let mut entries = Vec::new();
        for port in &self.config.port {
            let (SamplingConfig::OneIn(population), Some(index)) = (port.sampling, self.port_by_name.get(&port.name)) else {
                continue;
            };
            let plan = &self.inventory.exporters[self.inventory.ports[*index as usize].holder];
            for interface in &port.interfaces {
                match plan.index_of(interface) {
                    Some(interface) => entries.push(SamplingEntry {
                        exporter: Prefix::host(plan.address),
                        interface: Some(interface),
                        population,
                        is_override: false,
                    }),
                    None => self.errors.push(format!(
                        "[[port]] \"{}\": sampling needs the index of interface {interface}; give the index, or an interface table that has it",
                        port.name
                    )),
                }
            }
        }
        for exporter in &self.config.exporter {
            match exporter.sampling {
                SamplingConfig::OneIn(population) => {
                    for address in std::iter::once(&exporter.address).chain(&exporter.addresses) {
                        let is_override = exporter.is_sampling_override;
                        entries.push(SamplingEntry {
                            exporter: Prefix::host(*address),
                            interface: None,
                            population,
                            is_override,
                        });
                    }
                }
                SamplingConfig::Auto if exporter.is_sampling_override => self.errors.push(format!(
                    "[[exporter]] \"{}\": is_sampling_override needs sampling = N; give the rate, or leave the override out",
                    exporter.name
                )),
                SamplingConfig::Auto => {}
            }
        }
        self.inventory.sampling = entries;
    }

    /// The index of the exporter that holds a port, for a link's detail.
    pub(super) fn holder_of(&self, port: u32) -> u32 {
        if port == NONE { NONE } else { self.inventory.ports[port as usize].holder as u32 }
    }
}
