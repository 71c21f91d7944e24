//! How full ports are: saturation, the line of Microsoft's policy, lost members, and leaks on transit.

use std::collections::BTreeMap;

use model::Role;
use model::time::BIN_US;

use crate::alert::Subject;
use crate::average::{Average, bins_in, judged, over, shortest};
use crate::finding::{Finding, called, rate};
use crate::kind::Kind;
use crate::observed::{Load, Observed};
use crate::rule::{Rules, Scope};
use crate::settings::AlertSettings;

/// Bins over which what is no emergency is averaged: five minutes.
const LONG_BINS: usize = 30;

pub(super) fn find(observed: &Observed, rules: &Rules, settings: &AlertSettings, found: &mut Vec<Finding>) {
    let now_us = observed.now_us;
    for port in &observed.ports {
        found.push(saturation(port, Scope::Port, now_us, settings));
        found.extend(capacity_lost(port, now_us));
        if port.is_active && port.is_peering() {
            found.push(policy_line(port, now_us));
        }
    }
    if rules.has_scope(Scope::Connection) {
        found.extend(observed.links.iter().map(|link| saturation(link, Scope::Connection, now_us, settings)));
    }
    for scope in [Scope::Location, Scope::Role].into_iter().filter(|scope| rules.has_scope(*scope)) {
        found.extend(sums(&observed.ports, scope).iter().map(|sum| saturation(sum, scope, now_us, settings)));
    }
    for link in observed.links.iter().filter(|link| link.subject.role == Some(Role::Transit)) {
        found.push(leak(link, now_us));
    }
}

fn saturation(load: &Load, scope: Scope, now_us: i64, settings: &AlertSettings) -> Finding {
    let most = bins_in(settings.average_seconds_max);
    let average = load.capacity_bps.and_then(|capacity| {
        let error_most = capacity * settings.error_percent as f64 / 100.0;
        shortest(&load.bins[..judged(load, now_us)?], most, |error_bps| 2.0 * error_bps <= error_most)
    });
    Finding { scope, ..filled(Kind::Saturation, load, average, now_us) }
}

fn policy_line(load: &Load, now_us: i64) -> Finding {
    let average = judged(load, now_us).and_then(|end| over(&load.bins[..end], LONG_BINS));
    let mut finding = filled(Kind::PolicyLine, load, average, now_us);
    finding.text.push_str("; Microsoft's policy asks for an upgrade from 50 % on");
    finding
}

/// A load over its capacity, in percent.
fn filled(kind: Kind, load: &Load, average: Option<Average>, now_us: i64) -> Finding {
    let subject = load.subject.clone();
    let name = called(&subject);
    match average.zip(load.capacity_bps.filter(|capacity| *capacity > 0.0)) {
        Some((average, capacity)) => {
            let percent = |bps: f64| bps / capacity * 100.0;
            let (value, error) = (percent(average.bps), percent(average.error_bps));
            let seconds = average.bins * 10;
            let sure = if error > 0.0 { format!(" (± {:.1})", 2.0 * error) } else { String::new() };
            let text = format!("{name} is {value:.1} %{sure} full over {seconds} s: {} of {}", rate(average.bps), rate(capacity));
            let span_us = average.bins as i64 * BIN_US;
            Finding { span_us, ..Finding::new(kind, subject, average.end_us, Some(value), text).with_error(error) }
        }
        None => Finding::new(kind, subject, now_us, None, format!("{name}: its load or capacity is not known")),
    }
}

fn capacity_lost(port: &Load, now_us: i64) -> Option<Finding> {
    let (up, total) = port.members.filter(|(_, total)| *total > 0)?;
    // Once for a port, not for each direction of it.
    let subject = Subject { direction: None, ..port.subject.clone() };
    if port.subject.direction != Some(model::Direction::FromMicrosoft) {
        return None;
    }
    let lost = (total - up).max(0);
    let text = format!("{}: {lost} of {total} members are down", called(&subject));
    Some(Finding::new(Kind::CapacityLost, subject, now_us, Some(lost as f64 / total as f64 * 100.0), text))
}

fn leak(link: &Load, now_us: i64) -> Finding {
    let subject = link.subject.clone();
    let name = called(&subject);
    match judged(link, now_us).and_then(|end| over(&link.bins[..end], LONG_BINS)) {
        Some(average) => {
            let text = format!("{name} carries {} of Microsoft's traffic past the peerings", rate(average.bps));
            Finding::new(Kind::TransitLeak, subject, average.end_us, Some(average.bps / 1e6), text)
                .with_error(average.error_bps / 1e6)
        }
        None => Finding::new(Kind::TransitLeak, subject, now_us, None, format!("{name}: its load is not known")),
    }
}

/// Ports of a metro or role together: where one's load or capacity is unknown, so is the sum.
fn sums(ports: &[Load], scope: Scope) -> Vec<Load> {
    let mut sums: BTreeMap<Subject, Load> = BTreeMap::new();
    for port in ports.iter().filter(|port| port.is_active && port.is_peering()) {
        let Subject { direction, location, role, .. } = port.subject.clone();
        let subject = match scope {
            Scope::Location if location.is_none() => continue,
            Scope::Location => Subject { direction, location, ..Subject::default() },
            _ => Subject { direction, role, ..Subject::default() },
        };
        match sums.get_mut(&subject) {
            Some(sum) => add(sum, port),
            None => {
                sums.insert(subject.clone(), Load { subject, ..port.clone() });
            }
        }
    }
    sums.into_values().collect()
}

fn add(sum: &mut Load, port: &Load) {
    sum.capacity_bps = sum.capacity_bps.zip(port.capacity_bps).map(|(sum, port)| sum + port);
    sum.timeout_us = sum.timeout_us.max(port.timeout_us);
    for (sum, bin) in sum.bins.iter_mut().zip(&port.bins) {
        let loads = sum.load().zip(bin.load());
        // What is judged is one value with one error, wherever its parts are from.
        *sum = crate::observed::Bin {
            start_us: sum.start_us,
            wire_bps: loads.map(|((a, _), (b, _))| a + b),
            standard_error_bps: loads.map(|((_, a), (_, b))| (a + b).sqrt()),
            is_mature: loads.is_some(),
            ..crate::observed::Bin::default()
        };
    }
}
