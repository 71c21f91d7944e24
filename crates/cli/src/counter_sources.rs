//! Interface counters from where operators have them: files that gnmic or Telegraf write, snmp_exporter.
//!
//! A source is one more worker to the owner: it resolves and reports as those do that receive datagrams.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use decode::readings::{self, Reading};
use measure::{Delta, Deltas};
use model::time::SECOND_US;
use model::{Address, Batch, ExporterId, Fact, Ledger, Placements};
use peering::{ExporterConfig, Resolver};
use receive::GrowingFile;
use serde::Deserialize;

use crate::pipeline::Shared;

/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Readings further from now are of no use: their windows are closed, or their clock is wrong.
const AWAY_US_MAX: i64 = 3_600 * SECOND_US;
/// Devices and interfaces of a source, and complaints that are told, each once.
const NAMES_MAX: usize = 65_536;
const COMPLAINTS_MAX: usize = 64;
/// From here on up are numbers of interfaces of which only the name is known.
const NAMELESS: u32 = 1 << 31;

/// `[[counters]]`: where interface counters are had from; `file` or `snmp_exporter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CountersConfig {
    /// JSON lines in a file that grows, or in a named pipe.
    file: Option<PathBuf>,
    /// Address to poll, with target and module: `http://127.0.0.1:9116/snmp?target=192.0.2.1&module=if_mib`.
    snmp_exporter: Option<String>,
    /// Name of the `[[exporter]]` whose counters they are; of a file only where its lines do not say.
    exporter: Option<String>,
    /// How often to poll, seconds.
    every_seconds: Option<u64>,
}

/// A source that was checked.
#[derive(Clone, Debug)]
pub(crate) struct CounterSource {
    place: Place,
    /// Of what does not say.
    exporter: Option<Address>,
    /// Addresses of exporters by the names and other addresses that they have.
    exporters: Arc<BTreeMap<String, Address>>,
    every: Duration,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Poll(String),
    /// Pushed to the API.
    #[cfg(feature = "web")]
    Pushed(crossbeam_channel::Receiver<Vec<Reading>>),
}

/// Addresses of exporters by their names and other addresses.
pub(crate) fn known_exporters(exporters: &[ExporterConfig]) -> Arc<BTreeMap<String, Address>> {
    let named = exporters.iter().map(|exporter| (exporter.name.clone(), exporter.address));
    let addressed = exporters.iter().flat_map(|exporter| {
        exporter.addresses.iter().chain([&exporter.address]).map(|address| (address.to_string(), exporter.address))
    });
    Arc::new(named.chain(addressed).collect())
}

#[cfg(feature = "web")]
impl CounterSource {
    /// Those that the API is given.
    pub(crate) fn pushed(
        inbox: crossbeam_channel::Receiver<Vec<Reading>>,
        exporters: Arc<BTreeMap<String, Address>>,
    ) -> CounterSource {
        CounterSource { place: Place::Pushed(inbox), exporter: None, exporters, every: LOOK_EVERY }
    }
}

/// Checks the sources; what is wrong is added to `errors`. Paths are relative to `folder`.
pub(crate) fn check(
    sources: &[CountersConfig],
    folder: &Path,
    known: &Arc<BTreeMap<String, Address>>,
    errors: &mut Vec<String>,
) -> Vec<CounterSource> {
    let mut checked = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        match check_one(source, folder, known) {
            Ok(source) => checked.push(source),
            Err(error) => errors.push(format!("[[counters]] {}: {error}", index + 1)),
        }
    }
    checked
}

fn check_one(
    source: &CountersConfig,
    folder: &Path,
    exporters: &Arc<BTreeMap<String, Address>>,
) -> Result<CounterSource, String> {
    let exporter = match &source.exporter {
        None => None,
        Some(name) => Some(*exporters.get(name).ok_or_else(|| format!("exporter = \"{name}\": no [[exporter]] is called so"))?),
    };
    let place = match (&source.file, &source.snmp_exporter) {
        (Some(file), None) => Place::File(folder.join(file)),
        (None, Some(address)) if !address.starts_with("http://") => {
            return Err(format!("snmp_exporter = \"{address}\": give an address that begins with http://"));
        }
        (None, Some(_)) if exporter.is_none() => {
            return Err("snmp_exporter needs exporter: the name of the [[exporter]] that it asks".to_owned());
        }
        (None, Some(address)) => Place::Poll(address.clone()),
        _ => return Err("give either file or snmp_exporter".to_owned()),
    };
    let seconds = source.every_seconds.unwrap_or(30);
    if !(1..=300).contains(&seconds) {
        return Err(format!("every_seconds = {seconds}: give 1 to 300"));
    }
    let every = if matches!(place, Place::File(_)) { LOOK_EVERY } else { Duration::from_secs(seconds) };
    Ok(CounterSource { place, exporter, exporters: exporters.clone(), every })
}

/// A source at work.
pub(crate) struct Counters {
    source: CounterSource,
    file: Option<GrowingFile>,
    resolver: Resolver,
    deltas: Deltas,
    table: Arc<attribute::Table>,
    /// Numbers of exporters, and what was told of their interfaces.
    exporters: BTreeMap<Address, ExporterId>,
    told: BTreeSet<(ExporterId, u32, String)>,
    nameless: u32,
    /// What may not be whole yet: the rest of the same moment can stand in the next lines.
    held: Vec<Reading>,
    complaints: BTreeSet<String>,
}

impl Counters {
    /// A source that has read nothing yet.
    pub(crate) fn new(source: CounterSource, shared: &Shared) -> Counters {
        let file = if let Place::File(path) = &source.place { Some(GrowingFile::new(path)) } else { None };
        Counters {
            source,
            file,
            resolver: Resolver::new(shared.inventory.clone()),
            deltas: Deltas::new(&shared.measure),
            table: shared.table.clone(),
            exporters: BTreeMap::new(),
            told: BTreeSet::new(),
            nameless: NAMELESS,
            held: Vec::new(),
            complaints: BTreeSet::new(),
        }
    }

    /// How often it is to be read.
    pub(crate) fn every(&self) -> Duration {
        self.source.every
    }

    /// Goes on with other ports and connections; where it reads stays what it was.
    pub(crate) fn reconfigure(&mut self, shared: &Shared) {
        self.resolver = Resolver::new(shared.inventory.clone());
        self.table = shared.table.clone();
        self.exporters.clear();
        self.told.clear();
        self.deltas.restart();
    }

    /// Reads what came; gives what it says of ports. At last nothing is held back.
    pub(crate) fn read(&mut self, now_us: i64, is_last: bool) -> Delta {
        let mut came = match self.source.place.clone() {
            Place::Poll(_) if is_last => Vec::new(),
            Place::Poll(address) => self.poll(&address),
            Place::File(_) => self.lines(),
            #[cfg(feature = "web")]
            Place::Pushed(inbox) => {
                let came = inbox.try_iter().flatten().collect();
                self.join(came)
            }
        };
        if is_last {
            came.append(&mut self.held);
        }
        let batch = self.batch(came, now_us);
        let mut placements = Placements::default();
        self.resolver.learn(&batch.facts);
        self.resolver.resolve(&batch, self.table.names(), &[], &mut placements, &mut Ledger::default());
        self.deltas.add(&batch, &[], &placements);
        self.deltas.take(self.resolver.directory(), self.table.names(), Vec::new(), 0)
    }

    fn poll(&mut self, address: &str) -> Vec<Reading> {
        match receive::get(address, PATIENCE) {
            Ok(page) => readings::parse_exposition(&page),
            Err(error) => {
                self.complain(format!("{address}: {error}; its counters are missing until it answers"));
                Vec::new()
            }
        }
    }

    /// Readings that are whole: nothing more of their moment came since the last look.
    fn lines(&mut self) -> Vec<Reading> {
        let Some(mut file) = self.file.take() else { return Vec::new() };
        let (mut came, mut complaint) = (Vec::new(), None);
        let read = file.read(|line| match readings::parse_line(line) {
            Ok(readings) => came.extend(readings),
            Err(error) => complaint = Some(format!("a line is not JSON: {error}")),
        });
        let path = file.path().display().to_string();
        if let Err(error) = read {
            complaint = Some(format!("cannot be read: {error}"));
        }
        if let Some(complaint) = complaint {
            self.complain(format!("{path}: {complaint}"));
        }
        self.file = Some(file);
        self.join(came)
    }

    fn join(&mut self, came: Vec<Reading>) -> Vec<Reading> {
        let mut held: Vec<(bool, Reading)> = self.held.drain(..).map(|reading| (true, reading)).collect();
        for reading in came {
            let is_same = |held: &Reading| {
                held.counters.at_us == reading.counters.at_us
                    && held.source == reading.source
                    && (held.index, &held.name) == (reading.index, &reading.name)
            };
            match held.iter_mut().find(|(_, held)| is_same(held)) {
                Some((is_whole, held)) => {
                    *is_whole = false;
                    held.join(reading);
                }
                None => held.push((held.len() >= NAMES_MAX, reading)),
            }
        }
        let (whole, rest): (Vec<_>, Vec<_>) = held.into_iter().partition(|(is_whole, _)| *is_whole);
        self.held = rest.into_iter().map(|(_, reading)| reading).collect();
        whole.into_iter().map(|(_, reading)| reading).collect()
    }

    fn batch(&mut self, came: Vec<Reading>, now_us: i64) -> Batch {
        let mut batch = Batch::default();
        for reading in came {
            let Some(exporter) = self.exporter_of(&reading.source, &mut batch) else { continue };
            let Some(interface) = self.interface_of(exporter, &reading, &mut batch) else { continue };
            let mut counters = reading.counters;
            if counters.at_us == 0 {
                counters.at_us = now_us;
            }
            if counters.at_us.abs_diff(now_us) > AWAY_US_MAX.unsigned_abs() {
                self.complain(format!("a reading of {} is more than an hour away from now; it is left out", reading.source));
                continue;
            }
            (counters.exporter, counters.interface) = (exporter, interface);
            batch.counters.push(counters);
        }
        batch
    }

    fn exporter_of(&mut self, source: &str, batch: &mut Batch) -> Option<ExporterId> {
        let said = self.source.exporters.get(source).copied().or_else(|| source.parse().ok());
        let Some(address) = said.or(self.source.exporter) else {
            self.complain(format!("\"{source}\" is no [[exporter]]; its counters are left out"));
            return None;
        };
        if let Some(exporter) = self.exporters.get(&address) {
            return Some(*exporter);
        }
        let exporter = ExporterId(self.exporters.len() as u32);
        if self.exporters.len() >= NAMES_MAX {
            return None;
        }
        self.exporters.insert(address, exporter);
        let fact = Fact::Exporter { exporter, address };
        self.resolver.learn(std::slice::from_ref(&fact));
        batch.facts.push(fact);
        Some(exporter)
    }

    /// The number of an interface; a made-up one where nobody tells it and the configuration goes by the name.
    fn interface_of(&mut self, exporter: ExporterId, reading: &Reading, batch: &mut Batch) -> Option<u32> {
        let Some(name) = &reading.name else { return reading.index };
        let known = reading.index.or_else(|| self.resolver.interface_named(exporter, name));
        let interface = known.unwrap_or(self.nameless);
        if self.told.contains(&(exporter, interface, name.clone())) {
            return Some(interface);
        }
        if self.told.len() >= NAMES_MAX {
            return known;
        }
        self.nameless += u32::from(known.is_none());
        self.told.insert((exporter, interface, name.clone()));
        let fact = Fact::InterfaceName { exporter, interface, name: name.clone() };
        self.resolver.learn(std::slice::from_ref(&fact));
        batch.facts.push(fact);
        Some(interface)
    }

    /// Tells the operator, each thing once.
    fn complain(&mut self, complaint: String) {
        if self.complaints.len() < COMPLAINTS_MAX && self.complaints.insert(complaint.clone()) {
            tracing::warn!("counters: {complaint}");
        }
    }
}
