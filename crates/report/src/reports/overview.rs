//! `overview`: a verdict in words, then a line a connection with what can be trusted of it.

use std::collections::{BTreeMap, BTreeSet};

use model::tables::ConnectionRow;
use model::{Direction, Name};

use super::exporters::{self, Health};
use super::links::{Links, in_two};
use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::connections::{is_active, is_peering};
use crate::loads::Load;
use crate::networks::Fullest;
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

/// Columns of a line, and after them those of its trust strip.
const COLUMNS: [Column; 12] = [
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
];

/// The trust strip.
const TRUST: [Column; 7] = [
    Column::new("flows_to_counters", Unit::Ratio),
    Column::new("sampling", Unit::Text),
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
    n1: Option<Fullest>,
    flows_to_counters: Option<f64>,
    /// Directions of which flows tell nothing, and what the counters of the ports show, bit/s.
    silent: Vec<(Direction, f64)>,
    trust: Trust,
}

/// What is known of how good the figures are.
#[derive(Default)]
struct Trust {
    sampling: String,
    unknown_rate: Option<f64>,
    active_timeout_s: Option<i64>,
    coverage: Option<f64>,
    unknown_output: Option<f64>,
}

/// Answers `overview`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    let links = Links::of_both_directions(data, options)?;
    let mut healths: BTreeMap<String, Vec<Health>> = BTreeMap::new();
    for health in exporters::read(data)? {
        healths.entry(health.exporter.clone()).or_default().push(health);
    }
    let networks = links.networks(data, options)?;
    let n1: BTreeMap<Name, Fullest> = networks
        .by_connection()
        .into_iter()
        .filter_map(|(name, (_, outcomes))| Some((name, networks.fullest(&outcomes)?)))
        .collect();
    let has_load = |row: &ConnectionRow| Direction::ALL.into_iter().any(|way| links.loads.get(&row.connection, way).is_some());
    let rows: Vec<&ConnectionRow> = links.told().filter(|row| is_peering(row) || has_load(row)).collect();
    let mut lines =
        in_two(&rows, |rows| rows.iter().map(|row| line(&links, row, n1.get(&row.connection).cloned(), &healths)).collect());
    lines.sort_by(|a, b| b.peak.map_or(-1.0, |peak| peak.0).total_cmp(&a.peak.map_or(-1.0, |peak| peak.0)));
    let mut answer = Answer::new("overview", data.range());
    (answer.verdict, answer.is_alarming) = verdict(&lines, &links, &options.settings);
    answer.notes.extend(networks.notes);
    if options.is_page {
        answer.facts = facts(&lines, &links);
        answer.charts = charts(&lines, &links, options);
        let (sections, notes) = for_a_page(data, options, &lines)?;
        answer.sections = sections;
        answer.notes.extend(notes);
    } else {
        let columns: Vec<Column> = COLUMNS.into_iter().chain(TRUST).collect();
        let row = |line: &Line<'_>| {
            cells(line, data, &options.settings).into_iter().chain(trust_cells(line, &options.settings)).collect()
        };
        let rows = lines.iter().map(row).collect();
        answer.sections.push(Section { rows, ..Section::new("Connections", &columns) });
    }
    Ok(answer)
}

/// A load in the largest unit of which there is one at least.
fn rate(bps: f64) -> String {
    let units = [("Tbit/s", 1e12), ("Gbit/s", 1e9), ("Mbit/s", 1e6)];
    let (name, size) = units.into_iter().find(|(_, size)| bps >= *size).unwrap_or(("kbit/s", 1e3));
    format!("{:.1} {name}", bps / size)
}

/// A few numbers that stand for all.
fn facts(lines: &[Line<'_>], links: &Links) -> Vec<(&'static str, String)> {
    let of = |role: fn(&ConnectionRow) -> bool| lines.iter().filter(move |line| role(line.row));
    let mean = |role: fn(&ConnectionRow) -> bool, direction: Direction| {
        rate(of(role).filter_map(|line| links.loads.get(&line.row.connection, direction)?.mean()).sum())
    };
    let is_transit = |row: &ConnectionRow| &*row.role == "transit";
    let active = of(is_peering).filter(|line| is_active(line.row));
    let capacity = active.clone().filter_map(|line| line.capacity_bps).sum();
    vec![
        ("active connections", format!("{} of {}", active.count(), of(is_peering).count())),
        ("their capacity", rate(capacity)),
        ("from Microsoft, mean", mean(is_peering, Direction::FromMicrosoft)),
        ("to Microsoft, mean", mean(is_peering, Direction::ToMicrosoft)),
        ("to Microsoft over transit, mean", mean(is_transit, Direction::ToMicrosoft)),
    ]
}

/// Pictures of the fullest connections.
fn charts(lines: &[Line<'_>], links: &Links, options: &Options) -> Vec<Chart> {
    let one = |line: &Line<'_>| {
        let of = |direction: Direction| {
            let values = links.loads.get(&line.row.connection, direction).map(|load| load.utilisation.clone());
            (direction.words().to_owned(), values.unwrap_or_default())
        };
        let text = |cell: Cell, unit: Unit| cell.text(unit, &options.zone);
        let capacity = text(Cell::mbps(line.capacity_bps), Unit::Mbps).map(|mbps| format!("{mbps} Mbit/s"));
        let peak = line.peak.and_then(|(ratio, _)| text(ratio.into(), Unit::Ratio)).map(|ratio| format!("peak {ratio}"));
        let caption = capacity.into_iter().chain(peak).collect::<Vec<_>>().join(", ");
        Chart { title: line.row.connection.to_string(), caption, lines: Direction::ALL.map(of).into() }
    };
    lines.iter().filter(|line| line.peak.is_some()).take(CHARTS_MOST).map(one).collect()
}

/// The lines and their trust apart, what the traffic is, what goes over transit, and what the telemetry is worth.
fn for_a_page(data: &mut Data, options: &Options, lines: &[Line<'_>]) -> Result<(Vec<Section>, Vec<String>), ReportError> {
    let mut connections = Section::new("Connections", &COLUMNS);
    connections.rows = lines.iter().map(|line| cells(line, data, &options.settings)).collect();
    let mut trust = Section::new("What can be trusted", &[&COLUMNS[..1], &TRUST].concat());
    let with_name = |line: &Line<'_>| {
        let name: Cell = (&line.row.connection).into();
        std::iter::once(name).chain(trust_cells(line, &options.settings)).collect()
    };
    trust.rows = lines.iter().map(with_name).collect();
    let (mut sections, mut notes) = (vec![connections, trust], Vec::new());
    // Exporters are not of one connection.
    let of_exporters = Options { filters: Vec::new(), ..options.clone() };
    for (of, title, options) in [
        (super::traffic::answer as fn(&mut Data, &Options) -> Result<Answer, ReportError>, "Services", options),
        (super::transit::answer, "Transit", options),
        (super::exporters::answer, "Exporters", &of_exporters),
    ] {
        match of(data, options) {
            Ok(answer) => {
                notes.extend(answer.notes);
                sections.extend(answer.sections.into_iter().take(1).map(|section| Section { title: title.to_owned(), ..section }))
            }
            // A page of what there is: a table may be empty.
            Err(ReportError::NoData(_)) => {}
            Err(error) => return Err(error),
        }
    }
    sections.retain(|section| !section.rows.is_empty());
    Ok((sections, notes))
}

fn line<'a>(links: &Links, row: &'a ConnectionRow, n1: Option<Fullest>, healths: &BTreeMap<String, Vec<Health>>) -> Line<'a> {
    let loads = Direction::ALL.map(|direction| links.loads.get(&row.connection, direction));
    let peaks = loads.iter().flatten().filter_map(|load| load.utilisation_peak());
    let capacity = loads.iter().flatten().find_map(|load| load.capacity_bps).or(row.capacity_bps);
    let counters = Direction::ALL.map(|direction| (direction, links.counters(&row.connection, direction)));
    let ratios = counters.map(|(_, (_, ratio))| ratio);
    let is_silent = |direction: Direction| loads[direction as usize].and_then(Load::mean).is_none();
    let silent = counters.into_iter().filter_map(|(direction, (counter_bps, ratio))| {
        let counter_bps = counter_bps.filter(|bps| ratio.is_none() && *bps > measure::MISSED_LEAST_BPS)?;
        is_silent(direction).then_some((direction, counter_bps))
    });
    // The direction that is further off is the one to be known.
    let off = |ratio: &f64| (ratio.ln()).abs();
    Line {
        row,
        capacity_bps: capacity.map(|bps| bps as f64),
        p95: loads.map(|load| load.and_then(Load::p95)),
        peak: peaks.max_by(|(a, _), (b, _)| a.total_cmp(b)),
        n1,
        silent: silent.collect(),
        flows_to_counters: ratios.into_iter().flatten().max_by(|a, b| off(a).total_cmp(&off(b))),
        trust: trust(row, healths, loads),
    }
}

fn trust(row: &ConnectionRow, healths: &BTreeMap<String, Vec<Health>>, loads: [Option<&Load>; 2]) -> Trust {
    let mine: Vec<&Health> = row.exporters.iter().filter_map(|exporter| healths.get(&**exporter)).flatten().collect();
    let most = |of: fn(&Health) -> Option<f64>| mine.iter().filter_map(|health| of(health)).reduce(f64::max);
    let coverage = loads.iter().flatten().filter_map(|load| load.coverage()).reduce(f64::min);
    let sampling: BTreeSet<&str> = mine.iter().flat_map(|health| &health.sampling).map(String::as_str).collect();
    Trust {
        sampling: sampling.into_iter().collect::<Vec<_>>().join(", "),
        unknown_rate: most(|health| health.unknown_rate),
        active_timeout_s: mine.iter().filter_map(|health| health.active_timeout_s).max(),
        // Of a range that is too short to have whole steps the exporters' own is known.
        coverage: coverage.or_else(|| mine.iter().filter_map(|health| health.coverage).reduce(f64::min)),
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
    for (direction, counter_bps) in &line.silent {
        doubts.push(format!("no flows {}, where the counters show {:.0} Mbit/s", direction.words(), counter_bps / 1e6));
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
        line.n1.as_ref().map(|n1| n1.ratio).into(),
        line.n1.as_ref().map(|n1| &n1.name).into(),
        line.n1.as_ref().and_then(|n1| n1.holds(full)).into(),
    ]
}

fn trust_cells(line: &Line<'_>, settings: &ReportSettings) -> Vec<Cell> {
    let doubts = doubts(line, settings);
    let trust = match (doubts.is_empty(), line.flows_to_counters, line.trust.coverage) {
        (false, ..) => doubts.join("; "),
        (true, Some(_), _) => "good".to_owned(),
        (true, None, Some(_)) => "good, as far as is known without counters".to_owned(),
        (true, None, None) => "not known".to_owned(),
    };
    let trusted = &line.trust;
    vec![
        line.flows_to_counters.into(),
        Some(trusted.sampling.as_str()).filter(|sampling| !sampling.is_empty()).into(),
        trusted.unknown_rate.into(),
        trusted.active_timeout_s.into(),
        trusted.coverage.into(),
        trusted.unknown_output.into(),
        trust.into(),
    ]
}

/// The verdict, the most pressing first, and whether there is anything to be done.
fn verdict(lines: &[Line<'_>], links: &Links, settings: &ReportSettings) -> (Vec<String>, bool) {
    let peerings: Vec<&Line<'_>> = lines.iter().filter(|line| is_peering(line.row)).collect();
    let doubted: Vec<(&Line<'_>, Vec<String>)> = lines.iter().map(|line| (line, doubts(line, settings))).collect();
    let cannot_be_trusted = |(line, doubts): &(&Line<'_>, Vec<String>)| {
        (!doubts.is_empty()).then(|| format!("{} cannot be trusted: {}.", line.row.connection, doubts.join("; ")))
    };
    let verdict: Vec<String> = [
        super::first_of(inactive(&peerings), "connections that are not Active"),
        super::first_of(would_not_hold(&peerings, settings), "connections whose failure would not be held"),
        super::first_of(past_half(&peerings), "connections past the 50 % line"),
        super::first_of(leaks(lines, links, settings), "leaks"),
        super::first_of(doubted.iter().filter_map(cannot_be_trusted).collect(), "connections that cannot be trusted"),
    ]
    .concat();
    if !verdict.is_empty() {
        return (verdict, true);
    }
    let full = settings.full_percent as f64 / 100.0;
    let unknown = peerings.iter().filter(|line| line.n1.as_ref().and_then(|n1| n1.holds(full)).is_none()).count();
    let all_well = match (peerings.len(), unknown) {
        (0, _) => "No peering connection is configured: links are shown as the telemetry names them.".to_owned(),
        (1, 0) => "The one connection is below 50 %, and its failure would be held.".to_owned(),
        (1, _) => "The one connection is below 50 %; whether its failure would be held is not known.".to_owned(),
        (count, 0) => format!("All {count} connections are below 50 %, and the failure of any of them would be held."),
        (count, unknown) => format!(
            "All {count} connections are below 50 %; for {unknown} of them it is not known whether the others would hold."
        ),
    };
    (vec![all_well], false)
}

fn inactive(peerings: &[&Line<'_>]) -> Vec<String> {
    let one = |line: &&Line<'_>| {
        let state = line.row.connection_state.as_deref().unwrap_or_default();
        format!("{} is {state}, not Active: it is left out of what the others could take.", line.row.connection)
    };
    peerings.iter().filter(|line| !is_active(line.row)).map(one).collect()
}

/// Failures that would not be held, the worst first.
fn would_not_hold(peerings: &[&Line<'_>], settings: &ReportSettings) -> Vec<String> {
    let full = settings.full_percent as f64 / 100.0;
    let mut broken: Vec<(f64, String)> = Vec::new();
    for line in peerings {
        if let Some(Fullest { ratio, name: survivor, .. }) = line.n1.as_ref().filter(|n1| n1.ratio > full) {
            let (name, percent) = (&line.row.connection, ratio * 100.0);
            broken.push((
                *ratio,
                format!("If {name} fails, {survivor} would be asked for {percent:.0} % of its capacity: it does not hold."),
            ));
        }
    }
    broken.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    broken.into_iter().map(|(_, sentence)| sentence).collect()
}

fn past_half(peerings: &[&Line<'_>]) -> Vec<String> {
    let one = |line: &&Line<'_>| {
        let (ratio, _) = line.peak.filter(|(ratio, _)| *ratio > 0.5)?;
        let (name, percent) = (&line.row.connection, ratio * 100.0);
        Some(format!("{name} peaked at {percent:.0} %: past Microsoft's 50 % line for an upgrade."))
    };
    peerings.iter().filter_map(one).collect()
}

fn leaks(lines: &[Line<'_>], links: &Links, settings: &ReportSettings) -> Vec<String> {
    let one = |line: &Line<'_>| {
        let to_bps = links.loads.get(&line.row.connection, Direction::ToMicrosoft)?.mean()?;
        let is_leak = &*line.row.role == "transit" && to_bps > settings.leak_mbps as f64 * 1e6;
        is_leak.then(|| format!("{:.0} Mbit/s to Microsoft leak over transit {}.", to_bps / 1e6, line.row.connection))
    };
    lines.iter().filter_map(one).collect()
}
