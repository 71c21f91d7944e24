//! Judging a bin: which links fell, whether all did, and what their loads teach.

use model::Direction;

use super::event::Event;
use super::field::{Contrast, Field};
use super::track::{BEFORE_BINS, LAGS, NOW_BINS, Part, Track};
use super::{Failovers, Scene, is_judged};
use crate::window::Way;

/// Each of the bins judged together must be below by half as many standard errors as their mean: a lone bin is none.
const EACH_SHARE: f64 = 0.5;
/// Bins over which what is usual is looked for where no day is known yet.
const USUAL_BINS: i64 = 180;
/// How far back the beginning of a fall is looked for, in bins.
const BACK_BINS: i64 = 60;
/// A bin belongs to the fall from so many standard errors of a single bin.
const BACK_ERRORS: f64 = 2.0;
/// A bin belongs to the fall in any case if it is below by this part of it.
const BACK_SHARE: f64 = 0.5;

impl Failovers {
    /// Judges links of a direction whose bin has come.
    pub(crate) fn judge(&mut self, scene: &Scene<'_>, direction: Direction, judged: &[Way]) {
        let ways: Vec<Way> = judged.iter().copied().filter(|way| way.1 == direction).collect();
        if ways.is_empty() {
            return;
        }
        let field = Field::of(self, scene, direction);
        let is_wide = self.judge_total(scene, direction, &field);
        for way in &ways {
            let contrasts = self.contrasts(&field, scene.bin, *way);
            let is_link = scene.link(way.0).is_some_and(is_judged);
            if is_link && !is_wide && self.may_fall(scene, *way) {
                self.judge_link(scene, &field, *way, &contrasts);
            }
            self.learn(scene.bin, *way, &contrasts);
        }
        self.learn_shares(scene, direction, &field);
    }

    fn contrasts(&self, field: &Field, bin: i64, way: Way) -> Vec<Contrast> {
        let cases = Part::ALL.into_iter().flat_map(|part| (0..LAGS.len()).map(move |lag| (bin, part, lag)));
        cases.filter_map(|case| Contrast::of(self, field, way, case)).collect()
    }

    fn judge_link(&mut self, scene: &Scene<'_>, field: &Field, way: Way, contrasts: &[Contrast]) {
        let fallen: Vec<&Contrast> = contrasts.iter().filter(|contrast| self.has_fallen(scene, way, contrast)).collect();
        let Some(first) = fallen.iter().min_by(|a, b| (a.lag, a.part).cmp(&(b.lag, b.part))) else { return };
        let whole = contrasts.iter().find(|contrast| contrast.part == Part::Whole && contrast.lag == first.lag);
        // Where one IP version alone fell, it was no surge that ended.
        let whole = whole.filter(|whole| whole.change <= first.change / 2.0);
        if whole.is_some_and(|whole| self.is_usual(field, scene.bin, way, whole)) || self.is_return(scene, way) {
            return;
        }
        if self.goes_on(scene, way) {
            return;
        }
        if self.events.len() >= scene.settings.events_max {
            self.refused += 1;
            return;
        }
        let start = self.start_of(scene.bin, way, first);
        let event = Event::new(start, scene.now_us, way, first);
        self.open(scene, event);
    }

    /// Whether a link's fall is the next step of one that is under way: a drain takes prefix after prefix.
    fn goes_on(&mut self, scene: &Scene<'_>, way: Way) -> bool {
        let is_under_way = |event: &&mut Event| {
            event.is_of(way) && !event.has_ended() && !event.is_wide() && event.flaps == 0 && scene.bin - event.start <= BACK_BINS
        };
        let Some(event) = self.events.iter_mut().find(is_under_way) else { return false };
        event.unsettle();
        true
    }

    /// Whether a part of a link's load has fallen, so far that it is no accident and large enough to matter.
    fn has_fallen(&self, scene: &Scene<'_>, way: Way, contrast: &Contrast) -> bool {
        let settings = scene.settings;
        let errors = settings.standard_errors as f64;
        let (Some(track), least_bps) = (self.tracks.get(&way), settings.least_kbps as f64 * 1e3) else { return false };
        let is_large = contrast.expected >= least_bps && -contrast.change >= settings.least_percent as f64 / 100.0;
        let is_sure = contrast.is_known && contrast.errors() <= -errors;
        // A single bin strays more than the mean of several.
        let most = contrast.expected * (1.0 - EACH_SHARE * errors * contrast.error);
        let is_each = || {
            (scene.bin + 1 - NOW_BINS..=scene.bin)
                .all(|bin| track.bin(bin).part(contrast.part).is_some_and(|(load, _)| load <= most))
        };
        is_large && is_sure && is_each()
    }

    /// Whether the link still carries its usual share of the direction at this hour: then what has gone was on top.
    /// Of those links that can be seen, which must be most of the others.
    fn is_usual(&self, field: &Field, bin: i64, way: Way, whole: &Contrast) -> bool {
        let known: Vec<u32> = field.standings.iter().map(|one| one.link).collect();
        let last =
            |track: &Track| track.mean(Part::Whole, track.end() - BEFORE_BINS, track.end(), 1).map_or(0.0, |mean| mean.bps);
        let others = self.tracks.iter().filter(|(of, _)| of.1 == way.1 && of.0 != way.0);
        let (all, seen) = others.fold((0.0, 0.0), |(all, seen), (of, track)| {
            let load = last(track);
            (all + load, seen + if known.contains(&of.0) { load } else { 0.0 })
        });
        if seen < all / 2.0 {
            return false;
        }
        let usual = |link: &u32| self.tracks.get(&(*link, way.1)).and_then(|track| track.shares.usual(bin));
        let of_all: Option<f64> = known.iter().map(usual).sum();
        let usual = usual(&way.0).zip(of_all).map(|(own, all)| own / all.max(f64::MIN_POSITIVE));
        let lowest = usual.or_else(|| self.lowest(bin, way.1, |of| of == way.0, |of| known.contains(&of)));
        lowest.is_some_and(|share| whole.now >= share * field.now_bps() - whole.error * whole.expected.max(1.0))
    }

    /// The least share of a direction that links carried in five minutes of the last half hour without events; of all
    /// links the load itself. It stands for what is usual where no day is known yet: a surge that ends is no event.
    pub(crate) fn lowest(
        &self,
        bin: i64,
        direction: Direction,
        is_in: impl Fn(u32) -> bool,
        is_known: impl Fn(u32) -> bool,
    ) -> Option<f64> {
        // What moves between links leaves their total as it is.
        let is_total = self.tracks.keys().filter(|way| way.1 == direction).all(|way| is_in(way.0));
        let is_calm = |from: i64, to: i64| {
            let is_then = |event: &Event| event.start < to && event.ended.is_none_or(|ended| ended + 3 > from);
            let moves = |event: &Event| event.is_in(direction) && is_then(event) && (event.is_wide() || !is_total);
            !self.events.iter().any(moves)
        };
        let share = |back: i64| -> Option<f64> {
            let from = bin - USUAL_BINS - 2 * BEFORE_BINS + back;
            let to = from + BEFORE_BINS;
            let (mut own, mut all) = (0.0, 0.0);
            for ((link, _), track) in self.tracks.iter().filter(|(way, _)| way.1 == direction && is_known(way.0)) {
                let mean = track.mean(Part::Whole, from, to, 1)?;
                all += mean.bps;
                own += if is_in(*link) { mean.bps } else { 0.0 };
            }
            (all > 0.0 && is_calm(from, to)).then(|| if is_total { own } else { own / all })
        };
        (0..=USUAL_BINS).step_by(BEFORE_BINS as usize / 2).filter_map(share).min_by(f64::total_cmp)
    }

    /// The bin in which a fall began: the first of those before it that are below without a gap.
    fn start_of(&self, bin: i64, way: Way, contrast: &Contrast) -> i64 {
        let Some(track) = self.tracks.get(&way) else { return bin };
        let single = contrast.error * (NOW_BINS as f64).sqrt();
        let share = (BACK_ERRORS * single).min(-contrast.change * BACK_SHARE);
        let most = contrast.expected * (1.0 - share);
        let is_below = |bin: &i64| track.bin(*bin).part(contrast.part).is_none_or(|(load, _)| load <= most);
        let first = bin + 1 - NOW_BINS;
        let mut start = (first - BACK_BINS..first).rev().take_while(is_below).last().unwrap_or(first);
        // What was not known is not part of it.
        while start < first && track.bin(start).part(contrast.part).is_none() {
            start += 1;
        }
        start
    }

    /// Scatter is learned from what was no event.
    fn learn(&mut self, bin: i64, way: Way, contrasts: &[Contrast]) {
        if self.events.iter().any(|event| event.is_of(way) && event.is_moving()) {
            return;
        }
        let Some(track) = self.tracks.get_mut(&way) else { return };
        for contrast in contrasts {
            let scatter = &mut track.scatter[contrast.part as usize][contrast.lag];
            if contrast.is_warm && (!contrast.is_known || contrast.errors().abs() <= 6.0) {
                scatter.learn(contrast.change, contrast.sampling);
            }
        }
        track.learned = bin;
    }

    /// The usual shares are those of times without events.
    fn learn_shares(&mut self, scene: &Scene<'_>, direction: Direction, field: &Field) {
        let total = field.now_bps();
        let is_quiet = !self.events.iter().any(|event| event.is_in(direction) && !event.has_ended());
        let at = &mut self.totals[direction as usize];
        if total <= 0.0 || !field.has_all || at.learned >= scene.bin || !is_quiet {
            return;
        }
        at.learned = scene.bin;
        at.hours.learn(scene.bin, total);
        for one in &field.standings {
            if let Some(track) = self.tracks.get_mut(&(one.link, direction)) {
                track.shares.learn(scene.bin, one.now.bps / total);
            }
        }
    }
}
