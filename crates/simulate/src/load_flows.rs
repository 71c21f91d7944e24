//! Distinct flows with Microsoft for the load generator.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::plan::EndPlan;
use crate::random::Random;
use crate::record::FlowRecord;

/// Address space of Microsoft's: Exchange, Teams, SharePoint, Azure regions.
const MICROSOFT: &[&str] = &[
    "40.96.0.0/13",
    "52.112.0.0/14",
    "52.104.0.0/14",
    "13.104.0.0/14",
    "20.33.0.0/16",
    "20.40.0.0/13",
    "20.64.0.0/10",
    "51.104.0.0/15",
    "2603:1006::/40",
    "2603:1010::/25",
    "2603:1020::/25",
    "2620:1ec::/36",
];
/// Customers' space: a benchmarking range (RFC 2544) and the documentation prefix, for many distinct addresses.
const CUSTOMERS: &[&str] = &["198.18.0.0/15", "203.0.113.0/24", "2001:db8::/32"];

pub(crate) struct Flows {
    random: Random,
    ipv6_share: f64,
    connections: u32,
    microsoft: EndPlan,
    customers: EndPlan,
}

fn end(name: &str, asn: u32, prefixes: &[&str]) -> EndPlan {
    let prefixes: Vec<IpNet> = prefixes.iter().filter_map(|prefix| prefix.parse().ok()).collect();
    EndPlan { name: name.to_owned(), region: String::new(), asn, prefixes, weight: 1.0, port: 0 }
}

impl Flows {
    pub(crate) fn new(seed: u64, ipv6_share: f64, connections: u32) -> Flows {
        let (microsoft, customers) = (end("Microsoft", 8_075, MICROSOFT), end("customers", 64_500, CUSTOMERS));
        Flows { random: Random::new(seed, 0), ipv6_share, connections, microsoft, customers }
    }

    /// A flow of a few seconds that ended a second before `now_us`, half of them from Microsoft.
    pub(crate) fn flow(&mut self, now_us: i64) -> FlowRecord {
        let packets = 1 + self.random.exponential(12.0) as u64;
        let bytes = packets * self.packet_bytes();
        FlowRecord { bytes, packets, start_us: now_us - 5_000_000, end_us: now_us - 1_000_000, ..self.packet(now_us) }
    }

    /// A packet, half of them from Microsoft.
    pub(crate) fn packet(&mut self, now_us: i64) -> FlowRecord {
        let is_v6 = self.random.chance(self.ipv6_share);
        let (near_prefix, near) = self.customers.draw(is_v6, &mut self.random);
        let (far_prefix, far) = self.microsoft.draw(is_v6, &mut self.random);
        let near_mask = self.customers.prefixes[near_prefix].prefix_len();
        let far_mask = self.microsoft.prefixes[far_prefix].prefix_len();
        let near_port = 32_768 + self.random.below(28_000) as u16;
        let is_out = self.random.chance(0.5);
        let hop =
            |v4: [u8; 4], v6: u16| if is_v6 { IpAddr::from([0x2001, 0xdb8, 0xff, 0, 0, 0, 0, v6]) } else { IpAddr::from(v4) };
        let next_hop = Some(if is_out { hop([192, 0, 2, 1], 1) } else { hop([192, 0, 2, 0], 2) });
        let outward = FlowRecord {
            source_port: near_port,
            destination_port: 443,
            protocol: 6,
            tcp_flags: 0x1B,
            input: 5,
            output: 10 + self.random.below(self.connections.max(1).into()) as u32,
            next_hop,
            bgp_next_hop: next_hop,
            source_asn: self.customers.asn,
            destination_asn: self.microsoft.asn,
            source_mask: near_mask,
            destination_mask: far_mask,
            source_mac: [2, 0, 0, 0, 0, 1],
            destination_mac: [2, 0, 0, 0, 0, 2],
            packets: 1,
            start_us: now_us,
            end_us: now_us,
            ..FlowRecord::between(near, far)
        };
        if is_out { outward } else { reversed(outward) }
    }

    /// An IP packet's length.
    pub(crate) fn packet_bytes(&mut self) -> u64 {
        60 + self.random.below(1_441)
    }
}

fn reversed(record: FlowRecord) -> FlowRecord {
    FlowRecord {
        source: record.destination,
        destination: record.source,
        source_port: record.destination_port,
        destination_port: record.source_port,
        input: record.output,
        output: record.input,
        source_asn: record.destination_asn,
        destination_asn: record.source_asn,
        source_mask: record.destination_mask,
        destination_mask: record.source_mask,
        source_mac: record.destination_mac,
        destination_mac: record.source_mac,
        ..record
    }
}
