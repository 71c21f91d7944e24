//! Every datagram field by field, with the names of the elements: `peerscope inspect`.
//!
//! This walk is for reading, not for measuring: it shows what is on the wire, the malformed
//! included, and shares with the collector's decoder only the sFlow framing and the header parser.
//! It has its own memory of templates, keyed as the decoder's is (exporter address, version,
//! domain, template id). What the decoder made of a datagram (rates and where they came from,
//! times, refusals) is [`resolved`], shown beside it.

mod netflow;
mod node;
mod resolved;
mod sflow;
mod template;
mod value;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use model::time::SECOND_US;

pub use node::{Node, Value};
pub use resolved::resolved;

use template::Templates;

/// Walks datagrams and remembers their templates.
#[derive(Debug, Default)]
pub struct Inspector {
    templates: Templates,
}

impl Inspector {
    /// An inspector that knows no template.
    pub fn new() -> Inspector {
        Inspector::default()
    }

    /// Walks one datagram: a group `datagram` with its reception, then its header and its sets or
    /// samples, to the last byte. What cannot be read is a field `error` where it stands.
    pub fn datagram(&mut self, received_us: i64, source: SocketAddr, payload: &[u8]) -> Node {
        let mut node = Node::group("datagram");
        node.text("received", value::time(received_us.div_euclid(SECOND_US), received_us.rem_euclid(SECOND_US)));
        node.text("source", source);
        node.number("length", payload.len() as u64);
        match payload {
            [0, 0, 0, 5, ..] => sflow::walk(payload, &mut node),
            [0, 5, ..] | [0, 7, ..] => netflow::walk_fixed(payload, &mut node),
            [0, 9, ..] => netflow::walk_v9(payload, source.ip(), &mut self.templates, &mut node),
            [0, 10, ..] => self.messages(source, payload, &mut node),
            _ => node.text("error", format!("no known version: {}", value::hex(&payload[..payload.len().min(4)]))),
        }
        node
    }

    /// IPFIX messages, of which a datagram may hold several.
    fn messages(&mut self, source: SocketAddr, payload: &[u8], node: &mut Node) {
        let mut rest = payload;
        while let [0, 10, high, low, ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some((message, after)) = rest.split_at_checked(length).filter(|_| length >= 16) else {
                node.text("error", format!("the message says {length} bytes, {} are there", rest.len()));
                return;
            };
            netflow::walk_ipfix(message, source.ip(), &mut self.templates, node);
            rest = after;
        }
        if !rest.is_empty() {
            node.number("trailing_bytes", rest.len() as u64);
        }
    }
}
