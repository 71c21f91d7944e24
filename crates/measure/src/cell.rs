//! Cells: what a worker counts of a lane in a detail window, by what is at either end.
//!
//! One cell of the Microsoft end serves two tables: its tag is a row of `traffic`, its place a row of
//! `prefixes`. Names come later, at the owner.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use model::tag::Side;
use model::time::DETAIL_WINDOW_US;
use model::{Address, Prefix};

use crate::lane::OTHER;
use crate::sums::Sums;

/// Which end of a record a cell counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum End {
    /// Ours.
    Customer,
    /// Microsoft's.
    Microsoft,
}

impl End {
    /// The name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            End::Customer => "customer",
            End::Microsoft => "microsoft",
        }
    }
}

/// Marks a place that is the number of a prefix by the exporter's mask.
const BY_MASK: u32 = 1 << 31;

/// What a cell counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellKey {
    pub(crate) lane: u32,
    /// Place in the attribution tables, or with [`BY_MASK`] a prefix by the exporter's mask where no
    /// list has the address; [`OTHER`] for what found no room.
    place: u32,
    /// Of the Microsoft end; what only the exporter calls Microsoft's has a tag without a place.
    pub(crate) tag: u32,
    pub(crate) asn: u32,
    /// Number of the detail window since 1970.
    window: i32,
    pub(crate) end: End,
    /// 4 or 6.
    pub(crate) ip_version: u8,
}

impl CellKey {
    /// Start of the detail window.
    pub(crate) fn window_us(&self) -> i64 {
        i64::from(self.window) * DETAIL_WINDOW_US
    }

    /// Place in the attribution tables; 0 where no list has the address.
    pub(crate) fn place(&self) -> u32 {
        if self.place & BY_MASK == 0 { self.place } else { 0 }
    }

    /// Whether it stands for what found no room.
    pub(crate) fn is_other(&self) -> bool {
        self.place == OTHER
    }

    fn other(self) -> CellKey {
        CellKey { place: OTHER, tag: 0, asn: 0, ip_version: 0, ..self }
    }
}

impl Hash for CellKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.lane) << 32 | u64::from(self.place));
        state.write_u64(u64::from(self.asn) << 32 | u64::from(self.window as u32));
        // A place implies its tag, mostly.
        state.write_u8(self.end as u8 ^ self.ip_version);
    }
}

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
    /// Adds what fits; gives whether it did.
    #[inline]
    fn add(&mut self, sums: &Sums) -> bool {
        let (Ok(squares), Ok(spread_squares)) = (u64::try_from(sums.squares), u64::try_from(sums.spread_squares)) else {
            return false;
        };
        let added = (
            self.bytes.checked_add(sums.bytes),
            self.packets.checked_add(sums.packets),
            self.records.checked_add(sums.records as u32),
            self.squares.checked_add(squares),
            self.spread_squares.checked_add(spread_squares),
        );
        let (Some(bytes), Some(packets), Some(records), Some(squares), Some(spread_squares)) = added else { return false };
        (self.bytes, self.packets, self.records) = (bytes, packets, records);
        (self.squares, self.spread_squares) = (squares, spread_squares);
        true
    }

    fn sums(&self) -> Sums {
        Sums {
            bytes: self.bytes,
            packets: self.packets,
            records: self.records.into(),
            squares: self.squares.into(),
            spread_squares: self.spread_squares.into(),
        }
    }
}

/// The cells of a worker, bounded.
pub(crate) struct Cells {
    index: HashTable<u32>,
    cells: Vec<Cell>,
    /// What is too large for the numbers of a cell.
    large: HashMap<CellKey, Sums>,
    prefixes: HashMap<(Address, u8), u32>,
    prefixes_in_order: Vec<Prefix>,
    hashing: DefaultHashBuilder,
    /// Additions that wait: done together, so that the processor overlaps their waits for memory.
    waiting: Vec<(u64, CellKey, Sums)>,
    /// A sum of no meaning: without it the reading ahead would be left out.
    touched: u32,
    first_window: Option<i32>,
    most: usize,
    /// Records that were folded into `other` for want of cells.
    pub(crate) folded: u64,
}

/// What cells counted, and the prefixes that their keys name.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) cells: Vec<(CellKey, Sums)>,
    prefixes: Vec<Prefix>,
}

impl Counted {
    /// The prefix by the exporter's mask of a cell.
    pub(crate) fn prefix(&self, key: &CellKey) -> Option<Prefix> {
        if key.place & BY_MASK == 0 || key.is_other() {
            return None;
        }
        self.prefixes.get((key.place & !BY_MASK) as usize).copied()
    }
}

impl Cells {
    pub(crate) fn new(most: usize) -> Cells {
        Cells {
            index: HashTable::new(),
            cells: Vec::new(),
            large: HashMap::new(),
            prefixes: HashMap::new(),
            prefixes_in_order: Vec::new(),
            hashing: DefaultHashBuilder::default(),
            waiting: Vec::new(),
            touched: 0,
            first_window: None,
            most,
            folded: 0,
        }
    }

    /// The key of one end of a record on a lane.
    #[inline]
    pub(crate) fn key(&mut self, lane: u32, end: End, side: &Side, address: Address, mask: u8) -> CellKey {
        let place = if side.place == 0 && mask > 0 { self.place_by_mask(address, mask) } else { side.place };
        let tag = if end == End::Microsoft { side.tag.0 } else { 0 };
        CellKey { lane, place, tag, asn: side.asn, window: 0, end, ip_version: address.ip_version() }
    }

    fn place_by_mask(&mut self, address: Address, mask: u8) -> u32 {
        let Some(prefix) = Prefix::new(address, mask) else { return 0 };
        let number = self.prefixes_in_order.len();
        match self.prefixes.get(&(prefix.first(), mask)) {
            Some(number) => BY_MASK | *number,
            None if number >= self.most => 0,
            None => {
                self.prefixes.insert((prefix.first(), mask), number as u32);
                self.prefixes_in_order.push(prefix);
                BY_MASK | number as u32
            }
        }
    }

    /// Adds to the cell of `key` in the window; [`Cells::settle`] does it.
    #[inline]
    pub(crate) fn add(&mut self, key: CellKey, window_us: i64, sums: &Sums) {
        let window = window_us.div_euclid(DETAIL_WINDOW_US).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        let key = CellKey { window, ..key };
        self.waiting.push((self.hashing.hash_one(key), key, *sums));
    }

    /// Does the additions that wait.
    pub(crate) fn settle(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        // Nothing hangs on what is read here, so the processor reads many cells at a time; the next
        // loop finds them in the cache.
        for (hash, ..) in &waiting {
            if let Some(place) = self.index.find(*hash, |_| true) {
                self.touched = self.touched.wrapping_add(self.cells[*place as usize].records);
            }
        }
        for (hash, key, sums) in &waiting {
            match self.index.find(*hash, |place| self.cells[*place as usize].key == *key) {
                Some(place) => {
                    if !self.cells[*place as usize].add(sums) {
                        self.large.entry(*key).or_default().add(sums);
                    }
                }
                None => self.open(*key, sums),
            }
        }
        waiting.clear();
        self.waiting = waiting;
    }

    /// Adds to a cell that is not there yet; to `other` when there are too many.
    fn open(&mut self, mut key: CellKey, sums: &Sums) {
        if self.cells.len() >= self.most && !key.is_other() {
            self.folded += 1;
            key = key.other();
            // Windows, too, can be made up: past an eighth more, all goes to the first.
            if self.cells.len() >= self.most + self.most / 8 && self.find(&key).is_none() {
                key.window = *self.first_window.get_or_insert(key.window);
            }
            self.first_window.get_or_insert(key.window);
        }
        let place = match self.find(&key) {
            Some(place) => place,
            None => {
                let place = self.cells.len();
                let (cells, hashing) = (&self.cells, &self.hashing);
                self.index
                    .insert_unique(hashing.hash_one(key), place as u32, |place| hashing.hash_one(cells[*place as usize].key));
                self.cells.push(Cell { key, records: 0, bytes: 0, packets: 0, squares: 0, spread_squares: 0 });
                place
            }
        };
        if !self.cells[place].add(sums) {
            self.large.entry(key).or_default().add(sums);
        }
    }

    fn find(&self, key: &CellKey) -> Option<usize> {
        let place = self.index.find(self.hashing.hash_one(key), |place| self.cells[*place as usize].key == *key);
        place.map(|place| *place as usize)
    }

    /// Everything counted, and an empty table with room for as much again.
    pub(crate) fn take(&mut self) -> Counted {
        self.settle();
        self.first_window = None;
        self.index.clear();
        self.prefixes.clear();
        let mut cells: Vec<(CellKey, Sums)> = Vec::with_capacity(self.cells.len() + self.large.len());
        cells.extend(self.cells.drain(..).map(|cell| (cell.key, cell.sums())));
        cells.extend(self.large.drain());
        Counted { cells, prefixes: std::mem::take(&mut self.prefixes_in_order) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMS: Sums = Sums { bytes: 1, packets: 1, records: 1, squares: 1, spread_squares: 1 };

    fn key(cells: &mut Cells, place: u32, address: &str, mask: u8) -> CellKey {
        let side = Side { place, asn: 64_500, ..Side::default() };
        cells.key(1, End::Customer, &side, address.parse().unwrap(), mask)
    }

    #[test]
    fn the_mask_counts_where_no_list_has_the_address() {
        let check = |place: u32, address: &str, mask: u8, expected: Option<&str>| {
            let mut cells = Cells::new(16);
            let key = key(&mut cells, place, address, mask);
            cells.add(key, 0, &SUMS);
            let counted = cells.take();
            let (key, _) = counted.cells[0];
            assert_eq!(counted.prefix(&key).map(|prefix| prefix.to_string()).as_deref(), expected);
            assert_eq!(key.place(), place);
        };
        check(0, "198.51.100.77", 24, Some("198.51.100.0/24"));
        check(0, "2001:db8:1:2::3", 48, Some("2001:db8:1::/48"));
        check(0, "198.51.100.77", 0, None);
        check(0, "198.51.100.77", 64, None);
        check(5, "198.51.100.77", 24, None);
    }

    #[test]
    fn a_full_table_folds_into_other_and_keeps_the_total() {
        let mut cells = Cells::new(16);
        for window in 0..8 {
            for place in 1..100 {
                let key = key(&mut cells, place, "192.0.2.1", 0);
                cells.add(key, window * DETAIL_WINDOW_US, &SUMS);
                cells.settle();
            }
        }
        assert!(cells.folded > 700);
        let taken = cells.take().cells;
        assert!(taken.len() <= 19, "{}", taken.len());
        assert_eq!(taken.iter().map(|(_, sums)| sums.bytes).sum::<u64>(), 8 * 99);
        assert!(taken.iter().any(|(key, _)| key.is_other()));
    }

    #[test]
    fn what_is_too_large_for_a_cell_is_counted_all_the_same() {
        let mut cells = Cells::new(16);
        let key = key(&mut cells, 1, "192.0.2.1", 0);
        let large = Sums { bytes: u64::MAX - 2, squares: 1 << 80, ..SUMS };
        for sums in [SUMS, large, SUMS, SUMS] {
            cells.add(key, -DETAIL_WINDOW_US, &sums);
        }
        let mut total = Sums::default();
        for (key, sums) in cells.take().cells {
            assert_eq!(key.window_us(), -DETAIL_WINDOW_US);
            total.add(&sums);
        }
        assert_eq!(total, Sums { bytes: u64::MAX, packets: 4, records: 4, squares: (1 << 80) + 3, spread_squares: 4 });
    }
}
