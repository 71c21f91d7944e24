//! IPv4 lookup: 24 bits, then 8 where a prefix is longer.

use crate::flatten::Range;

/// Entries of a block.
const BLOCK: usize = 256;
/// Ranges of an entry that are listed; more of them make a block.
const LISTED: usize = 8;

/// Where a lookup goes on: a number and, in the two lowest bits, of what.
#[derive(Clone, Copy)]
struct Entry(u32);

impl Entry {
    const PLACE: u32 = 0;
    const LIST: u32 = 1;
    const BLOCK: u32 = 2;

    fn new(kind: u32, number: usize) -> Entry {
        Entry((number as u32) << 2 | kind)
    }
}

/// A few ranges within 256 addresses: a block of them would fill sixteen lines of the cache.
struct List {
    /// Where they begin, the first with 0; the last one is repeated.
    starts: [u8; LISTED],
    places: [u32; LISTED],
}

/// One read for nearly all addresses, so that no branch of a lookup is hard to foresee.
///
/// Of the 64 MiB of the first level only what prefixes cover becomes memory: the rest stays the kernel's
/// page of zeros. It holds each [`Entry`] as a number, of which 0 is the place of what no list has.
pub(crate) struct V4Table {
    root: Vec<u32>,
    lists: Vec<List>,
    blocks: Vec<u32>,
}

impl V4Table {
    /// Builds it from disjoint ranges in order (IPv4 in mapped form).
    pub(crate) fn build(ranges: &[Range]) -> V4Table {
        let mut table = V4Table { root: vec![0; 1 << 24], lists: Vec::new(), blocks: Vec::new() };
        let (mut rest, mut place) = (ranges, 0);
        while let [(first, _), ..] = rest {
            let entry = *first as u32 >> 8;
            let (within, behind) = rest.split_at(rest.partition_point(|(start, _)| *start as u32 >> 8 == entry));
            table.root[entry as usize] = table.entry(place, within).0;
            place = within.last().map_or(place, |(_, last)| *last);
            let next = behind.first().map_or(1 << 24, |(start, _)| *start as u32 >> 8);
            if place != 0 {
                table.root[entry as usize + 1..next as usize].fill(Entry::new(Entry::PLACE, place as usize).0);
            }
            rest = behind;
        }
        table
    }

    /// The place of an address.
    #[inline]
    pub(crate) fn place(&self, address: u32) -> u32 {
        let entry = self.root[(address >> 8) as usize];
        let (number, low) = ((entry >> 2) as usize, address as u8);
        match entry & 3 {
            Entry::PLACE => number as u32,
            Entry::LIST => {
                let list = &self.lists[number];
                list.places[(list.starts.iter().filter(|start| **start <= low).count() - 1) % LISTED]
            }
            _ => self.blocks[number * BLOCK + usize::from(low)],
        }
    }

    /// The entry of 256 addresses in which the ranges `within` begin, the first of them in the place `before`.
    fn entry(&mut self, before: u32, within: &[Range]) -> Entry {
        let first = (0, before);
        let begins = within.first().is_some_and(|(start, _)| *start as u8 == 0);
        let within = within.iter().map(|(start, place)| (*start as u8, *place));
        let ranges: Vec<(u8, u32)> = (!begins).then_some(first).into_iter().chain(within).collect();
        if let [(_, place)] = ranges[..] {
            return Entry::new(Entry::PLACE, place as usize);
        }
        if ranges.len() <= LISTED {
            let at = |place: usize| ranges[place.min(ranges.len() - 1)];
            self.lists.push(List {
                starts: std::array::from_fn(|place| at(place).0),
                places: std::array::from_fn(|place| at(place).1),
            });
            return Entry::new(Entry::LIST, self.lists.len() - 1);
        }
        let number = self.blocks.len() / BLOCK;
        self.blocks.resize(self.blocks.len() + BLOCK, 0);
        for (start, place) in ranges {
            self.blocks[number * BLOCK + usize::from(start)..][..BLOCK - usize::from(start)].fill(place);
        }
        Entry::new(Entry::BLOCK, number)
    }
}
