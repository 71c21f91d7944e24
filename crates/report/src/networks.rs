//! The network's edge as failures are judged on it, in both directions: of loads, inventory, the present split.

use std::collections::{BTreeMap, BTreeSet};

use measure::judge::{
    Connection, Failure, FailureKind, Network, Outcome, Place, Port, PrefixLoad, Standing, failure_of, failures, steps_of_falls,
};
use model::tables::ConnectionRow;
use model::time::DAY_US;
use model::{Direction, Name};

use crate::connections::{Edge, is_active, is_peering, is_rest};
use crate::growth::{Breaks, Growth};
use crate::loads::Loads;
use crate::range::STEP_US;
use crate::reports::Options;
use crate::{Data, Range, ReportError};

/// The edge in both directions, and what may fail.
pub(crate) struct Networks {
    /// In the order of [`Direction::ALL`]; connections have the same places in both.
    directions: [Network; 2],
    /// What is to be known about it.
    pub(crate) notes: Vec<String>,
}

/// What a failure comes to in both directions, in the order of [`Direction::ALL`]; `None` where its load is not known.
pub(crate) type Outcomes = [Option<Outcome>; 2];

/// The fullest survivor of a failure.
#[derive(Clone, Debug)]
pub(crate) struct Fullest {
    /// Load over capacity.
    pub(crate) ratio: f64,
    /// The survivor.
    pub(crate) name: Name,
    /// Both directions are known, so none is fuller.
    pub(crate) is_whole: bool,
}

impl Fullest {
    /// Whether the failure is held, up to that load over capacity; `None` where what is known would hold.
    pub(crate) fn holds(&self, full: f64) -> Option<bool> {
        if self.ratio > full { Some(false) } else { self.is_whole.then_some(true) }
    }
}

impl Networks {
    /// Reads what loads do not tell, and puts it together.
    pub(crate) fn read(data: &Data, edge: &Edge, links: &Loads, options: &Options) -> Result<Networks, ReportError> {
        let rows: Vec<&ConnectionRow> =
            edge.iter().filter(|row| matches!(&*row.role, "direct" | "exchange" | "transit")).collect();
        let mut notes = Vec::new();
        let standings: Vec<Standing> = rows.iter().map(|row| standing(row, links, &mut notes)).collect();
        let full = options.settings.full_percent as f64 / 100.0;
        let split = present_split(data, &rows, options, &mut notes)?;
        let falls = crate::falls::read(data)?;
        let range = data.range();
        let fallen = steps_of_falls(&falls, range.from_us, STEP_US, range.steps());
        let directions = Direction::ALL.map(|direction| {
            let (ports, places) = ports_of(&rows, direction, links);
            let one = |((row, standing), port): ((&&ConnectionRow, &Standing), usize)| Connection {
                place: place(row, &rows),
                standing: *standing,
                port,
                wire_bps: links.get(&row.connection, direction).map_or_else(Vec::new, |load| load.wire_bps.clone()),
            };
            let connections = rows.iter().zip(&standings).zip(places).map(one).collect();
            let network = Network::new(direction, full, ports, connections);
            let network = if direction == Direction::FromMicrosoft { network.with_prefixes(&split) } else { network };
            network.without_steps(&fallen).with_falls(&falls, |name| edge.first_us(name))
        });
        Ok(Networks { directions, notes })
    }

    /// The edge in one direction.
    pub(crate) fn get(&self, direction: Direction) -> &Network {
        &self.directions[direction as usize]
    }

    /// The connections and transit links.
    pub(crate) fn connections(&self) -> &[Connection] {
        self.directions[0].connections()
    }

    fn places(&self) -> Vec<(&Place, bool)> {
        let connections = self.connections();
        // Where telemetry tells no sessions apart, the rest of their port stands for them.
        let rides_alone =
            |rest: &Connection| !connections.iter().any(|other| other.port == rest.port && other.standing == Standing::Active);
        let is_peering = |connection: &Connection| match connection.standing {
            Standing::Active => true,
            Standing::Rest => rides_alone(connection),
            Standing::Transit | Standing::Inactive => false,
        };
        connections.iter().map(|connection| (&connection.place, is_peering(connection))).collect()
    }

    /// Everything that may fail.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        failures(self.places())
    }

    /// The failure of what is named, all at once.
    pub(crate) fn failure_of(&self, names: &[String]) -> Result<Failure, ReportError> {
        let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
        failure_of(&self.places(), &names).map_err(|unknown| {
            let known: BTreeSet<Name> = self.failures().into_iter().map(|failure| failure.name).collect();
            let some: Vec<&str> = known.iter().take(20).map(|name| &**name).collect();
            let what = "is no connection, transit link, port, router, facility, exchange, metro or risk group";
            ReportError::Usage(format!("--down {unknown}: it {what} here; there are {}", some.join(", ")))
        })
    }

    /// What failures come to; the same set of connections is judged once.
    pub(crate) fn outcomes(&self, failures: &[Failure]) -> Vec<Outcomes> {
        let mut sets: Vec<&[usize]> = failures.iter().map(|failure| &failure.failed[..]).collect();
        sets.sort_unstable();
        sets.dedup();
        let judge = |sets: &[&[usize]]| -> Vec<Outcomes> {
            sets.iter().map(|failed| self.directions.each_ref().map(|network| network.without(failed))).collect()
        };
        // A thread has every second set: those that are large come one after another.
        let (even, odd): (Vec<&[usize]>, Vec<&[usize]>) =
            (sets.iter().step_by(2).copied().collect(), sets.iter().skip(1).step_by(2).copied().collect());
        let (even_done, odd_done) = std::thread::scope(|scope| {
            let even = scope.spawn(|| judge(&even));
            let odd = judge(&odd);
            (even.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), odd)
        });
        let judged: BTreeMap<&[usize], Outcomes> = even.into_iter().zip(even_done).chain(odd.into_iter().zip(odd_done)).collect();
        failures.iter().map(|failure| judged.get(&failure.failed[..]).cloned().unwrap_or_default()).collect()
    }

    /// What the failure of each connection comes to, by its name.
    pub(crate) fn by_connection(&self) -> BTreeMap<Name, (Failure, Outcomes)> {
        let failures: Vec<Failure> =
            self.failures().into_iter().filter(|failure| failure.kind == FailureKind::Connection).collect();
        let outcomes = self.outcomes(&failures);
        failures.into_iter().zip(outcomes).map(|(failure, outcomes)| (failure.name.clone(), (failure, outcomes))).collect()
    }

    /// The fullest survivor of a failure, in whichever direction.
    pub(crate) fn fullest(&self, outcomes: &Outcomes) -> Option<Fullest> {
        let worst = Direction::ALL.into_iter().filter_map(|direction| {
            let worst = outcomes[direction as usize].as_ref()?.worst()?;
            Some((worst.utilisation?, self.get(direction).name(worst.connection)?.clone()))
        });
        let worst: Vec<(f64, Name)> = worst.collect();
        let is_whole = worst.len() == Direction::ALL.len();
        let (ratio, name) = worst.into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        Some(Fullest { ratio, name, is_whole })
    }

    /// When the failure will no longer be held in a direction, by the growth of its fullest survivor's load.
    pub(crate) fn breaks(
        &self,
        failed: &[usize],
        direction: Direction,
        outcome: &Outcome,
        range: Range,
        options: &Options,
    ) -> Breaks {
        let Some((worst, ratio)) = outcome.worst().and_then(|worst| Some((worst, worst.utilisation?))) else { return [None; 3] };
        let network = self.get(direction);
        let series = network.utilisation_without(failed, worst.connection);
        Growth::of(&series, range, &options.zone, &options.settings).breaks(ratio, network.full())
    }
}

/// What a link does when others fail. What has no telemetry takes nothing: how full it is nobody knows.
fn standing(row: &ConnectionRow, links: &Loads, notes: &mut Vec<String>) -> Standing {
    let is_seen = Direction::ALL.into_iter().any(|direction| links.get(&row.connection, direction).is_some());
    match &*row.role {
        _ if is_rest(row) => Standing::Rest,
        "transit" => Standing::Transit,
        _ if is_active(row) && is_seen => Standing::Active,
        _ => {
            if is_active(row) && is_peering(row) {
                notes.push(format!(
                    "{}: there is no telemetry of it in this range; failures are judged as if it took nothing",
                    row.connection
                ));
            }
            Standing::Inactive
        }
    }
}

/// What a link hangs on; the rest of a port stands where its connections do.
fn place(row: &ConnectionRow, rows: &[&ConnectionRow]) -> Place {
    let mut place = Place::from(row);
    if is_rest(row) {
        let port = row.ports.first();
        for rider in rows.iter().filter(|other| is_peering(other) && port.is_some() && other.ports.first() == port) {
            place.metro = place.metro.or_else(|| rider.location.clone());
            place.facility = place.facility.or_else(|| rider.facility.clone());
            place.exchange = place.exchange.or_else(|| rider.exchange.clone());
        }
    }
    place
}

/// The ports of links in a direction, and the place of each link's; a link without one has a port to itself.
fn ports_of(rows: &[&ConnectionRow], direction: Direction, links: &Loads) -> (Vec<Port>, Vec<usize>) {
    let (mut ports, mut by_name): (Vec<Port>, BTreeMap<Name, usize>) = (Vec::new(), BTreeMap::new());
    let mut places = Vec::new();
    for row in rows {
        let load = links.get(&row.connection, direction);
        let capacity = load.and_then(|load| load.capacity_bps).or(row.capacity_bps);
        let place = *by_name.entry(row.ports.first().unwrap_or(&row.connection).clone()).or_insert(ports.len());
        if place == ports.len() {
            ports.push(Port::default());
        }
        // All that ride a port say the same of it; one of them may be silent.
        let port = &mut ports[place];
        port.capacity_bps = port.capacity_bps.or(capacity.filter(|bps| *bps > 0).map(|bps| bps as f64));
        if let Some(load) = load.filter(|_| port.wire_bps.is_empty()) {
            port.wire_bps = load.port_wire_bps.clone();
        }
        places.push(place);
    }
    (ports, places)
}

/// What each prefix of ours has from Microsoft on each connection, over the last day of the range.
fn present_split(
    data: &Data,
    rows: &[&ConnectionRow],
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Vec<PrefixLoad>, ReportError> {
    let range = data.range();
    let day = Range { from_us: range.from_us.max(range.to_us - DAY_US), to_us: range.to_us };
    let mut data = Data::open(data.tables(), day, &[], &options.settings)?;
    data.register(&["prefixes"])?;
    let places: BTreeMap<&str, usize> = rows.iter().enumerate().map(|(place, row)| (&*row.connection, place)).collect();
    let start = || (Vec::new(), BTreeMap::<String, usize>::new());
    let (loads, _) = data.fold(include_str!("sql/split.sql"), start, |(loads, prefixes), batch| {
        let (connections, names, bytes) = (batch.texts("connection")?, batch.texts("prefix")?, batch.floats("bytes_estimated")?);
        for row in 0..batch.rows() {
            let Some((connection, bytes)) = places.get(connections.known(row)).copied().zip(bytes.get(row)) else { continue };
            let next = prefixes.len();
            let prefix = *prefixes.entry(names.known(row).to_owned()).or_insert(next);
            loads.push(PrefixLoad { prefix, connection, bytes });
        }
        Ok(())
    })?;
    notes.extend(data.notes());
    Ok(loads)
}
