//! The inventory of peerings, connections and ports; record to connection and direction, counted once.
//!
//! Before the first record, [`azure::parse`] reads Azure's list of peerings, [`peerings`] keeps it in
//! a form of our own, [`config`] is what an operator writes, [`interface_table`] what a poller
//! writes. [`Inventory::build`] checks all of it against each other, says every error at once, and
//! compiles it.
//!
//! For each batch a worker's [`Resolver`] places records on links and ports
//! ([`Resolver::resolve`]), by dense tables per exporter, without allocation but for interfaces seen
//! for the first time. It sees every record and keeps what it saw ([`Seen`]): from that
//! [`Inventory::check`] tells what does not fit and [`Inventory::suggest`] what to configure.
//!
//! [`mirror`] does the same for the packets of mirror ports.
//!
//! Nothing here has a clock, a socket or a file.

pub mod azure;
pub mod config;
mod findings;
pub mod interface_table;
mod inventory;
pub mod mirror;
pub mod peerings;
mod resolver;
mod seen;
mod suggest;

pub use config::{
    ConnectionConfig, ExporterConfig, PeeringConfig, PeeringSettings, PortConfig, RiskGroupConfig, TapConfig, TransitConfig,
};
pub use findings::{Finding, FindingKind};
pub use interface_table::TableInterface;
pub use inventory::rows::{connection_changes, is_same_connection};
pub use inventory::{Inventory, SamplingEntry};
pub use peerings::Peering;
pub use resolver::Resolver;
pub use seen::{Seen, SeenExporter, SeenInterface, SeenLink, SeenNextHop, SeenRefused};
