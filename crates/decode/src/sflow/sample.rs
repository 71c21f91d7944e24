//! The header of a flow or counter sample, compact and expanded.

use serde::{Deserialize, Serialize};

use super::datagram::Overrun;
use super::datagram::Structure;
use super::xdr::Xdr;

/// Flow sample (sFlow version 5, section 5, `flow_sample`).
pub(crate) const FLOW: u32 = 1;
/// Counter sample (`counters_sample`).
pub(crate) const COUNTERS: u32 = 2;
/// Flow sample with 32-bit interface numbers (`flow_sample_expanded`).
pub(crate) const FLOW_EXPANDED: u32 = 3;
/// Counter sample with 32-bit interface numbers (`counters_sample_expanded`).
pub(crate) const COUNTERS_EXPANDED: u32 = 4;
/// A packet that the device dropped (sFlow drop notifications, `discarded_packet`).
pub(crate) const DISCARDED: u32 = 5;

/// The interface number of traffic from or to the device itself, in either form.
const INTERNAL: u32 = 0x3fff_ffff;

/// What took the sample: the type (0 interface, 1 VLAN, 2 entity) and the index in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct DataSource {
    pub(crate) kind: u32,
    pub(crate) index: u32,
}

impl DataSource {
    fn compact(word: u32) -> DataSource {
        DataSource { kind: word >> 24, index: word & 0x00ff_ffff }
    }

    /// The interface that it is, if it is one.
    pub(crate) fn interface(self) -> Option<u32> {
        (self.kind == 0 && self.index != 0).then_some(self.index)
    }
}

/// Where a packet came in or went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Interface {
    /// One interface; 0 unknown or the device itself.
    One(u32),
    /// The packet was dropped, for the reason of that code.
    Dropped(u32),
    /// That many interfaces: a multicast or flooded packet.
    Several(u32),
    /// A form that is not known.
    #[default]
    Unknown,
}

impl Interface {
    /// The 32 bits of the compact form: two of format, thirty of value.
    fn compact(word: u32) -> Interface {
        Interface::expanded(word >> 30, word & INTERNAL)
    }

    /// Format and value apart; the value has all of its 32 bits (sub-interfaces use the upper ones).
    fn expanded(format: u32, value: u32) -> Interface {
        match format {
            0 if value == INTERNAL || value == u32::MAX => Interface::One(0),
            0 => Interface::One(value),
            1 => Interface::Dropped(value),
            2 => Interface::Several(value),
            _ => Interface::Unknown,
        }
    }

    /// Its index; 0 where it is not one interface.
    pub(crate) fn index(self) -> u32 {
        match self {
            Interface::One(index) => index,
            _ => 0,
        }
    }
}

/// The header of a flow sample; its records follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowSample {
    /// Counts the flow samples of the source.
    pub(crate) sequence: u32,
    pub(crate) source: DataSource,
    /// One packet in so many, as configured; 0 unknown.
    pub(crate) rate: u32,
    /// Packets that could have been sampled, since the count began.
    pub(crate) pool: u32,
    /// Samples that the agent dropped for want of resources, since the count began.
    pub(crate) drops: u32,
    pub(crate) input: Interface,
    pub(crate) output: Interface,
}

impl FlowSample {
    /// Reads the header and leaves `xdr` at the number of records.
    pub(crate) fn read(is_expanded: bool, xdr: &mut Xdr<'_>) -> Option<FlowSample> {
        if is_expanded {
            let [sequence, kind, index, rate, pool, drops] = xdr.words()?;
            let [input_format, input, output_format, output] = xdr.words()?;
            return Some(FlowSample {
                sequence,
                source: DataSource { kind, index },
                rate,
                pool,
                drops,
                input: Interface::expanded(input_format, input),
                output: Interface::expanded(output_format, output),
            });
        }
        let [sequence, source, rate, pool, drops, input, output] = xdr.words()?;
        Some(FlowSample {
            sequence,
            source: DataSource::compact(source),
            rate,
            pool,
            drops,
            input: Interface::compact(input),
            output: Interface::compact(output),
        })
    }
}

/// The header of a counter sample; its records follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CounterSample {
    /// Counts the counter samples of the source; begins anew when its counters do.
    pub(crate) sequence: u32,
    pub(crate) source: DataSource,
}

impl CounterSample {
    /// Reads the header and leaves `xdr` at the number of records.
    pub(crate) fn read(is_expanded: bool, xdr: &mut Xdr<'_>) -> Option<CounterSample> {
        if is_expanded {
            let [sequence, kind, index] = xdr.words()?;
            return Some(CounterSample { sequence, source: DataSource { kind, index } });
        }
        let [sequence, source] = xdr.words()?;
        Some(CounterSample { sequence, source: DataSource::compact(source) })
    }
}

/// The header of a discarded packet; its records follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiscardedPacket {
    pub(crate) sequence: u32,
    pub(crate) source: DataSource,
    /// Notifications that the agent could not send.
    pub(crate) drops: u32,
    pub(crate) input: u32,
    pub(crate) output: u32,
    /// Why the device dropped the packet.
    pub(crate) reason: u32,
}

impl DiscardedPacket {
    /// Reads the header and leaves `xdr` at the number of records.
    pub(crate) fn read(xdr: &mut Xdr<'_>) -> Option<DiscardedPacket> {
        let [sequence, kind, index, drops, input, output, reason] = xdr.words()?;
        Some(DiscardedPacket { sequence, source: DataSource { kind, index }, drops, input, output, reason })
    }
}

/// Walks the records of a sample, which `xdr` stands before.
///
/// # Errors
///
/// [`Overrun`] where the number or a length contradicts the sample's own length; `each` has been
/// called for the records before it.
pub(crate) fn records<'a>(mut xdr: Xdr<'a>, mut each: impl FnMut(Structure<'a>)) -> Result<(), Overrun> {
    let count = xdr.u32().ok_or(Overrun)?;
    // Format and length alone take eight bytes.
    if count as usize > xdr.rest().len() / 8 {
        return Err(Overrun);
    }
    for _ in 0..count {
        crate::steps::count(1);
        each(Structure::read(&mut xdr).ok_or(Overrun)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_a_format_and_a_number() {
        for (word, expected) in [
            (7, Interface::One(7)),
            (0, Interface::One(0)),
            (0x3fff_ffff, Interface::One(0)),
            (0x4000_0002, Interface::Dropped(2)),
            (0x8000_0003, Interface::Several(3)),
            (0xc000_0001, Interface::Unknown),
        ] {
            assert_eq!(Interface::compact(word), expected, "{word:#x}");
        }
        // An Arista sub-interface; nothing is masked in the expanded form.
        assert_eq!(Interface::expanded(0, 1_285_816_721).index(), 1_285_816_721);
        assert_eq!(Interface::expanded(0, INTERNAL).index(), 0);
        assert_eq!(Interface::expanded(1, 256), Interface::Dropped(256));
    }

    #[test]
    fn a_source_has_a_type_and_an_index() {
        assert_eq!(DataSource::compact(0x0200_0005), DataSource { kind: 2, index: 5 });
        assert_eq!(DataSource::compact(5).interface(), Some(5));
        assert_eq!(DataSource::compact(0x0100_0005).interface(), None);
    }

    #[test]
    fn the_number_of_records_is_checked_before_it_is_used() {
        let mut words = vec![0u8, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0];
        assert_eq!(records(Xdr::new(&words), |_| ()), Err(Overrun));
        words.extend([0, 0, 0, 8, 0, 0, 0, 4, 1, 2, 3, 4]);
        let mut formats = Vec::new();
        assert_eq!(records(Xdr::new(&words), |record| formats.push(record.format)), Ok(()));
        assert_eq!(formats, [9, 8]);
        assert_eq!(records(Xdr::new(&[0xff; 4]), |_| ()), Err(Overrun));
    }
}
