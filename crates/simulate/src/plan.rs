//! A scenario with its names resolved to places in lists, made once before the run.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::random::Random;
use crate::scenario::{Failure, FlowsCarry, MeteredSide, Scenario};

/// The network as the simulation walks through it.
pub(crate) struct Plan {
    pub(crate) start_us: i64,
    pub(crate) end_us: i64,
    pub(crate) routers: Vec<RouterPlan>,
    pub(crate) ports: Vec<PortPlan>,
    /// Connections, transit links, then background networks.
    pub(crate) links: Vec<LinkPlan>,
    pub(crate) customers: Vec<EndPlan>,
    /// Services, then background networks.
    pub(crate) far_ends: Vec<EndPlan>,
    /// In the order of their time.
    pub(crate) changes: Vec<Change>,
}

pub(crate) struct RouterPlan {
    pub(crate) address: IpAddr,
    pub(crate) core_port: Option<usize>,
}

pub(crate) struct PortPlan {
    pub(crate) router: usize,
    pub(crate) interface: u32,
    /// (ifIndex, speed)
    pub(crate) members: Vec<(u32, u64)>,
    pub(crate) carries_members: bool,
    pub(crate) speed_bps: u64,
    pub(crate) domain: usize,
    pub(crate) mac: [u8; 6],
    pub(crate) neighbour_mac: [u8; 6],
    pub(crate) metering: MeteredSide,
}

pub(crate) struct LinkPlan {
    pub(crate) name: String,
    pub(crate) role: &'static str,
    pub(crate) is_background: bool,
    pub(crate) port: usize,
    pub(crate) metro: String,
    /// Where packets to it are handed, by family.
    pub(crate) next_hops: [Option<IpAddr>; 2],
    pub(crate) neighbour_mac: [u8; 6],
    pub(crate) vlan: u16,
    pub(crate) ipv6_share: f64,
    /// Out of the port and into it, IP bits per second.
    pub(crate) loads_bps: [f64; 2],
    /// Its far ends.
    pub(crate) far_ends: std::ops::Range<usize>,
}

/// A customer, a service, or another network.
pub(crate) struct EndPlan {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) asn: u32,
    pub(crate) prefixes: Vec<IpNet>,
    pub(crate) weight: f64,
    /// A customer's port.
    pub(crate) port: usize,
}

/// Something that goes down or comes up.
pub(crate) struct Change {
    pub(crate) at_us: i64,
    pub(crate) is_down: bool,
    pub(crate) what: Changed,
}

#[derive(Clone)]
pub(crate) enum Changed {
    /// A link, the links that take its traffic, and the share of its flows that they take.
    Link(usize, Vec<usize>, f64),
    /// A port and the place of its member.
    Member(usize, usize),
}

impl EndPlan {
    pub(crate) fn has(&self, is_v6: bool) -> bool {
        self.prefixes.iter().any(|prefix| prefix.addr().is_ipv6() == is_v6)
    }

    /// A prefix (its place) of the family and an address in it.
    pub(crate) fn draw(&self, is_v6: bool, random: &mut Random) -> (usize, IpAddr) {
        let is_fit = |prefix: &IpNet| f64::from(u8::from(prefix.addr().is_ipv6() == is_v6));
        let place = random.weighted(self.prefixes.iter().map(is_fit));
        let address = match self.prefixes[place] {
            IpNet::V4(prefix) => {
                let host = (random.bits() as u32) & u32::from(prefix.hostmask());
                IpAddr::V4(Ipv4Addr::from(u32::from(prefix.network()) | host))
            }
            IpNet::V6(prefix) => {
                let host = (u128::from(random.bits()) << 64 | u128::from(random.bits())) & u128::from(prefix.hostmask());
                IpAddr::V6(Ipv6Addr::from(u128::from(prefix.network()) | host))
            }
        };
        (place, address)
    }
}

impl Plan {
    pub(crate) fn new(scenario: &Scenario) -> Plan {
        let start_us = scenario.start_us();
        let end_us = start_us + i64::from(scenario.duration_seconds) * 1_000_000;
        let mut far_ends: Vec<EndPlan> = scenario.services.iter().map(service_end).collect();
        let services = far_ends.len();
        let links = links(scenario, services);
        far_ends.extend(scenario.background.iter().map(|background| EndPlan {
            name: String::new(),
            region: String::new(),
            asn: background.asn,
            prefixes: background.prefixes.clone(),
            weight: 1.0,
            port: 0,
        }));
        let customers = scenario.customers.iter().map(|customer| EndPlan {
            name: customer.name.clone(),
            region: String::new(),
            asn: customer.asn,
            prefixes: customer.prefixes.clone(),
            weight: customer.weight,
            port: port_named(scenario, &customer.port),
        });
        let routers = scenario.routers.iter().map(|router| RouterPlan {
            address: router.address,
            core_port: router.core_port.as_deref().map(|name| port_named(scenario, name)),
        });
        let changes = changes(scenario, &links, start_us);
        Plan {
            start_us,
            end_us,
            routers: routers.collect(),
            ports: ports(scenario),
            links,
            customers: customers.collect(),
            far_ends,
            changes,
        }
    }
}

fn service_end(service: &crate::scenario::Service) -> EndPlan {
    EndPlan {
        name: service.name.clone(),
        region: service.region.clone(),
        asn: service.asn,
        prefixes: service.prefixes.clone(),
        weight: service.weight,
        port: 0,
    }
}

fn port_named(scenario: &Scenario, name: &str) -> usize {
    scenario.ports.iter().position(|port| port.name == name).unwrap_or_default()
}

fn mac_or(text: Option<&str>, otherwise: [u8; 6]) -> [u8; 6] {
    text.and_then(|text| text.parse::<crate::scenario::MacText>().ok()).map_or(otherwise, |mac| mac.0)
}

fn ports(scenario: &Scenario) -> Vec<PortPlan> {
    let mut turns = vec![0; scenario.routers.len()];
    let plan = |(place, port): (usize, &crate::scenario::Port)| {
        let router = scenario.routers.iter().position(|router| router.name == port.router).unwrap_or_default();
        let domains = &scenario.routers[router].domains;
        let turn = turns[router] % domains.len();
        turns[router] += 1;
        let own = |last| [2, 0, 0, (place >> 8) as u8, place as u8, last];
        PortPlan {
            router,
            interface: port.interface,
            members: port.members.iter().map(|member| (member.interface, member.speed_bps)).collect(),
            carries_members: port.flows_carry == FlowsCarry::Members,
            speed_bps: port.speed_bps,
            domain: port.domain.and_then(|domain| domains.iter().position(|own| *own == domain)).unwrap_or(turn),
            mac: mac_or(port.mac.as_deref(), own(1)),
            neighbour_mac: own(0xFE),
            metering: port.metering.unwrap_or(scenario.routers[router].metering),
        }
    };
    scenario.ports.iter().enumerate().map(plan).collect()
}

fn links(scenario: &Scenario, services: usize) -> Vec<LinkPlan> {
    let metro = |port: usize| {
        let router = scenario.routers.iter().find(|router| router.name == scenario.ports[port].router);
        router.map_or_else(String::new, |router| router.metro.clone())
    };
    let own_mac = |port: usize, link: usize| [2, 0, 1, (link >> 8) as u8, link as u8, port as u8];
    let mut links = Vec::new();
    for connection in &scenario.connections {
        let port = port_named(scenario, &connection.port);
        let is_direct = connection.kind == crate::scenario::ConnectionKind::Direct;
        links.push(LinkPlan {
            name: connection.name.clone(),
            role: if is_direct { "direct" } else { "exchange" },
            is_background: false,
            port,
            metro: metro(port),
            next_hops: [connection.microsoft_v4.map(IpAddr::V4), connection.microsoft_v6.map(IpAddr::V6)],
            neighbour_mac: mac_or(connection.microsoft_mac.as_deref(), own_mac(port, links.len())),
            vlan: connection.vlan,
            ipv6_share: connection.ipv6_share.unwrap_or(scenario.traffic.ipv6_share),
            loads_bps: [connection.to_microsoft_bps, connection.from_microsoft_bps],
            far_ends: 0..services,
        });
    }
    for transit in &scenario.transits {
        let port = port_named(scenario, &transit.port);
        links.push(LinkPlan {
            name: transit.name.clone(),
            role: "transit",
            is_background: false,
            port,
            metro: metro(port),
            next_hops: [transit.provider_v4.map(IpAddr::V4), transit.provider_v6.map(IpAddr::V6)],
            neighbour_mac: mac_or(transit.provider_mac.as_deref(), own_mac(port, links.len())),
            vlan: transit.vlan,
            ipv6_share: transit.ipv6_share.unwrap_or(scenario.traffic.ipv6_share),
            loads_bps: [transit.to_microsoft_bps, transit.from_microsoft_bps],
            far_ends: 0..services,
        });
    }
    for (place, background) in scenario.background.iter().enumerate() {
        let port = port_named(scenario, &background.port);
        let of_family = |is_v6: bool| background.next_hop.filter(|address| address.is_ipv6() == is_v6);
        links.push(LinkPlan {
            name: format!("background {place}"),
            role: "background",
            is_background: true,
            port,
            metro: metro(port),
            next_hops: [of_family(false), of_family(true)],
            neighbour_mac: mac_or(background.mac.as_deref(), own_mac(port, links.len())),
            vlan: background.vlan,
            ipv6_share: scenario.traffic.ipv6_share,
            loads_bps: [background.out_bps, background.in_bps],
            far_ends: services + place..services + place + 1,
        });
    }
    links
}

/// Time between two steps of a drain, seconds.
const DRAIN_STEP_SECONDS: f64 = 10.0;

/// The steps of a drain before the last one.
fn drain(failure: &Failure, link: usize, others: &[usize], start_us: i64) -> Vec<Change> {
    let steps = (failure.drain_seconds / DRAIN_STEP_SECONDS).ceil().max(1.0);
    let step = |number: u32| {
        let part = f64::from(number) / steps;
        let at_seconds = failure.down_at_seconds + part * failure.drain_seconds;
        let what = Changed::Link(link, others.to_vec(), part * (1.0 - failure.residue_share));
        Change { at_us: start_us + (at_seconds * 1e6) as i64, is_down: true, what }
    };
    (1..steps as u32).map(step).collect()
}

fn changes(scenario: &Scenario, links: &[LinkPlan], start_us: i64) -> Vec<Change> {
    let link_named = |name: &str| links.iter().position(|link| link.name == name);
    let mut changes = Vec::new();
    for failure in &scenario.failures {
        let what = match (&failure.connection, &failure.port, failure.member) {
            (Some(name), ..) => {
                let down = link_named(name).unwrap_or_default();
                let mut others: Vec<usize> = failure.moves_to.iter().filter_map(|name| link_named(name)).collect();
                let is_other = |place: &usize| *place != down && !links[*place].is_background;
                if others.is_empty() {
                    others = (0..links.len()).filter(is_other).filter(|place| links[*place].metro == links[down].metro).collect();
                }
                if others.is_empty() {
                    others = (0..links.len()).filter(is_other).collect();
                }
                changes.extend(drain(failure, down, &others, start_us));
                Changed::Link(down, others, 1.0 - failure.residue_share)
            }
            (None, Some(port), Some(member)) => {
                let port = port_named(scenario, port);
                let place = scenario.ports[port].members.iter().position(|known| known.interface == member);
                Changed::Member(port, place.unwrap_or_default())
            }
            _ => continue,
        };
        let at = |seconds: f64| start_us + (seconds * 1e6) as i64;
        let down_at_seconds = failure.down_at_seconds + failure.drain_seconds;
        changes.push(Change { at_us: at(down_at_seconds), is_down: true, what: what.clone() });
        if let Some(up) = failure.up_at_seconds {
            changes.push(Change { at_us: at(up), is_down: false, what });
        }
    }
    changes.sort_by_key(|change| change.at_us);
    changes
}
