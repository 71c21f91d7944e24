//! The live page, its API, and the metrics endpoint.
//!
//! ```text
//! owner ─Series─▶ Recent ─▶ Painter ─▶ Snapshot ─▶ Screen ─▶ page (server-sent events), API, /metrics
//! tables ──────────────────────────────▶ Archive ──────────▶ ranges of minutes to years
//! ```
//!
//! * [`Recent`], [`Painter`]: the loads of late to what is shown; no clock, socket or file;
//! * [`Snapshot`]: everything at one moment, immutable; whoever measures hands one over about once a second;
//! * [`Archive`]: what has to be read from files, asked for on threads that may wait;
//! * [`serve`]: HTTP/1.1 on a thread of its own, read-only but for counters that are pushed with a token.
//!
//! All files of the page are within the program (`assets/`), and it asks nobody else for anything.

mod access;
mod answer;
mod archive;
mod assets;
mod history;
mod judge;
mod live;
mod metrics;
mod parameters;
mod picture;
mod recent;
mod routes;
mod service;
mod settings;
mod snapshot;
mod status;
mod verdict;
mod view;

#[cfg(test)]
mod tests;

pub use archive::{Archive, Budget, By, LoadColumns, LoadQuery, Loads, PushError, Share, ShareQuery, Shares};
pub use judge::{FailureOfOne, Networks, Survivor, WhatIf};
pub use picture::{Painter, Picture};
pub use recent::{Recent, Step};
pub use service::{Options, Screen, serve};
pub use settings::{Access, WebLimits};
pub use snapshot::{
    Alert, Connection, Copied, Event, Exporter, History, Latency, Load, Moved, Port, Process, Snapshot, Utilisation, Way,
};
pub use status::{Limits, Status};
