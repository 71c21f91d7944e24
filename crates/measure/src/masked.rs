//! Prefixes by the exporter's mask: the places of addresses that no list has.

use hashbrown::HashMap;
use model::{Address, Prefix};

use crate::cell_key::{BY_MASK, Seeds};

/// Prefixes that are at hand without a look-up; a power of two.
const AT_HAND: usize = 4_096;
/// Where nothing is at hand: no prefix has this mask.
const NO_PREFIX: (Address, u8, u32) = (Address::UNKNOWN, 0, 0);

/// Prefixes and their numbers, bounded.
pub(crate) struct MaskedPrefixes {
    numbers: HashMap<(Address, u8), u32>,
    in_order: Vec<Prefix>,
    /// Those that were found last, with their masks and places.
    at_hand: Vec<(Address, u8, u32)>,
    most: usize,
}

impl MaskedPrefixes {
    /// None, and at most so many.
    pub(crate) fn new(most: usize) -> MaskedPrefixes {
        MaskedPrefixes { numbers: HashMap::new(), in_order: Vec::new(), at_hand: vec![NO_PREFIX; AT_HAND], most }
    }

    /// The place of an address's prefix by the mask; 0 where that is none, or finds no room.
    #[inline(never)]
    pub(crate) fn place(&mut self, seeds: &Seeds, address: Address, mask: u8) -> u32 {
        let Some(prefix) = Prefix::new(address, mask) else { return 0 };
        let memo = seeds.mix(prefix.first().bits(), mask) as usize % AT_HAND;
        let (held, held_mask, place) = self.at_hand[memo];
        if held == prefix.first() && held_mask == mask {
            return place;
        }
        let place = self.number_of(prefix, mask);
        self.at_hand[memo] = (prefix.first(), mask, place);
        place
    }

    fn number_of(&mut self, prefix: Prefix, mask: u8) -> u32 {
        let number = self.in_order.len();
        match self.numbers.get(&(prefix.first(), mask)) {
            Some(number) => BY_MASK | *number,
            None if number >= self.most => 0,
            None => {
                self.numbers.insert((prefix.first(), mask), number as u32);
                self.in_order.push(prefix);
                BY_MASK | number as u32
            }
        }
    }

    /// The prefix of a number.
    pub(crate) fn get(&self, number: u32) -> Option<Prefix> {
        self.in_order.get(number as usize).copied()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.numbers.clear();
        self.in_order.clear();
        self.at_hand.fill(NO_PREFIX);
    }
}
