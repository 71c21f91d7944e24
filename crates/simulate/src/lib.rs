//! Scenarios of networks to real datagrams and the truth about them.
//!
//! ```text
//! Scenario ─▶ flows ─packets─▶ routers (samplers, caches) ─records─▶ encoders ─▶ losses ─▶ Output
//!                      └─────▶ Truth (sums at packet times)
//! ```
//!
//! * [`scenario`]: the file: routers, ports, links, customers, services, traffic, failures;
//! * [`run`]: a scenario to an [`Output`], and the [`Truth`] about it. The same seed gives the same bytes;
//! * [`Handshakes`]: what a mirror port of a connection shows of TCP handshakes;
//! * [`LoadGenerator`]: datagrams made once and sent over and over, for measuring speed.
//!
//! The encoders are written against the specifications and share nothing with the decoder: one can
//! find the other's faults. The truth knows packets only, no record, timeout or sampling.

mod cache;
mod delivery;
mod encode;
mod exporter;
mod flow;
mod handshakes;
mod load;
mod load_flows;
mod output;
mod plan;
mod random;
mod record;
mod routing;
pub mod scenario;
mod simulation;
mod summary;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod truth;

pub use handshakes::{Handshakes, MirroredFrame};
pub use load::{LoadGenerator, LoadSettings};
pub use output::Output;
pub use scenario::{Scenario, ScenarioError};
pub use simulation::run;
pub use truth::Truth;
