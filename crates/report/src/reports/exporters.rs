//! `exporters`: the telemetry itself: what came, what was lost, what is wrong and how it is mended.

use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::{Data, ReportError, ReportSettings};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "exporters",
    about: "The telemetry: ledger, timeouts, sampling, clocks, faults and what mends them",
    default_span: "24h",
    takes_by: false,
    compares: Compares::Nothing,
    answer,
};

const COLUMNS: &[Column] = &[
    Column::new("exporter", Unit::Text),
    Column::new("protocol", Unit::Text),
    Column::detail("domains", Unit::Count),
    Column::new("datagrams", Unit::Count),
    Column::new("records", Unit::Count),
    Column::new("lost_datagrams", Unit::Count),
    Column::new("lost_records", Unit::Count),
    Column::new("coverage", Unit::Ratio),
    Column::detail("coverage_least", Unit::Ratio),
    Column::detail("reordered", Unit::Count),
    Column::detail("duplicates", Unit::Count),
    Column::detail("restarts", Unit::Count),
    Column::new("undecodable", Unit::Count),
    Column::detail("templates", Unit::Count),
    Column::new("active_timeout", Unit::Seconds),
    Column::detail("clock_offset_least", Unit::Milliseconds),
    Column::new("clock_offset_most", Unit::Milliseconds),
    Column::new("sampling", Unit::Text),
    Column::new("unknown_rate", Unit::Ratio),
    Column::new("unknown_output", Unit::Ratio),
    Column::detail("last_window", Unit::Time),
];

const FAULTS: &[Column] = &[
    Column::new("exporter", Unit::Text),
    Column::new("fault", Unit::Text),
    Column::new("figure", Unit::Text),
    Column::new("ios_xr", Unit::Text),
    Column::new("junos", Unit::Text),
    Column::new("sr_os", Unit::Text),
];

/// How an exporter fared over the range.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    pub(super) exporter: String,
    protocol: String,
    domains: i64,
    datagrams: i64,
    records: i64,
    lost_datagrams: Option<i64>,
    lost_records: Option<i64>,
    reordered: i64,
    duplicates: i64,
    restarts: i64,
    undecodable: i64,
    templates: i64,
    pub(super) active_timeout_s: Option<i64>,
    clock_least_ms: Option<f64>,
    clock_most_ms: Option<f64>,
    is_clock_refused: bool,
    /// Who tells its sampling rates.
    sampling: Vec<String>,
    /// Share of records without a known sampling rate.
    pub(super) unknown_rate: Option<f64>,
    /// Share of records without a known output interface.
    pub(super) unknown_output: Option<f64>,
    pub(super) coverage: Option<f64>,
    coverage_least: Option<f64>,
    last_window_us: Option<i64>,
}

/// Reads how the exporters fared.
pub(super) fn read(data: &mut Data) -> Result<Vec<Health>, ReportError> {
    data.register(&["exporters"])?;
    let mut healths = data.fold(include_str!("../sql/exporters.sql"), Vec::new, |healths, batch| {
        let count = |name: &str| batch.integers(name);
        let (exporters, protocols) = (batch.texts("exporter")?, batch.texts("protocol")?);
        let (domains, datagrams, records) = (count("domains")?, count("datagrams")?, count("records")?);
        let (lost_datagrams, lost_records) = (count("lost_datagrams")?, count("lost_records")?);
        let (reordered, duplicates, restarts) = (count("reordered")?, count("duplicates")?, count("restarts")?);
        let (undecodable, templates) = (count("undecodable")?, count("templates")?);
        let (timeouts, refused, unknown_rates) =
            (count("active_timeout_s")?, count("is_clock_refused")?, count("rate_unknown_records")?);
        let (clock_least, clock_most) = (batch.floats("clock_offset_least_ms")?, batch.floats("clock_offset_most_ms")?);
        let outputs = (batch.floats("out_interface_unknown_records")?, batch.floats("out_interface_told_records")?);
        let (coverages, coverages_least) = (batch.floats("coverage_mean")?, batch.floats("coverage_least")?);
        let last = batch.times("last_window")?;
        for row in 0..batch.rows() {
            let known = |column: &crate::batch::Integers| column.get(row).unwrap_or(0);
            let share = |part: Option<f64>, all: f64| part.filter(|_| all > 0.0).map(|part| part / all);
            healths.push(Health {
                exporter: exporters.known(row).to_owned(),
                protocol: protocols.known(row).to_owned(),
                domains: known(&domains),
                datagrams: known(&datagrams),
                records: known(&records),
                lost_datagrams: lost_datagrams.get(row),
                lost_records: lost_records.get(row),
                reordered: known(&reordered),
                duplicates: known(&duplicates),
                restarts: known(&restarts),
                undecodable: known(&undecodable),
                templates: known(&templates),
                active_timeout_s: timeouts.get(row),
                clock_least_ms: clock_least.get(row),
                clock_most_ms: clock_most.get(row),
                is_clock_refused: known(&refused) > 0,
                sampling: Vec::new(),
                unknown_rate: share(Some(known(&unknown_rates) as f64), known(&records) as f64),
                unknown_output: share(outputs.0.get(row), outputs.1.get(row).unwrap_or(0.0)),
                coverage: coverages.get(row),
                coverage_least: coverages_least.get(row),
                last_window_us: last.get(row),
            });
        }
        Ok(())
    })?;
    let origins = data.fold(include_str!("../sql/origins.sql"), Vec::new, |origins, batch| {
        let (exporters, protocols, names) = (batch.texts("exporter")?, batch.texts("protocol")?, batch.texts("sampling_origin")?);
        let one = |row: usize| [exporters.known(row), protocols.known(row), names.known(row)].map(str::to_owned);
        origins.extend((0..batch.rows()).map(one));
        Ok(())
    })?;
    for [exporter, protocol, origin] in origins {
        let of = healths.iter_mut().find(|health: &&mut Health| health.exporter == exporter && health.protocol == protocol);
        of.into_iter().for_each(|health| health.sampling.push(origin.clone()));
    }
    Ok(healths)
}

/// Answers `exporters`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    let healths = read(data)?;
    if healths.is_empty() {
        return Err(data.nothing("exporters"));
    }
    let mut main = Section::new("Exporters", COLUMNS);
    let mut faults = Section::new("What is wrong, and what mends it", FAULTS);
    for health in &healths {
        main.rows.push(cells(health));
        faults.rows.extend(found(health, data.range().to_us, &options.settings));
    }
    let mut answer = Answer::new("exporters", data.range());
    answer.verdict.push(match faults.rows.len() {
        0 => format!("{} exporters, and nothing wrong with any.", healths.len()),
        count => format!("{} exporters, {count} faults.", healths.len()),
    });
    answer.sections.push(main);
    if !faults.rows.is_empty() {
        answer.sections.push(faults);
    }
    Ok(answer)
}

fn cells(health: &Health) -> Vec<Cell> {
    vec![
        health.exporter.as_str().into(),
        health.protocol.as_str().into(),
        health.domains.into(),
        health.datagrams.into(),
        health.records.into(),
        health.lost_datagrams.into(),
        health.lost_records.into(),
        health.coverage.into(),
        health.coverage_least.into(),
        health.reordered.into(),
        health.duplicates.into(),
        health.restarts.into(),
        health.undecodable.into(),
        health.templates.into(),
        health.active_timeout_s.into(),
        health.clock_least_ms.into(),
        health.clock_most_ms.into(),
        health.sampling.join(", ").into(),
        health.unknown_rate.into(),
        health.unknown_output.into(),
        Cell::time(health.last_window_us),
    ]
}

/// Sampling, where none is told.
const SAMPLING: [&str; 3] =
    ["option sampler-table (flow exporter-map)", "set forwarding-options sampling instance ... input rate N", "cflowd: sample N"];
/// A cache that gives its flows out late.
const TIMEOUT: [&str; 3] = [
    "cache timeout active 60 (flow monitor-map)",
    "set services flow-monitoring ... flow-active-timeout 60",
    "cflowd: active-flow-timeout 60",
];
/// Output interfaces that are not told.
const OUTPUT: [&str; 3] = [
    "flow ipv4 monitor M sampler S ingress on the ports towards customers",
    "set services flow-monitoring version-ipfix template T next-hop-learning enable",
    "cflowd: use-vrtr-if-index as the other routers have it",
];
/// A clock that is not right.
const CLOCK: [&str; 3] = ["ntp server ...", "set system ntp server ...", "system time ntp server ..."];
/// Datagrams that get lost.
const LOSS: [&str; 3] = [
    "cache entries N (flow monitor-map); look at show flow monitor ... cache summary",
    "set ... flow-table-size; look at show services accounting errors",
    "cflowd: cache-size; look at show router cflowd status",
];
/// Templates that come too seldom.
const TEMPLATES: [&str; 3] = [
    "template data timeout 60 (flow exporter-map)",
    "set ... template-refresh-rate seconds 60",
    "cflowd: template-retransmit 60",
];

fn found(health: &Health, end_us: i64, settings: &ReportSettings) -> Vec<Vec<Cell>> {
    let percent = |ratio: f64| format!("{:.1} %", ratio * 100.0);
    let above = |ratio: Option<f64>, limit: i64| ratio.filter(|ratio| *ratio * 100.0 > limit as f64);
    let is_flows = health.protocol != "sflow";
    let silent_s = health.last_window_us.map(|last_us| (end_us - last_us) / 1_000_000).filter(|seconds| *seconds > 600);
    let low = health.coverage.filter(|ratio| *ratio * 100.0 < settings.coverage_percent as f64);
    let clock = health.clock_most_ms.filter(|offset| offset.abs() > 5_000.0 && is_flows || health.is_clock_refused);
    let faults: [(&str, Option<String>, [&str; 3]); 7] = [
        ("sampling rate unknown", above(health.unknown_rate, 0).map(percent), SAMPLING),
        ("active timeout long", health.active_timeout_s.filter(|s| *s > 120).map(|s| format!("{s} s")), TIMEOUT),
        ("output interface unknown", above(health.unknown_output, settings.unknown_output_percent).map(percent), OUTPUT),
        ("clock off or unstable", clock.map(|offset| format!("{offset:.0} ms")), CLOCK),
        ("telemetry lost", low.map(|ratio| format!("coverage {}", percent(ratio))), LOSS),
        ("sets that cannot be decoded", (health.undecodable > 0).then(|| health.undecodable.to_string()), TEMPLATES),
        ("silent at the end", silent_s.map(|seconds| format!("{seconds} s")), [""; 3]),
    ];
    let row = |(fault, figure, commands): (&str, Option<String>, [&str; 3])| {
        let head: [Cell; 3] = [health.exporter.as_str().into(), fault.into(), figure?.into()];
        Some(head.into_iter().chain(commands.map(Cell::from)).collect())
    };
    faults.into_iter().filter_map(row).collect()
}
