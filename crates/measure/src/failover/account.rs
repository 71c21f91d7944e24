//! What moved where: each link's load after an event against before, and what that makes of the fall.

use std::collections::BTreeMap;

use model::{Direction, Role};
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::track::{BEFORE_BINS, Mean, Part, alike};
use super::{Failovers, Scene};

/// Events whose beginnings are this close are accounted for together: nothing tells whose traffic went where.
const TOGETHER_BINS: i64 = 6;
/// Bins after an event that are compared with those before.
const AFTER_BINS: i64 = 30;
/// Bins before an event that show how all links together go.
const TREND_BINS: i64 = 90;
/// What a slope that cannot be told may be for a bin, relative: a load that doubles in five hours.
const SLOPE_UNKNOWN: f64 = 5e-4;
/// Scatter of a total that cannot be told, relative.
const SCATTER_UNKNOWN: f64 = 0.02;

/// A link that took some of what fell.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) link: u32,
    /// bit/s more than before.
    pub(crate) bps: f64,
    pub(crate) share: f64,
    pub(crate) error: f64,
}

/// What moved where.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Account {
    /// What the fallen links carried before, had the day gone on, bit/s.
    pub(crate) before_bps: f64,
    /// What they lost of it, share, and its standard error.
    pub(crate) fallen_share: f64,
    pub(crate) fallen_error: f64,
    /// Links that took some, the largest first.
    pub(crate) shares: Vec<Share>,
    /// What is nowhere to be found, and its standard error.
    pub(crate) unaccounted: f64,
    pub(crate) unaccounted_error: f64,
    /// Share that stayed in the metro; `None` where a metro is not known.
    pub(crate) local: Option<f64>,
    pub(crate) to_transit: f64,
    /// Other links that fell at the same time.
    pub(crate) together: Vec<u32>,
    /// What ports carry of other networks' traffic, after against before.
    pub(crate) others_ratio: Option<f64>,
}

/// The bins that are compared.
struct Windows {
    before: (i64, i64),
    after: (i64, i64),
    /// Nothing happened in the direction from this bin to the event.
    quiet_from: i64,
}

impl Windows {
    fn of(event: &Event, settled: i64, others: &[Event], bin: i64) -> Windows {
        let mut before = (event.start - BEFORE_BINS, event.start - 1);
        let end = event.ended.unwrap_or(bin + 1).min(bin + 1);
        let mut after = (settled + 1, end.min(settled + 1 + AFTER_BINS));
        let mut quiet_from = i64::MIN;
        let same = |other: &&Event| {
            event.direction.is_some_and(|direction| other.is_in(direction))
                && other.start.abs_diff(event.start) > TOGETHER_BINS as u64
        };
        for other in others.iter().filter(same) {
            // An event that moved loads before, or came back, and one that moves them after.
            let moves = [other.settled.map(|bin| bin + 1), other.ended.map(|bin| bin + 3), Some(other.start + 1)];
            let latest = moves.into_iter().flatten().filter(|bin| *bin <= event.start - 3).max();
            quiet_from = quiet_from.max(latest.unwrap_or(i64::MIN));
            for next in [Some(other.start), other.ended].into_iter().flatten().filter(|bin| *bin > after.0 + 1) {
                after.1 = after.1.min(next - 1);
            }
        }
        if after.1 <= after.0 {
            // It was over before loads were steady.
            after = (event.start + 1, end.max(event.start + 2));
        }
        before.0 = before.0.max(quiet_from);
        Windows { before, after, quiet_from }
    }

    /// Bins between the middles.
    fn lag(&self) -> f64 {
        (self.after.0 + self.after.1 - self.before.0 - self.before.1) as f64 / 2.0
    }
}

/// How the total of a direction goes: relative to its load, for each bin.
#[derive(Clone, Copy, Debug, Default)]
struct Trend {
    slope: f64,
    slope_error: f64,
    /// Variance of a bin about it, times as many strangers as a bin counts for.
    variance: f64,
}

impl Trend {
    /// By least squares.
    fn of(points: &[(f64, f64)]) -> Trend {
        let count = points.len() as f64;
        let unknown = Trend { slope: 0.0, slope_error: SLOPE_UNKNOWN, variance: 3.0 * SCATTER_UNKNOWN * SCATTER_UNKNOWN };
        if points.len() < 12 {
            return unknown;
        }
        let middle = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / count, sum.1 + point.1 / count));
        if middle.1 <= 0.0 {
            return unknown;
        }
        let spread: f64 = points.iter().map(|point| (point.0 - middle.0).powi(2)).sum();
        let slope = points.iter().map(|point| (point.0 - middle.0) * (point.1 - middle.1)).sum::<f64>() / spread;
        let left: Vec<f64> = points.iter().map(|point| point.1 - middle.1 - slope * (point.0 - middle.0)).collect();
        let squares: f64 = left.iter().map(|left| left * left).sum::<f64>() / count;
        let products: f64 = left.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / (count - 1.0);
        let variance = alike((products, squares), points.len()).max(1.5) * squares * count / (count - 2.0);
        let (slope, slope_error) = (slope / middle.1, (variance / spread).sqrt() / middle.1);
        let variance = variance / (middle.1 * middle.1);
        // A slope that is told worse than not at all is not used.
        if slope_error > SLOPE_UNKNOWN { Trend { variance, ..unknown } } else { Trend { slope, slope_error, variance } }
    }

    /// Relative standard error of a difference of means over so many bins.
    fn error(&self, before: i64, after: i64) -> f64 {
        (self.variance / before.max(1) as f64 + self.variance / after.max(1) as f64).sqrt()
    }
}

fn variance(mean: &Mean) -> f64 {
    (mean.alike.max(1.5) * mean.scatter / mean.bins as f64).max(mean.sampling)
}

impl Failovers {
    /// What links of an event's direction carried before it.
    pub(crate) fn before(&self, event: &Event, part: Part) -> BTreeMap<u32, Mean> {
        let windows = Windows::of(event, event.start, &self.events, event.start + 1);
        self.means(event.direction, part, windows.before)
    }

    fn means(&self, direction: Option<Direction>, part: Part, (from, to): (i64, i64)) -> BTreeMap<u32, Mean> {
        let of = self.tracks.iter().filter(|(way, _)| Some(way.1) == direction);
        of.filter_map(|(way, track)| Some((way.0, track.mean(part, from, to, 1)?))).collect()
    }

    /// Which IP version fell: one alone where the other did not.
    pub(crate) fn settle_part(&self, event: &mut Event, others: &[Event], bin: i64) {
        if event.is_wide() {
            return;
        }
        let Some(windows) = event.settled.map(|settled| Windows::of(event, settled, others, bin)) else { return };
        let fall = |part: Part| {
            let (before, after) =
                (self.means(event.direction, part, windows.before), self.means(event.direction, part, windows.after));
            let (mut was, mut is, mut error) = (0.0, 0.0, 0.0);
            for link in event.fallen.keys() {
                let (Some(before), Some(after)) = (before.get(link), after.get(link)) else { continue };
                was += before.bps;
                is += after.bps;
                error += variance(before) + variance(after);
            }
            (was > 0.0).then(|| (1.0 - is / was, error.sqrt() / was))
        };
        let (Some((v4, v4_error)), Some((v6, v6_error))) = (fall(Part::V4), fall(Part::V6)) else { return };
        // The other one must have been able to show a fall, and must not have.
        let is_alone = |one: f64, other: f64, error: f64| other < one / 3.0 && one > 3.0 * error + other.max(0.0);
        event.part = match (is_alone(v4, v6, v6_error), is_alone(v6, v4, v4_error)) {
            (true, _) => Part::V4,
            (_, true) => Part::V6,
            _ => Part::Whole,
        };
        let before = self.means(event.direction, event.part, windows.before);
        for (link, bps) in &mut event.fallen {
            *bps = before.get(link).map_or(*bps, |mean| mean.bps);
        }
    }

    /// How all links together go before an event.
    fn trend(&self, event: &Event, windows: &Windows) -> Trend {
        let until = windows.before.1;
        let from = (until - TREND_BINS).max(windows.quiet_from);
        // Only bins in which all are known: a link that is not is no fall.
        let total = |bin: i64| -> Option<f64> {
            let of = self.tracks.iter().filter(|(way, _)| Some(way.1) == event.direction);
            of.map(|(_, track)| track.bin(bin).part(Part::Whole).map(|(load, _)| load)).sum()
        };
        let points: Vec<(f64, f64)> = (from..until).filter_map(|bin| Some(((bin - until) as f64, total(bin)?))).collect();
        Trend::of(&points)
    }

    /// Accounts for what fell, as far as the bins up to `bin` tell.
    pub(crate) fn account(&self, scene: &Scene<'_>, event: &Event, others: &[Event], bin: i64) -> Option<Account> {
        let windows = Windows::of(event, event.settled?, others, bin);
        let before = self.means(event.direction, event.part, windows.before);
        let after = self.means(event.direction, event.part, windows.after);
        let trend = if event.is_wide() { Trend::default() } else { self.trend(event, &windows) };
        let factor = (1.0 + trend.slope * windows.lag()).clamp(0.5, 2.0);
        let factor_error = trend.slope_error * windows.lag();
        let together = together(event, others);
        let is_fallen = |link: &u32| event.fallen.contains_key(link) || together.contains(link);
        let (mut fall, mut fall_variance, mut own, mut own_fall, mut own_variance) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let mut took = Vec::new();
        for (link, was) in &before {
            let Some(is) = after.get(link) else { continue };
            let expected = was.bps * factor;
            let variance = variance(was) + variance(is) + (was.bps * factor_error).powi(2);
            if is_fallen(link) {
                fall += expected - is.bps;
                fall_variance += variance;
                if event.fallen.contains_key(link) {
                    own += expected;
                    own_fall += expected - is.bps;
                    own_variance += variance;
                }
            } else {
                took.push((*link, is.bps - expected, variance));
            }
        }
        if fall <= 0.0 || own <= 0.0 {
            return None;
        }
        let fall_error = fall_variance.sqrt() / fall;
        let mut shares: Vec<Share> = took
            .iter()
            .map(|(link, bps, variance)| {
                let share = bps / fall;
                Share { link: *link, bps: *bps, share, error: (variance.sqrt() / fall).hypot(share * fall_error) }
            })
            .collect();
        shares.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.link.cmp(&b.link)));
        let found: f64 = shares.iter().map(|share| share.share).sum();
        // What all links have in common does not go into what one took from another, but into what is missing.
        let total: f64 = before.values().map(|mean| mean.bps).sum();
        let total_error =
            total * trend.error(windows.before.1 - windows.before.0, windows.after.1 - windows.after.0).hypot(factor_error);
        let mut account = Account {
            before_bps: own,
            fallen_share: own_fall / own,
            fallen_error: own_variance.sqrt() / own,
            unaccounted: 1.0 - found,
            unaccounted_error: total_error / fall,
            to_transit: shares.iter().filter(|share| is_role(scene, share.link, Role::Transit)).map(|share| share.share).sum(),
            local: local(scene, event, &shares),
            others_ratio: self.others_ratio(event.direction, &windows),
            shares,
            together,
        };
        account.shares.truncate(scene.settings.moved_rows_max);
        Some(account)
    }

    /// What ports carry of other networks' traffic, after against before.
    fn others_ratio(&self, direction: Option<Direction>, windows: &Windows) -> Option<f64> {
        let (mut was, mut is) = (0.0, 0.0);
        for (_, track) in self.tracks.iter().filter(|(way, _)| Some(way.1) == direction) {
            let mean = |(from, to): (i64, i64)| -> Option<f64> {
                let loads: Vec<f64> =
                    (from..to).map(|bin| f64::from(track.bin(bin).other_bps)).filter(|bps| !bps.is_nan()).collect();
                (!loads.is_empty()).then(|| loads.iter().sum::<f64>() / loads.len() as f64)
            };
            if let (Some(before), Some(after)) = (mean(windows.before), mean(windows.after)) {
                was += before;
                is += after;
            }
        }
        (was > 1e6).then(|| is / was)
    }
}

fn is_role(scene: &Scene<'_>, link: u32, role: Role) -> bool {
    scene.link(link).is_some_and(|link| link.role == role)
}

/// The share that stayed in the metro of what fell.
fn local(scene: &Scene<'_>, event: &Event, shares: &[Share]) -> Option<f64> {
    let location = |link: u32| scene.link(link).and_then(|link| link.location.clone());
    let home = location(*event.fallen.keys().next()?)?;
    if event.fallen.keys().any(|link| location(*link).as_ref() != Some(&home)) {
        return None;
    }
    let is_peering = |link: u32| !is_role(scene, link, Role::Transit);
    let stayed = shares.iter().filter(|share| is_peering(share.link) && location(share.link).as_ref() == Some(&home));
    Some(stayed.map(|share| share.share).sum())
}

/// Links of other events that began with this one.
fn together(event: &Event, others: &[Event]) -> Vec<u32> {
    let Some(direction) = event.direction else { return Vec::new() };
    let same = others.iter().filter(|other| other.is_in(direction) && other.start.abs_diff(event.start) <= TOGETHER_BINS as u64);
    let mut links: Vec<u32> =
        same.flat_map(|other| other.fallen.keys().copied()).filter(|link| !event.fallen.contains_key(link)).collect();
    links.sort_unstable();
    links.dedup();
    links
}
