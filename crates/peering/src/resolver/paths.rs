//! Records that go the same way: nearly all go one that was gone just before, and count where it led.

use model::{Address, Metering, Placement, Record};

use super::Ends;

/// Ways that are remembered; a power of two. One takes the place of another that it meets.
const PATHS: usize = 1_024;

/// What of a record decides where it counts, unless a rule looks at its VLAN or Ethernet addresses.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub(super) struct Way {
    /// Input and output.
    interfaces: u64,
    /// Exporter, side of metering, and which ends are Microsoft's.
    rest: u64,
    next_hop: Address,
    bgp_next_hop: Address,
}

impl PartialEq for Way {
    /// Without a branch each.
    #[inline]
    fn eq(&self, other: &Way) -> bool {
        let numbers = (self.interfaces ^ other.interfaces) | (self.rest ^ other.rest);
        let hops = (self.next_hop.bits() ^ other.next_hop.bits()) | (self.bgp_next_hop.bits() ^ other.bgp_next_hop.bits());
        u128::from(numbers) | hops == 0
    }
}

impl Way {
    #[inline]
    pub(super) fn of(record: &Record, ends: Ends) -> Way {
        let flags = (record.metering as u32) << 8
            | u32::from(ends.source) << 2
            | u32::from(ends.destination) << 1
            | u32::from(ends.is_through);
        Way {
            interfaces: u64::from(record.input) << 32 | u64::from(record.output),
            rest: u64::from(record.exporter.0) << 32 | u64::from(flags),
            next_hop: record.next_hop,
            bgp_next_hop: record.bgp_next_hop,
        }
    }

    /// Where it is remembered. Whoever makes ways meet there makes them slow, and no more.
    #[inline]
    fn place(&self) -> usize {
        let hash = self.interfaces.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ self.rest.wrapping_mul(0xd6e8_feb8_6659_fd93)
            ^ self.next_hop.bits() as u64;
        (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize % PATHS
    }
}

/// Where the records of a way count, and what has not been counted of them yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    pub(super) way: Way,
    /// Of the record that went it first.
    pub(super) placements: Vec<Placement>,
    /// Whether they count on a link.
    pub(super) is_placed: bool,
    pub(super) step: Step,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// The interfaces that a way leads over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    pub(super) exporter: usize,
    pub(super) input: usize,
    pub(super) output: usize,
    /// Metering of the input interface.
    pub(super) metering: Metering,
    pub(super) ends: Ends,
}

/// Ways that were gone of late.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Number + 1 of the path by the place of its way.
    places: Vec<u16>,
    paths: Vec<Path>,
}

impl Paths {
    /// The path of a way that was gone before.
    #[inline]
    pub(super) fn find(&mut self, way: &Way) -> Option<&mut Path> {
        let number = *self.places.get(way.place())?;
        self.paths.get_mut(usize::from(number).wrapping_sub(1)).filter(|path| path.way == *way)
    }

    /// Remembers a path; gives what it takes the place of.
    pub(super) fn remember(&mut self, path: Path) -> Option<Path> {
        self.places.resize(PATHS, 0);
        let number = &mut self.places[path.way.place()];
        if *number == 0 {
            self.paths.push(path);
            *number = self.paths.len() as u16;
            return None;
        }
        Some(std::mem::replace(&mut self.paths[usize::from(*number) - 1], path))
    }

    /// Forgets all of them; gives what they were.
    pub(super) fn take(&mut self) -> Vec<Path> {
        self.places.fill(0);
        std::mem::take(&mut self.paths)
    }
}
