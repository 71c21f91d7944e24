//! What the sequence numbers of datagrams and samples tell: losses, order, restarts, real rates.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::sample::{DataSource, FlowSample};
use crate::recent::Recent;

/// A step back of more than this is an agent that started over, not a late datagram.
const REORDER_MAX: u32 = 64;
/// A step ahead of more than this is an agent that chose another number, not a loss.
const GAP_MAX: u32 = 1 << 24;
/// Steps back without a restart after which the numbers are not believed: several senders use them.
const CONTRADICTIONS_MAX: u32 = 8;
/// The uptime of a late datagram is behind by less than this.
const LATE_MAX_MS: u32 = 60_000;
/// Samples before an effective rate is judged: its relative error is then 1/√400 = 5 %.
const JUDGED_SAMPLES: u64 = 400;
/// Samples after which older ones count half, so that a changed rate shows.
const REMEMBERED_SAMPLES: u64 = 4_096;

/// How a datagram stands to those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Datagrams lost between the last one and this; -1 where this one had been counted as lost.
    pub(crate) lost: i64,
    /// The numbers contradict themselves: nothing is known of losses.
    pub(crate) is_loss_unknown: bool,
    /// It came after a later one.
    pub(crate) is_late: bool,
    /// It came before.
    pub(crate) is_duplicate: bool,
    /// The agent started over.
    pub(crate) is_restart: bool,
}

/// Sequence numbers of one sub-agent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sequences {
    last: Option<Last>,
    recent: Recent,
    flows: HashMap<DataSource, FlowSource>,
    counters: HashMap<DataSource, u32>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Last {
    sequence: u32,
    uptime_ms: u32,
    /// Bit n: `sequence - n` came.
    seen: u64,
    /// Numbers since the first: one before it was never counted as lost.
    span: u32,
    /// Steps back that no restart explains, and numbers that came twice with other bytes.
    contradictions: u32,
}

/// What a flow sample tells beside its packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SampleNews {
    /// Samples lost before it.
    pub(crate) lost: i64,
    /// Samples that the agent dropped before it.
    pub(crate) agent_drops: u64,
    /// The source samples at a rate that differs from the stated one by more than a fifth.
    pub(crate) is_rate_off: bool,
}

/// The flow samples of one data source.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct FlowSource {
    /// The first number: those before it were never counted as lost.
    first: u32,
    sequence: u32,
    pool: u32,
    drops: u32,
    /// Packets and samples since the count began, older ones halved now and then.
    packets: u64,
    samples: u64,
    /// Something came of it since it was saved.
    is_changed: bool,
}

impl Sequences {
    /// The numbers of the datagrams, and of the sources that something came of since the last time.
    pub(crate) fn take_changes(&mut self) -> Sequences {
        let changed =
            |(key, source): (&DataSource, &mut FlowSource)| std::mem::take(&mut source.is_changed).then_some((*key, *source));
        let flows = self.flows.iter_mut().filter_map(changed).collect();
        Sequences { last: self.last, recent: self.recent.clone(), flows, counters: HashMap::new() }
    }

    /// Takes in what changed since.
    pub(crate) fn merge(&mut self, changes: Sequences) {
        (self.last, self.recent) = (changes.last, changes.recent);
        self.flows.extend(changes.flows);
        self.counters.extend(changes.counters);
    }

    /// Places a datagram among those before it.
    ///
    /// A number that came before with other bytes is no copy: several senders say that they are the same agent.
    pub(crate) fn datagram(&mut self, sequence: u32, uptime_ms: u32, mark: u64) -> Order {
        let is_duplicate = self.recent.is_copy(sequence, mark);
        self.recent.remember(sequence, mark);
        let Some(last) = &mut self.last else {
            self.last = Some(Last { sequence, uptime_ms, seen: 1, span: 0, contradictions: 0 });
            return Order::default();
        };
        let ahead = sequence.wrapping_sub(last.sequence);
        let behind = last.sequence.wrapping_sub(sequence);
        // The uptime wraps after 49.7 days, which is no step back.
        let uptime_back_ms = last.uptime_ms.wrapping_sub(uptime_ms);
        let is_clock_back = (LATE_MAX_MS..1 << 31).contains(&uptime_back_ms);
        let is_loss_unknown = last.contradictions > CONTRADICTIONS_MAX;
        if behind < REORDER_MAX && !is_clock_back {
            let bit = 1u64 << behind;
            let came_before = last.seen & bit != 0;
            last.seen |= bit;
            last.contradictions += u32::from(came_before && !is_duplicate);
            let lost = -i64::from(!came_before && behind <= last.span && !is_loss_unknown);
            return Order { lost, is_loss_unknown, is_late: true, is_duplicate, is_restart: false };
        }
        let is_anew = ahead > GAP_MAX || is_clock_back;
        if is_anew {
            let contradictions = last.contradictions + u32::from(!is_clock_back);
            *last = Last { sequence, uptime_ms, seen: 1, span: 0, contradictions };
            self.flows.clear();
        } else {
            last.seen = last.seen.checked_shl(ahead).unwrap_or(0) | 1;
            last.span = last.span.saturating_add(ahead);
            (last.sequence, last.uptime_ms) = (sequence, uptime_ms);
        }
        let lost = if is_anew || is_loss_unknown { 0 } else { i64::from(ahead - 1) };
        Order { lost, is_loss_unknown, is_restart: is_anew && !is_loss_unknown, ..Order::default() }
    }

    /// Places a flow sample among those of its source; of at most `sources_max` sources.
    pub(crate) fn flow(&mut self, sample: &FlowSample, is_late: bool, sources_max: usize) -> SampleNews {
        let is_full = self.flows.len() >= sources_max;
        let Some(source) = self.flows.get_mut(&sample.source) else {
            if !is_full {
                self.flows.insert(sample.source, FlowSource::new(sample));
            }
            return SampleNews::default();
        };
        if is_late {
            // It had been counted as lost when a later sample came.
            let behind = source.sequence.wrapping_sub(sample.sequence);
            let was_counted = behind > 0 && behind < source.sequence.wrapping_sub(source.first);
            return SampleNews { lost: -i64::from(was_counted), ..SampleNews::default() };
        }
        source.news(sample)
    }

    /// Whether the counters of a source began anew: its sequence went back in a datagram that is
    /// not late.
    pub(crate) fn is_counter_reset(&mut self, source: DataSource, sequence: u32, sources_max: usize) -> bool {
        let is_full = self.counters.len() >= sources_max;
        match self.counters.get_mut(&source) {
            Some(last) => {
                let ahead = sequence.wrapping_sub(*last);
                *last = sequence;
                ahead > GAP_MAX
            }
            None => {
                if !is_full {
                    self.counters.insert(source, sequence);
                }
                false
            }
        }
    }
}

impl FlowSource {
    fn new(sample: &FlowSample) -> FlowSource {
        FlowSource {
            first: sample.sequence,
            sequence: sample.sequence,
            pool: sample.pool,
            drops: sample.drops,
            packets: 0,
            samples: 0,
            is_changed: true,
        }
    }

    fn news(&mut self, sample: &FlowSample) -> SampleNews {
        let ahead = sample.sequence.wrapping_sub(self.sequence);
        self.is_changed = true;
        let packets = sample.pool.wrapping_sub(self.pool);
        let drops = sample.drops.wrapping_sub(self.drops);
        if ahead == 0 {
            return SampleNews::default();
        }
        if ahead > GAP_MAX || packets > 1 << 31 {
            *self = FlowSource::new(sample);
            return SampleNews::default();
        }
        (self.sequence, self.pool, self.drops) = (sample.sequence, sample.pool, sample.drops);
        self.packets += u64::from(packets);
        self.samples += u64::from(ahead);
        let is_rate_off = self.is_rate_off(sample.rate);
        if self.samples > REMEMBERED_SAMPLES {
            self.packets /= 2;
            self.samples /= 2;
        }
        // A count of drops that went back began anew.
        let agent_drops = if drops < 1 << 31 { u64::from(drops) } else { 0 };
        SampleNews { lost: i64::from(ahead - 1), agent_drops, is_rate_off }
    }

    /// Packets over samples against the stated rate, a fifth apart or more.
    fn is_rate_off(&self, rate: u32) -> bool {
        let stated = u128::from(rate) * u128::from(self.samples);
        let apart = stated.abs_diff(u128::from(self.packets));
        // A source whose pool stands still does not count it.
        self.samples >= JUDGED_SAMPLES && rate > 0 && self.packets > 0 && apart * 5 > stated
    }
}
