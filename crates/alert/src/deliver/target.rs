//! Targets as configured.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use ureq::http::Uri;

use super::tls;
use crate::alert::Severity;

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    /// Prometheus' Alertmanager, version 2 of its API.
    Alertmanager,
    /// JSON as Alertmanager's own webhooks have it.
    Webhook,
    /// A text, as Slack, Mattermost and others take it.
    Slack,
    /// A line on the standard output.
    Stdout,
}

/// `[[alert_target]]`: who is told of alerts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// Its name, in logs and in the table: its address may be a secret.
    name: String,
    kind: Protocol,
    /// `http://` or `https://`; of Alertmanager without a path.
    #[serde(default)]
    url: Option<String>,
    /// A file that holds it instead.
    #[serde(default)]
    url_file: Option<PathBuf>,
    /// A file with the token that it asks for (`Authorization: Bearer`).
    #[serde(default)]
    token_file: Option<PathBuf>,
    /// Certificates to trust (PEM) in place of those that are built in.
    #[serde(default)]
    ca_file: Option<PathBuf>,
    /// The least severity that it hears of; `info` is for reports and tickets.
    #[serde(default)]
    least: Severity,
    /// Labels that every alert gets besides.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Address of a page about alerts, for a link.
    #[serde(default)]
    page: Option<String>,
}

/// A target that was checked.
#[derive(Clone, PartialEq)]
pub struct Target {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    /// Certificates to trust, PEM.
    pub(crate) certificates: Option<String>,
    pub(crate) least: Severity,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) page: Option<String>,
}

/// Without its address and token, which are secrets.
impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Target").field("name", &self.name).field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl Target {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Checks targets and reads the files that they name, relative to `folder`; what is wrong is added to `errors`.
pub fn check_targets(configs: &[TargetConfig], folder: &Path, errors: &mut Vec<String>) -> Vec<Target> {
    let (mut targets, mut names) = (Vec::new(), BTreeSet::new());
    for (index, config) in configs.iter().enumerate() {
        let checked = check_one(config, folder);
        let is_new = names.insert(config.name.clone());
        match checked {
            Ok(_) if !is_new => errors.push(format!("alert_target {}: the name \"{}\" is taken", index + 1, config.name)),
            Ok(target) => targets.push(target),
            Err(error) => errors.push(format!("alert_target {} ({}): {error}", index + 1, config.name)),
        }
    }
    targets
}

fn check_one(config: &TargetConfig, folder: &Path) -> Result<Target, String> {
    if config.name.is_empty() || config.name.chars().any(char::is_control) {
        return Err("give it a name".to_owned());
    }
    if let Some(label) = config.labels.keys().find(|label| !is_label(label)) {
        return Err(format!("labels: \"{label}\" is no name of a label: letters, digits and _ make one"));
    }
    let read = |file: &PathBuf| {
        let path = folder.join(file);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: cannot be read: {error}", path.display()))
    };
    let secret = |file: &PathBuf| read(file).map(|text| text.trim().to_owned());
    let url = match (&config.url, &config.url_file, config.kind) {
        (None, None, Protocol::Stdout) => String::new(),
        (_, _, Protocol::Stdout) => return Err("standard output has no url".to_owned()),
        (Some(url), None, _) => check_url(url)?,
        (None, Some(file), _) => check_url(&secret(file)?)?,
        _ => return Err("give url or url_file".to_owned()),
    };
    let token = config.token_file.as_ref().map(secret).transpose()?;
    if token.as_ref().is_some_and(|token| token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err("token_file: it must hold one word".to_owned());
    }
    let certificates = config.ca_file.as_ref().map(read).transpose()?;
    certificates.as_deref().map_or(Ok(()), tls::check_certificates)?;
    Ok(Target {
        name: config.name.clone(),
        protocol: config.kind,
        url: if config.kind == Protocol::Alertmanager { alerts_of(&url) } else { url },
        token,
        certificates,
        least: config.least,
        labels: config.labels.clone(),
        page: config.page.clone(),
    })
}

fn is_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The address itself is not repeated: it may be a secret.
fn check_url(url: &str) -> Result<String, String> {
    let uri: Uri = url.parse().map_err(|_| "url: this is no address: give http://HOST/PATH or https://HOST/PATH".to_owned())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => {}
        _ => return Err("url: give an address that begins with http:// or https://".to_owned()),
    }
    if uri.scheme_str() == Some("https") {
        tls::check()?;
    }
    Ok(url.to_owned())
}

/// Where Alertmanager takes alerts.
fn alerts_of(url: &str) -> String {
    const PATH: &str = "/api/v2/alerts";
    let url = url.trim_end_matches('/');
    if url.ends_with(PATH) { url.to_owned() } else { format!("{url}{PATH}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        alert_target: Vec<TargetConfig>,
    }

    fn check(text: &str) -> (Vec<Target>, Vec<String>) {
        let mut errors = Vec::new();
        let configs = toml::from_str::<File>(text).unwrap().alert_target;
        (check_targets(&configs, Path::new("/nowhere"), &mut errors), errors)
    }

    #[test]
    fn only_http_and_only_what_can_be_reached_that_way() {
        let url = |url: &str| check(&format!("[[alert_target]]\nname = \"a\"\nkind = \"alertmanager\"\nurl = \"{url}\"\n"));
        for wrong in ["ftp://a/", "file:///etc/passwd", "alertmanager:9093", "//a", "", "http:///x", "gopher://169.254.169.254/"]
        {
            let (targets, errors) = url(wrong);
            assert!(targets.is_empty() && errors.len() == 1 && errors[0].contains("url"), "{wrong}: {errors:?}");
            // What was given may be a secret.
            assert!(wrong.is_empty() || !errors[0].contains(wrong), "{errors:?}");
        }
        for (right, posted) in [
            ("http://127.0.0.1:9093", "http://127.0.0.1:9093/api/v2/alerts"),
            ("http://[::1]:9093/", "http://[::1]:9093/api/v2/alerts"),
            ("http://am/prefix/api/v2/alerts", "http://am/prefix/api/v2/alerts"),
        ] {
            assert_eq!(url(right).0[0].url, posted);
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        for (text, part) in [
            ("name = \"a\"\nkind = \"webhook\"", "url or url_file"),
            ("name = \"\"\nkind = \"stdout\"", "name"),
            ("name = \"a\"\nkind = \"stdout\"\nurl = \"http://a\"", "no url"),
            ("name = \"a\"\nkind = \"webhook\"\nurl_file = \"absent\"", "/nowhere/absent"),
            ("name = \"a\"\nkind = \"stdout\"\nlabels = { \"a b\" = \"c\" }", "a b"),
        ] {
            let (_, errors) = check(&format!("[[alert_target]]\n{text}\n"));
            assert!(errors.len() == 1 && errors[0].contains(part), "{text}: {errors:?}");
        }
        let (targets, errors) =
            check("[[alert_target]]\nname = \"a\"\nkind = \"stdout\"\n[[alert_target]]\nname = \"a\"\nkind = \"stdout\"\n");
        assert!(targets.len() == 1 && errors[0].contains("taken"), "{errors:?}");
    }

    #[test]
    fn a_secret_is_never_printed() {
        let (targets, _) = check("[[alert_target]]\nname = \"a\"\nkind = \"slack\"\nurl = \"http://hooks/SECRET\"\n");
        assert!(!format!("{targets:?}").contains("SECRET"));
    }
}
