//! What would happen if connections failed: every survivor's load, moment by moment.

use super::network::{most, p95};
use super::outcome::{Amount, Outcome, Survivor};
use super::shares::Shares;
use super::{Network, Origin};

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
        let (moved, flows) = (Amount::of(&lost), self.flows(&moves));
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
        let part = |of: &dyn Fn(&Move) -> f64| {
            let parts: Vec<(usize, f64)> = moves.iter().map(|moves| (moves.lost, of(moves))).collect();
            // Most failures move nothing there, which need not be added up moment by moment.
            if parts.iter().all(|(_, part)| *part == 0.0) {
                Amount::none_of(&lost)
            } else {
                Amount::of(&self.sum(parts.into_iter()))
            }
        };
        let taken = |moves: &Move, fits: &dyn Fn(usize) -> bool| -> f64 {
            let shares = moves.shares.iter().flat_map(|shares| &shares.shares);
            shares.filter(|share| fits(share.to)).map(|share| share.share).sum()
        };
        let is_transit = |to: usize| self.connections[to].standing == super::Standing::Transit;
        let is_away = |lost: usize, to: usize| self.connections[to].place.metro != self.connections[lost].place.metro;
        let peers = |moves: &Move| taken(moves, &|to| !is_transit(to) && is_away(moves.lost, to));
        Some(Outcome {
            moved,
            does_not_fit: Amount::of(&over),
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
