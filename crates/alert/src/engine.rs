//! The engine: findings of a moment to alerts that begin, change and end. Pure: `now` is in what is observed.

use std::collections::BTreeMap;

use model::time::SECOND_US;
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Severity, State, Subject};
use crate::finding::Finding;
use crate::instance::Instance;
use crate::kind::Kind;
use crate::observed::Observed;
use crate::rule::{Rules, Scope};
use crate::rules::{self, Memory};
use crate::settings::AlertSettings;
use crate::silence::Silence;

/// Something that began, changed or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The alert as it stands.
    pub alert: Alert,
    /// What targets are to hear of it; nothing where only a silence began or ended without their knowing of it.
    pub notice: Option<Notice>,
}

/// What targets are to hear of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The alert as it stands for them: what is silenced is over.
    pub alert: Alert,
    /// What they heard of it before; `None` where it is new to them.
    pub before: Option<Severity>,
}

impl Notice {
    /// What someone is to hear who only wants alerts that are bad enough: of one that is no longer, that it ended.
    pub fn from(&self, least: Severity) -> Option<Alert> {
        if self.alert.state == State::Firing && self.alert.severity >= least {
            return Some(self.alert.clone());
        }
        let severity = self.before.filter(|before| *before >= least)?;
        Some(Alert { state: State::Resolved, severity, ended_us: Some(self.alert.at_us), ..self.alert.clone() })
    }
}

/// Which alert.
type Key = (Kind, Scope, Subject);

/// All that is known from one judgement to the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct EngineState {
    instances: BTreeMap<Key, Instance>,
    memory: Memory,
    /// Told and ended of late: Alertmanager hears of them for a while.
    ended: Vec<Alert>,
    /// Alerts that found no room, this time.
    refused: u64,
}

/// Rules at work.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: AlertSettings,
    rules: Rules,
    state: EngineState,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(settings: AlertSettings, rules: Rules) -> Engine {
        Engine { settings, rules, state: EngineState::default() }
    }

    /// Goes on from a saved state; from none where it is of another version.
    pub fn restore(&mut self, state: &[u8]) -> bool {
        match postcard::from_bytes(state) {
            Ok(state) => self.state = state,
            Err(_) => return false,
        }
        true
    }

    /// What it knows, to be saved.
    pub fn state(&self) -> Vec<u8> {
        // It holds maps, lists and numbers: nothing that could not be written down.
        postcard::to_stdvec(&self.state).unwrap_or_default()
    }

    /// Goes on by other rules.
    pub fn reconfigure(&mut self, settings: AlertSettings, rules: Rules) {
        (self.settings, self.rules) = (settings, rules);
    }

    /// Judges a moment; gives what began, changed or ended.
    pub fn judge(&mut self, observed: &Observed, silences: &[Silence]) -> Vec<Change> {
        let now_us = observed.now_us;
        let mut findings = rules::find(observed, &mut self.state.memory, &self.rules, &self.settings);
        if std::mem::take(&mut self.state.refused) > 0 {
            findings.push(too_many(now_us));
        }
        self.pass_over(&findings, now_us);
        for finding in findings {
            self.take(finding, now_us);
        }
        let changes = self.changes(now_us, silences);
        let settings = &self.settings;
        self.state.instances.retain(|_, instance| !instance.is_idle(now_us, settings));
        let from_us = now_us - settings.resolved_seconds * SECOND_US;
        self.state.ended.retain(|alert| alert.ended_us.is_some_and(|ended_us| ended_us >= from_us));
        changes
    }

    /// Of what nothing was found this time.
    fn pass_over(&mut self, findings: &[Finding], now_us: i64) {
        let unknown_us = self.settings.unknown_seconds * SECOND_US;
        let mut known: Vec<(Kind, Scope, &Subject)> = findings
            .iter()
            .filter(|finding| finding.value.is_some())
            .map(|finding| (finding.kind, finding.scope, &finding.subject))
            .collect();
        known.sort_unstable();
        let mut over = Vec::new();
        for (key, instance) in &mut self.state.instances {
            if known.binary_search(&(key.0, key.1, &key.2)).is_ok() {
                continue;
            }
            if key.0.is_over_unless_told() {
                over.push(key.clone());
            } else if now_us - instance.known_us > unknown_us && instance.is_begun() {
                instance.end("nothing is known of it any more");
            }
        }
        for (kind, scope, subject) in over {
            let finding = Finding { scope, ..Finding::new(kind, subject, now_us, Some(0.0), "it is over".to_owned()) };
            self.take(finding, now_us);
        }
    }

    fn take(&mut self, finding: Finding, now_us: i64) {
        let rule = self.rules.rule(finding.kind, finding.scope, &finding.subject);
        let key = (finding.kind, finding.scope, finding.subject.clone());
        let Some(rule) = rule else {
            if let Some(instance) = self.state.instances.get_mut(&key).filter(|instance| instance.is_begun()) {
                instance.end("its rule is switched off");
            }
            return;
        };
        let is_known = self.state.instances.contains_key(&key);
        let is_passed = |level: f64| finding.value.is_some_and(|value| rule.is_passed(level, value, finding.standard_error));
        if !is_known {
            if !rule.levels.into_iter().flatten().any(is_passed) {
                return;
            }
            if self.state.instances.len() >= self.settings.alerts_max {
                self.state.refused += 1;
                return;
            }
        }
        self.state.instances.entry(key).or_default().update(&finding, &rule, now_us, &self.settings);
    }

    fn changes(&mut self, now_us: i64, silences: &[Silence]) -> Vec<Change> {
        let mut changes = Vec::new();
        let in_force: Vec<&Silence> = silences.iter().filter(|silence| silence.is_in_force(now_us)).collect();
        for ((kind, _, subject), instance) in &mut self.state.instances {
            let is_silenced = in_force.iter().any(|silence| silence.covers(*kind, subject));
            let now = instance.severity().map(|severity| (severity, is_silenced));
            let before = std::mem::replace(&mut instance.given, now);
            if before == now {
                continue;
            }
            // Whom targets know: what is silenced is over to them.
            let told = |given: Option<(_, bool)>| given.filter(|(_, is_silenced)| !is_silenced).map(|(severity, _)| severity);
            let (told_before, told_now) = (told(before), told(now));
            let alert = match now {
                Some((severity, _)) => instance.alert(*kind, subject, severity, State::Firing, now_us),
                None => {
                    let (severity, is_silenced) = before.unwrap_or_default();
                    Alert { is_silenced, ..instance.alert(*kind, subject, severity, State::Resolved, now_us) }
                }
            };
            if let Some(severity) = told_before.filter(|_| told_before != told_now) {
                let over = instance.alert(*kind, subject, severity, State::Resolved, now_us);
                self.state.ended.push(over);
            }
            if let Some(severity) = told_now {
                self.state.ended.retain(|alert| (alert.kind, &alert.subject, alert.severity) != (*kind, subject, severity));
            }
            let for_targets = match told_now {
                Some(_) => alert.clone(),
                None => instance.alert(*kind, subject, told_before.unwrap_or_default(), State::Resolved, now_us),
            };
            let notice = (told_before != told_now).then_some(Notice { alert: for_targets, before: told_before });
            changes.push(Change { alert, notice });
        }
        changes
    }

    /// Alerts that go on, silenced ones among them.
    pub fn firing(&self, now_us: i64) -> Vec<Alert> {
        let firing = |((kind, _, subject), instance): (&Key, &Instance)| {
            let severity = instance.severity()?;
            Some(instance.alert(*kind, subject, severity, State::Firing, now_us))
        };
        self.state.instances.iter().filter_map(firing).collect()
    }

    /// What a target that keeps no state of its own has to hear: what goes on, and what has ended of late.
    pub fn standing(&self, now_us: i64) -> Vec<Alert> {
        let firing = self.firing(now_us).into_iter().filter(|alert| !alert.is_silenced);
        firing.chain(self.state.ended.iter().cloned()).collect()
    }

    /// What a person has to see: what goes on, silenced or not, and what has ended of late and does not go on by another
    /// severity.
    pub fn seen(&self, now_us: i64) -> Vec<Alert> {
        let firing = self.firing(now_us);
        let goes_on = |ended: &&Alert| firing.iter().any(|alert| alert.kind == ended.kind && alert.subject == ended.subject);
        let ended: Vec<Alert> = self.state.ended.iter().filter(|ended| !goes_on(ended)).cloned().collect();
        firing.into_iter().chain(ended).collect()
    }
}

fn too_many(now_us: i64) -> Finding {
    let subject = Subject { detail: Some("alerts_max".into()), ..Subject::default() };
    let text = "there are more alerts than [alerts] alerts_max: what is beyond is not told".to_owned();
    Finding::new(Kind::Trouble, subject, now_us, Some(1.0), text)
}
