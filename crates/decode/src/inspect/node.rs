//! What an inspection yields: a tree of named groups and values.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// A named group of nodes, or a named value.
///
/// Displayed as indented lines; serialized as `{"group": NAME, "items": [...]}` and
/// `{"field": NAME, "value": ...}`, for names may come again in a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A group: a datagram, a set, a record.
    Group(String, Vec<Node>),
    /// A field.
    Field(String, Value),
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number that is not negative.
    Unsigned(u64),
    /// A number that may be.
    Signed(i64),
    /// A floating-point number.
    Float(f64),
    /// Text, control characters escaped: addresses, times, names, bytes in hexadecimal.
    Text(String),
}

impl Node {
    /// A group without items yet.
    pub(crate) fn group(name: impl Into<String>) -> Node {
        Node::Group(name.into(), Vec::new())
    }

    /// Adds an item to a group; a field has none.
    pub(crate) fn push(&mut self, item: Node) {
        if let Node::Group(_, items) = self {
            items.push(item);
        }
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, name: &str, value: impl Into<u64>) {
        self.push(Node::Field(name.to_owned(), Value::Unsigned(value.into())));
    }

    /// Adds something that prints.
    pub(crate) fn text(&mut self, name: &str, value: impl fmt::Display) {
        self.push(Node::Field(name.to_owned(), Value::Text(value.to_string())));
    }

    /// The first item of that name, at any depth.
    pub fn find(&self, name: &str) -> Option<&Node> {
        match self {
            Node::Group(own, _) | Node::Field(own, _) if own == name => Some(self),
            Node::Group(_, items) => items.iter().find_map(|item| item.find(name)),
            Node::Field(..) => None,
        }
    }

    fn write(&self, formatter: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = 2 * depth;
        match self {
            Node::Group(name, items) => {
                writeln!(formatter, "{:indent$}{name}", "")?;
                items.iter().try_for_each(|item| item.write(formatter, depth + 1))
            }
            Node::Field(name, value) => writeln!(formatter, "{:indent$}{name}: {value}", ""),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter, 0)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(number) => number.fmt(formatter),
            Value::Signed(number) => number.fmt(formatter),
            Value::Float(number) => number.fmt(formatter),
            Value::Text(text) => text.fmt(formatter),
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        match self {
            Node::Group(name, items) => {
                map.serialize_entry("group", name)?;
                map.serialize_entry("items", items)?;
            }
            Node::Field(name, value) => {
                map.serialize_entry("field", name)?;
                map.serialize_entry("value", value)?;
            }
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Unsigned(number) => serializer.serialize_u64(*number),
            Value::Signed(number) => serializer.serialize_i64(*number),
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
        }
    }
}
