//! IPv4 lookup: 16 bits, then 8, then 8.

use crate::flatten::Range;

/// Marks an entry that leads to the next level.
const DEEPER: u32 = 1 << 31;
const BLOCK: usize = 256;

/// A multibit trie of fixed strides; entries are places, or numbers of blocks of 256 further entries.
pub(crate) struct V4Table {
    root: Vec<u32>,
    blocks: Vec<u32>,
}

impl V4Table {
    /// Builds it from disjoint ranges in order (IPv4 in mapped form).
    pub(crate) fn build(ranges: &[Range]) -> V4Table {
        let mut table = V4Table { root: vec![0; 1 << 16], blocks: Vec::new() };
        for (index, (first, place)) in ranges.iter().enumerate() {
            let first = *first as u32;
            // The next range begins one after this one ends; the last one ends with the space.
            let last = match ranges.get(index + 1) {
                Some((next, _)) => (*next as u32).wrapping_sub(1),
                None => u32::MAX,
            };
            if *place != 0 {
                table.fill(first, last, *place);
            }
        }
        table
    }

    /// The place of an address.
    pub(crate) fn place(&self, address: u32) -> u32 {
        let mut entry = self.root[(address >> 16) as usize];
        if entry & DEEPER != 0 {
            entry = self.blocks[((entry & !DEEPER) as usize) * BLOCK + (address >> 8 & 0xff) as usize];
            if entry & DEEPER != 0 {
                entry = self.blocks[((entry & !DEEPER) as usize) * BLOCK + (address & 0xff) as usize];
            }
        }
        entry
    }

    fn fill(&mut self, first: u32, last: u32, place: u32) {
        for high in first >> 16..=last >> 16 {
            let (low, up) = clamp(first, last, high, 16);
            if (low, up) == (0, 0xffff) {
                self.root[high as usize] = place;
                continue;
            }
            let middle_block = self.block(None, high as usize);
            for middle in low >> 8..=up >> 8 {
                let (low, up) = clamp(low, up, middle, 8);
                let index = middle_block * BLOCK + middle as usize;
                if (low, up) == (0, 0xff) {
                    self.blocks[index] = place;
                    continue;
                }
                let block = self.block(Some(index), 0);
                self.blocks[block * BLOCK + low as usize..=block * BLOCK + up as usize].fill(place);
            }
        }
    }

    /// The block that an entry leads to; made, filled with the entry's place, if there is none yet.
    fn block(&mut self, index: Option<usize>, root_index: usize) -> usize {
        let next = self.blocks.len() / BLOCK;
        let entry = match index {
            Some(index) => &mut self.blocks[index],
            None => &mut self.root[root_index],
        };
        if *entry & DEEPER != 0 {
            return (*entry & !DEEPER) as usize;
        }
        let place = std::mem::replace(entry, DEEPER | next as u32);
        self.blocks.resize(self.blocks.len() + BLOCK, place);
        next
    }
}

/// The part of `first..=last` within the slot `slot` of `bits` bits, relative to the slot.
fn clamp(first: u32, last: u32, slot: u32, bits: u32) -> (u32, u32) {
    let mask = (1 << bits) - 1;
    (if first >> bits == slot { first & mask } else { 0 }, if last >> bits == slot { last & mask } else { mask })
}
