//! What the page shows, as plain values: whoever measures fills them in about once a second.

use std::sync::Arc;

use model::tables::ExporterRow;
use model::{Direction, Ledger, Name, Role};

use crate::judge::{FailureOfOne, Networks};
use crate::status::Status;

/// Everything at one moment; immutable, swapped whole. What is not known yet is empty.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When, microseconds since 1970; in a demo its own time.
    pub at_us: i64,
    /// How many times faster than the wall's this time runs; 1 but in a demo.
    pub speed: u32,
    /// Connections, transit and other links, what burns first.
    pub connections: Vec<Connection>,
    /// Ports, by name.
    pub ports: Vec<Port>,
    /// Exporters' domains as their last whole minute tells, by address.
    pub exporters: Vec<Exporter>,
    /// Failovers, the latest first.
    pub events: Vec<Event>,
    /// Alerts that fire or have been resolved of late, the latest first.
    pub alerts: Vec<Alert>,
    /// Latencies of late, as far as telemetry knows any.
    pub latencies: Vec<Latency>,
    /// The three balances since the start.
    pub ledger: Ledger,
    /// How the program itself fares.
    pub process: Process,
    /// What failures are judged by.
    pub networks: Arc<Networks>,
}

impl Snapshot {
    /// A connection by its name.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections.iter().find(|connection| &*connection.name == name)
    }
}

/// A connection, transit link or other link.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name, unique.
    pub name: Name,
    /// Its peering, as Azure has it.
    pub peering: Option<Name>,
    /// `Direct` or `Exchange`, as Azure has it.
    pub kind: Option<Name>,
    /// `direct`, `exchange`, `transit` or `other`.
    pub role: Role,
    /// Metro.
    pub location: Option<Name>,
    /// Facility.
    pub facility: Option<Name>,
    /// Name of the port that it rides.
    pub port: Option<Name>,
    /// State of the connection, as Azure has it.
    pub state: Option<Name>,
    /// It is with Microsoft: not transit, and no rest of an exchange's port.
    pub is_peering: bool,
    /// It takes part in capacity.
    pub is_active: bool,
    /// Capacity of its port, bit/s.
    pub capacity_bps: Option<f64>,
    /// How it fares.
    pub status: Status,
    /// Why, in a sentence each; the first is that of the status.
    pub reasons: Vec<String>,
    /// Why its figures are not to be trusted; empty where nothing is known against them.
    pub doubts: Vec<String>,
    /// Loads, in the order of [`Direction::ALL`].
    pub ways: [Way; 2],
    /// What its failure would come to.
    pub failure: Option<FailureOfOne>,
}

impl Connection {
    /// The load in a direction.
    pub fn way(&self, direction: Direction) -> &Way {
        &self.ways[direction as usize]
    }
}

/// The load of a connection in one direction.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Mean over the last minute whose records must have come.
    pub load: Option<Load>,
    /// Load of its port on the wire over capacity.
    pub utilisation: Option<Utilisation>,
    /// 95th percentile of the five-minute means of the last 24 hours, bit/s on the link layer.
    pub p95_bps: Option<f64>,
    /// The same of the utilisation.
    pub p95_utilisation: Option<f64>,
    /// Steps of five minutes behind these, of 288.
    pub steps_known: usize,
    /// Share of what its exporters sent that came, of late.
    pub coverage_ratio: Option<f64>,
    /// Load by flows over load by counters, of its port over the last hour.
    pub flows_to_counters: Option<f64>,
    /// The last hour.
    pub history: Arc<History>,
}

/// A load by flows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Bit/s on the link layer, as interface counters count it.
    pub bps: f64,
    /// Its standard error by sampling alone.
    pub standard_error_bps: f64,
    /// End of the minute, microseconds.
    pub until_us: i64,
}

/// How full a port is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Utilisation {
    /// Load on the wire over capacity: 1.0 is full.
    pub ratio: f64,
    /// Its standard error by sampling; 0 by counters.
    pub standard_error: f64,
    /// Interface counters tell it, not flows.
    pub is_by_counters: bool,
    /// End of the time that it is of, microseconds.
    pub until_us: i64,
}

/// Loads of the last hour in bins of 10 s, in order and without holes; not a number where unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Start of the first bin, microseconds.
    pub from_us: i64,
    /// By flows, bit/s on the link layer.
    pub bps: Vec<f32>,
    /// Standard error of these.
    pub standard_error_bps: Vec<f32>,
    /// Of the whole port by its counters, bit/s on the link layer.
    pub counter_bps: Vec<f32>,
    /// Of the whole port by flows, bit/s on the link layer.
    pub port_bps: Vec<f32>,
    /// Bins at the front whose records must have come; what follows may grow yet.
    pub mature: usize,
}

/// A port in both directions.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name, unique.
    pub name: Name,
    /// Address of its exporter.
    pub exporter: Name,
    /// Role of what rides it.
    pub role: Role,
    /// Capacity, bit/s.
    pub capacity_bps: Option<f64>,
    /// `configured`, `provisioned`, `members` or `speed`.
    pub capacity_source: Option<&'static str>,
    /// Members of the bundle that are up, and all.
    pub members: Option<(i64, i64)>,
    /// How full it is, in the order of [`Direction::ALL`].
    pub utilisation: [Option<Utilisation>; 2],
}

/// An exporter's domain.
#[derive(Clone, Debug)]
pub struct Exporter {
    /// Its name, where it is configured.
    pub name: Option<Name>,
    /// Its last whole minute.
    pub row: ExporterRow,
}

/// A failover.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number or name, unique.
    pub id: Name,
    /// What failed.
    pub connection: Name,
    /// Which direction; `None` for both.
    pub direction: Option<Direction>,
    /// What kind it is of, such as `cut` or `drain`.
    pub kind: Name,
    /// What says so.
    pub evidence: Name,
    /// Metro.
    pub location: Option<Name>,
    /// When it began, microseconds.
    pub started_us: i64,
    /// When it was seen.
    pub detected_us: Option<i64>,
    /// When it was over; `None` while it lasts.
    pub ended_us: Option<i64>,
    /// Load before, bit/s.
    pub before_bps: Option<f64>,
    /// Where the traffic went.
    pub moved: Vec<Moved>,
    /// Share of it that is found nowhere.
    pub unaccounted_share: Option<f64>,
    /// Share that stayed in the metro.
    pub stayed_local_share: Option<f64>,
    /// Share that went to transit.
    pub to_transit_share: Option<f64>,
    /// Share that came back.
    pub returned_share: Option<f64>,
    /// Fullest survivor, load over capacity.
    pub survivor_peak_utilisation: Option<f64>,
    /// Median round trip before and after, microseconds.
    pub latency_us: Option<(f64, f64)>,
    /// It was planned.
    pub is_planned: bool,
}

/// What a link took of a failed one's traffic.
#[derive(Clone, Debug)]
pub struct Moved {
    /// Which link.
    pub connection: Name,
    /// Which direction.
    pub direction: Direction,
    /// How much, bit/s.
    pub bps: f64,
    /// Which share of what was lost.
    pub share: f64,
    /// Standard error of the share.
    pub share_error: Option<f64>,
}

/// How fast paths over a connection are, by one method that is never mixed with another.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Over which connection.
    pub connection: Name,
    /// To which region of Microsoft's; `None` for all.
    pub region: Option<Name>,
    /// How it is measured.
    pub method: Name,
    /// From where to where, such as `round_trip` or `edge_to_microsoft`.
    pub span: Name,
    /// Samples behind it.
    pub samples: i64,
    /// Median, microseconds.
    pub p50_us: Option<f64>,
    /// 95th percentile.
    pub p95_us: Option<f64>,
    /// Why there is none.
    pub absent_reason: Option<Name>,
}

/// An alert.
#[derive(Clone, Debug)]
pub struct Alert {
    /// When its state began, microseconds.
    pub at_us: i64,
    /// Its rule.
    pub rule: Name,
    /// `firing`, `silenced` or `resolved`.
    pub state: Name,
    /// `critical`, `warning` or `info`.
    pub severity: Name,
    /// What it is of, where it is of one connection.
    pub connection: Option<Name>,
    /// Which direction.
    pub direction: Option<Direction>,
    /// In a sentence.
    pub summary: String,
}

/// How the program itself fares; counts are since its start.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// When it started, microseconds since 1970 of the wall clock.
    pub started_us: i64,
    /// Datagrams that the kernel dropped for want of buffer.
    pub kernel_drops: u64,
    /// Receive workers.
    pub workers: usize,
    /// Reports of workers that wait for the owner, and how many can at most.
    pub reports_waiting: (usize, usize),
    /// Tasks that wait for the disk.
    pub tasks_waiting: usize,
    /// Rows that wait for the disk.
    pub rows_waiting: usize,
    /// The disk cannot be written.
    pub is_disk_failing: bool,
    /// Windows published, revisions included.
    pub windows_published: u64,
    /// Windows that could not be written.
    pub windows_lost: u64,
    /// Flow records that could not be written, where they are kept.
    pub flows_lost: u64,
    /// Tasks of writing done.
    pub writes: u64,
    /// Time that they took, seconds.
    pub write_seconds: f64,
    /// Syncs and checkpoints of the journal that failed.
    pub journal_failures: u64,
    /// Log lines held back, by reason.
    pub log_lines_suppressed: Vec<(String, u64)>,
    /// Time that the last look at the owner took it, seconds.
    pub look_seconds: f64,
    /// How far the copy in an object store is; `None` where nothing is copied.
    pub copied: Option<Copied>,
}

/// What was copied to an object store; counts are since the program's start.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// Everything published before this is there, microseconds since 1970 of the wall clock.
    pub until_us: i64,
    /// Files copied.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects removed that were replaced.
    pub removed: u64,
    /// Rounds that did not come to their end.
    pub failures: u64,
    /// Hours of tables that were removed from the disk before they were copied.
    pub lost_hours: u64,
}
