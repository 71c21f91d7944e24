//! This network's own earlier failovers, as what they tell of the next.

use std::collections::{BTreeMap, BTreeSet};

use model::tables::{FailoverRow, Moved};
use model::{Direction, Name};

use super::network::means;
use super::{Network, Standing};

/// A share that a connection took in an earlier failover.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObservedShare {
    /// Place of the connection or transit link that took it.
    pub to: usize,
    /// Share of what was lost.
    pub share: f64,
    /// Its standard error.
    pub error: f64,
}

/// An earlier failover, in one direction: what was seen to go where. What is missing of 1 was not found again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Place of the connection that failed.
    pub failed: usize,
    /// Places of others that were down at the same time, in order.
    pub also_down: Vec<usize>,
    /// When it began, µs since 1970.
    pub at_us: i64,
    /// Who took how much.
    pub shares: Vec<ObservedShare>,
}

/// A failover in which connections lost all they had in a direction, by their names, and who took it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fall {
    /// All that fell together.
    pub connections: Vec<Name>,
    /// In which direction.
    pub direction: Direction,
    /// When it began, µs since 1970.
    pub started_us: i64,
    /// When it was over; `None` while it goes on.
    pub ended_us: Option<i64>,
    /// Takers, their shares of what fell, and the standard errors of these.
    pub shares: Vec<(Name, f64, f64)>,
}

/// Kinds in which a connection lost its traffic by a failure; what moved on purpose says nothing of one.
const KINDS: [&str; 3] = ["failed", "drained", "exchange_lost"];
/// Share of the load that must have fallen: who lost only a part shows where that part goes.
const WHOLE: f64 = 0.9;
/// Failovers that are held; the oldest go first.
const FALLS_MOST: usize = 4_096;

/// The network's own earlier failovers, each as it was told last.
#[derive(Clone, Debug, Default)]
pub struct Falls {
    /// By event: the revision, and what it tells, if that is of use.
    by_event: BTreeMap<Name, (i64, Option<Fall>)>,
}

impl Falls {
    /// Takes what is told of an event, in any order; gives whether it tells something new.
    pub fn take(&mut self, row: &FailoverRow) -> bool {
        if self.by_event.get(&row.event_id).is_some_and(|(revision, _)| *revision >= row.revision) {
            return false;
        }
        let fall = Fall::of(row);
        let before = self.by_event.insert(row.event_id.clone(), (row.revision, fall));
        if self.by_event.len() > FALLS_MOST {
            let started_us =
                |(_, (_, fall)): &(&Name, &(i64, Option<Fall>))| fall.as_ref().map_or(i64::MIN, |fall| fall.started_us);
            let oldest = self.by_event.iter().min_by_key(started_us).map(|(id, _)| id.clone());
            oldest.and_then(|id| self.by_event.remove(&id));
        }
        let after = self.by_event.get(&row.event_id).and_then(|(_, fall)| fall.as_ref());
        before.and_then(|(_, fall)| fall).as_ref() != after
    }

    /// Those in which connections lost all they had, of both IP versions.
    pub fn list(&self) -> Vec<Fall> {
        self.by_event.values().filter_map(|(_, fall)| fall.clone()).collect()
    }
}

impl Fall {
    /// What an event tells of failures; `None` where connections did not lose all they had, or not by a failure.
    pub fn of(row: &FailoverRow) -> Option<Fall> {
        let is_whole = row.ip_version.is_none() && row.fallen_share.is_some_and(|share| share >= WHOLE);
        if !KINDS.contains(&&*row.kind) || !is_whole {
            return None;
        }
        let of_all = row.moved.iter().filter(|moved| moved.group.is_none());
        let share = |moved: &Moved| Some((moved.connection.clone(), moved.share?, moved.share_error?));
        Some(Fall {
            connections: row.connections.clone(),
            direction: Direction::named(row.direction.as_deref()?)?,
            started_us: row.started_at.0,
            ended_us: row.ended_at.map(|at| at.0),
            shares: of_all.filter_map(share).collect(),
        })
    }

    fn overlaps(&self, other: &Fall) -> bool {
        let end = |fall: &Fall| fall.ended_us.unwrap_or(i64::MAX);
        self.started_us < end(other) && other.started_us < end(self)
    }
}

/// Time steps in which a failover that is over was under way: loads of then are those of a failure already.
///
/// Steps are `step_us` long from `from_us` on, and there are `steps` of them.
pub fn steps_of_falls(falls: &[Fall], from_us: i64, step_us: i64, steps: usize) -> BTreeSet<usize> {
    let place = |at_us: i64| usize::try_from(at_us.saturating_sub(from_us).div_euclid(step_us.max(1))).unwrap_or(0).min(steps);
    let span = |fall: &Fall| {
        // Its last step is the one that its last moment lies in.
        let end = place(fall.ended_us?.saturating_sub(1).saturating_add(step_us));
        Some(place(fall.started_us)..end)
    };
    falls.iter().filter(|fall| fall.ended_us.is_some_and(|ended_us| ended_us > from_us)).filter_map(span).flatten().collect()
}

impl Network {
    /// The same network, with its own earlier failovers; `first_seen_us` says since when a connection is there.
    ///
    /// What fell together counts for each that fell, with the others down. A failover before a connection of today's metro
    /// was there tells nothing of what that one would take, and is left out.
    pub fn with_falls(self, falls: &[Fall], first_seen_us: impl Fn(&Name) -> Option<i64>) -> Network {
        let links: BTreeMap<&Name, usize> =
            self.connections.iter().enumerate().map(|(place, connection)| (&connection.place.connection, place)).collect();
        let newest_us = |failed: usize| {
            let metro = &self.connections[failed].place.metro;
            let others = self.connections.iter().enumerate().filter(|(place, _)| *place != failed).map(|(_, other)| other);
            let near = others.filter(|other| other.standing == Standing::Active && other.place.metro == *metro);
            near.filter_map(|other| first_seen_us(&other.place.connection)).max()
        };
        let mut found = Vec::new();
        let own = || falls.iter().filter(|fall| fall.direction == self.direction);
        for fall in own() {
            let down = own().filter(|other| other.overlaps(fall)).flat_map(|other| &other.connections);
            let down: BTreeSet<usize> = down.filter_map(|name| links.get(name).copied()).collect();
            let share = |(to, share, error): &(Name, f64, f64)| {
                links.get(to).map(|to| ObservedShare { to: *to, share: *share, error: *error })
            };
            for failed in fall.connections.iter().filter_map(|name| links.get(name).copied()) {
                if newest_us(failed).is_none_or(|newest_us| newest_us <= fall.started_us) {
                    found.push(Observed {
                        failed,
                        also_down: down.iter().copied().filter(|other| *other != failed).collect(),
                        at_us: fall.started_us,
                        shares: fall.shares.iter().filter_map(share).collect(),
                    });
                }
            }
        }
        self.with_observed(found)
    }

    /// The same network, with the loads of some time steps unknown.
    pub fn without_steps(mut self, steps: &BTreeSet<usize>) -> Network {
        let series = self.connections.iter_mut().map(|connection| &mut connection.wire_bps);
        for series in series.chain(self.ports.iter_mut().map(|port| &mut port.wire_bps)) {
            for step in steps {
                series.iter_mut().skip(*step).take(1).for_each(|bps| *bps = f64::NAN);
            }
        }
        self.mean_bps = means(&self.connections);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Connection, Place, Port};
    use super::*;

    fn network(loads: &[f64]) -> Network {
        let port = |_| Port { capacity_bps: Some(10.0), wire_bps: loads.to_vec() };
        let connection = |(port, name): (usize, &&str)| Connection {
            place: Place { connection: Name::from(*name), metro: Some("metro".into()), ..Place::default() },
            port,
            wire_bps: loads.to_vec(),
            ..Connection::default()
        };
        let names = ["a", "b", "c", "transit"];
        let connections = names.iter().enumerate().map(connection).collect();
        Network::new(Direction::FromMicrosoft, 0.95, names.iter().map(port).collect(), connections)
    }

    fn fall(connections: &[&str], started_us: i64, ended_us: Option<i64>, shares: &[(&str, f64)]) -> Fall {
        Fall {
            connections: connections.iter().map(|name| Name::from(*name)).collect(),
            direction: Direction::FromMicrosoft,
            started_us,
            ended_us,
            shares: shares.iter().map(|(to, share)| (Name::from(*to), *share, 0.01)).collect(),
        }
    }

    #[test]
    fn falls_are_observed_with_what_else_was_down() {
        let mut falls = vec![
            fall(&["a"], 10, Some(20), &[("b", 0.7), ("transit", 0.2), ("gone", 0.1)]),
            fall(&["a"], 40, Some(50), &[("b", 1.0)]),
            fall(&["c"], 45, None, &[("b", 1.0)]),
            Fall { direction: Direction::ToMicrosoft, ..fall(&["b"], 10, Some(20), &[("a", 1.0)]) },
        ];
        let told = |falls: &[Fall], newest: i64| -> Vec<(usize, Vec<usize>, usize)> {
            let network = network(&[1.0]).with_falls(falls, |_| Some(newest));
            network.observed.into_iter().map(|one| (one.failed, one.also_down, one.shares.len())).collect()
        };
        assert_eq!(told(&falls, 0), [(0, vec![], 2), (0, vec![2], 1), (2, vec![0], 1)]);
        assert_eq!(told(&falls, 30).len(), 2, "the first came before a connection of today's");
        falls[0].connections.push("c".into());
        assert_eq!(told(&falls, 0)[..2], [(0, vec![2], 2), (2, vec![0], 2)], "what fell together, for each");
    }

    #[test]
    fn steps_of_a_failover_that_is_over_can_be_left_out() {
        let falls = [fall(&["a"], 9, Some(21), &[]), fall(&["a"], 38, Some(40), &[]), fall(&["b"], 50, None, &[])];
        let steps = steps_of_falls(&falls, 0, 10, 4);
        assert_eq!(steps.iter().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(steps_of_falls(&falls[..1], 10, 10, 4).into_iter().collect::<Vec<_>>(), [0, 1]);
        assert!(steps_of_falls(&falls[..1], 30, 10, 4).is_empty());
        let network = network(&[1.0, 9.0, 2.0]).without_steps(&BTreeSet::from([1, 7]));
        let outcome = network.without(&[0]).unwrap();
        assert_eq!((outcome.steps_known, outcome.moved.most_bps), (2, 2.0));
    }
}
