//! What happens in a network, and the truth about it.

use model::Role;

use crate::random::Random;
use crate::world::{Force, World};

/// Links leave a group, or a group leaves links, for a time.
struct Action {
    /// By group: when it leaves, and when it comes back; in bins.
    away: Vec<Option<(f64, f64)>>,
    links: Vec<usize>,
    /// The port is down from bin to bin.
    down: Option<(i64, i64)>,
    members: Option<(i64, i64)>,
    errors: Option<(i64, i64)>,
    /// Demand by direction, of others too, from bin to bin.
    demand: Option<(f64, f64, i64, i64)>,
}

/// Something that must not be taken for an event.
enum Disturbance {
    Silent { router: usize, from: i64, to: i64 },
    Loss { router: usize, from: i64, to: i64, share: f64 },
    Surge { from: i64, to: i64, size: f64, ramp: f64 },
}

/// What is true of an event, in a direction.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) kind: &'static str,
    pub(crate) links: Vec<usize>,
    /// `None` where the port alone tells.
    pub(crate) direction: Option<usize>,
    pub(crate) ip_version: Option<i64>,
    pub(crate) start: i64,
    pub(crate) end: Option<i64>,
    pub(crate) flaps: i64,
    /// What fell, bit/s.
    pub(crate) fall_bps: f64,
    pub(crate) before_bps: f64,
    /// Where it went, by link; and what went nowhere.
    pub(crate) shares: Vec<(usize, f64)>,
    pub(crate) unaccounted: f64,
}

pub(crate) struct Scenario {
    pub(crate) world: World,
    actions: Vec<Action>,
    disturbances: Vec<Disturbance>,
    pub(crate) truths: Vec<Truth>,
    pub(crate) first: i64,
    pub(crate) bins: i64,
    /// Bin from which clocks are an hour back, and days that are holidays.
    clock: Option<i64>,
    holiday: Option<(i64, i64)>,
}

const KINDS: [&str; 14] = [
    "failed",
    "failed",
    "drained",
    "drained",
    "shifted",
    "shifted",
    "member_lost",
    "exchange_lost",
    "microsoft_wide",
    "own_demand",
    "one_family",
    "simultaneous",
    "optics",
    "flapping",
];

impl Scenario {
    /// Some hours with an event every quarter of an hour or so.
    pub(crate) fn draw(seed: u64, events: usize) -> Scenario {
        let mut random = Random::new(seed ^ 0xA5A5_0000);
        let world = World::draw(seed);
        let first = random.below(7 * 8_640) as i64;
        let mut scenario = Scenario {
            world,
            actions: Vec::new(),
            disturbances: Vec::new(),
            truths: Vec::new(),
            first,
            bins: 0,
            clock: None,
            holiday: None,
        };
        // Half an hour to get to know the network.
        let mut at = first + 180 + random.below(60) as i64;
        for _ in 0..events {
            let until = scenario.event(&mut random, at);
            scenario.disturb(&mut random, until);
            at = until + 105 + random.below(60) as i64;
        }
        scenario.bins = at - first;
        scenario
    }

    /// Days on which nothing happens but what is usual: nights, a weekend, a holiday, a surge, clocks set back.
    pub(crate) fn quiet(seed: u64, days: i64) -> Scenario {
        let mut random = Random::new(seed ^ 0x0015_EE70);
        let world = World::draw(seed);
        let day = 8_640;
        let surge = 3 * day + 6_480 + random.below(600) as i64;
        Scenario {
            world,
            actions: Vec::new(),
            disturbances: vec![Disturbance::Surge { from: surge, to: surge + 1_000, size: random.between(0.3, 0.8), ramp: 30.0 }],
            truths: Vec::new(),
            first: 0,
            bins: days * day,
            clock: Some(5 * day + 1_080),
            holiday: Some((2 * day, 3 * day)),
        }
    }

    /// Adds an event; gives the bin in which all is as before again.
    fn event(&mut self, random: &mut Random, at: i64) -> i64 {
        let start = at as f64 + random.unit();
        let end = at + 24 + random.below(40) as i64;
        let peers = self.of_role(|role| role != Role::Transit);
        let direct = self.of_role(|role| role == Role::Direct);
        let sessions = self.of_role(|role| role == Role::Exchange);
        let (peer, wire, version) = (random.pick(&peers), random.pick(&direct), random.pick(&[4, 6]));
        match random.pick(&KINDS) {
            "failed" => self.cut(random, "failed", &[peer], None, (start, end)),
            "optics" => {
                self.cut(random, "failed", &[wire], None, (start, end));
                if let Some(action) = self.actions.last_mut() {
                    action.errors = Some((at - 18, at));
                    action.down = Some((at, end));
                }
            }
            "one_family" => self.cut(random, "failed", &[peer], Some(version), (start, end)),
            "simultaneous" if direct.len() >= 3 => {
                self.cut(random, "failed", &direct[..2], None, (start, end));
            }
            "exchange_lost" if sessions.len() >= 2 => self.cut(random, "exchange_lost", &sessions, None, (start, end)),
            "drained" => return self.drain(random, peer, start, end),
            "shifted" => self.shift(random, peer, start, end),
            "flapping" => return self.flap(random, wire, at),
            "member_lost" => self.lose_member(wire, at, end),
            kind @ ("microsoft_wide" | "own_demand") => self.wide(random, kind, at, end),
            _ => self.cut(random, "failed", &[peer], None, (start, end)),
        }
        end
    }

    fn of_role(&self, is_in: impl Fn(Role) -> bool) -> Vec<usize> {
        (0..self.world.places.len()).filter(|index| is_in(self.world.places[*index].link.role)).collect()
    }

    fn action(&self) -> Action {
        let away = vec![None; self.world.groups.len()];
        Action { away, links: Vec::new(), down: None, members: None, errors: None, demand: None }
    }

    /// Links are cut: what rides them goes within seconds.
    fn cut(
        &mut self,
        random: &mut Random,
        kind: &'static str,
        links: &[usize],
        ip_version: Option<i64>,
        (start, end): (f64, i64),
    ) {
        let mut action = self.action();
        for (index, group) in self.world.groups.iter().enumerate() {
            let is_part = ip_version.is_none_or(|version| (version == 6) == group.is_v6);
            if links.contains(&group.order[0]) && is_part {
                action.away[index] = Some((start, end as f64 + random.between(0.0, 2.0)));
            }
        }
        action.links = links.to_vec();
        if ip_version.is_none() && kind == "failed" && random.chance(0.6) {
            action.down = Some((start as i64, end));
        }
        let groups: Vec<&[usize]> = if kind == "exchange_lost" { vec![links] } else { links.chunks(1).collect() };
        for links in groups {
            for direction in 0..2 {
                self.tell(&action, (kind, links), direction, ip_version, (start, Some(end)));
            }
        }
        self.actions.push(action);
    }

    /// Prefixes leave one after the other, each direction in its own time.
    fn drain(&mut self, random: &mut Random, link: usize, start: f64, end: i64) -> i64 {
        let (end, mean) = (end + 20, random.between(2.0, 7.0));
        let starts = [start, start + random.between(0.0, 5.0)];
        let mut action = self.action();
        action.links = vec![link];
        let riding: Vec<usize> =
            (0..self.world.groups.len()).filter(|index| self.world.groups[*index].order[0] == link).collect();
        for (direction, start) in starts.into_iter().enumerate() {
            let of: Vec<usize> =
                riding.iter().copied().filter(|index| self.world.groups[*index].direction == direction).collect();
            for (position, group) in of.iter().enumerate() {
                // The first leaves at once, the others in minutes.
                let wait = if position == 0 { 0.0 } else { (-(1.0 - random.unit()).ln() * mean).min(16.0) };
                action.away[*group] = Some((start + wait, end as f64 + random.between(0.0, 3.0)));
            }
            self.tell(&action, ("drained", &[link]), direction, None, (start, Some(end)));
        }
        self.actions.push(action);
        end
    }

    /// Some prefixes from Microsoft move on purpose.
    fn shift(&mut self, random: &mut Random, link: usize, start: f64, end: i64) {
        let mut action = self.action();
        action.links = vec![link];
        let count = 1 + random.below(3);
        let riding: Vec<usize> = (0..self.world.groups.len())
            .filter(|index| {
                self.world.groups[*index].order[0] == link
                    && self.world.groups[*index].direction == 0
                    && !self.world.groups[*index].is_v6
            })
            .collect();
        for group in riding.into_iter().take(count) {
            action.away[group] = Some((start + random.between(0.0, 0.8), end as f64 + random.between(0.0, 2.0)));
        }
        self.tell(&action, ("shifted", &[link]), 0, Some(4), (start, Some(end)));
        self.actions.push(action);
    }

    /// Cut, back, and cut again, three times.
    fn flap(&mut self, random: &mut Random, link: usize, at: i64) -> i64 {
        let times = 2 + random.below(2) as i64;
        let period = 14 + random.below(8) as i64;
        for index in 0..times {
            let start = at + index * 2 * period;
            let mut action = self.action();
            action.links = vec![link];
            for (index, group) in self.world.groups.iter().enumerate().filter(|(_, group)| group.order[0] == link) {
                let _ = group;
                action.away[index] = Some((start as f64, (start + period) as f64));
            }
            if index == 0 {
                for direction in 0..2 {
                    let last = at + (times - 1) * 2 * period + period;
                    self.tell(&action, ("failed", &[link]), direction, None, (start as f64, Some(last)));
                    self.truths.last_mut().unwrap().flaps = times - 1;
                }
            }
            self.actions.push(action);
        }
        at + (times - 1) * 2 * period + period
    }

    fn lose_member(&mut self, link: usize, at: i64, end: i64) {
        let place = &self.world.places[link];
        if place.members < 2 || !place.has_counters {
            return;
        }
        let action = Action { links: vec![link], members: Some((at, end)), ..self.action() };
        self.actions.push(action);
        self.truths.push(Truth {
            kind: "member_lost",
            links: vec![link],
            direction: None,
            ip_version: None,
            start: at,
            end: Some(end),
            flaps: 0,
            fall_bps: 0.0,
            before_bps: 0.0,
            shares: Vec::new(),
            unaccounted: 0.0,
        });
    }

    fn wide(&mut self, random: &mut Random, kind: &'static str, at: i64, end: i64) {
        let demand = random.between(0.1, 0.6);
        let others = if kind == "own_demand" { demand } else { 1.0 };
        self.actions.push(Action { demand: Some((demand, others, at, end)), ..self.action() });
        for direction in 0..2 {
            let before: f64 = self.loads(direction, at).iter().sum();
            self.truths.push(Truth {
                kind,
                links: (0..self.world.places.len()).collect(),
                direction: Some(direction),
                ip_version: None,
                start: at,
                end: Some(end),
                flaps: 0,
                fall_bps: before * (1.0 - demand),
                before_bps: before,
                shares: Vec::new(),
                unaccounted: 1.0,
            });
        }
    }

    fn loads(&self, direction: usize, bin: i64) -> Vec<f64> {
        let calm = self.world.calm();
        let of = self.world.groups.iter();
        of.map(|group| if group.direction == direction { self.world.load(group, bin, &calm) } else { 0.0 }).collect()
    }

    /// Writes down what an action does in a direction.
    fn tell(
        &mut self,
        action: &Action,
        (kind, links): (&'static str, &[usize]),
        direction: usize,
        ip_version: Option<i64>,
        (start, end): (f64, Option<i64>),
    ) {
        let loads = self.loads(direction, start as i64);
        let (mut fall, mut before) = (0.0, 0.0);
        let mut shares = vec![0.0; self.world.places.len()];
        let mut nowhere = 0.0;
        for (index, group) in self.world.groups.iter().enumerate().filter(|(_, group)| group.direction == direction) {
            let is_part = ip_version.is_none_or(|version| (version == 6) == group.is_v6);
            if links.contains(&group.order[0]) && is_part {
                before += loads[index];
            }
            if action.away[index].is_none() || !action.links.contains(&group.order[0]) {
                continue;
            }
            if links.contains(&group.order[0]) {
                fall += loads[index];
            }
            // Links that fell together are accounted for together.
            match group.order.iter().find(|link| !action.links.contains(link)) {
                Some(link) => shares[*link] += loads[index],
                None => nowhere += loads[index],
            }
        }
        let all: f64 = shares.iter().sum::<f64>() + nowhere;
        self.truths.push(Truth {
            kind,
            links: links.to_vec(),
            direction: Some(direction),
            ip_version,
            start: start as i64,
            end,
            flaps: 0,
            fall_bps: fall,
            before_bps: before,
            shares: shares.iter().enumerate().map(|(link, bps)| (link, bps / all.max(1.0))).collect(),
            unaccounted: nowhere / all.max(1.0),
        });
    }

    /// Something that is no event, in the quiet after one.
    fn disturb(&mut self, random: &mut Random, after: i64) {
        let from = after + 45 + random.below(20) as i64;
        let router = random.below(self.world.routers.len());
        match random.below(8) {
            0 => self.disturbances.push(Disturbance::Silent { router, from, to: from + 12 + random.below(20) as i64 }),
            1 => self.disturbances.push(Disturbance::Silent { router, from, to: from + 1 + random.below(3) as i64 }),
            2 => {
                let (share, length) = (random.between(0.02, 0.3), random.below(24) as i64);
                self.disturbances.push(Disturbance::Loss { router, from, to: from + 6 + length, share });
            }
            3 => {
                let (size, ramp) = (random.between(0.1, 0.5), random.between(12.0, 30.0));
                self.disturbances.push(Disturbance::Surge { from, to: from + 40, size, ramp });
            }
            _ => {}
        }
    }

    /// What is in force in a bin.
    pub(crate) fn force(&self, bin: i64) -> Force {
        let mut force = self.world.calm();
        force.clock = self.clock.filter(|from| bin >= *from).map_or(0.0, |_| -1.0);
        if let Some((from, to)) = self.holiday {
            let edge = ((bin - from).min(to - bin) as f64 / 1_800.0).clamp(0.0, 1.0);
            force.holiday = 1.0 - 0.35 * edge;
        }
        for action in &self.actions {
            action.apply(self, bin, &mut force);
        }
        self.place(bin, &mut force);
        for disturbance in &self.disturbances {
            match *disturbance {
                Disturbance::Silent { router, from, to } => force.is_silent[router] |= (from..to).contains(&bin),
                Disturbance::Loss { router, from, to, share } if (from..to).contains(&bin) => force.loss[router] = share,
                Disturbance::Surge { from, to, size, ramp } => {
                    let edge = (bin - from).min(to - bin) as f64 / ramp;
                    force.surge += size * edge.clamp(0.0, 1.0);
                }
                Disturbance::Loss { .. } => {}
            }
        }
        force
    }

    /// Puts each group where it is: on the first link of its order that it has not left.
    fn place(&self, bin: i64, force: &mut Force) {
        for (index, group) in self.world.groups.iter().enumerate() {
            let at = |time: f64| {
                let is_away = |link: &usize| {
                    self.actions.iter().any(|action| {
                        let is_of = action.links.contains(link);
                        is_of
                            && (action.away[index].is_some_and(|(from, to)| (from..to).contains(&time))
                                || group.order[0] != *link && self.is_closed(action, *link, time))
                    })
                };
                group.order.iter().position(|link| !is_away(link)).unwrap_or(group.order.len())
            };
            force.at[index] = at(bin as f64);
            let mut moves = self.actions.iter().filter_map(|action| action.away[index]).flat_map(|(from, to)| [from, to]);
            if let Some(moved) = moves.find(|at| (bin as f64..(bin + 1) as f64).contains(at)) {
                force.then[index] = Some((moved - bin as f64, at((bin + 1) as f64 - 1e-9)));
            }
        }
    }

    /// A link that is cut takes nothing from others either.
    fn is_closed(&self, action: &Action, link: usize, time: f64) -> bool {
        let is_whole = action.away.iter().zip(&self.world.groups).all(|(away, group)| group.order[0] != link || away.is_some());
        let mut of = action.away.iter().zip(&self.world.groups).filter(|(_, group)| group.order[0] == link);
        is_whole && of.any(|(away, _)| away.is_some_and(|(from, to)| (from..to).contains(&time)))
    }
}

impl Action {
    fn apply(&self, _: &Scenario, bin: i64, force: &mut Force) {
        let within = |span: Option<(i64, i64)>| span.is_some_and(|(from, to)| (from..to).contains(&bin));
        for link in &self.links {
            force.is_down[*link] |= within(self.down);
            force.members_lost[*link] += i64::from(within(self.members));
            if within(self.errors) {
                force.errors[*link] = 500;
            }
        }
        if let Some((demand, others, from, to)) = self.demand
            && (from..to).contains(&bin)
        {
            force.demand = [demand; 2];
            force.other_demand = others;
        }
    }
}
