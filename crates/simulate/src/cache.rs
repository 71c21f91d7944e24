//! The flow cache of a router: entries grow by packets and leave by timeouts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::record::FlowRecord;

/// An entry leaves before its bytes pass what 32 bits of v5 and v9 hold.
const BYTES_MAX: u64 = u32::MAX as u64 - 1_000_000;

/// Names an entry; outlives it without harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Handle {
    place: u32,
    generation: u32,
}

struct Entry {
    generation: u32,
    record: Option<FlowRecord>,
}

/// Bounded: when it is full, the entry that is next to expire leaves early.
pub(crate) struct Cache {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// When to look at an entry again; never later than it expires.
    expiry: BinaryHeap<Reverse<(i64, Handle)>>,
    active_us: i64,
    inactive_us: i64,
    entries_max: usize,
}

impl Cache {
    pub(crate) fn new(active_seconds: u32, inactive_seconds: u32, entries_max: u32) -> Cache {
        Cache {
            entries: Vec::new(),
            free: Vec::new(),
            expiry: BinaryHeap::new(),
            active_us: i64::from(active_seconds) * 1_000_000,
            inactive_us: i64::from(inactive_seconds) * 1_000_000,
            entries_max: entries_max as usize,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == self.free.len()
    }

    /// One metered packet of the flow that `keys` describes; what leaves the cache for it goes to `out`.
    pub(crate) fn add(
        &mut self,
        handle: &mut Option<Handle>,
        keys: &FlowRecord,
        at_us: i64,
        bytes: u64,
        out: &mut Vec<FlowRecord>,
    ) {
        let known = handle.filter(|known| self.entries[known.place as usize].generation == known.generation);
        if let Some(known) = known
            && let Some(record) = &mut self.entries[known.place as usize].record
        {
            record.bytes += bytes;
            record.packets += 1;
            record.end_us = at_us;
            record.tcp_flags |= keys.tcp_flags;
            if record.bytes > BYTES_MAX {
                out.extend(self.take(known));
            }
            return;
        }
        if self.entries.len() - self.free.len() >= self.entries_max {
            self.evict(out);
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { generation: 0, record: None });
            self.entries.len() as u32 - 1
        });
        let entry = &mut self.entries[place as usize];
        entry.record = Some(FlowRecord { bytes, packets: 1, start_us: at_us, end_us: at_us, ..keys.clone() });
        let new = Handle { place, generation: entry.generation };
        self.expiry.push(Reverse((at_us + self.inactive_us.min(self.active_us), new)));
        *handle = Some(new);
    }

    /// Everything whose time has come.
    pub(crate) fn expire(&mut self, now_us: i64, out: &mut Vec<FlowRecord>) {
        while let Some(&Reverse((at_us, handle))) = self.expiry.peek() {
            if at_us > now_us {
                return;
            }
            self.expiry.pop();
            match self.deadline_us(handle) {
                Some(deadline_us) if deadline_us > now_us => self.expiry.push(Reverse((deadline_us, handle))),
                Some(_) => out.extend(self.take(handle)),
                None => {}
            }
        }
    }

    fn deadline_us(&self, handle: Handle) -> Option<i64> {
        let entry = self.entries.get(handle.place as usize).filter(|entry| entry.generation == handle.generation)?;
        let record = entry.record.as_ref()?;
        Some((record.end_us + self.inactive_us).min(record.start_us + self.active_us))
    }

    fn evict(&mut self, out: &mut Vec<FlowRecord>) {
        while let Some(Reverse((_, handle))) = self.expiry.pop() {
            if let Some(record) = self.take(handle) {
                out.push(record);
                return;
            }
        }
    }

    fn take(&mut self, handle: Handle) -> Option<FlowRecord> {
        let entry = &mut self.entries[handle.place as usize];
        if entry.generation != handle.generation {
            return None;
        }
        let record = entry.record.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(handle.place);
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::sflow::tests::packet;

    const SECOND_US: i64 = 1_000_000;

    #[test]
    fn an_entry_leaves_by_the_inactive_or_the_active_timeout() {
        // (times of packets in seconds, time of looking, packets of the records that left)
        let check = |packets: &[i64], now: i64, expected: &[u64]| {
            let mut cache = Cache::new(60, 15, 10);
            let (mut handle, mut out) = (None, Vec::new());
            for at in packets {
                cache.expire(at * SECOND_US, &mut out);
                cache.add(&mut handle, &packet(false, 6, 0), at * SECOND_US, 100, &mut out);
            }
            cache.expire(now * SECOND_US, &mut out);
            assert_eq!(out.iter().map(|record| record.packets).collect::<Vec<_>>(), expected, "{packets:?} at {now}");
        };
        check(&[0, 5], 19, &[]);
        check(&[0, 5], 20, &[2]);
        check(&[0, 20], 21, &[1]);
        check(&[0, 10, 20, 30, 40, 50, 59], 60, &[7]);
        check(&[0, 10, 20, 30, 40, 50, 61], 62, &[6]);
    }

    #[test]
    fn a_full_cache_lets_the_oldest_go() {
        let mut cache = Cache::new(60, 15, 2);
        let mut out = Vec::new();
        for at_us in 0..5 {
            cache.add(&mut None, &packet(false, 6, 0), at_us, 100, &mut out);
        }
        assert_eq!(out.iter().map(|record| record.start_us).collect::<Vec<_>>(), [0, 1, 2]);
        cache.expire(60 * SECOND_US, &mut out);
        assert!(cache.is_empty() && out.len() == 5);
    }

    proptest::proptest! {
        #[test]
        fn no_packet_is_lost_or_counted_twice(
            packets in proptest::collection::vec((0_usize..6, 0_i64..40_000_000, 60_u64..1_500), 0..200),
            entries_max in 1_u32..8,
        ) {
            let mut cache = Cache::new(30, 10, entries_max);
            let (mut handles, mut out, mut now_us) = (vec![None; 6], Vec::new(), 0);
            for (flow, wait_us, bytes) in &packets {
                now_us += wait_us;
                cache.expire(now_us, &mut out);
                cache.add(&mut handles[*flow], &packet(false, 6, 0), now_us, *bytes, &mut out);
            }
            cache.expire(now_us + 60 * SECOND_US, &mut out);
            assert!(cache.is_empty());
            assert_eq!(out.iter().map(|record| record.packets).sum::<u64>(), packets.len() as u64);
            assert_eq!(out.iter().map(|record| record.bytes).sum::<u64>(), packets.iter().map(|packet| packet.2).sum::<u64>());
        }
    }
}
