//! A page over a network that does not exist: some hundred connections, all of what a page can show.
//!
//! `cargo run -p web --example crowd -- 127.0.0.1:8076 400`

use std::f64::consts::TAU;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use measure::judge::Basis;
use measure::{BinLoad, LinkSeries, PortSeries, Series};
use model::table::Timestamp;
use model::tables::{ConnectionRow, ExporterRow};
use model::time::{BIN_US, DETAIL_WINDOW_US, SECOND_US, WINDOW_US, slot_start_us};
use model::{Direction, Link, Name, Port, Role};
use web::{
    Access, Alert, Archive, Event, Exporter, Latency, Limits, LoadColumns, LoadQuery, Loads, Moved, Options, Painter, PushError,
    Recent, Share, ShareQuery, Shares, Snapshot, Step, WebLimits,
};

const PLACES: [&str; 8] = ["Frankfurt", "Amsterdam", "London", "Paris", "Ashburn", "Dallas", "Singapore", "Tokyo"];
const HOUR_US: i64 = 3_600 * SECOND_US;
const GIGABIT: f64 = 1e9;

/// A connection and how it behaves.
struct Member {
    name: Name,
    place: usize,
    role: Role,
    capacity_bps: f64,
    /// Share of its capacity by direction in the mean of a day.
    level: [f64; 2],
    /// When it went down.
    down_us: Option<i64>,
    has_counters: bool,
    rate: f64,
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// A number between 0 and 1 that is always the same for the same seed.
fn noise(seed: u64) -> f64 {
    let mut bits = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn members(count: usize, start_us: i64) -> Vec<Member> {
    let one = |index: usize| {
        let random = |salt: u64| noise(index as u64 * 31 + salt);
        let role = [Role::Direct, Role::Direct, Role::Direct, Role::Exchange, Role::Transit][index % 5];
        let capacity = [10.0, 100.0, 100.0, 400.0][(random(1) * 4.0) as usize] * GIGABIT;
        let level = 0.08 + 0.24 * random(2) * random(3);
        // Of these one is full, two are hot.
        let level = match index {
            7 => 0.80,
            19 | 61 => 0.70,
            _ => level,
        };
        let place = (random(4) * PLACES.len() as f64) as usize;
        let kind = if role == Role::Transit {
            "transit"
        } else if role == Role::Exchange {
            "ix"
        } else {
            "pni"
        };
        Member {
            name: format!("{}-{kind}-{index}", &PLACES[place].to_lowercase()[..3]).into(),
            place,
            role,
            capacity_bps: capacity,
            level: [level * 0.25, level],
            down_us: (index == 3).then_some(start_us - 600 * SECOND_US),
            has_counters: index.is_multiple_of(2),
            rate: if index % 11 == 5 { 60.0 } else { 1.0 },
        }
    };
    (0..count).map(one).collect()
}

impl Member {
    fn bps(&self, way: usize, at_us: i64) -> f64 {
        if self.down_us.is_some_and(|down_us| at_us >= down_us) {
            return 0.0;
        }
        let day = at_us as f64 / (24.0 * HOUR_US as f64);
        let wave = 1.0 - 0.25 * (TAU * (day - 0.35)).cos();
        let seed = (at_us / BIN_US) as u64 ^ (self.name.len() as u64) << 40 ^ (self.capacity_bps as u64) << 7;
        let jitter =
            1.0 + 0.06 * (noise(seed + way as u64) - 0.5) + 0.03 * (TAU * at_us as f64 / 4e8 + self.level[1] * 50.0).sin();
        self.capacity_bps * self.level[way] * wave * jitter
    }

    fn bin(&self, way: usize, start_us: i64, at_us: i64, is_port: bool) -> BinLoad {
        let bps = self.bps(way, start_us);
        let is_mature = start_us + BIN_US + 70 * SECOND_US <= at_us;
        let share = if is_mature { 1.0 } else { (at_us - start_us) as f64 / (90.0 * SECOND_US as f64) };
        let counted = is_port && self.has_counters && start_us + 30 * SECOND_US <= at_us;
        let error = bps * 0.004 * self.rate.sqrt();
        BinLoad {
            start_us,
            bps: Some(bps * share),
            v6_bps: Some(bps * share * 0.3),
            wire_bps: Some(bps * share * 1.02),
            standard_error_bps: Some(error),
            is_mature,
            counter_bps: counted.then_some(bps * if self.rate > 1.0 { 1.18 } else { 1.004 }),
            counter_wire_bps: counted.then_some(bps * if self.rate > 1.0 { 1.2 } else { 1.024 }),
            counter_discards: counted.then_some(0),
            counter_errors: counted.then_some(0),
        }
    }

    fn port(&self) -> Name {
        format!("{}-port", self.name).into()
    }

    fn row(&self) -> ConnectionRow {
        ConnectionRow {
            connection: self.name.clone(),
            peering: (self.role != Role::Transit).then(|| format!("{} {}", PLACES[self.place], self.role.name()).into()),
            kind: None,
            role: self.role.name().into(),
            location: Some(PLACES[self.place].into()),
            facility: Some(format!("{} {}", PLACES[self.place], 1 + self.name.len() % 3).into()),
            exchange: None,
            ports: vec![self.port()],
            azure_connection_id: None,
            session_v4: None,
            session_v6: None,
            connection_state: None,
            session_state_v4: None,
            session_state_v6: None,
            capacity_bps: Some(self.capacity_bps as i64),
            capacity_source: Some("configured".into()),
            exporters: Vec::new(),
            price: None,
            valid_from: Timestamp(0),
            valid_to: None,
            azure_tracking_id: None,
            is_peering_service: None,
            max_prefixes_v4: None,
            max_prefixes_v6: None,
            commit_mbps: None,
            charged: None,
            billing_time_zone: None,
            risk_groups: None,
        }
    }
}

fn series(members: &[Member], from_us: i64, at_us: i64) -> Series {
    let mut series = Series::default();
    let (from_us, steps) = (slot_start_us(from_us, WINDOW_US), (at_us - slot_start_us(from_us, WINDOW_US)) / BIN_US);
    for member in members {
        let link = Arc::new(Link {
            name: member.name.clone(),
            peering: None,
            kind: None,
            role: member.role,
            location: Some(PLACES[member.place].into()),
            exchange: None,
            port: Some(member.port()),
            exporters: Vec::new(),
            is_active: true,
        });
        let port = Arc::new(Port {
            name: member.port(),
            exporter: "192.0.2.1".parse().unwrap_or_default(),
            role: member.role,
            configured_bps: None,
            provisioned_bps: None,
            speed_bps: Some(member.capacity_bps as u64),
            members: Vec::new(),
        });
        for (way, direction) in Direction::ALL.into_iter().enumerate() {
            let bins = |is_port| (0..steps).map(|step| member.bin(way, from_us + step * BIN_US, at_us, is_port)).collect();
            series.links.push(LinkSeries {
                link: link.clone(),
                direction,
                capacity_bps: Some(member.capacity_bps as u64),
                timeout_us: 60 * SECOND_US,
                coverage_ratio: Some(if member.name.ends_with("42") { 0.91 } else { 1.0 }),
                bins: bins(false),
            });
            series.ports.push(PortSeries {
                port: port.clone(),
                direction,
                capacity_bps: Some(member.capacity_bps as u64),
                capacity_source: Some("speed"),
                members_up: None,
                members_total: None,
                timeout_us: 60 * SECOND_US,
                bins: bins(true),
            });
        }
    }
    series
}

fn exporters(at_us: i64) -> Vec<Exporter> {
    let one = |index: i64| {
        let is_bad = index == 4;
        let row = ExporterRow {
            window_start: Timestamp(slot_start_us(at_us, WINDOW_US) - WINDOW_US),
            window_seconds: 60,
            exporter: format!("192.0.2.{}", index + 1).into(),
            address: format!("192.0.2.{}", index + 1).into(),
            domain: index % 2,
            protocol: ["ipfix", "netflow_v9", "sflow"][index as usize % 3].into(),
            datagrams: 12_000 + 37 * index,
            records: 310_000 + 973 * index,
            bytes_exported: 1 << 32,
            packets_exported: 1 << 22,
            lost_datagrams: Some(if is_bad { 977 } else { 0 }),
            lost_records: Some(if is_bad { 27_345 } else { 0 }),
            reordered: 0,
            duplicates: 0,
            restarts: 0,
            undecodable: 0,
            refused: Default::default(),
            templates: 6,
            active_timeout_s: Some(if index == 7 { 300 } else { 60 }),
            clock_offset_ms: Some(3.0 + index as f64 * 11.0),
            is_clock_refused: false,
            out_interface_unknown_ratio: Some(0.0),
            rate_unknown_records: 0,
            kernel_drops: 0,
            coverage_ratio: Some(if is_bad { 0.914 } else { 1.0 }),
            sampling_origin: Some("sampler".into()),
        };
        Exporter { name: Some(format!("{}-r{index}", &PLACES[index as usize % 8].to_lowercase()[..3]).into()), row }
    };
    (0..12).map(one).collect()
}

fn event(members: &[Member], at_us: i64) -> Option<Event> {
    let failed = members.get(3)?;
    let down_us = failed.down_us?;
    let takers: Vec<&Member> =
        members.iter().filter(|one| one.place == failed.place && one.name != failed.name).take(4).collect();
    let moved = |(place, taker): (usize, &&Member)| {
        let share = [0.52, 0.27, 0.12, 0.05][place];
        Direction::ALL.map(|direction| Moved {
            connection: taker.name.clone(),
            direction,
            bps: share * failed.bps(direction as usize, down_us - 1),
            share,
            share_error: Some(0.01),
        })
    };
    Some(Event {
        id: "1".into(),
        connection: failed.name.clone(),
        direction: None,
        kind: "cut".into(),
        evidence: "load and counters of its port went to 0 within 10 s".into(),
        location: Some(PLACES[failed.place].into()),
        started_us: down_us,
        detected_us: Some(down_us + 74 * SECOND_US),
        ended_us: (at_us < down_us).then_some(at_us),
        before_bps: Some(failed.bps(1, down_us - 1)),
        moved: takers.iter().enumerate().flat_map(moved).collect(),
        unaccounted_share: Some(0.04),
        stayed_local_share: Some(0.91),
        to_transit_share: Some(0.05),
        returned_share: None,
        survivor_peak_utilisation: Some(0.71),
        latency_us: Some((8_200.0, 11_900.0)),
        is_planned: false,
    })
}

fn latency(member: &Member) -> Latency {
    let is_sampled = member.rate > 1.0;
    Latency {
        connection: member.name.clone(),
        region: Some("westeurope".into()),
        method: "tcp_handshake".into(),
        span: "round_trip".into(),
        samples: if is_sampled { 0 } else { 12_345 },
        p50_us: (!is_sampled).then_some(7_800.0),
        p95_us: (!is_sampled).then_some(15_400.0),
        absent_reason: is_sampled.then(|| "packets are sampled".into()),
    }
}

/// Answers of tables that are not there.
struct Invented(Vec<Member>);

impl Archive for Invented {
    fn loads(&self, query: &LoadQuery) -> Result<Loads, String> {
        let length_us = query.to_us - query.from_us;
        let step_us = [WINDOW_US, DETAIL_WINDOW_US, 6 * DETAIL_WINDOW_US, 24 * HOUR_US][usize::from(length_us > 6 * HOUR_US)
            + usize::from(length_us > 168 * HOUR_US)
            + usize::from(length_us > 840 * HOUR_US)];
        let from_us = slot_start_us(query.from_us, step_us);
        let steps = (query.to_us - from_us) / step_us;
        let member = self.0.iter().find(|member| member.name == query.connection).ok_or("nothing is known of it")?;
        let ways = [0, 1].map(|way| {
            let column =
                |factor: f64| -> Vec<f64> { (0..steps).map(|step| member.bps(way, from_us + step * step_us) * factor).collect() };
            LoadColumns {
                mean_bps: column(1.0),
                standard_error_bps: column(0.02),
                peak_bps: column(1.15),
                utilisation: column(1.02 / member.capacity_bps),
                port_bps: column(1.0),
                counter_bps: column(1.005),
                discards: column(0.0),
                p95_bps: Some(member.capacity_bps * member.level[way] * 1.2),
                p95_steps_known: 288,
            }
        });
        Ok(Loads { from_us, step_us, ways, is_cut: false, files_damaged: 0 })
    }

    fn shares(&self, query: &ShareQuery) -> Result<Shares, String> {
        let names = [
            "Exchange",
            "Teams",
            "AzureStorage",
            "Xbox",
            "SharePoint",
            "AzureFrontDoor",
            "<b>&amp;\"'\u{202e}evil",
            "unattributed",
        ];
        let row = |(index, name): (usize, &&str)| {
            let bytes = 9e13 / (index as f64 + 1.0).powf(1.4);
            Share {
                name: Some((*name).into()),
                bytes: [bytes / 4.0, bytes],
                standard_error_bytes: [bytes / 400.0, bytes / 200.0],
            }
        };
        let rows: Vec<Share> = names.iter().enumerate().map(row).collect();
        let total = |way: usize| rows.iter().map(|row| row.bytes[way]).sum();
        let total_bytes = [total(0), total(1)];
        let seconds_known = (query.to_us - query.from_us) / SECOND_US;
        Ok(Shares { rows, total_bytes, seconds_known, is_cut: false, files_damaged: 0 })
    }

    fn push_counters(&self, lines: &str) -> Result<usize, PushError> {
        Ok(lines.lines().count())
    }
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = arguments.first().map_or("127.0.0.1:8076", String::as_str);
    let count = arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(400);
    let start_us = now_us();
    let options = Options { access: Access::default(), limits: WebLimits::default(), judged_by: Limits::default() };
    let invented = Invented(members(count, start_us));
    let screen = web::serve(TcpListener::bind(address)?, options, Arc::new(invented))?;
    println!("page on http://{address}/");
    let members = members(count, start_us);
    let edge: Vec<ConnectionRow> = members.iter().map(Member::row).collect();
    let (mut recent, mut painter) = (Recent::default(), Painter::default());
    for member in &members {
        for (way, direction) in Direction::ALL.into_iter().enumerate() {
            for step in 12..288 {
                let at_us = slot_start_us(start_us, DETAIL_WINDOW_US) - step * DETAIL_WINDOW_US;
                let bps = member.bps(way, at_us);
                let (bps, utilisation) = (bps as f32, (bps * 1.02 / member.capacity_bps) as f32);
                recent.remember(&member.name, direction, at_us, Step { bps, wire_bps: bps * 1.02, utilisation });
            }
        }
    }
    let mut from_us = start_us - HOUR_US;
    loop {
        let at_us = now_us();
        recent.take(series(&members, from_us, at_us), at_us);
        from_us = at_us - 180 * SECOND_US;
        let picture = painter.paint(&recent, &edge, &Basis::default());
        let alert = Alert {
            at_us: start_us - 500 * SECOND_US,
            rule: "saturation".into(),
            state: "firing".into(),
            severity: "critical".into(),
            connection: picture.connections.get(1).map(|one| one.name.clone()),
            direction: Some(Direction::FromMicrosoft),
            summary: "The port is full on the wire.".into(),
        };
        screen.show(Snapshot {
            at_us,
            speed: 1,
            connections: picture.connections,
            ports: picture.ports,
            networks: picture.networks,
            exporters: exporters(at_us),
            latencies: members.iter().map(latency).collect(),
            events: event(&members, at_us).into_iter().collect(),
            alerts: vec![alert],
            ..Snapshot::default()
        });
        std::thread::sleep(Duration::from_secs(1));
    }
}
