//! Silences: what is not told for a time, though it is judged and written down all the same.

use model::time::SECOND_US;
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Subject, rfc3339};
use crate::kind::Kind;

/// Silences that are held at once.
pub const SILENCES_MAX: usize = 1_000;

/// `[[silence]]`, or what `peerscope alerts silence` asks for: alerts of which all that is given is true.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Silence {
    /// Only of this rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Kind>,
    /// Only of this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Only of this port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Only of this exporter's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exporter: Option<String>,
    /// Only of this metro.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Until when, as RFC 3339 has it: `2026-12-01T06:00:00Z`.
    pub until: String,
    /// Why, for whoever lists silences.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

impl Silence {
    /// Says what is wrong with it.
    ///
    /// # Errors
    ///
    /// One sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.until_us().is_none() {
            return Err(format!("until = \"{}\" is no time: give one as 2026-12-01T06:00:00Z", self.until));
        }
        Ok(())
    }

    /// Until when it holds, microseconds since 1970.
    pub fn until_us(&self) -> Option<i64> {
        self.until.parse::<jiff::Timestamp>().ok().map(|until| until.as_microsecond())
    }

    /// Has it hold for some seconds from now on.
    pub fn hold_for(&mut self, seconds: i64, now_us: i64) {
        self.until = rfc3339(now_us.saturating_add(seconds.saturating_mul(SECOND_US)));
    }

    /// Whether it holds at that time.
    pub fn is_in_force(&self, now_us: i64) -> bool {
        self.until_us().is_some_and(|until_us| now_us < until_us)
    }

    /// Whether it is of an alert.
    pub fn is_of(&self, alert: &Alert) -> bool {
        self.covers(alert.kind, &alert.subject)
    }

    pub(crate) fn covers(&self, kind: Kind, subject: &Subject) -> bool {
        let is_of = |asked: &Option<String>, name: Option<&str>| asked.is_none() || asked.as_deref() == name;
        self.rule.is_none_or(|rule| rule == kind)
            && is_of(&self.connection, subject.connection.as_deref())
            && is_of(&self.port, subject.port.as_deref())
            && is_of(&self.exporter, subject.exporter.as_deref())
            && is_of(&self.location, subject.location.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_of_what_fits_until_it_ends() {
        let subject = Subject { connection: Some("a".into()), port: Some("p".into()), ..Subject::default() };
        let silence =
            Silence { connection: Some("a".to_owned()), until: "1970-01-01T00:00:10Z".to_owned(), ..Silence::default() };
        assert_eq!(silence.check(), Ok(()));
        assert!(silence.covers(Kind::Saturation, &subject) && !silence.covers(Kind::Saturation, &Subject::default()));
        let of_rule = Silence { rule: Some(Kind::FlatTop), ..silence.clone() };
        assert!(!of_rule.covers(Kind::Saturation, &subject) && of_rule.covers(Kind::FlatTop, &subject));
        assert!(silence.is_in_force(9_999_999) && !silence.is_in_force(10_000_000));
        assert!(Silence { until: "tomorrow".to_owned(), ..silence }.check().unwrap_err().contains("tomorrow"));
    }
}
