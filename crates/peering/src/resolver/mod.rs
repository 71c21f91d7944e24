//! Records to links and ports, each counted once.
//!
//! A record has two legs: it entered over its input interface and left over its output interface.
//! Each leg is resolved alone by the rule of its interface ([`Rule`]): what enters comes from
//! Microsoft, what leaves goes there. Where the output interface is not a configured one the next
//! hop may name the connection instead, also one of another router.

pub(crate) mod ends;
pub(crate) mod exporter;
mod learn;
mod legs;
mod paths;
pub(crate) mod selector;
mod twins;

use std::sync::Arc;

use hashbrown::HashMap;
use model::ledger::RecordRefusal;
use model::link::{CounterPlacement, Directory};
use model::tag::TagNames;
use model::{Address, Attribution, Batch, Direction, Ledger, MatchedBy, Metering, Placement, Placements, Record, View};

use self::ends::Ends;
use self::exporter::{ABSENT, ExporterState};
use self::legs::Hop;
use self::paths::{Path, Paths, Step, Way};
use self::twins::Twins;
use crate::inventory::{Inventory, NONE, Rule};

/// Microsoft's AS for ExpressRoute: never to be seen on a peering.
const EXPRESS_ROUTE_ASN: u32 = 12_076;

/// Records of fewer bytes are not looked at for an impossible rate.
const LARGE_BYTES: u64 = 16 << 20;
/// Time that a record may have taken beyond what it says: devices round.
const RATE_GRACE_US: i64 = 1_000_000;

/// Resolves the records of one worker; grows with the interfaces that it sees, within bounds.
#[derive(Debug)]
pub struct Resolver {
    inventory: Arc<Inventory>,
    directory: Directory,
    /// Records by link and direction.
    link_records: Vec<[u64; 2]>,
    exporters: Vec<ExporterState>,
    /// Exporter index + 1 by the decoder's number.
    exporter_by_id: Vec<u32>,
    exporter_by_address: HashMap<Address, u32>,
    twins: Twins,
    paths: Paths,
    /// Links and ports made for interfaces that nobody configured.
    interface_links: usize,
}

/// Where a leg of a record counts.
#[derive(Clone, Copy, Debug)]
struct Place {
    link: u32,
    view: View,
    matched_by: MatchedBy,
}

/// One leg of a record.
#[derive(Clone, Copy, Debug)]
struct Leg {
    exporter: usize,
    slot: usize,
    view: View,
}

impl Resolver {
    /// A resolver that starts with the links and ports of the inventory.
    pub fn new(inventory: Arc<Inventory>) -> Resolver {
        Resolver {
            directory: inventory.directory.clone(),
            link_records: vec![[0; 2]; inventory.directory.links.len()],
            exporters: Vec::new(),
            exporter_by_id: Vec::new(),
            exporter_by_address: HashMap::new(),
            twins: Twins::new(inventory.settings.twins_searched),
            paths: Paths::default(),
            interface_links: 0,
            inventory,
        }
    }

    /// Links and ports by the indexes of the placements; grows at the end only.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Places the records and counters of a batch; `attributions` are those of its records.
    ///
    /// Every record is counted in the ledger exactly once: attributed, not Microsoft's, or refused;
    /// the reverse half of a biflow was counted with its record. Learn the facts of the batch first.
    pub fn resolve(
        &mut self,
        batch: &Batch,
        names: &TagNames,
        attributions: &[Attribution],
        placements: &mut Placements,
        ledger: &mut Ledger,
    ) {
        debug_assert_eq!(batch.records.len(), attributions.len());
        placements.clear();
        let (mut attributed, mut not_microsoft) = (0, 0);
        for (index, (record, attribution)) in batch.records.iter().zip(attributions).enumerate() {
            if record.is_dropped {
                if !record.is_reverse {
                    ledger.refuse_record(RecordRefusal::Dropped);
                }
                continue;
            }
            if record.bytes > LARGE_BYTES && self.is_implausible(record) {
                if !record.is_reverse {
                    ledger.refuse_record(RecordRefusal::Implausible);
                }
                continue;
            }
            let ends = Ends::of(attribution, names);
            let is_placed = self.place(index as u32, record, attribution, ends, placements);
            let is_counted = u64::from(!record.is_reverse);
            // Not a branch: whose a record is is hard to foresee.
            let is_attributed = u64::from(is_placed | ends.source | ends.destination);
            attributed += is_counted & is_attributed;
            not_microsoft += is_counted & !is_attributed;
        }
        ledger.records_attributed += attributed;
        ledger.records_not_microsoft += not_microsoft;
        self.counters(batch, placements);
    }

    /// Whether a record has more bytes than either of its ports can have carried in its time, twice over.
    fn is_implausible(&mut self, record: &Record) -> bool {
        let exporter = self.exporter_index(record.exporter);
        let state = &mut self.exporters[exporter];
        let duration_us = record.end_us.saturating_sub(record.start_us).max(0).saturating_add(RATE_GRACE_US);
        let slots = [record.input, record.output].map(|interface| state.slot(interface));
        slots.into_iter().any(|slot| {
            let port = self.directory.ports.get(self.exporters[exporter].slots[slot].port as usize);
            let fastest =
                port.and_then(|port| [port.configured_bps, port.provisioned_bps, port.speed_bps].into_iter().flatten().max());
            fastest.is_some_and(|bps| u128::from(record.bytes) * 8 * 1_000_000 > 2 * u128::from(bps) * duration_us as u128)
        })
    }

    /// Places one record; says whether it counts on a link.
    #[inline]
    fn place(&mut self, index: u32, record: &Record, attribution: &Attribution, ends: Ends, placements: &mut Placements) -> bool {
        if Twins::may_have_twin(record) {
            return self.record(index, record, attribution, ends, placements);
        }
        let way = Way::of(record, ends);
        let Some(path) = self.paths.find(&way) else {
            return self.new_way(way, index, record, attribution, ends, placements);
        };
        path.records += 1;
        path.bytes = path.bytes.wrapping_add(record.bytes);
        let (is_placed, exporter, first) = (path.is_placed, path.step.exporter, placements.records.len());
        placements.records.extend(path.placements.iter().map(|placement| Placement { record: index, ..*placement }));
        if is_express_route(record, attribution) {
            let links = placements.records[first..].iter().filter(|placement| placement.is_on_link());
            links.for_each(|placement| self.note_express_route(exporter, placement.link, record, attribution));
        }
        is_placed
    }

    /// Places a record of a way that is not known, and remembers where it led if the next one is sure to go there too.
    #[cold]
    fn new_way(
        &mut self,
        way: Way,
        index: u32,
        record: &Record,
        attribution: &Attribution,
        ends: Ends,
        placements: &mut Placements,
    ) -> bool {
        let (first, links) = (placements.records.len(), self.directory.links.len());
        let is_placed = self.record(index, record, attribution, ends, placements);
        if self.directory.links.len() > links {
            // An interface has a link and a port now: ways over it lead there.
            self.forget_paths();
        }
        let exporter = self.exporter_index(record.exporter);
        let state = &mut self.exporters[exporter];
        let (input, output) = (state.slot(record.input), state.slot(record.output));
        if self.is_plain(record, ends, (exporter, input, output)) {
            let metering = match record.metering {
                Metering::Unstated => self.exporters[exporter].slots[input].metering,
                stated => stated,
            };
            let step = Step { exporter, input, output, metering, ends };
            let placements = placements.records[first..].to_vec();
            let before = self.paths.remember(Path { way, placements, is_placed, step, ..Path::default() });
            before.into_iter().for_each(|path| self.count(&path));
        }
        is_placed
    }

    /// Whether where a record counts depends on nothing but its way.
    fn is_plain(&self, record: &Record, ends: Ends, (exporter, input, output): (usize, usize, usize)) -> bool {
        let state = &self.exporters[exporter];
        let holder = state.plan.map_or(NONE, |plan| plan as u32);
        match (state.slots[input].rule, state.slots[output].rule) {
            (Rule::Select(_), _) | (_, Rule::Select(_)) => false,
            (_, Rule::All(_) | Rule::ByTag(_)) => true,
            _ => matches!(self.hop(record, ends, holder), Hop::Nothing),
        }
    }

    /// Counts what went a path, as [`Resolver::record`] counts each record.
    fn count(&mut self, path: &Path) {
        let &Path { step: Step { exporter, input, output, metering, ends }, records, bytes, .. } = path;
        let state = &mut self.exporters[exporter];
        state.records += records;
        state.slots[input].input_records += records;
        state.slots[output].output_records += records;
        state.metered[metering as usize] += records;
        if ends.source {
            state.slots[input].from_microsoft_bytes += bytes;
        }
        if ends.destination {
            state.slots[output].to_microsoft_bytes += bytes;
            state.to_microsoft_records += records;
            state.output_unknown_records += if output == ABSENT { records } else { 0 };
        }
        for placement in path.placements.iter().filter(|placement| placement.is_on_link()) {
            self.link_records[placement.link as usize][placement.direction as usize] += records;
        }
    }

    /// Forgets where records went, once it is counted: they may go elsewhere now.
    pub(super) fn forget_paths(&mut self) {
        self.paths.take().iter().for_each(|path| self.count(path));
    }

    /// The same by the rules; says whether it counts on a link.
    fn record(
        &mut self,
        index: u32,
        record: &Record,
        attribution: &Attribution,
        ends: Ends,
        placements: &mut Placements,
    ) -> bool {
        let exporter = self.exporter_index(record.exporter);
        let state = &mut self.exporters[exporter];
        let input = state.slot(record.input);
        let output = state.slot(record.output);
        state.records += 1;
        state.slots[input].input_records += 1;
        state.slots[output].output_records += 1;
        let (input_metering, output_metering) = match record.metering {
            Metering::Unstated => (state.slots[input].metering, state.slots[output].metering),
            stated => (stated, stated),
        };
        state.metered[input_metering as usize] += 1;
        if ends.source {
            state.slots[input].from_microsoft_bytes += record.bytes;
        }
        if ends.destination {
            state.slots[output].to_microsoft_bytes += record.bytes;
            state.to_microsoft_records += 1;
            state.output_unknown_records += u64::from(output == ABSENT);
        }
        let entering = Leg { exporter, slot: input, view: view_at(input_metering, Metering::Ingress) };
        let leaving = Leg { exporter, slot: output, view: view_at(output_metering, Metering::Egress) };
        let mut entered = self.entering(record, ends, entering);
        let mut left = self.leaving(record, ends, leaving, input);
        let mut views = (entering.view, leaving.view);
        if (entered.is_some() || left.is_some()) && Twins::may_have_twin(record) && self.twins.is_twin(record) {
            self.exporters[exporter].twins += 1;
            views = (no_better_than_other_port(views.0), no_better_than_other_port(views.1));
            for place in [&mut entered, &mut left].into_iter().flatten() {
                place.view = no_better_than_other_port(place.view);
            }
        }
        for (place, slot, view, direction) in
            [(entered, input, views.0, Direction::FromMicrosoft), (left, output, views.1, Direction::ToMicrosoft)]
        {
            // Only now, for the link of an interface comes with its port.
            let port = self.exporters[exporter].slots[slot].port;
            let port = Placement {
                record: index,
                link: Placement::NOWHERE,
                port: if port == NONE { Placement::NOWHERE } else { port },
                direction,
                view,
                matched_by: MatchedBy::Unresolved,
                is_through: ends.is_through,
            };
            let mut is_port_counted = !port.is_on_port();
            if let Some(Place { link, view, matched_by }) = place {
                let on_link = Placement { link, view, matched_by, ..port };
                is_port_counted |= view == port.view;
                placements.records.push(if is_port_counted {
                    on_link
                } else {
                    Placement { port: Placement::NOWHERE, ..on_link }
                });
                self.link_records[link as usize][direction as usize] += 1;
                self.note_express_route(exporter, link, record, attribution);
            }
            if !is_port_counted {
                placements.records.push(port);
            }
        }
        entered.is_some() || left.is_some()
    }

    /// Places the counters of interfaces on their ports.
    fn counters(&mut self, batch: &Batch, placements: &mut Placements) {
        for (index, counters) in batch.counters.iter().enumerate() {
            let exporter = self.exporter_index(counters.exporter);
            let state = &mut self.exporters[exporter];
            let slot = state.slot(counters.interface);
            let slot = &mut state.slots[slot];
            slot.counter_readings += 1;
            let is_configured = slot.counter_port != NONE;
            // The port of an interface that nobody configured has the counters of that interface.
            let port = if is_configured || slot.own_link == NONE { slot.counter_port } else { slot.port };
            let is_member = is_configured && slot.is_member;
            if let Some(speed_bps) = counters.speed_bps
                && speed_bps != slot.speed_bps
            {
                self.learn_speed(exporter, counters.interface, speed_bps);
            }
            if port != NONE {
                placements.counters.push(CounterPlacement { counters: index as u32, port, is_member });
            }
        }
    }

    /// AS12076 at an end, on a connection with Microsoft: the route should never have been taken.
    fn note_express_route(&mut self, exporter: usize, link: u32, record: &Record, attribution: &Attribution) {
        if is_express_route(record, attribution) && !self.is_by_tag(link) {
            self.exporters[exporter].as12076_records += 1;
        }
    }
}

#[inline]
fn is_express_route(record: &Record, attribution: &Attribution) -> bool {
    record.source_asn == EXPRESS_ROUTE_ASN
        || record.destination_asn == EXPRESS_ROUTE_ASN
        || attribution.source.asn == EXPRESS_ROUTE_ASN
        || attribution.destination.asn == EXPRESS_ROUTE_ASN
}

/// The view of a leg whose own port meters as `own`.
#[inline]
fn view_at(metering: Metering, own: Metering) -> View {
    match metering {
        Metering::Unstated => View::Unstated,
        metering if metering == own => View::OwnPort,
        _ => View::OtherPort,
    }
}

fn no_better_than_other_port(view: View) -> View {
    view.max(View::OtherPort)
}

#[cfg(test)]
mod tests;
