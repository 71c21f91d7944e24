//! The load generator: datagrams made once, sent over and over with their numbers and times patched.
//!
//! Building a record costs more than decoding it; a sender that builds could not outrun the
//! collector. So every exporter has a ring of finished datagrams, and each call of
//! [`LoadGenerator::next`] writes the sequence number and the times into the next one.

use std::net::IpAddr;

use crate::encode::fields::{Field, Value};
use crate::encode::netflow5::Netflow5;
use crate::encode::sflow::{DataSource, Sflow};
use crate::encode::templated::Templated;
use crate::load_flows::Flows;
use crate::random::Random;
use crate::record::{Datagram, DeviceClock};
use crate::scenario::{Router, SamplingMethod, Scenario, ScenarioError, WireProtocol};

/// Templates come again after this many datagrams of an exporter.
const TEMPLATES_EVERY: u64 = 2_000;

/// What to send.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    /// The export protocol.
    pub protocol: WireProtocol,
    /// How many exporters; their addresses count up from the first.
    pub exporters: u32,
    /// Address of the first exporter.
    pub first_exporter: IpAddr,
    /// Connections of each exporter: interfaces from 10 upwards.
    pub connections: u32,
    /// Distinct flows over all exporters; each exporter has at least a datagram of them.
    pub flows: u32,
    /// Share of IPv6 flows, 0 to 1; version 5 has none.
    pub ipv6_share: f64,
    /// 1-in-N sampling that the exporters tell of.
    pub one_in: u32,
    /// The same seed gives the same flows.
    pub seed: u64,
    /// Time of the first datagram, microseconds since 1970.
    pub start_us: i64,
}

/// Datagrams without end, from all exporters in turn.
pub struct LoadGenerator {
    exporters: Vec<Ring>,
    layout: Layout,
    clock: DeviceClock,
    turn: usize,
    now_us: i64,
}

/// One exporter: its datagrams, templates apart.
struct Ring {
    address: IpAddr,
    templates: Option<Prepared>,
    data: Vec<Prepared>,
    next: usize,
    sent: u64,
    sequence: u32,
}

struct Prepared {
    payload: Vec<u8>,
    /// What the sequence number grows by.
    step: u32,
    records: u32,
    /// Where records say when: offset, how long before now.
    times: Vec<(u32, u32)>,
}

/// Where a header holds what must change.
struct Layout {
    sequence: usize,
    uptime: Option<usize>,
    seconds: Option<usize>,
    nanoseconds: Option<usize>,
    counts_before: bool,
}

impl Layout {
    fn of(protocol: WireProtocol, is_v6_agent: bool) -> Layout {
        let (sequence, uptime, seconds, nanoseconds) = match protocol {
            WireProtocol::V5 => (16, Some(4), Some(8), Some(12)),
            WireProtocol::V9 => (12, Some(4), Some(8), None),
            WireProtocol::Ipfix => (8, None, Some(4), None),
            WireProtocol::Sflow => {
                let after_agent = if is_v6_agent { 24 } else { 12 };
                (after_agent + 4, Some(after_agent + 8), None, None)
            }
        };
        Layout { sequence, uptime, seconds, nanoseconds, counts_before: protocol == WireProtocol::Sflow }
    }
}

impl LoadGenerator {
    /// Makes every datagram; takes about 1.5 kB of memory for 14 (IPFIX) to 30 (version 5) flows, or 5 samples.
    ///
    /// # Errors
    /// No exporters or flows, or more exporters than addresses after the first.
    pub fn new(settings: &LoadSettings) -> Result<LoadGenerator, ScenarioError> {
        if settings.exporters == 0 || settings.flows == 0 {
            return Err(ScenarioError("load: exporters and flows must be at least 1".to_owned()));
        }
        let clock = DeviceClock { boot_us: settings.start_us - 86_400_000_000, offset_us: 0 };
        let layout = Layout::of(settings.protocol, settings.first_exporter.is_ipv6());
        let ipv6_share = if settings.protocol == WireProtocol::V5 { 0.0 } else { settings.ipv6_share };
        let mut flows = Flows::new(settings.seed, ipv6_share, settings.connections);
        let each = settings.flows.div_ceil(settings.exporters);
        let ring = |place: u32| {
            let address = address_after(settings.first_exporter, place)?;
            ring(settings, address, clock, each, &mut flows)
        };
        let exporters = (0..settings.exporters).map(ring).collect::<Result<_, _>>()?;
        Ok(LoadGenerator { exporters, layout, clock, turn: 0, now_us: settings.start_us })
    }

    /// The time that the following datagrams carry, microseconds since 1970.
    pub fn set_time(&mut self, now_us: i64) {
        self.now_us = now_us;
    }

    /// Records in the datagram that [`LoadGenerator::next`] gave last; 0 for templates.
    pub fn records(&self) -> u32 {
        let ring = &self.exporters[(self.turn + self.exporters.len() - 1) % self.exporters.len()];
        if is_template(ring, ring.sent.wrapping_sub(1)) {
            0
        } else {
            ring.data[(ring.next + ring.data.len() - 1) % ring.data.len()].records
        }
    }

    /// The next datagram and the exporter it comes from.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its own buffer")]
    pub fn next(&mut self) -> (IpAddr, &[u8]) {
        let turn = self.turn;
        self.turn = (turn + 1) % self.exporters.len();
        let ring = &mut self.exporters[turn];
        let is_template = is_template(ring, ring.sent);
        ring.sent += 1;
        let prepared = match &mut ring.templates {
            Some(templates) if is_template => templates,
            _ => {
                let place = ring.next;
                ring.next = (place + 1) % ring.data.len();
                &mut ring.data[place]
            }
        };
        let sequence = if self.layout.counts_before { ring.sequence.wrapping_add(prepared.step) } else { ring.sequence };
        ring.sequence = ring.sequence.wrapping_add(prepared.step);
        let payload = &mut prepared.payload;
        let mut patch = |at: Option<usize>, value: u32| {
            if let Some(at) = at {
                payload[at..at + 4].copy_from_slice(&value.to_be_bytes());
            }
        };
        patch(Some(self.layout.sequence), sequence);
        patch(self.layout.uptime, self.clock.uptime_ms(self.now_us));
        patch(self.layout.seconds, self.clock.seconds(self.now_us));
        patch(self.layout.nanoseconds, self.now_us.rem_euclid(1_000_000) as u32 * 1_000);
        for (at, before_ms) in &prepared.times {
            let milliseconds = self.now_us.div_euclid(1_000) - i64::from(*before_ms);
            let at = *at as usize;
            if self.layout.uptime.is_some() {
                let uptime_ms = self.clock.uptime_ms(self.now_us).wrapping_sub(*before_ms);
                payload[at..at + 4].copy_from_slice(&uptime_ms.to_be_bytes());
            } else {
                payload[at..at + 8].copy_from_slice(&milliseconds.to_be_bytes());
            }
        }
        (ring.address, payload)
    }
}

fn is_template(ring: &Ring, place: u64) -> bool {
    ring.templates.is_some() && place.is_multiple_of(TEMPLATES_EVERY)
}

fn address_after(first: IpAddr, place: u32) -> Result<IpAddr, ScenarioError> {
    let next = match first {
        IpAddr::V4(first) => u32::from(first).checked_add(place).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(first) => u128::from(first).checked_add(place.into()).map(|bits| IpAddr::V6(bits.into())),
    };
    next.ok_or_else(|| ScenarioError(format!("load: there are fewer addresses after {first} than exporters")))
}

/// How long before its datagram leaves every record ends, milliseconds.
const END_BEFORE_MS: u32 = 1_000;
/// Mean of the flows' durations, and the active timeout that cuts them, milliseconds.
const DURATION_MEAN_MS: f64 = 4_000.0;
const ACTIVE_TIMEOUT_MS: f64 = 55_000.0;

/// When a flow began and ended before its datagram leaves: durations scatter exponentially.
fn before_ms(random: &mut Random) -> [u32; 2] {
    [END_BEFORE_MS + random.exponential(DURATION_MEAN_MS).min(ACTIVE_TIMEOUT_MS) as u32, END_BEFORE_MS]
}

/// An exporter's datagrams; every record ends 1 s before the datagram leaves.
fn ring(
    settings: &LoadSettings,
    address: IpAddr,
    clock: DeviceClock,
    each: u32,
    flows: &mut Flows,
) -> Result<Ring, ScenarioError> {
    let now_us = settings.start_us;
    let mut made = Vec::new();
    let mut ring = Ring { address, templates: None, data: Vec::new(), next: 0, sent: 0, sequence: 0 };
    let mut columns = None;
    match settings.protocol {
        WireProtocol::V5 => {
            let mut encoder = Netflow5::new(clock, &[0], Some(settings.one_in), SamplingMethod::Random);
            for _ in 0..each {
                encoder.add(&flows.flow(now_us), now_us, &mut made);
            }
            encoder.flush(now_us, true, &mut made);
        }
        WireProtocol::V9 | WireProtocol::Ipfix => {
            let router = router(settings, address)?;
            let mut encoder = Templated::new(&router, clock, vec![(10, "et-0/0/0".to_owned()), (5, "ae5".to_owned())]);
            let mut state = Vec::new();
            encoder.describe(now_us, &mut state);
            columns = Some([false, true].map(|is_v6| crate::encode::fields::columns(&router, is_v6)));
            ring.templates =
                state.into_iter().next().map(|datagram| prepare(settings.protocol, datagram, None, &mut Random::new(0, 0)));
            (0..each).for_each(|_| encoder.add(&flows.flow(now_us), now_us, &mut made));
            encoder.flush(now_us, true, &mut made);
        }
        WireProtocol::Sflow => {
            let mut encoder = Sflow::new(address, clock, &[0], settings.one_in, false);
            for place in 1..=each {
                let source = DataSource { interface: 10, sequence: place, pool: place.wrapping_mul(settings.one_in) };
                encoder.add_flow(&flows.packet(now_us), flows.packet_bytes(), source, now_us, &mut made);
            }
            encoder.flush(now_us, &mut made);
        }
    }
    let mut random = Random::new(settings.seed, 1);
    ring.data = made.into_iter().map(|datagram| prepare(settings.protocol, datagram, columns.as_ref(), &mut random)).collect();
    Ok(ring)
}

/// A router whose records have 20 to 22 columns.
fn router(settings: &LoadSettings, address: IpAddr) -> Result<Router, ScenarioError> {
    let text = format!(
        "name = \"load\"\nmetro = \"\"\naddress = \"{address}\"\nprotocol = \"{}\"\nsampling = {{ one_in = {} }}\n",
        settings.protocol.name(),
        settings.one_in
    );
    Scenario::router(&text)
}

fn prepare(protocol: WireProtocol, datagram: Datagram, columns: Option<&[Vec<Field>; 2]>, random: &mut Random) -> Prepared {
    let records = datagram.records as u32;
    let step = match protocol {
        WireProtocol::V5 => records,
        WireProtocol::Ipfix => records + datagram.option_records as u32,
        WireProtocol::V9 | WireProtocol::Sflow => 1,
    };
    let times = match (protocol, columns) {
        (WireProtocol::V5, _) => (0..records)
            .flat_map(|record| {
                let [start, end] = before_ms(random);
                [(48 + 48 * record, start), (52 + 48 * record, end)]
            })
            .collect(),
        (_, Some(columns)) => times_of(&datagram.payload, if protocol == WireProtocol::Ipfix { 16 } else { 20 }, columns, random),
        _ => Vec::new(),
    };
    Prepared { payload: datagram.payload, step, records, times }
}

/// Where the records of our own template sets say when.
fn times_of(payload: &[u8], header_bytes: usize, columns: &[Vec<Field>; 2], random: &mut Random) -> Vec<(u32, u32)> {
    let mut times = Vec::new();
    let mut set = header_bytes;
    while let Some(head) = payload.get(set..set + 4) {
        let id = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let family = crate::encode::templated::TEMPLATES.iter().position(|template| *template == id);
        if let Some(columns) = family.map(|family| &columns[family]) {
            let record_bytes = crate::encode::fields::record_bytes(columns);
            let mut at = set + 4;
            while at + record_bytes <= set + length {
                let [start, end] = before_ms(random);
                for field in columns {
                    match field.value {
                        Value::Start => times.push((at as u32, start)),
                        Value::End => times.push((at as u32, end)),
                        _ => {}
                    }
                    at += usize::from(field.length);
                }
            }
        }
        set += length.max(4);
    }
    times
}
