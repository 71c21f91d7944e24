//! What the decoder made of a datagram: how sampling and time were resolved.

use model::time::SECOND_US;
use model::{Batch, Fact, InterfaceCounters, Record, TimeSource};

use super::node::Node;
use super::value::time;

/// The batch that the collector's decoder filled from one datagram, as a group `decoded`.
pub fn resolved(batch: &Batch) -> Node {
    let mut node = Node::group("decoded");
    for fact in &batch.facts {
        node.text("fact", told(fact));
    }
    for record in &batch.records {
        node.push(record_node(record));
    }
    for counters in &batch.counters {
        node.push(counters_node(counters));
    }
    node
}

fn told(fact: &Fact) -> String {
    match fact {
        Fact::Exporter { address, .. } => format!("exporter {address}"),
        Fact::InterfaceName { interface, name, .. } => format!("interface {interface} is named {name}"),
        Fact::InterfaceSpeed { interface, speed_bps, .. } => format!("interface {interface} has {speed_bps} bit/s"),
    }
}

fn record_node(record: &Record) -> Node {
    let mut node = Node::group(if record.is_packet_sample { "packet sample" } else { "flow" });
    node.text("from", format!("{} port {}", record.source, record.source_port));
    node.text("to", format!("{} port {}", record.destination, record.destination_port));
    node.number("protocol", record.protocol);
    node.number("bytes", record.bytes);
    node.number("packets", record.packets);
    node.text("interfaces", format!("{} to {}", record.input, record.output));
    node.text("sampling", sampling(record));
    node.text("first", at(record.start_us));
    node.text("last", at(record.end_us));
    node.text("time_from", time_source(record.time_source));
    for (name, is_set) in
        [("dropped", record.is_dropped), ("reverse", record.is_reverse), ("flow_sampled", record.sampling.is_of_flows)]
    {
        if is_set {
            node.text("note", name);
        }
    }
    node
}

/// The rate and who said so: `1 in 1000 (sampler)`.
fn sampling(record: &Record) -> String {
    let sampling = record.sampling;
    let origin = sampling.origin.name();
    if sampling.is_known() { format!("{} in {} ({origin})", sampling.sample, sampling.population) } else { origin.to_owned() }
}

const fn time_source(source: TimeSource) -> &'static str {
    match source {
        TimeSource::Milliseconds => "milliseconds",
        TimeSource::Ntp => "NTP fractions",
        TimeSource::Seconds => "seconds",
        TimeSource::DeltaMicroseconds => "microseconds before export",
        TimeSource::Uptime => "uptime",
        TimeSource::LearnedUptime => "uptime, its start learned",
        TimeSource::Export => "export time",
        TimeSource::Received => "time of reception",
    }
}

fn counters_node(counters: &InterfaceCounters) -> Node {
    let mut node = Node::group("interface counters");
    node.number("interface", counters.interface);
    for (name, value) in [
        ("speed_bps", counters.speed_bps),
        ("in_octets", counters.in_octets),
        ("out_octets", counters.out_octets),
        ("in_packets", counters.in_packets),
        ("out_packets", counters.out_packets),
        ("in_discards", counters.in_discards),
        ("out_discards", counters.out_discards),
        ("in_errors", counters.in_errors),
        ("out_errors", counters.out_errors),
    ] {
        if let Some(value) = value {
            node.number(name, value);
        }
    }
    if counters.is_reset {
        node.text("note", "counters began anew");
    }
    node
}

fn at(instant_us: i64) -> String {
    time(instant_us.div_euclid(SECOND_US), instant_us.rem_euclid(SECOND_US))
}
