//! An alert: what it is about, how bad it is, and what is said of it.

use std::fmt::Write as _;

use model::time::SECOND_US;
use model::{Direction, Name, Role};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// How bad it is, and who should hear of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For a report or a ticket; never wakes anyone.
    Info,
    /// Someone should look today.
    #[default]
    Warning,
    /// Someone should look now.
    Critical,
}

impl Severity {
    /// All, the least first.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// The name in the configuration, in labels and in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// What an alert is about: with its rule, what tells it from all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// Connection or other link.
    pub connection: Option<Name>,
    /// Which way.
    pub direction: Option<Direction>,
    /// Port.
    pub port: Option<Name>,
    /// Address of the exporter.
    pub exporter: Option<Name>,
    /// Metro.
    pub location: Option<Name>,
    /// Of the connection, or of what rides the port.
    pub role: Option<Role>,
    /// What else tells it apart: a kind of failover, what of the collector is in trouble.
    pub detail: Option<Name>,
}

impl Subject {
    /// Its parts that are known, by the names of labels.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let labels = [
            ("connection", self.connection.as_deref()),
            ("direction", self.direction.map(Direction::name)),
            ("port", self.port.as_deref()),
            ("exporter", self.exporter.as_deref()),
            ("location", self.location.as_deref()),
            ("role", self.role.map(Role::name)),
            ("detail", self.detail.as_deref()),
        ];
        labels.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on.
    Firing,
    /// It ended.
    Resolved,
}

impl State {
    /// The name in the table and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            State::Firing => "firing",
            State::Resolved => "resolved",
        }
    }
}

/// An alert as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its rule.
    pub kind: Kind,
    /// What it is about.
    pub subject: Subject,
    /// Whether it goes on.
    pub state: State,
    /// How bad it is; of an ended one the last.
    pub severity: Severity,
    /// What was judged, in the unit of its rule; `None` where an event speaks for itself or nothing is known any more.
    pub value: Option<f64>,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// Standard error of the value, by sampling.
    pub standard_error: Option<f64>,
    /// One sentence for whoever is on call.
    pub summary: String,
    /// When it was judged so, microseconds since 1970.
    pub at_us: i64,
    /// Time of the traffic that showed it first.
    pub started_us: i64,
    /// When it ended.
    pub ended_us: Option<i64>,
    /// A silence keeps it from being told.
    pub is_silenced: bool,
    /// It came and went too often: it is held until it stays away.
    pub is_flapping: bool,
}

impl Alert {
    /// What tells it from all other alerts, for receivers that put two and two together.
    pub fn fingerprint(&self) -> String {
        // FNV-1a of the labels; a name only, whoever can choose it chooses the label too.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let labels = self.subject.labels().chain([("rule", self.kind.name())]);
        for byte in labels.flat_map(|(name, value)| [name, "\u{1}", value, "\u{2}"]).flat_map(str::bytes) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        format!("{hash:016x}")
    }

    /// Which notice it is: the same alert told twice has the same.
    pub fn id(&self) -> String {
        let severity = self.severity.name();
        format!("{}-{}-{}-{severity}", self.fingerprint(), self.started_us / SECOND_US, self.state.name())
    }

    /// A line for a log or a terminal; what is not printable is escaped.
    pub fn line(&self) -> String {
        let mut line = format!("{} {} {}:", self.state.name(), self.severity.name(), self.kind.name());
        for (name, value) in self.subject.labels() {
            _ = write!(line, " {name}={}", value.escape_debug());
        }
        _ = write!(line, ": {}", self.summary.escape_debug());
        line
    }
}

/// An instant as RFC 3339 has it.
pub(crate) fn rfc3339(at_us: i64) -> String {
    jiff::Timestamp::from_microsecond(at_us).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}
