//! Flows of packets: who talks to whom, when, in packets of which size.

use std::net::IpAddr;

use crate::cache::Handle;
use crate::plan::{EndPlan, Plan};
use crate::random::Random;
use crate::record::FlowRecord;
use crate::scenario::TrafficShape;

/// Most sizes that are drawn for a train.
pub(crate) const SIZES_MAX: usize = 64;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
/// The longest step between two looks at the load, microseconds: the load may change meanwhile.
const STEP_US_MAX: f64 = 1e6;

/// The flows of one link in one direction.
pub(crate) struct Source {
    pub(crate) link: usize,
    /// 0 to the far end, 1 from it.
    pub(crate) direction: usize,
    /// Mean time between two flows at the mean load.
    gap_us: f64,
    /// The next moment is a flow, not only a look at the load.
    pub(crate) is_arrival: bool,
}

/// One direction of one conversation.
pub(crate) struct Flow {
    pub(crate) link: usize,
    pub(crate) direction: usize,
    pub(crate) customer: usize,
    pub(crate) customer_prefix: usize,
    pub(crate) far_end: usize,
    pub(crate) far_prefix: usize,
    pub(crate) near: IpAddr,
    pub(crate) far: IpAddr,
    pub(crate) near_port: u16,
    pub(crate) far_port: u16,
    pub(crate) protocol: u8,
    pub(crate) hash: u32,
    pub(crate) is_first: bool,
    pub(crate) packets_left: u64,
    gap_us: f64,
    /// The state of the network for which the way below was found.
    pub(crate) epoch: Option<u32>,
    /// Where it is metered.
    pub(crate) points: Vec<Point>,
    /// What it is counted in, and the bytes of framing a packet there.
    pub(crate) counted_in: Vec<(usize, u64)>,
}

/// A place where packets of a flow are metered.
pub(crate) struct Point {
    pub(crate) router: usize,
    pub(crate) port: usize,
    pub(crate) side: usize,
    /// The interface (bundle or member) that samples.
    pub(crate) lane: usize,
    pub(crate) keys: FlowRecord,
    pub(crate) entry: Option<Handle>,
}

impl Flow {
    pub(crate) fn is_v6(&self) -> bool {
        self.near.is_ipv6()
    }

    /// Packets of the next train.
    pub(crate) fn train(&self, shape: &TrafficShape) -> u64 {
        self.packets_left.min(u64::from(shape.packets_per_train))
    }

    /// Time to the next train.
    pub(crate) fn wait_us(&self, train: u64, random: &mut Random) -> i64 {
        (random.exponential(self.gap_us * train as f64) as i64).max(1)
    }
}

/// Packet sizes drawn eight at a time from 256 equally likely ones.
pub(crate) struct Sizes {
    table: [u16; 256],
}

impl Sizes {
    pub(crate) fn new(shape: &TrafficShape) -> Sizes {
        let total: f64 = shape.packet_sizes.iter().map(|size| size.weight).sum();
        let mut table = [0; 256];
        for (place, entry) in table.iter_mut().enumerate() {
            let mut left = (place as f64 + 0.5) / 256.0 * total;
            for size in shape.packet_sizes.iter().filter(|size| size.weight > 0.0) {
                *entry = size.bytes;
                left -= size.weight;
                if left < 0.0 {
                    break;
                }
            }
        }
        Sizes { table }
    }

    pub(crate) fn mean(&self) -> f64 {
        self.table.iter().map(|size| f64::from(*size)).sum::<f64>() / 256.0
    }

    pub(crate) fn draw(&self, random: &mut Random, out: &mut [u16]) {
        for eight in out.chunks_mut(8) {
            for (size, byte) in eight.iter_mut().zip(random.bits().to_le_bytes()) {
                *size = self.table[usize::from(byte)];
            }
        }
    }
}

/// One source for every link and direction that carries anything.
pub(crate) fn sources(plan: &Plan, shape: &TrafficShape, sizes: &Sizes) -> Vec<Source> {
    let weights: f64 = shape.flow_lengths.iter().map(|length| length.weight).sum();
    let packets: f64 = shape.flow_lengths.iter().map(|length| length.packets * length.weight).sum::<f64>() / weights;
    let flow_bits = packets * sizes.mean() * 8.0;
    let mut sources = Vec::new();
    for (link, plan) in plan.links.iter().enumerate() {
        for (direction, load_bps) in plan.loads_bps.into_iter().enumerate().filter(|(_, load_bps)| *load_bps > 0.0) {
            sources.push(Source { link, direction, gap_us: flow_bits / load_bps * 1e6, is_arrival: false });
        }
    }
    sources
}

impl Source {
    /// Time to this source's next moment.
    pub(crate) fn wait_us(&mut self, factor: f64, random: &mut Random) -> i64 {
        let gap_us = if factor > 0.0 { random.exponential(self.gap_us / factor) } else { f64::INFINITY };
        self.is_arrival = gap_us <= STEP_US_MAX;
        (gap_us.min(STEP_US_MAX) as i64).max(1)
    }
}

/// Load at a moment over the mean load.
pub(crate) fn load_factor(shape: &TrafficShape, start_us: i64, at_us: i64) -> f64 {
    let hour = at_us.rem_euclid(86_400_000_000) as f64 / 3.6e9;
    let day = 1.0 + (1.0 - shape.night_ratio) * ((hour - shape.peak_hour) / 24.0 * std::f64::consts::TAU).cos();
    let since = (at_us - start_us) as f64 / 1e6;
    let is_on = |at: f64, lasts: f64| since >= at && since < at + lasts;
    let surges = shape.surges.iter().filter(|surge| is_on(surge.at_seconds, surge.duration_seconds));
    day * surges.map(|surge| surge.factor).product::<f64>()
}

/// A new flow of a source.
pub(crate) fn flow(plan: &Plan, shape: &TrafficShape, source: &Source, random: &mut Random) -> Flow {
    let link = &plan.links[source.link];
    let far_ends = &plan.far_ends[link.far_ends.clone()];
    let can = |ends: &[EndPlan], is_v6: bool| ends.iter().any(|end| end.weight > 0.0 && end.has(is_v6));
    let has_both = can(far_ends, true) && can(&plan.customers, true);
    let is_v6 = (random.chance(link.ipv6_share) && has_both) || !can(far_ends, false);
    let weight = |end: &EndPlan| if end.has(is_v6) { end.weight } else { 0.0 };
    let customer = random.weighted(plan.customers.iter().map(weight));
    let far_end = link.far_ends.start + random.weighted(far_ends.iter().map(weight));
    let (customer_prefix, near) = plan.customers[customer].draw(is_v6, random);
    let (far_prefix, far) = plan.far_ends[far_end].draw(is_v6, random);
    let is_media = plan.far_ends[far_end].name.contains("Teams");
    let length = &shape.flow_lengths[random.weighted(shape.flow_lengths.iter().map(|length| length.weight))];
    let mean_packets = length.packets.max(1.0);
    let packets_left = 1 + if mean_packets > 1.0 { random.exponential(mean_packets - 0.5) as u64 } else { 0 };
    Flow {
        link: source.link,
        direction: source.direction,
        customer,
        customer_prefix,
        far_end,
        far_prefix,
        near,
        far,
        near_port: 32_768 + random.below(28_000) as u16,
        far_port: if is_media { 3_478 + random.below(4) as u16 } else { 443 },
        protocol: if is_media || random.chance(0.3) { PROTOCOL_UDP } else { PROTOCOL_TCP },
        hash: random.bits() as u32,
        is_first: true,
        packets_left,
        gap_us: length.seconds * 1e6 / mean_packets,
        epoch: None,
        points: Vec::new(),
        counted_in: Vec::new(),
    }
}
