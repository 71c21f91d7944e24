//! All links of a direction in one bin: what each carries, carried before, and their common factor.

use crate::window::Way;
use model::Direction;

use super::track::{BINS_HELD, LAGS, Mean, Part};
use super::{Failovers, Scene};

/// A link in the field: its whole load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) link: u32,
    pub(crate) now: Mean,
    pub(crate) before: [Option<Mean>; LAGS.len()],
}

/// The links of a direction whose load in this bin is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Field {
    pub(crate) standings: Vec<Standing>,
    /// Whether the bin has come of all links: exporters that hold flows tell later.
    pub(crate) has_all: bool,
}

impl Field {
    pub(crate) fn of(failovers: &Failovers, scene: &Scene<'_>, direction: Direction) -> Field {
        let mut field = Field { standings: Vec::new(), has_all: true };
        for ((link, of), track) in &failovers.tracks {
            if *of != direction {
                continue;
            }
            let before = std::array::from_fn(|lag| track.before(Part::Whole, scene.bin, lag));
            // One that tells nothing for an hour has gone.
            field.has_all &= !(scene.bin - BINS_HELD as i64..=scene.bin).contains(&track.end());
            if let Some(now) = track.now(Part::Whole, scene.bin) {
                field.standings.push(Standing { link: *link, now, before });
            }
        }
        field
    }

    /// What all carry now, and carried before, of those of which both are known.
    pub(crate) fn totals(&self, lag: usize) -> (f64, f64) {
        self.sums(lag, |_| true)
    }

    fn sums(&self, lag: usize, is_in: impl Fn(u32) -> bool) -> (f64, f64) {
        let pairs =
            self.standings.iter().filter(|one| is_in(one.link)).filter_map(|one| Some((one.now.bps, one.before[lag]?.bps)));
        pairs.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1))
    }

    /// By what the links beside one have fallen together; 1 where they have not: what they took from it is no
    /// rise of all.
    pub(crate) fn factor(&self, link: u32, lag: usize) -> f64 {
        let ratio = |(now, before): (f64, f64)| if before > 0.0 { now / before } else { 0.0 };
        let (others, all) = (self.sums(lag, |other| other != link), self.totals(lag));
        if others.1 <= 0.0 {
            return 1.0;
        }
        ratio(others).max(ratio(all)).min(1.0)
    }

    /// What all links carry now.
    pub(crate) fn now_bps(&self) -> f64 {
        self.standings.iter().map(|one| one.now.bps).sum()
    }
}

/// The difference of a part of a link's load from what was expected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contrast {
    pub(crate) part: Part,
    pub(crate) lag: usize,
    /// bit/s.
    pub(crate) expected: f64,
    /// bit/s.
    pub(crate) now: f64,
    /// The change, relative to what was before.
    pub(crate) change: f64,
    /// Its variance by sampling alone, relative.
    pub(crate) sampling: f64,
    /// Its standard error by sampling and scatter, relative.
    pub(crate) error: f64,
    /// Whether what was before is known well enough to learn from.
    pub(crate) is_warm: bool,
    /// Whether the scatter is known well enough to judge.
    pub(crate) is_known: bool,
}

impl Contrast {
    pub(crate) fn of(failovers: &Failovers, field: &Field, way: Way, (bin, part, lag): (i64, Part, usize)) -> Option<Contrast> {
        let track = failovers.tracks.get(&way)?;
        let (now, before) = (track.now(part, bin)?, track.before(part, bin, lag)?);
        if before.bps <= 0.0 {
            return None;
        }
        let factor = field.factor(way.0, lag);
        // Were nothing changed, the error would be that of the load before, and not that of nothing; what
        // telemetry lost now comes on top.
        let single = (before.sampling * before.bins as f64).max(now.sampling * now.bins as f64);
        let sampling = (single / now.bins as f64 + before.sampling) / (before.bps * before.bps);
        let scatter = &track.scatter[part as usize][lag];
        let expected = before.bps * factor;
        Some(Contrast {
            part,
            lag,
            expected,
            now: now.bps,
            change: (now.bps - expected) / before.bps,
            sampling,
            error: (sampling + scatter.natural()).sqrt(),
            is_warm: track.is_warm(bin, lag),
            is_known: scatter.is_known(),
        })
    }

    /// The change in standard errors.
    pub(crate) fn errors(&self) -> f64 {
        self.change / self.error
    }
}
