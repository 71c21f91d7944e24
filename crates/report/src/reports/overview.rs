//! `overview`: a verdict in words, then a line a connection with what can be trusted of it.

use std::collections::BTreeMap;

use model::tables::ConnectionRow;
use model::{Direction, Name};

use super::exporters::{self, Health};
use super::links::{Failures, Links, in_two};
use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::connections::{is_active, is_peering};
use crate::loads::Load;
use crate::{Chart, Data, ReportError, ReportSettings};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "overview",
    about: "A verdict, and a line a connection with what can be trusted",
    default_span: "24h",
    takes_by: false,
    compares: Compares::Nothing,
    answer,
};

const COLUMNS: &[Column] = &[
    Column::new("connection", Unit::Text),
    Column::new("role", Unit::Text),
    Column::new("location", Unit::Text),
    Column::new("capacity", Unit::Mbps),
    Column::new("to_microsoft_p95", Unit::Mbps),
    Column::new("from_microsoft_p95", Unit::Mbps),
    Column::new("utilisation_peak", Unit::Ratio),
    Column::detail("utilisation_peak_at", Unit::Time),
    Column::new("past_50", Unit::Flag),
    Column::new("n1_utilisation", Unit::Ratio),
    Column::new("n1_survivor", Unit::Text),
    Column::new("n1_holds", Unit::Flag),
    Column::new("flows_to_counters", Unit::Ratio),
    Column::new("unknown_rate", Unit::Ratio),
    Column::new("active_timeout", Unit::Seconds),
    Column::new("coverage", Unit::Ratio),
    Column::new("unknown_output", Unit::Ratio),
    Column::new("trust", Unit::Text),
];

/// Pictures of a page at most, the fullest first.
const CHARTS_MOST: usize = 24;

/// A connection as the overview has it.
struct Line<'a> {
    row: &'a ConnectionRow,
    capacity_bps: Option<f64>,
    p95: [Option<f64>; 2],
    peak: Option<(f64, usize)>,
    /// The fullest survivor of its failure.
    n1: Option<(f64, Name)>,
    flows_to_counters: Option<f64>,
    trust: Trust,
}

/// What is known of how good the figures are.
#[derive(Default)]
struct Trust {
    unknown_rate: Option<f64>,
    active_timeout_s: Option<i64>,
    coverage: Option<f64>,
    unknown_output: Option<f64>,
}

/// Answers `overview`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    let links = Links::read(data)?;
    let healths: BTreeMap<String, Health> =
        exporters::read(data)?.into_iter().map(|health| (health.exporter.clone(), health)).collect();
    let failures = links.failures_both();
    let shown = |row: &&ConnectionRow| {
        is_peering(row) || Direction::ALL.into_iter().any(|direction| links.loads.get(&row.connection, direction).is_some())
    };
    let rows: Vec<&ConnectionRow> = links.edge.iter().filter(shown).collect();
    let mut lines = in_two(&rows, |rows| rows.iter().map(|row| line(&links, row, &failures, &healths)).collect());
    lines.sort_by(|a, b| b.peak.map_or(-1.0, |peak| peak.0).total_cmp(&a.peak.map_or(-1.0, |peak| peak.0)));
    let mut section = Section::new("Connections", COLUMNS);
    section.rows = lines.iter().map(|line| cells(line, data, &options.settings)).collect();
    let mut answer = Answer::new("overview", data.range());
    answer.verdict = verdict(&lines, &links, &options.settings);
    answer.sections.push(section);
    if options.is_page {
        answer.charts = charts(&lines, &links);
        answer.sections.extend(for_a_page(data, options)?);
    }
    Ok(answer)
}

/// Pictures of the fullest connections.
fn charts(lines: &[Line<'_>], links: &Links) -> Vec<Chart> {
    let one = |line: &Line<'_>| {
        let of = |direction: Direction| {
            let values = links.loads.get(&line.row.connection, direction).map(|load| load.utilisation.clone());
            (direction.name().replace('_', " "), values.unwrap_or_default())
        };
        Chart { title: line.row.connection.to_string(), lines: Direction::ALL.map(of).into() }
    };
    lines.iter().filter(|line| line.peak.is_some()).take(CHARTS_MOST).map(one).collect()
}

/// What the traffic is, what goes over transit, and what the telemetry is worth.
fn for_a_page(data: &mut Data, options: &Options) -> Result<Vec<Section>, ReportError> {
    let mut sections = Vec::new();
    for (of, title) in [
        (super::traffic::answer as fn(&mut Data, &Options) -> Result<Answer, ReportError>, "Services"),
        (super::transit::answer, "Transit"),
        (super::exporters::answer, "Exporters"),
    ] {
        match of(data, options) {
            Ok(answer) => {
                sections.extend(answer.sections.into_iter().take(1).map(|section| Section { title: title.to_owned(), ..section }))
            }
            // A page of what there is: a table may be empty.
            Err(ReportError::NoData(_)) => {}
            Err(error) => return Err(error),
        }
    }
    sections.retain(|section| !section.rows.is_empty());
    Ok(sections)
}

fn line<'a>(links: &Links, row: &'a ConnectionRow, failures: &[Failures; 2], healths: &BTreeMap<String, Health>) -> Line<'a> {
    let loads = Direction::ALL.map(|direction| links.loads.get(&row.connection, direction));
    let worst = failures.iter().filter_map(|failures| failures.get(&row.connection));
    let n1 = worst.filter_map(|(outcome, survivor)| Some((outcome.survivors.first()?.utilisation, survivor.clone())));
    let n1 = n1.max_by(|(a, _), (b, _)| a.total_cmp(b));
    let peaks = loads.iter().flatten().filter_map(|load| load.utilisation_peak());
    let capacity = loads.iter().flatten().find_map(|load| load.capacity_bps).or(row.capacity_bps);
    let ratios = Direction::ALL.map(|direction| links.counters(&row.connection, direction).1);
    // The direction that is further off is the one to be known.
    let off = |ratio: &f64| (ratio.ln()).abs();
    Line {
        row,
        capacity_bps: capacity.map(|bps| bps as f64),
        p95: loads.map(|load| load.and_then(Load::p95)),
        peak: peaks.max_by(|(a, _), (b, _)| a.total_cmp(b)),
        n1,
        flows_to_counters: ratios.into_iter().flatten().max_by(|a, b| off(a).total_cmp(&off(b))),
        trust: trust(row, healths, loads),
    }
}

fn trust(row: &ConnectionRow, healths: &BTreeMap<String, Health>, loads: [Option<&Load>; 2]) -> Trust {
    let mine: Vec<&Health> = row.exporters.iter().filter_map(|exporter| healths.get(&**exporter)).collect();
    let most = |of: fn(&Health) -> Option<f64>| mine.iter().filter_map(|health| of(health)).reduce(f64::max);
    let coverages = loads.iter().flatten().filter_map(|load| load.coverage());
    Trust {
        unknown_rate: most(|health| health.unknown_rate),
        active_timeout_s: mine.iter().filter_map(|health| health.active_timeout_s).max(),
        coverage: coverages.reduce(f64::min),
        unknown_output: most(|health| health.unknown_output),
    }
}

/// Why a line is not to be trusted; empty if nothing is known against it.
fn doubts(line: &Line<'_>, settings: &ReportSettings) -> Vec<String> {
    let tolerance = settings.counter_tolerance_percent as f64 / 100.0;
    let mut doubts = Vec::new();
    if let Some(ratio) = line.flows_to_counters.filter(|ratio| (ratio - 1.0).abs() > tolerance) {
        doubts.push(format!("flows are {:.0} % of the counters", ratio * 100.0));
    }
    if let Some(share) = line.trust.unknown_rate.filter(|share| *share > 0.01) {
        doubts.push(format!("sampling unknown for {:.1} % of the records", share * 100.0));
    }
    if let Some(coverage) = line.trust.coverage.filter(|coverage| *coverage * 100.0 < settings.coverage_percent as f64) {
        doubts.push(format!("coverage {:.1} %", coverage * 100.0));
    }
    if let Some(share) = line.trust.unknown_output.filter(|share| *share * 100.0 > settings.unknown_output_percent as f64) {
        doubts.push(format!("output interface unknown for {:.1} % of the records", share * 100.0));
    }
    if let Some(seconds) = line.trust.active_timeout_s.filter(|seconds| *seconds > 120) {
        doubts.push(format!("active timeout {seconds} s: peaks are flattened"));
    }
    doubts
}

fn cells(line: &Line<'_>, data: &Data, settings: &ReportSettings) -> Vec<Cell> {
    let full = settings.full_percent as f64 / 100.0;
    let doubts = doubts(line, settings);
    let is_known = line.flows_to_counters.is_some() || line.trust.coverage.is_some();
    let trust = match (doubts.is_empty(), is_known) {
        (false, _) => doubts.join("; "),
        (true, true) => "good".to_owned(),
        (true, false) => "not known".to_owned(),
    };
    vec![
        (&line.row.connection).into(),
        (&line.row.role).into(),
        line.row.location.as_ref().into(),
        Cell::mbps(line.capacity_bps),
        Cell::mbps(line.p95[0]),
        Cell::mbps(line.p95[1]),
        line.peak.map(|(ratio, _)| ratio).into(),
        Cell::time(line.peak.map(|(_, step)| data.range().start_of(step))),
        line.peak.map(|(ratio, _)| ratio > 0.5).into(),
        line.n1.as_ref().map(|(ratio, _)| *ratio).into(),
        line.n1.as_ref().map(|(_, survivor)| survivor).into(),
        line.n1.as_ref().map(|(ratio, _)| *ratio <= full).into(),
        line.flows_to_counters.into(),
        line.trust.unknown_rate.into(),
        line.trust.active_timeout_s.into(),
        line.trust.coverage.into(),
        line.trust.unknown_output.into(),
        trust.into(),
    ]
}

/// The verdict: what does not hold, what is past the line, what leaks, what cannot be trusted.
fn verdict(lines: &[Line<'_>], links: &Links, settings: &ReportSettings) -> Vec<String> {
    let full = settings.full_percent as f64 / 100.0;
    let peerings: Vec<&Line<'_>> = lines.iter().filter(|line| is_peering(line.row)).collect();
    let mut verdict = Vec::new();
    for line in peerings.iter().filter(|line| !is_active(line.row)) {
        let state = line.row.connection_state.as_deref().unwrap_or_default();
        verdict.push(format!("{} is {state}, not Active: it is left out of what the others could take.", line.row.connection));
    }
    for line in &peerings {
        if let Some((ratio, survivor)) = line.n1.as_ref().filter(|(ratio, _)| *ratio > full) {
            let name = &line.row.connection;
            verdict.push(format!(
                "If {name} fails, {survivor} would be asked for {:.0} % of its capacity: it does not hold.",
                ratio * 100.0
            ));
        }
    }
    for line in &peerings {
        if let Some((ratio, _)) = line.peak.filter(|(ratio, _)| *ratio > 0.5) {
            verdict.push(format!(
                "{} peaked at {:.0} %: past Microsoft's 50 % line for an upgrade.",
                line.row.connection,
                ratio * 100.0
            ));
        }
    }
    for line in lines.iter().filter(|line| &*line.row.role == "transit") {
        let to = links.loads.get(&line.row.connection, Direction::ToMicrosoft).and_then(Load::mean).unwrap_or(0.0);
        if to > settings.leak_mbps as f64 * 1e6 {
            verdict.push(format!("{:.0} Mbit/s to Microsoft leak over transit {}.", to / 1e6, line.row.connection));
        }
    }
    for line in lines {
        let doubts = doubts(line, settings);
        if !doubts.is_empty() {
            verdict.push(format!("{} cannot be trusted: {}.", line.row.connection, doubts.join("; ")));
        }
    }
    if verdict.is_empty() {
        let unknown = peerings.iter().filter(|line| line.n1.is_none()).count();
        verdict.push(match (peerings.len(), unknown) {
            (0, _) => "No peering connection is configured: links are shown as the telemetry names them.".to_owned(),
            (count, 0) => format!("All {count} connections are below 50 %, and any of them may fail."),
            (count, unknown) => format!(
                "All {count} connections are below 50 %; for {unknown} of them it is not known whether the others would hold."
            ),
        });
    }
    verdict
}
