//! IPv6 lookup: sorted range starts, found by the top bits and a binary search among the rest.

use crate::flatten::Range;

/// A bucket of the top 16 bits with more ranges than this gets an index of the next 16 bits:
/// nearly all of Microsoft's prefixes lie in 2603::/16.
const CROWDED: usize = 32;
const SLOTS: usize = 1 << 16;
const NO_INDEX: u32 = u32::MAX;

/// Sorted ranges to /128, with an index of one or two levels.
pub(crate) struct V6Table {
    starts: Vec<u128>,
    places: Vec<u32>,
    /// For each value of the top 16 bits, how many ranges start below it.
    below: Vec<u32>,
    /// For each value of the top 16 bits, the number of its second index.
    second: Vec<u32>,
    /// Second indexes, each of 65,537 counts like `below`.
    indexes: Vec<Vec<u32>>,
}

impl V6Table {
    /// Builds it from disjoint ranges in order.
    pub(crate) fn build(ranges: &[Range]) -> V6Table {
        let mut starts = vec![0];
        let mut places = vec![0];
        for (start, place) in ranges {
            if *start == 0 {
                places[0] = *place;
            } else {
                starts.push(*start);
                places.push(*place);
            }
        }
        let below = counts_below(&starts, 0, 112);
        let mut second = vec![NO_INDEX; SLOTS];
        let mut indexes = Vec::new();
        for slot in 0..SLOTS {
            if (below[slot + 1] - below[slot]) as usize > CROWDED {
                second[slot] = indexes.len() as u32;
                indexes.push(counts_below(&starts, (slot as u128) << 112, 96));
            }
        }
        V6Table { starts, places, below, second, indexes }
    }

    /// The place of an address.
    pub(crate) fn place(&self, address: u128) -> u32 {
        let slot = (address >> 112) as usize;
        let (low, high) = match self.second[slot] {
            NO_INDEX => (self.below[slot], self.below[slot + 1]),
            index => {
                let index = &self.indexes[index as usize];
                let slot = (address >> 96) as usize & (SLOTS - 1);
                (index[slot], index[slot + 1])
            }
        };
        // The range that holds the address is the last that starts at or before it: the one before
        // the first that starts after it. The first range starts at 0, so there always is one.
        let within = self.starts[low as usize..high as usize].partition_point(|start| *start <= address);
        self.places[(low as usize + within).saturating_sub(1)]
    }
}

/// For each slot of `2^shift` addresses from `base`, how many starts lie below its first address; one
/// more entry for the end of the last.
fn counts_below(starts: &[u128], base: u128, shift: u32) -> Vec<u32> {
    let mut position = 0;
    let mut counts = Vec::with_capacity(SLOTS + 1);
    for slot in 0..=SLOTS as u128 {
        let limit = slot.checked_mul(1 << shift).and_then(|offset| base.checked_add(offset));
        position = match limit {
            Some(limit) => position + starts[position..].partition_point(|start| *start < limit),
            None => starts.len(),
        };
        counts.push(position as u32);
    }
    counts
}
