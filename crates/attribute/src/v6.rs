//! IPv6 lookup: a tree of nodes of 256 entries that passes over the bits in which nothing differs.
//!
//! Microsoft's prefixes crowd in a few networks and reach from /40 to /128: by 8 bits at a time, only
//! where ranges begin, an address is found in some five reads, and no branch on the way is hard to foresee.

use crate::flatten::Range;

/// Ranges that begin in a slot are listed up to this many; more make a node.
const LISTED: usize = 4;
/// Bits that a node tells apart.
const NODE_BITS: u32 = 8;
/// Entries of a node by those bits, then those for addresses before and behind all that it tells apart.
const BEFORE: usize = 1 << NODE_BITS;
const BEHIND: usize = BEFORE + 1;
const ENTRIES: usize = BEHIND + 1;

/// Where a lookup goes on: a number and, in the two lowest bits, of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry(u32);

impl Entry {
    const PLACE: u32 = 0;
    const NODE: u32 = 1;
    const LIST: u32 = 2;

    fn new(kind: u32, number: usize) -> Entry {
        Entry((number as u32) << 2 | kind)
    }
}

/// Which bits of an address choose the entry.
#[derive(Clone, Copy)]
struct Node {
    /// The first address that it tells apart, in halves.
    base: [u64; 2],
    shift: u32,
    /// The bits lie in the lower half: the upper one must be the base's.
    is_low: bool,
}

/// A slot in which a few ranges begin.
struct List {
    /// Where they begin; the last one is repeated.
    starts: [u128; LISTED],
    /// The place before the first of them, and of each.
    places: [u32; LISTED + 1],
}

/// The tree.
pub(crate) struct V6Table {
    root: Entry,
    nodes: Vec<Node>,
    /// Of each node [`ENTRIES`].
    entries: Vec<Entry>,
    lists: Vec<List>,
}

impl V6Table {
    /// Builds it from disjoint ranges in order.
    pub(crate) fn build(ranges: &[Range]) -> V6Table {
        let mut table = V6Table { root: Entry::new(Entry::PLACE, 0), nodes: Vec::new(), entries: Vec::new(), lists: Vec::new() };
        let (first, within) = match ranges {
            [(0, place), within @ ..] => (*place, within),
            within => (0, within),
        };
        table.root = table.entry(first, within);
        table
    }

    /// The place of an address.
    #[inline]
    pub(crate) fn place(&self, address: u128) -> u32 {
        let mut entry = self.root;
        loop {
            let number = (entry.0 >> 2) as usize;
            match entry.0 & 3 {
                Entry::PLACE => return number as u32,
                Entry::NODE => entry = self.entries[number * ENTRIES + self.nodes[number].choose(address)],
                _ => {
                    let list = &self.lists[number];
                    return list.places[list.starts.iter().filter(|start| **start <= address).count()];
                }
            }
        }
    }

    /// The entry of a slot that begins in the place `before`, and in which the ranges `within` begin.
    fn entry(&mut self, before: u32, within: &[Range]) -> Entry {
        let ([first, ..], [.., last]) = (within, within) else { return Entry::new(Entry::PLACE, before as usize) };
        if within.len() <= LISTED {
            let at = |place: usize| within[place.min(within.len() - 1)];
            self.lists.push(List {
                starts: [0, 1, 2, 3].map(|place| at(place).0),
                places: [before, at(0).1, at(1).1, at(2).1, at(3).1],
            });
            return Entry::new(Entry::LIST, self.lists.len() - 1);
        }
        let node = Node::of(first.0, last.0);
        let number = self.nodes.len();
        self.nodes.push(node);
        self.entries.resize(self.entries.len() + ENTRIES, Entry::new(Entry::PLACE, before as usize));
        let (mut rest, mut place) = (within, before);
        for slot in 0..BEFORE {
            let start = node.start(slot);
            // A range that begins with the slot is where the slot begins.
            if let [(at, range), behind @ ..] = rest
                && *at == start
            {
                (place, rest) = (*range, behind);
            }
            let count = rest.partition_point(|(at, _)| *at > start && node.choose(*at) == slot);
            let (inside, behind) = rest.split_at(count);
            self.entries[number * ENTRIES + slot] = self.entry(place, inside);
            place = inside.last().map_or(place, |(_, range)| *range);
            rest = behind;
        }
        self.entries[number * ENTRIES + BEHIND] = Entry::new(Entry::PLACE, last.1 as usize);
        Entry::new(Entry::NODE, number)
    }
}

impl Node {
    /// The node that tells apart what begins from `first` to `last`: by the highest bits in which they differ.
    fn of(first: u128, last: u128) -> Node {
        let differing = u128::BITS - (first ^ last).leading_zeros();
        let is_low = differing <= u64::BITS;
        let lowest = differing.saturating_sub(NODE_BITS);
        // Bits of one half only.
        let lowest = if is_low { lowest } else { lowest.max(u64::BITS) };
        let base = first >> lowest >> NODE_BITS << NODE_BITS << lowest;
        Node { base: halves(base), shift: lowest % u64::BITS, is_low }
    }

    /// Which of a node's entries is an address's.
    #[inline]
    fn choose(&self, address: u128) -> usize {
        let [high, low] = halves(address);
        let is_beside = self.is_low && high != self.base[0];
        let offset = if self.is_low { low.wrapping_sub(self.base[1]) } else { high.wrapping_sub(self.base[0]) } >> self.shift;
        if offset < BEFORE as u64 && !is_beside {
            return offset as usize;
        }
        if halves(address) < self.base { BEFORE } else { BEHIND }
    }

    /// The first address of a slot.
    fn start(&self, slot: usize) -> u128 {
        let base = u128::from(self.base[0]) << 64 | u128::from(self.base[1]);
        base + ((slot as u128) << self.shift << if self.is_low { 0 } else { 64 })
    }
}

fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}
