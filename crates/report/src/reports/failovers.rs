//! `failovers`: what happened to connections, and what moved where.

use std::collections::BTreeMap;

use model::Direction;

use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::batch::Batch;
use crate::{Data, Filter, ReportError};

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

/// Columns that events can be chosen by: of their last revision, and by any connection that they are of.
const FILTERS: [&str; 5] = ["connection", "kind", "location", "direction", "status"];

/// An event as it is told.
struct Told {
    id: String,
    sentence: Option<String>,
    cells: Vec<Cell>,
}

/// What a link took of an event.
struct Moved {
    connection: String,
    group: Option<String>,
    bps: Option<f64>,
    share: Option<f64>,
    error: Option<f64>,
}

/// Answers `failovers`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    if let Some(filter) = options.filters.iter().find(|filter| !FILTERS.contains(&&*filter.column)) {
        let (column, known) = (&filter.column, FILTERS.join(", "));
        return Err(ReportError::Usage(format!("--where {column}: this report can be limited by {known} alone")));
    }
    data.register(&["failovers"])?;
    let mut moved = moved(data)?;
    let from_us = data.range().from_us;
    let rows = data.fold(include_str!("../sql/failovers.sql"), Vec::new, |rows: &mut Vec<Told>, batch| {
        rows.extend(asked_for(batch, from_us, options, &moved)?);
        Ok(())
    })?;
    let mut answer = Answer::new("failovers", data.range());
    let sentences: Vec<String> = rows.iter().filter_map(|told| told.sentence.clone()).collect();
    answer.is_alarming = !sentences.is_empty();
    answer.verdict = super::first_of(sentences, "failovers");
    if !answer.is_alarming {
        answer.verdict.push(match rows.len() {
            0 => "No failover in this range.".to_owned(),
            count => format!("{}: all over, and what took over was never full.", super::counted(count, "failover")),
        });
    }
    moved.retain(|id, _| rows.iter().any(|told| told.id == *id));
    let mut section = Section::new("Failovers", COLUMNS);
    section.rows = rows.into_iter().map(|told| told.cells).collect();
    answer.sections.push(section);
    answer.sections.push(shares(&moved));
    Ok(answer)
}

/// The events of a batch that were not over before the range, and that fit the filters.
fn asked_for(
    batch: &Batch<'_>,
    from_us: i64,
    options: &Options,
    moved: &BTreeMap<String, Vec<Moved>>,
) -> Result<Vec<Told>, ReportError> {
    let (kinds, connections, directions) = (batch.texts("kind")?, batch.texts("connections")?, batch.texts("direction")?);
    let (locations, status, ended) = (batch.texts("location")?, batch.texts("status")?, batch.times("ended_at")?);
    let fits = |row: usize, filter: &Filter| match &*filter.column {
        "connection" => connections.known(row).split(", ").any(|name| name == filter.value),
        "kind" => kinds.known(row) == filter.value,
        "location" => locations.get(row).unwrap_or_default() == filter.value,
        "status" => status.get(row).unwrap_or_default() == filter.value,
        _ => directions.get(row).unwrap_or_default() == filter.value,
    };
    let is_in_range = |row: usize| ended.get(row).is_none_or(|ended_us| ended_us >= from_us);
    let is_asked_for = |row: &usize| is_in_range(*row) && options.filters.iter().all(|filter| fits(*row, filter));
    let full = options.settings.full_percent as f64 / 100.0;
    (0..batch.rows()).filter(is_asked_for).map(|row| told(batch, row, full, moved)).collect()
}

fn told(batch: &Batch<'_>, row: usize, full: f64, moved: &BTreeMap<String, Vec<Moved>>) -> Result<Told, ReportError> {
    let text = |name: &str| Ok::<_, ReportError>(batch.texts(name)?.get(row).map(str::to_owned));
    let float = |name: &str| Ok::<_, ReportError>(batch.floats(name)?.get(row));
    let whole = |name: &str| Ok::<_, ReportError>(batch.integers(name)?.get(row));
    let time = |name: &str| Ok::<_, ReportError>(batch.times(name)?.get(row));
    let id = batch.texts("event_id")?.known(row).to_owned();
    let kind = batch.texts("kind")?.known(row).to_owned();
    let name = text("exchange")?.or(text("connections")?).unwrap_or_default();
    let (direction, ended, peak) = (text("direction")?, time("ended_at")?, float("survivor_peak_utilisation")?);
    let sentence = sentence(&kind, &name, direction.as_deref(), ended, peak.filter(|peak| *peak >= full));
    let cells = vec![
        Cell::time(time("started_at")?),
        Cell::time(ended),
        kind.into(),
        name.into(),
        direction.into(),
        whole("ip_version")?.into(),
        Cell::mbps(float("before_bps")?),
        float("fallen_share")?.into(),
        summary(moved.get(&id)).into(),
        float("unaccounted_share")?.into(),
        float("unaccounted_error")?.into(),
        float("stayed_local_share")?.into(),
        float("to_transit_share")?.into(),
        peak.into(),
        whole("moved_seconds")?.into(),
        float("returned_share")?.into(),
        whole("flaps")?.into(),
        whole("planned")?.map(|planned| planned != 0).into(),
        text("planned_summary")?.into(),
        text("status")?.into(),
        text("location")?.into(),
        Cell::time(time("detected_at")?),
        whole("p50_before_us")?.into(),
        whole("p50_after_us")?.into(),
        Cell::mbps(float("capacity_before_bps")?),
        Cell::mbps(float("capacity_after_bps")?),
        id.as_str().into(),
        text("evidence")?.into(),
    ];
    Ok(Told { id, sentence, cells })
}

/// What must be known of an event: that it goes on, or that others filled up by it, up to `peak`.
fn sentence(kind: &str, name: &str, direction: Option<&str>, ended: Option<i64>, peak: Option<f64>) -> Option<String> {
    let what =
        direction.and_then(Direction::named).map_or_else(|| name.to_owned(), |direction| format!("{name} {}", direction.words()));
    let kind = kind.replace('_', " ");
    match (ended, peak) {
        (None, _) => Some(format!("{what}: {kind} and not back.")),
        (Some(_), Some(peak)) => Some(format!("{what}: {kind}; a link that took over reached {:.0} %.", peak * 100.0)),
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
