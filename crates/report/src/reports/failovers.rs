//! `failovers`: what happened to connections, and what moved where.

use std::collections::BTreeMap;

use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::{Data, ReportError};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "failovers",
    about: "What happened to connections: cut, drained, shifted; what moved where, what came back",
    default_span: "24h",
    takes_by: false,
    compares: Compares::Nothing,
    answer,
};

const COLUMNS: &[Column] = &[
    Column::new("started", Unit::Time),
    Column::new("ended", Unit::Time),
    Column::new("kind", Unit::Text),
    Column::new("connection", Unit::Text),
    Column::new("direction", Unit::Text),
    Column::new("ip_version", Unit::Count),
    Column::new("before", Unit::Mbps),
    Column::new("fallen", Unit::Ratio),
    Column::new("moved_to", Unit::Text),
    Column::new("unaccounted", Unit::Ratio),
    Column::detail("unaccounted_error", Unit::Ratio),
    Column::new("stayed_local", Unit::Ratio),
    Column::new("to_transit", Unit::Ratio),
    Column::new("survivor_peak", Unit::Ratio),
    Column::new("moved_in", Unit::Seconds),
    Column::new("returned", Unit::Ratio),
    Column::new("flaps", Unit::Count),
    Column::new("planned", Unit::Flag),
    Column::detail("planned_summary", Unit::Text),
    Column::detail("status", Unit::Text),
    Column::detail("location", Unit::Text),
    Column::detail("detected", Unit::Time),
    Column::detail("p50_before_us", Unit::Count),
    Column::detail("p50_after_us", Unit::Count),
    Column::detail("capacity_before", Unit::Mbps),
    Column::detail("capacity_after", Unit::Mbps),
    Column::detail("event_id", Unit::Text),
    Column::new("evidence", Unit::Text),
];

const MOVED: &[Column] = &[
    Column::new("event_id", Unit::Text),
    Column::new("connection", Unit::Text),
    Column::new("group", Unit::Text),
    Column::new("moved", Unit::Mbps),
    Column::new("share", Unit::Ratio),
    Column::new("share_error", Unit::Ratio),
];

/// A port that is this full drops.
const FULL: f64 = 0.95;

/// What a link took of an event.
struct Moved {
    connection: String,
    group: Option<String>,
    bps: Option<f64>,
    share: Option<f64>,
    error: Option<f64>,
}

/// Answers `failovers`.
pub(super) fn answer(data: &mut Data, _: &Options) -> Result<Answer, ReportError> {
    data.register(&["failovers"])?;
    let moved = moved(data)?;
    let mut answer = Answer::new("failovers", data.range());
    let mut section = Section::new("Failovers", COLUMNS);
    let rows =
        data.fold(include_str!("../sql/failovers.sql"), Vec::new, |rows: &mut Vec<(Option<String>, Vec<Cell>)>, batch| {
            let text = |name: &str| batch.texts(name);
            let float = |name: &str| batch.floats(name);
            let (ids, kinds, connections, status) = (text("event_id")?, text("kind")?, text("connections")?, text("status")?);
            let (directions, evidence, location) = (text("direction")?, text("evidence")?, text("location")?);
            let (summaries, exchanges) = (text("planned_summary")?, text("exchange")?);
            let (started, ended, detected) = (batch.times("started_at")?, batch.times("ended_at")?, batch.times("detected_at")?);
            let (versions, seconds, flaps) =
                (batch.integers("ip_version")?, batch.integers("moved_seconds")?, batch.integers("flaps")?);
            let (p50_before, p50_after) = (batch.integers("p50_before_us")?, batch.integers("p50_after_us")?);
            let planned = batch.integers("planned")?;
            let (before, fallen, peak) = (float("before_bps")?, float("fallen_share")?, float("survivor_peak_utilisation")?);
            let (unaccounted, error) = (float("unaccounted_share")?, float("unaccounted_error")?);
            let (local, transit, returned) = (float("stayed_local_share")?, float("to_transit_share")?, float("returned_share")?);
            let (capacity, capacity_after) = (float("capacity_before_bps")?, float("capacity_after_bps")?);
            for row in 0..batch.rows() {
                let id = ids.known(row).to_owned();
                let name = exchanges.get(row).unwrap_or_else(|| connections.known(row)).to_owned();
                let sentence = sentence(kinds.known(row), &name, directions.get(row), ended.get(row), peak.get(row));
                rows.push((
                    sentence,
                    vec![
                        Cell::time(started.get(row)),
                        Cell::time(ended.get(row)),
                        kinds.known(row).into(),
                        name.into(),
                        directions.get(row).into(),
                        versions.get(row).into(),
                        Cell::mbps(before.get(row)),
                        fallen.get(row).into(),
                        summary(moved.get(&id)).into(),
                        unaccounted.get(row).into(),
                        error.get(row).into(),
                        local.get(row).into(),
                        transit.get(row).into(),
                        peak.get(row).into(),
                        seconds.get(row).into(),
                        returned.get(row).into(),
                        flaps.get(row).into(),
                        planned.get(row).map(|planned| planned != 0).into(),
                        summaries.get(row).into(),
                        status.get(row).into(),
                        location.get(row).into(),
                        Cell::time(detected.get(row)),
                        p50_before.get(row).into(),
                        p50_after.get(row).into(),
                        Cell::mbps(capacity.get(row)),
                        Cell::mbps(capacity_after.get(row)),
                        id.into(),
                        evidence.get(row).into(),
                    ],
                ));
            }
            Ok(())
        })?;
    answer.verdict = rows.iter().filter_map(|(sentence, _)| sentence.clone()).collect();
    if rows.is_empty() {
        answer.verdict.push("no failover in this range".to_owned());
    }
    section.rows = rows.into_iter().map(|(_, cells)| cells).collect();
    answer.sections.push(section);
    answer.sections.push(shares(&moved));
    Ok(answer)
}

/// What must be known of an event: that it goes on, or that others filled up by it.
fn sentence(kind: &str, name: &str, direction: Option<&str>, ended: Option<i64>, peak: Option<f64>) -> Option<String> {
    let what = direction.map_or_else(|| name.to_owned(), |direction| format!("{name} {}", direction.replace('_', " ")));
    let is_full = peak.is_some_and(|peak| peak >= FULL);
    match (ended, is_full) {
        (None, _) => Some(format!("{what}: {} and not back", kind.replace('_', " "))),
        (Some(_), true) => {
            Some(format!("{what}: {}; a link that took over reached {:.0} %", kind.replace('_', " "), peak? * 100.0))
        }
        _ => None,
    }
}

fn moved(data: &Data) -> Result<BTreeMap<String, Vec<Moved>>, ReportError> {
    data.fold(include_str!("../sql/moved.sql"), BTreeMap::new, |moved: &mut BTreeMap<String, Vec<Moved>>, batch| {
        let (ids, connections, groups) = (batch.texts("event_id")?, batch.texts("connection")?, batch.texts("moved_group")?);
        let (bps, shares, errors) = (batch.floats("bps")?, batch.floats("share")?, batch.floats("share_error")?);
        for row in 0..batch.rows() {
            let one = Moved {
                connection: connections.known(row).to_owned(),
                group: groups.get(row).map(str::to_owned),
                bps: bps.get(row),
                share: shares.get(row),
                error: errors.get(row),
            };
            moved.entry(ids.known(row).to_owned()).or_default().push(one);
        }
        Ok(())
    })
}

/// The links that took most, in words.
fn summary(moved: Option<&Vec<Moved>>) -> Option<String> {
    let whole = moved?.iter().filter(|one| one.group.is_none());
    let one = |one: &Moved| Some(format!("{} {:.0} %", one.connection, one.share? * 100.0));
    let text: Vec<String> = whole.filter_map(one).take(4).collect();
    (!text.is_empty()).then(|| text.join(", "))
}

fn shares(moved: &BTreeMap<String, Vec<Moved>>) -> Section {
    let mut section = Section::new("What moved where; without a group all of it, with one of that tag or customer", MOVED);
    for (id, of) in moved {
        section.rows.extend(of.iter().map(|one| {
            vec![
                id.as_str().into(),
                one.connection.as_str().into(),
                one.group.as_deref().into(),
                Cell::mbps(one.bps),
                one.share.into(),
                one.error.into(),
            ]
        }));
    }
    section
}
