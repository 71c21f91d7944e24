//! The configuration of exporters, ports, connections and transit, as it is written.
//!
//! These types only read; [`crate::Inventory::build`] checks what they say against each other.

use model::record::Metering;
use model::{Address, Mac, Role};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

model::settings! {
    /// Bounds of what is learned from telemetry.
    pub struct PeeringSettings in "peering" {
        /// Interfaces of one exporter that are told apart; what is above goes to `ADDRESS/other`.
        interfaces_per_exporter_max: usize = 4_096, "interfaces", 16..=1_048_576;
        /// Links and ports `ADDRESS/INDEX` of interfaces that nobody configured, in one worker; what is above goes to `ADDRESS/other`.
        interface_links_max: usize = 16_384, "links", 16..=1_048_576;
        /// Session addresses seen as next hops that are kept per exporter, for `peerings check --suggest`.
        next_hops_per_exporter_max: usize = 1_024, "next hops", 16..=65_536;
        /// Unsampled records among which exact twins are searched.
        twins_searched: usize = 65_536, "records", 1_024..=4_194_304;
    }
}

/// The sections of the configuration that describe the network's edge.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeeringConfig {
    /// `[peering]`: bounds.
    pub peering: PeeringSettings,
    /// `[[exporter]]`: routers that send telemetry.
    pub exporter: Vec<ExporterConfig>,
    /// `[[port]]`: what has a speed and can fill.
    pub port: Vec<PortConfig>,
    /// `[[connection]]`: Direct interconnects and Exchange sessions with Microsoft.
    pub connection: Vec<ConnectionConfig>,
    /// `[[transit]]`: bought transit, which carries what leaks around the peerings.
    pub transit: Vec<TransitConfig>,
    /// `[[risk_group]]`: what may fail together, such as all that one duct carries.
    pub risk_group: Vec<RiskGroupConfig>,
    /// `[[tap]]`: which connections mirrored packets belong to.
    pub tap: Vec<TapConfig>,
}

/// An interface by its index or by its name (`101` or `"ae10.0"`).
///
/// A name survives renumbering; its index comes from the interface table or from the exporter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(untagged, expecting = "expected an interface: its index (101) or its name (\"ae10.0\")")]
pub enum InterfaceRef {
    /// ifIndex, as the telemetry carries it.
    Index(u32),
    /// ifName.
    Name(String),
}

impl std::fmt::Display for InterfaceRef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            InterfaceRef::Index(index) => write!(formatter, "{index}"),
            InterfaceRef::Name(name) => write!(formatter, "\"{name}\""),
        }
    }
}

/// `sampling = "auto"` or `sampling = N`: one packet of N, where the exporter does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SamplingConfig {
    /// What the exporter says, else unknown.
    #[default]
    Auto,
    /// One packet of so many.
    OneIn(u32),
}

impl<'de> Deserialize<'de> for SamplingConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SamplingConfig, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "sampling is \"auto\" or a whole number N (one packet of N)")]
        enum Written {
            Number(u32),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(0) => Err(D::Error::custom("sampling = 0 means nothing; give \"auto\", or N of 1 in N")),
            Written::Number(population) => Ok(SamplingConfig::OneIn(population)),
            Written::Word(word) if word == "auto" => Ok(SamplingConfig::Auto),
            Written::Word(word) => {
                Err(D::Error::custom(format!("sampling = \"{word}\" is not known; give \"auto\", or N of 1 in N")))
            }
        }
    }
}

/// At which side an exporter meters, where its records do not say (element 61).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeteringConfig {
    /// Where packets enter.
    Ingress,
    /// Where packets leave.
    Egress,
}

impl From<MeteringConfig> for Metering {
    fn from(config: MeteringConfig) -> Metering {
        match config {
            MeteringConfig::Ingress => Metering::Ingress,
            MeteringConfig::Egress => Metering::Egress,
        }
    }
}

/// A router that sends telemetry.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExporterConfig {
    /// Its name, for use in `[[port]]`.
    pub name: String,
    /// The address that its telemetry comes from; of sFlow the agent address.
    pub address: Address,
    /// Its other addresses: loopbacks that other routers show as BGP next hop (next-hop-self), a second telemetry source.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// Sampling where its telemetry does not say.
    #[serde(default)]
    pub sampling: SamplingConfig,
    /// `sampling` holds whatever the telemetry says.
    #[serde(default)]
    pub is_sampling_override: bool,
    /// At which side it meters, where its records do not say.
    #[serde(default)]
    pub metering: Option<MeteringConfig>,
    /// Interfaces towards routers of our own: what enters there has entered the network elsewhere.
    #[serde(default)]
    pub internal_interfaces: Vec<InterfaceRef>,
}

/// A port: an interface, or a bundle with its members.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortConfig {
    /// Its name, unique.
    pub name: String,
    /// Name or address of its exporter.
    pub exporter: String,
    /// Interfaces by which flow records and samples name it: bundle, units, members, as the device does it.
    pub interfaces: Vec<InterfaceRef>,
    /// Interfaces whose counters are those of the whole port; the first of `interfaces` if left out.
    #[serde(default)]
    pub counter_interfaces: Vec<InterfaceRef>,
    /// Interfaces whose counters are those of the bundle's members.
    #[serde(default)]
    pub members: Vec<InterfaceRef>,
    /// Capacity in bit/s, over whatever Azure or the device says.
    #[serde(default)]
    pub capacity_bps: Option<u64>,
    /// Sampling of these interfaces, where the telemetry does not say.
    #[serde(default)]
    pub sampling: SamplingConfig,
    /// At which side these interfaces are metered, where the records do not say.
    #[serde(default)]
    pub metering: Option<MeteringConfig>,
}

/// A connection with Microsoft: one of Azure's list, or described by hand.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionConfig {
    /// Its name, unique; that of Azure's list if left out.
    pub name: Option<String>,
    /// Azure's connectionIdentifier or microsoftTrackingId: peering, sessions, state and capacity come from the imported list.
    pub azure: Option<String>,
    /// The port that it rides.
    pub port: Option<String>,
    /// `direct` or `exchange`; from Azure's list if left out.
    pub role: Option<Role>,
    /// The interfaces of the port that are this connection's alone, such as a unit or sub-interface.
    pub interfaces: Vec<InterfaceRef>,
    /// Peering that it belongs to.
    pub peering: Option<String>,
    /// Metro.
    pub location: Option<String>,
    /// Facility.
    pub facility: Option<String>,
    /// Internet exchange.
    pub exchange: Option<String>,
    /// Microsoft's addresses of its sessions, besides those of Azure's list.
    pub microsoft_addresses: Vec<Address>,
    /// Ethernet addresses of Microsoft's routers on an exchange.
    pub microsoft_macs: Vec<Mac>,
    /// VLAN that is this connection's alone; not that of a peering LAN shared by all.
    pub vlan: Option<u16>,
}

/// A link of bought transit.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransitConfig {
    /// Its name, unique.
    pub name: String,
    /// The port that it rides.
    pub port: String,
    /// Metro.
    #[serde(default)]
    pub location: Option<String>,
    /// The provider's addresses, which records show as next hop.
    #[serde(default)]
    pub next_hops: Vec<Address>,
    /// VLAN that is this link's alone, on a port with others.
    #[serde(default)]
    pub vlan: Option<u16>,
    /// Price of a Mbit/s and month, in your currency.
    #[serde(default)]
    pub price: Option<f64>,
    /// Mbit/s that are paid for anyway.
    #[serde(default)]
    pub commit_mbps: Option<f64>,
    /// Which direction is billed; the larger one if left out.
    #[serde(default)]
    pub charged: Option<ChargedConfig>,
    /// Time zone of the months of the bill, such as `Europe/Berlin`; UTC if left out.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// Connections and transit links that one cause takes down together: a duct, a power feed, a provider of waves.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskGroupConfig {
    /// Its name, unique.
    pub name: String,
    /// Names of its connections and transit links.
    pub connections: Vec<String>,
}

/// Which connection mirrored packets belong to; what is left out fits all.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapConfig {
    /// The connection.
    pub connection: String,
    /// Interface of the mirror port, or name of the capture without its ending.
    #[serde(default)]
    pub interface: Option<String>,
    /// VLAN of the mirrored frames.
    #[serde(default)]
    pub vlan: Option<u16>,
    /// Ethernet addresses of Microsoft's router, as source or destination of the mirrored frames.
    #[serde(default)]
    pub macs: Vec<Mac>,
}

/// Which direction of a transit port is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargedConfig {
    /// The larger of the two directions' percentiles.
    Larger,
    /// What we send.
    Sent,
    /// What we receive.
    Received,
    /// Both percentiles together.
    Sum,
}

impl ChargedConfig {
    /// Its name in the configuration and in the table.
    pub const fn name(self) -> &'static str {
        match self {
            ChargedConfig::Larger => "larger",
            ChargedConfig::Sent => "sent",
            ChargedConfig::Received => "received",
            ChargedConfig::Sum => "sum",
        }
    }
}
