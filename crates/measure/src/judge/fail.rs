//! What would happen if connections failed: every survivor's load at the worst aligned moment.

/// A connection as it stands, and what it carries in one direction over time.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// Its group: traffic stays in it while anything of it survives. Its metro, where that is known.
    pub group: Option<usize>,
    /// Capacity of its port, bit/s.
    pub capacity_bps: Option<f64>,
    /// Load on the wire by time step, bit/s; not a number where it is unknown.
    pub wire_bps: Vec<f64>,
    /// Load of its whole port by time step, over capacity; not a number where it is unknown.
    pub utilisation: Vec<f64>,
}

/// Connections, over the same time steps.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// In any order; a failure names them by their places.
    pub connections: Vec<Connection>,
}

/// What a survivor of a failure would carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Survivor {
    /// Its place in the network.
    pub connection: usize,
    /// Largest load of its port over capacity, at the worst moment.
    pub utilisation: f64,
    /// The time step of it.
    pub step: usize,
}

/// What a failure would come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Those that take something, the fullest first.
    pub survivors: Vec<Survivor>,
    /// Most that was carried by what failed, bit/s.
    pub moved_bps: f64,
    /// Most that leaves its group because nothing of it survives, bit/s.
    pub leaves_group_bps: f64,
    /// Most that finds no room on the survivors, bit/s.
    pub unplaced_bps: f64,
    /// Time steps that could be judged: those in which all loads of the failed, and one of a survivor, are known.
    pub steps_known: usize,
}

impl Outcome {
    /// Whether something has to leave its group.
    pub fn leaves_group(&self) -> bool {
        self.leaves_group_bps > 0.0
    }
}

/// Where the traffic of one failed connection goes: shares by the places of connections.
struct Moves<'a> {
    lost: &'a Connection,
    shares: Vec<f64>,
    leaves_group: bool,
}

impl Network {
    /// What happens if connections fail together; `None` where nothing else could take their traffic, or capacities are unknown.
    ///
    /// Traffic goes to the survivors of its group, else to all others, in proportion to their capacities.
    /// Loads are added moment by moment: the worst one is that of the sum, not the sum of the worst ones.
    pub fn without(&self, failed: &[usize]) -> Option<Outcome> {
        let moves: Vec<Moves<'_>> = failed.iter().map(|place| self.moves(*place, failed)).collect::<Option<_>>()?;
        let is_taker = |place: &usize| moves.iter().any(|moves| moves.shares[*place] > 0.0);
        let takers: Vec<usize> = (0..self.connections.len()).filter(is_taker).collect();
        let mut worst: Vec<(f64, usize)> = vec![(f64::NAN, 0); takers.len()];
        let mut steps_known = 0;
        let (mut moved, mut leaves, mut unplaced): (f64, f64, f64) = (0.0, 0.0, 0.0);
        for step in 0..moves.first()?.lost.wire_bps.len() {
            let lost_bps = |moves: &Moves<'_>| moves.lost.wire_bps.get(step).copied().unwrap_or(f64::NAN);
            let all: f64 = moves.iter().map(lost_bps).sum();
            if all.is_nan() {
                continue;
            }
            let (mut over, mut is_known) = (0.0, false);
            for (taker, worst) in takers.iter().zip(&mut worst) {
                let after = self.after(*taker, step, &moves);
                if after.is_nan() {
                    continue;
                }
                is_known = true;
                let taker = &self.connections[*taker];
                over += (after - taker.utilisation[step].max(1.0)).max(0.0) * taker.capacity_bps.unwrap_or(0.0);
                if worst.0.is_nan() || after > worst.0 {
                    *worst = (after, step);
                }
            }
            if is_known {
                steps_known += 1;
                moved = moved.max(all);
                leaves = leaves.max(moves.iter().filter(|moves| moves.leaves_group).map(lost_bps).sum());
                unplaced = unplaced.max(over);
            }
        }
        let known = takers.into_iter().zip(worst).filter(|(_, (utilisation, _))| !utilisation.is_nan());
        let survivor = |(connection, (utilisation, step))| Survivor { connection, utilisation, step };
        let mut survivors: Vec<Survivor> = known.map(survivor).collect();
        survivors.sort_by(|a, b| b.utilisation.total_cmp(&a.utilisation));
        let (moved_bps, leaves_group_bps, unplaced_bps) = (moved, leaves, unplaced);
        (!survivors.is_empty()).then_some(Outcome { survivors, moved_bps, leaves_group_bps, unplaced_bps, steps_known })
    }

    /// Where one of the failed connections' traffic goes.
    fn moves(&self, place: usize, failed: &[usize]) -> Option<Moves<'_>> {
        let lost = self.connections.get(place)?;
        let survives = |place: &usize| !failed.contains(place) && self.connections[*place].capacity_bps.is_some();
        let is_near = |place: &usize| lost.group.is_some() && self.connections[*place].group == lost.group;
        let others: Vec<usize> = (0..self.connections.len()).filter(survives).collect();
        let near: Vec<usize> = others.iter().copied().filter(is_near).collect();
        let leaves_group = near.is_empty();
        let takers = if leaves_group { others } else { near };
        let capacity = |place: usize| self.connections[place].capacity_bps.unwrap_or(0.0);
        let all: f64 = takers.iter().map(|place| capacity(*place)).sum();
        let mut shares = vec![0.0; self.connections.len()];
        takers.into_iter().for_each(|place| shares[place] = capacity(place) / all);
        (all > 0.0).then_some(Moves { lost, shares, leaves_group })
    }

    /// Load of a taker's port over capacity at a step, with what it takes; not a number where something is unknown.
    fn after(&self, taker: usize, step: usize, moves: &[Moves<'_>]) -> f64 {
        let connection = &self.connections[taker];
        let capacity = connection.capacity_bps.unwrap_or(f64::NAN);
        let taken = |moves: &Moves<'_>| moves.shares[taker] * moves.lost.wire_bps.get(step).copied().unwrap_or(f64::NAN);
        connection.utilisation.get(step).copied().unwrap_or(f64::NAN) + moves.iter().map(taken).sum::<f64>() / capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIGABIT: f64 = 1e9;

    fn connection(group: usize, loads: &[f64]) -> Connection {
        Connection {
            group: Some(group),
            capacity_bps: Some(10.0 * GIGABIT),
            wire_bps: loads.iter().map(|load| load * GIGABIT).collect(),
            utilisation: loads.iter().map(|load| load / 10.0).collect(),
        }
    }

    #[test]
    fn loads_are_added_moment_by_moment() {
        // The peaks of the two never meet: 8 and 7 would not hold, 8 + 1 does.
        let network =
            Network { connections: vec![connection(0, &[8.0, 1.0]), connection(0, &[1.0, 7.0]), connection(1, &[1.0, 1.0])] };
        let outcome = network.without(&[0]).unwrap();
        let [survivor] = &outcome.survivors[..] else { panic!("only the one in the metro: {outcome:?}") };
        assert_eq!((survivor.connection, survivor.step), (1, 0));
        assert!(
            (survivor.utilisation - 0.9).abs() < 1e-9 && outcome.unplaced_bps == 0.0 && !outcome.leaves_group(),
            "{outcome:?}"
        );
    }

    #[test]
    fn what_does_not_fit_is_told_and_the_last_of_a_metro_leaves_it() {
        let network = Network { connections: vec![connection(0, &[8.0]), connection(1, &[5.0]), connection(1, &[6.0])] };
        let outcome = network.without(&[0]).unwrap();
        assert!(outcome.leaves_group());
        assert_eq!(outcome.survivors.iter().map(|survivor| survivor.connection).collect::<Vec<_>>(), [2, 1]);
        let outcome = network.without(&[1]).unwrap();
        assert!(
            (outcome.survivors[0].utilisation - 1.1).abs() < 1e-9 && (outcome.unplaced_bps - GIGABIT).abs() < 1.0,
            "{outcome:?}"
        );
    }

    #[test]
    fn what_fails_together_is_moved_together() {
        let network = Network {
            connections: vec![connection(0, &[4.0]), connection(0, &[3.0]), connection(0, &[1.0]), connection(1, &[1.0])],
        };
        let outcome = network.without(&[0, 1]).unwrap();
        assert_eq!(outcome.survivors.iter().map(|survivor| survivor.connection).collect::<Vec<_>>(), [2]);
        assert!(
            (outcome.survivors[0].utilisation - 0.8).abs() < 1e-9 && (outcome.moved_bps - 7.0 * GIGABIT).abs() < 1.0,
            "{outcome:?}"
        );
        let outcome = network.without(&[0, 1, 2]).unwrap();
        assert!((outcome.leaves_group_bps - 8.0 * GIGABIT).abs() < 1.0, "{outcome:?}");
        assert_eq!(network.without(&[0, 1, 2, 3]), None);
    }

    #[test]
    fn unknown_loads_and_capacities_are_no_zeros() {
        let mut lone = connection(0, &[f64::NAN, 2.0]);
        let mut other = connection(0, &[9.0, f64::NAN]);
        let network = |a: &Connection, b: &Connection| Network { connections: vec![a.clone(), b.clone()] };
        assert_eq!(network(&lone, &other).without(&[0]), None, "never known together");
        other.capacity_bps = None;
        lone.wire_bps[0] = 1.0;
        assert_eq!(network(&lone, &other).without(&[0]), None);
    }
}
