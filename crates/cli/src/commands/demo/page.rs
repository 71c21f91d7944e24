//! What reports say before and after, and the page of all of it.

use std::path::Path;

use jiff::tz::TimeZone;
use model::time::DETAIL_WINDOW_US;
use report::{Answer, Cell, Column, Matrix, Options, Range, Report, ReportError, Section, Unit};

use super::failed::{Failed, Predicted};
use super::table::Table;
use crate::configuration::report_settings;
use crate::failure::Failure;

fn options(down: &[&str], is_page: bool) -> Result<Options, Failure> {
    Ok(Options {
        by: Vec::new(),
        down: down.iter().map(|name| (*name).to_owned()).collect(),
        filters: Vec::new(),
        compares_previous: false,
        others: Vec::new(),
        is_page,
        zone: TimeZone::UTC,
        step_seconds: DETAIL_WINDOW_US / 1_000_000,
        settings: report_settings(None)?,
    })
}

/// An answer; `None` where there is nothing to answer from.
fn ask(name: &str, data: &Path, range: Range, options: &Options) -> Result<Option<Answer>, Failure> {
    let Some(report) = Report::named(name) else { return Ok(None) };
    match report.answer(data, range, options) {
        Ok(answer) => Ok(Some(answer)),
        Err(ReportError::NoData(_) | ReportError::Usage(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Asks what each failure was to come to, of what was known before it.
pub(super) fn predict(data: &Path, start_us: i64, failed: &mut [Failed]) -> Result<(), Failure> {
    for failed in failed {
        let Some(range) = before(start_us, failed.down_us) else { continue };
        let Some(answer) = ask("resilience", data, range, &options(&[&failed.connection], false)?)? else { continue };
        let cells = answer.sections.iter().find(|section| section.columns.iter().any(|column| column.name == "survivor"));
        failed.predicted =
            cells.map(|section| section.rows.iter().filter_map(|row| predicted(section, row)).collect()).unwrap_or_default();
    }
    Ok(())
}

/// The whole five minutes from the start to a moment.
fn before(start_us: i64, at_us: i64) -> Option<Range> {
    Range::new(start_us, at_us.div_euclid(DETAIL_WINDOW_US) * DETAIL_WINDOW_US).ok()
}

fn predicted(section: &Section, row: &[Cell]) -> Option<Predicted> {
    let cell = |name: &str| row.get(section.columns.iter().position(|column| column.name == name)?);
    let text = |name: &str| if let Cell::Text(text) = cell(name)? { Some(text.clone()) } else { None };
    let number = |name: &str| if let Cell::Number(number) = cell(name)? { Some(*number) } else { None };
    let (share, takes) = (number("share")?, number("takes")?);
    Some(Predicted {
        direction: text("direction")?,
        survivor: text("survivor")?,
        share,
        share_error: number("takes_error").filter(|_| takes > 0.0).map(|error| share * error / takes),
        origin: text("origin")?.replace('_', " "),
        busiest: number("port_after"),
    })
}

/// What stands at the end of the run: sentences of other reports, and the page.
pub(super) struct Ending {
    pub(super) sentences: Vec<String>,
    page: Answer,
}

/// Puts all of it together.
pub(super) fn ending(
    data: &Path,
    range: (i64, i64),
    failed: &[Failed],
    told: &[String],
    tables: &[&Table],
) -> Result<Option<Ending>, Failure> {
    let Ok(range) = Range::new(range.0, range.1) else { return Ok(None) };
    let mut page = Answer {
        report: "a simulated day",
        range,
        verdict: told.to_vec(),
        is_alarming: false,
        facts: Vec::new(),
        charts: Vec::new(),
        matrices: Vec::new(),
        sections: tables.iter().filter(|table| !table.rows.is_empty()).map(|table| section(table)).collect(),
        notes: vec!["All of it is simulated: addresses and loads are invented, sockets and measurements are real.".to_owned()],
    };
    page.matrices = matrices(data, range.from_us, failed)?;
    let mut sentences = Vec::new();
    for (name, title) in [("transit", "The transit bill, with Microsoft's traffic and without it"), ("links", "Order dates")] {
        let Some(answer) = ask(name, data, range, &options(&[], true)?)? else { continue };
        sentences.extend(answer.verdict);
        page.notes.extend(answer.notes);
        let wanted: &[&str] = if name == "transit" { &BILL } else { &ORDERS };
        let fits = |section: &&Section| section.columns.iter().any(|column| column.name == wanted[wanted.len() - 1]);
        page.sections.extend(answer.sections.iter().find(fits).map(|section| narrowed(section, wanted, title)));
    }
    if let Some(answer) = ask("overview", data, range, &options(&[], true)?)? {
        sentences.splice(0..0, answer.verdict);
        (page.facts, page.charts) = (answer.facts, answer.charts);
        page.sections.extend(answer.sections);
        page.notes.extend(answer.notes);
    }
    page.notes.sort();
    page.notes.dedup();
    page.verdict.extend(sentences.iter().cloned());
    page.is_alarming = true;
    Ok(Some(Ending { sentences, page }))
}

const BILL: [&str; 7] = ["connection", "month", "price", "billed", "billed_without_microsoft", "amount", "saving"];
const ORDERS: [&str; 8] =
    ["connection", "direction", "utilisation_p95", "utilisation_peak", "growth_month", "reaches_50", "n1_breaks", "order_by"];

/// What each failure comes to, as it was known before the last one that was simulated.
fn matrices(data: &Path, start_us: i64, failed: &[Failed]) -> Result<Vec<Matrix>, Failure> {
    let Some(last) = failed.iter().max_by_key(|failed| failed.down_us) else { return Ok(Vec::new()) };
    let Some(range) = before(start_us, last.down_us) else { return Ok(Vec::new()) };
    let answer = ask("resilience", data, range, &options(&[], true)?)?;
    let mut matrices = answer.map(|answer| answer.matrices).unwrap_or_default();
    for matrix in &mut matrices {
        matrix.title = format!("{}, as known before {}", matrix.title, last.name());
    }
    Ok(matrices)
}

fn section(table: &Table) -> Section {
    let unit = |place: usize| if place < table.numbers_from { Unit::Text } else { Unit::Count };
    Section {
        title: table.title.clone(),
        columns: (0..).zip(table.columns).map(|(place, name)| Column::new(name, unit(place))).collect(),
        rows: table.rows.iter().map(|row| row.iter().map(|cell| Cell::from(cell.as_str())).collect()).collect(),
    }
}

/// Some columns of a section.
fn narrowed(section: &Section, names: &[&str], title: &str) -> Section {
    let place = |name: &&str| section.columns.iter().position(|column| column.name == *name);
    let places: Vec<usize> = names.iter().filter_map(place).collect();
    Section {
        title: title.to_owned(),
        columns: places.iter().map(|place| Column { is_detail: false, ..section.columns[*place] }).collect(),
        rows: section.rows.iter().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect(),
    }
}

impl Ending {
    /// Writes the page.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let page = report::page(&self.page, &TimeZone::UTC);
        std::fs::write(path, page)
            .map_err(|error| Failure::failed(format!("{}: cannot be written: {error}; check --output", path.display())))
    }
}
