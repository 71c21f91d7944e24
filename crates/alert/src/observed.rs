//! What rules judge: loads, health and events, as plain values of whoever measures them.

use model::time::BIN_US;
use model::{Name, Role};

use crate::alert::Subject;

/// What is known at a moment.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The moment, microseconds since 1970.
    pub now_us: i64,
    /// Ports that connections or transit links ride, by direction.
    pub ports: Vec<Load>,
    /// Connections and transit links, by direction.
    pub links: Vec<Load>,
    /// Minutes of exporters that are over, each told once.
    pub exporters: Vec<ExporterMinute>,
    /// Addresses of the exporters that cover connections.
    pub covering: Vec<Name>,
    /// What failures of connections would come to; empty where that was not looked at this time.
    pub failures: Vec<FailureOutcome>,
    /// Failovers that go on.
    pub events: Vec<Event>,
    /// Rates of AS12076 over the last detail window, each told once.
    pub express_routes: Vec<ExpressRoute>,
    /// Latencies beside those of last week; none where there is no latency.
    pub latencies: Vec<Latency>,
    /// What of the collector is in trouble: what, and a sentence.
    pub troubles: Vec<(Name, String)>,
}

/// A load in one direction, and what it is of.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// What it is of.
    pub subject: Subject,
    /// Counts towards capacity and headroom: Active where Azure says.
    pub is_active: bool,
    /// Capacity, bit/s.
    pub capacity_bps: Option<f64>,
    /// Members of the bundle that are up, and all.
    pub members: Option<(i64, i64)>,
    /// How long its exporters hold flows, microseconds.
    pub timeout_us: i64,
    /// In order, without holes.
    pub bins: Vec<Bin>,
}

impl Load {
    /// Whether it is of a peering with Microsoft.
    pub(crate) fn is_peering(&self) -> bool {
        matches!(self.subject.role, Some(Role::Direct | Role::Exchange))
    }
}

/// A load in a bin of 10 s, bit/s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Its start, microseconds since 1970.
    pub start_us: i64,
    /// By flows, on the wire.
    pub wire_bps: Option<f64>,
    /// Standard error of it by sampling.
    pub standard_error_bps: Option<f64>,
    /// Nearly all records must have come.
    pub is_mature: bool,
    /// By interface counters, on the wire.
    pub counter_wire_bps: Option<f64>,
    /// Packets that the interface discarded.
    pub discards: Option<i64>,
}

impl Bin {
    /// Its load and the variance of it: by counters where they are known, at once; else by flows once they are mature.
    pub fn load(&self) -> Option<(f64, f64)> {
        self.counter_wire_bps.map(|bps| (bps, 0.0)).or_else(|| self.flow_load())
    }

    /// The same by flows alone.
    pub(crate) fn flow_load(&self) -> Option<(f64, f64)> {
        let bps = self.wire_bps.filter(|_| self.is_mature)?;
        Some((bps, self.standard_error_bps?.powi(2)))
    }

    pub(crate) const fn end_us(&self) -> i64 {
        self.start_us.saturating_add(BIN_US)
    }
}

/// An exporter in a minute of reception.
#[derive(Clone, Debug)]
pub struct ExporterMinute {
    /// Its address.
    pub exporter: Name,
    /// End of the minute.
    pub end_us: i64,
    /// Datagrams that came.
    pub datagrams: i64,
    /// Share of what it sent that was received and decoded; `None` where nothing tells.
    pub coverage_ratio: Option<f64>,
}

/// What a connection's failure would come to.
#[derive(Clone, Debug)]
pub struct FailureOutcome {
    /// The connection that would fail, and in which direction this is.
    pub subject: Subject,
    /// The fullest survivor.
    pub survivor: Name,
    /// Its load over capacity.
    pub utilisation: f64,
    /// Standard error of it by sampling.
    pub standard_error: f64,
}

/// Something that went on, or goes on: a failover.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number, as the table of failovers has it.
    pub id: String,
    /// What kind of it, and which connection and direction it is about.
    pub subject: Subject,
    /// It goes on.
    pub is_open: bool,
    /// When it began.
    pub started_us: i64,
    /// One sentence.
    pub summary: String,
}

/// Traffic of AS12076 on a link.
#[derive(Clone, Debug)]
pub struct ExpressRoute {
    /// Which link and direction.
    pub subject: Subject,
    /// End of the time that it is of.
    pub end_us: i64,
    /// How much, bit/s.
    pub bps: f64,
    /// Standard error of it by sampling.
    pub standard_error_bps: f64,
}

/// A connection's latency beside its own of last week.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Which connection.
    pub subject: Subject,
    /// End of the time that it is of.
    pub end_us: i64,
    /// 95th percentile now, µs.
    pub p95_us: f64,
    /// The same of last week.
    pub usual_us: f64,
}
