//! The way of a flow through the network as it is now, and where on it packets are metered and counted.

use std::collections::BTreeMap;

use crate::flow::{Flow, Point};
use crate::plan::{Change, Changed, Plan};
use crate::record::{FlowRecord, frame_overhead};
use crate::scenario::{MeteredSide, OutputInterface, Scenario};
use crate::truth::Series;

/// Ingress and egress as places.
pub(crate) const SIDE_IN: usize = 0;
pub(crate) const SIDE_OUT: usize = 1;

/// What is up, and which sums exist.
pub(crate) struct Routing {
    /// Grows with every change of the network.
    pub(crate) epoch: u32,
    /// Links that are down or being drained, with those that take their traffic, and the share of flows that these take.
    down: BTreeMap<usize, (Vec<usize>, f64)>,
    members_down: Vec<Vec<bool>>,
    /// The first lane of every port: the whole port, then its members.
    lanes: Vec<usize>,
    /// All sums: two a lane (in, out), then those of `keyed`.
    pub(crate) series: Vec<Series>,
    pub(crate) keyed: BTreeMap<SeriesKey, usize>,
    start_us: i64,
}

/// What a sum is about: places in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SeriesKey {
    Link { link: usize, direction: usize },
    Tag { link: usize, direction: usize, is_v6: bool, far_end: usize },
    Customer { link: usize, direction: usize, customer: usize, prefix: usize },
    Moved { from: usize, to: usize, direction: usize },
}

/// One router on the way: in by a port, out by another.
struct Hop {
    router: usize,
    input: usize,
    output: usize,
}

impl Routing {
    pub(crate) fn new(plan: &Plan) -> Routing {
        let mut lanes = Vec::with_capacity(plan.ports.len());
        let mut next = 0;
        for port in &plan.ports {
            lanes.push(next);
            next += 1 + port.members.len();
        }
        Routing {
            epoch: 0,
            down: BTreeMap::new(),
            members_down: plan.ports.iter().map(|port| vec![false; port.members.len()]).collect(),
            lanes,
            series: vec![Series::new(plan.start_us); 2 * next],
            keyed: BTreeMap::new(),
            start_us: plan.start_us,
        }
    }

    /// How many lanes there are.
    pub(crate) fn lane_count(&self) -> usize {
        self.members_down.iter().map(|members| 1 + members.len()).sum()
    }

    /// The lane of a port's member, or of the whole port.
    pub(crate) fn lane(&self, port: usize, member: Option<usize>) -> usize {
        self.lanes[port] + member.map_or(0, |member| member + 1)
    }

    /// Is the member up?
    pub(crate) fn is_up(&self, port: usize, member: Option<usize>) -> bool {
        match member {
            Some(member) => !self.members_down[port][member],
            None => self.members_down[port].is_empty() || self.members_down[port].contains(&false),
        }
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        self.epoch += 1;
        match (&change.what, change.is_down) {
            (Changed::Link(link, others, share), true) => drop(self.down.insert(*link, (others.clone(), *share))),
            (Changed::Link(link, ..), false) => drop(self.down.remove(link)),
            (Changed::Member(port, member), is_down) => self.members_down[*port][*member] = is_down,
        }
    }

    /// Finds the way of a flow; false when there is none: its packets are never seen.
    pub(crate) fn route(&mut self, scenario: &Scenario, plan: &Plan, flow: &mut Flow) -> bool {
        flow.epoch = Some(self.epoch);
        flow.points.clear();
        flow.counted_in.clear();
        let Some(link) = self.link_of(flow) else {
            return false;
        };
        let hops = hops(plan, link, flow);
        for hop in &hops {
            for (port, side) in [(hop.input, SIDE_IN), (hop.output, SIDE_OUT)] {
                let framing = frame_overhead(vlan(plan, link, port));
                let member = self.member_of(port, flow.hash);
                flow.counted_in.push((2 * self.lanes[port] + side, framing));
                if member.is_some() {
                    flow.counted_in.push((2 * self.lane(port, member) + side, framing));
                }
                if is_metered(plan.ports[port].metering, side) {
                    flow.points.push(self.point(scenario, plan, link, hop, (port, side), flow));
                }
            }
        }
        if !plan.links[link].is_background {
            let framing = frame_overhead(plan.links[link].vlan);
            let moved = (link != flow.link).then_some(SeriesKey::Moved { from: flow.link, to: link, direction: flow.direction });
            for key in keys(link, flow).into_iter().chain(moved) {
                let next = self.series.len();
                let series = *self.keyed.entry(key).or_insert(next);
                if series == next {
                    self.series.push(Series::new(self.start_us));
                }
                flow.counted_in.push((series, framing));
            }
        }
        true
    }

    /// The flow's own link, or one that stands in for it while it is down.
    fn link_of(&self, flow: &Flow) -> Option<usize> {
        let Some((others, share)) = self.down.get(&flow.link) else {
            return Some(flow.link);
        };
        // Which flows go first has nothing to do with where they go.
        let turn = f64::from(flow.hash.wrapping_mul(0x9E37_79B1)) / f64::from(u32::MAX);
        if turn >= *share {
            return Some(flow.link);
        }
        let up: Vec<usize> = others.iter().copied().filter(|other| !self.down.contains_key(other)).collect();
        up.get(flow.hash as usize % up.len().max(1)).copied()
    }

    /// The member of a bundle that a flow rides.
    fn member_of(&self, port: usize, hash: u32) -> Option<usize> {
        let up: Vec<usize> = (0..self.members_down[port].len()).filter(|member| !self.members_down[port][*member]).collect();
        // Other bits than those that choose among links.
        up.get((hash >> 16) as usize % up.len().max(1)).copied()
    }

    fn index(&self, plan: &Plan, port: usize, hash: u32) -> u32 {
        let known = &plan.ports[port];
        let member = self.member_of(port, hash).filter(|_| known.carries_members);
        member.map_or(known.interface, |member| known.members[member].0)
    }

    fn point(&self, scenario: &Scenario, plan: &Plan, link: usize, hop: &Hop, at: (usize, usize), flow: &Flow) -> Point {
        let (port, side) = at;
        let router = &scenario.routers[hop.router];
        let known = &plan.ports[port];
        let member = self.member_of(port, flow.hash).filter(|_| known.carries_members);
        let hides_output = side == SIDE_IN && router.output_interface == OutputInterface::Zero;
        let shows_first = side == SIDE_IN && router.output_interface == OutputInterface::FirstPath;
        let shown_link = if shows_first && flow.direction == 0 { first_path(plan, link) } else { link };
        let output = if hop.output == plan.links[link].port { plan.links[shown_link].port } else { hop.output };
        let (customer, far_end) = (&plan.customers[flow.customer], &plan.far_ends[flow.far_end]);
        let (near_mask, far_mask) =
            (customer.prefixes[flow.customer_prefix].prefix_len(), far_end.prefixes[flow.far_prefix].prefix_len());
        let neighbour = neighbour_mac(plan, link, port);
        let (source_mac, destination_mac) = if side == SIDE_IN { (neighbour, known.mac) } else { (known.mac, neighbour) };
        let (next_hop, bgp_next_hop) = next_hops(scenario, plan, shown_link, hop, flow);
        let is_out = flow.direction == 0;
        let either = |near, far| if is_out { (near, far) } else { (far, near) };
        let (source, destination) = if is_out { (flow.near, flow.far) } else { (flow.far, flow.near) };
        let (source_port, destination_port) =
            if is_out { (flow.near_port, flow.far_port) } else { (flow.far_port, flow.near_port) };
        let (source_asn, destination_asn) = either(customer.asn, far_end.asn);
        let (source_mask, destination_mask) = either(near_mask.into(), far_mask.into());
        Point {
            router: hop.router,
            port,
            side,
            lane: self.lane(port, member),
            keys: FlowRecord {
                source_port,
                destination_port,
                protocol: flow.protocol,
                input: self.index(plan, hop.input, flow.hash),
                output: if hides_output { 0 } else { self.index(plan, output, flow.hash) },
                next_hop,
                bgp_next_hop,
                source_asn,
                destination_asn,
                source_mask: source_mask as u8,
                destination_mask: destination_mask as u8,
                source_mac,
                destination_mac,
                vlan: vlan(plan, link, port),
                is_egress: side == SIDE_OUT,
                domain: known.domain,
                ..FlowRecord::between(source, destination)
            },
            entry: None,
        }
    }
}

fn keys(link: usize, flow: &Flow) -> [SeriesKey; 3] {
    let direction = flow.direction;
    [
        SeriesKey::Link { link, direction },
        SeriesKey::Tag { link, direction, is_v6: flow.is_v6(), far_end: flow.far_end },
        SeriesKey::Customer { link, direction, customer: flow.customer, prefix: flow.customer_prefix },
    ]
}

fn is_metered(metering: MeteredSide, side: usize) -> bool {
    match metering {
        MeteredSide::Ingress => side == SIDE_IN,
        MeteredSide::Egress => side == SIDE_OUT,
        MeteredSide::Both => true,
        MeteredSide::None => false,
    }
}

fn vlan(plan: &Plan, link: usize, port: usize) -> u16 {
    if plan.links[link].port == port { plan.links[link].vlan } else { 0 }
}

/// The first of the links of a kind on a router: what a router says that knows one of several equal paths alone.
fn first_path(plan: &Plan, link: usize) -> usize {
    let own = &plan.links[link];
    let router = |place: usize| plan.ports[plan.links[place].port].router;
    let is_equal = |place: &usize| plan.links[*place].role == own.role && router(*place) == router(link);
    (0..plan.links.len()).find(is_equal).unwrap_or(link)
}

fn neighbour_mac(plan: &Plan, link: usize, port: usize) -> [u8; 6] {
    if plan.links[link].port == port { plan.links[link].neighbour_mac } else { plan.ports[port].neighbour_mac }
}

/// The routers between the customer's port and the link's: one, or two with their core ports between.
fn hops(plan: &Plan, link: usize, flow: &Flow) -> Vec<Hop> {
    let (near_port, far_port) = (plan.customers[flow.customer].port, plan.links[link].port);
    let (near, far) = (plan.ports[near_port].router, plan.ports[far_port].router);
    let is_out = flow.direction == 0;
    let (first, last) = if is_out { (near_port, far_port) } else { (far_port, near_port) };
    match (plan.routers[near].core_port, plan.routers[far].core_port) {
        (Some(near_core), Some(far_core)) if near != far => {
            let (leaves, enters) = if is_out { (near_core, far_core) } else { (far_core, near_core) };
            let hop = |input: usize, output: usize| Hop { router: plan.ports[input].router, input, output };
            vec![hop(first, leaves), hop(enters, last)]
        }
        _ => vec![Hop { router: near, input: first, output: last }],
    }
}

/// Next hop and BGP next hop as the hop's router knows them.
fn next_hops(
    scenario: &Scenario,
    plan: &Plan,
    link: usize,
    hop: &Hop,
    flow: &Flow,
) -> (Option<std::net::IpAddr>, Option<std::net::IpAddr>) {
    let router = &scenario.routers[hop.router];
    let link = &plan.links[link];
    let border = plan.ports[link.port].router;
    if flow.direction == 1 {
        let near = plan.ports[plan.customers[flow.customer].port].router;
        let loopback = (near != hop.router).then_some(plan.routers[near].address);
        return (loopback, loopback);
    }
    let outside = link.next_hops[usize::from(flow.is_v6())];
    if border == hop.router {
        return (outside, outside.filter(|_| router.bgp_next_hop));
    }
    let loopback = Some(plan.routers[border].address);
    (loopback, if router.next_hop_self { loopback } else { outside })
}
