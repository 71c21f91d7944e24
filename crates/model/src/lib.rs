//! The nouns of peerscope and their units; no I/O.
//!
//! Every other crate depends on this one and, the program apart, on no other: a stage takes the
//! types below and gives the types below.
//!
//! ```text
//! datagram ─decode─▶ Batch { Record, InterfaceCounters, Fact } ─attribute─▶ Attribution
//!          ─resolve─▶ Placements { Link, Port } ─measure─▶ Rows ─store─▶ Parquet
//! ```
//!
//! * [`address`]: addresses of both families in one type, and prefixes of them;
//! * [`record`]: what exporters say: flow records, interface counters, facts about themselves;
//! * [`link`]: where traffic is counted: links, ports, directions, placements;
//! * [`segment`]: TCP segments of packets that are mirrored;
//! * [`flow`]: a record where it was placed, for the table of records;
//! * [`tag`]: what of Microsoft's an address belongs to, and whose customer it is;
//! * [`latency`]: how long packets took: methods, spans, what elements of exporters mean;
//! * [`ledger`]: the three balances in which nothing is lost without being counted;
//! * [`time`]: microseconds, bins and windows;
//! * [`table`], [`tables`]: the one declaration of every column of every table;
//! * [`settings`]: the one declaration of every setting.

pub mod address;
pub mod flow;
pub mod health;
pub mod latency;
pub mod ledger;
pub mod link;
pub mod record;
pub mod segment;
pub mod settings;
pub mod table;
pub mod tables;
pub mod tag;
pub mod time;

pub use address::{Address, Mac, Prefix};
pub use flow::{Flow, FlowBatch};
pub use health::ExporterHealth;
pub use ledger::Ledger;
pub use link::{Direction, Link, MatchedBy, Placement, Placements, Port, Role, View};
pub use record::{Batch, ExporterId, Fact, InterfaceCounters, Metering, Protocol, Record, Sampling, SamplingOrigin, TimeSource};
pub use tables::{Publication, Rows};
pub use tag::{Attribution, Side, Tag, TagId};

/// A name that many rows share.
pub type Name = std::sync::Arc<str>;
