//! What happened, a sentence each, beside what was simulated.

use std::path::Path;

use model::Direction;
use model::tables::FailoverRow;
use model::time::SECOND_US;
use simulate::scenario::{ConnectionKind, OutputInterface, Router};
use simulate::{Scenario, Truth};

use super::failed::{DIRECTIONS, Failed, Sources};
use super::figures::{gigabits, percent};
use super::story::{shares, time};
use super::table::Table;
use crate::failure::Failure;

/// Around a surge no event may begin for so long.
const AROUND_US: i64 = 600 * SECOND_US;

/// The failovers as they were told last.
pub(super) fn told(data: &Path) -> Result<Vec<FailoverRow>, Failure> {
    let mut rows = measure::last_told(store::read::<FailoverRow>(data, i64::MIN, i64::MAX).map_err(Failure::failed)?.rows);
    rows.sort_by_key(|row| row.started_at.0);
    Ok(rows)
}

/// A sentence for each thing that happened, and for what was told besides.
pub(super) fn sentences(failed: &[Failed], sources: &Sources<'_>, told: &[FailoverRow]) -> Vec<String> {
    let mut sentences: Vec<String> = failed.iter().flat_map(|failed| of_failed(failed, sources)).collect();
    sentences.extend(members(sources.scenario, sources.truth, told));
    sentences.extend(surges(sources.scenario, sources.truth, told));
    let is_known = |row: &FailoverRow| {
        let is_failed = failed.iter().any(|failed| failed.told.values().any(|known| known.event_id == row.event_id));
        is_failed || &*row.kind == "member_lost"
    };
    for row in told.iter().filter(|row| !is_known(row)) {
        let (kind, name) = (row.kind.replace('_', " "), row.connection.as_deref().unwrap_or("several connections"));
        let direction = row.direction.as_deref().and_then(Direction::named).map_or("port", Direction::words);
        let at = time(row.started_at.0);
        sentences.push(format!("Told, and not simulated as such: {name} {direction} {kind} at {at}: {}.", row.evidence));
    }
    sentences
}

fn of_failed(failed: &Failed, sources: &Sources<'_>) -> Vec<String> {
    let mut sentences = Vec::new();
    for direction in DIRECTIONS {
        let way = direction.words();
        let Some(row) = failed.told.get(direction.name()) else {
            sentences.push(format!("{} {way}: nothing was told of it.", failed.name()));
            continue;
        };
        let lost = row.before_bps.zip(row.fallen_share).map(|(bps, share)| format!("{} Gbit/s", gigabits(bps * share)));
        let lost = lost.unwrap_or_else(|| "an unknown load".to_owned());
        let found_s = (row.detected_at.0 - failed.down_us) / SECOND_US;
        let unaccounted = row.unaccounted_share.zip(row.unaccounted_error);
        let unaccounted = unaccounted.map_or_else(String::new, |(share, error)| {
            format!("; not found again {:.0} ± {:.0} %", share * 100.0, error * 100.0)
        });
        sentences.push(format!(
            "{} {way}: told as {} of {}, found {found_s} s after it began. {lost} went to {}{unaccounted}.",
            failed.name(),
            row.kind.replace('_', " "),
            time(row.started_at.0),
            shares(row).join(", "),
        ));
    }
    let latency = failed.told.values().find_map(|row| row.p50_before_us.zip(row.p50_after_us));
    if let Some((before, after)) = latency {
        let ms = |us: i64| format!("{:.1} ms", us as f64 / 1e3);
        let name = failed.name();
        sentences.push(format!(
            "{name}: half of the round trips took {} before, and {} on what took over.",
            ms(before),
            ms(after)
        ));
    }
    if let Some((survivor, really, measured)) = failed.fullest(sources) {
        let measured = measured.map_or_else(|| "not known".to_owned(), percent);
        sentences.push(format!(
            "{}: the fullest survivor was {survivor}, {measured} of its port in its busiest minute; in truth {}.",
            failed.name(),
            percent(really)
        ));
    }
    sentences
}

/// Routers that export a wrong output interface, and what came of it: by the table of links over the whole run.
pub(super) fn misconfigured(scenario: &Scenario, links: &Table) -> Vec<String> {
    let first_path = scenario.routers.iter().filter(|router| router.output_interface == OutputInterface::FirstPath);
    let one = |router: &Router| {
        let is_its = |port: &str| scenario.ports.iter().any(|known| known.name == port && known.router == router.name);
        let direct = scenario.connections.iter().filter(|one| one.kind == ConnectionKind::Direct && is_its(&one.port));
        let told = direct.filter_map(|one| {
            let row = links.rows.iter().find(|row| row[0] == one.name && row[1] == "to_microsoft")?;
            Some(format!("{} {} GB, in truth {}", one.name, row[3], row[2]))
        });
        let told: Vec<String> = told.collect();
        format!(
            "{} exports the first of equal paths as output interface, as it was set to: flows to Microsoft seem to be {}. \
             The counters of its ports disagree, and peerscope peerings check says so.",
            router.name,
            told.join("; ")
        )
    };
    first_path.map(one).collect()
}

/// Bundles that lost a member.
fn members(scenario: &Scenario, truth: &Truth, told: &[FailoverRow]) -> Vec<String> {
    let mut sentences = Vec::new();
    for failure in scenario.failures.iter().filter(|failure| failure.member.is_some()) {
        let down_us = scenario.at_us(failure.down_at_seconds);
        if down_us >= truth.end_us {
            continue;
        }
        let port = failure.port.as_deref().unwrap_or_default();
        let riders: Vec<&str> = scenario.connections.iter().filter(|one| one.port == port).map(|one| one.name.as_str()).collect();
        let is_it = |row: &&FailoverRow| {
            let is_near = (row.started_at.0 - down_us).abs() <= AROUND_US;
            &*row.kind == "member_lost" && is_near && row.connection.as_deref().is_some_and(|name| riders.contains(&name))
        };
        let at = time(down_us);
        sentences.push(match told.iter().find(is_it) {
            Some(row) => {
                let capacities = row.capacity_before_bps.zip(row.capacity_after_bps).filter(|(before, after)| before != after);
                let capacities = capacities.map_or_else(String::new, |(before, after)| {
                    format!("; capacity {} to {} Gbit/s", gigabits(before as f64), gigabits(after as f64))
                });
                let ended = row.ended_at.map_or_else(|| "not back".to_owned(), |at| format!("back {}", time(at.0)));
                format!(
                    "{} lost a member of its bundle at {at}: told of {}, {ended}; {}{capacities}.",
                    riders.join(", "),
                    time(row.started_at.0),
                    row.evidence
                )
            }
            None => format!("{} lost a member of its bundle at {at}: nothing was told of it.", riders.join(", ")),
        });
    }
    sentences
}

fn surges(scenario: &Scenario, truth: &Truth, told: &[FailoverRow]) -> Vec<String> {
    let mut sentences = Vec::new();
    for surge in &scenario.traffic.surges {
        let at = |seconds| scenario.at_us(seconds);
        let (from_us, to_us) = (at(surge.at_seconds), at(surge.at_seconds + surge.duration_seconds));
        if to_us > truth.end_us {
            continue;
        }
        let is_near = |row: &&FailoverRow| (from_us - AROUND_US..to_us + AROUND_US).contains(&row.started_at.0);
        let count = told.iter().filter(is_near).count();
        let span = format!("{} to {}", time(from_us), time(to_us));
        sentences.push(match count {
            0 => format!("The surge of {span}, {} times the traffic, raised no failover.", surge.factor),
            _ => format!("The surge of {span} has {count} failovers near it: none of them was simulated."),
        });
    }
    sentences
}
