//! `transit`: Microsoft's traffic that goes around the peerings, what it costs, and who could carry it.

use jiff::tz::TimeZone;
use measure::judge::{BillRule, Charged, bill};
use model::tables::ConnectionRow;
use model::time::DAY_US;
use model::{Direction, Name};

use super::links::Links;
use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::connections::{is_active, is_peering};
use crate::loads::Load;
use crate::range::STEP_US;
use crate::{Data, ReportError};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "transit",
    about: "What goes around the peerings, what it costs, who could carry it",
    default_span: "30d",
    takes_by: false,
    compares: Compares::Nothing,
    answer,
};

const COLUMNS: &[Column] = &[
    Column::new("connection", Unit::Text),
    Column::new("location", Unit::Text),
    Column::new("direction", Unit::Text),
    Column::new("can_be_spoofed", Unit::Flag),
    Column::new("mean", Unit::Mbps),
    Column::new("standard_error", Unit::Mbps),
    Column::new("p95", Unit::Mbps),
    Column::new("peak", Unit::Mbps),
    Column::new("could_carry", Unit::Text),
    Column::detail("could_carry_headroom", Unit::Mbps),
    Column::detail("coverage", Unit::Ratio),
];

const BILLS: &[Column] = &[
    Column::new("connection", Unit::Text),
    Column::new("month", Unit::Text),
    Column::new("charged", Unit::Text),
    Column::new("price", Unit::Money),
    Column::detail("commit", Unit::Mbps),
    Column::new("billed", Unit::Mbps),
    Column::new("billed_without_microsoft", Unit::Mbps),
    Column::new("amount", Unit::Money),
    Column::new("amount_without_microsoft", Unit::Money),
    Column::new("saving", Unit::Money),
    Column::new("time_known", Unit::Ratio),
    Column::detail("port_load_by", Unit::Text),
];

const CONTENTS: &[Column] = &[
    Column::new("connection", Unit::Text),
    Column::new("direction", Unit::Text),
    Column::new("service", Unit::Text),
    Column::new("region", Unit::Text),
    Column::new("origin_asn", Unit::Count),
    Column::new("mean", Unit::Mbps),
    Column::new("standard_error", Unit::Mbps),
    Column::new("bytes_estimated", Unit::Bytes),
];

const CUSTOMERS: &[Column] = &[
    Column::new("connection", Unit::Text),
    Column::new("direction", Unit::Text),
    Column::new("customer", Unit::Text),
    Column::new("prefix", Unit::Text),
    Column::new("asn", Unit::Count),
    Column::new("mean", Unit::Mbps),
    Column::new("bytes_estimated", Unit::Bytes),
];

/// Answers `transit`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    let links = Links::read(data, options)?;
    let transits: Vec<ConnectionRow> = links.told().filter(|row| &*row.role == "transit").cloned().collect();
    if transits.is_empty() && !options.filters.is_empty() {
        return Err(ReportError::NoData("no transit link fits --where".to_owned()));
    }
    let mut answer = Answer::new("transit", data.range());
    let mut main = Section::new("Microsoft's traffic on transit", COLUMNS);
    for direction in Direction::ALL.into_iter().filter(|direction| links.is_direction_told(*direction)) {
        for row in &transits {
            let Some(load) = links.loads.get(&row.connection, direction) else { continue };
            main.rows.push(cells(&links, row, direction, load));
            answer.verdict.extend(sentence(row, direction, load, options));
        }
    }
    let mut bills = Section::new("The bill of the port, by month, with Microsoft's traffic and without it", BILLS);
    for row in transits.iter().filter(|row| row.price.is_some()) {
        bills.rows.extend(bills_of(&links, row, data));
    }
    if transits.is_empty() {
        answer.notes.push("no [[transit]] is configured: what goes around the peerings is not known".to_owned());
    }
    answer.is_alarming = !answer.verdict.is_empty();
    if answer.verdict.is_empty() && !transits.is_empty() {
        let limit = options.settings.leak_mbps;
        answer.verdict.push(format!("No transit link carries more than {limit} Mbit/s to Microsoft on average."));
    }
    answer.sections.push(main);
    if !bills.rows.is_empty() {
        answer.sections.push(bills);
    }
    let names: Vec<Name> = transits.into_iter().map(|row| row.connection).collect();
    if !names.is_empty() {
        answer.sections.push(contents(data, &names, options)?);
        answer.sections.push(customers(data, &names, options)?);
    }
    expressroute(data, &mut answer)?;
    Ok(answer)
}

fn sentence(row: &ConnectionRow, direction: Direction, load: &Load, options: &Options) -> Option<String> {
    let (mean, p95) = (load.mean()?, load.p95()?);
    let is_leak = direction == Direction::ToMicrosoft && mean > options.settings.leak_mbps as f64 * 1e6;
    is_leak.then(|| {
        format!("{:.0} Mbit/s to Microsoft (95th percentile {:.0}) leave over {}.", mean / 1e6, p95 / 1e6, row.connection)
    })
}

fn cells(links: &Links, row: &ConnectionRow, direction: Direction, load: &Load) -> Vec<Cell> {
    let carrier = carrier(links, row, direction, load);
    vec![
        (&row.connection).into(),
        row.location.as_ref().into(),
        direction.name().into(),
        (direction == Direction::FromMicrosoft).into(),
        Cell::mbps(load.mean()),
        Cell::mbps(load.standard_error()),
        Cell::mbps(load.p95()),
        Cell::mbps(load.peak.map(|(bps, _)| bps)),
        carrier.as_ref().map(|(name, _)| name).into(),
        Cell::mbps(carrier.map(|(_, headroom)| headroom)),
        load.coverage().into(),
    ]
}

/// The connection that would have had room for it at every moment, the one with most left; of its own metro first.
fn carrier(links: &Links, transit: &ConnectionRow, direction: Direction, load: &Load) -> Option<(Name, f64)> {
    let mut fitting: Vec<(bool, Name, f64)> = Vec::new();
    for row in links.edge.iter().filter(|row| is_peering(row) && is_active(row)) {
        let Some(other) = links.loads.get(&row.connection, direction) else { continue };
        let Some(capacity) = other.capacity_bps.or(row.capacity_bps).map(|bps| bps as f64) else { continue };
        let room = other.utilisation.iter().zip(&load.wire_bps).map(|(used, more)| capacity * (1.0 - used) - more);
        let least = room.filter(|bps| !bps.is_nan()).reduce(f64::min);
        if let Some(least) = least.filter(|bps| *bps >= 0.0) {
            let is_near = row.location.is_some() && row.location == transit.location;
            fitting.push((is_near, row.connection.clone(), least));
        }
    }
    fitting.sort_by(|a, b| b.0.cmp(&a.0).then(b.2.total_cmp(&a.2)));
    fitting.into_iter().next().map(|(_, name, headroom)| (name, headroom))
}

/// A bill a month of the range, in the provider's time zone.
fn bills_of(links: &Links, row: &ConnectionRow, data: &Data) -> Vec<Vec<Cell>> {
    let Some((port, price)) = row.ports.first().zip(row.price) else { return Vec::new() };
    let charged = row.charged.as_deref().unwrap_or("larger");
    let rule = BillRule { price, commit_mbps: row.commit_mbps.unwrap_or(0.0), share: 0.95, charged: charged_of(charged) };
    let zone = row.billing_time_zone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
    let totals = Direction::ALL.map(|direction| whole_port(links, port, direction));
    let by = if totals.iter().any(|(_, by_counters)| *by_counters) { "counters" } else { "flows" };
    let without = Direction::ALL.map(|direction| {
        let microsoft = links.loads.get(&row.connection, direction);
        // What Microsoft's part is not known of is not known without it either.
        let of_step = |(step, total): (usize, &f64)| {
            let part = microsoft.and_then(|load| load.mean_bps.get(step)).copied().unwrap_or(f64::NAN);
            let rest = total - part;
            if rest.is_nan() { rest } else { rest.max(0.0) }
        };
        totals[direction as usize].0.iter().enumerate().map(of_step).collect::<Vec<f64>>()
    });
    let mut bills = Vec::new();
    for Month { name, steps, steps_all } in months(data, &zone) {
        let part = |series: &[f64]| series.get(steps.clone()).unwrap_or_default().to_vec();
        let with = bill(&part(&totals[0].0), &part(&totals[1].0), &rule);
        let less = bill(&part(&without[0]), &part(&without[1]), &rule);
        let (Some(with), Some(less)) = (with, less) else { continue };
        bills.push(vec![
            (&row.connection).into(),
            name.into(),
            charged.into(),
            price.into(),
            row.commit_mbps.into(),
            with.billed_mbps.into(),
            less.billed_mbps.into(),
            with.amount.into(),
            less.amount.into(),
            (with.amount - less.amount).into(),
            (with.steps.min(less.steps) as f64 / steps_all as f64).into(),
            by.into(),
        ]);
    }
    bills
}

fn charged_of(name: &str) -> Charged {
    match name {
        "sent" => Charged::Sent,
        "received" => Charged::Received,
        "sum" => Charged::Sum,
        _ => Charged::Larger,
    }
}

/// Load of a whole port, bit/s: by its counters where there are any, else by flows.
fn whole_port(links: &Links, port: &str, direction: Direction) -> (Vec<f64>, bool) {
    let Some(load) = links.ports.get(port, direction) else { return (Vec::new(), false) };
    let has_counters = load.counter_bps.iter().any(|bps| !bps.is_nan());
    (if has_counters { &load.counter_bps } else { &load.mean_bps }.clone(), has_counters)
}

/// A month, or the part of it that a range has.
struct Month {
    name: String,
    /// Its steps in the range.
    steps: std::ops::Range<usize>,
    /// All of its steps.
    steps_all: i64,
}

/// The months of a range in a zone.
fn months(data: &Data, zone: &TimeZone) -> Vec<Month> {
    let range = data.range();
    let mut months: Vec<Month> = Vec::new();
    let mut until_us = i64::MIN;
    for step in 0..range.steps() {
        let at_us = range.start_of(step);
        if at_us >= until_us {
            let Ok(at) = jiff::Timestamp::from_microsecond(at_us) else { break };
            let date = at.to_zoned(zone.clone()).date();
            let start_of =
                |date: jiff::civil::Date| date.to_zoned(zone.clone()).map_or(at_us, |at| at.timestamp().as_microsecond());
            until_us = date.last_of_month().tomorrow().map_or(at_us + 28 * DAY_US, start_of).max(at_us + STEP_US);
            let steps_all = (until_us - start_of(date.first_of_month())) / STEP_US;
            months.push(Month { name: date.strftime("%Y-%m").to_string(), steps: step..step, steps_all });
        }
        if let Some(month) = months.last_mut() {
            month.steps.end = step + 1;
        }
    }
    months
}

/// A row with its direction and size.
type Ranked = (Option<Direction>, f64, Vec<Cell>);

/// Rows of the directions that were asked for, the largest first. To Microsoft comes first: nobody can forge that.
fn ranked(mut rows: Vec<Ranked>, options: &Options) -> Vec<Vec<Cell>> {
    let limit =
        options.filters.iter().find(|filter| filter.column == "direction").and_then(|filter| Direction::named(&filter.value));
    rows.retain(|(direction, ..)| limit.is_none() || *direction == limit);
    let is_from = |direction: &Option<Direction>| *direction != Some(Direction::ToMicrosoft);
    rows.sort_by(|(a, a_bytes, _), (b, b_bytes, _)| is_from(a).cmp(&is_from(b)).then(b_bytes.total_cmp(a_bytes)));
    rows.into_iter().map(|(.., cells)| cells).collect()
}

/// Texts for a query: `'a', 'b'`.
fn quoted(names: &[Name]) -> String {
    names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
}

fn contents(data: &mut Data, names: &[Name], options: &Options) -> Result<Section, ReportError> {
    data.register(&["traffic"])?;
    let seconds = data.known_seconds("traffic", STEP_US);
    let sql = include_str!("../sql/transit.sql").replace("{connections}", &quoted(names));
    let rows = data.fold(&sql, Vec::new, |rows: &mut Vec<Ranked>, batch| {
        let (connections, directions) = (batch.texts("connection")?, batch.texts("direction")?);
        let (services, regions, asns) = (batch.texts("service")?, batch.texts("region")?, batch.integers("origin_asn")?);
        let (bytes, variances) = (batch.floats("bytes_estimated")?, batch.floats("variance")?);
        for row in 0..batch.rows() {
            let known = bytes.get(row);
            let cells: Vec<Cell> = vec![
                connections.get(row).into(),
                directions.get(row).into(),
                services.get(row).into(),
                regions.get(row).into(),
                asns.get(row).into(),
                Cell::mbps(known.map(|bytes| bytes * 8.0 / seconds)),
                Cell::mbps(variances.get(row).map(|variance| variance.sqrt() * 8.0 / seconds)),
                known.into(),
            ];
            rows.push((directions.get(row).and_then(Direction::named), known.unwrap_or(0.0), cells));
        }
        Ok(())
    })?;
    Ok(Section { rows: ranked(rows, options), ..Section::new("What it is", CONTENTS) })
}

fn customers(data: &mut Data, names: &[Name], options: &Options) -> Result<Section, ReportError> {
    data.register(&["prefixes"])?;
    let seconds = data.known_seconds("prefixes", STEP_US);
    let sql = include_str!("../sql/prefixes.sql").replace("{by}", "connection, direction, customer, prefix, asn");
    let rows = data.fold(&sql, Vec::new, |rows: &mut Vec<Ranked>, batch| {
        let (connections, directions) = (batch.texts("connection")?, batch.texts("direction")?);
        let (customers, prefixes, asns) = (batch.texts("customer")?, batch.texts("prefix")?, batch.integers("asn")?);
        let bytes = batch.floats("bytes_estimated")?;
        for row in (0..batch.rows()).filter(|row| names.iter().any(|name| **name == *connections.known(*row))) {
            let known = bytes.get(row);
            let cells: Vec<Cell> = vec![
                connections.get(row).into(),
                directions.get(row).into(),
                customers.get(row).into(),
                prefixes.get(row).into(),
                asns.get(row).into(),
                Cell::mbps(known.map(|bytes| bytes * 8.0 / seconds)),
                known.into(),
            ];
            rows.push((directions.get(row).and_then(Direction::named), known.unwrap_or(0.0), cells));
        }
        Ok(())
    })?;
    Ok(Section { rows: ranked(rows, options), ..Section::new("Whose it is, on our side", CUSTOMERS) })
}

/// Says where routes of AS12076 are in use, which no internet peer should take.
fn expressroute(data: &mut Data, answer: &mut Answer) -> Result<(), ReportError> {
    data.register(&["traffic"])?;
    let found = data.fold(include_str!("../sql/expressroute.sql"), Vec::new, |found, batch| {
        let (connections, directions) = (batch.texts("connection")?, batch.texts("direction")?);
        let bytes = batch.floats("bytes_estimated")?;
        for row in 0..batch.rows() {
            let sum = bytes.get(row).map_or_else(|| "an unknown number of".to_owned(), |bytes| format!("{bytes:.0}"));
            found.push(format!(
                "{sum} bytes {} of AS12076 (ExpressRoute) on {}: never accept its routes from an internet peer.",
                Direction::named(directions.known(row)).map_or("", Direction::words),
                connections.known(row)
            ));
        }
        Ok(())
    })?;
    answer.verdict.extend(found);
    Ok(())
}
