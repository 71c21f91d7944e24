//! The rules, each declared once: name, unit, levels, how long they must hold, and what they are for.

use model::time::SECOND_US;
use serde::{Deserialize, Serialize};

use crate::alert::Severity;

/// Which side of a threshold is the bad one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// At or above it.
    Above,
    /// At or below it.
    Below,
}

/// A rule as declared.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// Its name in the configuration and in the table.
    pub name: &'static str,
    /// Its `alertname` for Alertmanager.
    pub alertname: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Unit of its value, empty for a plain number.
    pub unit: &'static str,
    /// Levels by default.
    pub levels: &'static [(Severity, f64)],
    /// Which side is the bad one.
    pub passes: Passes,
    /// How far back on the good side of a level the value must be to clear it.
    pub margin: f64,
    /// How long a level must stay passed before the alert begins, s.
    pub hold_seconds: i64,
    /// How long it must stay cleared before the alert ends, s.
    pub clear_seconds: i64,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $unit:literal, $passes:ident [$($severity:ident $level:literal),+],
       margin $margin:literal, hold $hold:literal, clear $clear:literal;)+) => {
        /// A rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $kind,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)+];

            /// Its declaration.
            pub const fn declared(self) -> &'static Declared {
                match self {
                    $(Kind::$kind => &Declared {
                        name: $name,
                        alertname: concat!("Peerscope", stringify!($kind)),
                        doc: concat!($($doc),+),
                        unit: $unit,
                        levels: &[$((Severity::$severity, $level)),+],
                        passes: Passes::$passes,
                        margin: $margin,
                        hold_seconds: $hold,
                        clear_seconds: $clear,
                    },)+
                }
            }
        }
    };
}

kinds! {
    /// Load of a port on the wire over its capacity, by counters where they are known, else by flows.
    Saturation = "saturation", "%", Above [Warning 80.0, Critical 95.0], margin 5.0, hold 10, clear 120;
    /// The same over five minutes, of ports with peerings: from 50 % on Microsoft's policy asks for an upgrade.
    PolicyLine = "policy_line", "%", Above [Info 50.0], margin 5.0, hold 300, clear 1800;
    /// Load of a port that stopped varying while it is as high as it ever was, over its capacity: something on the way is full, a queue of Microsoft's perhaps, and drops there.
    FlatTop = "flat_top", "%", Above [Warning 60.0], margin 5.0, hold 60, clear 300;
    /// Minutes until a port is full if its load goes on rising as it did in the last 15 minutes.
    TimeToFull = "time_to_full", "min", Below [Warning 30.0], margin 15.0, hold 60, clear 300;
    /// Load over capacity of the fullest survivor, if this connection failed now: it would not hold.
    NMinus1 = "n_minus_1", "%", Above [Warning 95.0], margin 5.0, hold 300, clear 600;
    /// A failover goes on: a connection lost traffic or capacity and others took it, or did not.
    Failover = "failover", "", Above [Warning 1.0], margin 0.0, hold 0, clear 0;
    /// Share of a bundle's members that are down.
    CapacityLost = "capacity_lost", "%", Above [Warning 1.0, Critical 50.0], margin 0.0, hold 20, clear 60;
    /// Load of a connection over what it usually carries: nearly nothing comes any more.
    ConnectionSilent = "connection_silent", "%", Below [Warning 2.0], margin 3.0, hold 60, clear 60;
    /// How long nothing came from an exporter that covers a connection.
    ExporterSilent = "exporter_silent", "s", Above [Warning 180.0], margin 60.0, hold 0, clear 0;
    /// Microsoft traffic on a transit link, over five minutes.
    TransitLeak = "transit_leak", "Mbit/s", Above [Warning 100.0], margin 20.0, hold 300, clear 600;
    /// Share of what an exporter sent that was received and decoded, minute by minute.
    Coverage = "coverage", "%", Below [Warning 95.0], margin 1.0, hold 540, clear 300;
    /// Difference of a port's flows from its counters, over five minutes: one of them is wrong by so much.
    CountersDiffer = "counters_differ", "%", Above [Warning 25.0], margin 5.0, hold 600, clear 600;
    /// How far the 95th percentile of latency is above its own of last week.
    Latency = "latency", "%", Above [Warning 50.0], margin 20.0, hold 300, clear 600;
    /// Traffic of AS12076 (ExpressRoute) over five minutes: peers must not accept its routes.
    As12076 = "as12076", "Mbit/s", Above [Warning 0.001], margin 0.0, hold 0, clear 600;
    /// Something of the collector itself is in trouble: its disk, a queue, a target of alerts.
    Trouble = "trouble", "", Above [Warning 1.0], margin 0.0, hold 0, clear 60;
}

impl Kind {
    /// Its name in the configuration and in the table.
    pub const fn name(self) -> &'static str {
        self.declared().name
    }

    /// Whether it is over when nobody speaks of it any more; of others nothing is known then.
    pub(crate) const fn is_over_unless_told(self) -> bool {
        matches!(self, Kind::Failover | Kind::As12076 | Kind::Trouble)
    }

    /// How long a level must stay passed, by default, microseconds.
    pub(crate) const fn hold_us(self) -> i64 {
        self.declared().hold_seconds * SECOND_US
    }
}
