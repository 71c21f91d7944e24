//! What rows mean: percentiles, trends, what happens when a connection fails, what transit costs.
//!
//! Pure functions over series of loads; reports, alerts and the page ask the same ones.

mod agreement;
mod bill;
mod fail;
#[cfg(test)]
mod fail_tests;
mod failure;
mod network;
mod observed;
mod outcome;
mod percentile;
#[cfg(test)]
mod resilience_tests;
mod settings;
mod shares;
mod split;
mod trend;

pub use agreement::{Agreement, agreement, correlation};
pub use bill::{Bill, BillRule, Charged, bill};
pub use failure::{Failure, FailureKind, Place, failure_of, failures};
pub use network::{Connection, Network, Port, PrefixLoad, Standing};
pub use observed::{Fall, Falls, Observed, ObservedShare, steps_of_falls};
pub use outcome::{Amount, Outcome, Survivor};
pub use percentile::{median, percentile};
pub use settings::ReportSettings;
pub use shares::{Origin, Share, Shares};
pub use split::{Basis, Portion, Split};
pub use trend::{Crossing, Day, Trend, crossing, trend};
