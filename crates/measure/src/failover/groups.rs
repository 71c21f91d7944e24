//! What moved by service, region and customer, and latency before and after.
//!
//! Windows of 300 s know groups: the last whole one before an event is set against the first whole one after loads were
//! steady again. What does not last so long is told without groups.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use model::latency::{Method, Span};
use model::tables::Moved;
use model::time::{BIN_US, DETAIL_WINDOW_US, SECOND_US, WINDOW_US, slot_start_us};
use model::{Direction, Name};
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::{Failovers, is_watched, rows};
use crate::estimate::Estimate;
use crate::latency::Histogram;
use crate::link_rows::Learned;
use crate::owner::Owner;

/// Groups of an event that are told of, those that lost most.
const GROUPS_MOST: usize = 32;
/// A group that had less than this share of what fell is not told of, nor who took less of a group's.
const SHARE_LEAST: f64 = 0.02;
/// Standard errors from which what a link took of a group is beyond doubt.
const TOOK_ERRORS: f64 = 2.0;
/// Over how long latency is told before and after.
const LATENCY_US: i64 = 600 * SECOND_US;

/// What links carried of a group in 300 s: IP bytes and their variance by sampling.
type Loads = BTreeMap<Name, BTreeMap<u32, (f64, f64)>>;

/// How things were before an event; held until they can be compared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Earlier {
    loads: Loads,
    /// By which method, of which span, and its median.
    latency: Option<(Method, Span, i64)>,
}

/// What an event moved by group, and what latency did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Grouped {
    pub(crate) moved: Vec<Moved>,
    pub(crate) p50_before_us: Option<i64>,
    pub(crate) p50_after_us: Option<i64>,
}

impl Owner {
    /// Tells events apart by group, as soon as their windows are there.
    pub(crate) fn group(&self, failovers: &mut Failovers, now_us: i64) {
        for event in &mut failovers.events {
            if let Some(direction) = event.direction.filter(|_| !event.is_wide() && event.grouped.is_none()) {
                self.group_event(event, direction, now_us);
            }
        }
    }

    fn group_event(&self, event: &mut Event, direction: Direction, now_us: i64) {
        let start_us = event.start * BIN_US;
        if event.earlier.is_none() {
            let window_us = slot_start_us(start_us, DETAIL_WINDOW_US) - DETAIL_WINDOW_US;
            let mut loads = self.group_loads(window_us, direction);
            let fallen = |(_, links): &(Name, BTreeMap<u32, (f64, f64)>)| carried(links, event).0;
            let mut by_size: Vec<_> = std::mem::take(&mut loads).into_iter().filter(|group| fallen(group) > 0.0).collect();
            by_size.sort_by(|a, b| fallen(b).total_cmp(&fallen(a)).then_with(|| a.0.cmp(&b.0)));
            loads.extend(by_size.into_iter().take(GROUPS_MOST));
            let links: BTreeSet<u32> = event.fallen.keys().copied().collect();
            let latency = self.median(&links, start_us - LATENCY_US..slot_start_us(start_us, WINDOW_US), None);
            event.earlier = Some(Earlier { loads, latency });
        }
        let (Some(settled), true) = (event.settled, event.account.is_some()) else { return };
        let settled_us = (settled + 1) * BIN_US;
        let until_us = event.ended.map_or(i64::MAX, |bin| bin * BIN_US);
        let after_us = slot_start_us(settled_us + DETAIL_WINDOW_US - 1, DETAIL_WINDOW_US);
        let end_us = after_us + DETAIL_WINDOW_US;
        let has_come =
            end_us + self.timeouts_us().last().copied().unwrap_or(0) + self.settings.grace_seconds * SECOND_US <= now_us;
        if end_us <= until_us && !has_come {
            return;
        }
        let earlier = event.earlier.take().unwrap_or_default();
        let moved = if end_us <= until_us { self.moved(event, direction, &earlier.loads, after_us) } else { Vec::new() };
        let takers = event.account.iter().flat_map(|account| &account.shares).filter(|share| rows::took(share));
        let takers: BTreeSet<u32> = takers.map(|share| share.link).collect();
        let after = slot_start_us(settled_us + WINDOW_US - 1, WINDOW_US)..until_us.min(settled_us + LATENCY_US);
        let of = earlier.latency.map(|(method, span, _)| (method, span));
        event.grouped = Some(Grouped {
            moved,
            p50_before_us: earlier.latency.map(|(_, _, us)| us),
            p50_after_us: self.median(&takers, after, of).map(|(_, _, us)| us),
        });
        event.is_dirty = true;
    }

    /// What links of a direction carried of each group in 300 s.
    fn group_loads(&self, window_us: i64, direction: Direction) -> Loads {
        let mut loads = Loads::new();
        let Some(window) = self.state.details.get(&window_us) else { return loads };
        let learned = Learned::of(self, window_us, window_us + DETAIL_WINDOW_US);
        let names = &self.state.names;
        for (way, link) in window.links.iter().filter(|(way, _)| way.1 == direction && is_watched(self.link(way.0))) {
            let Some(view) = learned.view(*way) else { continue };
            let relative_variance = learned.relative_variance(*way, view);
            let mut add = |group: Name, estimate: Estimate| {
                let held = loads.entry(group).or_default().entry(way.0).or_insert((0.0, 0.0));
                held.0 += estimate.bytes;
                held.1 += estimate.variance;
            };
            for (item, by_scale) in link.traffic.by_item(view) {
                let tag = item.filter(|item| item.tag != 0).map(|item| &names.tags[item.tag as usize]);
                let service = tag.and_then(|tag| tag.service.as_ref()).map(|name| format!("service {name}"));
                let group = service.or_else(|| tag?.region.as_ref().map(|name| format!("region {name}")));
                if let Some(group) = group {
                    add(group.into(), Estimate::of(&by_scale, relative_variance));
                }
            }
            for (number, by_scale) in link.customers.by_item(view) {
                let customer = number.map_or(0, |number| window.prefixes.item(number).customer);
                if customer != 0 {
                    let group = format!("customer {}", names.customers[customer as usize]);
                    add(group.into(), Estimate::of(&by_scale, relative_variance));
                }
            }
        }
        loads
    }

    /// Who took how much of each group.
    fn moved(&self, event: &Event, direction: Direction, before: &Loads, after_us: i64) -> Vec<Moved> {
        let after = self.group_loads(after_us, direction);
        let nothing = BTreeMap::new();
        let of_window = |bytes: f64| bytes * 8.0 / (DETAIL_WINDOW_US / SECOND_US) as f64;
        let least = SHARE_LEAST * event.fallen.values().sum::<f64>();
        let mut moved = Vec::new();
        for (group, was) in before {
            let is = after.get(group).unwrap_or(&nothing);
            let (had, has) = (carried(was, event), carried(is, event));
            let (lost, lost_variance) = (had.0 - has.0, had.1 + has.1);
            if lost <= 0.0 || of_window(lost) < least {
                continue;
            }
            for (link, (bytes, variance)) in is.iter().filter(|(link, _)| !event.fallen.contains_key(link)) {
                let (earlier, earlier_variance) = was.get(link).copied().unwrap_or((0.0, 0.0));
                let share = (bytes - earlier) / lost;
                let error = (variance + earlier_variance + share * share * lost_variance).sqrt() / lost;
                if share >= SHARE_LEAST && share >= TOOK_ERRORS * error {
                    moved.push(Moved {
                        connection: self.link(*link).name.clone(),
                        direction: Name::from(direction.name()),
                        ip_version: None,
                        group: Some(group.clone()),
                        bps: of_window(bytes - earlier),
                        share: Some(share),
                        share_error: Some(error),
                    });
                }
            }
        }
        moved.truncate(self.judging.settings.moved_rows_max);
        moved
    }

    /// The median latency of links, of a method and span or of those with most measurements.
    fn median(&self, links: &BTreeSet<u32>, span_us: Range<i64>, of: Option<(Method, Span)>) -> Option<(Method, Span, i64)> {
        if span_us.is_empty() {
            return None;
        }
        let mut all: BTreeMap<(Method, Span), Histogram> = BTreeMap::new();
        for window in self.state.windows.range(span_us).map(|(_, window)| window) {
            for (key, values) in window.latency.values.iter().filter(|(key, _)| links.contains(&key.link)) {
                all.entry((key.method, key.span)).or_default().add(&values.histogram);
            }
        }
        let found = match of {
            Some(of) => all.get(&of).map(|histogram| (of, histogram)),
            None => all.iter().max_by_key(|(_, histogram)| histogram.count()).map(|(of, histogram)| (*of, histogram)),
        };
        found.and_then(|((method, span), histogram)| Some((method, span, histogram.quantile_us(0.5)?)))
    }
}

/// What the fallen carry, and its variance.
fn carried(links: &BTreeMap<u32, (f64, f64)>, event: &Event) -> (f64, f64) {
    let fallen = links.iter().filter(|(link, _)| event.fallen.contains_key(link));
    fallen.fold((0.0, 0.0), |sum, (_, load)| (sum.0 + load.0, sum.1 + load.1))
}
