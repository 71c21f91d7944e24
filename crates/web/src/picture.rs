//! Loads of late and the table of connections to what the page shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use measure::judge::{Basis, Connection as Node, Network, Place, Port as NodePort, Standing};
use model::tables::ConnectionRow;
use model::time::slot_start_us;
use model::{Direction, Name, Role};

use crate::judge::{FailureOfOne, Networks, STEP_US};
use crate::recent::{Recent, STEPS_KEPT, Step};
use crate::snapshot::{Connection, Port, Way};
use crate::status::{Limits, Status, judge};

/// The table of connections, by name.
type Rows<'a> = BTreeMap<&'a Name, &'a ConnectionRow>;

/// Makes pictures, one after the other: what changes only every five minutes is kept.
#[derive(Default)]
pub struct Painter {
    limits: Limits,
    failures: Vec<Option<FailureOfOne>>,
    judged: Option<(i64, Vec<Name>)>,
    day: Arc<[Network; 2]>,
}

/// Connections, ports, and what failures are judged by.
pub struct Picture {
    /// What burns first.
    pub connections: Vec<Connection>,
    /// By name.
    pub ports: Vec<Port>,
    /// What failures are judged by.
    pub networks: Arc<Networks>,
}

impl Painter {
    /// One who judges by these.
    pub fn new(limits: Limits) -> Painter {
        Painter { limits, ..Painter::default() }
    }

    /// The picture as it stands; `edge` has the connections, and earlier failovers and the present split tell what the next would do.
    pub fn paint(&mut self, recent: &Recent, edge: &[ConnectionRow], basis: &Basis) -> Picture {
        let rows: Rows<'_> = edge.iter().map(|row| (&row.connection, row)).collect();
        let mut connections: Vec<Connection> = edge.iter().map(|row| configured(row, recent)).collect();
        let unknown = recent.link_names().into_iter().filter(|name| !rows.contains_key(name));
        connections.extend(unknown.filter_map(|name| of_telemetry(&name, recent)));
        connections.retain(|connection| connection.is_peering || connection.ways.iter().any(|way| way.load.is_some()));
        let networks = self.networks(&connections, recent, &rows, basis);
        for (place, name) in networks.names.iter().enumerate() {
            let of_day = self.failures.get(place).cloned().flatten();
            let now = networks.failure_now(place, recent.at_us());
            let utilisation_now = now.as_ref().map(|failure| failure.utilisation);
            let worse = of_day.into_iter().chain(now).max_by(|a, b| a.utilisation.total_cmp(&b.utilisation));
            if let Some(connection) = connections.iter_mut().find(|connection| connection.is_peering && connection.name == *name)
            {
                connection.failure = worse.map(|failure| FailureOfOne { utilisation_now, ..failure });
            }
        }
        connections.iter_mut().for_each(|connection| judge(connection, &self.limits));
        let fullest = |connection: &Connection| {
            let ratios = connection.ways.iter().filter_map(|way| way.utilisation.map(|utilisation| utilisation.ratio));
            ratios.fold(-1.0, f64::max)
        };
        connections
            .sort_by(|a, b| (a.status, !a.is_peering).cmp(&(b.status, !b.is_peering)).then(fullest(b).total_cmp(&fullest(a))));
        Picture { connections, ports: ports(recent), networks: Arc::new(networks) }
    }

    /// The networks of now and of the last day; failures over the day are judged anew with each step.
    fn networks(&mut self, connections: &[Connection], recent: &Recent, rows: &Rows<'_>, basis: &Basis) -> Networks {
        let takes = |connection: &Connection| connection.is_peering && connection.is_active || connection.role == Role::Transit;
        let mut takers: Vec<&Connection> = connections.iter().filter(|connection| takes(connection)).collect();
        takers.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<Name> = takers.iter().map(|connection| connection.name.clone()).collect();
        let last_us = recent.last_step_us();
        let day_from_us = slot_start_us(last_us, STEP_US) - (STEPS_KEPT as i64 - 1) * STEP_US;
        let is_new = self.judged.as_ref().is_none_or(|(judged_us, judged)| *judged_us != last_us || *judged != names);
        if is_new {
            self.day = Arc::new(Direction::ALL.map(|direction| {
                network((direction, self.limits.full), &takers, rows, |connection| {
                    let steps = recent.day(&connection.name, direction, day_from_us, STEPS_KEPT);
                    let of = |value: fn(&Step) -> f32| -> Vec<f64> { steps.iter().map(|step| f64::from(value(step))).collect() };
                    (of(|step| step.wire_bps), of(|step| step.utilisation))
                })
                .judged_by(basis)
            }));
        }
        let now = Direction::ALL.map(|direction| {
            network((direction, self.limits.full), &takers, rows, |connection| {
                let ratio = connection.way(direction).utilisation.map_or(f64::NAN, |utilisation| utilisation.ratio);
                (vec![recent.wire_bps(&connection.name, direction)], vec![ratio])
            })
            .judged_by(basis)
        });
        let networks = Networks { names: names.clone(), day: self.day.clone(), day_from_us, now };
        if is_new {
            self.failures = networks.failures_of_day();
            self.judged = Some((last_us, names));
        }
        networks
    }
}

/// Connections in one direction as failures are judged on them, of their loads and how full their ports are; from `full` on a port does not hold.
fn network(
    (direction, full): (Direction, f64),
    takers: &[&Connection],
    rows: &Rows<'_>,
    loads: impl Fn(&Connection) -> (Vec<f64>, Vec<f64>),
) -> Network {
    let (mut ports, mut places): (Vec<NodePort>, BTreeMap<&Name, usize>) = (Vec::new(), BTreeMap::new());
    let mut nodes = Vec::new();
    for connection in takers {
        let (wire_bps, utilisation) = loads(connection);
        let port = *places.entry(connection.port.as_ref().unwrap_or(&connection.name)).or_insert(ports.len());
        if port == ports.len() {
            let capacity = connection.capacity_bps.unwrap_or(f64::NAN);
            let wire_bps = utilisation.iter().map(|ratio| ratio * capacity).collect();
            ports.push(NodePort { capacity_bps: connection.capacity_bps, wire_bps });
        }
        let of_telemetry = || Place {
            connection: connection.name.clone(),
            port: connection.port.clone(),
            metro: connection.location.clone(),
            ..Place::default()
        };
        let place = rows.get(&connection.name).map_or_else(of_telemetry, |row| Place::from(*row));
        let standing = if connection.role == Role::Transit { Standing::Transit } else { Standing::Active };
        nodes.push(Node { place, standing, port, wire_bps });
    }
    Network::new(direction, full, ports, nodes)
}

fn configured(row: &ConnectionRow, recent: &Recent) -> Connection {
    let role = [Role::Direct, Role::Exchange, Role::Transit].into_iter().find(|role| role.name() == &*row.role);
    let role = role.unwrap_or(Role::Other);
    let is_peering = matches!(role, Role::Direct | Role::Exchange) && !row.connection.ends_with("/unidentified");
    let is_active = row.connection_state.as_deref().is_none_or(|state| state.eq_ignore_ascii_case("active"));
    let connection = Connection {
        name: row.connection.clone(),
        peering: row.peering.clone(),
        kind: row.kind.clone(),
        role,
        location: row.location.clone(),
        facility: row.facility.clone(),
        port: row.ports.first().cloned(),
        state: row.connection_state.clone(),
        is_peering,
        is_active,
        capacity_bps: row.capacity_bps.map(|bps| bps as f64),
        status: Status::Fine,
        reasons: Vec::new(),
        doubts: Vec::new(),
        ways: Default::default(),
        failure: None,
    };
    with_loads(connection, recent)
}

/// A link that the table of connections does not have yet.
fn of_telemetry(name: &Name, recent: &Recent) -> Option<Connection> {
    let link = &Direction::ALL.into_iter().find_map(|direction| recent.link(name, direction))?.link;
    let connection = Connection {
        name: name.clone(),
        peering: link.peering.clone(),
        kind: link.kind.clone(),
        role: link.role,
        location: link.location.clone(),
        facility: None,
        port: link.port.clone(),
        state: None,
        is_peering: matches!(link.role, Role::Direct | Role::Exchange) && !name.ends_with("/unidentified"),
        is_active: true,
        capacity_bps: None,
        status: Status::Fine,
        reasons: Vec::new(),
        doubts: Vec::new(),
        ways: Default::default(),
        failure: None,
    };
    Some(with_loads(connection, recent))
}

fn with_loads(connection: Connection, recent: &Recent) -> Connection {
    let name = &connection.name;
    let series = |direction| recent.link(name, direction);
    let capacity = Direction::ALL.into_iter().find_map(|direction| series(direction)?.capacity_bps);
    let port = connection.port.clone().or_else(|| Direction::ALL.into_iter().find_map(|way| series(way)?.link.port.clone()));
    let ways = Direction::ALL.map(|direction| {
        let (p95_bps, p95_utilisation, steps_known) = recent.p95(name, direction);
        Way {
            load: recent.load(name, direction),
            utilisation: port.as_ref().and_then(|port| recent.utilisation(port, direction)),
            p95_bps,
            p95_utilisation,
            steps_known,
            coverage_ratio: series(direction).and_then(|series| series.coverage_ratio),
            flows_to_counters: port.as_ref().and_then(|port| recent.flows_to_counters(port, direction)),
            history: recent.history(name, port.as_ref(), direction),
        }
    });
    let capacity_bps = capacity.map(|bps| bps as f64).or(connection.capacity_bps).filter(|_| connection.is_active);
    Connection { capacity_bps, port, ways, ..connection }
}

fn ports(recent: &Recent) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    for series in recent.ports() {
        let name = &series.port.name;
        if ports.last().is_some_and(|port| port.name == *name) {
            continue;
        }
        ports.push(Port {
            name: name.clone(),
            exporter: series.port.exporter.to_string().into(),
            role: series.port.role,
            capacity_bps: series.capacity_bps.map(|bps| bps as f64),
            capacity_source: series.capacity_source,
            members: series.members_up.zip(series.members_total),
            utilisation: Direction::ALL.map(|direction| recent.utilisation(name, direction)),
        });
    }
    ports
}
