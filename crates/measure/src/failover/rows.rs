//! Rows of `failovers`, and the evidence in words.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use model::tables::{FailoverRow, Moved};
use model::time::{BIN_US, SECOND_US};
use model::{Direction, Name};

use super::Links;
use super::account::{Account, Share};
use super::event::Event;
use super::kinds::Kind;
use super::plan::Plans;
use super::track::Part;

/// A link that took less than this share of the fall, or not beyond doubt, did not take part.
const TOOK_LEAST: f64 = 0.02;
/// Links that took less are not listed.
const LISTED_LEAST: f64 = 0.01;
/// Standard errors from which what a link took is beyond doubt.
const TOOK_ERRORS: f64 = 2.0;

/// Each event as it was told last, by its id; rows come in any order.
pub fn last_told(rows: impl IntoIterator<Item = FailoverRow>) -> Vec<FailoverRow> {
    let mut last: BTreeMap<Name, FailoverRow> = BTreeMap::new();
    for row in rows {
        if last.get(&row.event_id).is_none_or(|held| held.revision < row.revision) {
            last.insert(row.event_id.clone(), row);
        }
    }
    last.into_values().collect()
}

/// Whether a link took some of what fell.
pub(crate) fn took(share: &Share) -> bool {
    share.share >= TOOK_LEAST && share.share >= TOOK_ERRORS * share.error
}

fn name(links: Links<'_>, link: u32) -> Name {
    links.get(link as usize).map_or_else(|| Name::from("unknown"), |link| link.name.clone())
}

/// The same for the same event, whoever finds it and when.
fn event_id(event: &Event, links: Links<'_>) -> Name {
    let at = jiff::Timestamp::from_microsecond(event.start.saturating_mul(BIN_US)).unwrap_or_default();
    let at = at.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let direction = event.direction.map_or("port", Direction::name);
    let first = || event.fallen.keys().map(|link| name(links, *link)).min().unwrap_or_else(|| Name::from("unknown"));
    let what = match (&event.exchange, event.is_wide()) {
        (_, true) => Name::from("all"),
        (Some(exchange), _) => exchange.clone(),
        (None, false) => first(),
    };
    format!("{at}/{what}/{direction}").into()
}

/// The row of an event as it stands.
pub(crate) fn row(event: &Event, links: Links<'_>, plans: &Plans) -> FailoverRow {
    let mut connections: Vec<Name> = event.fallen.keys().map(|link| name(links, *link)).collect();
    connections.sort();
    let started_us = event.start.saturating_mul(BIN_US);
    let plan = plans.of(started_us, connections.iter().map(|name| &**name));
    let mut locations: Vec<_> = event.fallen.keys().filter_map(|link| links.get(*link as usize)?.location.clone()).collect();
    locations.dedup();
    let account = event.account.as_ref();
    let port = event.port.unwrap_or_default();
    let status = if event.is_closed {
        "closed"
    } else if event.ended.is_some() {
        "ended"
    } else {
        "open"
    };
    let capacity = |bps: Option<u64>| bps.map(|bps| i64::try_from(bps).unwrap_or(i64::MAX));
    let before: f64 = event.fallen.values().sum();
    let is_one = connections.len() == 1;
    FailoverRow {
        event_id: event_id(event, links),
        revision: event.revision,
        connection: connections.first().filter(|_| is_one).cloned(),
        direction: event.direction.map(|direction| Name::from(direction.name())),
        ip_version: event.part.ip_version(),
        kind: Name::from(event.kind.name()),
        evidence: evidence(event, links).into(),
        location: locations.first().filter(|_| locations.len() == 1).cloned(),
        started_at: started_us.into(),
        detected_at: event.detected_us.into(),
        ended_at: event.ended.map(|bin| (bin * BIN_US).into()),
        before_bps: event.direction.map(|_| account.map_or(before, |account| account.before_bps)),
        moved: moved(event, links),
        unaccounted_share: account.map(|account| account.unaccounted),
        unaccounted_error: account.map(|account| account.unaccounted_error),
        stayed_local_share: account.and_then(|account| account.local),
        to_transit_share: account.map(|account| account.to_transit),
        returned_share: event.returned_share,
        survivor_peak_utilisation: survivor_peak(event),
        p50_before_us: event.grouped.as_ref().and_then(|grouped| grouped.p50_before_us),
        p50_after_us: event.grouped.as_ref().and_then(|grouped| grouped.p50_after_us),
        flaps: event.flaps,
        planned: plan.is_some(),
        status: Name::from(status),
        connections,
        exchange: event.exchange.clone(),
        fallen_share: account.map(|account| account.fallen_share),
        standard_errors: event.direction.map(|_| event.errors),
        moved_seconds: event.direction.and(event.settled).map(|bin| (bin - event.start) * BIN_US / SECOND_US),
        capacity_before_bps: capacity(port.capacity_before_bps),
        capacity_after_bps: capacity(port.capacity_after_bps),
        planned_summary: plan.and_then(|plan| plan.summary.clone()),
    }
}

fn moved(event: &Event, links: Links<'_>) -> Vec<Moved> {
    let (Some(account), Some(direction)) = (&event.account, event.direction) else { return Vec::new() };
    let row = |share: &Share| Moved {
        connection: name(links, share.link),
        direction: Name::from(direction.name()),
        ip_version: event.part.ip_version(),
        group: None,
        bps: share.bps,
        share: Some(share.share),
        share_error: Some(share.error),
    };
    let mut rows: Vec<Moved> = account.shares.iter().filter(|share| share.share >= LISTED_LEAST).map(row).collect();
    rows.extend(event.grouped.iter().flat_map(|grouped| grouped.moved.iter().cloned()));
    rows
}

/// The busiest bin of the links that took some.
fn survivor_peak(event: &Event) -> Option<f64> {
    let shares = &event.account.as_ref()?.shares;
    let ratios = shares.iter().filter(|share| took(share)).filter_map(|share| event.utilisation.get(&share.link));
    ratios.copied().map(f64::from).max_by(f64::total_cmp)
}

/// What the judgement rests on, in words.
fn evidence(event: &Event, links: Links<'_>) -> String {
    let mut parts = Vec::new();
    if let Some(port) = event.port
        && let (Some(was), Some(is)) = (port.members_before, port.members_after)
    {
        parts.push(format!("{is} of {was} members are up"));
    }
    if event.was_port_down {
        parts.push("the port went down".to_owned());
    }
    if event.direction.is_some() {
        parts.extend(fall(event));
    }
    if event.was_silent {
        parts.push("its exporter fell silent at the same time, and others rose".to_owned());
    }
    if event.port_errors > 0 {
        parts.push(format!("{} errors of the interface in 10 s before", event.port_errors));
    }
    if event.is_wide() {
        parts.push(wide(event.account.as_ref(), event.kind).to_owned());
    }
    if let Some(together) = event.account.as_ref().map(|account| &account.together).filter(|links| !links.is_empty()) {
        let names: Vec<String> = together.iter().map(|link| name(links, *link).to_string()).collect();
        parts.push(format!("accounted for together with {}", names.join(", ")));
    }
    parts.join("; ")
}

fn fall(event: &Event) -> Option<String> {
    let share = event.account.as_ref().map_or(-event.change, |account| account.fallen_share).clamp(0.0, 1.0);
    let what = match event.part {
        Part::Whole => "",
        Part::V4 => "of IPv4 ",
        Part::V6 => "of IPv6 ",
    };
    let took = event.settled.map_or(String::new(), |bin| format!(" within {} s", ((bin - event.start) * 10).max(10)));
    Some(format!("{:.0} % {what}fell{took}, {:.0} standard errors", share * 100.0, event.errors))
}

fn wide(account: Option<&Account>, kind: Kind) -> &'static str {
    match (account.and_then(|account| account.others_ratio), kind) {
        (_, Kind::OwnDemand) => "all links fell, and other networks' traffic with them",
        (Some(_), _) => "all links fell, and other networks' traffic did not",
        (None, _) => "all links fell; nothing tells whether other networks' traffic did",
    }
}
