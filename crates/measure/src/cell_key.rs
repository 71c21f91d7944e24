//! What a cell is found by: lane, place, AS, tag, end and window, and the hash of it.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use model::time::DETAIL_WINDOW_US;
use serde::{Deserialize, Serialize};

use crate::lane::OTHER;

/// Which end of a record a cell counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
pub(crate) const BY_MASK: u32 = 1 << 31;

/// What a cell counts: lane and place, AS and window, tag, end and IP version, in three words.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub(crate) struct CellKey([u64; 3]);

impl PartialEq for CellKey {
    /// Word by word: read by pairs, words that were just written would be waited for.
    #[inline]
    fn eq(&self, other: &CellKey) -> bool {
        let ([a, b, c], [d, e, f]) = (self.0, other.0);
        (a ^ d) | (b ^ e) | (c ^ f) == 0
    }
}

impl CellKey {
    /// `place` is that in the attribution tables, or with [`BY_MASK`] a prefix by the exporter's mask
    /// where no list has the address. `tag` is of the Microsoft end; what only the exporter calls
    /// Microsoft's has a tag without a place.
    #[inline]
    pub(crate) fn new(lane: u32, place: u32, tag: u32, asn: u32, end: End, ip_version: u8) -> CellKey {
        let both = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        CellKey([both(lane, place), both(asn, 0), both(tag, (end as u32) << 8 | u32::from(ip_version))])
    }

    /// The same in a window of that number.
    #[inline]
    pub(crate) fn in_window(self, window: u32) -> CellKey {
        CellKey([self.0[0], self.0[1] >> 32 << 32 | u64::from(window), self.0[2]])
    }

    /// Number of the lane.
    pub(crate) fn lane(&self) -> u32 {
        (self.0[0] >> 32) as u32
    }

    /// Start of the detail window.
    pub(crate) fn window_us(&self) -> i64 {
        i64::from(self.0[1] as u32 as i32) * DETAIL_WINDOW_US
    }

    /// Origin AS; 0 unknown.
    pub(crate) fn asn(&self) -> u32 {
        (self.0[1] >> 32) as u32
    }

    /// Tag of the Microsoft end; 0 for none.
    pub(crate) fn tag(&self) -> u32 {
        (self.0[2] >> 32) as u32
    }

    /// Which end.
    pub(crate) fn end(&self) -> End {
        if self.0[2] >> 8 & 1 == 0 { End::Customer } else { End::Microsoft }
    }

    /// 4 or 6.
    pub(crate) fn ip_version(&self) -> u8 {
        self.0[2] as u8
    }

    fn raw_place(&self) -> u32 {
        self.0[0] as u32
    }

    /// The number of the prefix by the exporter's mask, where that is its place.
    pub(crate) fn masked(&self) -> Option<u32> {
        (self.raw_place() & BY_MASK != 0 && !self.is_other()).then_some(self.raw_place() & !BY_MASK)
    }

    /// Place in the attribution tables; 0 where no list has the address.
    pub(crate) fn place(&self) -> u32 {
        if self.raw_place() & BY_MASK == 0 { self.raw_place() } else { 0 }
    }

    /// Whether it stands for what found no room.
    pub(crate) fn is_other(&self) -> bool {
        self.raw_place() == OTHER
    }

    /// The key of what finds no room beside it.
    pub(crate) fn other(self) -> CellKey {
        CellKey::new(self.lane(), OTHER, 0, 0, self.end(), 0).in_window(window_number(self.window_us()))
    }
}

/// The number of the detail window that starts then.
#[inline]
pub(crate) fn window_number(window_us: i64) -> u32 {
    window_us.div_euclid(DETAIL_WINDOW_US).clamp(i32::MIN.into(), i32::MAX.into()) as i32 as u32
}

/// Numbers that nobody outside can know, so that nobody can choose keys that meet in the table.
pub(crate) struct Seeds([u64; 3]);

fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

impl Seeds {
    pub(crate) fn new() -> Seeds {
        let hashing = DefaultHashBuilder::default();
        Seeds([0_u8, 1, 2].map(|number| hashing.hash_one(number) | 1))
    }

    /// Products of a key's words with each other and with a seed, folded (as in wyhash).
    #[inline]
    pub(crate) fn hash(&self, key: &CellKey) -> u64 {
        let [first, second, third] = key.0;
        fold(fold(first ^ self.0[0], second ^ self.0[1]) ^ third, self.0[2])
    }

    /// The same of a prefix.
    #[inline]
    pub(crate) fn mix(&self, first: u128, mask: u8) -> u64 {
        fold(first as u64 ^ self.0[0], (first >> 64) as u64 ^ self.0[1] ^ u64::from(mask))
    }
}
