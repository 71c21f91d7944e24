//! Where traffic is counted: links, ports, directions and placements.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Name;
use crate::address::Address;

/// Bytes of a packet on the wire over the link layer, which is what interface counters count: preamble, start delimiter and gap.
pub const WIRE_BYTES: u64 = 20;

/// What a load on the link layer is on the wire, bit/s.
pub fn wire_bps(bps: f64, packets_per_second: f64) -> f64 {
    bps + packets_per_second * WIRE_BYTES as f64 * 8.0
}

/// What a link is to us and Microsoft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A private interconnect with Microsoft.
    Direct,
    /// A session with Microsoft over an internet exchange.
    Exchange,
    /// Bought transit.
    Transit,
    /// Anything else that carries Microsoft traffic.
    #[default]
    Other,
}

impl Role {
    /// The name in tables and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Direct => "direct",
            Role::Exchange => "exchange",
            Role::Transit => "transit",
            Role::Other => "other",
        }
    }
}

/// Which way traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Out of our network, towards Microsoft.
    ToMicrosoft,
    /// Into our network, from Microsoft.
    FromMicrosoft,
}

impl Direction {
    /// Both, in the order of rows.
    pub const ALL: [Direction; 2] = [Direction::ToMicrosoft, Direction::FromMicrosoft];

    /// The name in tables and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::ToMicrosoft => "to_microsoft",
            Direction::FromMicrosoft => "from_microsoft",
        }
    }

    /// The direction of a name in tables.
    pub fn named(name: &str) -> Option<Direction> {
        Direction::ALL.into_iter().find(|direction| direction.name() == name)
    }

    /// As a sentence has it.
    pub const fn words(self) -> &'static str {
        match self {
            Direction::ToMicrosoft => "to Microsoft",
            Direction::FromMicrosoft => "from Microsoft",
        }
    }
}

/// From where a record saw the traffic of a link, best first.
///
/// One packet may be metered several times: at the link's own port, at the other port of the same
/// router, at other routers. Each view is summed apart, and a window takes the best one that there
/// is: no packet counts twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Metered at the link's own port.
    OwnPort,
    /// The record does not say at which side it was metered, and names the link's interface.
    Unstated,
    /// Metered at another port of the same router; the record names the link's interface.
    OtherPort,
    /// Metered at another router; the record names the link by its next hop.
    OtherRouter,
}

impl View {
    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            View::OwnPort => "own_port",
            View::Unstated => "unstated",
            View::OtherPort => "other_port",
            View::OtherRouter => "other_router",
        }
    }
}

/// By what a record was matched to its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// The interface of a port with one connection.
    Interface,
    /// The Ethernet address of Microsoft's router on an exchange.
    Mac,
    /// The VLAN.
    Vlan,
    /// The IP next hop.
    NextHop,
    /// The BGP next hop.
    BgpNextHop,
    /// A session address as the packet's own address.
    SessionAddress,
    /// The attribution alone: an exchange port where nothing names Microsoft's router, or transit.
    Tag,
    /// Nothing: the interface is unknown or the next hop ambiguous.
    Unresolved,
}

impl MatchedBy {
    /// The name in tables and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            MatchedBy::Interface => "interface",
            MatchedBy::Mac => "mac",
            MatchedBy::Vlan => "vlan",
            MatchedBy::NextHop => "next_hop",
            MatchedBy::BgpNextHop => "bgp_next_hop",
            MatchedBy::SessionAddress => "session_address",
            MatchedBy::Tag => "tag",
            MatchedBy::Unresolved => "unresolved",
        }
    }
}

/// A link on which Microsoft traffic is counted: a connection, a transit link, an exchange port's
/// unidentified rest, an interface nobody configured, or what could not be resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its name, unique: a connection's, or `PORT/unidentified`, `ADDRESS/INDEX`, `ADDRESS/unresolved`.
    pub name: Name,
    /// The peering it belongs to.
    pub peering: Option<Name>,
    /// `Direct` or `Exchange` as Azure says, else `None`.
    pub kind: Option<Name>,
    /// Its role.
    pub role: Role,
    /// Metro.
    pub location: Option<Name>,
    /// Internet exchange, where known.
    pub exchange: Option<Name>,
    /// Name of the port that it rides.
    pub port: Option<Name>,
    /// Addresses of the exporters whose telemetry covers it; empty where not known beforehand.
    pub exporters: Vec<Address>,
    /// Whether it counts towards capacity and headroom: configured, and Active where Azure says.
    pub is_active: bool,
}

/// A member of a bundle: what its interface counters are listed under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Index of the counter interface.
    pub interface: u32,
    /// Its name, where known.
    pub name: Option<Name>,
}

/// A port: what has a speed and can fill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// Its name, unique; `ADDRESS/INDEX` where nobody configured it.
    pub name: Name,
    /// The exporter that holds it.
    pub exporter: Address,
    /// The role of what rides it.
    pub role: Role,
    /// Configured capacity in bit/s.
    pub configured_bps: Option<u64>,
    /// Capacity that Azure has provisioned for its connections, in bit/s.
    pub provisioned_bps: Option<u64>,
    /// Speed by inventory or exporter, in bit/s.
    pub speed_bps: Option<u64>,
    /// Members by configuration; empty for a port that is one interface.
    pub members: Vec<Member>,
}

/// One record counted on a link, on the port of that leg, or on both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Index of the record in its batch.
    pub record: u32,
    /// Index of the link in the resolver's directory, or [`Placement::NOWHERE`]; Microsoft's traffic only.
    pub link: u32,
    /// Index of the port in the resolver's directory, or [`Placement::NOWHERE`]; all traffic.
    pub port: u32,
    /// `FromMicrosoft` for what enters, `ToMicrosoft` for what leaves.
    pub direction: Direction,
    /// From where the record saw it.
    pub view: View,
    /// By what the link was matched.
    pub matched_by: MatchedBy,
    /// Both ends are Microsoft's.
    pub is_through: bool,
}

impl Placement {
    /// Index that stands for no link, or no port.
    pub const NOWHERE: u32 = u32::MAX - 1;

    /// Whether it counts on a link.
    pub const fn is_on_link(&self) -> bool {
        self.link != Placement::NOWHERE
    }

    /// Whether it counts on a port.
    pub const fn is_on_port(&self) -> bool {
        self.port != Placement::NOWHERE
    }
}

/// Counters of one interface, placed on its port.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CounterPlacement {
    /// Index of the counters in their batch.
    pub counters: u32,
    /// Index of the port in the resolver's list of ports.
    pub port: u32,
    /// They are those of a member, not of the whole port.
    pub is_member: bool,
}

/// Where the records and counters of a batch count; the caller owns it and uses it again.
#[derive(Clone, Debug, Default)]
pub struct Placements {
    /// Records on links and ports, in the order of the records.
    pub records: Vec<Placement>,
    /// Counters on ports.
    pub counters: Vec<CounterPlacement>,
}

impl Placements {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.counters.clear();
    }
}

/// The links and ports of a resolver, by their index; grows at the end only.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// Links by [`Placement::link`].
    pub links: Vec<Arc<Link>>,
    /// Ports by [`Placement::port`].
    pub ports: Vec<Arc<Port>>,
}
