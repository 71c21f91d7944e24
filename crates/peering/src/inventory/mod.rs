//! The inventory: what is configured and imported, compiled for the resolver.

mod build;
mod interfaces;
mod links;
pub(crate) mod rows;

use std::sync::Arc;

use hashbrown::HashMap;
use model::link::Directory;
use model::record::Metering;
use model::{Address, Mac, Name, Prefix};

use crate::config::{InterfaceRef, PeeringSettings};
use crate::mirror::TapRule;
use crate::resolver::selector::Selector;

/// What stands for "no link" and "no port".
pub(crate) const NONE: u32 = u32::MAX;

/// Everything known beforehand of exporters, ports, connections and transit; immutable.
#[derive(Debug, Default)]
pub struct Inventory {
    pub(crate) settings: PeeringSettings,
    /// Links and ports; every resolver starts with these, by the same indexes.
    pub(crate) directory: Directory,
    /// What the table `connections` says beyond the link, by link.
    pub(crate) details: Vec<LinkDetail>,
    pub(crate) ports: Vec<PortDetail>,
    pub(crate) selectors: Vec<Selector>,
    pub(crate) exporters: Vec<ExporterPlan>,
    /// Exporters by all of their addresses.
    pub(crate) exporter_by_address: HashMap<Address, usize>,
    /// Links that a session address names as next hop.
    pub(crate) next_hops: HashMap<Address, Vec<u32>>,
    /// Links that a router of ours holds, by its own addresses: with next-hop-self they are next hops
    /// too, of whatever the router carries.
    pub(crate) routers: HashMap<Address, Vec<u32>>,
    pub(crate) sampling: Vec<SamplingEntry>,
    pub(crate) taps: Vec<TapRule>,
    pub(crate) notes: Vec<String>,
}

/// A configured sampling rate: one packet of `population`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplingEntry {
    /// The exporter, as a prefix of one address.
    pub exporter: Prefix,
    /// The interface; `None` for all of them.
    pub interface: Option<u32>,
    /// Packets of which one is taken.
    pub population: u32,
    /// It holds whatever the telemetry says.
    pub is_override: bool,
}

impl Inventory {
    /// The links and ports that are known beforehand, connections without a port among them.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The configured sampling rates, those of interfaces first; interfaces configured by name are
    /// here if the interface table has them.
    pub fn sampling(&self) -> &[SamplingEntry] {
        &self.sampling
    }

    /// What is allowed but worth a look: a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Addresses that configured exporters send from, in the order of the configuration.
    pub fn exporter_addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.exporters.iter().map(|exporter| exporter.address)
    }

    /// Name of the exporter with this address, where it is configured.
    pub fn exporter_name(&self, address: Address) -> Option<&str> {
        self.exporter_by_address.get(&address).map(|plan| &*self.exporters[*plan].name)
    }

    /// Whether nothing is configured or imported.
    pub fn is_empty(&self) -> bool {
        self.directory.links.is_empty() && self.exporters.is_empty()
    }
}

/// What is known of a link beyond [`model::Link`].
#[derive(Clone, Debug, Default)]
pub(crate) struct LinkDetail {
    pub(crate) facility: Option<Name>,
    pub(crate) exchange: Option<Name>,
    pub(crate) azure_id: Option<Name>,
    pub(crate) state: Option<Name>,
    pub(crate) session_v4: Option<Address>,
    pub(crate) session_v6: Option<Address>,
    pub(crate) session_state_v4: Option<Name>,
    pub(crate) session_state_v6: Option<Name>,
    pub(crate) provisioned_bps: Option<u64>,
    pub(crate) price: Option<f64>,
    pub(crate) bill: BillDetail,
    pub(crate) tracking_id: Option<Name>,
    pub(crate) is_peering_service: Option<bool>,
    pub(crate) max_prefixes_v4: Option<u64>,
    pub(crate) max_prefixes_v6: Option<u64>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) macs: Vec<Mac>,
    pub(crate) vlan: Option<u16>,
    pub(crate) risk_groups: Vec<Name>,
    /// Index of its port, or [`NONE`].
    pub(crate) port: u32,
    /// Index of the plan of the exporter that holds its port, or [`NONE`].
    pub(crate) holder: u32,
    /// Only what the attribution says is Microsoft's counts: transit and other links.
    pub(crate) is_by_tag: bool,
    /// It is a connection or transit link, not a rest such as `PORT/unidentified`.
    pub(crate) is_named: bool,
}

/// How a transit provider bills, beyond the price.
#[derive(Clone, Debug, Default)]
pub(crate) struct BillDetail {
    pub(crate) commit_mbps: Option<f64>,
    pub(crate) charged: Option<Name>,
    pub(crate) time_zone: Option<Name>,
}

/// What is known of a port beyond [`model::Port`].
#[derive(Clone, Debug)]
pub(crate) struct PortDetail {
    pub(crate) holder: usize,
    pub(crate) interfaces: Vec<InterfaceRef>,
    pub(crate) counters: Vec<InterfaceRef>,
    pub(crate) members: Vec<InterfaceRef>,
}

/// How the interfaces of one exporter are bound.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExporterPlan {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) metering: Metering,
    pub(crate) is_metering_configured: bool,
    pub(crate) flows: HashMap<InterfaceRef, FlowPlan>,
    pub(crate) counters: HashMap<InterfaceRef, CounterPlan>,
    /// Names and speeds by index, from the interface table.
    pub(crate) table: HashMap<u32, (String, Option<u64>)>,
}

impl ExporterPlan {
    /// Whether it says which interfaces lead to other routers of ours.
    pub(crate) fn has_internal_interfaces(&self) -> bool {
        self.flows.values().any(|plan| plan.rule == Rule::Internal)
    }
}

/// Where records that name an interface count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FlowPlan {
    pub(crate) rule: Rule,
    pub(crate) port: u32,
    /// Over that of the exporter, where configured.
    pub(crate) metering: Metering,
}

/// Where counters of an interface count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CounterPlan {
    pub(crate) port: u32,
    pub(crate) is_member: bool,
}

/// To which link traffic over an interface belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nobody configured it: a link of its own once Microsoft traffic is seen.
    #[default]
    Unknown,
    /// All traffic is this link's: a port with one Direct connection.
    All(u32),
    /// What is Microsoft's by tag is this transit link's.
    ByTag(u32),
    /// What is Microsoft's by tag and named by no next hop: a configured port without a connection.
    Rest(u32),
    /// Several links, or an exchange: the selector of this index tells.
    Select(u32),
    /// Towards our own routers: counted where it entered.
    Internal,
    /// Interface 0: not known.
    Absent,
    /// Past the limit of interfaces.
    Overflow,
}

/// A name that many rows share.
pub(crate) fn name(text: &str) -> Name {
    Arc::from(text)
}

#[cfg(test)]
mod tests;
