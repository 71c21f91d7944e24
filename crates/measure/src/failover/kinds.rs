//! What an event is, and when links of one exchange are one event.

use model::{Name, Role};
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::{Failovers, Links, Scene};
use crate::window::Way;

/// A link that still carries this share of what is expected has not lost all of it.
const RESIDUE_LEAST: f64 = 0.03;
/// A link that still carries this share was not taken down.
const SHIFTED_LEAST: f64 = 0.25;
/// What falls within so many bins was cut.
const CUT_BINS: i64 = 3;
/// Sessions of an exchange that fall within so many bins fall together.
const TOGETHER_BINS: u64 = 3;
/// Bins after a return in which others still give back what they took.
const RETURN_BINS: i64 = 18;
/// Bins after a further fall in which a link is in the same event.
const FELL_AGAIN_BINS: i64 = 36;
/// A link that carries this share of what it did before another's event only gave back.
const BACK_SHARE: f64 = 0.7;
/// A return is under way when this share of the fall came back in five minutes.
const RISE_SHARE: f64 = 0.15;
/// Other networks' traffic that fell by this part of what Microsoft's did says that it is our side.
const OWN_SHARE: f64 = 0.5;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Failed,
    Drained,
    Shifted,
    MemberLost,
    ExchangeLost,
    MicrosoftWide,
    OwnDemand,
}

impl Kind {
    /// The name in tables and on the screen.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::Drained => "drained",
            Kind::Shifted => "shifted",
            Kind::MemberLost => "member_lost",
            Kind::ExchangeLost => "exchange_lost",
            Kind::MicrosoftWide => "microsoft_wide",
            Kind::OwnDemand => "own_demand",
        }
    }
}

/// The exchange of a link: by name, else what rides one peering or one port.
pub(crate) fn exchange_of(links: Links<'_>, link: u32) -> Option<Name> {
    let link = links.get(link as usize).filter(|link| link.role == Role::Exchange)?;
    link.exchange.clone().or_else(|| link.peering.clone()).or_else(|| link.port.clone())
}

impl Failovers {
    /// Says what an event is by what is known so far.
    pub(crate) fn classify(&self, scene: &Scene<'_>, event: &mut Event) {
        match event.kind {
            Kind::MemberLost | Kind::ExchangeLost => return,
            Kind::MicrosoftWide | Kind::OwnDemand => {
                let others = event.account.as_ref().and_then(|account| account.others_ratio);
                let is_ours = others.is_some_and(|ratio| 1.0 - ratio >= OWN_SHARE * -event.change);
                event.kind = if is_ours { Kind::OwnDemand } else { Kind::MicrosoftWide };
                return;
            }
            Kind::Failed | Kind::Drained | Kind::Shifted => {}
        }
        let residue = event.account.as_ref().map_or(event.residue, |account| 1.0 - account.fallen_share);
        let until = event.settled.unwrap_or(scene.bin);
        event.kind = if event.was_port_down {
            Kind::Failed
        } else if residue > SHIFTED_LEAST {
            Kind::Shifted
        } else if residue <= RESIDUE_LEAST && until - event.start <= CUT_BINS {
            Kind::Failed
        } else {
            Kind::Drained
        };
    }

    /// Makes one event of those of an exchange, when at least half of its sessions fell together.
    pub(crate) fn join_exchange(&mut self, scene: &Scene<'_>) {
        let Some(last) = self.events.last() else { return };
        let (start, Some(direction)) = (last.start, last.direction) else { return };
        let Some(exchange) = last.fallen.keys().next().and_then(|link| exchange_of(scene.links, *link)) else { return };
        if last.is_wide() {
            return;
        }
        let is_near = |event: &Event| event.is_in(direction) && !event.is_closed && event.start.abs_diff(start) <= TOGETHER_BINS;
        let is_session = |link: &u32| exchange_of(scene.links, *link).as_ref() == Some(&exchange);
        let is_part = |event: &Event| is_near(event) && !event.is_wide() && event.fallen.keys().all(is_session);
        let parts: Vec<usize> = (0..self.events.len()).filter(|index| is_part(&self.events[*index])).collect();
        let fallen: usize = parts.iter().map(|index| self.events[*index].fallen.len()).sum();
        let carries = |way: &Way| way.1 == direction && is_session(&way.0) && self.carried(scene, *way, start);
        let sessions = self.tracks.keys().filter(|way| carries(way)).count();
        if parts.len() < 2 || fallen < 2 || fallen * 2 < sessions {
            return;
        }
        let first = parts.iter().copied().find(|index| self.events[*index].kind == Kind::ExchangeLost).unwrap_or(parts[0]);
        let of_one = self.events[first].fallen.len();
        for index in parts.into_iter().filter(|index| *index != first) {
            let links = self.events[index].fallen.clone();
            self.events[index].withdraw();
            self.events[first].fallen.extend(links);
        }
        let event = &mut self.events[first];
        // What was said of it as a single session's stands no more.
        if event.kind != Kind::ExchangeLost {
            event.rows.clear();
            event.revision = 0;
        }
        if event.fallen.len() > of_one {
            (event.earlier, event.grouped) = (None, None);
        }
        event.kind = Kind::ExchangeLost;
        event.exchange = Some(exchange);
        event.is_dirty = true;
    }

    /// Whether a session carried enough before to be judged.
    fn carried(&self, scene: &Scene<'_>, way: Way, start: i64) -> bool {
        let before = self.tracks.get(&way).and_then(|track| track.mean(super::Part::Whole, start - 30, start - 1, 1));
        before.is_some_and(|before| before.bps >= scene.settings.least_kbps as f64 * 1e3)
    }

    /// Whether a link can fall: not while its last fall goes on, nor when nothing is left.
    pub(crate) fn may_fall(&self, scene: &Scene<'_>, way: Way) -> bool {
        let is_in_the_way = |event: &Event| {
            let is_known = event.is_of(way) && !event.has_ended() && !event.is_wide();
            let fell_again = event.flaps > 0 && scene.bin - event.fell_again < FELL_AGAIN_BINS;
            is_known && (event.is_moving() || fell_again || event.part == super::Part::Whole && event.is_down())
        };
        let flaps = |event: &Event| {
            let flap_bins = scene.settings.flap_seconds / 10;
            event.is_of(way) && !event.is_closed && event.ended.is_some_and(|ended| scene.bin - ended < flap_bins)
        };
        !self.events.iter().any(|event| is_in_the_way(event) || flaps(event))
    }

    /// Whether a link's fall is the return of what it took from others.
    pub(crate) fn is_return(&self, scene: &Scene<'_>, way: Way) -> bool {
        self.events.iter().any(|event| {
            let is_other = event.is_in(way.1) && !event.fallen.contains_key(&way.0) && !event.is_wide();
            is_other && event.start < scene.bin - 3 && self.gives_back(scene, way, event) && self.is_still_much(scene, way, event)
        })
    }

    fn gives_back(&self, scene: &Scene<'_>, way: Way, event: &Event) -> bool {
        if let Some(ended) = event.ended {
            return scene.bin - ended <= RETURN_BINS;
        }
        if event.is_closed {
            return false;
        }
        let (mut rise, mut before) = (0.0, 0.0);
        for (link, bps) in &event.fallen {
            let Some(track) = self.tracks.get(&(*link, way.1)) else { continue };
            // Its exporter tells later than this one.
            let Some(now) = track.mean(event.part, scene.bin, scene.bin + 1, 1) else { return true };
            let Some(then) = track.mean(event.part, scene.bin - 30, scene.bin - 5, 1) else { return true };
            let then = event
                .settled
                .and_then(|settled| track.mean(event.part, settled.max(scene.bin - 30), scene.bin - 2, 1))
                .unwrap_or(then);
            rise += now.bps - then.bps;
            before += bps;
        }
        let fallen_share = event.account.as_ref().map_or(-event.change, |account| account.fallen_share);
        rise >= RISE_SHARE * before * fallen_share.max(0.05)
    }

    /// Whether a link carries about what it did before an event.
    fn is_still_much(&self, scene: &Scene<'_>, way: Way, event: &Event) -> bool {
        let Some(track) = self.tracks.get(&way) else { return false };
        let (Some(now), Some(then)) = (track.now(super::Part::Whole, scene.bin), event.carried.get(&way.0)) else { return true };
        now.bps >= BACK_SHARE * then
    }
}
