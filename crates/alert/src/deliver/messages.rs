//! What targets are told, in their own forms.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::time::SECOND_US;
use serde_json::{Value, json};

use super::target::Target;
use crate::alert::{Alert, Severity, State, rfc3339};

/// Times after which Alertmanager takes for ended what it was not told of: as Prometheus does it.
const RESENDS: i64 = 4;
/// Year 1: what Alertmanager writes where there is no end yet.
const NO_END: &str = "0001-01-01T00:00:00Z";

fn labels(alert: &Alert, target: &Target) -> BTreeMap<String, String> {
    let mut labels = target.labels.clone();
    labels.insert("alertname".to_owned(), alert.kind.declared().alertname.to_owned());
    labels.insert("severity".to_owned(), alert.severity.name().to_owned());
    labels.insert("rule".to_owned(), alert.kind.name().to_owned());
    labels.extend(alert.subject.labels().map(|(name, value)| (name.to_owned(), value.to_owned())));
    labels
}

fn annotations(alert: &Alert) -> BTreeMap<&'static str, String> {
    let declared = alert.kind.declared();
    let number = |value: f64| format!("{value:.3} {}", declared.unit).trim_end().to_owned();
    let mut annotations = BTreeMap::from([("summary", alert.summary.clone()), ("description", declared.doc.trim().to_owned())]);
    let numbers = [("value", alert.value), ("threshold", alert.threshold), ("standard_error", alert.standard_error)];
    annotations.extend(numbers.into_iter().filter_map(|(name, value)| Some((name, number(value?)))));
    if alert.is_flapping {
        annotations.insert("flapping", "true".to_owned());
    }
    annotations
}

/// The body of Alertmanager's `POST /api/v2/alerts`: everything that stands.
pub(super) fn alertmanager(standing: &[Alert], target: &Target, resend_seconds: i64, now_us: i64) -> Vec<u8> {
    let until_us = now_us + RESENDS * resend_seconds * SECOND_US;
    let one = |alert: &Alert| {
        let ends_us = alert.ended_us.unwrap_or(until_us).max(alert.started_us);
        let mut json = json!({
            "labels": labels(alert, target),
            "annotations": annotations(alert),
            "startsAt": rfc3339(alert.started_us),
            "endsAt": rfc3339(ends_us),
        });
        if let Some(page) = &target.page {
            json["generatorURL"] = Value::from(page.as_str());
        }
        json
    };
    let wanted = standing.iter().filter(|alert| alert.severity >= target.least);
    Value::from(wanted.map(one).collect::<Vec<_>>()).to_string().into_bytes()
}

/// A body as Alertmanager's own webhooks have it, version 4.
pub(super) fn webhook(alerts: &[Alert], target: &Target) -> Vec<u8> {
    let one = |alert: &Alert| {
        json!({
            "status": alert.state.name(),
            "labels": labels(alert, target),
            "annotations": annotations(alert),
            "startsAt": rfc3339(alert.started_us),
            "endsAt": alert.ended_us.map_or_else(|| NO_END.to_owned(), rfc3339),
            "generatorURL": target.page.as_deref().unwrap_or_default(),
            "fingerprint": alert.fingerprint(),
            "id": alert.id(),
        })
    };
    let is_firing = alerts.iter().any(|alert| alert.state == State::Firing);
    json!({
        "version": "4",
        "groupKey": "peerscope",
        "truncatedAlerts": 0,
        "status": if is_firing { State::Firing.name() } else { State::Resolved.name() },
        "receiver": target.name,
        "groupLabels": {},
        "commonLabels": target.labels,
        "commonAnnotations": {},
        "externalURL": target.page.as_deref().unwrap_or_default(),
        "alerts": alerts.iter().map(one).collect::<Vec<_>>(),
    })
    .to_string()
    .into_bytes()
}

/// A text, an alert a line.
pub(super) fn slack(alerts: &[Alert], target: &Target) -> Vec<u8> {
    let mut text = String::new();
    for alert in alerts {
        let sign = match (alert.state, alert.severity) {
            (State::Resolved, _) => ":white_check_mark:",
            (State::Firing, Severity::Critical) => ":rotating_light:",
            (State::Firing, Severity::Warning) => ":warning:",
            (State::Firing, Severity::Info) => ":information_source:",
        };
        let state = if alert.state == State::Resolved { "resolved" } else { alert.severity.name() };
        _ = writeln!(text, "{sign} *{state}* {}: {}", alert.kind.name(), plain(&alert.summary));
    }
    if let Some(page) = &target.page {
        _ = writeln!(text, "<{page}>");
    }
    json!({ "text": text.trim_end() }).to_string().into_bytes()
}

/// What Slack would take for a link, a mention or markup stays what it is.
fn plain(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::alert::Subject;
    use crate::kind::Kind;

    fn target(kind: &str, more: &str) -> Target {
        #[derive(serde::Deserialize)]
        struct File {
            alert_target: Vec<super::super::target::TargetConfig>,
        }
        let text = format!("[[alert_target]]\nname = \"t\"\nkind = \"{kind}\"\nurl = \"http://a\"\n{more}");
        let configs = toml::from_str::<File>(&text).unwrap().alert_target;
        super::super::target::check_targets(&configs, Path::new("."), &mut Vec::new()).remove(0)
    }

    fn alert(state: State) -> Alert {
        Alert {
            kind: Kind::Saturation,
            subject: Subject {
                connection: Some("fra-1".into()),
                direction: Some(model::Direction::FromMicrosoft),
                role: Some(model::Role::Direct),
                ..Subject::default()
            },
            state,
            severity: Severity::Critical,
            value: Some(97.25),
            threshold: Some(95.0),
            standard_error: Some(0.4),
            summary: "fra-1 <!channel> is 97.2 % full & more\n*bold*".to_owned(),
            at_us: 60_000_000,
            started_us: 30_000_000,
            ended_us: (state == State::Resolved).then_some(60_000_000),
            is_silenced: false,
            is_flapping: false,
        }
    }

    #[test]
    fn alertmanager_gets_the_labels_that_its_users_route_by() {
        let target = target("alertmanager", "labels = { site = \"fra\" }\npage = \"http://page\"\n");
        let read = |state| serde_json::from_slice::<Value>(&alertmanager(&[alert(state)], &target, 60, 100_000_000)).unwrap();
        let posted = &read(State::Firing)[0];
        let labels = json!({
            "alertname": "PeerscopeSaturation", "severity": "critical", "rule": "saturation", "connection": "fra-1",
            "direction": "from_microsoft", "role": "direct", "site": "fra",
        });
        assert_eq!(posted["labels"], labels);
        assert_eq!(posted["annotations"]["value"], "97.250 %");
        assert_eq!((&posted["startsAt"], &posted["endsAt"]), (&json!("1970-01-01T00:00:30Z"), &json!("1970-01-01T00:05:40Z")));
        assert_eq!(posted["generatorURL"], "http://page");
        assert_eq!(read(State::Resolved)[0]["endsAt"], "1970-01-01T00:01:00Z");
    }

    #[test]
    fn a_webhook_is_as_alertmanagers() {
        let target = target("webhook", "");
        let posted: Value = serde_json::from_slice(&webhook(&[alert(State::Resolved), alert(State::Firing)], &target)).unwrap();
        assert_eq!((&posted["version"], &posted["status"]), (&json!("4"), &json!("firing")));
        let [over, firing] = [&posted["alerts"][0], &posted["alerts"][1]];
        assert_eq!((&over["status"], &over["endsAt"]), (&json!("resolved"), &json!("1970-01-01T00:01:00Z")));
        assert_eq!((&firing["status"], &firing["endsAt"]), (&json!("firing"), &json!(NO_END)));
        // Both are of one alert, and are not the same notice.
        assert!(over["fingerprint"] == firing["fingerprint"] && over["id"] != firing["id"]);
    }

    #[test]
    fn names_from_outside_are_no_markup() {
        let posted: Value = serde_json::from_slice(&slack(&[alert(State::Firing)], &target("slack", ""))).unwrap();
        let text = posted["text"].as_str().unwrap();
        assert_eq!(text, ":rotating_light: *critical* saturation: fra-1 &lt;!channel&gt; is 97.2 % full &amp; more *bold*");
    }
}
