//! Where the traffic of a failed connection goes: as it went before, else as it goes now, else by capacity.

use model::Direction;

use super::{Connection, Network, Observed, ObservedShare, Standing};

/// Where a share comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// This network's own earlier failover of that connection.
    Observed,
    /// The same, but some that took then fail too or are gone: their part is spread over the others as those took.
    Rescaled,
    /// The present split over the survivors. From Microsoft: of each prefix of ours over the connections that carry it
    /// already, first those of the metro. To Microsoft: over the nearest exits, of the same router, else of the metro.
    Split,
    /// The capacities of the survivors, first those of the metro.
    Capacity,
}

impl Origin {
    /// All of them, the best first.
    pub const ALL: [Origin; 4] = [Origin::Observed, Origin::Rescaled, Origin::Split, Origin::Capacity];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::Observed => "observed",
            Origin::Rescaled => "observed_rescaled",
            Origin::Split => "present_split",
            Origin::Capacity => "capacity",
        }
    }
}

/// A share that a survivor takes of what one failed connection carried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Place of the survivor.
    pub to: usize,
    /// Share.
    pub share: f64,
    /// Its standard error; `None` where nothing tells how good the rule is.
    pub error: Option<f64>,
}

/// Where what a failed connection carried goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    /// Where all of these shares come from.
    pub origin: Origin,
    /// Who takes how much.
    pub shares: Vec<Share>,
    /// Share that was not found again in the earlier failover; 0 of other origins.
    pub unaccounted: f64,
}

/// Share of the takers in an earlier failover that must still be there for it to tell anything.
const OBSERVED_LEAST: f64 = 0.5;
/// Share of a connection's bytes whose prefixes other connections must carry too for their split to tell anything.
const SPLIT_LEAST: f64 = 0.5;

impl Network {
    /// Where the traffic of `lost` goes if it fails together with others; `None` where no survivor can be named.
    ///
    /// `failed` says of each connection whether it fails.
    pub fn shares(&self, lost: usize, failed: &[bool]) -> Option<Shares> {
        let observed = self.observed_shares(lost, failed);
        observed.or_else(|| self.split_shares(lost, failed)).or_else(|| self.capacity_shares(lost, failed))
    }

    /// By the failover that is most like it, the latest of several: all that was down then must fail now.
    fn observed_shares(&self, lost: usize, failed: &[bool]) -> Option<Shares> {
        let fits = |observed: &&Observed| {
            observed.failed == lost && observed.also_down.iter().all(|other| failed.get(*other).copied().unwrap_or(false))
        };
        let best = self.observed.iter().filter(fits).max_by_key(|observed| (observed.also_down.len(), observed.at_us))?;
        let survives = |to: usize| !failed[to] && self.connections[to].standing != Standing::Inactive;
        let taken = |share: &ObservedShare| share.share.max(0.0);
        let all: f64 = best.shares.iter().map(taken).sum();
        let kept: f64 = best.shares.iter().filter(|share| survives(share.to)).map(taken).sum();
        if kept <= 0.0 || kept < all * OBSERVED_LEAST {
            return None;
        }
        let scale = all / kept;
        let share = |share: &ObservedShare| Share { to: share.to, share: taken(share) * scale, error: Some(share.error * scale) };
        let shares = best.shares.iter().filter(|share| survives(share.to)).map(share).collect();
        let origin = if kept < all { Origin::Rescaled } else { Origin::Observed };
        Some(Shares { origin, shares, unaccounted: (1.0 - all).max(0.0) })
    }

    fn split_shares(&self, lost: usize, failed: &[bool]) -> Option<Shares> {
        let shares = match self.direction {
            Direction::FromMicrosoft => self.prefix_split(lost, failed),
            Direction::ToMicrosoft => self.exit_split(lost, failed),
        }?;
        Some(self.by_rule(Origin::Split, shares))
    }

    /// Microsoft decides, by prefix and metro: each prefix goes where it goes already.
    ///
    /// What the others do not carry yet is taken to go as the rest does; if that is most of it, nothing is told.
    fn prefix_split(&self, lost: usize, failed: &[bool]) -> Option<Vec<(usize, f64)>> {
        let all: f64 = self.carried[lost].iter().map(|(_, bytes)| bytes).sum();
        let mut is_taker = vec![false; self.connections.len()];
        self.survivors(lost, failed).into_iter().for_each(|taker| is_taker[taker] = true);
        let mut shares = vec![0.0; self.connections.len()];
        for (prefix, bytes) in &self.carried[lost] {
            let carriers = || self.carriers[*prefix].iter().filter(|(carrier, _)| is_taker[*carrier]);
            let carried: f64 = carriers().map(|(_, bytes)| bytes).sum();
            carriers().for_each(|(carrier, part)| shares[*carrier] += bytes / all * part / carried);
        }
        let known: f64 = shares.iter().sum();
        let shares = shares.into_iter().enumerate().filter(|(_, share)| *share > 0.0);
        (known >= SPLIT_LEAST).then(|| shares.map(|(taker, share)| (taker, share / known)).collect())
    }

    /// We decide, by the nearest exit: of the same router, else of the metro; several of them as they share now.
    fn exit_split(&self, lost: usize, failed: &[bool]) -> Option<Vec<(usize, f64)>> {
        let place = &self.connections[lost].place;
        if place.routers.is_empty() && place.metro.is_none() {
            return None;
        }
        let survivors = self.survivors(lost, failed);
        let is_near = |other: &usize| self.connections[*other].place.routers.iter().any(|router| place.routers.contains(router));
        let nearest: Vec<usize> = survivors.iter().copied().filter(is_near).collect();
        proportional(if nearest.is_empty() { &survivors } else { &nearest }, |taker| self.mean_bps[taker])
    }

    fn capacity_shares(&self, lost: usize, failed: &[bool]) -> Option<Shares> {
        let takers = self.survivors(lost, failed);
        // An exchange's port is there once, however many sessions ride it.
        let mut riders = vec![0.0; self.ports.len()];
        let port = |taker: usize| self.connections[taker].port;
        takers.iter().for_each(|taker| riders.iter_mut().skip(port(*taker)).take(1).for_each(|count| *count += 1.0));
        let capacity = |taker: usize| self.port_of(taker).and_then(|port| port.capacity_bps);
        let weight = |taker: usize| capacity(taker).map_or(0.0, |bps| bps / riders[port(taker)]);
        Some(self.by_rule(Origin::Capacity, proportional(&takers, weight)?))
    }

    fn by_rule(&self, origin: Origin, shares: Vec<(usize, f64)>) -> Shares {
        let error = self.rule_errors[usize::from(origin == Origin::Capacity)];
        let shares = shares.into_iter().map(|(to, share)| Share { to, share, error }).collect();
        Shares { origin, shares, unaccounted: 0.0 }
    }

    /// Who can take what `lost` carried: connections of its metro, else all others, else transit.
    fn survivors(&self, lost: usize, failed: &[bool]) -> Vec<usize> {
        let metro = &self.connections[lost].place.metro;
        let those = |fits: &dyn Fn(&Connection) -> bool| -> Vec<usize> {
            let all = self.connections.iter().enumerate();
            all.filter(|(place, connection)| !failed[*place] && fits(connection)).map(|(place, _)| place).collect()
        };
        let is_active = |connection: &Connection| connection.standing == Standing::Active;
        let near = those(&|other| metro.is_some() && is_active(other) && other.place.metro == *metro);
        if !near.is_empty() {
            return near;
        }
        let others = those(&is_active);
        if others.is_empty() { those(&|other| other.standing == Standing::Transit) } else { others }
    }

    /// How far the two rules are off in a share, by the failovers that were observed.
    pub(super) fn errors_of_rules(&self) -> [Option<f64>; 2] {
        [self.error_of(Network::split_shares), self.error_of(Network::capacity_shares)]
    }

    /// How far a rule is off in a share, root mean square.
    fn error_of(&self, rule: impl Fn(&Network, usize, &[bool]) -> Option<Shares>) -> Option<f64> {
        let (mut squares, mut count) = (0.0, 0_usize);
        for observed in &self.observed {
            let mut failed = vec![false; self.connections.len()];
            let down = observed.also_down.iter().chain([&observed.failed]);
            down.filter(|place| **place < self.connections.len()).for_each(|place| failed[*place] = true);
            let Some(told) = rule(self, observed.failed, &failed) else { continue };
            let mut off = vec![None; self.connections.len()];
            told.shares.iter().for_each(|share| *off[share.to].get_or_insert(0.0) -= share.share);
            observed.shares.iter().for_each(|share| *off[share.to].get_or_insert(0.0) += share.share);
            squares += off.iter().flatten().map(|off: &f64| off * off).sum::<f64>();
            count += off.iter().flatten().count();
        }
        (count > 0).then(|| (squares / count as f64).sqrt())
    }
}

/// Shares in proportion to weights; `None` where all are 0.
fn proportional(takers: &[usize], weight: impl Fn(usize) -> f64) -> Option<Vec<(usize, f64)>> {
    let all: f64 = takers.iter().map(|taker| weight(*taker)).sum();
    let shares = takers.iter().map(|taker| (*taker, weight(*taker) / all)).filter(|(_, share)| *share > 0.0);
    (all > 0.0).then(|| shares.collect())
}
