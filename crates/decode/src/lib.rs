//! Datagram to records, counters and facts: NetFlow, IPFIX, sFlow; pure.
//!
//! [`Decoder::datagram`] takes any bytes and appends to a [`model::Batch`]. A template becomes a plan
//! of loads when it arrives, and a record is read by executing it. What cannot be decoded is counted
//! by its reason in the [`model::Ledger`] and in the health of its exporter; nothing fails.
//!
//! * `decoder`: the entry, exporters and domains;
//! * `sets`: version 9 and IPFIX messages, `templates`, `plan`, `data`, `options`, `held`;
//! * `netflow5`: versions 5 and 7; `sflow`: version 5;
//! * [`header`]: sampled packet bytes;
//! * `latency`: elements in which exporters tell how long packets took;
//! * `build`: values to a record; `sampling`, `clock`, `sequence`: what makes them true;
//! * [`elements`], [`inspect`]: names, and datagrams field by field, for people;
//! * [`readings`]: interface counters as other programs write them;
//! * [`probes`]: latency as active probes write it;
//! * `state`: what outlives a restart.

mod build;
mod clock;
mod columns;
mod data;
mod decoder;
mod domain;
pub mod elements;
mod fields;
pub mod header;
mod held;
pub mod inspect;
mod latency;
mod netflow5;
mod options;
mod plan;
pub mod probes;
pub mod readings;
mod recent;
mod sampling;
mod sequence;
mod sets;
mod settings;
mod sflow;
mod state;
mod steps;
mod summary;
mod templates;

#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use latency::LatencyElements;
pub use settings::{DecodeSettings, SamplingRule};
pub use state::DecoderState;
pub use summary::Summary;
