//! How long packets take, by method: never mixed, and with the reason where it cannot be told.
//!
//! * [`PacketLatency`]: handshakes and timestamps in the packets of a mirror port or capture;
//! * [`RecordLatency`]: what exporters tell, and the starts of the two records of a connection;
//! * [`ImportedLatency`]: what active probes measured;
//! * [`Histogram`]: what windows and reports add up.

mod cells;
mod hdr;
mod histogram;
mod imported;
mod packets;
mod records;
mod rows;
mod table;
mod window;

#[cfg(test)]
mod tests;

use model::tag::TagNames;
use model::{Name, TagId};

pub use cells::LatencyDelta;
pub use histogram::Histogram;
pub use imported::{Imported, ImportedLatency};
pub use packets::{Mirrored, PacketCounts, PacketLatency};
pub use records::RecordLatency;
pub(crate) use window::LatencyWindow;

/// Services that end connections at Microsoft's edge: their addresses tell no region.
const EDGE_SERVICES: &str = "AzureFrontDoor";

/// The region that Microsoft's end is in, as far as its packets go there.
fn region(names: &TagNames, tag: TagId) -> Option<&Name> {
    let tag = names.tags.get(tag.0 as usize)?;
    let is_at_edge = tag.service.as_deref().is_some_and(|service| service.starts_with(EDGE_SERVICES));
    if is_at_edge { None } else { tag.region.as_ref() }
}
