//! The configuration file, and everything that is built from it before work begins.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alert::AlertSettings;
use clap::Args;
use decode::{DecodeSettings, LatencyElements, SamplingRule};
use measure::judge::ReportSettings;
use measure::{FailoverSettings, Judging, MeasureSettings};
use model::{Name, Prefix};
use peering::{
    ConnectionConfig, ExporterConfig, Inventory, Peering, PeeringConfig, PeeringSettings, PortConfig, RiskGroupConfig, TapConfig,
    TransitConfig,
};
use receive::ReceiverSettings;
use serde::Deserialize;
use store::{Store, StoreSettings};

use crate::alerts::AlertPlan;
use crate::allowed::Allowed;
use crate::counter_sources::{self, CounterSource, CountersConfig};
use crate::failure::{Failure, read_text};
use crate::latency_elements::LatencyElementConfig;
use crate::lists::ListArguments;
use crate::pipeline::Shared;
use crate::places;
use crate::planned::{self, PlannedConfig};
use crate::probe_sources::{self, ProbeConfig, ProbeSource};

/// Where the configuration is, and lists beside it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConfigurationArguments {
    /// Configuration (TOML): routers, ports, connections, lists, limits
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) lists: ListArguments,
}

/// The file as it is written. The sections of other crates are theirs to declare.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConfigurationFile {
    receive: ReceiverSettings,
    decode: DecodeSettings,
    measure: MeasureSettings,
    failover: FailoverSettings,
    store: StoreSettings,
    report: ReportSettings,
    peering: PeeringSettings,
    exporter: Vec<ExporterConfig>,
    port: Vec<PortConfig>,
    connection: Vec<ConnectionConfig>,
    transit: Vec<TransitConfig>,
    risk_group: Vec<RiskGroupConfig>,
    tap: Vec<TapConfig>,
    lists: ListArguments,
    inventory: InventoryFiles,
    allow: AllowConfig,
    counters: Vec<CountersConfig>,
    alerts: AlertSettings,
    alert_rule: Vec<alert::RuleConfig>,
    alert_target: Vec<alert::TargetConfig>,
    silence: Vec<alert::Silence>,
    #[cfg(feature = "objects")]
    objects: objects::ObjectsConfig,
    /// Of a program that copies.
    #[cfg(not(feature = "objects"))]
    objects: Option<serde::de::IgnoredAny>,
    #[cfg(feature = "web")]
    web: crate::page::WebConfig,
    /// Of a program that has a page.
    #[cfg(not(feature = "web"))]
    #[serde(rename = "web")]
    _web: serde::de::IgnoredAny,
    probe: Vec<ProbeConfig>,
    latency_element: Vec<LatencyElementConfig>,
    planned: Vec<PlannedConfig>,
}

/// Who may send.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AllowConfig {
    /// Addresses and prefixes; none stands for all.
    sources: Vec<Prefix>,
}

/// Files that the network's edge is described in, besides the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct InventoryFiles {
    /// Azure's peerings, as `peerings import` writes them or as Azure prints them.
    peerings: Vec<PathBuf>,
    /// Interface tables (CSV).
    interfaces: Vec<PathBuf>,
}

/// A configuration that was read, checked and built.
pub(crate) struct Configured {
    pub(crate) shared: Shared,
    pub(crate) receive: ReceiverSettings,
    store: StoreSettings,
    /// Where tables are copied to.
    #[cfg(feature = "objects")]
    pub(crate) objects: Option<objects::ObjectsSettings>,
    /// Where interface counters are had from.
    pub(crate) counters: Vec<CounterSource>,
    /// What is alerted of, and to whom.
    pub(crate) alerts: AlertPlan,
    /// How the page is served.
    #[cfg(feature = "web")]
    pub(crate) page: crate::page::PageSettings,
    /// Where latency of active probes is had from.
    pub(crate) probes: Vec<ProbeSource>,
}

impl Configured {
    /// Reads and builds everything; every error of the configuration is told at once.
    pub(crate) fn load(arguments: &ConfigurationArguments) -> Result<Configured, Failure> {
        let text = arguments.config.as_deref().map_or(Ok(String::new()), read_text)?;
        let (file, folder) = match &arguments.config {
            Some(path) => (parse(path, &text)?, path.parent().unwrap_or(Path::new("")).to_path_buf()),
            None => (ConfigurationFile::default(), PathBuf::new()),
        };
        let mut errors = file.settings_errors();
        let (peerings, interfaces) = file.inventory.read(&folder, &file.exporter)?;
        let exporters = counter_sources::known_exporters(&file.exporter);
        let counters = counter_sources::check(&file.counters, &folder, &exporters, &mut errors);
        let alerts = AlertPlan::check(file.alerts, file.alert_rule, (&file.alert_target, &folder), file.silence, &mut errors);
        #[cfg(feature = "objects")]
        let objects = file.objects.check(&mut errors);
        #[cfg(not(feature = "objects"))]
        errors.extend(
            file.objects.map(|_| "[objects]: this program was built without object stores (the feature objects)".to_owned()),
        );
        #[cfg(feature = "web")]
        let page = file.web.check(&folder, &file.report, exporters, &mut errors);
        let edge = PeeringConfig {
            peering: file.peering,
            exporter: file.exporter,
            port: file.port,
            connection: file.connection,
            transit: file.transit,
            risk_group: file.risk_group,
            tap: file.tap,
        };
        let inventory = Inventory::build(&edge, &peerings, &interfaces).unwrap_or_else(|wrong| {
            errors.extend(wrong);
            Inventory::default()
        });
        let probes = probe_sources::check(&file.probe, &folder, &inventory, &mut errors);
        let names: Vec<Name> = inventory.directory().links.iter().map(|link| link.name.clone()).collect();
        let plans = planned::check(&file.planned, &folder, &names, &mut errors);
        if !errors.is_empty() {
            let name = arguments.config.as_deref().unwrap_or(Path::new("")).display();
            let placed = |error: &String| match places::locate(&text, error) {
                Some((line, column)) => format!("{name}:{line}:{column}: {error}"),
                None => format!("{name}: {error}"),
            };
            return Err(Failure::usage(errors.iter().map(placed).collect::<Vec<_>>().join("\n")));
        }
        let sources = file.lists.relative_to(&folder).join(&arguments.lists).read()?;
        let shared = Shared {
            allowed: Arc::new(Allowed::of(&file.allow.sources)),
            decode: file.decode,
            sampling_rules: sampling_rules(&inventory),
            latency_elements: Arc::new(LatencyElements::new(file.latency_element.iter().map(Into::into).collect())),
            table: Arc::new(attribute::Table::build(&sources)),
            inventory: Arc::new(inventory),
            measure: file.measure,
            judging: Judging { settings: file.failover, plans },
            keeps_flows: file.store.flows,
        };
        Ok(Configured {
            shared,
            receive: file.receive,
            store: file.store,
            #[cfg(feature = "objects")]
            objects,
            counters,
            probes,
            alerts,
            #[cfg(feature = "web")]
            page,
        })
    }

    /// Opens the data folder.
    pub(crate) fn open_store(&self, data: &Path) -> Result<Store, Failure> {
        Store::open(data, self.store.clone()).map_err(Failure::failed)
    }
}

fn sampling_rules(inventory: &Inventory) -> Vec<SamplingRule> {
    let rule = |entry: &peering::SamplingEntry| SamplingRule {
        exporter: entry.exporter,
        interface: entry.interface,
        population: entry.population,
        is_override: entry.is_override,
    };
    inventory.sampling().iter().map(rule).collect()
}

impl ConfigurationFile {
    fn settings_errors(&self) -> Vec<String> {
        let checks = [self.receive.check(), self.decode.check(), self.measure.check(), self.store.check(), self.peering.check()];
        let checks = checks.into_iter().chain([self.failover.check(), self.report.check(), self.alerts.check()]);
        checks.filter_map(Result::err).collect()
    }
}

/// What reports judge by: of a configuration file, or as it is by default.
#[cfg(feature = "report")]
pub(crate) fn report_settings(config: Option<&Path>) -> Result<ReportSettings, Failure> {
    let Some(path) = config else { return Ok(ReportSettings::default()) };
    let settings = parse(path, &read_text(path)?)?.report;
    settings.check().map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(settings)
}

/// The sections of numeric settings, as declared.
pub(crate) fn sections() -> Vec<(&'static str, &'static [model::settings::Setting])> {
    vec![
        (ReceiverSettings::SECTION, ReceiverSettings::SETTINGS),
        (DecodeSettings::SECTION, DecodeSettings::SETTINGS),
        (PeeringSettings::SECTION, PeeringSettings::SETTINGS),
        (MeasureSettings::SECTION, MeasureSettings::SETTINGS),
        (FailoverSettings::SECTION, FailoverSettings::SETTINGS),
        (StoreSettings::SECTION, StoreSettings::SETTINGS),
        (ReportSettings::SECTION, ReportSettings::SETTINGS),
        (AlertSettings::SECTION, AlertSettings::SETTINGS),
        #[cfg(feature = "objects")]
        (objects::ObjectsLimits::SECTION, objects::ObjectsLimits::SETTINGS),
        #[cfg(feature = "web")]
        (web::WebLimits::SECTION, web::WebLimits::SETTINGS),
    ]
}

impl InventoryFiles {
    fn read(&self, folder: &Path, exporters: &[ExporterConfig]) -> Result<(Vec<Peering>, Vec<peering::TableInterface>), Failure> {
        let (mut peerings, mut interfaces) = (Vec::new(), Vec::new());
        for file in &self.peerings {
            peerings.extend(read_peerings(&folder.join(file))?);
        }
        for file in &self.interfaces {
            let path = folder.join(file);
            let table = peering::interface_table::parse(&read_text(&path)?, |name| {
                exporters.iter().find(|exporter| exporter.name == name).map(|exporter| exporter.address)
            });
            let worded = |errors: Vec<String>| {
                errors.iter().map(|error| format!("{}: {error}", path.display())).collect::<Vec<_>>().join("\n")
            };
            interfaces.extend(table.map_err(|errors| Failure::usage(worded(errors)))?);
        }
        Ok((peerings, interfaces))
    }
}

/// Reads peerings in our own form, or as Azure prints them.
pub(crate) fn read_peerings(path: &Path) -> Result<Vec<Peering>, Failure> {
    let text = read_text(path)?;
    if let Ok(peerings) = peering::peerings::read(&text) {
        return Ok(peerings);
    }
    let import = peering::azure::parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(import.peerings)
}

/// What readers of a message know the kinds of numbers by.
const KINDS: [(&str, &str); 6] = [
    ("usize", "a whole number, 0 or more"),
    ("u8", "a whole number, 0 to 255"),
    ("u16", "a whole number, 0 to 65535"),
    ("u32", "a whole number, 0 to 4294967295"),
    ("u64", "a whole number, 0 or more"),
    ("i64", "a whole number"),
];

/// Reads the file; what is wrong is told with its line.
fn parse(path: &Path, text: &str) -> Result<ConfigurationFile, Failure> {
    toml::from_str(text).map_err(|error| {
        let (line, column) = places::position(text, error.span().map_or(0, |span| span.start));
        let mut sentence = error.message().trim_end().replace('\n', "; ");
        for (kind, words) in KINDS {
            sentence = sentence.replace(&format!("expected {kind}"), &format!("expected {words}"));
        }
        Failure::usage(format!("{}:{line}:{column}: {sentence}", path.display()))
    })
}
