//! One alert's way: pending, firing, ended; with hysteresis, holds, and damped flapping.

use std::collections::VecDeque;

use model::time::SECOND_US;
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Severity, State, Subject};
use crate::finding::Finding;
use crate::kind::Kind;
use crate::rule::Rule;
use crate::settings::AlertSettings;

/// What is known of one level.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Level {
    /// Since when it is passed without a break.
    passed_us: Option<i64>,
    /// Since when it is cleared without a break, while it is on.
    cleared_us: Option<i64>,
    is_on: bool,
}

/// What a rule knows of one subject from one time to the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Instance {
    levels: [Level; 3],
    value: Option<f64>,
    threshold: Option<f64>,
    standard_error: f64,
    text: String,
    /// When something was known last, by the clock.
    pub(crate) known_us: i64,
    started_us: i64,
    /// When it began of late.
    begun_us: VecDeque<i64>,
    is_flapping: bool,
    /// What changes were given of it: severity, and whether it was silenced.
    pub(crate) given: Option<(Severity, bool)>,
}

impl Instance {
    /// The worst level that is on.
    pub(crate) fn severity(&self) -> Option<Severity> {
        Severity::ALL.into_iter().rev().find(|severity| self.levels[*severity as usize].is_on)
    }

    /// Whether a level is passed, though not for long enough.
    fn is_pending(&self) -> bool {
        self.levels.iter().any(|level| level.passed_us.is_some())
    }

    /// Whether it goes on, or may begin.
    pub(crate) fn is_begun(&self) -> bool {
        self.severity().is_some() || self.is_pending()
    }

    /// Whether it can be forgotten.
    pub(crate) fn is_idle(&self, now_us: i64, settings: &AlertSettings) -> bool {
        let last_us = self.begun_us.back().copied();
        let is_past = last_us.is_none_or(|begun_us| now_us - begun_us > settings.flapping_within_seconds * SECOND_US);
        self.severity().is_none() && self.given.is_none() && !self.is_pending() && is_past
    }

    /// Takes a finding in.
    pub(crate) fn update(&mut self, finding: &Finding, rule: &Rule, now_us: i64, settings: &AlertSettings) {
        let Some(value) = finding.value else { return };
        self.known_us = now_us;
        let clear_us = match self.is_flapping {
            true => rule.clear_us.max(settings.flapping_clear_seconds * SECOND_US),
            false => rule.clear_us,
        };
        let before = self.severity();
        for (level, threshold) in self.levels.iter_mut().zip(rule.levels) {
            match threshold {
                Some(threshold) => {
                    let verdict = Verdict::of(rule, threshold, value, finding.standard_error);
                    // Chance takes averages past a level that hardly pass it: then the next one must do so too, of other bins.
                    let is_sure = rule.is_passed(threshold, value, 2.0 * finding.standard_error);
                    let hold_us = if is_sure { rule.hold_us } else { rule.hold_us.max(finding.span_us) };
                    level.update(finding.at_us, clear_us, hold_us, verdict);
                }
                None => *level = Level::default(),
            }
        }
        // What goes on for a while after nothing was told of it any more still says what it was.
        let is_said_to_be_over = finding.kind.is_over_unless_told() && value == 0.0;
        if !is_said_to_be_over || self.severity().is_none() {
            (self.value, self.standard_error) = (Some(value), finding.standard_error);
            self.text.clone_from(&finding.text);
        }
        if let Some(severity) = self.severity() {
            self.threshold = rule.levels[severity as usize];
            if before.is_none() {
                let passed = self.levels.iter().filter(|level| level.is_on).filter_map(|level| level.passed_us);
                self.started_us = passed.min().unwrap_or(finding.at_us);
                self.begin(now_us, settings);
            }
        }
    }

    fn begin(&mut self, now_us: i64, settings: &AlertSettings) {
        let from_us = now_us - settings.flapping_within_seconds * SECOND_US;
        self.begun_us.push_back(now_us);
        self.begun_us.retain(|begun_us| *begun_us >= from_us);
        while self.begun_us.len() > settings.flapping_count {
            self.begun_us.pop_front();
        }
        self.is_flapping = self.begun_us.len() >= settings.flapping_count;
    }

    /// Ends it whatever its levels are: it is not judged any more, or nothing is known of it.
    pub(crate) fn end(&mut self, why: &str) {
        self.levels = [Level::default(); 3];
        self.value = None;
        self.text = format!("{}; {why}", self.text);
    }

    /// The alert as it stands.
    pub(crate) fn alert(&self, kind: Kind, subject: &Subject, severity: Severity, state: State, now_us: i64) -> Alert {
        let flaps = self.begun_us.len();
        let damped =
            if self.is_flapping { format!(" (began {flaps} times of late: held until it stays away)") } else { String::new() };
        Alert {
            kind,
            subject: subject.clone(),
            state,
            severity,
            value: self.value.filter(|_| !kind.is_over_unless_told() || kind == Kind::As12076),
            threshold: self.threshold.filter(|_| !kind.is_over_unless_told() || kind == Kind::As12076),
            standard_error: Some(self.standard_error).filter(|error| *error > 0.0),
            summary: match state {
                State::Firing => format!("{}{damped}", self.text),
                // What it says held until then.
                State::Resolved => format!("ended; before: {}", self.text),
            },
            at_us: now_us,
            started_us: self.started_us,
            ended_us: (state == State::Resolved).then_some(now_us),
            is_silenced: self.given.is_some_and(|(_, is_silenced)| is_silenced),
            is_flapping: self.is_flapping,
        }
    }
}

/// What a value is beside a level.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Passed,
    Cleared,
    /// Neither surely beyond it nor back by the margin.
    Between,
}

impl Verdict {
    fn of(rule: &Rule, threshold: f64, value: f64, standard_error: f64) -> Verdict {
        if rule.is_passed(threshold, value, standard_error) {
            Verdict::Passed
        } else if rule.is_cleared(threshold, value) {
            Verdict::Cleared
        } else {
            Verdict::Between
        }
    }
}

impl Level {
    fn update(&mut self, at_us: i64, clear_us: i64, hold_us: i64, verdict: Verdict) {
        if verdict != Verdict::Cleared {
            self.cleared_us = None;
        }
        match verdict {
            Verdict::Passed => {
                let since_us = *self.passed_us.get_or_insert(at_us);
                self.is_on |= at_us - since_us >= hold_us;
            }
            Verdict::Between if self.is_on => {}
            Verdict::Between => self.passed_us = None,
            Verdict::Cleared if self.is_on => {
                let since_us = *self.cleared_us.get_or_insert(at_us);
                if at_us - since_us >= clear_us {
                    *self = Level::default();
                }
            }
            Verdict::Cleared => *self = Level::default(),
        }
    }
}
