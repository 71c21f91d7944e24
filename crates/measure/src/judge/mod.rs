//! What rows mean: percentiles, trends, what happens when a connection fails, what transit costs.
//!
//! Pure functions over series of loads; reports, alerts and the page ask the same ones.

mod agreement;
mod bill;
mod fail;
mod percentile;
mod settings;
mod trend;

pub use agreement::{Agreement, agreement, correlation};
pub use bill::{Bill, BillRule, Charged, bill};
pub use fail::{Connection, Network, Outcome, Survivor};
pub use percentile::{median, percentile};
pub use settings::ReportSettings;
pub use trend::{Crossing, Day, Trend, crossing, trend};
