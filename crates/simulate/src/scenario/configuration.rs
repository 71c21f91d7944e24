//! The collector's configuration that fits a scenario: what an operator would write about this network.

use serde::Serialize;

use super::{Connection, ConnectionKind, FlowsCarry, MeteredSide, MirrorPort, Port, Router, Scenario, Transit, WireProtocol};

#[derive(Serialize)]
struct Configuration {
    exporter: Vec<ExporterPart>,
    port: Vec<PortPart>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    connection: Vec<ConnectionPart>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transit: Vec<TransitPart>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tap: Vec<TapPart>,
}

#[derive(Serialize)]
struct TapPart {
    connection: String,
    interface: String,
}

#[derive(Serialize)]
struct ExporterPart {
    name: String,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metering: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    internal_interfaces: Vec<u32>,
}

#[derive(Serialize)]
struct PortPart {
    name: String,
    exporter: String,
    interfaces: Vec<u32>,
    counter_interfaces: Vec<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity_bps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metering: Option<&'static str>,
}

#[derive(Serialize)]
struct ConnectionPart {
    name: String,
    port: String,
    role: &'static str,
    peering: String,
    location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    facility: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange: Option<String>,
    microsoft_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    microsoft_macs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
}

#[derive(Serialize)]
struct TransitPart {
    name: String,
    port: String,
    location: String,
    next_hops: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<f64>,
}

impl Scenario {
    /// The sections `exporter`, `port`, `connection`, `transit` and `tap` of the collector's configuration, TOML.
    ///
    /// It says what an operator knows: ports of links, Microsoft's addresses, MAC addresses only where the
    /// scenario gives them. Sampling is left to the telemetry.
    pub fn collector_configuration(&self) -> String {
        let configuration = Configuration {
            exporter: self.routers.iter().map(|router| self.exporter_part(router)).collect(),
            port: self.ports.iter().filter(|port| self.carries_links(&port.name)).map(|port| self.port_part(port)).collect(),
            connection: self.connections.iter().map(|connection| self.connection_part(connection)).collect(),
            transit: self.transits.iter().map(|transit| self.transit_part(transit)).collect(),
            tap: self.mirrors.iter().map(tap_part).collect(),
        };
        // Plain strings, numbers and lists: there is nothing that TOML cannot say.
        toml::to_string(&configuration).unwrap_or_default()
    }

    /// Our own prefixes with AS number and name, one a line: the collector's list of customers.
    pub fn customer_list(&self) -> String {
        let lines = self.customers.iter().flat_map(|customer| {
            customer.prefixes.iter().map(move |prefix| format!("{} {} {}\n", prefix.trunc(), customer.asn, customer.name))
        });
        lines.collect()
    }

    /// Microsoft's prefixes with service and region, one a line: a list of what an operator knows better than others.
    pub fn service_list(&self) -> String {
        let lines = self.services.iter().flat_map(|service| {
            let name = if service.name.is_empty() { "AzureCloud" } else { &service.name };
            service.prefixes.iter().map(move |prefix| format!("{} {name} {}\n", prefix.trunc(), service.region))
        });
        lines.collect()
    }

    fn carries_links(&self, port: &str) -> bool {
        self.connections.iter().any(|connection| connection.port == port)
            || self.transits.iter().any(|transit| transit.port == port)
            || self.background.iter().any(|background| background.port == port)
    }

    fn exporter_part(&self, router: &Router) -> ExporterPart {
        let core = self.ports.iter().filter(|port| router.core_port.as_ref() == Some(&port.name));
        ExporterPart {
            name: router.name.clone(),
            address: router.address.to_string(),
            metering: side_name(router, router.metering),
            internal_interfaces: core.flat_map(flow_interfaces).collect(),
        }
    }

    fn port_part(&self, port: &Port) -> PortPart {
        let router = self.routers.iter().find(|router| router.name == port.router);
        let has_counters =
            router.is_some_and(|router| router.protocol == WireProtocol::Sflow && router.counter_interval_seconds > 0);
        PortPart {
            name: port.name.clone(),
            exporter: port.router.clone(),
            interfaces: flow_interfaces(port),
            counter_interfaces: vec![port.interface],
            members: port.members.iter().map(|member| member.interface).collect(),
            // A bundle's is that of the members that are up, where counters tell.
            capacity_bps: Some(port.speed_bps).filter(|_| port.members.is_empty() || !has_counters),
            metering: port.metering.and_then(|metering| side_name(router?, metering)),
        }
    }

    fn connection_part(&self, connection: &Connection) -> ConnectionPart {
        let location = self.metro_of(&connection.port);
        let role = match connection.kind {
            ConnectionKind::Direct => "direct",
            ConnectionKind::Exchange => "exchange",
        };
        let v4 = connection.microsoft_v4.iter().map(ToString::to_string);
        let v6 = connection.microsoft_v6.iter().map(ToString::to_string);
        ConnectionPart {
            name: connection.name.clone(),
            port: connection.port.clone(),
            role,
            peering: connection.peering.clone().unwrap_or_else(|| format!("{role} {location}")),
            location,
            facility: connection.facility.clone(),
            exchange: connection.exchange.clone(),
            microsoft_addresses: v4.chain(v6).collect(),
            microsoft_macs: connection.microsoft_mac.iter().cloned().collect(),
            vlan: self.own_vlan(&connection.port, connection.vlan),
        }
    }

    fn transit_part(&self, transit: &Transit) -> TransitPart {
        let v4 = transit.provider_v4.iter().map(ToString::to_string);
        let v6 = transit.provider_v6.iter().map(ToString::to_string);
        TransitPart {
            name: transit.name.clone(),
            port: transit.port.clone(),
            location: self.metro_of(&transit.port),
            next_hops: v4.chain(v6).collect(),
            vlan: self.own_vlan(&transit.port, transit.vlan),
            price: transit.price_per_mbps,
        }
    }

    fn metro_of(&self, port: &str) -> String {
        let port = self.ports.iter().find(|known| known.name == port);
        let router = port.and_then(|port| self.routers.iter().find(|router| router.name == port.router));
        router.map(|router| router.metro.clone()).unwrap_or_default()
    }

    /// The VLAN, if nothing else on the port has it and something else has another.
    fn own_vlan(&self, port: &str, vlan: u16) -> Option<u16> {
        let connections = self.connections.iter().filter(|other| other.port == port).map(|other| other.vlan);
        let transits = self.transits.iter().filter(|other| other.port == port).map(|other| other.vlan);
        let background = self.background.iter().filter(|other| other.port == port).map(|other| other.vlan);
        let vlans: Vec<u16> = connections.chain(transits).chain(background).collect();
        let is_own = vlans.len() > 1 && vlans.iter().filter(|other| **other == vlan).count() == 1;
        Some(vlan).filter(|vlan| *vlan != 0 && is_own)
    }
}

fn tap_part(mirror: &MirrorPort) -> TapPart {
    TapPart { connection: mirror.connection.clone(), interface: mirror.interface.clone() }
}

/// The indexes by which flow records name a port.
fn flow_interfaces(port: &Port) -> Vec<u32> {
    let members = port.members.iter().map(|member| member.interface);
    match port.flows_carry {
        FlowsCarry::Bundle => vec![port.interface],
        FlowsCarry::Members => std::iter::once(port.interface).chain(members).collect(),
    }
}

/// The metered side, where it is one and records do not say.
fn side_name(router: &Router, side: MeteredSide) -> Option<&'static str> {
    let says = match router.protocol {
        WireProtocol::V5 => false,
        WireProtocol::V9 | WireProtocol::Ipfix => router.direction_element,
        WireProtocol::Sflow => true,
    };
    match side {
        MeteredSide::Ingress if !says => Some("ingress"),
        MeteredSide::Egress if !says => Some("egress"),
        _ => None,
    }
}
