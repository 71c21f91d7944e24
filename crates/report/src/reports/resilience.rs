//! `resilience`: what would happen if a connection, port, router, facility, exchange, metro or risk group failed.

mod cells;
mod matrix;

use std::collections::BTreeSet;

use measure::judge::{Amount, Failure, FailureKind, Outcome, Survivor};
use model::Direction;

use super::links::Links;
use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::growth::Breaks;
use crate::networks::{Networks, Outcomes};
use crate::{Data, ReportError};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "resilience",
    about: "What would happen if something failed: who takes what, what does not fit, until when it holds",
    default_span: "30d",
    takes_by: true,
    compares: Compares::Nothing,
    answer,
};

const COLUMNS: &[Column] = &[
    Column::new("kind", Unit::Text),
    Column::new("name", Unit::Text),
    Column::detail("connections", Unit::Text),
    Column::new("verdict", Unit::Text),
    Column::new("direction", Unit::Text),
    Column::new("worst_survivor", Unit::Text),
    Column::new("utilisation", Unit::Ratio),
    Column::detail("utilisation_at", Unit::Time),
    Column::new("utilisation_p95", Unit::Ratio),
    Column::new("shares_by", Unit::Text),
    Column::new("moved", Unit::Mbps),
    Column::detail("moved_p95", Unit::Mbps),
    Column::new("does_not_fit", Unit::Mbps),
    Column::detail("does_not_fit_p95", Unit::Mbps),
    Column::new("leaves_metro", Unit::Mbps),
    Column::detail("leaves_metro_p95", Unit::Mbps),
    Column::new("to_transit", Unit::Mbps),
    Column::detail("to_transit_p95", Unit::Mbps),
    Column::new("nowhere", Unit::Mbps),
    Column::detail("unaccounted", Unit::Mbps),
    Column::new("growth_left", Unit::Ratio),
    Column::new("breaks_at", Unit::Date),
    Column::detail("breaks_at_earliest", Unit::Date),
    Column::detail("breaks_at_latest", Unit::Date),
    Column::detail("load_unknown", Unit::Text),
    Column::detail("time_known", Unit::Ratio),
];

/// Sentences about failures at most; the rows have all.
const SENTENCES_MOST: usize = 10;

/// A failure and what it comes to.
struct Judged {
    failure: Failure,
    outcomes: Outcomes,
    /// The direction whose fullest survivor is the fullest.
    worst: Option<Direction>,
    breaks: Breaks,
    /// It takes along what another one, told before it, does.
    is_repeated: bool,
}

impl Judged {
    fn worst(&self) -> Option<(&Outcome, &Survivor)> {
        let outcome = self.outcomes[self.worst? as usize].as_ref()?;
        Some((outcome, outcome.worst()?))
    }

    fn utilisation(&self) -> f64 {
        self.worst().and_then(|(_, survivor)| survivor.utilisation).unwrap_or(f64::NEG_INFINITY)
    }

    /// Whether survivors hold in each direction.
    fn holds(&self, full: f64) -> [Option<bool>; 2] {
        self.outcomes.each_ref().map(|outcome| outcome.as_ref().and_then(|outcome| outcome.holds(full)))
    }

    /// Whether survivors hold as far as it is known, in one direction at least.
    fn is_held(&self, full: f64) -> bool {
        let holds = self.holds(full);
        holds.contains(&Some(true)) && !holds.contains(&Some(false))
    }

    /// The larger amount of the two directions; `None` where it is not known of one that is judged, or none is.
    fn amount(&self, of: impl Fn(&Outcome) -> Option<Amount>, by: fn(&Amount) -> f64) -> Option<f64> {
        let amounts: Option<Vec<f64>> = self.outcomes.iter().flatten().map(|outcome| Some(by(&of(outcome)?))).collect();
        amounts?.into_iter().reduce(f64::max)
    }
}

/// Answers `resilience`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    let is_by_survivor = match &options.by[..] {
        [] => false,
        [by] if by == "survivor" => true,
        _ => return Err(ReportError::Usage("resilience knows --by survivor alone".to_owned())),
    };
    let links = Links::of_both_directions(data, options)?;
    let networks = links.networks(data, options)?;
    let mut failures = if options.down.is_empty() { networks.failures() } else { vec![networks.failure_of(&options.down)?] };
    // Everything is judged on all connections; told is what takes along one that was asked for.
    let is_told = |place: &usize| networks.connections().get(*place).is_some_and(|one| links.is_told(&one.place.connection));
    failures.retain(|failure| failure.failed.iter().any(is_told));
    let judged = judged(&networks, failures, data, options);
    let mut answer = Answer::new("resilience", data.range());
    answer.verdict = verdict(&judged, &networks, options);
    let full = options.settings.full_percent as f64 / 100.0;
    answer.is_alarming = judged.iter().any(|judged| judged.holds(full).contains(&Some(false)));
    let mut lines = Section::new("What a failure comes to, at the worst moment of the two directions", COLUMNS);
    lines.rows = judged.iter().map(|judged| line(judged, &networks, data)).collect();
    answer.sections.push(lines);
    if is_by_survivor || !options.down.is_empty() {
        answer.sections.push(cells::section(&judged, &networks, data));
    }
    if is_by_survivor {
        answer.sections.reverse();
    }
    if options.is_page {
        answer.matrices = matrix::matrices(&judged, &networks, data, options);
    }
    answer.notes.extend(networks.notes);
    Ok(answer)
}

/// Failures with what they come to, by kind, the worst first.
fn judged(networks: &Networks, failures: Vec<Failure>, data: &Data, options: &Options) -> Vec<Judged> {
    let outcomes = networks.outcomes(&failures);
    let one = |(failure, outcomes): (Failure, Outcomes)| {
        let ratio = |direction: Direction| outcomes[direction as usize].as_ref()?.worst()?.utilisation;
        let known = Direction::ALL.into_iter().filter_map(|direction| Some((direction, ratio(direction)?)));
        let worst = known.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(direction, _)| direction);
        let outcome = worst.and_then(|direction| Some((direction, outcomes[direction as usize].as_ref()?)));
        let breaks = outcome.map_or([None; 3], |(direction, outcome)| {
            networks.breaks(&failure.failed, direction, outcome, data.range(), options)
        });
        Judged { failure, outcomes, worst, breaks, is_repeated: false }
    };
    let mut judged: Vec<Judged> = failures.into_iter().zip(outcomes).map(one).collect();
    judged.sort_by(|a, b| a.failure.kind.cmp(&b.failure.kind).then(b.utilisation().total_cmp(&a.utilisation())));
    let mut told = BTreeSet::new();
    judged.iter_mut().for_each(|judged| judged.is_repeated = !told.insert(judged.failure.failed.clone()));
    judged
}

/// `holds` and the like, in words.
fn words(judged: &Judged, full: f64) -> String {
    let leaves = judged.amount(|outcome| outcome.leaves_metro, |amount| amount.most_bps).is_some_and(|bps| bps > 0.0);
    let verdict = match judged.holds(full) {
        [Some(false), _] | [_, Some(false)] => "does not hold",
        [Some(true), Some(true)] => "holds",
        [Some(true), None] => "holds to Microsoft; from Microsoft not known",
        [None, Some(true)] => "holds from Microsoft; to Microsoft not known",
        [None, None] => return "not known".to_owned(),
    };
    if leaves { format!("{verdict}, leaves the metro") } else { verdict.to_owned() }
}

fn line(judged: &Judged, networks: &Networks, data: &Data) -> Vec<Cell> {
    let network = networks.get(Direction::ToMicrosoft);
    let name = |place: usize| network.name(place).map(ToString::to_string).unwrap_or_default();
    let names = |places: &[usize]| places.iter().map(|place| name(*place)).collect::<Vec<_>>().join(" ");
    let worst = judged.worst();
    let most = |of: fn(&Outcome) -> Option<Amount>| Cell::mbps(judged.amount(of, |amount| amount.most_bps));
    let p95 = |of: fn(&Outcome) -> Option<Amount>| Cell::mbps(judged.amount(of, |amount| amount.p95_bps));
    let unknown: BTreeSet<usize> = judged.outcomes.iter().flatten().flat_map(|outcome| outcome.unknown.clone()).collect();
    let [breaks, earliest, latest] = judged.breaks.map(Cell::time);
    vec![
        judged.failure.kind.name().into(),
        (&judged.failure.name).into(),
        names(&judged.failure.failed).into(),
        words(judged, network.full()).into(),
        judged.worst.map(Direction::name).into(),
        worst.map(|(_, survivor)| name(survivor.connection)).into(),
        worst.and_then(|(_, survivor)| survivor.utilisation).into(),
        Cell::time(worst.and_then(|(_, survivor)| Some(data.range().start_of(survivor.load?.step)))),
        worst.and_then(|(_, survivor)| survivor.utilisation_p95).into(),
        worst.map(|(_, survivor)| cells::origins(survivor)).into(),
        most(|outcome| Some(outcome.moved)),
        p95(|outcome| Some(outcome.moved)),
        most(|outcome| Some(outcome.does_not_fit)),
        p95(|outcome| Some(outcome.does_not_fit)),
        most(|outcome| outcome.leaves_metro),
        p95(|outcome| outcome.leaves_metro),
        most(|outcome| Some(outcome.to_transit)),
        p95(|outcome| Some(outcome.to_transit)),
        most(|outcome| Some(outcome.nowhere)),
        most(|outcome| Some(outcome.unaccounted)),
        worst.and_then(|(outcome, _)| outcome.growth_left(network.full())).into(),
        breaks,
        earliest,
        latest,
        Some(names(&unknown.into_iter().collect::<Vec<_>>())).filter(|names| !names.is_empty()).into(),
        worst.map(|(outcome, _)| outcome.steps_known as f64 / data.range().steps().max(1) as f64).into(),
    ]
}

/// What does not hold, what leaves its metro, what breaks first, and what all of it rests on.
fn verdict(judged: &[Judged], networks: &Networks, options: &Options) -> Vec<String> {
    let full = options.settings.full_percent as f64 / 100.0;
    let told = || judged.iter().filter(|judged| !judged.is_repeated);
    let thing = |judged: &Judged| format!("{} {}", judged.failure.kind.name().replace('_', " "), judged.failure.name);
    let mut verdict: Vec<String> = Vec::new();
    for judged in told().filter(|judged| judged.holds(full).contains(&Some(false))) {
        verdict.push(not_held(judged, &thing(judged), networks));
    }
    let more = verdict.len().saturating_sub(SENTENCES_MOST);
    verdict.truncate(SENTENCES_MOST);
    if more > 0 {
        verdict.push(format!("{more} failures more do not hold; see the rows."));
    }
    // What was asked for is answered, also where it holds.
    for judged in told().filter(|judged| judged.failure.kind == FailureKind::Set && judged.is_held(full)) {
        let is_part = judged.holds(full).contains(&None);
        let as_far = if is_part { ", as far as is known: of one direction" } else { "" };
        verdict.push(format!("{} may fail: the others hold{as_far}.", thing(judged)));
    }
    let leaving = told().filter(|judged| {
        let leaves = judged.amount(|outcome| outcome.leaves_metro, |amount| amount.most_bps);
        judged.failure.kind == FailureKind::Connection && leaves.is_some_and(|bps| bps > 0.0)
    });
    let leaving: Vec<&str> = leaving.map(|judged| &*judged.failure.name).collect();
    if !leaving.is_empty() {
        let (names, more) =
            (leaving[..leaving.len().min(SENTENCES_MOST)].join(", "), leaving.len().saturating_sub(SENTENCES_MOST));
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        verdict
            .push(format!("Traffic leaves its metro if one of these fails: {names}{more}; Microsoft's policy wants it to stay."));
    }
    verdict.extend(of_single_connections(
        &told().filter(|judged| judged.failure.kind == FailureKind::Connection).collect::<Vec<_>>(),
        full,
    ));
    let next = told().filter(|judged| judged.is_held(full)).filter_map(|judged| Some((judged.breaks[0]?, judged)));
    if let Some((at, first)) = next.min_by_key(|(at, _)| *at) {
        let day = Cell::Time(at).text(Unit::Date, &options.zone).unwrap_or_default();
        verdict.push(format!("As loads grow, {} is the next that will no longer be held: on {day}.", thing(first)));
    }
    verdict.extend(cells::basis(judged));
    verdict
}

/// How many connections may fail, one at a time; none if there are no connections.
fn of_single_connections(judged: &[&Judged], full: f64) -> Option<String> {
    let count = |fits: &dyn Fn(&Judged) -> bool| judged.iter().filter(|judged| fits(judged)).count();
    let held = count(&|judged| judged.is_held(full));
    let in_part = count(&|judged| judged.is_held(full) && judged.holds(full).contains(&None));
    let unknown = count(&|judged| judged.holds(full) == [None; 2]);
    let mut sentence = format!("{held} of {} connections may fail one at a time, and the others hold", judged.len());
    if in_part > 0 {
        sentence += &format!("; of {in_part} of them one direction alone is known");
    }
    if unknown > 0 {
        sentence += &format!("; of {unknown} it is not known");
    }
    (!judged.is_empty()).then(|| sentence + ".")
}

/// A sentence about a failure that does not hold.
fn not_held(judged: &Judged, thing: &str, networks: &Networks) -> String {
    let Some((outcome, survivor)) = judged.worst() else {
        return format!("If {thing} fails, nothing is left that could take its traffic.");
    };
    let direction = judged.worst.map_or("", Direction::words);
    let name = networks.get(Direction::ToMicrosoft).name(survivor.connection).map(ToString::to_string).unwrap_or_default();
    let over = outcome.does_not_fit.most_bps / 1e6;
    format!(
        "If {thing} fails, {name} is asked for {:.0} % of its port {direction} (shares: {}): it does not hold, {over:.0} Mbit/s find no room.",
        survivor.utilisation.unwrap_or_default() * 100.0,
        cells::origins(survivor).replace('_', " "),
    )
}
