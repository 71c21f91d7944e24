//! `azure`: our figures as Azure Monitor has them, and where the two differ.

mod theirs;

use std::collections::BTreeMap;

use measure::judge::{agreement, correlation};
use model::tables::ConnectionRow;
use model::{Direction, Name};

use self::theirs::Theirs;
use super::links::Links;
use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::loads::{Way, mean};
use crate::{Data, ReportError};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "azure",
    about: "Our rates as Azure Monitor has them, and where the two differ",
    default_span: "24h",
    takes_by: false,
    compares: Compares::Files,
    answer,
};

const SERIES: &[Column] = &[
    Column::new("time", Unit::Time),
    Column::new("connection", Unit::Text),
    Column::new("connection_id", Unit::Text),
    Column::new("session_ip", Unit::Text),
    Column::detail("traffic_class", Unit::Text),
    Column::new("ingress_traffic_rate", Unit::Mbps),
    Column::new("egress_traffic_rate", Unit::Mbps),
];

const COMPARED: &[Column] = &[
    Column::new("connection", Unit::Text),
    Column::new("metric", Unit::Text),
    Column::new("is_our", Unit::Text),
    Column::new("correlation", Unit::Ratio),
    Column::new("correlation_other_way", Unit::Ratio),
    Column::new("ours_to_theirs", Unit::Ratio),
    Column::new("steps", Unit::Count),
    Column::new("differs_since", Unit::Time),
];

/// Difference beyond which two figures of the same load differ.
const TOLERANCE: f64 = 0.05;
/// Microsoft's rates by the usual reading: what it receives is what we send.
const METRICS: [(&str, Direction); 2] =
    [("IngressTrafficRate", Direction::ToMicrosoft), ("EgressTrafficRate", Direction::FromMicrosoft)];

/// Answers `azure`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    let links = Links::of_both_directions(data, options)?;
    let peerings = links.peerings();
    let mut answer = Answer::new("azure", data.range());
    answer.notes.push(
        "Microsoft does not say whose ingress its metrics mean: here ingress is what Microsoft receives. \
         IPv4 is taken for the IPv4 session, IPv6 for the other; traffic classes cannot be told apart by flows"
            .to_owned(),
    );
    if !options.others.is_empty() {
        let theirs = theirs::read(&options.others, data.range())?;
        compare(&mut answer, &links, &peerings, &theirs, data);
    }
    let section = match options.step_seconds {
        60 => minutes(data, &peerings)?,
        300 => series(&links, &peerings, &shares(data)?, 1, data),
        3_600 => series(&links, &peerings, &shares(data)?, 12, data),
        _ => return Err(ReportError::Usage("--step: give 1m, 5m or 1h, as Azure Monitor has them".to_owned())),
    };
    answer.sections.push(section);
    Ok(answer)
}

/// A row's cells; rates are ingress and egress as Microsoft sees them, bit/s.
fn cells(at_us: i64, row: &ConnectionRow, session: Option<&Name>, rates: [Option<f64>; 2]) -> Vec<Cell> {
    let id = row.azure_connection_id.as_ref().into();
    vec![Cell::Time(at_us), (&row.connection).into(), id, session.into(), Cell::Null, Cell::mbps(rates[0]), Cell::mbps(rates[1])]
}

/// Share of IPv6 in a connection's traffic by direction and step; not a number where there is none.
type Shares = BTreeMap<Way, Vec<f64>>;

/// The shares of the two sessions: what is IPv6 comes by the IPv6 session.
fn shares(data: &mut Data) -> Result<Shares, ReportError> {
    data.register(&["traffic"])?;
    let range = data.range();
    let bytes =
        data.fold(include_str!("../sql/sessions.sql"), BTreeMap::new, |sums: &mut BTreeMap<Way, Vec<[f64; 2]>>, batch| {
            let (starts, names, directions) =
                (batch.times("window_start")?, batch.texts("connection")?, batch.texts("direction")?);
            let (versions, bytes) = (batch.integers("ip_version")?, batch.floats("bytes_estimated")?);
            for row in 0..batch.rows() {
                let Some(step) = starts.get(row).and_then(|at| range.step_of(at)) else { continue };
                let Some(direction) = directions.get(row).and_then(Direction::named) else { continue };
                let way = (Name::from(names.known(row)), direction);
                let of_way = sums.entry(way).or_insert_with(|| vec![[0.0; 2]; range.steps()]);
                of_way[step][usize::from(versions.get(row) == Some(6))] += bytes.get(row).unwrap_or(0.0);
            }
            Ok(())
        })?;
    let share = |[v4, v6]: [f64; 2]| v6 / (v4 + v6);
    Ok(bytes.into_iter().map(|(way, sums)| (way, sums.into_iter().map(share).collect())).collect())
}

fn series(links: &Links, peerings: &[&ConnectionRow], shares: &Shares, steps: usize, data: &Data) -> Section {
    let mut section = Section::new("Rates as Azure Monitor has them, link layer", SERIES);
    for row in peerings {
        let sessions = [row.session_v4.as_ref(), row.session_v6.as_ref()];
        for start in (0..data.range().steps()).step_by(steps) {
            let of = |version: Option<usize>| {
                METRICS.map(|(_, direction)| {
                    let load = links.loads.get(&row.connection, direction)?;
                    let v6 = shares.get(&(row.connection.clone(), direction));
                    let rate = |step: usize| match (version, v6.and_then(|v6| v6.get(step))) {
                        // Nothing is nothing of both.
                        _ if load.mean_bps[step] == 0.0 => 0.0,
                        (None, _) => load.mean_bps[step],
                        (Some(0), Some(v6)) => load.mean_bps[step] * (1.0 - v6),
                        (Some(_), Some(v6)) => load.mean_bps[step] * v6,
                        (Some(_), None) => f64::NAN,
                    };
                    mean(&(start..(start + steps).min(load.mean_bps.len())).map(rate).collect::<Vec<_>>())
                })
            };
            let at_us = data.range().start_of(start);
            let both = sessions.iter().all(Option::is_some);
            let versions: Vec<Option<usize>> = if both { vec![Some(0), Some(1)] } else { vec![None] };
            for version in versions {
                let rates = of(version);
                let session = version.map_or(sessions[0].or(sessions[1]), |version| sessions[version]);
                if rates.iter().any(Option::is_some) {
                    section.rows.push(cells(at_us, row, session, rates));
                }
            }
        }
    }
    section
}

/// The series by the minute, of whole connections: what is told apart by session is in rows of five minutes.
fn minutes(data: &mut Data, peerings: &[&ConnectionRow]) -> Result<Section, ReportError> {
    data.register(&["links"])?;
    let rates = data.fold(
        include_str!("../sql/minutes.sql"),
        BTreeMap::new,
        |rates: &mut BTreeMap<(Name, i64), [Option<f64>; 2]>, batch| {
            let (starts, names, directions) =
                (batch.times("window_start")?, batch.texts("connection")?, batch.texts("direction")?);
            let means = batch.floats("mean_bps")?;
            for row in 0..batch.rows() {
                let Some((at, direction)) = starts.get(row).zip(directions.get(row).and_then(Direction::named)) else { continue };
                let place = METRICS.iter().position(|(_, of)| *of == direction).unwrap_or(0);
                rates.entry((Name::from(names.known(row)), at)).or_default()[place] = means.get(row);
            }
            Ok(())
        },
    )?;
    let mut section = Section::new("Rates as Azure Monitor has them, link layer", SERIES);
    for ((name, at_us), rates) in rates {
        if let Some(row) = peerings.iter().find(|row| row.connection == name) {
            section.rows.push(cells(at_us, row, row.session_v4.as_ref().or(row.session_v6.as_ref()), rates));
        }
    }
    Ok(section)
}

/// The means of so many steps each, at the first of them; not a number where one of them is not known.
fn means_of(values: &[f64], each: usize) -> Vec<f64> {
    if each <= 1 {
        return values.to_vec();
    }
    let mean = |start: usize| values.get(start..start + each).map_or(f64::NAN, |part| part.iter().sum::<f64>() / each as f64);
    (0..values.len()).map(mean).collect()
}

fn compare(answer: &mut Answer, links: &Links, peerings: &[&ConnectionRow], theirs: &Theirs, data: &Data) {
    let mut section = Section::new("Ours against Azure Monitor's", COMPARED);
    answer.notes.extend(theirs.notes.iter().cloned());
    for row in peerings {
        let is_of = |id: &str| {
            row.azure_connection_id.as_deref().is_some_and(|ours| ours.eq_ignore_ascii_case(id)) || *row.connection == *id
        };
        for ((metric, id), rates) in theirs.rates.iter().filter(|((_, id), _)| is_of(id)) {
            let Some((_, usual)) = METRICS.iter().find(|(name, _)| name.eq_ignore_ascii_case(metric)) else { continue };
            let ours = Direction::ALL.map(|direction| {
                let load = links.loads.get(&row.connection, direction);
                load.map(|load| means_of(&load.mean_bps, rates.each)).unwrap_or_default()
            });
            let of = |direction: Direction| correlation(&ours[direction as usize], &rates.bps);
            let other = if *usual == Direction::ToMicrosoft { Direction::FromMicrosoft } else { Direction::ToMicrosoft };
            let (by_usual, by_other) = (of(*usual), of(other));
            let is_other = by_other.unwrap_or(-1.0) > by_usual.unwrap_or(-1.0);
            let direction = if is_other { other } else { *usual };
            let found = agreement(&ours[direction as usize], &rates.bps, TOLERANCE);
            let (best, second) = if is_other { (by_other, by_usual) } else { (by_usual, by_other) };
            if let Some((found, since)) = found.and_then(|found| Some((found, found.differs_since?))) {
                let at = Cell::Time(data.range().start_of(since)).text(Unit::Time, &jiff::tz::TimeZone::UTC).unwrap_or_default();
                let percent = found.ratio * 100.0;
                answer.verdict.push(format!("{id}: our {} is {percent:.0} % of {metric}, since {at} UTC.", direction.name()));
            }
            section.rows.push(vec![
                (&row.connection).into(),
                metric.as_str().into(),
                direction.name().into(),
                best.into(),
                second.into(),
                found.map(|found| found.ratio).into(),
                found.map(|found| found.steps).into(),
                Cell::time(found.and_then(|found| found.differs_since).map(|step| data.range().start_of(step))),
            ]);
        }
    }
    if section.rows.is_empty() {
        answer
            .notes
            .push("Azure's file has no series of a connection of ours; its ConnectionId is that of `az peering list`".to_owned());
    } else if answer.verdict.is_empty() {
        answer.verdict.push("Our figures and Azure Monitor's agree within 5 %.".to_owned());
    }
    answer.sections.push(section);
}
