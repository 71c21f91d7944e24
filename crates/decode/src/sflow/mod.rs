//! sFlow version 5: packet samples and interface counters.
//!
//! A datagram is a header and samples, a sample is a header and records, and both carry their
//! format and length: what is not known is stepped over. Nothing has to be remembered to read
//! them; [`Sequences`] remembers numbers, to find what was lost.
//!
//! What becomes of a sample:
//!
//! | sample | becomes |
//! |---|---|
//! | flow, expanded flow | one record, a packet sample; `is_dropped` where its output is a discard |
//! | counters, expanded counters | the counters of one interface, if it holds any |
//! | discarded packet | counted as decoded: it is not traffic |
//! | any other | skipped by its length |
//!
//! Samples are read in order as many as the header announces; a length that reaches beyond its
//! surroundings ends the datagram or spoils the sample it is in, and the rest stays good. Bytes
//! behind the last sample are counted. Times are those of reception: sFlow carries none.

pub(crate) mod counters;
pub(crate) mod datagram;
pub(crate) mod packet;
pub(crate) mod sample;
mod sequence;
pub(crate) mod xdr;

#[cfg(test)]
mod tests;

use model::{Batch, ExporterId, InterfaceCounters, Metering, Record, Sampling, SamplingOrigin, TimeSource};

pub(crate) use datagram::Datagram;
pub(crate) use sequence::Sequences;

use datagram::Structure;
use packet::{Reading, SampledPacket};
use sample::{CounterSample, FlowSample, Interface};
use sequence::Order;

/// What the samples of one datagram came to; the caller adds it to its ledgers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Samples in the datagram.
    pub(crate) sets_seen: u64,
    /// Samples that were read, discarded packets among them.
    pub(crate) sets_decoded: u64,
    /// Samples of a format that is not known.
    pub(crate) sets_unknown: u64,
    /// Samples whose content contradicts their length.
    pub(crate) sets_malformed: u64,
    /// Flow samples: those in the batch and the refused.
    pub(crate) records: u64,
    /// Flow samples refused: no IP header in them.
    pub(crate) no_address: u64,
    /// Flow samples refused: no header, or one that cannot be read to its addresses.
    pub(crate) unreadable: u64,
    /// Layer 3 bytes of the records in the batch.
    pub(crate) bytes: u64,
    /// Bytes as the flow samples state them: of frames, else of IP packets.
    pub(crate) stated_bytes: u64,
    /// Flow samples by the version of their IP header.
    pub(crate) ipv4: u64,
    /// Likewise.
    pub(crate) ipv6: u64,
    /// Counter samples, of whatever they count.
    pub(crate) counter_samples: u64,
    /// Discarded packets.
    pub(crate) discarded: u64,
    /// Flow samples lost by their sequence numbers; negative where late ones came after all.
    pub(crate) lost_samples: i64,
    /// Flow samples that the agent dropped for want of resources.
    pub(crate) agent_drops: u64,
    /// Flow samples whose source samples at another rate than it states.
    pub(crate) rate_off: u64,
    /// Records in the batch whose output interface is unknown.
    pub(crate) output_unknown: u64,
    /// Records in the batch by the origin of their sampling rate.
    pub(crate) sampling_origins: [u64; 7],
    /// Flow samples whose header has more layers than are walked.
    pub(crate) too_deep: u64,
    /// Bytes behind the last sample.
    pub(crate) trailing_bytes: u64,
}

/// What the records of a datagram have in common.
pub(crate) struct Context<'a, Rate: Fn(&Record, Sampling) -> Sampling> {
    pub(crate) exporter: ExporterId,
    pub(crate) received_us: i64,
    /// Most data sources of a sub-agent whose numbers are remembered.
    pub(crate) sources_max: usize,
    /// Most layers of a packet's header that are walked.
    pub(crate) layers_most: usize,
    /// How the datagram stands to those before it.
    pub(crate) order: Order,
    /// The rate in force, given the record and the rate that its sample states.
    pub(crate) sampling: &'a Rate,
}

/// Reads the samples of a datagram into `batch`.
pub(crate) fn decode<Rate: Fn(&Record, Sampling) -> Sampling>(
    datagram: &Datagram<'_>,
    context: &Context<'_, Rate>,
    sequences: &mut Sequences,
    batch: &mut Batch,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut samples = datagram.samples();
    for sample in &mut samples {
        crate::steps::count(1);
        outcome.sets_seen += 1;
        let Ok(structure) = sample else {
            outcome.sets_malformed += 1;
            break;
        };
        let is_read = match structure.format {
            sample::FLOW | sample::FLOW_EXPANDED => flow(structure, datagram.sub_agent, context, sequences, batch, &mut outcome),
            sample::COUNTERS | sample::COUNTERS_EXPANDED => counter(structure, context, sequences, batch, &mut outcome),
            sample::DISCARDED => discarded(structure, &mut outcome),
            _ => {
                outcome.sets_unknown += 1;
                continue;
            }
        };
        match is_read {
            Some(()) => outcome.sets_decoded += 1,
            None => outcome.sets_malformed += 1,
        }
    }
    outcome.trailing_bytes = samples.trailing().len() as u64;
    outcome
}

/// A flow sample to a record; `None` where the sample contradicts its length.
fn flow<Rate: Fn(&Record, Sampling) -> Sampling>(
    structure: Structure<'_>,
    sub_agent: u32,
    context: &Context<'_, Rate>,
    sequences: &mut Sequences,
    batch: &mut Batch,
    outcome: &mut Outcome,
) -> Option<()> {
    let mut xdr = structure.data;
    let sample = FlowSample::read(structure.format == sample::FLOW_EXPANDED, &mut xdr)?;
    let mut packet = SampledPacket::new(context.layers_most);
    sample::records(xdr, |record| {
        packet.take(record);
    })
    .ok()?;
    packet.finish();

    let news = sequences.flow(&sample, context.order.is_late, context.sources_max);
    outcome.lost_samples += news.lost;
    outcome.agent_drops += news.agent_drops;
    outcome.rate_off += u64::from(news.is_rate_off);
    outcome.too_deep += u64::from(packet.is_too_deep);
    outcome.records += 1;
    outcome.stated_bytes += packet.stated_bytes;
    outcome.ipv4 += u64::from(packet.ip_version == 4);
    outcome.ipv6 += u64::from(packet.ip_version == 6);
    match packet.reading {
        Reading::Unreadable => outcome.unreadable += 1,
        Reading::NoAddress => outcome.no_address += 1,
        Reading::Fields | Reading::Header => {
            let mut record = packet.record;
            complete(&mut record, &sample, sub_agent, context);
            outcome.bytes += record.bytes;
            outcome.output_unknown += u64::from(record.output == 0 && !record.is_dropped);
            outcome.sampling_origins[record.sampling.known_origin() as usize] += 1;
            batch.records.push(record);
        }
    }
    Some(())
}

/// Adds to a packet's record what its sample says.
fn complete<Rate: Fn(&Record, Sampling) -> Sampling>(
    record: &mut Record,
    sample: &FlowSample,
    sub_agent: u32,
    context: &Context<'_, Rate>,
) {
    record.packets = 1;
    record.start_us = context.received_us;
    record.end_us = context.received_us;
    record.exporter = context.exporter;
    record.domain = sub_agent;
    record.input = sample.input.index();
    record.output = sample.output.index();
    record.metering = metering(sample, record.input, record.output);
    record.time_source = TimeSource::Received;
    record.is_packet_sample = true;
    record.is_dropped = matches!(sample.output, Interface::Dropped(_));
    let stated = match sample.rate {
        0 => Sampling::default(),
        rate => Sampling::one_in(rate, SamplingOrigin::Record),
    };
    record.sampling = (context.sampling)(record, stated);
}

/// At which side the packet was sampled: the interface that took it says.
fn metering(sample: &FlowSample, input: u32, output: u32) -> Metering {
    match sample.source.interface() {
        Some(interface) if interface == input => Metering::Ingress,
        Some(interface) if interface == output => Metering::Egress,
        _ => Metering::Unstated,
    }
}

/// A counter sample to interface counters; `None` where the sample contradicts its length.
fn counter<Rate: Fn(&Record, Sampling) -> Sampling>(
    structure: Structure<'_>,
    context: &Context<'_, Rate>,
    sequences: &mut Sequences,
    batch: &mut Batch,
    outcome: &mut Outcome,
) -> Option<()> {
    let mut xdr = structure.data;
    let sample = CounterSample::read(structure.format == sample::COUNTERS_EXPANDED, &mut xdr)?;
    let mut counters =
        InterfaceCounters { exporter: context.exporter, at_us: context.received_us, ..InterfaceCounters::default() };
    let mut has_interface = false;
    sample::records(xdr, |record| {
        counters::take(&mut counters, &mut has_interface, record);
    })
    .ok()?;
    outcome.counter_samples += 1;
    // A late reading is older than the one before it: it would count backwards.
    if has_interface && !context.order.is_late {
        counters.is_reset = sequences.is_counter_reset(sample.source, sample.sequence, context.sources_max);
        batch.counters.push(counters);
    }
    Some(())
}

/// A discarded packet: read to its end, so that a malformed one is told apart.
fn discarded(structure: Structure<'_>, outcome: &mut Outcome) -> Option<()> {
    let mut xdr = structure.data;
    sample::DiscardedPacket::read(&mut xdr)?;
    sample::records(xdr, |_| ()).ok()?;
    outcome.discarded += 1;
    Some(())
}
