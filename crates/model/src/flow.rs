//! What a row of the table `flows` is made of: a record of Microsoft's traffic where it was placed.

use std::sync::Arc;

use crate::address::Address;
use crate::link::{Direction, View};
use crate::record::Sampling;
use crate::tag::{Side, TagNames};
use crate::{Link, Name};

/// A record on a link; names are numbers that its [`FlowBatch`] knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// First packet, event time.
    pub start_us: i64,
    /// Last packet, event time.
    pub end_us: i64,
    /// IP bytes, as exported.
    pub bytes: u64,
    /// Packets, as exported.
    pub packets: u64,
    /// How it was sampled.
    pub sampling: Sampling,
    /// Index of the exporter in its batch.
    pub exporter: u32,
    /// Index of the link in its batch.
    pub link: u32,
    /// Input interface; 0 unknown.
    pub input: u32,
    /// Output interface; 0 unknown.
    pub output: u32,
    /// Our end.
    pub ours: Side,
    /// Microsoft's end.
    pub microsoft: Side,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// TCP flags, the OR over the flow.
    pub tcp_flags: u8,
    /// Which way it goes.
    pub direction: Direction,
    /// From where the record saw it.
    pub view: View,
    /// The ledger counts its record here: not on another link before, nor as the other half of a biflow.
    pub is_in_ledger: bool,
}

/// Flows of one worker, and what their numbers stand for.
#[derive(Clone, Debug, Default)]
pub struct FlowBatch {
    /// In the order in which they came.
    pub flows: Vec<Flow>,
    /// Addresses of the exporters by [`Flow::exporter`].
    pub exporters: Vec<Option<Address>>,
    /// Links by [`Flow::link`].
    pub links: Vec<Arc<Link>>,
    /// What tags and places stand for.
    pub names: Arc<TagNames>,
}

impl FlowBatch {
    /// The name of a link.
    pub fn link(&self, link: u32) -> Option<&Name> {
        self.links.get(link as usize).map(|link| &link.name)
    }
}
