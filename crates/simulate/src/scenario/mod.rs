//! The scenario file: a network, its traffic, and what goes wrong, as TOML.
//!
//! [`Scenario::parse`] reads and checks; unknown keys are errors. Names join the parts: a port
//! names its router, a connection its port, a failure its connection.

mod check;
mod configuration;
mod network;
mod router;

use serde::Deserialize;

pub(crate) use network::MacText;
pub use network::{
    Background, Connection, ConnectionKind, Customer, Failure, FlowsCarry, Member, Metro, MirrorPort, Port, Service, Slower,
    Transit,
};
pub use router::{Delivery, FlowTimes, MeteredSide, OutputInterface, Router, Sampling, SamplingMethod, ToldBy, WireProtocol};

/// A scenario that cannot be run, as one sentence that names the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScenarioError(pub String);

/// A simulated network and its run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The same seed gives the same datagrams and the same truth.
    pub seed: u64,
    /// The time of the first packet, RFC 3339 (`2026-03-02T10:00:00Z`).
    pub start: String,
    /// How long packets flow, seconds; records in caches follow after it.
    pub duration_seconds: u32,
    /// Where the network is.
    pub metros: Vec<Metro>,
    /// The devices that meter and export.
    pub routers: Vec<Router>,
    /// Their interfaces and bundles.
    pub ports: Vec<Port>,
    /// Connections to Microsoft.
    #[serde(default)]
    pub connections: Vec<Connection>,
    /// Transit links over which some of Microsoft's traffic goes.
    #[serde(default)]
    pub transits: Vec<Transit>,
    /// Our side of the traffic.
    pub customers: Vec<Customer>,
    /// Microsoft's side of the traffic.
    pub services: Vec<Service>,
    /// Traffic on peering ports that is not Microsoft's.
    #[serde(default)]
    pub background: Vec<Background>,
    /// Connections and bundle members that go down.
    #[serde(default)]
    pub failures: Vec<Failure>,
    /// Mirror ports of connections.
    #[serde(default)]
    pub mirrors: Vec<MirrorPort>,
    /// How traffic looks.
    #[serde(default)]
    pub traffic: TrafficShape,
    /// `start`, read.
    #[serde(skip)]
    started_us: i64,
}

/// How the traffic of every link looks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficShape {
    /// Share of flows over IPv6, 0 to 1, where both ends have IPv6 prefixes; a link can have its own.
    pub ipv6_share: f64,
    /// Load of the quietest hour over the mean, 0 to 1: 1 is a flat day. The daily curve is a cosine.
    pub night_ratio: f64,
    /// Hour of the day (UTC) of the highest load.
    pub peak_hour: f64,
    /// Times with more, or less, traffic.
    pub surges: Vec<Surge>,
    /// IP packet sizes and their weights.
    pub packet_sizes: Vec<PacketSize>,
    /// Flow lengths and their weights.
    pub flow_lengths: Vec<FlowLength>,
    /// Packets that a flow sends back to back, at one instant, 1 to 65,536: more makes long runs cheaper. Of more than 64 the
    /// sizes of the first 64 come again and again.
    pub packets_per_train: u32,
}

impl Default for TrafficShape {
    fn default() -> TrafficShape {
        let size = |bytes, weight| PacketSize { bytes, weight };
        let length = |packets, seconds, weight| FlowLength { packets, seconds, weight };
        TrafficShape {
            ipv6_share: 0.25,
            night_ratio: 1.0,
            peak_hour: 20.0,
            surges: Vec::new(),
            packet_sizes: vec![size(60, 0.3), size(320, 0.1), size(576, 0.05), size(1280, 0.15), size(1500, 0.4)],
            flow_lengths: vec![length(6.0, 1.0, 0.6), length(80.0, 8.0, 0.3), length(1_500.0, 90.0, 0.1)],
            packets_per_train: 1,
        }
    }
}

/// A time with more (or less) traffic.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surge {
    /// Seconds after the start.
    pub at_seconds: f64,
    /// How long, seconds.
    pub duration_seconds: f64,
    /// What new traffic is multiplied with.
    pub factor: f64,
}

/// One size of the packet-size mix.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacketSize {
    /// Length of the IP packet, bytes: 60 to 9000 (no frame needs padding).
    pub bytes: u16,
    /// Share of the packets, in proportion to the other weights.
    pub weight: f64,
}

/// One kind of flow of the flow-length mix.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowLength {
    /// Mean packets of a flow.
    pub packets: f64,
    /// Mean time from first to last packet, seconds.
    pub seconds: f64,
    /// Share of the flows, in proportion to the other weights.
    pub weight: f64,
}

impl Scenario {
    /// Reads and checks a scenario.
    ///
    /// # Errors
    /// The first fault, in one sentence that names the key.
    pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        let mut scenario: Scenario = toml::from_str(text).map_err(|error| ScenarioError(sentence_of(text, &error)))?;
        let time = scenario.start.parse::<jiff::Timestamp>().map_err(|_| {
            ScenarioError(format!("start: \"{}\" is not a time; write it as 2026-03-02T10:00:00Z", scenario.start))
        })?;
        scenario.start_at(time.as_microsecond());
        scenario.check()?;
        Ok(scenario)
    }

    /// The time of the first packet at the earliest, microseconds since 1970; a whole second.
    pub fn start_us(&self) -> i64 {
        self.started_us
    }

    /// When so many seconds of it have passed, microseconds since 1970.
    pub fn at_us(&self, seconds: f64) -> i64 {
        self.started_us + (seconds * 1e6) as i64
    }

    /// One router with defaults for what its TOML leaves out.
    pub(crate) fn router(text: &str) -> Result<Router, ScenarioError> {
        toml::from_str(text).map_err(|error| ScenarioError(sentence_of(text, &error)))
    }

    /// Moves the whole scenario to another time: a live run starts now. Whole seconds; the rest is cut off.
    pub fn start_at(&mut self, start_us: i64) {
        if let Ok(time) = jiff::Timestamp::from_second(start_us.div_euclid(1_000_000)) {
            self.start = time.to_string();
            self.started_us = time.as_microsecond();
        }
    }
}

/// The parser's words with the line they are about, on one line.
fn sentence_of(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    match error.span() {
        Some(span) => {
            let line = text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1;
            format!("line {line}: {message}")
        }
        None => message,
    }
}
