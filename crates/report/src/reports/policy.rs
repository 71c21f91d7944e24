//! `policy`: each of Microsoft's rules for peers that can be checked, with figures: met, not met, cannot know.

mod routes;

use std::collections::{BTreeMap, BTreeSet};

use measure::judge::Outcome;
use model::Direction;
use model::tables::ConnectionRow;

use super::links::Links;
use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::connections::is_active;
use crate::loads::Load;
use crate::networks::Networks;
use crate::{Data, ReportError, ReportSettings};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "policy",
    about: "Microsoft's rules for peers, with figures",
    default_span: "30d",
    takes_by: false,
    compares: Compares::Files,
    answer,
};

const COLUMNS: &[Column] = &[
    Column::new("rule", Unit::Text),
    Column::new("of", Unit::Text),
    Column::new("verdict", Unit::Text),
    Column::new("figure", Unit::Text),
    Column::new("asked", Unit::Text),
];

/// Load from which Microsoft asks for an upgrade.
const UPGRADE: f64 = 0.5;
/// The same where the connection is used for Peering Service.
const UPGRADE_PEERING_SERVICE: f64 = 0.4;
/// Least capacity of a port at an exchange, bit/s.
const EXCHANGE_PORT_BPS: i64 = 10_000_000_000;

/// What a rule comes to, the most pressing first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    NotMet,
    CannotKnow,
    Met,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::NotMet => "not met",
            Verdict::CannotKnow => "cannot know",
        }
    }
}

/// A rule that was checked.
struct Finding {
    rule: &'static str,
    of: String,
    verdict: Verdict,
    figure: String,
    asked: String,
}

impl Finding {
    /// A finding of a figure that may not be known; `is_met` judges it.
    fn of<T>(rule: &'static str, of: &str, asked: String, known: Option<T>, judge: impl FnOnce(T) -> (bool, String)) -> Finding {
        let (verdict, figure) = match known.map(judge) {
            Some((true, figure)) => (Verdict::Met, figure),
            Some((false, figure)) => (Verdict::NotMet, figure),
            None => (Verdict::CannotKnow, String::new()),
        };
        Finding { rule, of: of.to_owned(), verdict, figure, asked }
    }

    fn cannot_know(rule: &'static str, of: &str, asked: &str, why: &str) -> Finding {
        Finding { rule, of: of.to_owned(), verdict: Verdict::CannotKnow, figure: why.to_owned(), asked: asked.to_owned() }
    }

    fn cells(self) -> Vec<Cell> {
        vec![self.rule.into(), self.of.into(), self.verdict.name().into(), self.figure.into(), self.asked.into()]
    }
}

/// Answers `policy`.
pub(super) fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    let links = Links::of_both_directions(data, options)?;
    let versions = versions(data)?;
    let peerings = links.peerings();
    let mut findings = Vec::new();
    for row in &peerings {
        findings.push(utilisation(&links, row));
        findings.push(both_versions(row, &versions));
        findings.extend(sessions(row));
        findings.extend(exchange_port(&links, row));
    }
    findings.extend(of_peerings(&links, &peerings, &options.settings));
    let networks = links.networks(data, options)?;
    findings.extend(failover(&links, &networks, options));
    if !options.others.is_empty() {
        findings.extend(routes::check(&options.others, &peerings)?);
    }
    let mut answer = Answer::new("policy", data.range());
    let broken = findings.iter().filter(|finding| finding.verdict == Verdict::NotMet);
    let told = broken.map(|finding| format!("{}: {} is not met: {}.", finding.of, finding.rule, finding.figure)).collect();
    answer.verdict = super::first_of(told, "rules that are not met");
    answer.is_alarming = !answer.verdict.is_empty();
    if peerings.is_empty() {
        answer.notes.push("no peering connection is configured: there is nothing to check the rules on".to_owned());
    } else if answer.verdict.is_empty() {
        answer.verdict.push("No rule that can be checked is broken.".to_owned());
    }
    answer.notes.extend(networks.notes);
    let mut section = Section::new("Microsoft's rules for peers", COLUMNS);
    findings.sort_by_key(|finding| finding.verdict);
    section.rows = findings.into_iter().map(Finding::cells).collect();
    answer.sections.push(section);
    Ok(answer)
}

/// The IP versions that were seen of each connection.
fn versions(data: &mut Data) -> Result<BTreeMap<String, BTreeSet<i64>>, ReportError> {
    data.register(&["traffic"])?;
    data.fold(include_str!("../sql/versions.sql"), BTreeMap::new, |seen: &mut BTreeMap<String, BTreeSet<i64>>, batch| {
        let (connections, versions, bytes) =
            (batch.texts("connection")?, batch.integers("ip_version")?, batch.floats("bytes_exported")?);
        for row in (0..batch.rows()).filter(|row| bytes.get(*row).is_some_and(|bytes| bytes > 0.0)) {
            let of = seen.entry(connections.known(row).to_owned()).or_default();
            of.extend(versions.get(row));
        }
        Ok(())
    })
}

fn loads<'a>(links: &'a Links, row: &ConnectionRow) -> impl Iterator<Item = &'a Load> {
    let name = row.connection.clone();
    Direction::ALL.into_iter().filter_map(move |direction| links.loads.get(&name, direction))
}

fn utilisation(links: &Links, row: &ConnectionRow) -> Finding {
    let is_service = row.is_peering_service == Some(true);
    let (rule, line) = match is_service {
        true => ("40 % line of Peering Service", UPGRADE_PEERING_SERVICE),
        false => ("50 % line", UPGRADE),
    };
    let peak = loads(links, row).filter_map(|load| load.utilisation_peak()).map(|(ratio, _)| ratio).reduce(f64::max);
    let asked = format!("peak utilisation up to {:.0} %", line * 100.0);
    Finding::of(rule, &row.connection, asked, peak, |peak| (peak <= line, format!("peak {:.1} %", peak * 100.0)))
}

fn both_versions(row: &ConnectionRow, seen: &BTreeMap<String, BTreeSet<i64>>) -> Finding {
    let (rule, asked) = ("both IP versions", "IPv4 and IPv6 at each location");
    let is_up = |state: &Option<model::Name>| state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("established"));
    if row.session_state_v4.is_some() && row.session_state_v6.is_some() {
        let states = (is_up(&row.session_state_v4), is_up(&row.session_state_v6));
        return Finding::of(rule, &row.connection, asked.to_owned(), Some(states), |(v4, v6)| {
            let word = |is_up: bool| if is_up { "established" } else { "not established" };
            (v4 && v6, format!("IPv4 {}, IPv6 {}", word(v4), word(v6)))
        });
    }
    match seen.get(&*row.connection) {
        Some(versions) if versions.len() == 2 => {
            Finding::of(rule, &row.connection, asked.to_owned(), Some(()), |()| (true, "traffic of both".to_owned()))
        }
        // An exporter that meters IPv4 alone looks the same as a session that is not there.
        Some(versions) => {
            let only = if versions.contains(&4) { "IPv4" } else { "IPv6" };
            Finding::cannot_know(rule, &row.connection, asked, &format!("only {only} is exported"))
        }
        None => Finding::cannot_know(rule, &row.connection, asked, "no traffic"),
    }
}

fn sessions(row: &ConnectionRow) -> Vec<Finding> {
    let one = |(version, state): (&str, &Option<model::Name>)| {
        let state = state.clone()?;
        let asked = format!("{version} session established");
        let is_up = state.eq_ignore_ascii_case("established");
        Some(Finding::of("sessions", &row.connection, asked, Some(()), |()| (is_up, state.to_string())))
    };
    [("IPv4", &row.session_state_v4), ("IPv6", &row.session_state_v6)].into_iter().filter_map(one).collect()
}

fn exchange_port(links: &Links, row: &ConnectionRow) -> Option<Finding> {
    if &*row.role != "exchange" {
        return None;
    }
    let capacity = loads(links, row).find_map(|load| load.capacity_bps).or(row.capacity_bps);
    let asked = "a port of 10 Gbit/s".to_owned();
    Some(Finding::of("port at the exchange", &row.connection, asked, capacity, |bps| {
        (bps >= EXCHANGE_PORT_BPS, format!("{} Gbit/s", bps as f64 / 1e9))
    }))
}

/// Rules of whole peerings: two connections to two routers, and how much traffic there is to be.
fn of_peerings(links: &Links, peerings: &[&ConnectionRow], settings: &ReportSettings) -> Vec<Finding> {
    let mut by_peering: BTreeMap<String, Vec<&ConnectionRow>> = BTreeMap::new();
    for row in peerings {
        let name = row.peering.clone().or_else(|| row.location.clone()).unwrap_or_else(|| row.connection.clone());
        by_peering.entry(format!("{name} ({})", row.role)).or_default().push(row);
    }
    let mut findings = Vec::new();
    for (name, rows) in &by_peering {
        let is_direct = rows.iter().all(|row| &*row.role == "direct");
        if is_direct {
            findings.push(two_routers(name, rows));
        }
        let p95 = p95_of(links, rows);
        if is_direct {
            let least = settings.direct_least_mbps as f64;
            findings.push(Finding::of("minimum traffic", name, format!("at least {least:.0} Mbit/s"), p95, |mbps| {
                (mbps >= least, format!("95th percentile {mbps:.0} Mbit/s"))
            }));
        } else {
            let (least, most) = (settings.exchange_least_mbps as f64, settings.exchange_most_mbps as f64);
            let asked = format!("{least:.0} to {most:.0} Mbit/s; above that, Direct");
            findings.push(Finding::of("traffic at an exchange", name, asked, p95, |mbps| {
                ((least..=most).contains(&mbps), format!("95th percentile {mbps:.0} Mbit/s"))
            }));
        }
    }
    findings
}

/// 95th percentile of several connections together in the larger direction, Mbit/s; moments in which one is not known are left out.
fn p95_of(links: &Links, rows: &[&ConnectionRow]) -> Option<f64> {
    let of_direction = |direction: Direction| {
        let loads: Vec<&Load> = rows.iter().filter_map(|row| links.loads.get(&row.connection, direction)).collect();
        let steps = loads.first()?.mean_bps.len();
        let mut sums: Vec<f64> = (0..steps).map(|step| loads.iter().map(|load| load.mean_bps[step]).sum()).collect();
        measure::judge::percentile(&mut sums, 0.95)
    };
    Direction::ALL.into_iter().filter_map(of_direction).reduce(f64::max).map(|bps| bps / 1e6)
}

fn two_routers(name: &str, rows: &[&ConnectionRow]) -> Finding {
    let (rule, asked) = ("two connections", "two active connections, to two Microsoft routers");
    let active: Vec<&&ConnectionRow> = rows.iter().filter(|row| is_active(row)).collect();
    let routers: BTreeSet<&str> = active.iter().filter_map(|row| router(row.azure_tracking_id.as_deref()?)).collect();
    let are_all_known = active.iter().all(|row| row.azure_tracking_id.as_deref().and_then(router).is_some());
    if active.len() < 2 {
        let figure = format!("{} active", active.len());
        return Finding::of(rule, name, asked.to_owned(), Some(()), |()| (false, figure));
    }
    let figure = format!("{} active, to {}", active.len(), routers.iter().copied().collect::<Vec<_>>().join(", "));
    let known = are_all_known.then_some(());
    match known {
        Some(()) => Finding::of(rule, name, asked.to_owned(), known, |()| (routers.len() >= 2, figure)),
        None => Finding::cannot_know(rule, name, asked, &format!("{} active; the inventory names no routers", active.len())),
    }
}

/// Microsoft's router in a tracking number: `FRA-96CBE-1A-0001` is of `FRA-96CBE-1A`.
fn router(tracking_id: &str) -> Option<&str> {
    tracking_id.rsplit_once('-').map(|(router, _)| router).filter(|router| router.contains('-'))
}

/// Whether what a connection carries stays in its metro if it fails, and is held there.
fn failover(links: &Links, networks: &Networks, options: &Options) -> Vec<Finding> {
    let full = options.settings.full_percent as f64 / 100.0;
    let (rule, asked) = ("local failover", format!("the metro holds it at up to {:.0} %", full * 100.0));
    let failures = networks.by_connection();
    let active = links.peerings().into_iter().filter(|row| is_active(row));
    let one = |row: &ConnectionRow| {
        if row.location.is_none() {
            return Finding::cannot_know(rule, &row.connection, &asked, "its location is not known");
        }
        let outcomes = failures.get(&row.connection).map(|(_, outcomes)| outcomes);
        let leaves = |outcome: &Outcome| outcome.leaves_metro.map_or(0.0, |leaves| leaves.most_bps) + outcome.to_transit.most_bps;
        let leaving = outcomes.iter().flat_map(|outcomes| outcomes.iter().flatten()).map(leaves).fold(0.0, f64::max);
        if leaving > 0.0 {
            let figure = format!("up to {:.0} Mbit/s leave the metro or go to transit", leaving / 1e6);
            return Finding::of(rule, &row.connection, asked.clone(), Some(()), |()| (false, figure));
        }
        let worst = outcomes.and_then(|outcomes| networks.fullest(outcomes));
        if worst.as_ref().is_some_and(|worst| worst.holds(full).is_none()) {
            return Finding::cannot_know(rule, &row.connection, &asked, "one direction alone is known");
        }
        Finding::of(rule, &row.connection, asked.clone(), worst, |worst| {
            (worst.ratio <= full, format!("{} at {:.0} %", worst.name, worst.ratio * 100.0))
        })
    };
    active.map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracking_numbers_name_routers() {
        for (tracking_id, expected) in [("FRA-96CBE-1A-0001", Some("FRA-96CBE-1A")), ("0001", None), ("A-1", None)] {
            assert_eq!(router(tracking_id), expected, "{tracking_id}");
        }
    }
}
