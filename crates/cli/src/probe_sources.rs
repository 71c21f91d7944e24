//! Latency of active probes: lines that a file gains, or that a command prints each time that it is run.
//!
//! A source is one more worker to the owner, as a source of counters is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use decode::probes::{self, Moment, Probed};
use measure::{Delta, Deltas, Imported, ImportedLatency};
use model::latency::{End, Span};
use model::link::Directory;
use model::time::SECOND_US;
use peering::Inventory;
use receive::GrowingFile;
use serde::Deserialize;

use crate::pipeline::Shared;

/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a command may take, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AT_COMMAND: Duration = Duration::from_millis(20);
/// What is read of a command's output.
const OUTPUT_BYTES_MAX: u64 = 16 << 20;
/// What is older is of windows that are closed, or of a wrong clock.
const AWAY_US_MAX: i64 = 3_600 * SECOND_US;
/// Complaints that are told, each once.
const COMPLAINTS_MAX: usize = 64;

/// `[[probe]]`: where active probes' latency is had from; `file` or `command`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProbeConfig {
    /// Its name, in the column `element`.
    name: String,
    /// JSON lines in a file that grows, or in a named pipe.
    file: Option<PathBuf>,
    /// A program and its arguments; it prints JSON lines and ends.
    command: Vec<String>,
    /// How often the command is run, seconds.
    every_seconds: Option<u64>,
    /// The connection of lines that do not say one.
    connection: Option<String>,
    /// What lines measure that do not say it.
    span: Option<Span>,
    /// Who asks in lines that do not say it.
    initiator: Option<End>,
}

/// A source that was checked.
#[derive(Clone, Debug)]
pub(crate) struct ProbeSource {
    name: String,
    place: Place,
    every: Duration,
    connection: Option<String>,
    span: Span,
    initiator: Option<End>,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Command(Vec<String>),
}

/// Checks the sources; what is wrong is added to `errors`. Paths are relative to `folder`.
pub(crate) fn check(probes: &[ProbeConfig], folder: &Path, inventory: &Inventory, errors: &mut Vec<String>) -> Vec<ProbeSource> {
    let mut checked = Vec::new();
    for (index, probe) in probes.iter().enumerate() {
        match check_one(probe, folder, inventory) {
            Ok(source) => checked.push(source),
            Err(error) => errors.push(format!("probe {}: {error}", index + 1)),
        }
    }
    checked
}

fn check_one(probe: &ProbeConfig, folder: &Path, inventory: &Inventory) -> Result<ProbeSource, String> {
    if probe.name.is_empty() || probe.name.chars().any(char::is_control) {
        return Err("give it a name, which rows carry".to_owned());
    }
    if let Some(connection) = &probe.connection
        && !inventory.directory().links.iter().any(|link| *link.name == **connection)
    {
        return Err(format!("connection = \"{connection}\": there is no connection or transit link of this name"));
    }
    let place = match (&probe.file, probe.command.as_slice()) {
        (Some(file), []) => Place::File(folder.join(file)),
        (None, [_, ..]) => Place::Command(probe.command.clone()),
        _ => return Err("give either file or command".to_owned()),
    };
    let seconds = probe.every_seconds.unwrap_or(60);
    if !(1..=3_600).contains(&seconds) {
        return Err(format!("every_seconds = {seconds}: give 1 to 3600"));
    }
    let every = if matches!(place, Place::File(_)) { LOOK_EVERY } else { Duration::from_secs(seconds) };
    let (connection, span) = (probe.connection.clone(), probe.span.unwrap_or(Span::RoundTrip));
    Ok(ProbeSource { name: probe.name.clone(), place, every, connection, span, initiator: probe.initiator })
}

/// A source at work.
pub(crate) struct Probes {
    source: ProbeSource,
    file: Option<GrowingFile>,
    directory: Directory,
    links: BTreeMap<String, u32>,
    table: Arc<attribute::Table>,
    deltas: Deltas,
    latency: ImportedLatency,
    complaints: BTreeSet<String>,
}

impl Probes {
    /// A source that has read nothing yet.
    pub(crate) fn new(source: ProbeSource, shared: &Shared) -> Probes {
        let file = if let Place::File(path) = &source.place { Some(GrowingFile::new(path)) } else { None };
        let mut probes = Probes {
            source,
            file,
            directory: Directory::default(),
            links: BTreeMap::new(),
            table: shared.table.clone(),
            deltas: Deltas::new(&shared.measure),
            latency: ImportedLatency::new(&shared.measure),
            complaints: BTreeSet::new(),
        };
        probes.reconfigure(shared);
        probes
    }

    /// How often it is to be read.
    pub(crate) fn every(&self) -> Duration {
        self.source.every
    }

    /// Goes on with other connections.
    pub(crate) fn reconfigure(&mut self, shared: &Shared) {
        self.directory = shared.inventory.directory().clone();
        self.links = (0..).zip(&self.directory.links).map(|(place, link)| (link.name.to_string(), place)).collect();
        self.table = shared.table.clone();
        self.deltas.restart();
    }

    /// Reads what came; gives what it says of connections.
    pub(crate) fn read(&mut self, now_us: i64, is_last: bool, stop: &AtomicBool) -> Delta {
        let (mut came, mut complaints) = (Vec::new(), Vec::new());
        let mut take = |line: &str| match probes::parse_line(line) {
            Ok(probed) => came.extend(probed),
            Err(error) => complaints.push(format!("a line is not JSON: {error}")),
        };
        let read = match (&self.source.place, &mut self.file) {
            (Place::Command(_), _) if is_last => Ok(()),
            (Place::Command(command), _) => {
                run(command, stop).map(|printed| printed.lines().filter(|line| !line.trim().is_empty()).for_each(&mut take))
            }
            (Place::File(_), Some(file)) => file.read(take).map_err(|error| format!("cannot be read: {error}")),
            (Place::File(_), None) => Ok(()),
        };
        complaints.extend(read.err());
        for probed in came {
            match self.imported(probed, now_us) {
                Ok(imported) => self.latency.add(&imported),
                Err(complaint) => complaints.push(complaint),
            }
        }
        complaints.into_iter().for_each(|complaint| self.complain(complaint));
        let delta = self.deltas.take(&self.directory, self.table.names(), Vec::new(), 0);
        delta.with_latency(self.latency.take())
    }

    fn imported(&self, probed: Probed, now_us: i64) -> Result<Imported, String> {
        let source = &self.source;
        let name = probed.connection.as_ref().or(source.connection.as_ref());
        let name = name.ok_or("a line says no connection, and [[probe]] has none: it is left out")?;
        let link = *self.links.get(name).ok_or_else(|| format!("\"{name}\" is no connection: its lines are left out"))?;
        let at_us = match probed.at {
            None => now_us,
            Some(Moment::Us(at_us)) => at_us,
            Some(Moment::Text(text)) => text
                .parse::<jiff::Timestamp>()
                .map_err(|_| format!("\"{text}\" is no time: write it as 2026-11-25T12:00:00Z"))?
                .as_microsecond(),
        };
        if at_us.abs_diff(now_us) > AWAY_US_MAX.unsigned_abs() {
            return Err("a line is more than an hour away from now: it is left out".to_owned());
        }
        Ok(Imported {
            at_us,
            link,
            region: probed.region.map(Into::into),
            span: probed.span.unwrap_or(source.span),
            initiator: probed.initiator.or(source.initiator),
            probe: source.name.as_str().into(),
            values_us: probed.values_us,
            summary: probed.summary,
        })
    }

    /// Tells the operator, each thing once.
    fn complain(&mut self, complaint: String) {
        if self.complaints.len() < COMPLAINTS_MAX && self.complaints.insert(complaint.clone()) {
            tracing::warn!("probe {}: {complaint}", self.source.name);
        }
    }
}

/// What a command prints; it is ended if it takes too long, and nothing is waited for once the collector stops.
fn run(command: &[String], stop: &AtomicBool) -> Result<String, String> {
    let [program, arguments @ ..] = command else { return Ok(String::new()) };
    let cannot = |error: std::io::Error| format!("{program}: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(cannot)?;
    // On a thread of its own: a pipe that nobody reads would stop the command.
    let output = child.stdout.take();
    let (sender, printed) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        output.map(|output| output.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes));
        // Nobody listens any more where it took too long.
        let _ = sender.send(bytes);
    });
    let took_too_long = || format!("{program}: it took more than {} s and was ended", PATIENCE.as_secs());
    let started = Instant::now();
    let status = loop {
        match child.try_wait().map_err(cannot)? {
            Some(status) => break status,
            None if started.elapsed() <= PATIENCE && !stop.load(Ordering::Relaxed) => thread::sleep(LOOK_AT_COMMAND),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return if stop.load(Ordering::Relaxed) { Ok(String::new()) } else { Err(took_too_long()) };
            }
        }
    };
    if !status.success() {
        return Err(format!("{program}: it ended with {status}"));
    }
    // What it has started itself may hold its output open.
    while started.elapsed() <= PATIENCE && !stop.load(Ordering::Relaxed) {
        match printed.recv_timeout(LOOK_AT_COMMAND) {
            Ok(bytes) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(format!("{program}: its output could not be read")),
        }
    }
    if stop.load(Ordering::Relaxed) { Ok(String::new()) } else { Err(took_too_long()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_output_is_read_and_its_failure_told() {
        let stop = AtomicBool::new(false);
        let shell = |script: &str| run(&["sh".to_owned(), "-c".to_owned(), script.to_owned()], &stop);
        assert_eq!(shell("echo '{\"rtt_ms\":1}'").unwrap(), "{\"rtt_ms\":1}\n");
        assert!(shell("exit 3").unwrap_err().contains("3"));
        assert!(run(&["no-such-program-here".to_owned()], &stop).is_err());
        // Neither it nor what it leaves behind holds up the end.
        stop.store(true, Ordering::Relaxed);
        for script in ["sleep 60", "sleep 60 & exit 0"] {
            assert_eq!(shell(script), Ok(String::new()), "{script}");
        }
    }

    #[test]
    fn a_source_that_says_too_little_or_too_much_is_refused() {
        let check = |text: &str| {
            let mut errors = Vec::new();
            super::check(&[toml::from_str(text).unwrap()], Path::new(""), &Inventory::default(), &mut errors);
            errors.join(" ")
        };
        assert_eq!(check("name = \"atlas\"\nfile = \"a\""), "");
        assert!(check("file = \"a\"").contains("give it a name"));
        assert!(check("name = \"a\"").contains("either file or command"));
        assert!(check("name = \"a\"\nfile = \"a\"\nconnection = \"x\"").contains("no connection"));
        assert!(check("name = \"a\"\ncommand = [\"a\"]\nevery_seconds = 0").contains("1 to 3600"));
    }
}
