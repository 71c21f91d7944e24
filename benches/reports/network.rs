//! A large network's tables: 400 connections in 40 metros, as a collector with the default configuration leaves them.

use std::path::Path;

use model::table::Value;
use model::tables::{ConnectionRow, ExporterRow, LinkRow, PortRow, TrafficRow};
use model::{Name, Publication, Rows, table::Row};
use store::{Store, StoreSettings};

const CONNECTIONS: usize = 400;
const METROS: usize = 40;
const EXPORTERS: usize = 50;
/// Tags that `traffic` keeps of a connection, direction and window, and the rest.
const TAGS: usize = 17;
const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
/// 2026-01-05, a Monday.
const START_US: i64 = 1_767_571_200_000_000;
const CAPACITY_BPS: i64 = 100_000_000_000;
const DIRECTIONS: [&str; 2] = ["to_microsoft", "from_microsoft"];

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between 0 and 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What every row of the network names.
struct Names {
    connections: Vec<Name>,
    metros: Vec<Name>,
    services: Vec<Name>,
    regions: Vec<Name>,
    directions: [Name; 2],
}

/// Writes the tables of some days.
pub(crate) fn generate(data: &Path, days: i64) {
    std::fs::create_dir_all(data).expect("the target folder can be written");
    let mut store = Store::open(data, StoreSettings::default()).expect("nothing else writes there");
    let numbered = |count: usize, what: &str| (0..count).map(|number| Name::from(format!("{what}-{number}"))).collect::<Vec<_>>();
    let names = Names {
        connections: numbered(CONNECTIONS, "connection"),
        metros: numbered(METROS, "metro"),
        services: numbered(60, "AzureService"),
        regions: numbered(40, "region"),
        directions: DIRECTIONS.map(Name::from),
    };
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    publish(&mut store, START_US, Rows::Connections(connections(&names)));
    for hour in 0..days * 24 {
        let start_us = START_US + hour * HOUR_US;
        for minute in 0..60 {
            let at_us = start_us + minute * MINUTE_US;
            let (links, ports) = minute_rows(&names, at_us, &mut numbers);
            publish(&mut store, at_us, Rows::Links(links));
            publish(&mut store, at_us, Rows::Ports(ports));
            publish(&mut store, at_us, Rows::Exporters(exporters(at_us, &mut numbers)));
            if minute % 5 == 0 {
                publish(&mut store, at_us, Rows::Traffic(traffic(&names, at_us, &mut numbers)));
            }
        }
        store.compact(start_us + HOUR_US).expect("an hour is compacted");
    }
    store.compact(START_US + (days * 24 + 4) * HOUR_US).expect("the last hours are compacted");
}

fn publish(store: &mut Store, window_start_us: i64, rows: Rows) {
    store.publish(&Publication { window_start_us, rows }).expect("the target folder can be written");
}

/// A row of nulls and zeros, whose columns that matter are then set.
fn blank<R: Row>(at_us: i64) -> R {
    let value = |column: &model::table::Column| match column.kind {
        _ if column.is_nullable => Value::Null,
        model::table::Kind::Integer => Value::Integer(0),
        model::table::Kind::Float => Value::Float(0.0),
        model::table::Kind::Text => Value::Text("".into()),
        model::table::Kind::Timestamp => Value::Timestamp(at_us),
        model::table::Kind::Boolean => Value::Boolean(false),
        model::table::Kind::Texts => Value::Texts(Vec::new()),
        model::table::Kind::Counts => Value::Counts(Default::default()),
        model::table::Kind::Integers => Value::Integers(Vec::new()),
        model::table::Kind::Bytes => Value::Bytes(Vec::new()),
        model::table::Kind::Structs(_) => Value::Structs(Vec::new()),
    };
    R::from_values(R::COLUMNS.iter().map(value).collect()).expect("every kind has a blank")
}

fn connections(names: &Names) -> Vec<ConnectionRow> {
    let row = |(number, name): (usize, &Name)| ConnectionRow {
        connection: name.clone(),
        role: if number % 20 == 19 { "transit" } else { "direct" }.into(),
        location: Some(names.metros[number % METROS].clone()),
        ports: vec![name.clone()],
        capacity_bps: Some(CAPACITY_BPS),
        exporters: vec![exporter(number % EXPORTERS)],
        price: (number % 20 == 19).then_some(0.2),
        valid_to: None,
        ..blank(START_US)
    };
    names.connections.iter().enumerate().map(row).collect()
}

fn exporter(number: usize) -> Name {
    format!("192.0.2.{number}").into()
}

/// The share of its capacity that a connection carries then: a day's shape, growth, and noise.
fn load(number: usize, direction: usize, at_us: i64, numbers: &mut Numbers) -> f64 {
    let days = (at_us - START_US) as f64 / (24 * HOUR_US) as f64;
    let day = 0.6 + 0.4 * (std::f64::consts::TAU * (days - 0.3)).sin();
    let size = 0.1 + 0.4 * (number as f64 * 0.37).fract();
    size * day * (1.0 + days / 300.0) * (0.95 + 0.1 * numbers.share()) * if direction == 0 { 0.2 } else { 1.0 }
}

fn minute_rows(names: &Names, at_us: i64, numbers: &mut Numbers) -> (Vec<LinkRow>, Vec<PortRow>) {
    let (mut links, mut ports) = (Vec::new(), Vec::new());
    for (number, name) in names.connections.iter().enumerate() {
        for (place, direction) in names.directions.iter().enumerate() {
            let ratio = load(number, place, at_us, numbers);
            let mean = ratio * CAPACITY_BPS as f64;
            let role: Name = if number % 20 == 19 { "transit" } else { "direct" }.into();
            links.push(LinkRow {
                window_seconds: 60,
                connection: name.clone(),
                role: role.clone(),
                location: Some(names.metros[number % METROS].clone()),
                direction: direction.clone(),
                mean_bps: Some(mean),
                peak_bps: Some(mean * (1.0 + 0.2 * numbers.share())),
                peak_seconds: 10,
                packets_per_second: Some(mean / 8.0 / 900.0),
                samples: (mean / 8.0 * 60.0 / 900.0 / 4_096.0) as i64,
                standard_error_bps: Some(mean * 0.004),
                exported_bps: mean / 4_096.0,
                matched_by: Some("port".into()),
                capacity_bps: Some(CAPACITY_BPS),
                utilisation_ratio: Some(ratio * 1.02),
                coverage_ratio: Some(1.0),
                status: "final".into(),
                ..blank(at_us)
            });
            ports.push(PortRow {
                window_seconds: 60,
                port: name.clone(),
                exporter: exporter(number % EXPORTERS),
                role,
                direction: direction.clone(),
                capacity_bps: Some(CAPACITY_BPS),
                capacity_source: Some("configured".into()),
                mean_bps: Some(mean * 1.1),
                peak_bps: Some(mean * 1.3),
                peak_seconds: 10,
                packets_per_second: Some(mean / 8.0 / 900.0),
                standard_error_bps: Some(mean * 0.004),
                counter_bps: Some(mean * (1.09 + 0.02 * numbers.share())),
                counter_discards: Some(0),
                counter_errors: Some(0),
                utilisation_ratio: Some(ratio * 1.12),
                coverage_ratio: Some(1.0),
                status: "final".into(),
                ..blank(at_us)
            });
        }
    }
    (links, ports)
}

fn exporters(at_us: i64, numbers: &mut Numbers) -> Vec<ExporterRow> {
    let mut row = |number: usize| ExporterRow {
        window_seconds: 60,
        exporter: exporter(number),
        protocol: "ipfix".into(),
        datagrams: 60_000 + (numbers.next() % 5_000) as i64,
        records: 1_400_000 + (numbers.next() % 90_000) as i64,
        lost_records: Some(0),
        templates: 4,
        active_timeout_s: Some(60),
        clock_offset_ms: Some(20.0 * numbers.share()),
        out_interface_unknown_ratio: Some(0.001),
        coverage_ratio: Some(1.0),
        ..blank(at_us)
    };
    (0..EXPORTERS).map(&mut row).collect()
}

fn traffic(names: &Names, at_us: i64, numbers: &mut Numbers) -> Vec<TrafficRow> {
    let mut rows = Vec::with_capacity(CONNECTIONS * 2 * TAGS);
    for (number, name) in names.connections.iter().enumerate() {
        for (place, direction) in names.directions.iter().enumerate() {
            let bytes = load(number, place, at_us, numbers) * CAPACITY_BPS as f64 / 8.0 * 300.0;
            for tag in 0..TAGS {
                let part = bytes / (tag + 2) as f64 * (0.7 + 0.6 * numbers.share());
                let exported = (part / 4_096.0) as i64;
                rows.push(TrafficRow {
                    window_seconds: 300,
                    connection: name.clone(),
                    direction: direction.clone(),
                    ip_version: Some(if tag % 4 == 3 { 6 } else { 4 }),
                    service: Some(names.services[(number + tag * 7) % names.services.len()].clone()),
                    region: Some(names.regions[(number * 3 + tag) % names.regions.len()].clone()),
                    origin_asn: Some(8_075),
                    tag_source: Some("service_tags".into()),
                    tag_version: Some("376".into()),
                    records: exported / 900,
                    samples: exported / 900,
                    bytes_exported: exported,
                    packets_exported: exported / 900,
                    bytes_estimated: Some(exported as f64 * 4_096.0),
                    packets_estimated: Some((exported / 900 * 4_096) as f64),
                    bytes_standard_error: Some(part * 0.01),
                    coverage_ratio: Some(1.0),
                    ..blank(at_us)
                });
            }
        }
    }
    rows
}
