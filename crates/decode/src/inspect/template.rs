//! Templates as an inspection remembers them.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::node::Node;
use crate::elements::{self, Element};

/// Templates remembered; more are shown but not used.
const TEMPLATES_MAX: usize = 65_536;
/// Fields of a template, as the decoder's hard limit.
const FIELDS_MAX: usize = 1_024;
/// A field of variable length (RFC 7011, section 7).
const VARIABLE: u16 = 0xffff;

/// Exporter, version, domain and template id.
type Key = (IpAddr, u16, u32, u16);

/// One field of a template.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) element: Element,
    enterprise: u32,
    number: u16,
    length: u16,
    is_scope: bool,
}

/// A template or options template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) fields: Vec<Field>,
    pub(super) is_options: bool,
    is_ipfix: bool,
}

/// All templates by exporter, version, domain and id.
#[derive(Debug, Default)]
pub(super) struct Templates {
    by_key: HashMap<Key, Template>,
}

impl Templates {
    pub(super) fn get(&self, key: Key) -> Option<&Template> {
        self.by_key.get(&key)
    }

    pub(super) fn put(&mut self, key: Key, template: Template) {
        if self.by_key.len() < TEMPLATES_MAX || self.by_key.contains_key(&key) {
            self.by_key.insert(key, template);
        }
    }
}

impl Field {
    /// An element of IANA or an enterprise.
    pub(super) fn new(enterprise: u32, number: u16, length: u16, is_scope: bool) -> Field {
        Field { element: elements::element(enterprise, number), enterprise, number, length, is_scope }
    }

    /// A scope of NetFlow version 9 (RFC 3954, section 6.1): these have numbers of their own.
    pub(super) fn scope_v9(number: u16, length: u16) -> Field {
        let name = match number {
            1 => "system",
            2 => "interface",
            3 => "lineCard",
            4 => "netflowCache",
            5 => "template",
            _ => "unknown",
        };
        let element = Element { name: name.to_owned(), element_type: elements::ElementType::Bytes };
        Field { element, enterprise: 0, number, length, is_scope: true }
    }

    /// The name, with a mark on scopes.
    pub(super) fn label(&self) -> String {
        if self.is_scope { format!("scope {}", self.element.name) } else { self.element.name.clone() }
    }

    fn node(&self) -> Node {
        let mut node = Node::group(self.label());
        if self.enterprise != 0 {
            node.number("enterprise", self.enterprise);
        }
        node.number("number", self.number);
        match self.length {
            VARIABLE => node.text("length", "variable"),
            length => node.number("length", length),
        }
        node
    }
}

impl Template {
    pub(super) fn new(fields: Vec<Field>, is_options: bool, is_ipfix: bool) -> Template {
        Template { fields, is_options, is_ipfix }
    }

    /// The fewest bytes of a record; 0 for a template that cannot be used.
    pub(super) fn least_bytes(&self) -> usize {
        let least = |field: &Field| if self.is_variable(field) { 1 } else { usize::from(field.length) };
        if self.fields.len() > FIELDS_MAX { 0 } else { self.fields.iter().map(least).sum() }
    }

    /// The bytes of the next field of that kind, and the rest; `None` where they are cut off.
    pub(super) fn split<'a>(&self, field: &Field, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        if !self.is_variable(field) {
            return bytes.split_at_checked(usize::from(field.length));
        }
        match bytes {
            [0xff, high, low, rest @ ..] => rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))),
            [short, rest @ ..] if *short < 0xff => rest.split_at_checked(usize::from(*short)),
            _ => None,
        }
    }

    pub(super) fn node(&self, id: u16) -> Node {
        let mut node = Node::group(if self.is_options { "options template" } else { "template" });
        node.number("id", id);
        for field in &self.fields {
            node.push(field.node());
        }
        if self.least_bytes() == 0 {
            node.text("error", "no record can be read by it: no field, no length, or too many fields");
        }
        node
    }

    /// Variable length is IPFIX's alone.
    fn is_variable(&self, field: &Field) -> bool {
        self.is_ipfix && field.length == VARIABLE
    }
}
