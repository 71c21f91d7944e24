//! `customers`: whose traffic it is on our side, by customer, prefix, AS.

use super::tally::{Key, LOCATION, PEERING, ROLE, Tallied, Tally};
use super::{Compares, Options, Report};
use crate::answer::{Answer, Section};
use crate::{Data, ReportError};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "customers",
    about: "Whose it is on our side: by customer, prefix, AS",
    default_span: "24h",
    takes_by: true,
    compares: Compares::Previous,
    answer,
};

const TALLY: Tally = Tally {
    table: "prefixes",
    sql: include_str!("../sql/prefixes.sql"),
    keys: &[
        Key::text("customer"),
        Key::text("prefix"),
        Key::whole("asn"),
        Key::text("connection"),
        Key::text("direction"),
        LOCATION,
        PEERING,
        ROLE,
    ],
    default: &["connection", "direction", "customer", "prefix", "asn"],
};

/// Answers `customers`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    let Tallied { columns, rows, notes } = TALLY.rows(data, options)?;
    let mut answer = Answer::new("customers", data.range());
    answer.notes.extend(notes);
    answer.sections.push(Section { title: "Prefixes and ASNs of our side, IP bytes".to_owned(), columns, rows });
    answer.notes.push(
        "the row `other` is what was not among the 200 largest prefixes of a connection, direction and five minutes".to_owned(),
    );
    Ok(answer)
}
