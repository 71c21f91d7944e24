//! What hangs on the routers of a scenario: ports, links, customers, services, failures.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::Deserialize;

/// A place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metro {
    /// Its name as Azure has it.
    pub name: String,
}

/// An interface, or a bundle with its members.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The router it belongs to.
    pub router: String,
    /// ifIndex, of the bundle if it is one.
    pub interface: u32,
    /// ifName.
    pub interface_name: String,
    /// Speed, bits per second, of the whole bundle.
    pub speed_bps: u64,
    /// Members of the bundle; flows are spread over them by hash.
    #[serde(default)]
    pub members: Vec<Member>,
    /// Whose index flows carry.
    #[serde(default)]
    pub flows_carry: FlowsCarry,
    /// Where packets are metered on this port, if not as the router does.
    #[serde(default)]
    pub metering: Option<super::MeteredSide>,
    /// The observation domain of this port; by default the router's domains in turn.
    #[serde(default)]
    pub domain: Option<u32>,
    /// Our MAC address on it; by default one made of the port's number.
    #[serde(default)]
    pub mac: Option<String>,
}

/// A member of a bundle.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// ifIndex.
    pub interface: u32,
    /// ifName.
    pub interface_name: String,
    /// Speed, bits per second.
    pub speed_bps: u64,
}

/// Whose interface index the flows of a bundle carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowsCarry {
    /// The bundle's.
    #[default]
    Bundle,
    /// The member's.
    Members,
}

/// A connection to Microsoft.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Its name, the link's name in the truth.
    pub name: String,
    /// Direct or exchange.
    pub kind: ConnectionKind,
    /// The peering it belongs to; by default its kind and metro.
    #[serde(default)]
    pub peering: Option<String>,
    /// The building.
    #[serde(default)]
    pub facility: Option<String>,
    /// The exchange's name.
    #[serde(default)]
    pub exchange: Option<String>,
    /// The port it rides.
    pub port: String,
    /// Our session address.
    #[serde(default)]
    pub our_v4: Option<Ipv4Addr>,
    /// Our session address.
    #[serde(default)]
    pub our_v6: Option<Ipv6Addr>,
    /// Microsoft's session address: the next hop towards it.
    #[serde(default)]
    pub microsoft_v4: Option<Ipv4Addr>,
    /// Microsoft's session address.
    #[serde(default)]
    pub microsoft_v6: Option<Ipv6Addr>,
    /// Microsoft's MAC address on the exchange.
    #[serde(default)]
    pub microsoft_mac: Option<String>,
    /// VLAN tag of its frames; 0 is untagged.
    #[serde(default)]
    pub vlan: u16,
    /// Mean load towards Microsoft, IP bits per second.
    pub to_microsoft_bps: f64,
    /// Mean load from Microsoft, IP bits per second.
    pub from_microsoft_bps: f64,
    /// Share of flows over IPv6, if not the scenario's.
    #[serde(default)]
    pub ipv6_share: Option<f64>,
}

/// The kind of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionKind {
    /// A private interconnect.
    Direct,
    /// A session over an exchange.
    Exchange,
}

/// A transit link: what of Microsoft's traffic goes over it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transit {
    /// Its name, the link's name in the truth.
    pub name: String,
    /// The port it rides.
    pub port: String,
    /// The provider's address: the next hop.
    #[serde(default)]
    pub provider_v4: Option<Ipv4Addr>,
    /// The provider's address.
    #[serde(default)]
    pub provider_v6: Option<Ipv6Addr>,
    /// The provider's MAC address.
    #[serde(default)]
    pub provider_mac: Option<String>,
    /// VLAN tag of its frames; 0 is untagged.
    #[serde(default)]
    pub vlan: u16,
    /// Price of a megabit per second and month.
    #[serde(default)]
    pub price_per_mbps: Option<f64>,
    /// Mean load towards Microsoft, IP bits per second.
    pub to_microsoft_bps: f64,
    /// Mean load from Microsoft, IP bits per second.
    pub from_microsoft_bps: f64,
    /// Share of flows over IPv6, if not the scenario's.
    #[serde(default)]
    pub ipv6_share: Option<f64>,
}

/// One of our customers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// Its name.
    pub name: String,
    /// Its AS number.
    pub asn: u32,
    /// Its prefixes.
    pub prefixes: Vec<IpNet>,
    /// Share of the flows, in proportion to the other weights.
    pub weight: f64,
    /// The port it hangs on.
    pub port: String,
}

/// A service of Microsoft's in a region.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The service's name; empty where only a region is known.
    #[serde(default)]
    pub name: String,
    /// The region; empty where it is everywhere.
    #[serde(default)]
    pub region: String,
    /// Its AS number.
    #[serde(default = "microsoft_asn")]
    pub asn: u32,
    /// Its prefixes.
    pub prefixes: Vec<IpNet>,
    /// Share of the flows, in proportion to the other weights.
    pub weight: f64,
}

/// Traffic of another network on a peering port, with our customers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// The port it comes and goes by.
    pub port: String,
    /// The other network's AS number.
    pub asn: u32,
    /// The other network's prefixes.
    pub prefixes: Vec<IpNet>,
    /// Its router on the exchange: the next hop.
    #[serde(default)]
    pub next_hop: Option<IpAddr>,
    /// Its MAC address.
    #[serde(default)]
    pub mac: Option<String>,
    /// VLAN tag of its frames; 0 is untagged.
    #[serde(default)]
    pub vlan: u16,
    /// Mean load into the port, IP bits per second.
    pub in_bps: f64,
    /// Mean load out of the port, IP bits per second.
    pub out_bps: f64,
}

/// A connection, or a member of a bundle, that goes down and comes back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The connection (or transit link) that goes down.
    #[serde(default)]
    pub connection: Option<String>,
    /// The port of which a member goes down.
    #[serde(default)]
    pub port: Option<String>,
    /// ifIndex of the member that goes down.
    #[serde(default)]
    pub member: Option<u32>,
    /// Seconds after the start.
    pub down_at_seconds: f64,
    /// Seconds after the start; never, if left out.
    #[serde(default)]
    pub up_at_seconds: Option<f64>,
    /// The traffic leaves little by little over this long, as when Microsoft drains it, seconds; at once, if left out.
    #[serde(default)]
    pub drain_seconds: f64,
    /// Share of the flows that stay, 0 to 1.
    #[serde(default)]
    pub residue_share: f64,
    /// The links that take the traffic, in equal parts; by default the metro's other links, else all others.
    #[serde(default)]
    pub moves_to: Vec<String>,
}

/// A mirror port that copies SYN and SYN-ACK of a connection, in ERSPAN.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorPort {
    /// Whose packets it has.
    pub connection: String,
    /// The name under which the collector knows it.
    pub interface: String,
    /// Handshakes that customers begin with Microsoft, a second on average.
    pub handshakes_per_second: f64,
    /// Least time from SYN to SYN-ACK, milliseconds.
    pub round_trip_ms: f64,
    /// Mean of what comes on top, milliseconds; it scatters exponentially.
    #[serde(default)]
    pub jitter_ms: f64,
    /// Times when it takes longer.
    #[serde(default)]
    pub slower: Vec<Slower>,
}

/// A time when packets wait.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slower {
    /// Seconds after the start.
    pub at_seconds: f64,
    /// How long, seconds.
    pub duration_seconds: f64,
    /// How much longer a round trip takes then, milliseconds.
    pub extra_ms: f64,
}

fn microsoft_asn() -> u32 {
    8075
}

/// A MAC address in its usual writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MacText(pub(crate) [u8; 6]);

impl std::str::FromStr for MacText {
    type Err = ();

    fn from_str(text: &str) -> Result<MacText, ()> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or(())?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| ())?;
        }
        if parts.next().is_some() { Err(()) } else { Ok(MacText(bytes)) }
    }
}
