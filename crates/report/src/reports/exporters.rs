//! `exporters`: the telemetry itself: what came, what was lost, what is wrong and how it is mended.

use std::collections::BTreeSet;

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

/// Difference of clocks beyond which one is wrong, ms.
const CLOCK_MS_MOST: f64 = 5_000.0;

const FAULTS: &[Column] =
    &[Column::new("exporter", Unit::Text), Column::new("fault", Unit::Text), Column::new("figure", Unit::Text)];

const REMEDIES: &[Column] = &[
    Column::new("fault", Unit::Text),
    Column::new("telemetry", Unit::Text),
    Column::new("system", Unit::Text),
    Column::new("command", Unit::Text),
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
    pub(super) sampling: Vec<String>,
    /// Share of records without a known sampling rate.
    pub(super) unknown_rate: Option<f64>,
    /// Share of records without a known output interface.
    pub(super) unknown_output: Option<f64>,
    pub(super) coverage: Option<f64>,
    /// Datagrams that the kernel dropped in a window at most, on the sockets of its worker.
    kernel_drops_most: i64,
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
        let (last, drops) = (batch.times("last_window")?, count("kernel_drops_most")?);
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
                kernel_drops_most: known(&drops),
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
    data.filter("exporters", &options.filters)?;
    let healths = read(data)?;
    if healths.is_empty() && !options.filters.is_empty() {
        return Err(ReportError::NoData("no exporter fits --where in this range".to_owned()));
    }
    if healths.is_empty() {
        return Err(data.nothing("exporters"));
    }
    let mut main = Section::new("Exporters", COLUMNS);
    let mut faults = Section::new("What is wrong", FAULTS);
    let mut remedies = Section::new("What mends it", REMEDIES);
    let mut answer = Answer::new("exporters", data.range());
    let mut sentences = Vec::new();
    let mut mended: BTreeSet<(&str, bool)> = BTreeSet::new();
    for health in &healths {
        main.rows.push(cells(health));
        for (fault, figure) in found(health, data.range().to_us, &options.settings) {
            sentences.push(format!("{}: {} ({figure}).", health.exporter, fault.name));
            faults.rows.push(vec![health.exporter.as_str().into(), fault.name.into(), figure.into()]);
            if mended.insert((fault.name, health.is_sflow())) {
                let (telemetry, commands) =
                    if health.is_sflow() { ("sFlow", fault.sflow) } else { ("NetFlow, IPFIX", fault.flows) };
                let row = |(system, command): &(&'static str, &'static str)| {
                    vec![fault.name.into(), telemetry.into(), (*system).into(), (*command).into()]
                };
                remedies.rows.extend(commands.iter().map(row));
            }
        }
    }
    answer.is_alarming = !sentences.is_empty();
    answer.verdict = match sentences.is_empty() {
        true => vec![format!("{}, and nothing wrong.", super::counted(healths.len(), "exporter"))],
        false => super::first_of(sentences, "faults"),
    };
    answer.sections.push(main);
    answer.sections.extend([faults, remedies].into_iter().filter(|section| !section.rows.is_empty()));
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

/// A fault, and the commands that mend it by system.
struct Fault {
    name: &'static str,
    /// Of NetFlow and IPFIX.
    flows: &'static [(&'static str, &'static str)],
    /// Of sFlow.
    sflow: &'static [(&'static str, &'static str)],
}

const HERE: &str = "this machine";

const SAMPLING: Fault = Fault {
    name: "sampling rate unknown",
    flows: &[
        ("IOS XR", "flow exporter-map E version v9 options sampler-table timeout 60"),
        ("Junos", "set forwarding-options sampling instance I input rate N (option records tell it)"),
        ("SR OS", "configure cflowd sample-profile 1 sample-rate N"),
        ("EOS", "flow tracking sampled; sample N"),
        ("peerscope", "[[exporter]] sampling = N, where the router cannot say it"),
    ],
    sflow: &[("any", "sFlow tells its rate with each sample: look at the agent's version")],
};
const TIMEOUT: Fault = Fault {
    name: "active timeout long",
    flows: &[
        ("IOS XR", "flow monitor-map M cache timeout active 60"),
        ("Junos", "set services flow-monitoring version-ipfix template T flow-active-timeout 60"),
        ("SR OS", "configure cflowd active-timeout 1"),
        ("EOS", "flow tracking sampled; tracker T; record export on interval 60000"),
    ],
    sflow: &[],
};
const OUTPUT: Fault = Fault {
    name: "output interface unknown",
    flows: &[
        ("IOS XR", "flow ipv4 monitor M sampler S ingress, on the ports towards customers"),
        ("Junos", "set services flow-monitoring version-ipfix template T nexthop-learning enable"),
        ("SR OS", "configure cflowd use-vrtr-if-index, as the other routers have it"),
    ],
    sflow: &[("EOS", "sflow sample output interface")],
};
const CLOCK: Fault = Fault {
    name: "clock off or unstable",
    flows: &[
        ("IOS XR", "ntp server ADDRESS"),
        ("Junos", "set system ntp server ADDRESS"),
        ("SR OS", "configure system time ntp server ADDRESS"),
        ("EOS", "ntp server ADDRESS"),
    ],
    sflow: &[],
};
const LOSS: Fault = Fault {
    name: "telemetry lost",
    flows: &[
        ("IOS XR", "flow monitor-map M cache entries N; show flow monitor M cache summary location L"),
        ("Junos", "set chassis fpc F inline-services flow-table-size; show services accounting errors inline-jflow"),
        ("SR OS", "configure cflowd cache-size N; show router cflowd status"),
        ("the path", "look for drops between the router and here, and for policers"),
    ],
    sflow: &[
        ("EOS", "sflow sample N, a larger N; show sflow"),
        ("Junos", "set protocols sflow sample-rate ingress N, a larger N; show sflow"),
        ("the path", "look for drops between the router and here, and for policers"),
    ],
};
const DROPS: Fault = Fault {
    name: "dropped by this machine's kernel",
    flows: &[(HERE, "sysctl net.core.rmem_max at [receive] buffer_bytes or above; more workers")],
    sflow: &[(HERE, "sysctl net.core.rmem_max at [receive] buffer_bytes or above; more workers")],
};
const TEMPLATES: Fault = Fault {
    name: "sets that cannot be decoded",
    flows: &[
        ("IOS XR", "flow exporter-map E version v9 template data timeout 60"),
        ("Junos", "set services flow-monitoring version-ipfix template T template-refresh-rate seconds 60"),
        ("SR OS", "configure cflowd template-retransmit 60"),
        ("peerscope", "peerscope inspect CAPTURE says what they are"),
    ],
    sflow: &[("peerscope", "peerscope inspect CAPTURE says what they are")],
};
const SILENT: Fault = Fault {
    name: "silent at the end",
    flows: &[("any", "is it up, and does its exporter still point here?")],
    sflow: &[("any", "is it up, and does its exporter still point here?")],
};

impl Health {
    fn is_sflow(&self) -> bool {
        self.protocol == "sflow"
    }
}

/// What is wrong with an exporter, with figures.
fn found(health: &Health, end_us: i64, settings: &ReportSettings) -> Vec<(&'static Fault, String)> {
    let percent = |ratio: f64| format!("{:.1} %", ratio * 100.0);
    let above = |ratio: Option<f64>, limit: i64| ratio.filter(|ratio| *ratio * 100.0 > limit as f64);
    let silent_s = health.last_window_us.map(|last_us| (end_us - last_us) / 1_000_000).filter(|seconds| *seconds > 600);
    let low = health.coverage.filter(|ratio| *ratio * 100.0 < settings.coverage_percent as f64);
    let offsets = health.clock_least_ms.into_iter().chain(health.clock_most_ms);
    let offset = offsets.max_by(|a, b| a.abs().total_cmp(&b.abs()));
    let clock = match offset {
        _ if health.is_sflow() => None,
        Some(ms) if ms.abs() > CLOCK_MS_MOST || health.is_clock_refused => Some(format!("{ms:.0} ms")),
        None if health.is_clock_refused => Some("it is not used".to_owned()),
        _ => None,
    };
    let drops = Some(health.kernel_drops_most).filter(|drops| *drops > 0);
    let faults: [(&'static Fault, Option<String>); 8] = [
        (&SAMPLING, above(health.unknown_rate, 0).map(|ratio| format!("{} of the records", percent(ratio)))),
        (&TIMEOUT, health.active_timeout_s.filter(|s| *s > 120).map(|s| format!("{s} s"))),
        (
            &OUTPUT,
            above(health.unknown_output, settings.unknown_output_percent)
                .map(|ratio| format!("{} of the records", percent(ratio))),
        ),
        (&CLOCK, clock),
        (&DROPS, drops.map(|drops| format!("{drops} datagrams a minute at most"))),
        (&LOSS, low.map(|ratio| format!("coverage {}", percent(ratio)))),
        (&TEMPLATES, (health.undecodable > 0).then(|| health.undecodable.to_string())),
        (&SILENT, silent_s.map(|seconds| format!("{seconds} s"))),
    ];
    faults.into_iter().filter_map(|(fault, figure)| Some((fault, figure?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found_with_figures_and_each_has_a_remedy() {
        let well = Health { protocol: "ipfix".to_owned(), coverage: Some(1.0), ..Health::default() };
        let settings = ReportSettings::default();
        for (health, expected) in [
            (well.clone(), None),
            (Health { unknown_rate: Some(0.5), ..well.clone() }, Some(("sampling rate unknown", "50.0 % of the records"))),
            (Health { active_timeout_s: Some(1_800), ..well.clone() }, Some(("active timeout long", "1800 s"))),
            (
                Health { clock_least_ms: Some(-9_000.0), clock_most_ms: Some(0.0), ..well.clone() },
                Some(("clock off or unstable", "-9000 ms")),
            ),
            (Health { is_clock_refused: true, ..well.clone() }, Some(("clock off or unstable", "it is not used"))),
            (Health { coverage: Some(0.9), ..well.clone() }, Some(("telemetry lost", "coverage 90.0 %"))),
            (
                Health { kernel_drops_most: 7, ..well.clone() },
                Some(("dropped by this machine's kernel", "7 datagrams a minute at most")),
            ),
            (Health { undecodable: 3, ..well.clone() }, Some(("sets that cannot be decoded", "3"))),
            (Health { last_window_us: Some(0), ..well.clone() }, Some(("silent at the end", "3600 s"))),
        ] {
            let found = found(&health, 3_600_000_000, &settings);
            let told: Vec<(&str, &str)> = found.iter().map(|(fault, figure)| (fault.name, figure.as_str())).collect();
            assert_eq!(told, expected.into_iter().collect::<Vec<_>>());
            assert!(found.iter().all(|(fault, _)| !fault.flows.is_empty()));
        }
    }
}
