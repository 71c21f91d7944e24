//! What is held of one link and direction: its last bins, how they scatter, and its usual share by hour.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Bins that are held: an hour, so that exporters that hold flows for half of it can be compared with quick ones.
pub(crate) const BINS_HELD: usize = 360;
/// Bins over which "before" is a mean: 5 min.
pub(crate) const BEFORE_BINS: i64 = 30;
/// How far back "before" lies, in bins: just before what is judged, and ten minutes ago for what falls slowly.
pub(crate) const LAGS: [i64; 2] = [2, 60];
/// Bins that are judged together: the change must last.
pub(crate) const NOW_BINS: i64 = 2;
/// Fewest known bins of "before".
const KNOWN_LEAST: usize = 10;
/// Bins in which what was just seen for the first time may still be growing.
const COLD_BINS: i64 = 3;
/// Bins after which the past counts for less: an hour and a half.
const MEMORY_BINS: f64 = 540.0;
/// Bins of scatter that must be known before anything is judged by it.
const SCATTER_LEAST: u32 = 30;
/// No load is steadier than this.
const STEADIEST: f64 = 0.01;
/// Relative scatter taken before there is any.
const SCATTER_FIRST: f64 = 0.04;
/// An outlier counts as so many standard deviations: one event does not make a load restless.
const OUTLIER: f64 = 3.0;

/// The parts of a load that are judged apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Part {
    pub(crate) const ALL: [Part; 3] = [Part::Whole, Part::V4, Part::V6];

    /// The IP version; `None` of the whole.
    pub(crate) const fn ip_version(self) -> Option<i64> {
        match self {
            Part::Whole => None,
            Part::V4 => Some(4),
            Part::V6 => Some(6),
        }
    }
}

/// Neighbouring bins are not taken to be more alike than this (correlation).
const ALIKE_MOST: f64 = 0.88;

/// A bin as it is held; what is not known is NaN.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) bps: f32,
    pub(crate) v6_bps: f32,
    /// Standard error of `bps` by sampling and by telemetry that was lost, bit/s.
    pub(crate) error_bps: f32,
    /// What its port carries besides, bit/s.
    pub(crate) other_bps: f32,
}

impl Held {
    pub(crate) const UNKNOWN: Held = Held { bps: f32::NAN, v6_bps: f32::NAN, error_bps: f32::NAN, other_bps: f32::NAN };

    /// Load and standard error of a part; `None` where it is not known.
    pub(crate) fn part(&self, part: Part) -> Option<(f64, f64)> {
        let (bps, v6, error) = (f64::from(self.bps), f64::from(self.v6_bps), f64::from(self.error_bps));
        if bps.is_nan() {
            return None;
        }
        let load = match part {
            Part::Whole => bps,
            Part::V4 => (bps - v6).max(0.0),
            Part::V6 => v6,
        };
        // A part has that part of the variance; of nothing, what one sampled packet stands for remains.
        let share = if bps > 0.0 { (load / bps).clamp(0.05, 1.0) } else { 1.0 };
        Some((load, error * share.sqrt()))
    }
}

/// A mean over bins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Mean {
    /// bit/s.
    pub(crate) bps: f64,
    /// Its variance by sampling, (bit/s)².
    pub(crate) sampling: f64,
    /// Variance of a single bin about the mean.
    pub(crate) scatter: f64,
    /// As how many strangers a bin counts for the error of the mean: neighbouring bins are alike.
    pub(crate) alike: f64,
    pub(crate) bins: usize,
}

/// As how many strangers a bin counts, by the covariance of neighbours and the variance: few bins understate it.
pub(crate) fn alike((covariance, variance): (f64, f64), bins: usize) -> f64 {
    let seen = if variance > 0.0 { (covariance / variance).clamp(-1.0, 0.95) } else { 0.0 };
    let corrected = (seen + (1.0 + 3.0 * seen) / bins.max(2) as f64).clamp(0.0, ALIKE_MOST);
    (1.0 + corrected) / (1.0 - corrected)
}

/// How far a relative change strays when nothing happens.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Scatter {
    /// Means of the squared change, and of the part of it that sampling makes.
    squares: f64,
    sampling: f64,
    known: u32,
}

impl Scatter {
    pub(crate) fn is_known(&self) -> bool {
        self.known >= SCATTER_LEAST
    }

    /// Natural variance: what sampling does not explain.
    pub(crate) fn natural(&self) -> f64 {
        let seen = f64::from(self.known.min(SCATTER_LEAST)) / f64::from(SCATTER_LEAST);
        let learned = (self.squares - self.sampling).max(0.0);
        (seen * learned + (1.0 - seen) * SCATTER_FIRST * SCATTER_FIRST).max(STEADIEST * STEADIEST)
    }

    /// Learns from a change that was no event, relative, and its variance by sampling.
    pub(crate) fn learn(&mut self, change: f64, sampling: f64) {
        let most = OUTLIER * OUTLIER * (sampling + self.natural());
        self.known = self.known.saturating_add(1);
        let weight = (1.0 / f64::from(self.known)).max(1.0 / MEMORY_BINS);
        self.squares += weight * ((change * change).min(most) - self.squares);
        self.sampling += weight * (sampling - self.sampling);
    }
}

/// Hours of a week.
const HOURS: usize = 168;
/// Bins of an hour.
const HOUR_BINS: i64 = 360;
/// Weight of an hour's mean against those of the weeks before.
const HOUR_WEIGHT: f32 = 0.4;

/// A value by hour of the week, as it mostly was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hours {
    means: Vec<f32>,
    /// The hour under way, its sum and its bins.
    hour: i64,
    sum: f64,
    bins: u32,
    /// The hour that was over last, and its mean: it is not usual yet, for a surge may be in it that ends now.
    over: Option<(i64, f32)>,
}

impl Default for Hours {
    fn default() -> Hours {
        Hours { means: vec![f32::NAN; HOURS], hour: i64::MIN, sum: 0.0, bins: 0, over: None }
    }
}

impl Hours {
    pub(crate) fn learn(&mut self, bin: i64, value: f64) {
        let hour = bin.div_euclid(HOUR_BINS);
        if hour != self.hour {
            self.close();
            (self.hour, self.sum, self.bins) = (hour, 0.0, 0);
        }
        self.sum += value;
        self.bins += 1;
    }

    fn close(&mut self) {
        if let Some((hour, mean)) = self.over.take() {
            let held = &mut self.means[hour.rem_euclid(HOURS as i64) as usize];
            *held = if held.is_nan() { mean } else { *held + HOUR_WEIGHT * (mean - *held) };
        }
        if i64::from(self.bins) >= HOUR_BINS / 4 {
            self.over = Some((self.hour, (self.sum / f64::from(self.bins)) as f32));
        }
    }

    /// The mean of this hour a week ago and before, else of this hour on the last day that there is one.
    fn hour(&self, hour: i64) -> Option<f64> {
        (0..=6).map(|days| if days == 0 { hour } else { hour - 24 * days }).find_map(|hour| {
            let mean = self.means[hour.rem_euclid(HOURS as i64) as usize];
            (!mean.is_nan()).then_some(f64::from(mean))
        })
    }

    /// What is usual at a bin, between the middles of two hours; `None` where no earlier day tells.
    pub(crate) fn usual(&self, bin: i64) -> Option<f64> {
        let from_middle = bin - HOUR_BINS / 2;
        let hour = from_middle.div_euclid(HOUR_BINS);
        let share = from_middle.rem_euclid(HOUR_BINS) as f64 / HOUR_BINS as f64;
        let (one, next) = (self.hour(hour), self.hour(hour + 1));
        // The hour that was just over says nothing of this one.
        one.zip(next).map(|(one, next)| one + share * (next - one))
    }
}

/// A link and direction as it is watched.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Track {
    bins: VecDeque<Held>,
    /// Number of the bin after the last.
    end: i64,
    /// The bin from which it is known: what begins, begins small.
    first: i64,
    /// By part and lag.
    pub(crate) scatter: [[Scatter; LAGS.len()]; Part::ALL.len()],
    /// Its share of all links of the direction.
    pub(crate) shares: Hours,
    /// Usual share of the telemetry that came.
    coverage: Option<f64>,
    /// Bins before it are those of another time: the link was in an event.
    pub(crate) usable_from: i64,
    /// The last bin from which scatter was learned.
    pub(crate) learned: i64,
}

impl Track {
    /// Takes the next bin in; what lies between it and the last is not known.
    pub(crate) fn push(&mut self, bin: i64, held: Held) -> bool {
        if bin < self.end && !self.bins.is_empty() {
            return false;
        }
        if self.bins.is_empty() || bin - self.end > BINS_HELD as i64 {
            self.bins.clear();
            (self.first, self.end) = (bin, bin);
        }
        while self.end < bin {
            self.bins.push_back(Held::UNKNOWN);
            self.end += 1;
        }
        self.bins.push_back(held);
        self.end += 1;
        while self.bins.len() > BINS_HELD {
            self.bins.pop_front();
        }
        true
    }

    /// The bin after the last that came.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    pub(crate) fn bin(&self, bin: i64) -> Held {
        let first = self.end - self.bins.len() as i64;
        let index = bin - first;
        if index < 0 { Held::UNKNOWN } else { self.bins.get(index as usize).copied().unwrap_or(Held::UNKNOWN) }
    }

    /// The mean of the bins `[from, to)` that are known; `None` where fewer than `least` are.
    pub(crate) fn mean(&self, part: Part, from: i64, to: i64, least: usize) -> Option<Mean> {
        let (mut sum, mut squares, mut sampling, mut bins) = (0.0, 0.0, 0.0, 0_usize);
        let (mut products, mut pairs, mut last) = (0.0, 0_usize, None);
        for bin in from..to {
            let Some((load, error)) = self.bin(bin).part(part) else { continue };
            if let Some(last) = last.replace(load) {
                products += load * last;
                pairs += 1;
            }
            sum += load;
            squares += load * load;
            sampling += error * error;
            bins += 1;
        }
        if bins < least.max(1) {
            return None;
        }
        let count = bins as f64;
        let bps = sum / count;
        let alike = alike((products / pairs.max(1) as f64 - bps * bps, squares / count - bps * bps), bins);
        let scatter = ((squares / count - bps * bps) * count / (count - 1.0).max(1.0)).max(0.0);
        Some(Mean { bps, sampling: sampling / (count * count), scatter, alike, bins })
    }

    /// "Before" of a bin at a lag.
    pub(crate) fn before(&self, part: Part, bin: i64, lag: usize) -> Option<Mean> {
        let to = bin + 1 - NOW_BINS - LAGS[lag];
        self.mean(part, (to - BEFORE_BINS).max(self.usable_from), to, KNOWN_LEAST)
    }

    /// Whether "before" of a bin at a lag is whole, and not from when the link came up.
    pub(crate) fn is_warm(&self, bin: i64, lag: usize) -> bool {
        bin + 1 - NOW_BINS - LAGS[lag] - BEFORE_BINS >= self.first + COLD_BINS
    }

    /// The bins that are judged together at a bin: all of them must be known.
    pub(crate) fn now(&self, part: Part, bin: i64) -> Option<Mean> {
        self.mean(part, bin + 1 - NOW_BINS, bin + 1, NOW_BINS as usize)
    }

    /// The standard error that lost telemetry adds to a load: all of a minute's loss may have been in one bin.
    pub(crate) fn loss_error(&mut self, coverage: Option<f64>, usual_bps: f64) -> f64 {
        let Some(coverage) = coverage else { return 0.0 };
        let usual = *self.coverage.get_or_insert(coverage);
        self.coverage = Some(usual + (coverage - usual) / 30.0);
        (6.0 * (usual - coverage)).clamp(0.0, 1.0) * usual_bps
    }
}
