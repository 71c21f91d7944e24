//! The run: packets in the order of their time, through routers, into datagrams and into the truth.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::encode::sflow::{Counters, DataSource};
use crate::exporter::Exporter;
use crate::flow::{self, Flow, SIZES_MAX, Sizes, Source};
use crate::output::Output;
use crate::plan::Plan;
use crate::random::Random;
use crate::routing::{Routing, SIDE_IN, SIDE_OUT};
use crate::scenario::{SamplingMethod, Scenario};
use crate::truth::{Sum, Truth};

/// Routers look at their timeouts this often, microseconds.
const TICK_US: i64 = 100_000;
/// Streams of random numbers, so that one purpose does not disturb another.
const STREAM_TRAFFIC: u64 = 1;
const STREAM_METERS: u64 = 1_000;
const STREAM_PATHS: u64 = 1_000_000;

/// Runs a scenario: every datagram goes to `output` in the order of time; returns what really happened.
///
/// Bounded memory: the flows that are under way and the routers' caches.
pub fn run(scenario: &Scenario, output: &mut impl Output) -> Truth {
    let mut simulation = Simulation::new(scenario);
    let end_us = simulation.traffic(output);
    let last_us = simulation.drain(end_us, output);
    simulation.truth(end_us, last_us, output)
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    plan: Plan,
    routing: Routing,
    exporters: Vec<Exporter>,
    sources: Vec<Source>,
    flows: Vec<Option<Flow>>,
    free: Vec<u32>,
    /// What happens next: (time, place of a flow, or of a source beyond `SOURCE`).
    events: BinaryHeap<Reverse<(i64, u32)>>,
    sizes: Sizes,
    random: Random,
    /// Two a port: in, out.
    samplers: Vec<Sampler>,
    /// One a lane: flow samples and counter samples so far.
    data_sources: Vec<[DataSource; 2]>,
    next_change: usize,
}

/// Events from here on are sources.
const SOURCE: u32 = 1 << 31;

/// Picks one packet in N.
struct Sampler {
    one_in: u32,
    method: SamplingMethod,
    /// Packets to let pass before the next one is picked.
    skip: u64,
    random: Random,
}

impl Sampler {
    fn new(one_in: u32, method: SamplingMethod, mut random: Random) -> Sampler {
        let skip = match method {
            SamplingMethod::Random => random.failures_before_success(one_in),
            SamplingMethod::Systematic => random.below(one_in.into()),
        };
        Sampler { one_in, method, skip, random }
    }

    fn pick_next(&mut self) {
        self.skip = match self.method {
            SamplingMethod::Random => self.random.failures_before_success(self.one_in),
            SamplingMethod::Systematic => u64::from(self.one_in) - 1,
        };
    }
}

impl<'a> Simulation<'a> {
    fn new(scenario: &'a Scenario) -> Simulation<'a> {
        let plan = Plan::new(scenario);
        let routing = Routing::new(&plan);
        let exporters = scenario.routers.iter().zip(STREAM_PATHS..);
        let exporter = |(router, stream)| Exporter::new(scenario, router, plan.start_us, Random::new(scenario.seed, stream));
        let samplers = (0..2 * plan.ports.len()).map(|place| {
            let sampling = &scenario.routers[plan.ports[place / 2].router].sampling;
            Sampler::new(sampling.one_in, sampling.method, Random::new(scenario.seed, STREAM_METERS + place as u64))
        });
        let sizes = Sizes::new(&scenario.traffic);
        let sources = flow::sources(&plan, &scenario.traffic, &sizes);
        let events = (0..sources.len() as u32).map(|place| Reverse((plan.start_us, SOURCE + place)));
        let mut simulation = Simulation {
            scenario,
            exporters: exporters.map(exporter).collect(),
            events: events.collect(),
            samplers: samplers.collect(),
            data_sources: vec![[DataSource::default(); 2]; routing.lane_count()],
            sources,
            flows: Vec::new(),
            free: Vec::new(),
            sizes,
            random: Random::new(scenario.seed, STREAM_TRAFFIC),
            next_change: 0,
            routing,
            plan,
        };
        simulation.name_data_sources();
        simulation
    }

    fn name_data_sources(&mut self) {
        for (place, port) in self.plan.ports.iter().enumerate() {
            let lane = self.routing.lane(place, None);
            let indexes = std::iter::once(port.interface).chain(port.members.iter().map(|member| member.0));
            for (sources, interface) in self.data_sources[lane..].iter_mut().zip(indexes) {
                sources.iter_mut().for_each(|source| source.interface = interface);
            }
        }
    }

    /// Every packet of the run; the time at which they end.
    fn traffic(&mut self, output: &mut impl Output) -> i64 {
        let mut next_tick_us = self.plan.start_us;
        loop {
            let event_us = self.events.peek().map_or(i64::MAX, |event| event.0.0);
            while next_tick_us <= event_us.min(self.plan.end_us) {
                if output.is_stopped() {
                    return next_tick_us;
                }
                output.reach(next_tick_us);
                self.tick(next_tick_us, false, output);
                next_tick_us += TICK_US;
            }
            let Some(Reverse((at_us, what))) = self.events.pop().filter(|event| event.0.0 < self.plan.end_us) else {
                return self.plan.end_us;
            };
            while self.plan.changes.get(self.next_change).is_some_and(|change| change.at_us <= at_us) {
                self.routing.apply(&self.plan.changes[self.next_change]);
                self.next_change += 1;
            }
            if what >= SOURCE { self.arrive(at_us, what - SOURCE) } else { self.train(at_us, what) }
        }
    }

    /// Time goes on without packets until the caches are empty; the time of the last datagram.
    fn drain(&mut self, end_us: i64, output: &mut impl Output) -> i64 {
        let mut now_us = end_us;
        while !self.exporters.iter().all(Exporter::is_idle) && !output.is_stopped() {
            now_us += TICK_US;
            output.reach(now_us);
            self.tick(now_us, false, output);
        }
        self.tick(now_us + TICK_US, true, output);
        now_us + TICK_US
    }

    /// A moment of every router: its datagrams carry the last microsecond before it.
    fn tick(&mut self, tick_us: i64, is_last: bool, output: &mut impl Output) {
        let now_us = (tick_us - 1).max(self.plan.start_us);
        for router in 0..self.exporters.len() {
            if self.exporters[router].wants_counters(tick_us) {
                self.counters(router, now_us, output);
            }
            self.exporters[router].tick(now_us, is_last, output);
        }
    }

    fn counters(&mut self, router: usize, now_us: i64, output: &mut impl Output) {
        for (place, port) in self.plan.ports.iter().enumerate().filter(|(_, port)| port.router == router) {
            let members = port.members.iter().enumerate().map(|(member, known)| (Some(member), known.1));
            for (member, speed_bps) in std::iter::once((None, port.speed_bps)).chain(members) {
                let lane = self.routing.lane(place, member);
                let total = |side: usize| self.routing.series[2 * lane + side].total;
                let counters = Counters {
                    speed_bps,
                    is_up: self.routing.is_up(place, member),
                    in_octets: total(SIDE_IN).l2_bytes,
                    in_packets: total(SIDE_IN).packets,
                    out_octets: total(SIDE_OUT).l2_bytes,
                    out_packets: total(SIDE_OUT).packets,
                };
                let source = &mut self.data_sources[lane][1];
                if self.exporters[router].is_polled() {
                    let name = &self.scenario.routers[router].name;
                    output.polled(&counters.line(name, source.interface, now_us));
                    continue;
                }
                source.sequence = source.sequence.wrapping_add(1);
                self.exporters[router].counters(port.domain, *source, &counters, now_us);
            }
        }
    }

    /// A moment of a source: perhaps a new flow, whose first packet comes now.
    fn arrive(&mut self, at_us: i64, place: u32) {
        let source = &mut self.sources[place as usize];
        let is_arrival = source.is_arrival;
        let factor = flow::load_factor(&self.scenario.traffic, self.plan.start_us, at_us);
        let wait_us = source.wait_us(factor, &mut self.random);
        self.events.push(Reverse((at_us + wait_us, SOURCE + place)));
        if is_arrival {
            let source = &self.sources[place as usize];
            let flow = flow::flow(&self.plan, &self.scenario.traffic, source, &mut self.random);
            let slot = self.free.pop().unwrap_or_else(|| {
                self.flows.push(None);
                self.flows.len() as u32 - 1
            });
            self.flows[slot as usize] = Some(flow);
            self.train(at_us, slot);
        }
    }

    /// The next packets of a flow, all at one instant.
    fn train(&mut self, at_us: i64, slot: u32) {
        let Some(mut flow) = self.flows[slot as usize].take() else {
            return;
        };
        let train = flow.train(&self.scenario.traffic);
        let mut sizes = [0; SIZES_MAX];
        let drawn = train.min(SIZES_MAX as u64) as usize;
        self.sizes.draw(&mut self.random, &mut sizes[..drawn]);
        flow.packets_left -= train;
        self.pass(&mut flow, at_us, &sizes[..drawn], train);
        flow.is_first = false;
        if flow.packets_left == 0 {
            self.free.push(slot);
            return;
        }
        let wait_us = flow.wait_us(train, &mut self.random);
        self.events.push(Reverse((at_us + wait_us, slot)));
        self.flows[slot as usize] = Some(flow);
    }

    /// Packets through the network, whose sizes come again and again: counted in the truth, then metered.
    fn pass(&mut self, flow: &mut Flow, at_us: i64, sizes: &[u16], packets: u64) {
        if flow.epoch != Some(self.routing.epoch) && !self.routing.route(self.scenario, &self.plan, flow) {
            flow.epoch = None;
            return;
        }
        let bytes = |sizes: &[u16]| -> u64 { sizes.iter().map(|size| u64::from(*size)).sum() };
        let (rounds, rest) = (packets / sizes.len() as u64, packets as usize % sizes.len());
        let l3_bytes = rounds * bytes(sizes) + bytes(&sizes[..rest]);
        for (series, framing) in &flow.counted_in {
            self.routing.series[*series].add(at_us, Sum { packets, l3_bytes, l2_bytes: l3_bytes + packets * framing });
        }
        let flags = if flow.protocol != 6 { 0 } else { 0x10 | u8::from(flow.is_first) << 1 | u8::from(flow.packets_left == 0) };
        for point in &mut flow.points {
            let sampler = &mut self.samplers[2 * point.port + point.side];
            let [source, _] = &mut self.data_sources[point.lane];
            let pool = source.pool;
            source.pool = pool.wrapping_add(packets as u32);
            let mut next = 0;
            while sampler.skip < packets - next {
                let picked = next + sampler.skip;
                sampler.pick_next();
                next = picked + 1;
                source.sequence = source.sequence.wrapping_add(1);
                let seen = DataSource { pool: pool.wrapping_add(next as u32), ..*source };
                point.keys.tcp_flags = flags;
                self.exporters[point.router].packet(
                    &mut point.entry,
                    &point.keys,
                    seen,
                    at_us,
                    sizes[picked as usize % sizes.len()].into(),
                );
            }
            sampler.skip -= packets - next;
        }
    }

    fn truth(self, end_us: i64, last_us: i64, output: &mut impl Output) -> Truth {
        let exporters = self.exporters.into_iter().flat_map(|exporter| exporter.finish(last_us, output));
        let (links, tags, customers, moved) = crate::summary::of_links(self.scenario, &self.plan, &self.routing);
        Truth {
            seed: self.scenario.seed,
            start_us: self.plan.start_us,
            end_us,
            links,
            tags,
            customers,
            moved,
            ports: crate::summary::of_ports(self.scenario, &self.plan, &self.routing),
            exporters: exporters.collect(),
        }
    }
}
