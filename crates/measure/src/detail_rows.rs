//! Rows of `traffic` and `prefixes`: IP bytes of a link by tag and by prefix.

use hashbrown::HashMap;
use model::tables::{PrefixRow, TrafficRow};
use model::time::{DETAIL_WINDOW_US, SECOND_US};
use model::{Name, Role};

use crate::cell_key::End;
use crate::estimate::Estimate;
use crate::kept::{ByItem, DetailWindow, Numbered, PrefixItem, TrafficItem};
use crate::link_rows::{Learned, signed};
use crate::names::Names;
use crate::owner::Owner;
use crate::publish::Stage;
use crate::window::Way;

/// The rest of a window, beside the rows that are kept.
const OTHER: &str = "other";
/// What no list knows, on a Direct connection.
const UNATTRIBUTED: &str = "unattributed";
/// A prefix that neither lists nor exporter tell.
const UNKNOWN: &str = "unknown";

impl Owner {
    /// The rows of a detail window; before it is final of those links alone that are mature.
    ///
    /// What has a row is chosen when a link's rows are made for the first time.
    pub(crate) fn detail_rows(&mut self, window_us: i64, now_us: i64, stage: Stage) -> (Vec<TrafficRow>, Vec<PrefixRow>) {
        let (mut traffic, mut prefixes) = (Vec::new(), Vec::new());
        let Some(mut window) = self.state.details.remove(&window_us) else { return (traffic, prefixes) };
        let learned = Learned::of(self, window_us, window_us + DETAIL_WINDOW_US);
        let end_us = window_us + DETAIL_WINDOW_US;
        let DetailWindow { links, prefixes: items, .. } = &mut window;
        let mut texts = Texts::new();
        for (way, link) in links {
            let is_mature = self.is_mature(&self.state.link_covers, *way, window_us, end_us, now_us);
            if stage == Stage::Mature && !is_mature {
                continue;
            }
            let Some(view) = learned.view(*way) else { continue };
            let before = link.cells();
            link.traffic.choose(view, self.settings.tags_kept, |item| traffic_order(&self.state.names, item));
            for kept in [&mut link.customers, &mut link.microsoft] {
                kept.choose(view, self.settings.prefixes_kept, |number| prefix_order(&self.state.names, items.item(*number)));
            }
            self.state.cells = self.state.cells + link.cells() - before;
            let relative_variance = learned.relative_variance(*way, view);
            let exporters = self.state.link_covers.exporters(*way, Some(view), end_us - 1, DETAIL_WINDOW_US);
            let coverage = self.coverage(&exporters, window_us, end_us);
            let direction = Name::from(way.1.name());
            let of = Of { owner: self, window_us, way: *way, direction, relative_variance, coverage };
            of.traffic(&link.traffic.by_item(view), &mut traffic);
            of.prefixes(End::Customer, &link.customers.by_item(view), (items, &mut texts), &mut prefixes);
            of.prefixes(End::Microsoft, &link.microsoft.by_item(view), (items, &mut texts), &mut prefixes);
        }
        self.state.details.insert(window_us, window);
        // In place: there are tens of thousands.
        traffic.sort_unstable_by(|a, b| traffic_key(a).cmp(&traffic_key(b)));
        prefixes.sort_unstable_by(|a, b| prefix_key(a).cmp(&prefix_key(b)));
        (traffic, prefixes)
    }
}

/// Ties between tags: by what they say, so that numbers given in the order of arrival do not matter.
fn traffic_order(names: &Names, item: &TrafficItem) -> (model::Tag, u32, u8) {
    (names.tags[item.tag as usize].clone(), item.asn, item.ip_version)
}

fn prefix_order(names: &Names, item: &PrefixItem) -> (Option<model::Prefix>, u32, Name) {
    (item.prefix, item.asn, names.customers[item.customer as usize].clone())
}

fn traffic_key(row: &TrafficRow) -> impl Ord + '_ {
    (
        &row.connection,
        &row.direction,
        row.ip_version,
        &row.service,
        &row.region,
        row.origin_asn,
        &row.tag_source,
        &row.tag_version,
    )
}

fn prefix_key(row: &PrefixRow) -> impl Ord + '_ {
    (&row.connection, &row.direction, &row.side, &row.prefix, row.asn, &row.customer)
}

/// Texts of prefixes by the window's numbers, each made once: many links have the same.
struct Texts {
    prefixes: HashMap<u32, Name>,
    other: Name,
    unknown: Name,
}

impl Texts {
    fn new() -> Texts {
        Texts { prefixes: HashMap::new(), other: Name::from(OTHER), unknown: Name::from(UNKNOWN) }
    }

    /// The text of an item's prefix; of the rest without an item.
    fn prefix(&mut self, number: Option<u32>, items: &Numbered) -> Name {
        let Some(number) = number else { return self.other.clone() };
        match items.item(number).prefix {
            Some(prefix) => self.prefixes.entry(number).or_insert_with(|| prefix.to_string().into()).clone(),
            None => self.unknown.clone(),
        }
    }
}

/// A link and direction in a detail window.
struct Of<'a> {
    owner: &'a Owner,
    window_us: i64,
    way: Way,
    direction: Name,
    relative_variance: f64,
    coverage: Option<f64>,
}

impl Of<'_> {
    fn traffic(&self, by_item: &ByItem<TrafficItem>, rows: &mut Vec<TrafficRow>) {
        let names = &self.owner.state.names;
        let link = self.owner.link(self.way.0);
        rows.reserve(by_item.len());
        for (item, by_scale) in by_item {
            let estimate = Estimate::of(by_scale, self.relative_variance);
            let tag = item.map(|item| &names.tags[item.tag as usize]);
            let is_tagged = item.is_some_and(|item| item.tag != 0);
            let service = match item {
                None => Some(Name::from(OTHER)),
                Some(_) if !is_tagged && link.role == Role::Direct => Some(Name::from(UNATTRIBUTED)),
                Some(_) => tag.and_then(|tag| tag.service.clone()),
            };
            rows.push(TrafficRow {
                window_start: self.window_us.into(),
                window_seconds: DETAIL_WINDOW_US / SECOND_US,
                connection: link.name.clone(),
                direction: self.direction.clone(),
                ip_version: item.map(|item| i64::from(item.ip_version)),
                service,
                region: tag.and_then(|tag| tag.region.clone()),
                origin_asn: item.and_then(|item| asn(item.asn)),
                tag_source: tag.filter(|_| is_tagged).map(|tag| tag.source.clone()),
                tag_version: tag.and_then(|tag| tag.version.clone()),
                records: signed(estimate.records),
                samples: signed(estimate.samples),
                bytes_exported: signed(estimate.bytes_exported),
                packets_exported: signed(estimate.packets_exported),
                bytes_estimated: estimate.known(estimate.bytes),
                packets_estimated: estimate.known(estimate.packets),
                bytes_standard_error: estimate.known(estimate.standard_error()),
                bytes_unknown_rate: signed(estimate.bytes_unknown_rate),
                coverage_ratio: self.coverage,
            });
        }
    }

    fn prefixes(&self, end: End, by_item: &ByItem<u32>, (items, texts): (&Numbered, &mut Texts), rows: &mut Vec<PrefixRow>) {
        let names = &self.owner.state.names;
        let (connection, side) = (&self.owner.link(self.way.0).name, Name::from(end.name()));
        rows.reserve(by_item.len());
        for (number, by_scale) in by_item {
            let estimate = Estimate::of(by_scale, self.relative_variance);
            let item = number.map(|number| items.item(number));
            rows.push(PrefixRow {
                window_start: self.window_us.into(),
                window_seconds: DETAIL_WINDOW_US / SECOND_US,
                connection: connection.clone(),
                direction: self.direction.clone(),
                side: side.clone(),
                prefix: texts.prefix(*number, items),
                customer: item.filter(|item| item.customer != 0).map(|item| names.customers[item.customer as usize].clone()),
                asn: item.and_then(|item| asn(item.asn)),
                bytes_exported: signed(estimate.bytes_exported),
                bytes_estimated: estimate.known(estimate.bytes),
                packets_estimated: estimate.known(estimate.packets),
                bytes_standard_error: estimate.known(estimate.standard_error()),
            });
        }
    }
}

fn asn(number: u32) -> Option<i64> {
    (number != 0).then_some(i64::from(number))
}
