//! `[web]`: where the page is served, and who may ask.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver as Inbox, Sender as Outbox, bounded};
use decode::readings::Reading;
use measure::judge::ReportSettings;
use model::Address;
use serde::Deserialize;
use web::{Access, Limits, Options, WebLimits};

use crate::counter_sources::CounterSource;

/// Where the page is served, if nobody says otherwise: on this machine alone.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8_075);
/// Batches of pushed counters that wait.
const PUSHED_MOST: usize = 16;

/// `[web]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WebConfig {
    /// Address and port, or `off`.
    listen: Option<String>,
    /// File that holds the token.
    token_file: Option<PathBuf>,
    /// Names that the page is asked for by, beside addresses and localhost.
    hosts: Vec<String>,
    /// Addresses of the reverse proxies that alone may connect.
    proxies: Vec<IpAddr>,
    limits: WebLimits,
}

/// How the page is served, checked.
#[derive(Clone)]
pub(crate) struct PageSettings {
    /// Where; `None` for nowhere, with whether it was asked for.
    pub(crate) listen: Option<(SocketAddr, bool)>,
    pub(crate) access: Access,
    limits: WebLimits,
    pub(crate) judged_by: Limits,
    /// Where pushed counters go.
    pub(crate) pushed: Outbox<Vec<Reading>>,
    inbox: Inbox<Vec<Reading>>,
    exporters: Arc<BTreeMap<String, Address>>,
}

impl WebConfig {
    /// Checks it; what is wrong is added to `errors`.
    pub(crate) fn check(
        &self,
        folder: &Path,
        report: &ReportSettings,
        exporters: Arc<BTreeMap<String, Address>>,
        errors: &mut Vec<String>,
    ) -> PageSettings {
        errors.extend(self.limits.check().err());
        let mut token = None;
        if let Some(file) = &self.token_file {
            let path = folder.join(file);
            match std::fs::read_to_string(&path) {
                Ok(text) => token = Some(text.trim().to_owned()),
                Err(error) => errors.push(format!("[web] token_file = \"{}\": {error}", path.display())),
            }
        }
        let listen = match self.listen.as_deref().map(parse) {
            None => Some((DEFAULT, false)),
            Some(Ok(listen)) => listen.map(|address| (address, true)),
            Some(Err(error)) => {
                errors.push(format!("[web] listen: {error}"));
                None
            }
        };
        let access = Access { token, hosts: self.hosts.clone(), proxies: self.proxies.clone() };
        if let Some((address, _)) = listen {
            errors.extend(access.check(address).err());
        }
        let share = |percent: i64| percent as f64 / 100.0;
        let judged_by = Limits {
            full: share(report.full_percent),
            coverage: share(report.coverage_percent),
            tolerance: share(report.counter_tolerance_percent),
        };
        let (pushed, inbox) = bounded(PUSHED_MOST);
        PageSettings { listen, access, limits: self.limits.clone(), judged_by, pushed, inbox, exporters }
    }
}

impl PageSettings {
    /// What the server is told.
    pub(crate) fn options(&self) -> Options {
        Options { access: self.access.clone(), limits: self.limits.clone(), judged_by: self.judged_by }
    }

    /// The source that pushed counters come from; `None` where none may be pushed.
    pub(crate) fn pushed_counters(&self) -> Option<CounterSource> {
        self.access.token.as_ref()?;
        Some(CounterSource::pushed(self.inbox.clone(), self.exporters.clone()))
    }
}

/// An address and port, or `off`.
///
/// # Errors
///
/// What to give instead.
pub(crate) fn parse(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("\"{text}\" is no place: give ADDRESS:PORT, such as 127.0.0.1:8075, or off"))
}
