//! IPv4 lookup: 24 bits, then 8 where a prefix is longer.

use crate::flatten::Range;

/// Marks an entry that leads to a block.
const DEEPER: u32 = 1 << 31;
const BLOCK: usize = 256;

/// One read for nearly all addresses, so that no branch of a lookup is hard to foresee.
///
/// Entries are places, or numbers of blocks of 256 further entries. Of the 64 MiB of the first level only
/// what prefixes cover becomes memory: the rest stays the kernel's page of zeros.
pub(crate) struct V4Table {
    root: Vec<u32>,
    blocks: Vec<u32>,
}

impl V4Table {
    /// Builds it from disjoint ranges in order (IPv4 in mapped form).
    pub(crate) fn build(ranges: &[Range]) -> V4Table {
        let mut table = V4Table { root: vec![0; 1 << 24], blocks: Vec::new() };
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
    #[inline]
    pub(crate) fn place(&self, address: u32) -> u32 {
        let entry = self.root[(address >> 8) as usize];
        if entry & DEEPER == 0 {
            return entry;
        }
        self.blocks[((entry & !DEEPER) as usize) * BLOCK + (address & 0xff) as usize]
    }

    fn fill(&mut self, first: u32, last: u32, place: u32) {
        let (mut from, mut to) = (first >> 8, last >> 8);
        if first & 0xff != 0 || from == to && last & 0xff != 0xff {
            self.fill_block(from, first & 0xff, if from == to { last & 0xff } else { 0xff }, place);
            from += 1;
        }
        if from <= to && last & 0xff != 0xff {
            self.fill_block(to, 0, last & 0xff, place);
            to -= 1;
        }
        if from <= to {
            self.root[from as usize..=to as usize].fill(place);
        }
    }

    /// Fills a part of the 256 addresses of an entry; the block is made if there is none yet.
    fn fill_block(&mut self, entry: u32, low: u32, up: u32, place: u32) {
        let next = self.blocks.len() / BLOCK;
        let entry = &mut self.root[entry as usize];
        if *entry & DEEPER == 0 {
            let before = std::mem::replace(entry, DEEPER | next as u32);
            self.blocks.resize(self.blocks.len() + BLOCK, before);
        }
        let block = (*entry & !DEEPER) as usize * BLOCK;
        self.blocks[block + low as usize..=block + up as usize].fill(place);
    }
}
