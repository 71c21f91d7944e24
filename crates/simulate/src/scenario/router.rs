//! Routers of a scenario: what they meter, how they sample, what they export.

use std::net::IpAddr;

use serde::Deserialize;

/// A device that meters packets and exports what it saw.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// Its name.
    pub name: String,
    /// The metro it stands in.
    pub metro: String,
    /// The address its datagrams come from, also its loopback and sFlow agent address.
    pub address: IpAddr,
    /// What it speaks.
    pub protocol: WireProtocol,
    /// UDP source port.
    #[serde(default = "default_source_port")]
    pub source_port: u16,
    /// Observation domains (v5: engine ids; v9: source ids; sFlow: sub-agents); ports take them in turn.
    #[serde(default = "default_domains")]
    pub domains: Vec<u32>,
    /// The port that leads to the other routers.
    #[serde(default)]
    pub core_port: Option<String>,
    /// Where packets are metered; a port can have its own.
    #[serde(default)]
    pub metering: MeteredSide,
    /// Records carry element 61 (flow direction).
    #[serde(default = "yes")]
    pub direction_element: bool,
    /// How packets are sampled.
    #[serde(default)]
    pub sampling: Sampling,
    /// A record of a flow that goes on is exported after this long, seconds.
    #[serde(default = "default_active_timeout")]
    pub active_timeout_seconds: u32,
    /// A record is exported when no packet came for this long, seconds.
    #[serde(default = "default_inactive_timeout")]
    pub inactive_timeout_seconds: u32,
    /// Most entries of the flow cache; the next to expire goes early when it is full.
    #[serde(default = "default_cache_entries")]
    pub cache_entries: u32,
    /// How often templates and options are sent again, seconds.
    #[serde(default = "default_template_refresh")]
    pub template_refresh_seconds: u32,
    /// How often interface counters are sent (sFlow) or polled (the others), seconds; 0 is never.
    #[serde(default = "default_counter_interval")]
    pub counter_interval_seconds: u32,
    /// The device's clock minus the true time, milliseconds.
    #[serde(default)]
    pub clock_offset_ms: i64,
    /// Uptime at the start, seconds: near 4 294 967 the 32-bit milliseconds wrap.
    #[serde(default = "default_uptime")]
    pub uptime_seconds: u32,
    /// How records say when.
    #[serde(default)]
    pub times: FlowTimes,
    /// What ingress records say of the output interface.
    #[serde(default)]
    pub output_interface: OutputInterface,
    /// Records carry the BGP next hop (18, 63).
    #[serde(default = "yes")]
    pub bgp_next_hop: bool,
    /// The BGP next hop names the border router, not Microsoft's session address.
    #[serde(default)]
    pub next_hop_self: bool,
    /// Records carry MAC addresses and VLAN (v9 and IPFIX; sFlow headers always do).
    #[serde(default)]
    pub mac_elements: bool,
    /// IPFIX counters and interfaces in fewer bytes than their type has (RFC 7011 section 6.2).
    #[serde(default)]
    pub reduced_sizes: bool,
    /// IPFIX records carry a variable-length element.
    #[serde(default)]
    pub variable_lengths: bool,
    /// sFlow: expanded flow and counter samples.
    #[serde(default)]
    pub expanded_samples: bool,
    /// What happens to its datagrams on the way.
    #[serde(default)]
    pub delivery: Delivery,
}

/// The export protocol of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WireProtocol {
    /// NetFlow version 5: IPv4 only.
    V5,
    /// NetFlow version 9 (RFC 3954).
    V9,
    /// IPFIX (RFC 7011).
    Ipfix,
    /// sFlow version 5.
    Sflow,
}

impl WireProtocol {
    /// The name in files.
    pub const fn name(self) -> &'static str {
        match self {
            WireProtocol::V5 => "v5",
            WireProtocol::V9 => "v9",
            WireProtocol::Ipfix => "ipfix",
            WireProtocol::Sflow => "sflow",
        }
    }
}

/// On which side of a port packets are metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeteredSide {
    /// Packets that come in.
    #[default]
    Ingress,
    /// Packets that go out.
    Egress,
    /// Both: a packet through two metered ports is seen twice.
    Both,
    /// None.
    None,
}

/// 1-in-N packet sampling and how the collector is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// N; 1 is every packet.
    pub one_in: u32,
    /// How the one is picked.
    pub method: SamplingMethod,
    /// Where the rate is said.
    pub told_by: ToldBy,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { one_in: 1, method: SamplingMethod::Random, told_by: ToldBy::Options }
    }
}

/// How one packet in N is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SamplingMethod {
    /// Every packet with probability 1 / N.
    Random,
    /// Every Nth packet.
    Systematic,
}

/// Where the sampling rate is said. v5 and sFlow have their own place: only `none` means something there, and only in v5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToldBy {
    /// By a sampler option record that the record's sampler id points at (v5: the header).
    Options,
    /// By option data of the whole domain (34, 35), no sampler id.
    Domain,
    /// In the record (34).
    Record,
    /// In the datagram's header (v5).
    Header,
    /// Nowhere: the collector cannot know.
    None,
}

/// How records of v9 and IPFIX say when; v5 always counts from its uptime, sFlow says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowTimes {
    /// v9: `uptime`; IPFIX: `milliseconds`.
    #[default]
    Usual,
    /// Uptime of the device (22, 21); IPFIX says the boot time (160) by options.
    Uptime,
    /// Absolute milliseconds (152, 153).
    Milliseconds,
    /// Absolute seconds (150, 151).
    Seconds,
    /// Absolute NTP time (154, 155).
    Microseconds,
    /// Microseconds before the export time (158, 159).
    Delta,
}

/// What ingress records say of the output interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputInterface {
    /// Its index.
    #[default]
    Known,
    /// 0.
    Zero,
    /// Of several equal paths always the first: the first link of the kind on the router, whichever a packet takes.
    #[serde(rename = "first_path")]
    FirstPath,
}

/// What happens to datagrams on the way to the collector.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Share that is lost, 0 to 1; a domain's first datagram never is.
    pub loss_ratio: f64,
    /// Share that comes after its successor.
    pub reorder_ratio: f64,
    /// Share that comes twice.
    pub duplicate_ratio: f64,
    /// Datagrams with templates or options can be lost too.
    pub loses_templates: bool,
}

fn default_source_port() -> u16 {
    50_000
}

fn default_domains() -> Vec<u32> {
    vec![1]
}

fn yes() -> bool {
    true
}

fn default_active_timeout() -> u32 {
    60
}

fn default_inactive_timeout() -> u32 {
    15
}

fn default_cache_entries() -> u32 {
    1_000_000
}

fn default_template_refresh() -> u32 {
    60
}

fn default_counter_interval() -> u32 {
    20
}

fn default_uptime() -> u32 {
    30 * 86_400
}
