//! sFlow version 5, field by field.

use model::Mac;

use super::node::Node;
use super::value::{hex, text};
use crate::header::{self, HeaderKind, IpHeader, PacketHeader};
use crate::sflow::datagram::{Datagram, Structure};
use crate::sflow::sample::{self, CounterSample, DiscardedPacket, FlowSample, Interface};
use crate::sflow::xdr::Xdr;
use crate::sflow::{counters, packet};

/// One field of a record in XDR.
#[derive(Clone, Copy)]
enum Part {
    Number,
    Long,
    Flags,
    Ipv4,
    Ipv6,
    /// An address with its type before it.
    Address,
    Mac,
    Text,
    Bytes,
    /// A count and that many numbers.
    Numbers,
    /// Segments of an AS path.
    Path,
}

use Part::{Address, Bytes, Flags, Ipv4, Ipv6, Long, Number, Numbers, Path, Text};

/// A record: its format, its name and its fields (sFlow version 5, section 5).
type Layout = (u32, &'static str, &'static [(&'static str, Part)]);

const FLOW_RECORDS: &[Layout] = &[
    (
        packet::RAW_HEADER,
        "raw header",
        &[("header_protocol", Number), ("frame_length", Number), ("stripped", Number), ("header", Bytes)],
    ),
    (
        packet::ETHERNET,
        "ethernet",
        &[("length", Number), ("source_mac", Part::Mac), ("destination_mac", Part::Mac), ("type", Flags)],
    ),
    (
        packet::IPV4,
        "ipv4",
        &[
            ("length", Number),
            ("protocol", Number),
            ("source", Ipv4),
            ("destination", Ipv4),
            ("source_port", Number),
            ("destination_port", Number),
            ("tcp_flags", Flags),
            ("tos", Flags),
        ],
    ),
    (
        packet::IPV6,
        "ipv6",
        &[
            ("length", Number),
            ("protocol", Number),
            ("source", Ipv6),
            ("destination", Ipv6),
            ("source_port", Number),
            ("destination_port", Number),
            ("tcp_flags", Flags),
            ("priority", Number),
        ],
    ),
    (
        packet::EXTENDED_SWITCH,
        "extended switch",
        &[("source_vlan", Number), ("source_priority", Number), ("destination_vlan", Number), ("destination_priority", Number)],
    ),
    (packet::EXTENDED_ROUTER, "extended router", &[("next_hop", Address), ("source_mask", Number), ("destination_mask", Number)]),
    (
        packet::EXTENDED_GATEWAY,
        "extended gateway",
        &[
            ("bgp_next_hop", Address),
            ("asn", Number),
            ("source_asn", Number),
            ("source_peer_asn", Number),
            ("as_path", Path),
            ("communities", Numbers),
            ("local_preference", Number),
        ],
    ),
    (1_006, "extended MPLS", &[("next_hop", Address), ("labels_in", Numbers), ("labels_out", Numbers)]),
    (1_007, "extended NAT", &[("source", Address), ("destination", Address)]),
    (packet::EXTENDED_VLAN_TUNNEL, "extended VLAN tunnel", &[("tags", Numbers)]),
    (1_036, "extended queue length", &[("segment", Number)]),
    (1_037, "extended NAT ports", &[("source_port", Number), ("destination_port", Number)]),
    (1_038, "extended L2 tunnel egress", &[("length", Number)]),
    (1_041, "extended function", &[("symbol", Text)]),
    (1_042, "extended transit", &[("delay_ns", Number)]),
    (1_043, "extended queue", &[("depth", Number)]),
];

const COUNTER_RECORDS: &[Layout] = &[
    (
        counters::INTERFACE,
        "interface counters",
        &[
            ("ifIndex", Number),
            ("ifType", Number),
            ("ifSpeed", Long),
            ("ifDirection", Number),
            ("ifStatus", Flags),
            ("ifInOctets", Long),
            ("ifInUcastPkts", Number),
            ("ifInMulticastPkts", Number),
            ("ifInBroadcastPkts", Number),
            ("ifInDiscards", Number),
            ("ifInErrors", Number),
            ("ifInUnknownProtos", Number),
            ("ifOutOctets", Long),
            ("ifOutUcastPkts", Number),
            ("ifOutMulticastPkts", Number),
            ("ifOutBroadcastPkts", Number),
            ("ifOutDiscards", Number),
            ("ifOutErrors", Number),
            ("ifPromiscuousMode", Number),
        ],
    ),
    (
        counters::ETHERNET,
        "ethernet counters",
        &[
            ("dot3StatsAlignmentErrors", Number),
            ("dot3StatsFCSErrors", Number),
            ("dot3StatsSingleCollisionFrames", Number),
            ("dot3StatsMultipleCollisionFrames", Number),
            ("dot3StatsSQETestErrors", Number),
            ("dot3StatsDeferredTransmissions", Number),
            ("dot3StatsLateCollisions", Number),
            ("dot3StatsExcessiveCollisions", Number),
            ("dot3StatsInternalMacTransmitErrors", Number),
            ("dot3StatsCarrierSenseErrors", Number),
            ("dot3StatsFrameTooLongs", Number),
            ("dot3StatsInternalMacReceiveErrors", Number),
            ("dot3StatsSymbolErrors", Number),
        ],
    ),
    (1_005, "interface name", &[("name", Text)]),
];

/// Walks a datagram whose version was found to be 5.
pub(super) fn walk(payload: &[u8], node: &mut Node) {
    let Some(datagram) = Datagram::read(payload) else {
        node.text("error", "the header is cut off, or the agent has no IPv4 or IPv6 address");
        return;
    };
    node.text("version", "sFlow 5");
    node.text("agent", datagram.agent);
    node.number("sub_agent", datagram.sub_agent);
    node.number("sequence", datagram.sequence);
    node.number("uptime_ms", datagram.uptime_ms);
    node.number("samples", datagram.sample_count);
    let mut samples = datagram.samples();
    for sample in &mut samples {
        match sample {
            Ok(structure) => node.push(walk_sample(structure)),
            Err(_) => node.text("error", "a sample is longer than what is left of the datagram"),
        }
    }
    if !samples.trailing().is_empty() {
        node.number("trailing_bytes", samples.trailing().len() as u64);
    }
}

fn walk_sample(structure: Structure<'_>) -> Node {
    let is_expanded = matches!(structure.format, sample::FLOW_EXPANDED | sample::COUNTERS_EXPANDED);
    let length = structure.data.rest().len() as u64;
    let mut xdr = structure.data;
    let (mut node, layouts) = match structure.format {
        sample::FLOW | sample::FLOW_EXPANDED => (flow(is_expanded, &mut xdr), FLOW_RECORDS),
        sample::COUNTERS | sample::COUNTERS_EXPANDED => (counter(is_expanded, &mut xdr), COUNTER_RECORDS),
        sample::DISCARDED => (discarded(&mut xdr), FLOW_RECORDS),
        format => {
            let mut node = Node::group("unknown sample");
            node.text("format", name_of_format(format));
            node.text("data", hex(xdr.rest()));
            return node;
        }
    };
    node.number("length", length);
    let walked = sample::records(xdr, |record| node.push(walk_record(record, layouts)));
    if walked.is_err() {
        node.text("error", "the records do not fit the sample");
    }
    node
}

fn flow(is_expanded: bool, xdr: &mut Xdr<'_>) -> Node {
    let mut node = Node::group(if is_expanded { "expanded flow sample" } else { "flow sample" });
    if let Some(sample) = FlowSample::read(is_expanded, xdr) {
        node.number("sequence", sample.sequence);
        node.text("source", format!("type {} index {}", sample.source.kind, sample.source.index));
        node.number("sampling_rate", sample.rate);
        node.number("sample_pool", sample.pool);
        node.number("drops", sample.drops);
        node.text("input", interface(sample.input));
        node.text("output", interface(sample.output));
    }
    node
}

fn interface(interface: Interface) -> String {
    match interface {
        Interface::One(index) => index.to_string(),
        Interface::Dropped(reason) => format!("dropped, reason {reason}"),
        Interface::Several(count) => format!("{count} interfaces"),
        Interface::Unknown => "unknown".to_owned(),
    }
}

fn counter(is_expanded: bool, xdr: &mut Xdr<'_>) -> Node {
    let mut node = Node::group(if is_expanded { "expanded counter sample" } else { "counter sample" });
    if let Some(sample) = CounterSample::read(is_expanded, xdr) {
        node.number("sequence", sample.sequence);
        node.text("source", format!("type {} index {}", sample.source.kind, sample.source.index));
    }
    node
}

fn discarded(xdr: &mut Xdr<'_>) -> Node {
    let mut node = Node::group("discarded packet");
    if let Some(sample) = DiscardedPacket::read(xdr) {
        node.number("sequence", sample.sequence);
        node.text("source", format!("type {} index {}", sample.source.kind, sample.source.index));
        node.number("drops", sample.drops);
        node.number("input", sample.input);
        node.number("output", sample.output);
        node.text("reason", drop_reason(sample.reason));
    }
    node
}

/// A record by its layout; of others the format and the bytes.
fn walk_record(record: Structure<'_>, layouts: &[Layout]) -> Node {
    let Some((_, name, fields)) = layouts.iter().find(|layout| layout.0 == record.format) else {
        let mut node = Node::group("unknown record");
        node.text("format", name_of_format(record.format));
        node.text("data", hex(record.data.rest()));
        return node;
    };
    let mut node = Node::group(*name);
    let mut xdr = record.data;
    for (field, part) in *fields {
        if push_part(&mut node, field, *part, &mut xdr).is_none() {
            node.text("error", format!("cut off before {field}"));
            return node;
        }
    }
    if record.format == packet::RAW_HEADER {
        push_packet(&mut node, record.data);
    }
    node
}

fn push_part(node: &mut Node, name: &str, part: Part, xdr: &mut Xdr<'_>) -> Option<()> {
    match part {
        Number => node.number(name, xdr.u32()?),
        Long => node.number(name, xdr.u64()?),
        Flags => node.text(name, format!("{:#x}", xdr.u32()?)),
        Ipv4 => node.text(name, model::Address::from_v4_bits(xdr.u32()?)),
        Ipv6 => node.text(name, xdr.address_v6()?),
        Address => node.text(name, xdr.address()?),
        Part::Mac => node.text(name, Mac(xdr.fixed(6)?.try_into().ok()?)),
        Text => node.text(name, text(xdr.opaque()?)),
        Bytes => node.text(name, hex(xdr.opaque()?)),
        Numbers => node.text(name, numbers(xdr)?),
        Path => node.text(name, path(xdr)?),
    }
    Some(())
}

/// A count and that many numbers, apart by spaces.
fn numbers(xdr: &mut Xdr<'_>) -> Option<String> {
    let count = xdr.u32()?;
    let mut out = Vec::new();
    for _ in 0..count {
        out.push(xdr.u32()?.to_string());
    }
    Some(out.join(" "))
}

/// The segments of a path; sets in braces.
fn path(xdr: &mut Xdr<'_>) -> Option<String> {
    let count = xdr.u32()?;
    let mut out = Vec::new();
    for _ in 0..count {
        let is_set = xdr.u32()? == packet::AS_SET;
        let segment = numbers(xdr)?;
        out.push(if is_set { format!("{{{segment}}}") } else { segment });
    }
    Some(out.join(" "))
}

/// What the header parser makes of a raw header.
fn push_packet(node: &mut Node, mut xdr: Xdr<'_>) {
    let parsed = (|| {
        let [protocol, frame_length, stripped] = xdr.words()?;
        let bytes = xdr.opaque()?;
        let length = u64::from(frame_length.saturating_sub(stripped));
        header::parse(HeaderKind::from_sflow(protocol)?, bytes, length)
    })();
    let Some(parsed) = parsed else {
        node.text("error", "a header of a kind that is not read, or too short for it");
        return;
    };
    node.push(packet_node(&parsed));
}

fn packet_node(packet: &PacketHeader) -> Node {
    let mut node = Node::group("packet");
    if !packet.source_mac.is_unknown() {
        node.text("source_mac", packet.source_mac);
        node.text("destination_mac", packet.destination_mac);
    }
    for (name, value) in
        [("vlan", packet.vlan.into()), ("inner_vlan", packet.inner_vlan.into()), ("mpls_label", packet.mpls_label)]
    {
        if value != 0 {
            node.number(name, value);
        }
    }
    if packet.ip_version != 0 {
        node.number("ip_version", packet.ip_version);
        push_ip(&mut node, &packet.ip);
        node.number("ip_bytes", packet.ip_bytes);
    }
    if let Some(inner) = &packet.inner {
        let mut group = Node::group("in the tunnel");
        push_ip(&mut group, inner);
        node.push(group);
    }
    node
}

fn push_ip(node: &mut Node, ip: &IpHeader) {
    node.text("source", ip.source);
    node.text("destination", ip.destination);
    node.number("protocol", ip.protocol);
    node.number("source_port", ip.source_port);
    node.number("destination_port", ip.destination_port);
    if ip.tcp_flags != 0 {
        node.text("tcp_flags", format!("{:#x}", ip.tcp_flags));
    }
}

/// `enterprise:format`.
fn name_of_format(format: u32) -> String {
    format!("{}:{}", format >> 12, format & 0xfff)
}

/// Why a packet was dropped: ICMP codes below 256, else sFlow's own (sFlow drop notifications).
fn drop_reason(code: u32) -> String {
    let name = match code {
        0 => "net unreachable",
        1 => "host unreachable",
        2 => "protocol unreachable",
        3 => "port unreachable",
        4 => "fragmentation needed",
        5 => "source route failed",
        6 => "destination network unknown",
        7 => "destination host unknown",
        8 => "source host isolated",
        9 | 10 | 13 => "administratively prohibited",
        11 | 12 => "unreachable for the type of service",
        14 => "host precedence violation",
        15 => "precedence cutoff",
        256 => "unknown",
        257 => "time to live exceeded",
        258 => "access list",
        259 => "no buffer space",
        260 => "random early detection",
        261 => "traffic shaping",
        262 => "packet too big",
        263 => "source MAC is multicast",
        264 => "VLAN tag mismatch",
        265 => "ingress VLAN filter",
        266 => "ingress spanning tree filter",
        267 => "port list is empty",
        268 => "port loopback filter",
        269 => "blackhole route",
        270 => "non-IP packet",
        271 => "unicast destination over multicast MAC",
        272 => "destination is loopback",
        273 => "source is multicast",
        274 => "source is loopback",
        275 => "IP header corrupted",
        276 => "source is limited broadcast",
        _ => "other",
    };
    format!("{name} ({code})")
}
