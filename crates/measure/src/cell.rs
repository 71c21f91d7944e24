//! Cells: what a worker counts of a lane in a detail window, by what is at either end.
//!
//! One cell of the Microsoft end serves two tables: its tag is a row of `traffic`, its place a row of
//! `prefixes`. Names come later, at the owner.

use std::hash::{Hash, Hasher};

use hashbrown::HashMap;
use model::tag::Side;
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

/// Length that says that a cell has no prefix of its own.
const NO_PREFIX: u8 = u8::MAX;

/// What a cell counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellKey {
    /// Upper and lower half of the prefix by the exporter's mask, where no list has the address.
    prefix: [u64; 2],
    /// Start of the detail window.
    pub(crate) window_us: i64,
    pub(crate) lane: u32,
    /// Place in the attribution tables, [`OTHER`] for what found no room.
    pub(crate) place: u32,
    pub(crate) tag: u32,
    pub(crate) asn: u32,
    pub(crate) end: End,
    /// 4 or 6.
    pub(crate) ip_version: u8,
    prefix_length: u8,
}

impl CellKey {
    pub(crate) fn new(lane: u32, end: End, side: &Side, address: Address, mask: u8) -> CellKey {
        let tag = if end == End::Microsoft { side.tag.0 } else { 0 };
        let mut key = CellKey {
            prefix: [0; 2],
            window_us: 0,
            lane,
            place: side.place,
            tag,
            asn: side.asn,
            end,
            ip_version: address.ip_version(),
            prefix_length: NO_PREFIX,
        };
        if side.place == 0
            && mask > 0
            && let Some(prefix) = Prefix::new(address, mask)
        {
            let bits = prefix.first().bits();
            key.prefix = [(bits >> 64) as u64, bits as u64];
            key.prefix_length = mask;
        }
        key
    }

    /// The prefix by the exporter's mask.
    pub(crate) fn prefix(&self) -> Option<Prefix> {
        let bits = u128::from(self.prefix[0]) << 64 | u128::from(self.prefix[1]);
        Prefix::new(Address::from_bits(bits), self.prefix_length)
    }

    /// Whether it stands for what found no room.
    pub(crate) fn is_other(&self) -> bool {
        self.place == OTHER
    }

    fn other(self) -> CellKey {
        CellKey { prefix: [0; 2], place: OTHER, tag: 0, asn: 0, ip_version: 0, prefix_length: NO_PREFIX, ..self }
    }
}

impl Hash for CellKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A place implies its tag, and windows are few: the rest tells cells apart.
        state.write_u64(u64::from(self.lane) << 32 | u64::from(self.place));
        state.write_u64(self.prefix[0] ^ self.window_us as u64);
        state.write_u64(self.prefix[1]);
        state.write_u64(
            u64::from(self.asn) << 32 | (self.end as u64) << 16 | u64::from(self.prefix_length) << 8 | u64::from(self.ip_version),
        );
    }
}

/// The cells of a worker, bounded.
pub(crate) struct Cells {
    cells: HashMap<CellKey, Sums>,
    first_window_us: Option<i64>,
    most: usize,
    /// Records that were folded into `other` for want of cells.
    pub(crate) folded: u64,
}

impl Cells {
    pub(crate) fn new(most: usize) -> Cells {
        Cells { cells: HashMap::new(), first_window_us: None, most, folded: 0 }
    }

    /// Adds to the cell of `key` in the window.
    pub(crate) fn add(&mut self, mut key: CellKey, window_us: i64, sums: &Sums) {
        key.window_us = window_us;
        if self.cells.len() < self.most {
            return self.cells.entry(key).or_default().add(sums);
        }
        match self.cells.get_mut(&key) {
            Some(cell) => cell.add(sums),
            None => self.fold(key, sums),
        }
    }

    #[cold]
    fn fold(&mut self, key: CellKey, sums: &Sums) {
        self.folded += 1;
        let mut other = key.other();
        // Windows, too, can be made up: past an eighth more, all goes to the first.
        if self.cells.len() >= self.most + self.most / 8 && !self.cells.contains_key(&other) {
            other.window_us = *self.first_window_us.get_or_insert(other.window_us);
        }
        self.first_window_us.get_or_insert(other.window_us);
        self.cells.entry(other).or_default().add(sums);
    }

    /// Everything counted, and an empty table with room for as much again.
    pub(crate) fn take(&mut self) -> HashMap<CellKey, Sums> {
        self.first_window_us = None;
        let empty = HashMap::with_capacity(self.cells.len());
        std::mem::replace(&mut self.cells, empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(place: u32, address: &str, mask: u8) -> CellKey {
        let side = Side { place, asn: 64_500, ..Side::default() };
        CellKey::new(1, End::Customer, &side, address.parse().unwrap(), mask)
    }

    #[test]
    fn the_mask_counts_where_no_list_has_the_address() {
        let check = |place: u32, address: &str, mask: u8, expected: Option<&str>| {
            assert_eq!(key(place, address, mask).prefix().map(|prefix| prefix.to_string()).as_deref(), expected);
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
                cells.add(key(place, "192.0.2.1", 0), window * 300, &Sums { bytes: 1, ..Sums::default() });
            }
        }
        assert!(cells.folded > 700);
        let taken = cells.take();
        assert!(taken.len() <= 19, "{}", taken.len());
        assert_eq!(taken.values().map(|sums| sums.bytes).sum::<u64>(), 8 * 99);
        assert!(taken.keys().any(CellKey::is_other));
    }
}
