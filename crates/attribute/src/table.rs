//! The attribution tables of one set of lists; immutable, swapped whole.

use std::sync::Arc;

use model::tag::{Place, TagId, TagNames};
use model::{Address, Side};

use crate::flatten::{EXPORTER_AS, flatten};
use crate::sources::Sources;
use crate::v4::V4Table;
use crate::v6::V6Table;

/// Address to place, in a few memory reads.
pub struct Table {
    v4: V4Table,
    v6: V6Table,
    names: Arc<TagNames>,
    /// Tag and origin AS (0 unknown) by place: what each record needs, close together.
    pub(crate) answers: Vec<(TagId, u32)>,
    /// Microsoft's ASes.
    pub(crate) microsoft_asns: AsnSet,
    /// The tag of what only the exporter says is of a Microsoft AS.
    pub(crate) exporter_tag: TagId,
}

impl Table {
    /// Flattens the sources into tables.
    pub fn build(sources: &Sources) -> Table {
        let flat = flatten(sources);
        let exporter_tag = flat.names.tags.iter().position(|tag| &*tag.source == EXPORTER_AS).unwrap_or(0);
        Table {
            v4: V4Table::build(&flat.v4),
            v6: V6Table::build(&flat.v6),
            answers: flat.names.places.iter().map(|place| (place.tag, place.origin_asn.unwrap_or(0))).collect(),
            names: Arc::new(flat.names),
            microsoft_asns: AsnSet::new(sources.microsoft_asns.iter().copied()),
            exporter_tag: TagId(exporter_tag as u32),
        }
    }

    /// The names behind the numbers.
    pub fn names(&self) -> &Arc<TagNames> {
        &self.names
    }

    /// The number of the place of an address; 0 where no list has it.
    #[inline(always)]
    pub fn lookup(&self, address: Address) -> u32 {
        match address.v4_bits() {
            Some(bits) => self.v4.place(bits),
            None => self.v6.place(address.bits()),
        }
    }

    /// What the lists say of an address that no exporter says anything of.
    #[inline]
    pub fn side(&self, address: Address) -> Side {
        let place = self.lookup(address);
        let (tag, asn) = self.answers[place as usize];
        Side { tag, place, asn }
    }

    /// What the lists say of an address.
    pub fn place(&self, address: Address) -> &Place {
        &self.names.places[self.lookup(address) as usize]
    }
}

/// A set of ASes of which most questions are answered by one bit.
pub(crate) struct AsnSet {
    asns: Vec<u32>,
    /// By the low bits of its number: whether there may be such an AS.
    may_have: [u64; 64],
}

impl AsnSet {
    fn new(asns: impl Iterator<Item = u32>) -> AsnSet {
        let mut set = AsnSet { asns: asns.collect(), may_have: [0; 64] };
        set.asns.sort_unstable();
        for asn in &set.asns {
            set.may_have[(asn >> 6 & 63) as usize] |= 1 << (asn & 63);
        }
        set
    }

    /// Whether there may be such an AS.
    #[inline]
    pub(crate) fn may_have(&self, asn: u32) -> bool {
        self.may_have[(asn >> 6 & 63) as usize] >> (asn & 63) & 1 != 0
    }

    pub(crate) fn has(&self, asn: u32) -> bool {
        asn != 0 && self.asns.binary_search(&asn).is_ok()
    }
}
