//! `[[latency_element]]`: elements of exporters that tell latency, beyond those that are built in.

use model::latency::{LatencyElement, Path};
use serde::Deserialize;

/// An element that tells how long packets took.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LatencyElementConfig {
    /// Enterprise number; 0 of IANA's elements and of version 9.
    #[serde(default)]
    enterprise: u32,
    /// Number of the element.
    element: u16,
    /// Which part of the way it measures: `client`, `server`, `whole` or `one_way`.
    path: Path,
    /// Its unit.
    unit: Unit,
    /// It is half a round trip.
    #[serde(default)]
    is_half: bool,
    /// It is of the handshake and comes again in each record of a connection: the one with the SYN counts.
    #[serde(default)]
    is_of_handshake: bool,
    /// It is a sum (or mean), and this element of the same enterprise counts of how many.
    #[serde(default)]
    count: Option<u16>,
    /// It is the mean of so many, not their sum.
    #[serde(default)]
    is_mean: bool,
    /// Element of the same enterprise with the least of them.
    #[serde(default)]
    least: Option<u16>,
    /// Element of the same enterprise with the largest of them.
    #[serde(default)]
    most: Option<u16>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Unit {
    #[serde(rename = "us")]
    Microseconds,
    #[serde(rename = "ms")]
    Milliseconds,
}

impl From<&LatencyElementConfig> for LatencyElement {
    fn from(config: &LatencyElementConfig) -> LatencyElement {
        let at = |number: u16| (config.enterprise, number);
        LatencyElement {
            element: at(config.element),
            path: config.path,
            unit_us: match config.unit {
                Unit::Microseconds => 1,
                Unit::Milliseconds => 1_000,
            },
            is_half: config.is_half,
            is_of_handshake: config.is_of_handshake,
            is_mean: config.is_mean,
            counts: config.count.map(at).into_iter().collect(),
            least: config.least.map(at),
            most: config.most.map(at),
        }
    }
}
