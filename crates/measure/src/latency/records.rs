//! What flow records tell of latency: exporters' own elements, and the starts of the two records of a connection.
//!
//! The record of a connection's answers starts later than that of its questions by the time there and back between
//! the exporter and the end that answers. That holds only where every packet is seen, both starts are the
//! exporter's to the millisecond, and each direction has its own; else there is no number, but the reason.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use model::latency::{Absence, Derivation, ElementNumber, End, Method, Path, RecordLatency as Told};
use model::segment::flags;
use model::tag::TagNames;
use model::time::SECOND_US;
use model::{Attribution, Batch, Direction, Name, Placement, Placements, Record, TimeSource};

use super::cells::{LatencyCells, LatencyDelta, LatencyKey, Sight, Values, ways};
use super::histogram::Histogram;
use super::table::{ConnectionKey, ConnectionTable};
use crate::settings::MeasureSettings;

const PROTOCOL_TCP: u8 = 6;
/// Records of one connection come within this time of each other: an active timeout and more.
const IDLE_US: i64 = 600 * SECOND_US;
/// An answer that comes later is one to a SYN that was sent again, after a second (RFC 6298, section 2).
const ANSWER_US_MAX: u64 = 900_000;
/// Names of elements that are kept; there are as many as templates have.
const ELEMENTS_MAX: usize = 4_096;

/// The first record of one direction of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct First {
    sender: Option<End>,
    start_us: i64,
    link: u32,
}

/// Latency that one worker's records tell, bounded.
pub struct RecordLatency {
    cells: LatencyCells,
    firsts: ConnectionTable<First>,
    /// Exporters that were seen to give the directions of a connection starts of their own.
    with_own_starts: HashSet<u32>,
    elements: HashMap<ElementNumber, Name>,
}

impl RecordLatency {
    /// Nothing measured yet.
    pub fn new(settings: &MeasureSettings) -> RecordLatency {
        RecordLatency {
            cells: LatencyCells::new(settings.worker_latency_buckets_max),
            firsts: ConnectionTable::new(settings.latency_pairs_max, IDLE_US),
            with_own_starts: HashSet::new(),
            elements: HashMap::new(),
        }
    }

    /// Takes in what the records of a batch tell where they were placed.
    ///
    /// `attributions` are those of the batch's records, `names` those of the tags in them.
    pub fn add(&mut self, batch: &Batch, attributions: &[Attribution], placements: &Placements, names: &TagNames) {
        let mut last = None;
        for placement in placements.records.iter().filter(|placement| placement.is_on_link()) {
            let index = placement.record as usize;
            if last.replace(index) == Some(index) {
                continue;
            }
            let (Some(record), Some(attribution)) = (batch.records.get(index), attributions.get(index)) else { continue };
            let sight = self.pair(record, attribution, placement, names);
            self.cells.see(record.end_us, placement.link, Method::FlowPairs, sight);
        }
        for told in &batch.latencies {
            let place = placements.records.partition_point(|placement| placement.record < told.record);
            let of_record = placements.records[place..].iter().take_while(|placement| placement.record == told.record);
            let placement = of_record.into_iter().find(|placement| placement.is_on_link());
            let index = told.record as usize;
            if let (Some(placement), Some(record), Some(attribution)) =
                (placement, batch.records.get(index), attributions.get(index))
            {
                self.told(told, record, attribution, placement, names);
            }
        }
    }

    /// Takes out what was measured since the last time.
    pub fn take(&mut self) -> LatencyDelta {
        self.cells.take()
    }

    /// Goes on with another directory and other tags; to be called right after [`RecordLatency::take`].
    pub fn restart(&mut self) {
        self.firsts.clear();
    }

    /// What a record says of its connection's pair.
    #[inline]
    fn pair(&mut self, record: &Record, attribution: &Attribution, placement: &Placement, names: &TagNames) -> Sight {
        let sampling = record.sampling;
        if record.is_packet_sample || sampling.population > sampling.sample {
            return Sight::absent(Absence::Sampled);
        }
        if record.protocol != PROTOCOL_TCP {
            return Sight::absent(Absence::NoTcp);
        }
        if record.tcp_flags & flags::SYN == 0 {
            return Sight::absent(Absence::NoHandshake);
        }
        let clock = Clock::of(record);
        if clock == Clock::Coarse {
            return Sight::absent(Absence::CoarseClock);
        }
        self.paired(record, clock, attribution, placement, names)
    }

    fn paired(
        &mut self,
        record: &Record,
        clock: Clock,
        attribution: &Attribution,
        placement: &Placement,
        names: &TagNames,
    ) -> Sight {
        let unpaired = match clock {
            Clock::Own if record.sampling.is_known() => Absence::Unidirectional,
            Clock::Own => Absence::UnknownRate,
            Clock::Refused | Clock::Coarse => Absence::CoarseClock,
        };
        let sender = sender(placement);
        let (source, destination) = ((record.source, record.source_port), (record.destination, record.destination_port));
        let key = ConnectionKey::of(source, destination, sender, record.exporter.0);
        let first = match self.firsts.get(&key, record.end_us) {
            Some(first) if first.sender == Some(sender.other()) => *first,
            _ => {
                let start_us = record.start_us;
                *self.firsts.insert(key, record.end_us) = First { sender: Some(sender), start_us, link: placement.link };
                return Sight::absent(unpaired);
            }
        };
        self.firsts.remove(&key);
        let exporter = record.exporter.0;
        let took_us = record.start_us.abs_diff(first.start_us);
        if took_us == 0 && !self.with_own_starts.contains(&exporter) {
            return Sight::absent(Absence::SharedStart);
        }
        if clock != Clock::Own {
            return Sight::absent(unpaired);
        }
        self.with_own_starts.insert(exporter);
        if !record.sampling.is_known() || took_us > ANSWER_US_MAX {
            return Sight::absent(unpaired);
        }
        // Who began asked, the other end answered.
        let initiator = if first.start_us <= record.start_us { sender.other() } else { sender };
        let (link, return_link) = match sender {
            End::Customer => ways(placement.link, first.link),
            End::Microsoft => ways(first.link, placement.link),
        };
        let key = LatencyKey {
            link,
            return_link,
            region: super::region(names, microsoft(attribution, sender)).cloned(),
            method: Method::FlowPairs,
            span: initiator.other().span(),
            initiator: Some(initiator),
            element: None,
            derivation: Derivation::AsMeasured,
        };
        self.cells.add(record.start_us.max(first.start_us), key, &Values::one(took_us));
        Sight::absent(unpaired)
    }

    /// What an exporter told itself.
    fn told(&mut self, told: &Told, record: &Record, attribution: &Attribution, placement: &Placement, names: &TagNames) {
        let client = sender(placement);
        let (span, initiator) = match told.path {
            Path::Client => (client.span(), Some(client)),
            Path::Server => (client.other().span(), Some(client)),
            Path::Whole => (model::latency::Span::RoundTrip, Some(client)),
            Path::OneWay => (model::latency::Span::OneWay, None),
        };
        let key = LatencyKey {
            link: placement.link,
            return_link: None,
            region: super::region(names, microsoft(attribution, client)).cloned(),
            method: Method::Exporter,
            span,
            initiator,
            element: Some(self.element((told.enterprise, told.element))),
            derivation: told.derivation,
        };
        let values = if told.derivation == Derivation::MeanOfSum {
            let (samples, sum_us) = (told.samples, told.sum_us);
            Values { samples, sum_us, min_us: told.min_us, max_us: told.max_us, histogram: Histogram::default() }
        } else {
            Values::one(told.sum_us)
        };
        self.cells.add(record.end_us, key, &values);
    }

    /// An element as enterprise and number.
    fn element(&mut self, (enterprise, number): ElementNumber) -> Name {
        if let Some(name) = self.elements.get(&(enterprise, number)) {
            return name.clone();
        }
        let name: Name = Arc::from(format!("{enterprise}.{number}"));
        if self.elements.len() < ELEMENTS_MAX {
            self.elements.insert((enterprise, number), name.clone());
        }
        name
    }
}

/// Whose times a record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// The exporter's own, to the millisecond or better.
    Own,
    /// The exporter's, moved to the time of reception: they still show whether two starts are the same.
    Refused,
    /// Coarser, or not the exporter's.
    Coarse,
}

impl Clock {
    fn of(record: &Record) -> Clock {
        match record.time_source {
            TimeSource::Milliseconds | TimeSource::Ntp | TimeSource::DeltaMicroseconds | TimeSource::Uptime => Clock::Own,
            TimeSource::Received if record.start_us < record.end_us => Clock::Refused,
            _ => Clock::Coarse,
        }
    }
}

/// Whose packets the record is of, on the link that it was placed on.
fn sender(placement: &Placement) -> End {
    match placement.direction {
        Direction::ToMicrosoft => End::Customer,
        Direction::FromMicrosoft => End::Microsoft,
    }
}

/// What Microsoft's end is.
fn microsoft(attribution: &Attribution, sender: End) -> model::TagId {
    match sender {
        End::Customer => attribution.destination.tag,
        End::Microsoft => attribution.source.tag,
    }
}
