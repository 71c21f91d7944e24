//! Cells: what a worker counts of a lane in a detail window, by what is at either end.
//!
//! One cell of the Microsoft end serves two tables: its tag is a row of `traffic`, its place a row of
//! `prefixes`. Names come later, at the owner, and once: a cell has a number until the table is cleared.

use hashbrown::HashMap;
use model::tag::Side;
use model::{Address, Prefix};

use crate::cell_key::{CellKey, End, Seeds, window_number};
use crate::masked::MaskedPrefixes;
use crate::small::Small;
use crate::sums::Sums;

/// Slots of an empty table.
const SLOTS_LEAST: usize = 1_024;

/// A cell: as long as a line of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Cell {
    key: CellKey,
    records: u32,
    bytes: u64,
    packets: u64,
    squares: u64,
    spread_squares: u64,
}

impl Cell {
    fn new(key: CellKey) -> Cell {
        Cell { key, records: 0, bytes: 0, packets: 0, squares: 0, spread_squares: 0 }
    }

    #[inline]
    fn is_zero(&self) -> bool {
        u64::from(self.records) | self.bytes | self.packets == 0
    }

    /// Adds what fits; gives whether it did.
    #[inline]
    fn add(&mut self, part: &Small, records: u32) -> bool {
        let (bytes, is_over) = self.bytes.overflowing_add(part.bytes);
        let (packets, is_over_packets) = self.packets.overflowing_add(part.packets);
        let (records, is_over_records) = self.records.overflowing_add(records);
        let (squares, is_over_squares) = self.squares.overflowing_add(part.squares);
        let (spread_squares, is_over_spread) = self.spread_squares.overflowing_add(part.spread_squares);
        if is_over | is_over_packets | is_over_records | is_over_squares | is_over_spread {
            return false;
        }
        *self = Cell { key: self.key, records, bytes, packets, squares, spread_squares };
        true
    }

    /// What it counted; it is zero afterwards.
    fn take(&mut self) -> Sums {
        let sums = Sums {
            bytes: self.bytes,
            packets: self.packets,
            records: self.records.into(),
            squares: self.squares.into(),
            spread_squares: self.spread_squares.into(),
        };
        *self = Cell::new(self.key);
        sums
    }
}

/// The cells of a worker, bounded: close together by their numbers, a line of the cache each, and found by a
/// table of open addresses.
pub(crate) struct Cells {
    cells: Vec<Cell>,
    /// A power of two of them, half of them empty at least.
    slots: Vec<Slot>,
    /// Cells in which something was counted since the last report.
    touched: Vec<u32>,
    opened: Vec<OpenedCell>,
    /// What is too large for the numbers of a cell.
    large: HashMap<u32, Sums>,
    prefixes: MaskedPrefixes,
    seeds: Seeds,
    /// Additions that wait: done together, so that the processor overlaps their waits for memory.
    waiting: Vec<Waiting>,
    /// Start and number of the window of the last of them: nearly always that of the next.
    window: (i64, u32),
    /// A sum of no meaning: without it the reading ahead would be left out.
    read_ahead: u32,
    first_window_us: Option<i64>,
    last_window_us: i64,
    most: usize,
    /// Records that were folded into `other` for want of cells.
    pub(crate) folded: u64,
}

/// A number of a cell and 32 bits of the hash of its key, by which others are passed over without looking at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    number: u32,
    mark: u32,
}

impl Slot {
    const NONE: Slot = Slot { number: u32::MAX, mark: 0 };

    #[inline]
    fn is_none(self) -> bool {
        self.number == u32::MAX
    }
}

/// The bits of a hash that do not choose the slot.
#[inline]
fn mark(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// What is to be added to the cells of both ends.
struct Waiting {
    keys: [CellKey; 2],
    /// The hashes of the keys; once they are looked up, the numbers of what was found first.
    found: [u64; 2],
    part: Small,
    records: u32,
}

/// A cell that a report tells of for the first time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenedCell {
    pub(crate) key: CellKey,
    /// The prefix by the exporter's mask, where that is its place.
    pub(crate) prefix: Option<Prefix>,
}

/// What cells counted since the last report.
#[derive(Default)]
pub(crate) struct Counted {
    /// Cells that were opened since, in the order of their numbers.
    pub(crate) opened: Vec<OpenedCell>,
    /// Sums by the cell's number.
    pub(crate) sums: Vec<(u32, Sums)>,
}

impl Cells {
    pub(crate) fn new(most: usize) -> Cells {
        Cells {
            cells: Vec::new(),
            slots: vec![Slot::NONE; SLOTS_LEAST],
            touched: Vec::new(),
            opened: Vec::new(),
            large: HashMap::new(),
            prefixes: MaskedPrefixes::new(most),
            seeds: Seeds::new(),
            waiting: Vec::new(),
            window: (0, 0),
            read_ahead: 0,
            first_window_us: None,
            last_window_us: i64::MIN,
            most,
            folded: 0,
        }
    }

    /// The key of one end of a record on a lane.
    #[inline(always)]
    pub(crate) fn key(&mut self, lane: u32, end: End, side: &Side, address: Address, mask: u8) -> CellKey {
        let is_listed = side.place != 0 || mask == 0;
        let place = if is_listed { side.place } else { self.prefixes.place(&self.seeds, address, mask) };
        let tag = if end == End::Microsoft { side.tag.0 } else { 0 };
        CellKey::new(lane, place, tag, side.asn, end, address.ip_version())
    }

    /// Adds to the cells of both ends in the window; [`Cells::settle`] does it.
    #[inline]
    pub(crate) fn add(&mut self, ends: [CellKey; 2], window_us: i64, part: &Small, records: u32) {
        if window_us != self.window.0 {
            self.window = (window_us, window_number(window_us));
        }
        let keys = [ends[0].in_window(self.window.1), ends[1].in_window(self.window.1)];
        let found = [self.seeds.hash(&keys[0]), self.seeds.hash(&keys[1])];
        self.waiting.push(Waiting { keys, found, part: *part, records });
    }

    /// The same at once, of what may be too large for a cell.
    pub(crate) fn add_large(&mut self, ends: [CellKey; 2], window_us: i64, sums: &Sums) {
        for key in ends.map(|key| key.in_window(window_number(window_us))) {
            let number = self.number(self.seeds.hash(&key), &key);
            self.large.entry(number as u32).or_default().add(sums);
        }
    }

    /// Does the additions that wait.
    pub(crate) fn settle(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        // First where the cells are, then what they begin with: nothing hangs on what is read, so the processor
        // reads many of them at a time, and the last loop finds all in the cache.
        let mask = self.slots.len() - 1;
        let mut read_ahead = 0;
        for found in waiting.iter_mut().flat_map(|waiting| &mut waiting.found) {
            let number = self.slots[*found as usize & mask].number;
            read_ahead ^= self.cells.get(number as usize).map_or(0, |cell| cell.records);
            *found = number.into();
        }
        self.read_ahead = read_ahead;
        for Waiting { keys, found, part, records } in &waiting {
            for (key, found) in keys.iter().zip(found) {
                let number = match self.cells.get(*found as usize) {
                    Some(cell) if cell.key == *key => *found as usize,
                    _ => self.number(self.seeds.hash(key), key),
                };
                self.add_to(number, part, *records);
            }
        }
        waiting.clear();
        self.waiting = waiting;
    }

    /// The number of a cell, which is opened if need be.
    #[inline(never)]
    fn number(&mut self, hash: u64, key: &CellKey) -> usize {
        match self.find(hash, key) {
            Ok(number) => number,
            Err(slot) => self.open(slot, hash, *key),
        }
    }

    /// The number of a cell, or the empty slot where it would be.
    #[inline]
    fn find(&self, hash: u64, key: &CellKey) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        // Half of the slots are empty, so this ends.
        loop {
            let slot = self.slots[place];
            if slot.is_none() {
                return Err(place);
            }
            if slot.mark == mark(hash) && self.cells[slot.number as usize].key == *key {
                return Ok(slot.number as usize);
            }
            place = (place + 1) & mask;
        }
    }

    #[inline]
    fn add_to(&mut self, number: usize, part: &Small, records: u32) {
        let cell = &mut self.cells[number];
        if cell.is_zero() {
            self.touched.push(number as u32);
        }
        if !cell.add(part, records) {
            self.large.entry(number as u32).or_default().add_small(part, records.into());
        }
    }

    /// Opens a cell that is not there yet; gives the number of `other` when there are too many.
    #[cold]
    fn open(&mut self, mut slot: usize, mut hash: u64, mut key: CellKey) -> usize {
        if self.cells.len() >= self.most && !key.is_other() {
            self.folded += 1;
            key = key.other();
            // Windows, too, can be made up: past an eighth more, all goes to the first.
            hash = self.seeds.hash(&key);
            if self.cells.len() >= self.most + self.most / 8 && self.find(hash, &key).is_err() {
                key = key.in_window(window_number(*self.first_window_us.get_or_insert(key.window_us())));
                hash = self.seeds.hash(&key);
            }
            self.first_window_us.get_or_insert(key.window_us());
            slot = match self.find(hash, &key) {
                Ok(number) => return number,
                Err(slot) => slot,
            };
        }
        if (self.cells.len() + 1) * 2 > self.slots.len() {
            self.grow();
            slot = self.find(hash, &key).err().unwrap_or(slot);
        }
        let number = self.cells.len();
        self.slots[slot] = Slot { number: number as u32, mark: mark(hash) };
        self.cells.push(Cell::new(key));
        self.last_window_us = self.last_window_us.max(key.window_us());
        let prefix = key.masked().and_then(|number| self.prefixes.get(number));
        self.opened.push(OpenedCell { key, prefix });
        number
    }

    /// Doubles the slots.
    fn grow(&mut self) {
        self.slots = vec![Slot::NONE; self.slots.len() * 2];
        let mask = self.slots.len() - 1;
        for (number, cell) in self.cells.iter().enumerate() {
            let hash = self.seeds.hash(&cell.key);
            let mut place = hash as usize & mask;
            while !self.slots[place].is_none() {
                place = (place + 1) & mask;
            }
            self.slots[place] = Slot { number: number as u32, mark: mark(hash) };
        }
    }

    /// What was counted since the last time; cells keep their numbers.
    pub(crate) fn take(&mut self) -> Counted {
        self.settle();
        let mut sums = Vec::with_capacity(self.touched.len() + self.large.len());
        // In the order of their numbers: so they lie in memory, here and at the owner.
        self.touched.sort_unstable();
        for number in self.touched.drain(..) {
            let cell = &mut self.cells[number as usize];
            if !cell.is_zero() {
                sums.push((number, cell.take()));
            }
        }
        sums.extend(self.large.drain());
        Counted { opened: std::mem::take(&mut self.opened), sums }
    }

    /// Whether so many cells are known that those of windows gone by should be forgotten.
    pub(crate) fn is_crowded(&self) -> bool {
        self.cells.len() > self.most / 2
    }

    /// Start of the latest window in which something was counted since the table was cleared.
    pub(crate) fn last_window_us(&self) -> i64 {
        self.last_window_us
    }

    /// Forgets all cells; to be called after [`Cells::take`].
    pub(crate) fn clear(&mut self) {
        self.slots.fill(Slot::NONE);
        self.cells.clear();
        self.prefixes.clear();
        self.first_window_us = None;
        self.last_window_us = i64::MIN;
    }
}

#[cfg(test)]
mod tests {
    use model::time::DETAIL_WINDOW_US;

    use super::*;

    const PART: Small = Small { bytes: 1, packets: 1, squares: 1, spread_squares: 1 };

    fn key(cells: &mut Cells, place: u32, address: &str, mask: u8) -> CellKey {
        let side = Side { place, asn: 64_500, ..Side::default() };
        cells.key(1, End::Customer, &side, address.parse().unwrap(), mask)
    }

    #[test]
    fn the_mask_counts_where_no_list_has_the_address() {
        let check = |place: u32, address: &str, mask: u8, expected: Option<&str>| {
            let mut cells = Cells::new(16);
            let key = key(&mut cells, place, address, mask);
            cells.add([key; 2], 0, &PART, 1);
            let opened = cells.take().opened[0];
            assert_eq!(opened.prefix.map(|prefix| prefix.to_string()).as_deref(), expected);
            assert_eq!((opened.key.place(), opened.key.lane(), opened.key.asn()), (place, 1, 64_500));
        };
        check(0, "198.51.100.77", 24, Some("198.51.100.0/24"));
        check(0, "2001:db8:1:2::3", 48, Some("2001:db8:1::/48"));
        check(0, "198.51.100.77", 0, None);
        check(0, "198.51.100.77", 64, None);
        check(5, "198.51.100.77", 24, None);
    }

    #[test]
    fn a_cell_is_told_of_once_and_counts_anew_after_each_report() {
        let mut cells = Cells::new(1 << 20);
        for report in 0..3_u64 {
            for place in 1..3_000 {
                let key = key(&mut cells, place, "192.0.2.1", 0);
                (0..=report).for_each(|_| cells.add([key; 2], -DETAIL_WINDOW_US, &PART, 1));
            }
            let Counted { opened, sums } = cells.take();
            assert_eq!((opened.len(), sums.len()), (if report == 0 { 2_999 } else { 0 }, 2_999));
            assert!(sums.iter().all(|(number, sums)| *number < 2_999 && sums.bytes == 2 * (report + 1)));
        }
        assert!(cells.take().sums.is_empty());
        assert_eq!(cells.last_window_us(), -DETAIL_WINDOW_US);
    }

    #[test]
    fn a_full_table_folds_into_other_and_keeps_the_total() {
        let mut cells = Cells::new(16);
        for window in 0..8 {
            for place in 1..100 {
                let key = key(&mut cells, place, "192.0.2.1", 0);
                cells.add([key; 2], window * DETAIL_WINDOW_US, &PART, 1);
                cells.settle();
            }
        }
        assert!(cells.folded > 700);
        let Counted { opened, sums } = cells.take();
        assert!(opened.len() <= 19, "{}", opened.len());
        assert_eq!(sums.iter().map(|(_, sums)| sums.bytes).sum::<u64>(), 2 * 8 * 99);
        assert!(opened.iter().any(|opened| opened.key.is_other()));
    }

    #[test]
    fn what_is_too_large_for_a_cell_is_counted_all_the_same() {
        let mut cells = Cells::new(16);
        let first = key(&mut cells, 1, "192.0.2.1", 0);
        let second = key(&mut cells, 2, "192.0.2.1", 0);
        let large = Sums { bytes: u64::MAX - 3, squares: 1 << 80, ..Sums::default() };
        cells.add_large([first, second], -DETAIL_WINDOW_US, &large);
        for squares in [1, u64::MAX, 1] {
            cells.add([first, second], -DETAIL_WINDOW_US, &Small { squares, ..PART }, 1);
        }
        let mut total = Sums::default();
        for (number, sums) in cells.take().sums {
            if number == 0 {
                total.add(&sums);
            }
        }
        let squares = (1 << 80) + u128::from(u64::MAX) + 2;
        assert_eq!(total, Sums { bytes: u64::MAX, packets: 3, records: 3, squares, spread_squares: 3 });
    }
}
