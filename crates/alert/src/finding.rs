//! What a rule finds of something at a moment: a value to be compared with levels.

use crate::alert::Subject;
use crate::kind::Kind;
use crate::rule::Scope;

/// A value that a rule found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) scope: Scope,
    pub(crate) subject: Subject,
    /// Up to when what it judges goes: how long a level holds is counted by it, not by the clock.
    pub(crate) at_us: i64,
    /// In the unit of the rule; `None` where it cannot be known now.
    pub(crate) value: Option<f64>,
    pub(crate) standard_error: f64,
    /// Time that the value is averaged over, microseconds.
    pub(crate) span_us: i64,
    /// The sentence that an alert would say.
    pub(crate) text: String,
}

impl Finding {
    /// Of a port, a connection, an exporter: whatever is no sum.
    pub(crate) fn new(kind: Kind, subject: Subject, at_us: i64, value: Option<f64>, text: String) -> Finding {
        Finding { kind, scope: Scope::Port, subject, at_us, value, standard_error: 0.0, span_us: 0, text }
    }

    pub(crate) fn with_error(self, standard_error: f64) -> Finding {
        Finding { standard_error, ..self }
    }
}

/// What something is called in a sentence.
pub(crate) fn called(subject: &Subject) -> String {
    let of = [&subject.connection, &subject.port, &subject.exporter, &subject.location];
    let name = of.into_iter().flatten().next().map_or_else(|| subject.role.map_or("?", |role| role.name()), |name| &**name);
    subject.direction.map_or_else(|| name.to_owned(), |direction| format!("{name} {}", direction.words()))
}

/// A rate as a person reads it.
pub(crate) fn rate(bps: f64) -> String {
    match bps.abs() {
        bits if bits >= 1e9 => format!("{:.2} Gbit/s", bps / 1e9),
        bits if bits >= 1e6 => format!("{:.1} Mbit/s", bps / 1e6),
        _ => format!("{:.1} kbit/s", bps / 1e3),
    }
}
