//! NetFlow version 5, 7 and 9 and IPFIX, field by field.

use std::net::IpAddr;

use super::node::{Node, Value};
use super::template::{Field, Template, Templates};
use super::value::{hex, unsigned, value};
use crate::elements::ElementType;

/// Name, bytes and type of each field of a header or record of fixed form.
type Layout = &'static [(&'static str, usize, ElementType)];

use ElementType::{Flags, Ipv4, Seconds, Unsigned};

const HEADER_V5: Layout = &[
    ("version", 2, Unsigned),
    ("count", 2, Unsigned),
    ("sysUptime", 4, Unsigned),
    ("unixSeconds", 4, Seconds),
    ("unixNanoseconds", 4, Unsigned),
    ("flowSequence", 4, Unsigned),
    ("engineType", 1, Unsigned),
    ("engineId", 1, Unsigned),
    ("samplingModeAndInterval", 2, Flags),
];
const HEADER_V7: Layout = &[
    ("version", 2, Unsigned),
    ("count", 2, Unsigned),
    ("sysUptime", 4, Unsigned),
    ("unixSeconds", 4, Seconds),
    ("unixNanoseconds", 4, Unsigned),
    ("flowSequence", 4, Unsigned),
    ("reserved", 4, Unsigned),
];
const RECORD_V5: Layout = &[
    ("sourceIPv4Address", 4, Ipv4),
    ("destinationIPv4Address", 4, Ipv4),
    ("ipNextHopIPv4Address", 4, Ipv4),
    ("ingressInterface", 2, Unsigned),
    ("egressInterface", 2, Unsigned),
    ("packetDeltaCount", 4, Unsigned),
    ("octetDeltaCount", 4, Unsigned),
    ("flowStartSysUpTime", 4, Unsigned),
    ("flowEndSysUpTime", 4, Unsigned),
    ("sourceTransportPort", 2, Unsigned),
    ("destinationTransportPort", 2, Unsigned),
    ("flags", 1, Flags),
    ("tcpControlBits", 1, Flags),
    ("protocolIdentifier", 1, Unsigned),
    ("ipClassOfService", 1, Flags),
    ("bgpSourceAsNumber", 2, Unsigned),
    ("bgpDestinationAsNumber", 2, Unsigned),
    ("sourceIPv4PrefixLength", 1, Unsigned),
    ("destinationIPv4PrefixLength", 1, Unsigned),
    ("flags2", 2, Flags),
];
/// What a version 7 record has after the fields of version 5.
const RECORD_V7_END: Layout = &[("routerSource", 4, Ipv4)];
const HEADER_V9: Layout = &[
    ("version", 2, Unsigned),
    ("count", 2, Unsigned),
    ("sysUptime", 4, Unsigned),
    ("unixSeconds", 4, Seconds),
    ("packageSequence", 4, Unsigned),
    ("sourceId", 4, Unsigned),
];
const HEADER_IPFIX: Layout = &[
    ("version", 2, Unsigned),
    ("length", 2, Unsigned),
    ("exportTime", 4, Seconds),
    ("sequenceNumber", 4, Unsigned),
    ("observationDomainId", 4, Unsigned),
];

/// Values of a set that are shown: a template of empty fields makes many out of a byte.
const VALUES_MAX: usize = 65_536;

/// The exporter, version and domain that templates belong to.
#[derive(Clone, Copy)]
struct Scope {
    exporter: IpAddr,
    version: u16,
    domain: u32,
}

impl Scope {
    const fn is_ipfix(self) -> bool {
        self.version == 10
    }
}

/// NetFlow version 5 and 7: a header and records of one form.
pub(super) fn walk_fixed(payload: &[u8], node: &mut Node) {
    let is_v7 = payload[1] == 7;
    let Some(mut rest) = fixed(if is_v7 { HEADER_V7 } else { HEADER_V5 }, payload, node) else { return };
    let count = usize::from(u16::from_be_bytes([payload[2], payload[3]]));
    let record_bytes = if is_v7 { 52 } else { 48 };
    let fitting = rest.len() / record_bytes;
    if count != fitting {
        node.text("error", format!("the header says {count} records, {fitting} fit"));
    }
    for _ in 0..count.min(fitting) {
        let mut record = Node::group("record");
        let (bytes, after) = rest.split_at(record_bytes);
        if let Some(end) = fixed(RECORD_V5, bytes, &mut record)
            && is_v7
        {
            fixed(RECORD_V7_END, end, &mut record);
        }
        node.push(record);
        rest = after;
    }
    if !rest.is_empty() {
        node.number("trailing_bytes", rest.len() as u64);
    }
}

/// NetFlow version 9: the bytes decide where it ends, not the count.
pub(super) fn walk_v9(payload: &[u8], exporter: IpAddr, templates: &mut Templates, node: &mut Node) {
    let Some(sets) = fixed(HEADER_V9, payload, node) else { return };
    let domain = unsigned(&payload[16..20]).unwrap_or(0) as u32;
    walk_sets(sets, Scope { exporter, version: 9, domain }, templates, node);
}

/// One IPFIX message, already cut to its length.
pub(super) fn walk_ipfix(message: &[u8], exporter: IpAddr, templates: &mut Templates, node: &mut Node) {
    let mut group = Node::group("message");
    if let Some(sets) = fixed(HEADER_IPFIX, message, &mut group) {
        let domain = unsigned(&message[12..16]).unwrap_or(0) as u32;
        walk_sets(sets, Scope { exporter, version: 10, domain }, templates, &mut group);
    }
    node.push(group);
}

/// Adds the fields of a fixed form; `None` where they are cut off.
fn fixed<'a>(layout: Layout, bytes: &'a [u8], node: &mut Node) -> Option<&'a [u8]> {
    let mut rest = bytes;
    for (name, length, element_type) in layout {
        let Some((field, after)) = rest.split_at_checked(*length) else {
            node.text("error", format!("cut off before {name}"));
            return None;
        };
        node.push(Node::Field((*name).to_owned(), value(*element_type, field)));
        rest = after;
    }
    Some(rest)
}

/// The sets of a datagram or message, each by its length.
fn walk_sets(bytes: &[u8], scope: Scope, templates: &mut Templates, node: &mut Node) {
    let mut rest = bytes;
    while let [id_high, id_low, length_high, length_low, ..] = *rest {
        let id = u16::from_be_bytes([id_high, id_low]);
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let Some((set, after)) = rest.split_at_checked(length).filter(|_| length >= 4) else {
            node.text("error", format!("set {id} says {length} bytes, {} are there", rest.len()));
            return;
        };
        node.push(walk_set(id, &set[4..], scope, templates));
        rest = after;
    }
    if !rest.is_empty() {
        node.number("trailing_bytes", rest.len() as u64);
    }
}

fn walk_set(id: u16, content: &[u8], scope: Scope, templates: &mut Templates) -> Node {
    let mut node = Node::group("set");
    node.number("id", id);
    node.number("length", content.len() as u64 + 4);
    match (id, scope.is_ipfix()) {
        (0, false) | (2, true) => walk_templates(content, scope, false, templates, &mut node),
        (1, false) | (3, true) => walk_templates(content, scope, true, templates, &mut node),
        (256.., _) => match templates.get((scope.exporter, scope.version, scope.domain, id)) {
            Some(template) => walk_records(content, template, &mut node),
            None => {
                node.text("error", format!("no template {id} of domain {} has come", scope.domain));
                node.text("data", hex(content));
            }
        },
        _ => node.text("error", "reserved set id"),
    }
    node
}

/// Templates until what is left can be no further one.
fn walk_templates(content: &[u8], scope: Scope, is_options: bool, templates: &mut Templates, node: &mut Node) {
    let mut rest = content;
    while rest.len() >= 4 && rest[..4] != [0; 4] {
        let id = u16::from_be_bytes([rest[0], rest[1]]);
        let Some((template, after)) = read_template(rest, scope, is_options) else {
            node.text("error", format!("template {id} is cut off"));
            return;
        };
        node.push(template.node(id));
        if template.least_bytes() > 0 && id >= 256 {
            templates.put((scope.exporter, scope.version, scope.domain, id), template);
        }
        rest = after;
    }
    padding(rest, node);
}

/// One template (RFC 7011, section 3.4; RFC 3954, section 5.2 and 6.1).
fn read_template(bytes: &[u8], scope: Scope, is_options: bool) -> Option<(Template, &[u8])> {
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let count = usize::from(word(2)?);
    let (field_count, scope_count, mut rest) = match (is_options, scope.is_ipfix()) {
        (false, _) => (count, 0, &bytes[4..]),
        // A withdrawal has no scope count.
        (true, true) if count == 0 => (0, 0, &bytes[4..]),
        (true, true) => (count, usize::from(word(4)?), &bytes[6..]),
        // Version 9 gives the lengths of scopes and options in bytes.
        (true, false) => {
            let scope_count = count / 4;
            (scope_count + usize::from(word(4)?) / 4, scope_count, &bytes[6..])
        }
    };
    let mut fields = Vec::new();
    for index in 0..field_count {
        let (specifier, after) = rest.split_at_checked(4)?;
        rest = after;
        let number = u16::from_be_bytes([specifier[0], specifier[1]]);
        let length = u16::from_be_bytes([specifier[2], specifier[3]]);
        let is_scope = index < scope_count;
        fields.push(match scope.is_ipfix() {
            true if number & 0x8000 != 0 => {
                let (enterprise, after) = rest.split_at_checked(4)?;
                rest = after;
                let enterprise = u32::from_be_bytes(enterprise.try_into().ok()?);
                Field::new(enterprise, number & 0x7fff, length, is_scope)
            }
            false if is_scope => Field::scope_v9(number, length),
            _ => Field::new(0, number, length, is_scope),
        });
    }
    Some((Template::new(fields, is_options, scope.is_ipfix()), rest))
}

/// Records until less than the shortest is left.
fn walk_records(content: &[u8], template: &Template, node: &mut Node) {
    let mut rest = content;
    let mut values_left = VALUES_MAX;
    while rest.len() >= template.least_bytes() {
        values_left = values_left.saturating_sub(template.fields.len());
        if values_left == 0 {
            node.text("error", format!("over {VALUES_MAX} values; {} bytes are not shown", rest.len()));
            return;
        }
        let mut record = Node::group(if template.is_options { "options record" } else { "record" });
        for field in &template.fields {
            let Some((bytes, after)) = template.split(field, rest) else {
                record.text("error", format!("cut off before {}", field.element.name));
                node.push(record);
                return;
            };
            record.push(Node::Field(field.label(), value(field.element.element_type, bytes)));
            rest = after;
        }
        node.push(record);
    }
    padding(rest, node);
}

fn padding(rest: &[u8], node: &mut Node) {
    if rest.iter().any(|byte| *byte != 0) {
        node.push(Node::Field("nonzero_padding".to_owned(), Value::Text(hex(rest))));
    } else if !rest.is_empty() {
        node.number("padding", rest.len() as u64);
    }
}
