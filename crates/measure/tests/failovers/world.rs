//! A network as it really is: groups of prefixes with their own days, each on one link of its order of preference.

use std::sync::Arc;

use measure::{Observed, PortSeen};
use model::{Direction, Link, Role};

use crate::random::Random;

/// Length of a bin, s.
pub(crate) const BIN_S: f64 = 10.0;
/// Mean size of a packet, bytes.
const PACKET: f64 = 900.0;
/// Relative variance of packet sizes.
const SIZES: f64 = 0.5;
pub(crate) const DIRECTIONS: [Direction; 2] = [Direction::FromMicrosoft, Direction::ToMicrosoft];

/// A link and how it is seen.
pub(crate) struct Place {
    pub(crate) link: Arc<Link>,
    pub(crate) router: usize,
    pub(crate) capacity_bps: f64,
    pub(crate) members: i64,
    /// Its port's counters are read.
    pub(crate) has_counters: bool,
    /// Other networks' traffic on its port, bit/s; 0 where it is alone.
    pub(crate) other_bps: f64,
}

/// A router: what it sends and how late.
pub(crate) struct Router {
    pub(crate) sampling: f64,
    /// Bins until what it sends is mature.
    pub(crate) lag: i64,
}

/// Traffic that moves together.
pub(crate) struct Group {
    /// 0 or 1: index in [`DIRECTIONS`].
    pub(crate) direction: usize,
    pub(crate) is_v6: bool,
    pub(crate) bps: f64,
    /// Links in the order in which it prefers them.
    pub(crate) order: Vec<usize>,
    /// Hour of its evening, and depth of its night.
    peak_hour: f64,
    night: f64,
    weekend: f64,
    /// How much it takes part in a surge.
    pub(crate) surge: f64,
    noise: f64,
}

/// What is in force in a bin.
#[derive(Clone, Default)]
pub(crate) struct Force {
    /// By group: the place in its order that carries it; beyond the order, none does.
    pub(crate) at: Vec<usize>,
    /// By group: from which part of the bin on it is at another place, and which.
    pub(crate) then: Vec<Option<(f64, usize)>>,
    /// By direction.
    pub(crate) demand: [f64; 2],
    pub(crate) other_demand: f64,
    pub(crate) surge: f64,
    /// By link.
    pub(crate) is_down: Vec<bool>,
    pub(crate) members_lost: Vec<i64>,
    pub(crate) errors: Vec<i64>,
    /// By router: sends nothing, and share of what it sends that is lost.
    pub(crate) is_silent: Vec<bool>,
    pub(crate) loss: Vec<f64>,
    /// Hours that clocks were set back by.
    pub(crate) clock: f64,
    pub(crate) holiday: f64,
}

pub(crate) struct World {
    pub(crate) places: Vec<Place>,
    pub(crate) routers: Vec<Router>,
    pub(crate) groups: Vec<Group>,
    /// Scatter of all traffic together, and how long it lasts.
    common_noise: f64,
    link_noise: f64,
    memory: f64,
    states: Vec<f64>,
    common: [f64; 2],
    links: Vec<[f64; 2]>,
    random: Random,
}

fn link(name: &str, role: Role, location: &str, exchange: Option<&str>) -> Arc<Link> {
    Arc::new(Link {
        name: name.into(),
        peering: None,
        kind: None,
        role,
        location: Some(location.into()),
        exchange: exchange.map(Into::into),
        port: Some(format!("port-{name}").as_str().into()),
        exporters: Vec::new(),
        is_active: true,
    })
}

impl World {
    pub(crate) fn draw(seed: u64) -> World {
        let mut random = Random::new(seed);
        let mut places = Vec::new();
        let metros = ["Frankfurt", "Amsterdam", "Paris"];
        let routers: Vec<Router> = (0..2 + random.below(3))
            .map(|_| Router {
                sampling: random.pick(&[1.0, 1.0, 10.0, 128.0, 512.0, 1000.0, 2048.0, 4096.0]),
                lag: random.pick(&[0, 0, 7]),
            })
            .collect();
        let has_counters = random.chance(0.6);
        let mut add = |random: &mut Random, name: String, role, metro: &str, exchange: Option<&str>| {
            let other_bps = if role == Role::Direct { 0.0 } else { random.between(2e9, 40e9) };
            places.push(Place {
                link: link(&name, role, metro, exchange),
                router: random.below(routers.len()),
                capacity_bps: 100e9,
                members: if random.chance(0.5) { 4 } else { 1 },
                has_counters,
                other_bps,
            });
        };
        for index in 0..2 + random.below(4) {
            let metro = metros[random.below(metros.len())];
            add(&mut random, format!("pni-{index}"), Role::Direct, metro, None);
        }
        if random.chance(0.7) {
            for index in 0..2 + random.below(2) {
                add(&mut random, format!("ix-{index}"), Role::Exchange, metros[0], Some("DE-CIX"));
            }
        }
        for index in 0..1 + random.below(2) {
            add(&mut random, format!("transit-{index}"), Role::Transit, metros[1], None);
        }
        let total = 10_f64.powf(random.between(9.3, 11.3));
        let groups = groups(&mut random, &places, total);
        let states = vec![0.0; groups.len()];
        let links = vec![[0.0; 2]; places.len()];
        let (common_noise, link_noise) = (random.between(0.002, 0.015), random.between(0.002, 0.025));
        let memory = random.between(0.2, 0.85);
        World { places, routers, groups, common_noise, link_noise, memory, states, common: [0.0; 2], links, random }
    }

    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.places.iter().map(|place| place.link.clone()).collect()
    }

    pub(crate) fn calm(&self) -> Force {
        Force {
            at: vec![0; self.groups.len()],
            then: vec![None; self.groups.len()],
            demand: [1.0; 2],
            other_demand: 1.0,
            surge: 0.0,
            is_down: vec![false; self.places.len()],
            members_lost: vec![0; self.places.len()],
            errors: vec![0; self.places.len()],
            is_silent: vec![false; self.routers.len()],
            loss: vec![0.0; self.routers.len()],
            clock: 0.0,
            holiday: 1.0,
        }
    }

    /// What a group carries in a bin, were there no noise.
    pub(crate) fn load(&self, group: &Group, bin: i64, force: &Force) -> f64 {
        let hour = (bin as f64 / 360.0 + force.clock).rem_euclid(24.0);
        let day = (bin as f64 / 360.0 + force.clock).div_euclid(24.0) as i64;
        let phase = (hour - group.peak_hour) / 24.0 * std::f64::consts::TAU;
        let shape = group.night + (1.0 - group.night) * (0.5 + 0.5 * phase.cos()).powf(1.3);
        let week = if day.rem_euclid(7) >= 5 { group.weekend } else { 1.0 };
        // Midnight is no step: the weekend comes over some hours.
        let before = if (day - 1).rem_euclid(7) >= 5 { group.weekend } else { 1.0 };
        let week = before + (week - before) * (hour / 5.0).min(1.0);
        group.bps * shape * week * force.holiday * (1.0 + force.surge * group.surge) * force.demand[group.direction]
    }

    /// The true load of each link, direction and IP version of a bin.
    fn true_loads(&mut self, bin: i64, force: &Force) -> Vec<[[f64; 2]; 2]> {
        let keep = self.memory;
        let fresh = (1.0 - keep * keep).sqrt();
        for common in &mut self.common {
            *common = *common * keep + fresh * self.common_noise * self.random.normal();
        }
        for link in &mut self.links {
            for noise in link {
                *noise = *noise * keep + fresh * self.link_noise * self.random.normal();
            }
        }
        let mut loads = vec![[[0.0; 2]; 2]; self.places.len()];
        for index in 0..self.groups.len() {
            let noise = self.groups[index].noise;
            self.states[index] = self.states[index] * keep + fresh * noise * self.random.normal();
            let group = &self.groups[index];
            let load = self.load(group, bin, force) * (1.0 + self.states[index]) * (1.0 + self.common[group.direction]);
            let (until, then) = force.then[index].unwrap_or((1.0, force.at[index]));
            for (place, part) in [(force.at[index], until), (then, 1.0 - until)] {
                if let Some(link) = group.order.get(place) {
                    let noisy = load.max(0.0) * (1.0 + self.links[*link][group.direction]).max(0.0);
                    loads[*link][group.direction][usize::from(group.is_v6)] += noisy * part;
                }
            }
        }
        loads
    }

    /// What telemetry shows of a bin: of each link and direction, and of each port.
    pub(crate) fn observe(&mut self, bin: i64, force: &Force) -> (Vec<Observed>, Vec<PortSeen>) {
        let loads = self.true_loads(bin, force);
        let (mut observed, mut ports) = (Vec::new(), Vec::new());
        for (index, of) in loads.iter().enumerate() {
            let place = &self.places[index];
            let (router, other_bps, capacity) = (place.router, place.other_bps, place.capacity_bps);
            if place.has_counters {
                let members = place.members - force.members_lost[index];
                ports.push(PortSeen {
                    link: index as u32,
                    is_up: Some(!force.is_down[index]),
                    members_up: (place.members > 1 && !force.is_down[index]).then_some(members),
                    capacity_bps: Some((capacity * members as f64 / place.members as f64) as u64),
                    errors: Some(force.errors[index]),
                });
            }
            for (side, direction) in DIRECTIONS.into_iter().enumerate() {
                let sampling = self.routers[router].sampling;
                let arrived = 1.0 - force.loss[router];
                let (v4, v4_error) = sampled(&mut self.random, of[side][0], sampling, arrived);
                let (v6, v6_error) = sampled(&mut self.random, of[side][1], sampling, arrived);
                let least = if sampling > 1.0 { sampling * PACKET * 8.0 / BIN_S } else { 0.0 };
                let bps = v4 + v6;
                let is_silent = force.is_silent[router];
                observed.push(Observed {
                    link: index as u32,
                    direction: Some(direction),
                    bps: Some(if is_silent { 0.0 } else { bps }),
                    v6_bps: Some(if is_silent { 0.0 } else { v6 }),
                    standard_error_bps: Some(v4_error.hypot(v6_error).max(least)),
                    coverage_ratio: Some(arrived),
                    utilisation_ratio: Some((bps + other_bps) / capacity),
                    other_bps: (other_bps > 0.0).then_some(other_bps * force.other_demand * (1.0 + 0.01 * self.random.normal())),
                    is_silent,
                });
            }
        }
        (observed, ports)
    }
}

/// An estimate from sampled packets, and its standard error.
fn sampled(random: &mut Random, bps: f64, sampling: f64, arrived: f64) -> (f64, f64) {
    if sampling <= 1.0 {
        return (bps * arrived, 0.0);
    }
    let packets = bps * BIN_S / 8.0 / PACKET / sampling * arrived;
    let count = random.poisson(packets);
    let size = PACKET * (1.0 + (SIZES / count.max(1.0)).sqrt() * random.normal()).max(0.1);
    let scale = sampling * 8.0 / BIN_S;
    (count * size * scale, (count * (1.0 + SIZES)).sqrt() * PACKET * scale)
}

fn groups(random: &mut Random, places: &[Place], total: f64) -> Vec<Group> {
    let peers: Vec<usize> = (0..places.len()).filter(|index| places[*index].link.role != Role::Transit).collect();
    let transit: Vec<usize> = (0..places.len()).filter(|index| places[*index].link.role == Role::Transit).collect();
    let mut groups = Vec::new();
    let weights: Vec<f64> = peers.iter().map(|_| random.between(0.4, 1.6)).collect();
    let sum: f64 = weights.iter().sum();
    let (v6_share, noise) = (random.between(0.1, 0.4), random.between(0.005, 0.04));
    for direction in 0..2 {
        let size = if direction == 0 { total } else { total * 0.25 };
        for (place, weight) in peers.iter().zip(&weights) {
            for part in 0..6 {
                let mut order = vec![*place];
                let mut others: Vec<usize> = peers.iter().copied().filter(|other| other != place).collect();
                while !others.is_empty() {
                    let next = others.remove(random.below(others.len()));
                    order.push(next);
                }
                // Some goes to transit at once, and some is found nowhere again.
                if random.chance(0.25) {
                    order.truncate(1);
                }
                if random.chance(0.85) {
                    order.push(transit[random.below(transit.len())]);
                }
                let is_v6 = part >= 4;
                let share = if is_v6 { v6_share / 2.0 } else { (1.0 - v6_share) / 4.0 };
                groups.push(Group {
                    direction,
                    is_v6,
                    bps: size * weight / sum * share * random.between(0.7, 1.3),
                    order,
                    peak_hour: random.between(18.5, 21.5),
                    night: random.between(0.3, 0.5),
                    weekend: random.between(0.85, 1.1),
                    surge: random.between(0.5, 1.5),
                    noise,
                });
            }
        }
        for place in &transit {
            let bps = size * random.between(0.01, 0.05);
            groups.push(Group {
                direction,
                is_v6: false,
                bps,
                order: vec![*place],
                peak_hour: 20.0,
                night: 0.4,
                weekend: 1.0,
                surge: 1.0,
                noise,
            });
        }
    }
    groups
}
