//! What happened when a connection failed: before and after, predicted, measured and true.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use model::Direction;
use model::tables::{FailoverRow, PrefixRow};
use model::time::{DETAIL_WINDOW_US, SECOND_US, WINDOW_US};
use simulate::{Scenario, Truth};

use super::figures::{Load, Measured, gigabits, or_unknown, percent, true_busiest, true_load, true_move};
use super::story::whole;
use super::table::Table;

/// Minutes before a failure that it is compared with, and after it at most.
const MINUTES_BEFORE: i64 = 5;
const MINUTES_AFTER: i64 = 15;
/// How far a failover's beginning may be told from the true one.
const NEAR_US: i64 = 300 * SECOND_US;
/// A share that is smaller is not told of.
const SHARE_LEAST: f64 = 0.02;

/// In the order of the tables: from Microsoft comes most.
pub(super) const DIRECTIONS: [Direction; 2] = [Direction::FromMicrosoft, Direction::ToMicrosoft];

/// What was predicted of a survivor, by what was known before the failure.
#[derive(Clone, Debug)]
pub(super) struct Predicted {
    pub(super) direction: String,
    pub(super) survivor: String,
    pub(super) share: f64,
    pub(super) share_error: Option<f64>,
    pub(super) origin: String,
    /// Load of its port over capacity.
    pub(super) busiest: Option<f64>,
}

/// A failure of the scenario in the run.
pub(super) struct Failed {
    pub(super) connection: String,
    pub(super) is_drain: bool,
    pub(super) down_us: i64,
    /// Whole minutes before, while it was down, and as many of these as are compared.
    before: Range<i64>,
    down: Range<i64>,
    after: Range<i64>,
    pub(super) predicted: Vec<Predicted>,
    /// By direction: what the collector told of it last.
    pub(super) told: BTreeMap<String, FailoverRow>,
}

/// Everything that failures are told by.
pub(super) struct Sources<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) truth: &'a Truth,
    pub(super) measured: &'a Measured,
}

impl Failed {
    /// The failures of connections that the run came to, with what was told of them.
    pub(super) fn all(scenario: &Scenario, truth: &Truth, told: &[FailoverRow]) -> Vec<Failed> {
        let one = |failure: &simulate::scenario::Failure| {
            let connection = failure.connection.clone()?;
            let at = |seconds| scenario.at_us(seconds);
            let (down_us, moved_us) = (at(failure.down_at_seconds), at(failure.down_at_seconds + failure.drain_seconds));
            let up_us = failure.up_at_seconds.map_or(truth.end_us, at).min(truth.end_us);
            let (first, last) = (down_us.div_euclid(WINDOW_US) * WINDOW_US, up_us.div_euclid(WINDOW_US) * WINDOW_US);
            // Flows end after the link that they were on: what is compared begins a minute later.
            let settled = (moved_us + WINDOW_US).div_euclid(WINDOW_US) * WINDOW_US + WINDOW_US;
            let is_of = |row: &&FailoverRow| {
                row.connection.as_deref() == Some(&*connection) && (row.started_at.0 - down_us).abs() <= NEAR_US
            };
            let told = told.iter().filter(is_of).filter_map(|row| Some((row.direction.as_deref()?.to_owned(), row.clone())));
            let told = told.collect();
            (last > settled).then_some(Failed {
                is_drain: failure.drain_seconds > 0.0,
                down_us,
                before: first - MINUTES_BEFORE * WINDOW_US..first,
                down: first..last,
                after: settled..last.min(settled + MINUTES_AFTER * WINDOW_US),
                predicted: Vec::new(),
                told,
                connection,
            })
        };
        scenario.failures.iter().filter_map(one).collect()
    }

    /// What it is, in words.
    pub(super) fn name(&self) -> String {
        let what = if self.is_drain { "drained" } else { "failed" };
        format!("{} {what} {}", self.connection, super::story::time(self.down_us))
    }

    /// The links that took, were to take or are told to have taken some.
    fn survivors(&self, direction: &str, sources: &Sources<'_>) -> Vec<String> {
        let predicted = self.predicted.iter().filter(|one| one.direction == direction && one.share >= SHARE_LEAST);
        let moved = sources.truth.moved.iter().filter(|one| one.from == self.connection && one.direction == direction);
        let really = moved.filter(|one| true_move(sources.truth, &one.from, &one.to, direction, &self.after) > 0.0);
        let told = self.told.get(direction).into_iter().flat_map(whole);
        let told = told.filter(|moved| moved.share.is_some_and(|share| share >= SHARE_LEAST));
        let names: BTreeSet<String> = predicted
            .map(|one| one.survivor.clone())
            .chain(really.map(|one| one.to.clone()))
            .chain(told.map(|moved| moved.connection.to_string()))
            .collect();
        names.into_iter().collect()
    }

    /// Rows of links: before and after, measured and true.
    fn loads(&self, sources: &Sources<'_>, table: &mut Table) {
        for (direction, words) in DIRECTIONS.map(|direction| (direction.name(), direction.words())) {
            let survivors = self.survivors(direction, sources);
            for link in std::iter::once(&self.connection).chain(&survivors) {
                let load = |minutes: &Range<i64>| or_unknown(sources.measured.load(link, direction, minutes).map(Load::text));
                let really = |minutes: &Range<i64>| gigabits(true_load(sources.truth, link, direction, minutes));
                table.rows.push(vec![
                    self.name(),
                    words.to_owned(),
                    link.clone(),
                    load(&self.before),
                    really(&self.before),
                    load(&self.after),
                    really(&self.after),
                ]);
            }
        }
    }

    /// Rows of survivors: what each took, predicted, measured and true.
    fn moves(&self, sources: &Sources<'_>, table: &mut Table) {
        for (direction, words) in DIRECTIONS.map(|direction| (direction.name(), direction.words())) {
            let lost = self.lost(direction, sources);
            for survivor in self.survivors(direction, sources) {
                let is_it = |one: &&Predicted| one.direction == direction && one.survivor == survivor;
                let predicted = self.predicted.iter().find(is_it);
                let really = true_move(sources.truth, &self.connection, &survivor, direction, &self.after);
                let [port_measured, port_true] = self.busiest(&survivor, direction, sources);
                let load = |one: &Predicted| {
                    Some(Load { bps: one.share * lost?, error: one.share_error.and_then(|error| Some(error * lost?)) })
                };
                table.rows.push(vec![
                    self.name(),
                    words.to_owned(),
                    survivor.clone(),
                    predicted.map_or_else(|| "nothing".to_owned(), |one| one.origin.clone()),
                    predicted.map_or_else(|| gigabits(0.0), |one| or_unknown(load(one).map(Load::text))),
                    self.took(direction, &survivor),
                    gigabits(really),
                    or_unknown(predicted.and_then(|one| one.busiest).map(percent)),
                    or_unknown(port_measured.map(percent)),
                    or_unknown(port_true.map(percent)),
                ]);
            }
        }
    }

    /// What the connection lost by what was measured, bit/s.
    fn lost(&self, direction: &str, sources: &Sources<'_>) -> Option<f64> {
        let told = self.told.get(direction).and_then(|row| Some(row.before_bps? * row.fallen_share?));
        told.or_else(|| sources.measured.load(&self.connection, direction, &self.before).map(|load| load.bps))
    }

    fn took(&self, direction: &str, survivor: &str) -> String {
        let Some(row) = self.told.get(direction) else { return "not told".to_owned() };
        let found = whole(row).find(|moved| &*moved.connection == survivor);
        let Some(moved) = found else { return gigabits(0.0) };
        let of_share = |share: f64| moved.share.filter(|all| *all != 0.0).map(|all| moved.bps * share / all);
        Load { bps: moved.bps, error: moved.share_error.and_then(of_share) }.text()
    }

    /// The busiest minute of a survivor's port while it lasted, measured and true.
    fn busiest(&self, survivor: &str, direction: &str, sources: &Sources<'_>) -> [Option<f64>; 2] {
        let connections = sources.scenario.connections.iter().map(|one| (&one.name, &one.port));
        let transits = sources.scenario.transits.iter().map(|one| (&one.name, &one.port));
        let Some((_, port)) = connections.chain(transits).find(|(name, _)| *name == survivor) else { return [None; 2] };
        let speed = sources.scenario.ports.iter().find(|one| one.name == *port).map_or(0, |one| one.speed_bps);
        [sources.measured.busiest(port, direction, &self.down), true_busiest(sources.truth, port, speed, direction, &self.down)]
    }

    /// The fullest that a survivor's port really got.
    pub(super) fn fullest(&self, sources: &Sources<'_>) -> Option<(String, f64, Option<f64>)> {
        let of = |direction: &'static str| {
            self.survivors(direction, sources).into_iter().filter_map(move |survivor| {
                let [measured, really] = self.busiest(&survivor, direction, sources);
                Some((survivor, really?, measured))
            })
        };
        DIRECTIONS.map(Direction::name).into_iter().flat_map(of).max_by(|(_, a, _), (_, b, _)| a.total_cmp(b))
    }

    /// Rows of customers: what they had over the connection before, and where it went.
    fn customers(&self, truth: &Truth, rows: &[PrefixRow], table: &mut Table) {
        let (before, during) = (self.windows(&self.before), self.windows(&self.after));
        let is_side = |row: &&PrefixRow| &*row.side == "customer" && row.customer.is_some();
        for (direction, words) in DIRECTIONS.map(|direction| (direction.name(), direction.words())) {
            let of = || rows.iter().filter(is_side).filter(|row| &*row.direction == direction);
            let names: BTreeSet<&str> = of().filter_map(|row| row.customer.as_deref()).collect();
            for customer in names {
                let own = || of().filter(|row| row.customer.as_deref() == Some(customer));
                let load = |link: &str, windows: &Range<i64>| {
                    mean(own().filter(|row| &*row.connection == link && windows.contains(&row.window_start.0)), windows)
                };
                let lost = load(&self.connection, &before);
                let links: BTreeSet<&str> = own().map(|row| &*row.connection).filter(|link| *link != self.connection).collect();
                let mut gains: Vec<(&str, f64)> =
                    links.into_iter().map(|link| (link, load(link, &during).bps - load(link, &before).bps)).collect();
                gains.retain(|(_, bps)| *bps > SHARE_LEAST * lost.bps);
                gains.sort_by(|a, b| b.1.total_cmp(&a.1));
                let gains: Vec<String> = gains.iter().map(|(link, bps)| format!("{link} +{}", gigabits(*bps))).collect();
                table.rows.push(vec![
                    self.name(),
                    words.to_owned(),
                    customer.to_owned(),
                    lost.text(),
                    gigabits(true_of_customer(truth, &self.connection, direction, customer, &before)),
                    gains.join(", "),
                ]);
            }
        }
    }

    /// Whole windows of five minutes that lie in these minutes, or the one before them.
    fn windows(&self, minutes: &Range<i64>) -> Range<i64> {
        let first = (minutes.start + DETAIL_WINDOW_US - 1).div_euclid(DETAIL_WINDOW_US) * DETAIL_WINDOW_US;
        let last = minutes.end.div_euclid(DETAIL_WINDOW_US) * DETAIL_WINDOW_US;
        if last > first { first..last } else { last - DETAIL_WINDOW_US..last }
    }
}

/// A mean of IP bytes over windows of five minutes.
fn mean<'a>(rows: impl Iterator<Item = &'a PrefixRow>, windows: &Range<i64>) -> Load {
    let seconds = (windows.end - windows.start).max(1) as f64 / SECOND_US as f64;
    let sum = rows.fold((0.0, 0.0), |sum, row| {
        (sum.0 + row.bytes_estimated.unwrap_or(0.0), sum.1 + row.bytes_standard_error.unwrap_or(0.0).powi(2))
    });
    Load { bps: sum.0 * 8.0 / seconds, error: Some(sum.1.sqrt() * 8.0 / seconds) }
}

fn true_of_customer(truth: &Truth, link: &str, direction: &str, customer: &str, windows: &Range<i64>) -> f64 {
    let is_it =
        |one: &&simulate::truth::CustomerTruth| one.link == link && one.direction == direction && one.customer == customer;
    let found = truth.customers.iter().filter(is_it).flat_map(|one| &one.windows_300_s);
    let bytes: u64 = found.filter(|window| windows.contains(&window.start_us)).map(|window| window.sum.l3_bytes).sum();
    bytes as f64 * 8.0 / ((windows.end - windows.start).max(1) as f64 / SECOND_US as f64)
}

/// Before and after.
pub(super) fn loads(failed: &[Failed], sources: &Sources<'_>) -> Table {
    let mut table = Table::new(
        "Before and after, Gbit/s on the link layer, with standard errors of sampling",
        &["failover", "direction", "link", "before", "true_before", "after", "true_after"],
        3,
    );
    failed.iter().for_each(|failed| failed.loads(sources, &mut table));
    table
}

/// Prediction beside the simulated truth.
pub(super) fn moves(failed: &[Failed], sources: &Sources<'_>) -> Table {
    let mut table = Table::new(
        "What each survivor took, Gbit/s, and how full its port got: predicted by what was known before, measured, and true",
        &[
            "failover",
            "direction",
            "survivor",
            "predicted_by",
            "predicted",
            "measured",
            "true",
            "port_predicted",
            "port_measured",
            "port_true",
        ],
        4,
    );
    failed.iter().for_each(|failed| failed.moves(sources, &mut table));
    table
}

/// Customers that moved.
pub(super) fn customers(failed: &[Failed], truth: &Truth, rows: &[PrefixRow]) -> Table {
    let mut table = Table::new(
        "Customers that moved: what each had over the connection before, and which links carry more of it after, Gbit/s of IP",
        &["failover", "direction", "customer", "before", "true_before", "moved_to"],
        3,
    );
    failed.iter().for_each(|failed| failed.customers(truth, rows, &mut table));
    table
}
