//! Deltas to rows: bins, windows, estimates; `now` is an argument.
//!
//! ```text
//! worker: Batch + Attribution + Placements ─▶ Deltas ─take─▶ Delta
//! owner:  Delta ─translate─▶ Counts ─apply─▶ windows of 60 s and 300 s ─advance─▶ Publication
//! ```
//!
//! * [`Deltas`]: what one worker counts between two reports; integers only, kept apart by sampling rate;
//! * [`Flows`]: the records themselves, where they are wanted;
//! * [`RecordLatency`], [`PacketLatency`]: how long packets took, by what records and mirrored packets tell;
//! * [`judge`]: what rows mean, for reports, alerts and the page;
//! * [`Owner`]: merges deltas, and alone knows windows, lateness, maturity and revision;
//! * the rows of the tables, scaled once per rate, with the error that sampling makes.
//!
//! Neither the order of deltas nor the split of the input over workers changes a row: what is added up
//! are integers, and scaling happens when rows are made.

mod cell;
mod cell_key;
mod counters;
mod counts;
mod covers;
mod delta;
mod deltas;
mod detail_rows;
mod estimate;
mod exporter_rows;
mod exporters;
mod failover;
mod flows;
mod items;
pub mod judge;
mod kept;
mod lane;
mod latency;
mod link_rows;
mod masked;
mod names;
mod owner;
mod packed;
mod port_rows;
mod publish;
mod reconcile;
mod scale;
mod series;
mod settings;
mod small;
mod spread;
mod sums;
mod window;

pub use counts::Counts;
pub use delta::{Delta, DeltaLosses};
pub use deltas::Deltas;
pub use failover::{FailoverSettings, Failovers, Judging, Observed, Planned, Plans, PortSeen, last_told, parse_calendar};
pub use flows::Flows;
pub use latency::{Histogram, Imported, ImportedLatency, LatencyDelta, Mirrored, PacketCounts, PacketLatency, RecordLatency};
pub use owner::{Owner, OwnerState};
pub use reconcile::{Cause, Comparison, Hour, MISSED_LEAST_BPS, reconcile};
pub use series::{BinLoad, LinkSeries, PortSeries, Series};
pub use settings::MeasureSettings;

#[cfg(test)]
mod tests;
