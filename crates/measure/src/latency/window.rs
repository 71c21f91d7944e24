//! Latency as the owner holds it: in the windows of 60 s.

use hashbrown::HashMap;
use model::latency::Method;
use model::time::WINDOW_US;
use serde::{Deserialize, Serialize};

use super::cells::{LatencyDelta, LatencyKey, Sight, Values};
use crate::owner::{Owner, Place};

/// Latency of 60 s.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LatencyWindow {
    pub(crate) values: HashMap<LatencyKey, Values>,
    pub(crate) sights: HashMap<(u32, Method), Sight>,
}

impl LatencyWindow {
    /// Room that it takes: its keys and their buckets.
    pub(crate) fn room(&self) -> usize {
        self.values.values().map(|values| 1 + values.histogram.len()).sum()
    }
}

impl Owner {
    /// Takes in what a worker measured; links have the owner's numbers already.
    pub(crate) fn take_latency(&mut self, delta: &LatencyDelta, now_us: i64) {
        self.state.losses.latency_refused = self.state.losses.latency_refused.saturating_add(delta.refused);
        for (window_us, key, values) in &delta.values {
            let Place::At(at_us) = self.place(*window_us, WINDOW_US, now_us) else {
                self.state.losses.latency_refused = self.state.losses.latency_refused.saturating_add(values.samples);
                continue;
            };
            let state = &mut self.state;
            let room = self.settings.latency_buckets_max.saturating_sub(state.latency_room);
            let window = state.windows.entry(model::time::slot_start_us(at_us, WINDOW_US)).or_default();
            let is_new = !window.latency.values.contains_key(key);
            if is_new && room == 0 {
                state.losses.latency_refused = state.losses.latency_refused.saturating_add(values.samples);
                continue;
            }
            let (opened, refused) = window.latency.values.entry(key.clone()).or_default().add(values, room);
            window.schedule.is_dirty = true;
            state.latency_room += opened + usize::from(is_new);
            state.losses.latency_refused = state.losses.latency_refused.saturating_add(refused);
        }
        for (window_us, link, method, sight) in &delta.sights {
            let Place::At(at_us) = self.place(*window_us, WINDOW_US, now_us) else { continue };
            let window = self.state.windows.entry(model::time::slot_start_us(at_us, WINDOW_US)).or_default();
            let seen = window.latency.sights.entry((*link, *method)).or_default();
            window.schedule.is_dirty |= *seen != seen.and(*sight);
            *seen = seen.and(*sight);
        }
    }
}
