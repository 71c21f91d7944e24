//! What failures come to, of a large network: 400 connections in 40 metros on 50 routers, 30 days of five minutes.
//!
//! `cargo bench --bench resilience -p cli` prints the table that benches/results holds. One thread judges one direction; the
//! report judges half of the failures in each of two threads. Loads are in memory: reading them is `--bench reports`.

use std::time::Instant;

use measure::judge::{Connection, FailureKind, Network, Place, Port, PrefixLoad, failures};
use model::Direction;

const CONNECTIONS: usize = 400;
const METROS: usize = 40;
const ROUTERS: usize = 50;
const STEPS: usize = 30 * 288;
const CAPACITY_BPS: f64 = 100e9;
/// Prefixes of ours, each on some connections of its metro.
const PREFIXES: usize = 8_000;
/// Rounds; the fastest and the slowest are told beside the middle one.
const ROUNDS: usize = 5;

/// Kinds of failures that are judged together.
struct Meant {
    name: &'static str,
    kinds: &'static [FailureKind],
}

/// By what the tables of the results tell failures apart.
const MEANT: [Meant; 3] = [
    Meant { name: "each connection", kinds: &[FailureKind::Connection] },
    Meant { name: "each metro", kinds: &[FailureKind::Metro] },
    Meant {
        name: "each connection, port, router, metro",
        kinds: &[FailureKind::Connection, FailureKind::Port, FailureKind::Router, FailureKind::Metro],
    },
];

fn main() {
    println!("| what fails | failures | by | seconds (range) | survivors |");
    println!("|---|---|---|---|---|");
    for (by, network) in [("capacity", network()), ("present split", network().with_prefixes(&prefixes()))] {
        for Meant { name, kinds } in MEANT {
            let mut sets = failures(network.connections().iter().map(|connection| (&connection.place, true)));
            sets.retain(|failure| kinds.contains(&failure.kind));
            let (mut seconds, mut survivors) = (Vec::new(), 0);
            for _ in 0..ROUNDS {
                let started = Instant::now();
                let outcomes = sets.iter().filter_map(|failure| network.without(&failure.failed));
                survivors = outcomes.map(|outcome| outcome.survivors.len()).sum();
                seconds.push(started.elapsed().as_secs_f64());
            }
            seconds.sort_by(f64::total_cmp);
            let (least, middle, most) = (seconds[0], seconds[ROUNDS / 2], seconds[ROUNDS - 1]);
            println!("| {name} | {} | {by} | {middle:.2} ({least:.2} to {most:.2}) | {survivors} |", sets.len());
        }
    }
}

/// A day's shape, growth and noise, as `benches/reports` has it.
fn loads(number: usize) -> Vec<f64> {
    let size = 0.1 + 0.4 * (number as f64 * 0.37).fract();
    let load = |step: usize| {
        let days = step as f64 / 288.0;
        let day = 0.6 + 0.4 * (std::f64::consts::TAU * (days - 0.3)).sin();
        let noise = 0.95 + 0.1 * ((step * 7_919 + number * 104_729) % 1_000) as f64 / 1_000.0;
        size * day * (1.0 + days / 300.0) * noise * CAPACITY_BPS
    };
    (0..STEPS).map(load).collect()
}

fn network() -> Network {
    let connection = |number: usize| {
        let name = |what: &str, number: usize| model::Name::from(format!("{what}-{number}"));
        let place = Place {
            connection: name("connection", number),
            port: Some(name("port", number)),
            routers: vec![name("router", number % ROUTERS)],
            metro: Some(name("metro", number % METROS)),
            ..Place::default()
        };
        Connection { place, port: number, wire_bps: loads(number), ..Connection::default() }
    };
    let port = |number: usize| Port { capacity_bps: Some(CAPACITY_BPS), wire_bps: loads(number) };
    let (ports, connections) = ((0..CONNECTIONS).map(port).collect(), (0..CONNECTIONS).map(connection).collect());
    Network::new(Direction::FromMicrosoft, 0.95, ports, connections)
}

fn prefixes() -> Vec<PrefixLoad> {
    let load = |prefix: usize, carrier: usize| PrefixLoad {
        prefix,
        connection: (prefix % METROS) + METROS * ((prefix / METROS + carrier * 3) % (CONNECTIONS / METROS)),
        bytes: 1e9 * (1 + (prefix * 31 + carrier * 17) % 100) as f64,
    };
    (0..PREFIXES).flat_map(|prefix| (0..3).map(move |carrier| load(prefix, carrier))).collect()
}
