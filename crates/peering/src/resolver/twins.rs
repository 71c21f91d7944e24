//! Exact twins: the same flow exported twice by a device that meters both sides and does not say so.

use model::record::TimeSource;
use model::{Metering, Record};

/// The last unsampled records, by a hash of everything that twins share.
///
/// Bounded: a later record takes the place of an earlier one, whose twin is then not known. The
/// hash has no random key, so that the same input is read the same way every time.
#[derive(Debug)]
pub(crate) struct Twins {
    seen: Vec<u64>,
    entries: usize,
}

impl Twins {
    /// Searches among `entries` records; memory is taken when the first one comes.
    pub(crate) fn new(entries: usize) -> Twins {
        Twins { seen: Vec::new(), entries: entries.next_power_of_two() }
    }

    /// Whether records like this one can have exact twins: unsampled flows with times of their own
    /// that do not say where they were metered.
    pub(crate) fn may_have_twin(record: &Record) -> bool {
        record.metering == Metering::Unstated
            && !record.is_packet_sample
            && record.sampling.is_known()
            && record.sampling.population == record.sampling.sample
            && !matches!(record.time_source, TimeSource::Export | TimeSource::Received)
    }

    /// Whether this is the twin of a record that came before; each record has one at most.
    pub(crate) fn is_twin(&mut self, record: &Record) -> bool {
        if self.seen.is_empty() {
            self.seen.resize(self.entries, 0);
        }
        let hash = hash(record);
        let Some(place) = self.seen.get_mut((hash >> 1) as usize & (self.entries - 1)) else { return false };
        if *place == hash {
            *place = 0;
            return true;
        }
        *place = hash;
        false
    }
}

/// A hash of what twins share; never 0, which stands for an empty place.
fn hash(record: &Record) -> u64 {
    let ports = u64::from(record.source_port) << 32 | u64::from(record.destination_port) << 8 | u64::from(record.protocol);
    let parts = [
        record.source.bits() as u64,
        (record.source.bits() >> 64) as u64,
        record.destination.bits() as u64,
        (record.destination.bits() >> 64) as u64,
        record.bytes,
        record.packets,
        record.start_us as u64,
        record.end_us as u64,
        ports,
        u64::from(record.input) << 32 | u64::from(record.output),
        u64::from(record.exporter.0) << 32 | u64::from(record.domain),
    ];
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |hash, part| {
        let product = u128::from(hash ^ part) * 0xd6e8_feb8_6659_fd93;
        product as u64 ^ (product >> 64) as u64 ^ part.rotate_left(29)
    }) | 1
}
