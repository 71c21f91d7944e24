//! The network's edge as failures are judged on it: ports, connections and transit, and what they carry in one direction.

use model::{Direction, Name};

use super::{Observed, Place, percentile};

/// What has a speed and can fill.
#[derive(Clone, Debug, Default)]
pub struct Port {
    /// Capacity, bit/s.
    pub capacity_bps: Option<f64>,
    /// Load of the whole port on the wire by time step, bit/s; not a number where it is unknown.
    pub wire_bps: Vec<f64>,
}

/// What a link does when others fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// A connection that takes what others lose.
    #[default]
    Active,
    /// Transit: it takes what no connection is left for, or what it was seen to take.
    Transit,
    /// The rest of an exchange's port, whose sessions the telemetry cannot tell apart: it takes what it was seen to take.
    Rest,
    /// A connection that Azure does not call Active: it takes nothing.
    Inactive,
}

/// A connection or transit link, and what it carries.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// What it hangs on.
    pub place: Place,
    /// What it does when others fail.
    pub standing: Standing,
    /// Its port's place in the list of ports; connections of an exchange port share it.
    pub port: usize,
    /// Load on the wire by time step, bit/s; not a number where it is unknown.
    pub wire_bps: Vec<f64>,
}

/// What a prefix of ours has on a connection at present.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrefixLoad {
    /// Number of the prefix, from 0 on.
    pub prefix: usize,
    /// Place of the connection.
    pub connection: usize,
    /// IP bytes.
    pub bytes: f64,
}

/// Ports and connections over the same time steps, in one direction.
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) direction: Direction,
    /// Load over capacity from which a port does not hold.
    pub(super) full: f64,
    pub(super) ports: Vec<Port>,
    pub(super) connections: Vec<Connection>,
    pub(super) observed: Vec<Observed>,
    /// Mean load of each connection, bit/s; 0 where none is known.
    pub(super) mean_bps: Vec<f64>,
    /// By prefix: the connections that carry it, and the bytes.
    pub(super) carriers: Vec<Vec<(usize, f64)>>,
    /// By connection: the prefixes that it carries, and the bytes.
    pub(super) carried: Vec<Vec<(usize, f64)>>,
    /// How far the present split and capacity are off in a share, by the failovers that were observed.
    pub(super) rule_errors: [Option<f64>; 2],
}

impl Default for Network {
    /// A network without connections.
    fn default() -> Network {
        Network::new(Direction::FromMicrosoft, 1.0, Vec::new(), Vec::new())
    }
}

impl Network {
    /// A network; failures name connections by their places in the list.
    ///
    /// `full` is the load over capacity from which a port does not hold. Connections whose port is not in the list
    /// have an unknown one; what names a connection that is not there is passed over.
    pub fn new(direction: Direction, full: f64, ports: Vec<Port>, connections: Vec<Connection>) -> Network {
        Network {
            direction,
            full,
            mean_bps: means(&connections),
            carried: vec![Vec::new(); connections.len()],
            carriers: Vec::new(),
            ports,
            connections,
            observed: Vec::new(),
            rule_errors: [None; 2],
        }
    }

    /// The same network, with what each prefix of ours has on each connection at present.
    pub fn with_prefixes(mut self, loads: &[PrefixLoad]) -> Network {
        let count = loads.iter().map(|load| load.prefix + 1).max().unwrap_or(0);
        self.carriers = vec![Vec::new(); count];
        for load in loads.iter().filter(|load| load.connection < self.connections.len() && load.bytes > 0.0) {
            self.carriers[load.prefix].push((load.connection, load.bytes));
            self.carried[load.connection].push((load.prefix, load.bytes));
        }
        self.rule_errors = self.errors_of_rules();
        self
    }

    /// The same network, with its own earlier failovers.
    pub fn with_observed(mut self, observed: Vec<Observed>) -> Network {
        let count = self.connections.len();
        self.observed = observed;
        self.observed.retain(|observed| observed.failed < count);
        for observed in &mut self.observed {
            observed.shares.retain(|share| share.to < count && share.share.is_finite());
        }
        self.rule_errors = self.errors_of_rules();
        self
    }

    /// The connections.
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// The port of a connection, where there is one.
    pub fn port_of(&self, connection: usize) -> Option<&Port> {
        self.ports.get(self.connections.get(connection)?.port)
    }

    /// The name of a connection.
    pub fn name(&self, connection: usize) -> Option<&Name> {
        self.connections.get(connection).map(|connection| &connection.place.connection)
    }

    /// The load over capacity from which a port does not hold.
    pub fn full(&self) -> f64 {
        self.full
    }

    /// Number of time steps.
    pub(super) fn steps(&self) -> usize {
        let series = self.connections.iter().map(|connection| &connection.wire_bps);
        series.chain(self.ports.iter().map(|port| &port.wire_bps)).map(Vec::len).max().unwrap_or(0)
    }
}

/// Mean load of each connection over the steps in which it is known, bit/s; 0 where it never is.
pub(super) fn means(connections: &[Connection]) -> Vec<f64> {
    let mean = |connection: &Connection| {
        let known = connection.wire_bps.iter().filter(|bps| !bps.is_nan());
        let (sum, count) = known.fold((0.0, 0_usize), |(sum, count), bps| (sum + bps, count + 1));
        if count == 0 { 0.0 } else { sum / count as f64 }
    };
    connections.iter().map(mean).collect()
}

/// The largest value that is known, and its step.
pub(super) fn most(values: &[f64]) -> Option<(f64, usize)> {
    // Twice through is faster than keeping the place: the first pass takes several values at a time.
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter().position(|value| *value == most).map(|step| (most, step))
}

/// The 95th percentile, nearest rank.
pub(super) fn p95(values: &[f64]) -> Option<f64> {
    percentile(&mut values.to_vec(), 0.95)
}
