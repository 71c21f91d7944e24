//! What would happen if connections failed: every survivor's load, moment by moment.

use super::network::{most, p95};
use super::shares::Shares;
use super::{Network, Origin};

/// A load over time: the most, when that is, and the 95th percentile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amount {
    /// The most, bit/s.
    pub most_bps: f64,
    /// Its time step.
    pub step: usize,
    /// 95th percentile by nearest rank, bit/s.
    pub p95_bps: f64,
}

/// A survivor that takes something, and what its whole port comes to carry on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Survivor {
    /// Place of the connection or transit link.
    pub connection: usize,
    /// Load of its port over capacity at the worst moment; `None` where load or capacity is unknown.
    pub utilisation: Option<f64>,
    /// The same without the failure, at the same moment.
    pub utilisation_before: Option<f64>,
    /// 95th percentile of the load over capacity.
    pub utilisation_p95: Option<f64>,
    /// Load of its port; `None` where it is unknown.
    pub load: Option<Amount>,
    /// What all that fails carries at the worst moment, bit/s.
    pub lost_bps: f64,
    /// What it takes at that moment, bit/s, by [`Origin::ALL`].
    pub taken_bps: [f64; 4],
    /// Standard error of what it takes at that moment, bit/s; `None` where nothing tells how good a rule is.
    pub error_bps: Option<f64>,
}

impl Survivor {
    /// What it takes at the worst moment, bit/s.
    pub fn taken(&self) -> f64 {
        self.taken_bps.iter().sum()
    }
}

/// What a failure would come to. What moves is what stays in the metro, leaves it, goes to transit, finds nothing, or was not
/// found again in the earlier failover.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Those that take something, the fullest first; those of unknown load last.
    pub survivors: Vec<Survivor>,
    /// What the failed carried.
    pub moved: Amount,
    /// What finds no room: load of survivors' ports above the line at which they are full, as far as the failure brings it.
    pub does_not_fit: Amount,
    /// What goes to connections of other metros; `None` where it is not known what is in which metro.
    pub leaves_metro: Option<Amount>,
    /// What goes to transit.
    pub to_transit: Amount,
    /// What no survivor can be named for: none is left, or none has a known capacity.
    pub nowhere: Amount,
    /// What was not found again in the earlier failover whose shares these are.
    pub unaccounted: Amount,
    /// Places of those that fail whose load is unknown throughout: they are not in any figure.
    pub unknown: Vec<usize>,
    /// Time steps that could be judged: those in which all loads of the failed are known.
    pub steps_known: usize,
}

impl Outcome {
    /// The fullest survivor.
    pub fn worst(&self) -> Option<&Survivor> {
        self.survivors.first().filter(|survivor| survivor.utilisation.is_some())
    }

    /// Whether the survivors hold, up to a load over capacity of `full`; `None` where it is not known.
    pub fn holds(&self, full: f64) -> Option<bool> {
        let is_over = self.worst().and_then(|worst| worst.utilisation).is_some_and(|ratio| ratio > full);
        if is_over || self.nowhere.most_bps > 0.0 {
            return Some(false);
        }
        let is_known = self.steps_known > 0 && self.survivors.iter().all(|survivor| survivor.utilisation.is_some());
        is_known.then_some(true)
    }

    /// By how much all loads may grow until a survivor is over `full`: 0.25 is a quarter; below 0 it is over now.
    pub fn growth_left(&self, full: f64) -> Option<f64> {
        self.worst()?.utilisation.filter(|ratio| *ratio > 0.0).map(|ratio| full / ratio - 1.0)
    }
}

/// Where one failed connection's load goes.
struct Move {
    lost: usize,
    shares: Option<Shares>,
}

/// Failed connections whose loads go to the same survivors in the same shares, added up.
struct Flow {
    taken: Vec<(usize, f64)>,
    bps: Vec<f64>,
}

impl Network {
    /// What happens if connections fail together; `None` where no load of theirs is known, or never at the same time.
    ///
    /// Loads are added moment by moment: the worst one is that of the sum, not the sum of the worst ones.
    pub fn without(&self, failed: &[usize]) -> Option<Outcome> {
        let (moves, unknown, is_failed) = self.moves(failed);
        let lost = self.sum(moves.iter().map(|moves| (moves.lost, 1.0)));
        let steps_known = lost.iter().filter(|bps| !bps.is_nan()).count();
        if moves.is_empty() || steps_known == 0 {
            return None;
        }
        let (moved, flows) = (amount(&lost), self.flows(&moves));
        let mut over = vec![0.0; lost.len()];
        let mut survivors: Vec<Survivor> = Vec::new();
        for port in self.taking_ports(&moves) {
            let after = self.port_after(port, &flows, &is_failed);
            self.add_over(&mut over, port, &after, &lost);
            survivors.extend(self.survivors_on(port, &after, &moves, (&lost, moved.step)));
        }
        survivors.sort_by(|a, b| {
            let ratio = |survivor: &Survivor| survivor.utilisation.unwrap_or(f64::NEG_INFINITY);
            ratio(b).total_cmp(&ratio(a)).then(a.connection.cmp(&b.connection))
        });
        let part = |of: &dyn Fn(&Move) -> f64| amount(&self.sum(moves.iter().map(|moves| (moves.lost, of(moves)))));
        let taken = |moves: &Move, fits: &dyn Fn(usize) -> bool| -> f64 {
            let shares = moves.shares.iter().flat_map(|shares| &shares.shares);
            shares.filter(|share| fits(share.to)).map(|share| share.share).sum()
        };
        let is_transit = |to: usize| self.connections[to].standing == super::Standing::Transit;
        let is_away = |lost: usize, to: usize| self.connections[to].place.metro != self.connections[lost].place.metro;
        let peers = |moves: &Move| taken(moves, &|to| !is_transit(to) && is_away(moves.lost, to));
        Some(Outcome {
            moved,
            does_not_fit: amount(&over),
            leaves_metro: self.are_metros_known(&moves).then(|| part(&peers)),
            to_transit: part(&|moves| taken(moves, &is_transit)),
            nowhere: part(&|moves| if moves.shares.is_none() { 1.0 } else { 0.0 }),
            unaccounted: part(&|moves| moves.shares.as_ref().map_or(0.0, |shares| shares.unaccounted)),
            survivors,
            unknown,
            steps_known,
        })
    }

    /// Load of a survivor's port over capacity by time step if connections fail; what is unknown is not a number.
    pub fn utilisation_without(&self, failed: &[usize], survivor: usize) -> Vec<f64> {
        let (moves, _, is_failed) = self.moves(failed);
        let Some(port) = self.connections.get(survivor).map(|connection| connection.port) else { return Vec::new() };
        let capacity = self.capacity(port);
        let mut after = self.port_after(port, &self.flows(&moves), &is_failed);
        after.iter_mut().for_each(|bps| *bps /= capacity);
        after
    }

    /// Where the load of each of the failed goes; those of unknown load apart, and whether each connection fails.
    fn moves(&self, failed: &[usize]) -> (Vec<Move>, Vec<usize>, Vec<bool>) {
        let mut is_failed = vec![false; self.connections.len()];
        failed.iter().for_each(|place| is_failed.iter_mut().skip(*place).take(1).for_each(|is_failed| *is_failed = true));
        let lost = (0..is_failed.len()).filter(|place| is_failed[*place]);
        let is_known = |place: &usize| self.connections[*place].wire_bps.iter().any(|bps| !bps.is_nan());
        let (known, unknown): (Vec<usize>, Vec<usize>) = lost.partition(is_known);
        let moves = known.into_iter().map(|lost| Move { lost, shares: self.shares(lost, &is_failed) }).collect();
        (moves, unknown, is_failed)
    }

    /// Loads of connections, each in part, added up by time step.
    fn sum(&self, parts: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
        let mut sum = vec![0.0; self.steps()];
        for (connection, part) in parts {
            add(&mut sum, &self.connections[connection].wire_bps, part);
        }
        sum
    }

    fn flows(&self, moves: &[Move]) -> Vec<Flow> {
        let mut flows: Vec<Flow> = Vec::new();
        for one in moves {
            let Some(shares) = &one.shares else { continue };
            let taken: Vec<(usize, f64)> = shares.shares.iter().map(|share| (share.to, share.share)).collect();
            let lost = &self.connections[one.lost].wire_bps;
            match flows.iter_mut().find(|flow| flow.taken == taken) {
                Some(flow) => add(&mut flow.bps, lost, 1.0),
                None => {
                    let mut bps = vec![0.0; self.steps()];
                    add(&mut bps, lost, 1.0);
                    flows.push(Flow { taken, bps });
                }
            }
        }
        flows
    }

    /// Ports of those that take something, each once.
    fn taking_ports(&self, moves: &[Move]) -> Vec<usize> {
        let shares = moves.iter().flat_map(|moves| moves.shares.iter().flat_map(|shares| &shares.shares));
        let mut ports: Vec<usize> = shares.map(|share| self.connections[share.to].port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Load of a port by time step, bit/s: without what failed on it, with what comes to it.
    fn port_after(&self, port: usize, flows: &[Flow], is_failed: &[bool]) -> Vec<f64> {
        let mut after = self.ports.get(port).map_or_else(Vec::new, |port| port.wire_bps.clone());
        after.resize(self.steps(), f64::NAN);
        for flow in flows {
            let share: f64 = flow.taken.iter().filter(|(to, _)| self.connections[*to].port == port).map(|(_, share)| share).sum();
            if share > 0.0 {
                add(&mut after, &flow.bps, share);
            }
        }
        let failed = self.connections.iter().zip(is_failed).filter(|(connection, failed)| **failed && connection.port == port);
        failed.for_each(|(connection, _)| add(&mut after, &connection.wire_bps, -1.0));
        after
    }

    fn capacity(&self, port: usize) -> f64 {
        self.ports.get(port).and_then(|port| port.capacity_bps).unwrap_or(f64::NAN)
    }

    /// Adds what of a port's load finds no room; what was above the line before is not the failure's doing.
    fn add_over(&self, over: &mut [f64], port: usize, after: &[f64], lost: &[f64]) {
        let line = self.capacity(port) * self.full;
        if line.is_nan() {
            return;
        }
        let before = self.ports.get(port).map_or(&[][..], |port| &port.wire_bps);
        for (((over, after), before), lost) in over.iter_mut().zip(after).zip(before).zip(lost) {
            // `max` passes over what is not a number: an unknown port adds nothing, an unknown loss makes it unknown.
            *over += (after - before.max(line)).max(0.0) + lost * 0.0;
        }
    }

    /// The survivors that ride a port, with its load; where that is unknown, as they are when the most is lost.
    fn survivors_on(&self, port: usize, after: &[f64], moves: &[Move], (lost, most_lost): (&[f64], usize)) -> Vec<Survivor> {
        let worst = most(after);
        let load = worst.zip(p95(after)).map(|((most_bps, step), p95_bps)| Amount { most_bps, step, p95_bps });
        let capacity = self.capacity(port);
        let ratio = |bps: f64| Some(bps / capacity).filter(|ratio| ratio.is_finite());
        let step = load.map_or(most_lost, |load| load.step);
        let before = self.ports.get(port).and_then(|port| port.wire_bps.get(step)).copied();
        let one = |(connection, _)| {
            let (taken_bps, error_bps) = self.taken(connection, step, moves);
            let takes = moves.iter().flat_map(|moves| moves.shares.iter().flat_map(|shares| &shares.shares));
            takes.into_iter().any(|share| share.to == connection && share.share > 0.0).then(|| Survivor {
                connection,
                utilisation: load.and_then(|load| ratio(load.most_bps)),
                utilisation_before: load.and(before).and_then(ratio),
                utilisation_p95: load.and_then(|load| ratio(load.p95_bps)),
                load,
                lost_bps: lost.get(step).copied().unwrap_or(f64::NAN),
                taken_bps,
                error_bps,
            })
        };
        self.connections.iter().enumerate().filter(|(_, connection)| connection.port == port).filter_map(one).collect()
    }

    /// What a survivor takes at a time step, by origin, and its standard error; bit/s.
    fn taken(&self, survivor: usize, step: usize, moves: &[Move]) -> ([f64; 4], Option<f64>) {
        let (mut taken, mut variance) = ([0.0; 4], Some(0.0));
        for (lost, shares) in moves.iter().filter_map(|moves| Some((moves.lost, moves.shares.as_ref()?))) {
            let place = Origin::ALL.iter().position(|origin| *origin == shares.origin).unwrap_or(0);
            for share in shares.shares.iter().filter(|share| share.to == survivor) {
                let bps = self.connections[lost].wire_bps.get(step).copied().unwrap_or(f64::NAN);
                taken[place] += share.share * bps;
                variance = variance.zip(share.error).map(|(variance, error)| variance + (error * bps).powi(2));
            }
        }
        (taken, variance.map(f64::sqrt))
    }

    /// Whether it is known of all that lose and take in which metro they are.
    fn are_metros_known(&self, moves: &[Move]) -> bool {
        let takers = moves.iter().flat_map(|moves| moves.shares.iter().flat_map(|shares| &shares.shares)).map(|share| share.to);
        let peers = takers.filter(|to| self.connections[*to].standing != super::Standing::Transit);
        moves.iter().map(|moves| moves.lost).chain(peers).all(|place| self.connections[place].place.metro.is_some())
    }
}

/// Adds a part of a series to another; steps that it does not have are unknown.
fn add(sum: &mut [f64], series: &[f64], part: f64) {
    let (known, missing) = sum.split_at_mut(series.len().min(sum.len()));
    known.iter_mut().zip(series).for_each(|(sum, value)| *sum += part * value);
    missing.fill(f64::NAN);
}

fn amount(values: &[f64]) -> Amount {
    let found = most(values).zip(p95(values));
    found.map_or_else(Amount::default, |((most_bps, step), p95_bps)| Amount { most_bps, step, p95_bps })
}

#[cfg(test)]
mod tests {
    use model::Direction;

    use super::super::{Connection, Observed, ObservedShare, Place, Port, PrefixLoad, Standing};
    use super::*;

    const GIGABIT: f64 = 1e9;

    /// Connections of 10 Gbit/s each on its own port, by metro, and their loads in Gbit/s.
    fn network(direction: Direction, links: &[(&str, &[f64])]) -> Network {
        let bps = |loads: &[f64]| loads.iter().map(|load| load * GIGABIT).collect::<Vec<f64>>();
        let port = |(_, loads): &(&str, &[f64])| Port { capacity_bps: Some(10.0 * GIGABIT), wire_bps: bps(loads) };
        let connection = |(port, (metro, loads)): (usize, &(&str, &[f64]))| {
            let metro = Some(*metro).filter(|metro| !metro.is_empty());
            let standing = if metro == Some("transit") { Standing::Transit } else { Standing::Active };
            let place = Place { metro: metro.map(Into::into), ..Place::default() };
            Connection { place, standing, port, wire_bps: bps(loads) }
        };
        let connections = links.iter().enumerate().map(connection).collect();
        Network::new(direction, 1.0, links.iter().map(port).collect(), connections)
    }

    fn from_microsoft(links: &[(&str, &[f64])]) -> Network {
        network(Direction::FromMicrosoft, links)
    }

    fn taken(outcome: &Outcome) -> Vec<(usize, f64)> {
        let mut taken: Vec<(usize, f64)> = outcome
            .survivors
            .iter()
            .map(|survivor| (survivor.connection, (survivor.taken() / GIGABIT * 1e6).round() / 1e6))
            .collect();
        taken.sort_by_key(|(connection, _)| *connection);
        taken
    }

    fn observed(failed: usize, also_down: &[usize], at_us: i64, shares: &[(usize, f64)]) -> Observed {
        let share = |(to, share): &(usize, f64)| ObservedShare { to: *to, share: *share, error: 0.01 };
        Observed { failed, also_down: also_down.to_vec(), at_us, shares: shares.iter().map(share).collect() }
    }

    #[test]
    fn loads_are_added_moment_by_moment() {
        // The peaks of the two never meet: 8 and 7 would not hold, 8 + 1 does.
        let outcome = from_microsoft(&[("a", &[8.0, 1.0]), ("a", &[1.0, 7.0]), ("b", &[1.0, 1.0])]).without(&[0]).unwrap();
        let [survivor] = &outcome.survivors[..] else { panic!("only the one in the metro: {outcome:?}") };
        let load = Amount { most_bps: 9.0 * GIGABIT, step: 0, p95_bps: 9.0 * GIGABIT };
        assert_eq!((survivor.connection, survivor.load, survivor.utilisation), (1, Some(load), Some(0.9)));
        assert_eq!((survivor.utilisation_before, survivor.taken_bps), (Some(0.1), [0.0, 0.0, 0.0, 8.0 * GIGABIT]));
        assert_eq!((outcome.does_not_fit.most_bps, outcome.leaves_metro.unwrap().most_bps), (0.0, 0.0));
        assert_eq!((outcome.holds(0.95), outcome.holds(0.8)), (Some(true), Some(false)));
        assert!((outcome.growth_left(0.99).unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn what_does_not_fit_leaves_or_finds_nothing_is_told() {
        let network = from_microsoft(&[("a", &[8.0]), ("b", &[5.0]), ("b", &[6.0]), ("transit", &[9.0])]);
        let alone = network.without(&[0]).unwrap();
        assert_eq!((taken(&alone), alone.leaves_metro.unwrap().most_bps), (vec![(1, 4.0), (2, 4.0)], 8.0 * GIGABIT));
        let over = network.without(&[1]).unwrap();
        assert_eq!((over.survivors[0].utilisation, over.does_not_fit.most_bps), (Some(1.1), GIGABIT));
        let all = network.without(&[0, 1, 2]).unwrap();
        assert_eq!((all.to_transit.most_bps, all.leaves_metro.unwrap().most_bps), (19.0 * GIGABIT, 0.0));
        // 9 + 19 on 10: all 19 but the last 1 that has room.
        assert_eq!((all.does_not_fit.most_bps, all.holds(1.0)), (18.0 * GIGABIT, Some(false)));
        let nothing = network.without(&[0, 1, 2, 3]).unwrap();
        assert_eq!((nothing.nowhere.most_bps, nothing.holds(1.0)), (28.0 * GIGABIT, Some(false)));
    }

    #[test]
    fn what_fails_together_is_moved_together() {
        let network = from_microsoft(&[("a", &[4.0]), ("a", &[3.0]), ("a", &[1.0]), ("b", &[1.0])]);
        let outcome = network.without(&[1, 0, 0]).unwrap();
        assert_eq!((taken(&outcome), outcome.survivors[0].utilisation), (vec![(2, 7.0)], Some(0.8)));
        assert_eq!(outcome.moved.most_bps, 7.0 * GIGABIT);
        assert_eq!(network.utilisation_without(&[0, 1], 2), [0.8]);
    }

    #[test]
    fn sessions_of_one_port_fill_it_once() {
        let mut network = from_microsoft(&[("a", &[4.0]), ("a", &[3.0]), ("a", &[2.0])]);
        // The second rides the first's port, which carries 8 with what is not Microsoft's.
        network.connections[1].port = 0;
        network.ports[0].wire_bps = vec![8.0 * GIGABIT];
        let outcome = network.without(&[0]).unwrap();
        // Its own 4 leave the port, and half of them come back.
        assert_eq!(taken(&outcome), [(1, 2.0), (2, 2.0)]);
        assert_eq!(network.utilisation_without(&[0], 1), [0.6]);
    }

    #[test]
    fn earlier_failovers_tell_first() {
        let network = from_microsoft(&[("a", &[4.0]), ("a", &[1.0]), ("a", &[1.0]), ("b", &[1.0]), ("transit", &[0.0])]);
        let seen = vec![
            observed(0, &[], 1, &[(1, 1.0)]),
            observed(0, &[], 2, &[(1, 0.6), (2, 0.2), (4, 0.1)]),
            observed(0, &[2], 1, &[(3, 0.5), (1, 0.5)]),
        ];
        let network = network.with_observed(seen);
        let alone = network.without(&[0]).unwrap();
        assert_eq!(taken(&alone), [(1, 2.4), (2, 0.8), (4, 0.4)], "the latest that fits");
        assert!((alone.unaccounted.most_bps - 0.4 * GIGABIT).abs() < 1.0 && alone.survivors[0].error_bps == Some(0.04 * GIGABIT));
        let both = network.without(&[0, 2]).unwrap();
        let of_0 = network.shares(0, &[true, false, true, false, false]).unwrap();
        assert_eq!((of_0.origin, of_0.shares.len()), (Origin::Observed, 2), "as when the two were down together");
        // The other one goes by capacity, to the one that is left in the metro: the cell says both.
        let worst = both.survivors.iter().find(|survivor| survivor.connection == 1).unwrap();
        assert_eq!(worst.taken_bps, [2.0 * GIGABIT, 0.0, 0.0, GIGABIT]);
        let rescaled = network.shares(0, &[true, false, false, false, true]).unwrap();
        assert_eq!(rescaled.origin, Origin::Rescaled);
        assert!((rescaled.shares.iter().map(|share| share.share).sum::<f64>() - 0.9).abs() < 1e-9);
        let gone = network.shares(0, &[true, true, false, false, false]).unwrap();
        assert_eq!(gone.origin, Origin::Capacity, "most of those that took are gone");
    }

    #[test]
    fn rules_are_as_good_as_they_were() {
        let network = from_microsoft(&[("a", &[4.0]), ("a", &[1.0]), ("a", &[1.0])]);
        assert_eq!(network.without(&[1]).unwrap().survivors[0].error_bps, None, "nothing was ever seen");
        let network = network.with_observed(vec![observed(0, &[], 0, &[(1, 0.8), (2, 0.2)])]);
        // Half each was wrong by 0.3 each time: 0.3 of what 1 carries.
        assert!((network.without(&[1]).unwrap().survivors[0].error_bps.unwrap() - 0.3 * GIGABIT).abs() < 1.0);
    }

    #[test]
    fn microsoft_sends_each_prefix_where_it_sends_it_already() {
        let load = |prefix: usize, connection: usize, bytes: f64| PrefixLoad { prefix, connection, bytes };
        // Half of 0's is a prefix that 1 has three quarters of, a quarter one that 2 has alone, a quarter nobody's; 3 is elsewhere.
        let loads = [
            load(0, 0, 4.0),
            load(0, 1, 3.0),
            load(0, 2, 1.0),
            load(0, 3, 9.0),
            load(1, 0, 2.0),
            load(1, 2, 5.0),
            load(2, 0, 2.0),
            load(3, 3, 20.0),
        ];
        let links: &[(&str, &[f64])] = &[("a", &[8.0]), ("a", &[1.0]), ("a", &[1.0]), ("b", &[1.0])];
        let network = from_microsoft(links).with_prefixes(&loads);
        assert_eq!(taken(&network.without(&[0]).unwrap()), [(1, 4.0), (2, 4.0)]);
        let shares = network.shares(0, &[true, false, true, false]).unwrap();
        assert_eq!((shares.origin, shares.shares[0].share), (Origin::Split, 1.0));
        let shares = network.shares(1, &[true, true, false, false]).unwrap();
        assert_eq!((shares.origin, shares.shares[0].to), (Origin::Split, 2));
        assert_eq!(network.shares(3, &[false, false, false, true]).unwrap().origin, Origin::Capacity, "it carries nothing known");
    }

    #[test]
    fn we_send_to_the_nearest_exit() {
        let mut network = network(Direction::ToMicrosoft, &[("a", &[6.0]), ("a", &[1.0]), ("a", &[3.0]), ("a", &[1.0])]);
        let shares = network.without(&[0]).unwrap();
        assert_eq!(taken(&shares), [(1, 1.2), (2, 3.6), (3, 1.2)], "as the metro shares now");
        for near in [0, 1, 3] {
            network.connections[near].place.routers = vec!["r1".into()];
        }
        let outcome = network.without(&[0]).unwrap();
        assert_eq!(taken(&outcome), [(1, 3.0), (3, 3.0)], "those of the same router");
        assert_eq!(outcome.survivors[0].taken_bps[2], 3.0 * GIGABIT);
    }

    #[test]
    fn what_is_unknown_is_not_judged() {
        let network = from_microsoft(&[("", &[8.0]), ("", &[9.0, f64::NAN])]);
        assert_eq!(network.without(&[0]).unwrap().leaves_metro, None);
        let network = from_microsoft(&[("a", &[f64::NAN, 8.0]), ("a", &[9.0, f64::NAN]), ("a", &[f64::NAN, f64::NAN])]);
        assert_eq!(network.without(&[2]), None, "its load is never known");
        let never = network.without(&[0]).unwrap();
        assert_eq!((never.steps_known, never.holds(1.0), never.worst()), (1, None, None), "never known together");
        assert_eq!(network.without(&[0, 2]).unwrap().unknown, [2]);
        let mut network = from_microsoft(&[("a", &[8.0]), ("a", &[1.0])]);
        network.ports[1].capacity_bps = None;
        let outcome = network.without(&[0]).unwrap();
        assert_eq!((outcome.nowhere.most_bps, outcome.survivors.len()), (8.0 * GIGABIT, 0));
    }
}
