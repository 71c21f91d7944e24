//! Failovers: what happened. Loads by bin go in, events with what moved where come out; `now` is an argument.
//!
//! ```text
//! Observed ─▶ Track (an hour of bins, scatter, usual shares) ─judge─▶ Event ─account─▶ shares ─▶ rows
//! ```
//!
//! A fall counts against an expectation: what the link carried just before (and ten minutes ago, for what falls
//! slowly), less what all other links of the direction fell by at the same time. The night, a holiday, a surge
//! and a clock change move all links alike, and raise nothing. How far such a difference strays when nothing
//! happens is learned from each link itself; a fall counts from 6 such standard errors, and if it leaves the link
//! below its usual share of the direction at this hour: the end of a surge is no event.

mod account;
mod event;
mod feed;
mod field;
mod follow;
mod groups;
mod judge;
mod kinds;
mod plan;
mod ports;
mod rows;
mod settings;
mod total;
mod track;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::tables::FailoverRow;
use model::time::BIN_US;
use model::{Direction, Link, Publication, Role};
use serde::{Deserialize, Serialize};

pub use feed::Judging;
pub use plan::{Planned, Plans, parse_calendar};
pub use rows::last_told;
pub use settings::FailoverSettings;

use crate::window::Way;
use event::Event;
use ports::PortWatch;
use total::Total;
use track::{Held, Part, Track};

/// A link and direction in a bin, as far as it is mature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Number of the link.
    pub link: u32,
    /// Which way; `from_microsoft` or `to_microsoft`.
    pub direction: Option<Direction>,
    /// Load by flows on the link layer, bit/s; `None` where it is not known.
    pub bps: Option<f64>,
    /// Of it IPv6.
    pub v6_bps: Option<f64>,
    /// Standard error of `bps` by sampling.
    pub standard_error_bps: Option<f64>,
    /// Share of what its exporters sent that came.
    pub coverage_ratio: Option<f64>,
    /// Load of the whole port on the wire over its capacity.
    pub utilisation_ratio: Option<f64>,
    /// Load of the port that is not the link's, bit/s: other networks' traffic.
    pub other_bps: Option<f64>,
    /// Nothing at all came from its exporters in this bin: that the load is 0 may only seem so.
    pub is_silent: bool,
}

/// The port of a link in a bin, as its interface counters tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSeen {
    /// Number of the link.
    pub link: u32,
    /// Whether the interface is up, or any of its members.
    pub is_up: Option<bool>,
    /// Members of the bundle that are up.
    pub members_up: Option<i64>,
    /// Capacity, bit/s.
    pub capacity_bps: Option<u64>,
    /// Errors of the interface in this bin, both directions.
    pub errors: Option<i64>,
}

/// What is known of links by number.
pub(crate) type Links<'a> = &'a [Arc<Link>];

/// Everything that is held to tell failovers; what a stopped collector saves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Failovers {
    pub(crate) tracks: BTreeMap<Way, Track>,
    pub(crate) totals: [Total; 2],
    pub(crate) ports: BTreeMap<u32, PortWatch>,
    pub(crate) events: Vec<Event>,
    /// Bins in which events began of which something is to be published.
    dirty: BTreeSet<i64>,
    /// Links and directions, and events, that found no room.
    pub(crate) refused: u64,
}

/// What judging needs beside the loads.
pub(crate) struct Scene<'a> {
    pub(crate) settings: &'a FailoverSettings,
    pub(crate) links: Links<'a>,
    pub(crate) bin: i64,
    pub(crate) now_us: i64,
}

impl Scene<'_> {
    pub(crate) fn link(&self, number: u32) -> Option<&Link> {
        self.links.get(number as usize).map(Arc::as_ref)
    }
}

/// Whether a link's traffic belongs to the whole that moves between links.
pub(crate) fn is_watched(link: &Link) -> bool {
    matches!(link.role, Role::Direct | Role::Exchange | Role::Transit)
}

/// Whether a link's fall is an event: transit only takes.
pub(crate) fn is_judged(link: &Link) -> bool {
    matches!(link.role, Role::Direct | Role::Exchange)
}

impl Failovers {
    /// Takes a bin in that has become mature for these links, and judges it; the bins of a link come in order.
    pub fn take(
        &mut self,
        settings: &FailoverSettings,
        links: &[Arc<Link>],
        (start_us, now_us): (i64, i64),
        (observed, ports): (&[Observed], &[PortSeen]),
    ) {
        let scene = Scene { settings, links, bin: start_us.div_euclid(BIN_US), now_us };
        for port in ports {
            self.watch_port(&scene, port);
        }
        let (doubted, plain): (Vec<&Observed>, Vec<&Observed>) = observed.iter().partition(|one| one.is_silent);
        let mut judged: Vec<Way> = plain.iter().filter_map(|one| self.hold(&scene, one)).collect();
        judged.extend(self.hold_doubted(&scene, &doubted));
        for direction in Direction::ALL {
            self.judge(&scene, direction, &judged);
        }
        self.follow(&scene, observed);
    }

    /// What is due to be published: every revision of the events that began together, as one.
    pub fn publish(&mut self, links: &[Arc<Link>], plans: &Plans) -> Vec<Publication> {
        for event in self.events.iter_mut().filter(|event| event.is_dirty) {
            event.is_dirty = false;
            self.dirty.insert(event.start);
            let row = rows::row(event, links, plans);
            event.revise(row);
        }
        std::mem::take(&mut self.dirty).into_iter().map(|start| self.publication(start)).collect()
    }

    /// Events as they were told last.
    pub(crate) fn told(&self) -> impl Iterator<Item = &FailoverRow> {
        self.events.iter().filter(|event| !event.is_withdrawn).filter_map(|event| event.rows.last())
    }

    fn hold(&mut self, scene: &Scene<'_>, one: &Observed) -> Option<Way> {
        let direction = one.direction?;
        scene.link(one.link).filter(|link| is_watched(link))?;
        let way = (one.link, direction);
        if !self.tracks.contains_key(&way) && self.tracks.len() >= scene.settings.ways_max {
            self.refused += 1;
            return None;
        }
        let track = self.tracks.entry(way).or_default();
        let Some(bps) = one.bps else {
            track.push(scene.bin, Held::UNKNOWN);
            return None;
        };
        let usual = track.before(Part::Whole, scene.bin, 0).map_or(bps, |before| before.bps);
        let lost = track.loss_error(one.coverage_ratio, usual);
        let error = one.standard_error_bps.unwrap_or(0.0).hypot(lost);
        let other_bps = one.other_bps.map_or(f32::NAN, |bps| bps as f32);
        let held = Held { bps: bps as f32, v6_bps: one.v6_bps.unwrap_or(0.0) as f32, error_bps: error as f32, other_bps };
        track.push(scene.bin, held).then_some(way)
    }

    /// Loads that may only seem to be 0, as their exporter fell silent: they count where the port is down, or the
    /// other links rose by as much.
    fn hold_doubted(&mut self, scene: &Scene<'_>, doubted: &[&Observed]) -> Vec<Way> {
        let mut held = Vec::new();
        for direction in Direction::ALL {
            let of: Vec<&&Observed> = doubted.iter().filter(|one| one.direction == Some(direction)).collect();
            let missing: f64 = of.iter().filter_map(|one| self.usual(scene, (one.link, direction))).sum();
            let (rise, error) = self.rise(scene, direction);
            let has_moved = missing > 0.0 && rise > (missing / 2.0).max(scene.settings.standard_errors as f64 * error);
            for one in of {
                let is_down = self.ports.get(&one.link).is_some_and(PortWatch::is_down);
                let is_believed = is_down || has_moved || self.is_gone((one.link, direction));
                let bps = is_believed.then_some(0.0);
                let one = Observed { bps, v6_bps: bps, ..(*one).clone() };
                held.extend(self.hold(scene, &one));
            }
        }
        held
    }

    /// Whether a link's traffic is gone already: that its exporter has nothing to tell is no news.
    fn is_gone(&self, way: Way) -> bool {
        self.events.iter().any(|event| event.is_of(way) && event.is_down())
    }

    fn usual(&self, scene: &Scene<'_>, way: Way) -> Option<f64> {
        self.tracks.get(&way)?.before(Part::Whole, scene.bin, 0).map(|before| before.bps)
    }

    /// How much more the links of a direction that can be seen carry than before, and its standard error.
    fn rise(&self, scene: &Scene<'_>, direction: Direction) -> (f64, f64) {
        let (mut rise, mut variance) = (0.0, 0.0);
        for (_, track) in self.tracks.iter().filter(|(way, _)| way.1 == direction) {
            let now = track.mean(Part::Whole, scene.bin, scene.bin + 1, 1);
            let (Some(now), Some(before)) = (now, track.before(Part::Whole, scene.bin, 0)) else { continue };
            rise += now.bps - before.bps;
            variance += now.sampling + before.sampling + 2.0 * track.scatter[0][0].natural() * before.bps * before.bps;
        }
        (rise, variance.sqrt())
    }

    fn publication(&self, start: i64) -> Publication {
        let rows = self.events.iter().filter(|event| event.start == start && !event.is_withdrawn);
        let mut rows: Vec<_> = rows.flat_map(|event| event.rows.iter().cloned()).collect();
        rows.sort_by(|a, b| (&a.event_id, a.revision).cmp(&(&b.event_id, b.revision)));
        Publication { window_start_us: start * BIN_US, rows: model::Rows::Failovers(rows) }
    }
}
