//! Loads to alerts: rules, state, delivery.
//!
//! ```text
//! Observed ─rules─▶ findings ─levels, holds, hysteresis─▶ Change ─▶ row of `alerts`
//!                                                            └─▶ Delivery ─▶ a thread a target
//! ```
//!
//! * [`Observed`]: what rules judge, as plain values; whoever measures them translates;
//! * [`Kind`]: the rules, each declared once; [`Rules`]: as configured;
//! * [`Engine`]: pure, its clock is in what is observed; what it knows can be saved and restored;
//! * [`Delivery`]: tells [`Target`]s, at least once, each by a thread of its own: none waits for another,
//!   and nobody for any of them.
//!
//! A value passes a level when it does so by two standard errors. How long it did is counted in the time of
//! the traffic, not of the clock: late data alerts as it would have in time.

mod alert;
mod average;
mod deliver;
mod engine;
mod finding;
mod instance;
mod kind;
mod observed;
mod rule;
mod rules;
mod settings;
mod silence;

#[cfg(test)]
mod tests;

pub use alert::{Alert, Severity, State, Subject};
pub use deliver::{Delivered, Delivery, Keep, Saved, Target, TargetConfig, check_targets, test_target};
pub use engine::{Change, Engine, Notice};
pub use kind::{Declared, Kind, Passes};
pub use observed::{Bin, Event, ExporterMinute, ExpressRoute, FailureOutcome, Latency, Load, Observed};
pub use rule::{RuleConfig, Rules, Scope};
pub use settings::AlertSettings;
pub use silence::{SILENCES_MAX, Silence};
