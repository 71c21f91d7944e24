//! What failures would come to, asked of `measure::judge` at this one place.

use std::sync::Arc;

use measure::judge::{Network, Outcome};
use model::{Direction, Name};

/// Peering connections with their loads, as failures are judged by: over a day, and as they stand.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    /// Names of the connections, by their places in the networks.
    pub names: Vec<Name>,
    /// The last 24 hours in steps of five minutes, in the order of [`Direction::ALL`].
    pub day: Arc<[Network; 2]>,
    /// Start of the first step, microseconds.
    pub day_from_us: i64,
    /// The last minute.
    pub now: [Network; 2],
}

/// What the failure of one connection would come to, in the worse direction.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureOfOne {
    /// Load of the fullest survivor over capacity, at the worst moment of 24 hours.
    pub utilisation: f64,
    /// That survivor.
    pub survivor: Name,
    /// When, microseconds.
    pub at_us: i64,
    /// The same if it failed now.
    pub utilisation_now: Option<f64>,
    /// Nothing of its metro survives.
    pub leaves_location: bool,
}

/// What the failure of several would come to, in one direction.
#[derive(Clone, Debug)]
pub struct WhatIf {
    /// Which direction.
    pub direction: Direction,
    /// What the failed carry now, bit/s on the wire; `None` where it is not known.
    pub moved_now_bps: Option<f64>,
    /// Most that they carried together in 24 hours.
    pub moved_worst_bps: Option<f64>,
    /// Of it what leaves its metro, because nothing there survives.
    pub leaves_location_bps: Option<f64>,
    /// Most that finds no room.
    pub unplaced_bps: Option<f64>,
    /// The survivors that take something, the fullest first.
    pub survivors: Vec<Survivor>,
}

/// What a survivor would carry.
#[derive(Clone, Debug)]
pub struct Survivor {
    /// Which.
    pub name: Name,
    /// Load over capacity as it is.
    pub before: Option<f64>,
    /// Load over capacity if it happened now.
    pub now: Option<f64>,
    /// The same at the worst moment of 24 hours, and when that was.
    pub worst: Option<(f64, i64)>,
}

/// Length of a step of the day, microseconds.
pub(crate) const STEP_US: i64 = model::time::DETAIL_WINDOW_US;

/// The one question: what happens without these.
fn without(network: &Network, failed: &[usize]) -> Option<Outcome> {
    network.without(failed)
}

impl Networks {
    /// Places of connections by their names; the name that is not there, if one is.
    ///
    /// # Errors
    ///
    /// The first name that is no peering connection with a known load.
    pub fn places<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<usize>, &'a str> {
        let place = |name: &'a str| self.names.iter().position(|known| &**known == name).ok_or(name);
        let mut places = names.into_iter().map(place).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }

    /// What the failure of each one alone would come to over the day, by place.
    pub(crate) fn failures_of_day(&self) -> Vec<Option<FailureOfOne>> {
        let one = |place| self.failure(&self.day, place, |step| self.day_from_us + step as i64 * STEP_US);
        (0..self.names.len()).map(one).collect()
    }

    /// The same if it failed now, which is `at_us`.
    pub(crate) fn failure_now(&self, place: usize, at_us: i64) -> Option<FailureOfOne> {
        let failure = self.failure(&self.now, place, |_| at_us)?;
        Some(FailureOfOne { utilisation_now: Some(failure.utilisation), ..failure })
    }

    /// What the failure of one would come to in the worse direction.
    fn failure(&self, networks: &[Network; 2], place: usize, at_us: impl Fn(usize) -> i64) -> Option<FailureOfOne> {
        let one = |network: &Network| {
            let outcome = without(network, &[place])?;
            let worst = outcome.worst()?;
            Some(FailureOfOne {
                utilisation: worst.utilisation?,
                survivor: self.names.get(worst.connection)?.clone(),
                at_us: at_us(worst.load?.step),
                utilisation_now: None,
                leaves_location: outcome.leaves_metro.is_some_and(|leaves| leaves.most_bps > 0.0),
            })
        };
        networks.iter().filter_map(one).max_by(|a, b| a.utilisation.total_cmp(&b.utilisation))
    }

    /// What happens if connections fail together, in both directions.
    pub fn what_if(&self, failed: &[usize]) -> [WhatIf; 2] {
        Direction::ALL.map(|direction| {
            let (day, now) = (&self.day[direction as usize], &self.now[direction as usize]);
            let (worst, at_once) = (without(day, failed), without(now, failed));
            let places = worst.iter().chain(&at_once).flat_map(|outcome| &outcome.survivors);
            let mut survivors: Vec<Survivor> = Vec::new();
            let mut seen = vec![false; self.names.len()];
            for survivor in places {
                if std::mem::replace(&mut seen[survivor.connection], true) {
                    continue;
                }
                let of = |outcome: &Option<Outcome>| {
                    let found = outcome.as_ref()?.survivors.iter().find(|one| one.connection == survivor.connection)?;
                    Some((found.utilisation?, found.load?.step))
                };
                let before = now.port_of(survivor.connection).and_then(|port| Some(port.wire_bps.first()? / port.capacity_bps?));
                survivors.push(Survivor {
                    name: self.names[survivor.connection].clone(),
                    before: before.filter(|ratio| !ratio.is_nan()),
                    now: of(&at_once).map(|(ratio, _)| ratio),
                    worst: of(&worst).map(|(ratio, step)| (ratio, self.day_from_us + step as i64 * STEP_US)),
                });
            }
            let fullest = |one: &Survivor| one.worst.map_or(0.0, |worst| worst.0).max(one.now.unwrap_or(0.0));
            survivors.sort_by(|a, b| fullest(b).total_cmp(&fullest(a)));
            WhatIf {
                direction,
                moved_now_bps: at_once.as_ref().map(|outcome| outcome.moved.most_bps),
                moved_worst_bps: worst.as_ref().map(|outcome| outcome.moved.most_bps),
                leaves_location_bps: worst.as_ref().or(at_once.as_ref()).and_then(|outcome| Some(outcome.leaves_metro?.most_bps)),
                unplaced_bps: worst.as_ref().or(at_once.as_ref()).map(|outcome| outcome.does_not_fit.most_bps),
                survivors,
            }
        })
    }
}
