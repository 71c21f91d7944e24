//! `links`: what each connection carried, how fast it grows, and what its failure would do.

use std::collections::BTreeSet;

use measure::judge::{Failure, agreement};
use model::tables::ConnectionRow;
use model::{Direction, Name};

use super::selection::Selection;
use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::connections::{Edge, is_peering};
use crate::growth::{self, Breaks, Growth};
use crate::loads::{Load, Loads, mean, of_links_and_ports};
use crate::networks::{Networks, Outcomes};
use crate::{Data, Range, ReportError};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "links",
    about: "Loads, growth with dates, and what each one's failure would do",
    default_span: "30d",
    takes_by: false,
    compares: Compares::Previous,
    answer,
};

const COLUMNS: &[Column] = &[
    Column::new("connection", Unit::Text),
    Column::detail("peering", Unit::Text),
    Column::new("role", Unit::Text),
    Column::new("location", Unit::Text),
    Column::new("direction", Unit::Text),
    Column::new("capacity", Unit::Mbps),
    Column::new("mean", Unit::Mbps),
    Column::new("standard_error", Unit::Mbps),
    Column::new("p95", Unit::Mbps),
    Column::new("peak", Unit::Mbps),
    Column::detail("peak_at", Unit::Time),
    Column::new("utilisation_p95", Unit::Ratio),
    Column::new("utilisation_peak", Unit::Ratio),
    Column::detail("utilisation_peak_at", Unit::Time),
    Column::new("headroom", Unit::Mbps),
    Column::new("port_counter_mean", Unit::Mbps),
    Column::new("flows_to_counters", Unit::Ratio),
    Column::detail("samples", Unit::Count),
    Column::detail("bytes_unknown_rate", Unit::Bytes),
    Column::new("coverage", Unit::Ratio),
    Column::detail("time_known", Unit::Ratio),
    Column::new("n1_utilisation", Unit::Ratio),
    Column::detail("n1_survivor", Unit::Text),
    Column::detail("n1_at", Unit::Time),
    Column::detail("n1_leaves_location", Unit::Flag),
];

/// What reports on connections start from.
pub(super) struct Links {
    pub(super) edge: Edge,
    pub(super) loads: Loads,
    pub(super) ports: Loads,
    /// What of it is told.
    selection: Selection,
}

impl Links {
    pub(super) fn read(data: &mut Data, options: &Options) -> Result<Links, ReportError> {
        let (loads, ports) = of_links_and_ports(data)?;
        let edge = Edge::read(data)?;
        let selection = Selection::of(&options.filters, &edge, &loads)?;
        Ok(Links { edge, loads, ports, selection })
    }

    /// As [`Links::read`], of a report whose rows are of both directions.
    ///
    /// # Errors
    ///
    /// Also if one direction is asked for.
    pub(super) fn of_both_directions(data: &mut Data, options: &Options) -> Result<Links, ReportError> {
        if options.filters.iter().any(|filter| filter.column == "direction") {
            let what =
                "--where direction: this report tells both directions together; links, traffic, customers and transit take it";
            return Err(ReportError::Usage(what.to_owned()));
        }
        Links::read(data, options)
    }

    /// Whether a link is among those that were asked for.
    pub(super) fn is_told(&self, name: &str) -> bool {
        self.selection.has(&self.edge, name)
    }

    /// Whether a direction is among those that were asked for.
    pub(super) fn is_direction_told(&self, direction: Direction) -> bool {
        self.selection.has_direction(direction)
    }

    /// The links that were asked for.
    pub(super) fn told(&self) -> impl Iterator<Item = &ConnectionRow> {
        self.edge.iter().filter(|row| self.is_told(&row.connection))
    }

    /// The peering connections among them.
    pub(super) fn peerings(&self) -> Vec<&ConnectionRow> {
        self.told().filter(|row| is_peering(row)).collect()
    }

    /// The network's edge as failures are judged on it.
    pub(super) fn networks(&self, data: &Data, options: &Options) -> Result<Networks, ReportError> {
        Networks::read(data, &self.edge, &self.loads, options)
    }

    /// What the ports of a link carried by the counters, bit/s, and the ratio of flows to counters.
    pub(super) fn counters(&self, link: &str, direction: Direction) -> (Option<f64>, Option<f64>) {
        let Some(row) = self.edge.get(link) else { return (None, None) };
        let ports: Vec<&Load> = row.ports.iter().filter_map(|port| self.ports.get(port, direction)).collect();
        let sum = |of: fn(&Load) -> &Vec<f64>| -> Vec<f64> {
            let mut series = ports.iter().map(|port| of(port));
            let mut sum = series.next().cloned().unwrap_or_default();
            for other in series {
                let values = other.iter().copied().chain(std::iter::repeat(f64::NAN));
                sum.iter_mut().zip(values).for_each(|(sum, bps)| *sum += bps);
            }
            sum
        };
        let counters = sum(|port| &port.counter_bps);
        let ratio = agreement(&sum(|port| &port.mean_bps), &counters, 0.1).map(|agreement| agreement.ratio);
        (mean(&counters), ratio)
    }
}

/// Works the two halves of a list at the same time.
pub(super) fn in_two<T: Sync, R: Send>(items: &[T], work: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    let (first, second) = items.split_at(items.len() / 2);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| work(first));
        let second = work(second);
        let mut done = first.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        done.extend(second);
        done
    })
}

/// Columns after all others, where the range before is asked for too.
const PREVIOUS: [Column; 3] =
    [Column::new("previous_mean", Unit::Mbps), Column::new("previous_p95", Unit::Mbps), Column::new("p95_growth", Unit::Ratio)];

/// Answers `links`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    let links = Links::read(data, options)?;
    let before = if options.compares_previous { Some(before(data, options)?) } else { None };
    let columns: Vec<Column> =
        COLUMNS.iter().chain(&growth::COLUMNS).chain(before.iter().flat_map(|_| &PREVIOUS)).copied().collect();
    let range = data.range();
    let networks = links.networks(data, options)?;
    let failures = networks.by_connection();
    let is_told = |(name, direction): &(Name, Direction)| links.is_told(name) && links.is_direction_told(*direction);
    let ways: Vec<(&(Name, Direction), &Load)> = links.loads.by_way.iter().filter(|(way, _)| is_told(way)).collect();
    let rows = |ways: &[(&(Name, Direction), &Load)]| -> Vec<(Vec<Cell>, Option<Order>)> {
        let one = |(way, load): &(&(Name, Direction), &Load)| {
            let (name, direction) = way;
            let n1 = N1::of(&networks, failures.get(name), *direction, range, options);
            let (mut cells, order) = row(&links, (name, *direction), load, &n1, range, options);
            cells.extend(
                before.iter().flat_map(|before| compared(load, before.as_ref().and_then(|before| before.by_way.get(way)))),
            );
            (cells, order)
        };
        ways.iter().map(one).collect()
    };
    let (rows, orders): (Vec<_>, Vec<_>) = in_two(&ways, rows).into_iter().unzip();
    let mut answer = Answer::new("links", range);
    if before.as_ref().is_some_and(Option::is_none) {
        answer.notes.push("there is nothing of the range before".to_owned());
    }
    let peerings = || ways.iter().zip(&rows).filter(|((way, _), _)| links.edge.get(&way.0).is_some_and(is_peering));
    let trend_days = columns.iter().position(|column| column.name == "trend_days");
    let has_trend = |row: &[Cell]| trend_days.and_then(|place| row.get(place)).is_some_and(|days| *days != Cell::Null);
    if peerings().next().is_some() && !peerings().any(|(_, row)| has_trend(row)) {
        answer.notes.push("dates need seven days at least, of each of which half is known: there is no trend yet".to_owned());
    }
    answer.verdict = orders_told(orders.into_iter().flatten().collect(), options);
    answer.is_alarming = !answer.verdict.is_empty();
    answer.notes.extend(networks.notes);
    answer.sections.push(Section { rows, ..Section::new("Loads by connection and direction", &columns) });
    Ok(answer)
}

/// Loads of the range before; `None` where there is nothing of it.
fn before(data: &Data, options: &Options) -> Result<Option<Loads>, ReportError> {
    let mut data = Data::open(data.tables(), data.range().previous(), &[], &options.settings)?;
    match of_links_and_ports(&mut data) {
        Ok((loads, _)) => Ok(Some(loads)),
        Err(ReportError::NoData(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn compared(load: &Load, before: Option<&Load>) -> [Cell; 3] {
    let p95 = before.and_then(Load::p95);
    let growth = load.p95().zip(p95).filter(|(_, before)| *before > 0.0).map(|(now, before)| now / before - 1.0);
    [Cell::mbps(before.and_then(Load::mean)), Cell::mbps(p95), growth.into()]
}

/// When something has to be ordered for a connection.
struct Order {
    name: Name,
    direction: Direction,
    by_us: i64,
    full_us: Option<i64>,
    n1_us: Option<i64>,
}

/// Orders as sentences, one a connection, the first ones first.
fn orders_told(mut orders: Vec<Order>, options: &Options) -> Vec<String> {
    orders.sort_by_key(|order| order.by_us);
    let mut names: BTreeSet<Name> = BTreeSet::new();
    orders.retain(|order| names.insert(order.name.clone()));
    let day = |at_us: i64| Cell::Time(at_us).text(Unit::Date, &options.zone).unwrap_or_default();
    let one = |order: &Order| {
        let full = order.full_us.map(|at_us| format!("full on {}", day(at_us)));
        let n1 = order.n1_us.map(|at_us| format!("its failure no longer held on {}", day(at_us)));
        let why = full.into_iter().chain(n1).collect::<Vec<_>>().join(", ");
        format!("{}, {}: order by {} ({why}).", order.name, order.direction.words(), day(order.by_us))
    };
    super::first_of(orders.iter().map(one).collect(), "connections to order for")
}

/// What the failure of a connection comes to in a direction.
#[derive(Default)]
struct N1 {
    utilisation: Option<f64>,
    survivor: Option<Name>,
    at_us: Option<i64>,
    leaves_location: Option<bool>,
    breaks: Breaks,
}

impl N1 {
    fn of(
        networks: &Networks,
        failure: Option<&(Failure, Outcomes)>,
        direction: Direction,
        range: Range,
        options: &Options,
    ) -> N1 {
        let Some((failure, outcome)) =
            failure.and_then(|(failure, outcomes)| Some((failure, outcomes[direction as usize].as_ref()?)))
        else {
            return N1::default();
        };
        let worst = outcome.worst();
        N1 {
            utilisation: worst.and_then(|worst| worst.utilisation),
            survivor: worst.and_then(|worst| networks.get(direction).name(worst.connection).cloned()),
            at_us: worst.and_then(|worst| Some(range.start_of(worst.load?.step))),
            leaves_location: outcome.leaves_metro.map(|leaves| leaves.most_bps > 0.0),
            breaks: networks.breaks(&failure.failed, direction, outcome, range, options),
        }
    }
}

fn row(
    links: &Links,
    (name, direction): (&Name, Direction),
    load: &Load,
    n1: &N1,
    range: Range,
    options: &Options,
) -> (Vec<Cell>, Option<Order>) {
    let known = links.edge.get(name);
    let (counter, ratio) = links.counters(name, direction);
    let at = |step: usize| range.start_of(step);
    let peak = load.utilisation_peak();
    let capacity = load.capacity_bps.or(known.and_then(|row| row.capacity_bps)).map(|bps| bps as f64);
    let headroom = capacity.zip(peak).map(|(capacity, (peak, _))| capacity * (1.0 - peak));
    let mut cells: Vec<Cell> = vec![
        name.into(),
        known.and_then(|row| row.peering.as_ref()).into(),
        links.edge.role(name).into(),
        links.edge.location(name).into(),
        direction.name().into(),
        Cell::mbps(capacity),
        Cell::mbps(load.mean()),
        Cell::mbps(load.standard_error()),
        Cell::mbps(load.p95()),
        Cell::mbps(load.peak.map(|(bps, _)| bps)),
        Cell::time(load.peak.map(|(_, step)| at(step))),
        load.utilisation_p95().into(),
        peak.map(|(ratio, _)| ratio).into(),
        Cell::time(peak.map(|(_, step)| at(step))),
        Cell::mbps(headroom),
        Cell::mbps(counter),
        ratio.into(),
        load.samples.into(),
        load.bytes_unknown_rate.into(),
        load.coverage().into(),
        (load.known() as f64 / range.steps().max(1) as f64).into(),
        n1.utilisation.into(),
        n1.survivor.as_ref().into(),
        Cell::time(n1.at_us),
        n1.leaves_location.into(),
    ];
    let growth = Growth::of(&load.utilisation, range, &options.zone, &options.settings);
    cells.extend(growth.cells(n1.breaks));
    let order = known.is_some_and(is_peering).then(|| growth.order(n1.breaks)).flatten();
    let order = order.map(|(by_us, full_us, n1_us)| Order { name: name.clone(), direction, by_us, full_us, n1_us });
    (cells, order)
}
