//! All links of a direction together: when all fall, it is Microsoft, or it is us.

use model::Direction;
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::field::Field;
use super::track::{Hours, Scatter};
use super::{Failovers, Scene};

/// The total must fall by this share at least.
const LEAST_SHARE: f64 = 0.1;
/// A link that fell by less than this part of what all fell by did not take part.
const PART: f64 = 0.5;
/// Share of the load that links which did not take part may carry.
const APART_MOST: f64 = 0.02;
/// A total that is still this share of what is usual at the hour only lost what was on top.
const USUAL_SHARE: f64 = 0.93;

/// What is held of a direction.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Total {
    scatter: Scatter,
    /// bit/s by hour of the week.
    pub(crate) hours: Hours,
    /// The last bin that was learned from.
    pub(crate) learned: i64,
    /// The last bin that was judged, and the change in the one before, standard errors.
    judged: i64,
}

impl Failovers {
    /// Judges the total of a direction; true while all are falling.
    pub(crate) fn judge_total(&mut self, scene: &Scene<'_>, direction: Direction, field: &Field) -> bool {
        let is_falling = self.events.iter().any(|event| event.is_wide() && event.is_in(direction) && event.is_moving());
        let total = &self.totals[direction as usize];
        if is_falling || !field.has_all || total.judged >= scene.bin {
            return is_falling;
        }
        let of = |link: u32| self.tracks.get(&(link, direction));
        let is_warm = field.standings.iter().filter_map(|one| of(one.link)).all(|track| track.is_warm(scene.bin, 0));
        let (now, before) = field.totals(0);
        if before <= 0.0 {
            return false;
        }
        let sampling: f64 =
            field.standings.iter().filter_map(|one| Some(one.now.sampling.max(one.before[0]?.sampling * 15.0))).sum();
        let (change, sampling) = (now / before - 1.0, sampling / (before * before));
        let total = &mut self.totals[direction as usize];
        total.judged = scene.bin;
        let errors = change / (sampling + total.scatter.natural()).sqrt();
        let has_fallen = total.scatter.is_known() && errors <= -(scene.settings.standard_errors as f64) && -change >= LEAST_SHARE;
        let usual = total.hours.usual(scene.bin);
        if is_warm && (!total.scatter.is_known() || errors.abs() <= 6.0) {
            total.scatter.learn(change, sampling);
        }
        let is_usual = || {
            usual
                .or_else(|| self.lowest(scene.bin, direction, |_| true, |_| true))
                .is_some_and(|usual| field.now_bps() >= USUAL_SHARE * usual)
        };
        let is_event =
            has_fallen && !is_usual() && self.have_all_fallen(direction, field, change) && !self.is_settling(direction);
        if is_event {
            self.open_wide(scene, direction, field, change, errors);
        }
        is_event
    }

    /// Whether every link of some weight has its part in the fall.
    fn have_all_fallen(&self, direction: Direction, field: &Field, change: f64) -> bool {
        let (_, before) = field.totals(0);
        let (mut apart, mut fallen) = (0.0, 0);
        for one in &field.standings {
            let (Some(was), Some(track)) = (one.before[0], self.tracks.get(&(one.link, direction))) else { continue };
            if was.bps <= 0.0 {
                continue;
            }
            let error = (one.now.sampling / (was.bps * was.bps) + track.scatter[0][0].natural()).sqrt();
            if one.now.bps / was.bps - 1.0 > PART * change + 2.0 * error {
                apart += was.bps;
            } else {
                fallen += 1;
            }
        }
        fallen >= 2 && apart <= APART_MOST * before
    }

    /// Links of a direction are on their way back: loads move, and the total with them.
    fn is_settling(&self, direction: Direction) -> bool {
        self.events.iter().any(|event| event.is_wide() && event.is_in(direction) && !event.is_closed)
    }

    fn open_wide(&mut self, scene: &Scene<'_>, direction: Direction, field: &Field, change: f64, errors: f64) {
        let weights: Vec<(u32, f64)> =
            field.standings.iter().map(|one| (one.link, one.before[0].map_or(0.0, |was| was.bps))).collect();
        let start = self.start_of_total(scene.bin, direction, change);
        let event = Event::wide(start, scene.now_us, direction, &weights, (change, errors));
        // What looked like single links a bin ago was all of them.
        for other in
            self.events.iter_mut().filter(|other| other.is_in(direction) && other.start >= start - 3 && !other.has_ended())
        {
            other.withdraw();
        }
        self.open(scene, event);
    }

    fn start_of_total(&self, bin: i64, direction: Direction, change: f64) -> i64 {
        let sum = |bin: i64| -> f64 {
            let of = self.tracks.iter().filter(|(way, _)| way.1 == direction);
            of.filter_map(|(_, track)| track.bin(bin).part(super::track::Part::Whole)).map(|(load, _)| load).sum()
        };
        let before: f64 = (0..10).map(|back| sum(bin - 12 - back)).sum::<f64>() / 10.0;
        let most = before * (1.0 + change / 3.0);
        (bin - 31..bin - 1).rev().take_while(|bin| sum(*bin) <= most).last().unwrap_or(bin - 1)
    }
}
