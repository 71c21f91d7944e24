//! The ports of links, as their counters tell: down, and members of bundles.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::kinds::Kind;
use super::{Failovers, PortSeen, Scene, is_judged};

/// Bins within which the fall of the traffic and that of the port are one event.
const TOGETHER_BINS: i64 = 12;

/// A port as it was seen last.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PortWatch {
    is_up: Option<bool>,
    members_up: Option<i64>,
    capacity_bps: Option<u64>,
    /// Errors a bin, of late.
    errors: f64,
    /// Since which bin it is down.
    down_since: Option<i64>,
}

impl PortWatch {
    pub(crate) fn is_down(&self) -> bool {
        self.is_up == Some(false)
    }

    pub(crate) fn errors(&self) -> i64 {
        self.errors as i64
    }
}

/// A change of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PortChange {
    pub(crate) members_before: Option<i64>,
    pub(crate) members_after: Option<i64>,
    pub(crate) capacity_before_bps: Option<u64>,
    pub(crate) capacity_after_bps: Option<u64>,
}

impl Failovers {
    /// Takes in how the port of a link stands.
    pub(crate) fn watch_port(&mut self, scene: &Scene<'_>, seen: &PortSeen) {
        if scene.link(seen.link).is_none_or(|link| !is_judged(link)) {
            return;
        }
        let before = self.ports.get(&seen.link).copied().unwrap_or_default();
        let mut watch = PortWatch {
            is_up: seen.is_up.or(before.is_up),
            members_up: seen.members_up.or(before.members_up),
            capacity_bps: seen.capacity_bps.or(before.capacity_bps),
            errors: before.errors + (seen.errors.map_or(before.errors, |errors| errors as f64) - before.errors) / 6.0,
            down_since: before.down_since,
        };
        match (before.is_down(), watch.is_down()) {
            (false, true) => {
                watch.down_since = Some(scene.bin);
                self.note_down(scene, seen.link);
            }
            (true, false) => {
                watch.down_since = None;
                self.end_of_port(scene, seen.link, Kind::Failed);
            }
            _ => {}
        }
        self.ports.insert(seen.link, watch);
        if let Some((was, is)) = before.members_up.zip(watch.members_up).filter(|(was, is)| was != is) {
            self.members_changed(scene, seen.link, (was, is), (before.capacity_bps, watch.capacity_bps));
        }
        self.fail_without_traffic(scene, seen.link);
    }

    /// Events of a link that goes down are failures.
    fn note_down(&mut self, scene: &Scene<'_>, link: u32) {
        let oldest = scene.bin - TOGETHER_BINS;
        let mut events = std::mem::take(&mut self.events);
        for event in
            events.iter_mut().filter(|event| event.fallen.contains_key(&link) && !event.has_ended() && event.start >= oldest)
        {
            event.was_port_down = true;
            event.is_dirty = true;
            self.classify(scene, event);
        }
        self.events = events;
    }

    /// A port that went down a while ago without traffic that could tell is an event, too.
    fn fail_without_traffic(&mut self, scene: &Scene<'_>, link: u32) {
        let Some(watch) = self.ports.get(&link).copied() else { return };
        let Some(since) = watch.down_since.filter(|since| scene.bin - since >= TOGETHER_BINS) else { return };
        let is_told = |event: &Event| {
            !event.is_withdrawn
                && event.fallen.contains_key(&link)
                && (event.kind == Kind::Failed || event.start >= since - TOGETHER_BINS)
                && !event.has_ended()
        };
        let is_told = self.events.iter().any(is_told);
        // Once it is told it is told for good, however long the port stays down.
        let forget = |failovers: &mut Failovers| {
            if let Some(watch) = failovers.ports.get_mut(&link) {
                watch.down_since = None;
            }
        };
        let has_carried = self.tracks.iter().any(|(way, track)| way.0 == link && track.end() > since - TOGETHER_BINS);
        if is_told {
            return forget(self);
        }
        if !has_carried {
            return;
        }
        if self.events.len() >= scene.settings.events_max {
            self.refused += 1;
            return forget(self);
        }
        forget(self);
        let change = PortChange { capacity_before_bps: watch.capacity_bps, ..PortChange::default() };
        let mut event = Event::of_port(since, scene.now_us, link, Kind::Failed, change);
        event.was_port_down = true;
        self.events.push(event);
    }

    fn members_changed(&mut self, scene: &Scene<'_>, link: u32, (was, is): (i64, i64), capacity: (Option<u64>, Option<u64>)) {
        let open = |event: &&mut Event| event.kind == Kind::MemberLost && event.fallen.contains_key(&link) && !event.has_ended();
        if let Some(event) = self.events.iter_mut().find(open) {
            let port = event.port.get_or_insert_default();
            if port.members_before.is_some_and(|before| is >= before) {
                event.ended = Some(scene.bin);
                event.returned_share = Some(1.0);
            } else {
                (port.members_after, port.capacity_after_bps) = (Some(is), capacity.1);
            }
            event.is_dirty = true;
            return;
        }
        let flap_bins = scene.settings.flap_seconds / 10;
        let back = |event: &&mut Event| {
            let is_recent = event.ended.is_some_and(|ended| scene.bin - ended < flap_bins);
            event.kind == Kind::MemberLost && event.fallen.contains_key(&link) && !event.is_closed && is_recent
        };
        if is < was {
            if let Some(event) = self.events.iter_mut().find(back) {
                (event.ended, event.returned_share) = (None, None);
                event.flaps += 1;
                event.is_dirty = true;
            } else if is > 0 && self.events.len() < scene.settings.events_max {
                let change = PortChange {
                    members_before: Some(was),
                    members_after: Some(is),
                    capacity_before_bps: capacity.0,
                    capacity_after_bps: capacity.1,
                };
                self.events.push(Event::of_port(scene.bin, scene.now_us, link, Kind::MemberLost, change));
            }
        }
    }

    /// Ends the events that are of the port alone.
    fn end_of_port(&mut self, scene: &Scene<'_>, link: u32, kind: Kind) {
        let of = |event: &&mut Event| event.direction.is_none() && event.kind == kind && event.fallen.contains_key(&link);
        for event in self.events.iter_mut().filter(of).filter(|event| !event.has_ended()) {
            event.ended = Some(scene.bin);
            event.is_dirty = true;
        }
    }

    /// Closes events of ports that ended long enough ago, and all that last too long.
    pub(crate) fn close_ports(&mut self, scene: &Scene<'_>) {
        let (flap_bins, open_bins) = (scene.settings.flap_seconds / 10, scene.settings.open_hours * 360);
        for event in self.events.iter_mut().filter(|event| !event.is_closed) {
            let is_of_port = event.direction.is_none();
            let is_over = is_of_port && event.ended.is_some_and(|ended| scene.bin - ended >= flap_bins);
            if is_over || scene.bin - event.start >= open_bins {
                (event.is_closed, event.is_dirty) = (true, true);
            }
        }
    }
}
