//! Events followed: each moves, settles, ends, perhaps falls again, and is closed.

use std::collections::BTreeSet;

use model::Direction;
use model::time::{BIN_US, SECOND_US};

use super::event::Event;
use super::track::{Mean, Part, Track};
use super::{Failovers, Observed, Scene};

/// Bins of a second and third look at what moved where, after it has settled.
const LOOKS: [i64; 3] = [3, 9, 30];
/// What moves for longer is taken as it is then: 15 min.
const MOVING_MOST: i64 = 90;
/// Bins whose mean says whether loads still move.
const STEADY_BINS: i64 = 3;
/// Steady is what changes by less than this share of the load before.
const STEADY_SHARE: f64 = 0.03;
/// It has ended when less than this part of the fall is left.
const LEFT_SHARE: f64 = 0.5;
/// What has returned, or fallen again, must be so many standard errors.
const SURE_ERRORS: f64 = 3.0;
/// Bins after the return over which its share is measured.
const RETURN_BINS: i64 = 30;

/// What the fallen links of an event carry in a bin, and should.
struct Level {
    now: f64,
    /// What they would carry, had nothing happened.
    expected: f64,
    /// Standard error of `now`.
    error: f64,
}

impl Failovers {
    /// Adds an event, to one of an exchange if it is part of it.
    pub(crate) fn open(&mut self, scene: &Scene<'_>, mut event: Event) {
        event.was_port_down = event.fallen.keys().any(|link| self.ports.get(link).is_some_and(super::PortWatch::is_down));
        event.carried = self.before(&event, Part::Whole).into_iter().map(|(link, mean)| (link, mean.bps)).collect();
        let before = self.before(&event, event.part);
        for (link, bps) in &mut event.fallen {
            *bps = before.get(link).map_or(*bps, |mean| mean.bps);
        }
        event.port_errors =
            event.fallen.keys().filter_map(|link| self.ports.get(link)).map(super::PortWatch::errors).max().unwrap_or(0);
        self.classify(scene, &mut event);
        self.events.push(event);
        self.join_exchange(scene);
    }

    /// Follows open events through the bin that came.
    pub(crate) fn follow(&mut self, scene: &Scene<'_>, observed: &[Observed]) {
        self.note_observed(scene, observed);
        let mut events = std::mem::take(&mut self.events);
        for index in 0..events.len() {
            if events[index].is_closed || events[index].direction.is_none() {
                continue;
            }
            let mut event = events[index].clone_light();
            let others = &events;
            let known = self.known_until(&event);
            for bin in event.followed + 1..=known {
                event.followed = bin;
                self.step(scene, &mut event, bin, others);
            }
            event.restore(&mut events[index]);
            events[index] = event;
        }
        self.events = events;
        self.close_ports(scene);
        self.close_old(scene);
    }

    /// The last bin that has come of all links that fell.
    fn known_until(&self, event: &Event) -> i64 {
        let Some(direction) = event.direction else { return i64::MIN };
        let ends = event.fallen.keys().filter_map(|link| self.tracks.get(&(*link, direction)));
        ends.map(|track| track.end() - 1).min().unwrap_or(i64::MIN)
    }

    fn note_observed(&mut self, scene: &Scene<'_>, observed: &[Observed]) {
        for event in self.events.iter_mut().filter(|event| !event.has_ended() && event.start <= scene.bin) {
            for one in observed.iter().filter(|one| one.direction == event.direction) {
                if event.fallen.contains_key(&one.link) {
                    event.was_silent |= one.is_silent && event.settled.is_none();
                } else if let Some(ratio) = one.utilisation_ratio {
                    let most = event.utilisation.entry(one.link).or_insert(0.0);
                    *most = most.max(ratio as f32);
                }
            }
        }
    }

    fn level(&self, event: &Event, bin: i64, bins: i64) -> Option<Level> {
        let direction = event.direction?;
        let (mut now, mut error, mut expected) = (0.0, 0.0, 0.0);
        for (link, before) in &event.fallen {
            let track = self.tracks.get(&(*link, direction))?;
            let mean = track.mean(event.part, bin + 1 - bins, bin + 1, 1)?;
            let natural = track.scatter[event.part as usize][0].natural() * before * before;
            let usual = |bin: i64| track.shares.usual(bin).filter(|share| *share > 0.0);
            let drift = usual(bin).zip(usual(event.start)).map_or(1.0, |(now, then)| (now / then).clamp(0.5, 2.0));
            now += mean.bps;
            error += mean.sampling.max(natural / bins as f64);
            expected += before * drift;
        }
        Some(Level { now, expected: expected * self.growth(event, direction, bin, now), error: error.sqrt() })
    }

    /// How demand has changed since the event.
    ///
    /// The total says, but it holds what has returned and was nowhere before: of demand `g` and returned part `r`,
    /// total = g (after + r (before - after)) for all links, and the same for those that fell; two equations.
    fn growth(&self, event: &Event, direction: Direction, bin: i64, fallen_bps: f64) -> f64 {
        let Some(account) = event.account.as_ref().filter(|_| !event.is_wide()) else { return 1.0 };
        let (mut now, mut after, mut before) = (0.0, 0.0, 0.0);
        for (link, bps) in &event.after {
            let mean = self.tracks.get(&(*link, direction)).and_then(|track| track.mean(Part::Whole, bin - 2, bin + 1, 1));
            if let (Some(mean), Some(carried)) = (mean, event.carried.get(link)) {
                now += mean.bps;
                after += bps;
                before += carried;
            }
        }
        let lost: f64 = event.fallen.values().sum::<f64>() * account.fallen_share;
        let left = event.fallen.values().sum::<f64>() - lost;
        let against = fallen_bps * (before - after) - now * lost;
        if now <= 0.0 || after <= 0.0 || against.abs() < 1e-3 * now * lost {
            return 1.0;
        }
        let returned = ((now * left - fallen_bps * after) / against).clamp(0.0, 1.0);
        (now / (after + returned * (before - after)).max(1.0)).clamp(0.1, 10.0)
    }

    fn step(&mut self, scene: &Scene<'_>, event: &mut Event, bin: i64, others: &[Event]) {
        let Some(level) = self.level(event, bin, STEADY_BINS.min(bin - event.start + 1)) else { return };
        let fall = match &event.account {
            Some(account) => (level.expected * account.fallen_share).max(1.0),
            None => (level.expected * -event.change).max(1.0),
        };
        let left = (level.expected - level.now) / fall;
        match event.ended {
            None => {
                event.residue = (level.now / level.expected.max(1.0)).max(0.0);
                self.settle(event, bin, &level);
                let is_sure = level.now - (level.expected - fall) > SURE_ERRORS * level.error;
                if bin > event.start.max(event.fell_again) + STEADY_BINS && left < LEFT_SHARE && is_sure {
                    self.end(event, bin, fall);
                }
            }
            Some(ended)
                if left > LEFT_SHARE && bin > ended + STEADY_BINS && level.expected - level.now > SURE_ERRORS * level.error =>
            {
                event.ended = None;
                event.returned_share = None;
                event.flaps += 1;
                event.fell_again = bin;
                event.is_dirty = true;
            }
            Some(ended) => {
                if bin == ended + RETURN_BINS {
                    let mean = self.level(event, bin, RETURN_BINS);
                    event.returned_share = mean.map(|mean| 1.0 - (mean.expected - mean.now) / fall);
                    event.is_dirty = true;
                }
                event.is_closed = (bin - ended) * BIN_US >= scene.settings.flap_seconds * SECOND_US;
                event.is_dirty |= event.is_closed;
            }
        }
        self.look(scene, event, bin, others);
    }

    /// Whether loads are steady again.
    fn settle(&mut self, event: &mut Event, bin: i64, level: &Level) {
        if event.settled.is_some() || bin < event.start + STEADY_BINS {
            return;
        }
        let earlier = self.level(event, bin - STEADY_BINS, STEADY_BINS).map_or(f64::INFINITY, |earlier| earlier.now);
        let most = (STEADY_SHARE * level.expected).max(1.5 * level.error);
        let is_gone = level.now < 0.01 * level.expected;
        let is_steady = bin >= event.start + 2 * STEADY_BINS - 1 && earlier - level.now < most;
        if is_gone || is_steady || bin >= event.start + MOVING_MOST {
            self.set_settled(event, bin - STEADY_BINS + 1);
        }
    }

    fn set_settled(&mut self, event: &mut Event, bin: i64) {
        let bin = self.reached(event, bin);
        event.settled = Some(bin);
        event.is_dirty = true;
        let Some(direction) = event.direction else { return };
        for link in event.fallen.keys() {
            if let Some(track) = self.tracks.get_mut(&(*link, direction)) {
                track.usable_from = track.usable_from.max(bin);
            }
        }
    }

    /// The first bin from which nine tenths of the fall were done.
    fn reached(&self, event: &Event, bin: i64) -> i64 {
        let Some(low) = self.level(event, bin + STEADY_BINS - 1, STEADY_BINS) else { return bin };
        let most = low.now + (0.1 * (low.expected - low.now)).max(low.error);
        let is_reached = |at: &i64| self.level(event, *at, 1).is_none_or(|level| level.now <= most);
        (event.start..bin).rev().take_while(is_reached).last().unwrap_or(bin)
    }

    fn end(&mut self, event: &mut Event, bin: i64, fall: f64) {
        let is_back = |at: &i64| self.level(event, *at, 1).is_some_and(|level| (level.expected - level.now) / fall < LEFT_SHARE);
        let ended = (event.start + 1..=bin).rev().take_while(is_back).last().unwrap_or(bin);
        if event.settled.is_none() {
            self.set_settled(event, (event.start + 1).min(ended));
        }
        event.ended = Some(ended);
        event.is_dirty = true;
        let Some(direction) = event.direction else { return };
        // What links carry now is no change of what they carried in the event.
        for (_, track) in self.tracks.iter_mut().filter(|(way, _)| way.1 == direction) {
            track.usable_from = track.usable_from.max(ended + 1);
        }
    }

    /// Looks at what moved where, once loads are steady and again when more bins are there.
    fn look(&mut self, scene: &Scene<'_>, event: &mut Event, bin: i64, others: &[Event]) {
        let Some(settled) = event.settled else { return };
        let is_last = event.ended.is_some() && event.looks < LOOKS.len();
        let is_due = LOOKS.get(event.looks).is_some_and(|after| bin >= settled + after);
        if !is_due && !is_last {
            return;
        }
        event.looks = if is_last { LOOKS.len() } else { event.looks + 1 };
        self.settle_part(event, others, bin);
        event.account = self.account(scene, event, others, bin).or(event.account.take());
        if event.flaps == 0 && event.is_nothing(scene.settings) {
            return event.withdraw();
        }
        if let Some(direction) = event.direction {
            let until = event.ended.unwrap_or(bin + 1).min(bin + 1);
            let after = |track: &Track| track.mean(Part::Whole, settled, until.max(settled + 1), 1).map(|mean: Mean| mean.bps);
            let of = self.tracks.iter().filter(|(way, _)| way.1 == direction);
            event.after = of.filter_map(|(way, track)| Some((way.0, after(track)?))).collect();
        }
        self.classify(scene, event);
        event.is_dirty = true;
    }

    /// Drops what was closed long enough ago that no event can begin in the same bin any more, and what began with it
    /// is closed too: the rows of those that began together are published together.
    fn close_old(&mut self, scene: &Scene<'_>) {
        let oldest = scene.bin - super::track::BINS_HELD as i64;
        let is_held = |event: &&Event| !event.is_closed || event.is_dirty || event.start > oldest;
        let held: BTreeSet<i64> = self.events.iter().filter(is_held).map(|event| event.start).collect();
        self.events.retain(|event| held.contains(&event.start));
    }
}
