//! What the owner holds, and rows on their way, as the rules take it.

use std::collections::BTreeMap;

use alert::{Bin, ExporterMinute, ExpressRoute, FailureOutcome, Load, Observed, Subject};
use measure::judge::{Basis, Connection, Network, Place, Port, Standing};
use measure::{BinLoad, LinkSeries, Owner, PortSeries, Series};
use model::tables::{ExporterRow, TrafficRow};
use model::time::{SECOND_US, WINDOW_US, slot_start_us};
use model::{Direction, Link, Name, Publication, Role, Rows};

use super::history::{History, Of};
use super::usual::Usual;

/// Bins over which loads are averaged that a failure would move: five minutes.
const FAILURE_BINS: usize = 30;
/// How long what was told of a minute is called recent.
const RECENT_US: i64 = 3 * WINDOW_US;
/// The reason in `exporters` for which data of a template is not read.
const QUARANTINED: &str = "quarantined";
/// Exporters of which that is held.
const EXPORTERS_MOST: usize = 64;
/// ExpressRoute's AS.
const EXPRESS_ROUTE: i64 = 12_076;

/// Translates, and holds what came of rows since the last time.
#[derive(Default)]
pub(super) struct Observer {
    exporters: Vec<ExporterMinute>,
    express_routes: Vec<ExpressRoute>,
    history: History,
    pub(super) usual: Usual,
    /// Longest time that exporters hold flows, as seen last.
    timeout_us: i64,
    /// The minute in which failures were looked at last.
    failures_us: Option<i64>,
    /// End of the last minute in which the kernel dropped something.
    dropped_us: Option<i64>,
    /// The same in which an exporter's templates were quarantined, by exporter.
    quarantined_us: BTreeMap<Name, i64>,
}

impl Observer {
    /// Takes what rules judge out of rows.
    pub(super) fn look(&mut self, publication: &Publication) {
        match &publication.rows {
            Rows::Exporters(rows) => self.look_at_exporters(rows),
            Rows::Traffic(rows) => self.express_routes.extend(express_routes(rows)),
            Rows::Latency(rows) => self.usual.look(rows),
            _ => {}
        }
    }

    fn look_at_exporters(&mut self, rows: &[ExporterRow]) {
        let mut minutes: BTreeMap<&Name, (ExporterMinute, f64, f64)> = BTreeMap::new();
        for row in rows {
            let end_us = row.window_start.0 + row.window_seconds * SECOND_US;
            if row.kernel_drops > 0 {
                self.dropped_us = self.dropped_us.max(Some(end_us));
            }
            if row.refused.contains_key(QUARANTINED) && self.quarantined_us.len() < EXPORTERS_MOST {
                self.quarantined_us.insert(row.exporter.clone(), end_us);
            }
            let exporter = row.exporter.clone();
            let minute = ExporterMinute { exporter, end_us, datagrams: 0, coverage_ratio: None };
            let (minute, came, sent) = minutes.entry(&row.exporter).or_insert((minute, 0.0, 0.0));
            minute.datagrams += row.datagrams;
            // Of its domains each by what it sent.
            if let Some(ratio) = row.coverage_ratio.filter(|ratio| *ratio > 0.0) {
                *came += row.datagrams as f64;
                *sent += row.datagrams as f64 / ratio;
            }
        }
        let whole = |(minute, came, sent): (ExporterMinute, f64, f64)| {
            let coverage_ratio = (sent > 0.0).then(|| came / sent);
            ExporterMinute { coverage_ratio, ..minute }
        };
        self.exporters.extend(minutes.into_values().map(whole));
    }

    /// Whether the kernel dropped something in the last minutes.
    pub(super) fn kernel_drops(&self, now_us: i64) -> bool {
        self.dropped_us.is_some_and(|dropped_us| now_us - dropped_us < RECENT_US)
    }

    /// Exporters whose templates were quarantined in the last minutes.
    pub(super) fn quarantined(&mut self, now_us: i64) -> impl Iterator<Item = &Name> {
        self.quarantined_us.retain(|_, at_us| now_us - *at_us < RECENT_US);
        self.quarantined_us.keys()
    }

    /// Everything that is known now.
    pub(super) fn observe(&mut self, owner: &Owner, basis: &Basis, now_us: i64) -> Observed {
        let mut series = owner.series(self.history.ask_from(now_us, self.timeout_us), now_us, now_us);
        // Where the edge is configured, what it says is judged, and not whatever else sends.
        if series.links.iter().any(|link| link.link.is_active) {
            series.links.retain(|link| link.link.is_active);
        }
        let timeouts = series.links.iter().map(|link| link.timeout_us);
        self.timeout_us = timeouts.chain(series.ports.iter().map(|port| port.timeout_us)).max().unwrap_or(0);
        let links: Vec<Load> = series.links.iter().map(|link| link_load(link, &mut self.history)).collect();
        let (ports, covering) = ports(&series, &mut self.history);
        self.history.forget();
        let minute_us = slot_start_us(now_us, WINDOW_US);
        let are_failures_due = self.failures_us.replace(minute_us) != Some(minute_us);
        let failures = if are_failures_due { failures(&series, &links, &ports, basis) } else { Vec::new() };
        Observed {
            now_us,
            links,
            ports,
            exporters: std::mem::take(&mut self.exporters),
            covering,
            failures,
            express_routes: std::mem::take(&mut self.express_routes),
            latencies: self.usual.take(),
            ..Observed::default()
        }
    }

    /// Takes back what was judged.
    pub(super) fn take_back(&mut self, observed: Observed) {
        for load in observed.links {
            if let (Some(link), Some(direction)) = (load.subject.connection, load.subject.direction) {
                self.history.take_back(Of::Link(link, direction), load.bins);
            }
        }
        for load in observed.ports {
            if let (Some(port), Some(direction)) = (load.subject.port, load.subject.direction) {
                self.history.take_back(Of::Port(port, direction), load.bins);
            }
        }
    }
}

fn bin(load: &BinLoad) -> Bin {
    // What is known is bits on the link layer; the same share of the wire has the same relative error.
    let on_the_wire = load.wire_bps.zip(load.bps).map_or(1.0, |(wire, bps)| if bps > 0.0 { wire / bps } else { 1.0 });
    Bin {
        start_us: load.start_us,
        wire_bps: load.wire_bps,
        standard_error_bps: load.standard_error_bps.map(|error| error * on_the_wire),
        is_mature: load.is_mature,
        counter_wire_bps: load.counter_wire_bps,
        discards: load.counter_discards,
    }
}

fn link_load(series: &LinkSeries, history: &mut History) -> Load {
    let of = Of::Link(series.link.name.clone(), series.direction);
    Load {
        subject: Subject {
            connection: Some(series.link.name.clone()),
            direction: Some(series.direction),
            location: series.link.location.clone(),
            role: Some(series.link.role),
            ..Subject::default()
        },
        is_active: series.link.is_active,
        capacity_bps: series.capacity_bps.map(|bps| bps as f64),
        members: None,
        timeout_us: series.timeout_us,
        bins: history.join(&of, series.bins.iter().map(bin)),
    }
}

/// The ports that links ride, and the exporters that cover them.
fn ports(series: &Series, history: &mut History) -> (Vec<Load>, Vec<Name>) {
    let mut riding: BTreeMap<&Name, Vec<&LinkSeries>> = BTreeMap::new();
    let mut covering = Vec::new();
    for link in &series.links {
        if let Some(port) = &link.link.port {
            riding.entry(port).or_default().push(link);
        }
        covering.extend(link.link.exporters.iter().map(|exporter| Name::from(exporter.to_string())));
    }
    let mut ports = Vec::new();
    for port in &series.ports {
        if let Some(links) = riding.get(&port.port.name) {
            covering.push(port.port.exporter.to_string().into());
            ports.push(port_load(port, links, history));
        }
    }
    covering.sort_unstable();
    covering.dedup();
    (ports, covering)
}

fn port_load(series: &PortSeries, links: &[&LinkSeries], history: &mut History) -> Load {
    let of = Of::Port(series.port.name.clone(), series.direction);
    // What an exchange port carries besides the connections is no link that anybody speaks of.
    let mut named: Vec<&LinkSeries> = links.iter().copied().filter(|link| link.link.is_active).collect();
    named.sort_by_key(|link| (link.link.role, &link.link.name));
    let is_one = named.windows(2).all(|pair| pair[0].link.name == pair[1].link.name);
    let first = named.first().copied().or(links.first().copied());
    Load {
        subject: Subject {
            connection: named.first().filter(|_| is_one).map(|link| link.link.name.clone()),
            direction: Some(series.direction),
            port: Some(series.port.name.clone()),
            location: first.and_then(|link| link.link.location.clone()),
            role: Some(first.map_or(Role::Other, |link| link.link.role)),
            ..Subject::default()
        },
        is_active: !named.is_empty(),
        capacity_bps: series.capacity_bps.map(|bps| bps as f64),
        members: series.members_up.zip(series.members_total),
        timeout_us: series.timeout_us,
        bins: history.join(&of, series.bins.iter().map(bin)),
    }
}

/// What each connection's failure would come to now, in each direction.
fn failures(series: &Series, links: &[Load], ports: &[Load], basis: &Basis) -> Vec<FailureOutcome> {
    let known: BTreeMap<&Name, &Link> = series.links.iter().map(|link| (&link.link.name, &*link.link)).collect();
    let mut outcomes = Vec::new();
    for direction in Direction::ALL {
        let takes = |link: &&Load| {
            link.subject.direction == Some(direction)
                && link.is_active
                && matches!(link.subject.role, Some(Role::Direct | Role::Exchange | Role::Transit))
        };
        let links: Vec<&Load> = links.iter().filter(takes).collect();
        let state = |load: &&Load| {
            let link = load.subject.connection.as_ref().and_then(|name| known.get(name)).copied();
            let is_its_port = |port: &&Load| {
                port.subject.direction == Some(direction)
                    && port.subject.port.as_ref() == link.and_then(|link| link.port.as_ref())
            };
            connection(load, link, ports.iter().find(is_its_port))
        };
        let states: Vec<(Connection, Port, f64)> = links.iter().map(state).collect();
        let network = network(direction, states.iter().map(|(connection, port, _)| (connection.clone(), port.clone())));
        let network = network.judged_by(basis);
        let is_peering = |(_, link): &(usize, &&Load)| link.subject.role != Some(Role::Transit);
        for (failed, link) in links.iter().enumerate().filter(is_peering) {
            let Some(outcome) = network.without(&[failed]) else { continue };
            let fullest = outcome.worst().and_then(|worst| Some((worst.connection, worst.utilisation?)));
            let Some((fullest, utilisation)) = fullest else { continue };
            let Some(survivor) = links[fullest].subject.connection.clone() else { continue };
            let standard_error = states[failed].2.hypot(states[fullest].2);
            outcomes.push(FailureOutcome { subject: link.subject.clone(), survivor, utilisation, standard_error });
        }
    }
    outcomes
}

/// The connections of a direction as failures are judged on them; those of one port ride it together.
fn network(direction: Direction, links: impl Iterator<Item = (Connection, Port)>) -> Network {
    let (mut ports, mut places): (Vec<Port>, BTreeMap<Name, usize>) = (Vec::new(), BTreeMap::new());
    let mut connections = Vec::new();
    for (mut connection, port) in links {
        let name = connection.place.port.as_ref().unwrap_or(&connection.place.connection).clone();
        connection.port = *places.entry(name).or_insert(ports.len());
        if connection.port == ports.len() {
            ports.push(port);
        }
        connections.push(connection);
    }
    Network::new(direction, 1.0, ports, connections)
}

/// A connection's and its port's means over the last minutes, and the error of its load over its capacity.
fn connection(load: &Load, link: Option<&Link>, port: Option<&Load>) -> (Connection, Port, f64) {
    let (wire_bps, error_bps) = mean(&load.bins);
    let exporters = link.map_or(&[][..], |link| &link.exporters);
    let place = Place {
        connection: load.subject.connection.clone().unwrap_or_else(|| Name::from("")),
        port: link.and_then(|link| link.port.clone()),
        routers: exporters.iter().map(|exporter| Name::from(exporter.to_string())).collect(),
        metro: load.subject.location.clone(),
        ..Place::default()
    };
    let standing = if load.subject.role == Some(Role::Transit) { Standing::Transit } else { Standing::Active };
    let connection = Connection { place, standing, wire_bps: vec![wire_bps], ..Connection::default() };
    let port = Port { capacity_bps: load.capacity_bps, wire_bps: vec![port.map_or(f64::NAN, |port| mean(&port.bins).0)] };
    (connection, port, error_bps / load.capacity_bps.unwrap_or(f64::NAN))
}

/// The mean over the last bins that are known, and its standard error; not a number where too few are.
fn mean(bins: &[Bin]) -> (f64, f64) {
    let known = bins.iter().rev().skip_while(|bin| bin.load().is_none()).take(FAILURE_BINS).map_while(Bin::load);
    let (count, sum, variance) =
        known.fold((0, 0.0, 0.0), |found, (bps, variance)| (found.0 + 1, found.1 + bps, found.2 + variance));
    if count < FAILURE_BINS {
        return (f64::NAN, f64::NAN);
    }
    (sum / f64::from(count as u32), f64::sqrt(variance) / f64::from(count as u32))
}

fn express_routes(rows: &[TrafficRow]) -> Vec<ExpressRoute> {
    let mut sums: BTreeMap<(&Name, &Name), (f64, f64, i64, i64)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.origin_asn == Some(EXPRESS_ROUTE)) {
        let sum = sums.entry((&row.connection, &row.direction)).or_default();
        sum.0 += row.bytes_estimated.unwrap_or(0.0);
        sum.1 += row.bytes_standard_error.unwrap_or(0.0).powi(2);
        (sum.2, sum.3) = (row.window_start.0, row.window_seconds);
    }
    let one = |((connection, direction), (bytes, variance, start_us, seconds)): ((&Name, &Name), (f64, f64, i64, i64))| {
        let rate = |bytes: f64| bytes * 8.0 / seconds as f64;
        ExpressRoute {
            subject: Subject {
                connection: Some(connection.clone()),
                direction: Direction::named(direction),
                ..Subject::default()
            },
            end_us: start_us + seconds * SECOND_US,
            bps: rate(bytes),
            standard_error_bps: rate(variance.sqrt()),
        }
    };
    sums.into_iter().map(one).collect()
}
