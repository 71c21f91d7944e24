//! The header of a datagram, and the samples in it one after another.

use model::Address;

use super::xdr::Xdr;

/// The header of an sFlow version 5 datagram (sFlow version 5, section 5, `sample_datagram_v5`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    /// The agent: with `sub_agent` it names the exporter, whatever address the datagram came from.
    pub(crate) agent: Address,
    pub(crate) sub_agent: u32,
    /// Counts the datagrams of the sub-agent.
    pub(crate) sequence: u32,
    /// Milliseconds since the device started.
    pub(crate) uptime_ms: u32,
    /// Samples that the datagram says it holds.
    pub(crate) sample_count: u32,
    samples: Xdr<'a>,
}

impl<'a> Datagram<'a> {
    /// Reads the header after its version was found to be 5.
    ///
    /// `None` where it is cut off, or its agent has no IPv4 or IPv6 address.
    pub(crate) fn read(payload: &'a [u8]) -> Option<Datagram<'a>> {
        let mut xdr = Xdr::new(payload);
        let _version = xdr.u32()?;
        let agent = xdr.address().filter(|agent| agent.bits() != 0)?;
        let [sub_agent, sequence, uptime_ms, sample_count] = xdr.words()?;
        Some(Datagram { agent, sub_agent, sequence, uptime_ms, sample_count, samples: xdr })
    }

    /// The samples; what follows the last of `sample_count` is left alone.
    pub(crate) fn samples(&self) -> Samples<'a> {
        Samples { left: self.sample_count, xdr: self.samples }
    }
}

/// The data of one sample or record, and the format that it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Structure<'a> {
    /// Enterprise in the upper 20 bits, format in the lower 12.
    pub(crate) format: u32,
    pub(crate) data: Xdr<'a>,
}

impl<'a> Structure<'a> {
    /// Reads format, length and data; `None` where the length reaches beyond the end.
    #[inline]
    pub(crate) fn read(xdr: &mut Xdr<'a>) -> Option<Structure<'a>> {
        let format = xdr.u32()?;
        Some(Structure { format, data: Xdr::new(xdr.opaque()?) })
    }
}

/// An iterator over the samples of a datagram.
///
/// `Err` once, as the last item, where a sample's length reaches beyond the datagram.
#[derive(Clone, Debug)]
pub(crate) struct Samples<'a> {
    left: u32,
    xdr: Xdr<'a>,
}

/// A length that reaches beyond its surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overrun;

impl<'a> Samples<'a> {
    /// Bytes behind the last sample that was read.
    pub(crate) fn trailing(&self) -> &'a [u8] {
        self.xdr.rest()
    }
}

impl<'a> Iterator for Samples<'a> {
    type Item = Result<Structure<'a>, Overrun>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 || self.xdr.is_empty() {
            return None;
        }
        self.left -= 1;
        let sample = Structure::read(&mut self.xdr);
        if sample.is_none() {
            self.left = 0;
        }
        Some(sample.ok_or(Overrun))
    }
}
