//! `traffic`: what Microsoft's traffic is, by service, region, AS, IP version, connection, location.

use super::tally::{Key, LOCATION, PEERING, ROLE, Tallied, Tally};
use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section};
use crate::{Data, ReportError};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "traffic",
    about: "What Microsoft's traffic is: by service, region, AS, IP version, connection, location",
    default_span: "24h",
    takes_by: true,
    compares: Compares::Previous,
    answer,
};

const TALLY: Tally = Tally {
    table: "traffic",
    sql: include_str!("../sql/traffic.sql"),
    keys: &[
        Key::text("service"),
        Key::text("region"),
        Key::whole("origin_asn"),
        Key::whole("ip_version"),
        Key::text("tag_source"),
        Key::text("connection"),
        Key::text("direction"),
        LOCATION,
        PEERING,
        ROLE,
    ],
    default: &["direction", "service"],
};

/// Answers `traffic`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    let Tallied { columns, rows, notes } = TALLY.rows(data, options)?;
    let mut answer = Answer::new("traffic", data.range());
    answer.notes.extend(notes);
    answer.notes.extend(unnamed(&columns, &rows));
    answer.sections.push(Section { title: "Microsoft's traffic, IP bytes".to_owned(), columns, rows });
    answer.notes.push(OTHER.to_owned());
    Ok(answer)
}

/// Says how much has no service, where rows are told apart by it.
fn unnamed(columns: &[Column], rows: &[Vec<Cell>]) -> Option<String> {
    let place = |name: &str| columns.iter().position(|column| column.name == name);
    let (service, share) = (place("service")?, place("share")?);
    let of = |row: &&Vec<Cell>| if let Some(Cell::Number(share)) = row.get(share) { *share } else { 0.0 };
    let sum: f64 = rows.iter().filter(|row| row[service] == Cell::Null).map(|row| of(&row)).sum();
    (sum > 0.05).then(|| {
        let lists = "give collect or replay --service-tags and --microsoft-365";
        format!("{:.0} % has no service: no list of Microsoft's prefixes that was given names one ({lists})", sum * 100.0)
    })
}

const OTHER: &str = "the row `other` is what was not among the 16 largest tags of a connection, direction and five minutes; \
                     a connection metered by none of its own ports is counted where records name it";
