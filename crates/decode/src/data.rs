//! Data records by their plans: sampled, timed, counted, emitted.

use std::sync::Arc;

use model::ledger::{RecordRefusal, SetSkip};
use model::{Batch, Record, Sampling, TimeSource};

use crate::Decoder;
use crate::build::{self, Message, NoRecord, is_v4, record_sampling, reverse};
use crate::columns::{Columns, WINDOW};
use crate::fields::{Slot, SlotSet, Values};
use crate::held::HeldSet;
use crate::plan::{Plan, Texts};
use crate::sampling::Samplers;
use crate::steps;
use crate::templates::Lookup;

/// What a data set came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SetOutcome {
    /// Data and options records, as IPFIX counts them in its sequence numbers.
    pub(crate) records: u32,
    /// It could not be decoded, so its records are not known.
    pub(crate) is_undecodable: bool,
}

/// A data set and how to read it.
struct Set<'a> {
    domain: usize,
    id: u16,
    plan: &'a Plan,
    is_options: bool,
}

/// A record of fewer bytes than this may be padding, if it is all zeros to the end of the set.
const PADDING_LESS_THAN: usize = 4;

const UNDECODABLE: SetOutcome = SetOutcome { records: 0, is_undecodable: true };

impl Decoder {
    /// Decodes a data set, holds it, or skips it.
    pub(crate) fn data_set(
        &mut self,
        index: usize,
        id: u16,
        body: &[u8],
        message: &Message,
        budget: &mut usize,
        batch: &mut Batch,
    ) -> SetOutcome {
        let reason = match self.domains[index].templates.find(id, message.received_us, &self.settings) {
            Lookup::Found(template) => {
                let (plan, is_options) = (Arc::clone(&template.plan), template.definition.is_options);
                self.ledger.sets_decoded += 1;
                let set = Set { domain: index, id, plan: &plan, is_options };
                return self.records(&set, body, message, budget, batch);
            }
            Lookup::Missing => SetSkip::NoTemplate,
            Lookup::Expired => SetSkip::TemplateExpired,
            Lookup::Quarantined => SetSkip::Quarantined,
            Lookup::Invalid => SetSkip::InvalidTemplate,
        };
        self.summary.without_template += u64::from(matches!(reason, SetSkip::NoTemplate | SetSkip::TemplateExpired));
        let may_hold = reason == SetSkip::NoTemplate && !self.is_summary && self.settings.hold_seconds > 0;
        if may_hold {
            let set = HeldSet { message: *message, bytes: body.to_vec() };
            if self.held.hold(index, id, set, self.settings.held_sets, self.settings.held_bytes) {
                self.ledger.sets_held += 1;
                return UNDECODABLE;
            }
        }
        self.skip_set(index, reason);
        UNDECODABLE
    }

    /// Decodes what waited for a template that has come, as much of it as half a datagram may hold: the
    /// rest comes with the next datagrams of the template, so that none makes more records than its bound.
    pub(crate) fn decode_held(&mut self, index: usize, id: u16, batch: &mut Batch) {
        while self.records_left > self.settings.records_per_datagram / 2
            && let Some(set) = self.held.take_one(index, id)
        {
            self.ledger.sets_held -= 1;
            let mut budget = self.records_left;
            self.data_set(index, id, &set.bytes, &set.message, &mut budget, batch);
            self.records_left = budget;
        }
    }

    fn records(
        &mut self,
        set: &Set<'_>,
        mut body: &[u8],
        message: &Message,
        budget: &mut usize,
        batch: &mut Batch,
    ) -> SetOutcome {
        let &Set { domain: index, plan, is_options, .. } = set;
        if let Some(columns) = plan.columns.as_ref().filter(|columns| !is_options && !self.is_summary && columns.fits(message)) {
            return self.plain_records(set, columns, body, message, budget, batch);
        }
        let mut outcome = SetOutcome::default();
        let mut values = self.values.take().unwrap_or_default();
        let mut tally = Tally::default();
        let zeros = trailing_zeros(body);
        while body.len() >= plan.record_bytes {
            steps::count(1);
            if *budget == 0 {
                self.domains[index].counts.refuse("records_over_limit", 1);
                outcome.is_undecodable = true;
                break;
            }
            let Some((length, texts)) = plan.read(body, &mut values) else {
                self.domains[index].counts.refuse("record_beyond_set", 1);
                self.summary.malformed += 1;
                break;
            };
            if length < PADDING_LESS_THAN && body.len() <= zeros {
                break;
            }
            outcome.records += 1;
            let before = batch.records.len();
            if is_options {
                self.options_record(index, plan.slots, &values, texts, batch);
            } else {
                self.data_record(set, &values, texts, message, &mut tally, batch);
            }
            // A biflow counts double.
            *budget = budget.saturating_sub((batch.records.len() - before).max(1));
            body = &body[length..];
        }
        if body.iter().any(|byte| *byte != 0) && body.len() < plan.record_bytes {
            self.domains[index].counts.refuse("nonzero_padding", 1);
        }
        self.settle(index, &tally, message.received_us);
        plan.clear(&mut values);
        self.values = Some(values);
        outcome
    }

    /// The records of a plain template.
    fn plain_records(
        &mut self,
        set: &Set<'_>,
        columns: &Columns,
        body: &[u8],
        message: &Message,
        budget: &mut usize,
        batch: &mut Batch,
    ) -> SetOutcome {
        let stride = set.plan.record_bytes;
        let (count, first) = ((body.len() / stride).min(*budget), batch.records.len());
        steps::count(count * set.plan.slots.len());
        let is_over = count < body.len() / stride;
        *budget -= count;
        let domain = &self.domains[set.domain];
        let exporter = &self.exporters[domain.exporter];
        let (mut tally, mut has_refused) = (Tally::default(), false);
        // Windows of the last records would reach beyond the set: those are read from a copy.
        let near = if body.len() < WINDOW { 0 } else { count.min((body.len() - WINDOW) / stride + 1) };
        let last = &body[near * stride..count * stride];
        self.last_records.resize((last.len() + WINDOW).max(self.last_records.len()), 0);
        self.last_records[..last.len()].copy_from_slice(last);
        let blank = Record { exporter: exporter.id, domain: domain.number, ..Record::default() };
        batch.records.resize(first + count, blank);
        let (near_records, last_records) = batch.records[first..].split_at_mut(near);
        for (bytes, records) in [(body, near_records), (&self.last_records, last_records)] {
            for (place, record) in records.iter_mut().enumerate() {
                let Some(bytes) = bytes[place * stride..].first_chunk() else { break };
                let is_reversed = columns.read(bytes, message, record);
                // Refused ones are rare: they are taken out afterwards.
                if build::plausible(record, self.settings.packet_bytes).is_err() {
                    has_refused = true;
                    continue;
                }
                tally.ends_before_starts += u64::from(is_reversed);
                let stated = tally.sampling.find(set.id, columns.sampler(bytes), &exporter.samplers, record);
                record.sampling = exporter.rules.apply(record, stated);
                tally.add(record);
            }
        }
        if has_refused {
            self.refuse_records(set.domain, first, batch);
        }
        self.settle(set.domain, &tally, message.received_us);
        let counts = &mut self.domains[set.domain].counts;
        if is_over {
            counts.refuse("records_over_limit", 1);
        } else if body[count * stride..].iter().any(|byte| *byte != 0) {
            counts.refuse("nonzero_padding", 1);
        }
        SetOutcome { records: count as u32, is_undecodable: is_over }
    }

    /// Takes out the records from `first` on that are none of traffic.
    #[cold]
    fn refuse_records(&mut self, domain: usize, first: usize, batch: &mut Batch) {
        let mut kept = first;
        for place in first..batch.records.len() {
            match build::plausible(&batch.records[place], self.settings.packet_bytes) {
                Err(reason) => self.refuse_record(domain, reason),
                Ok(()) => {
                    batch.records.swap(kept, place);
                    kept += 1;
                }
            }
        }
        batch.records.truncate(kept);
    }

    /// Makes a record in place, at the end of the batch; one that is refused is taken off again.
    #[inline]
    fn data_record(
        &mut self,
        set: &Set<'_>,
        values: &Values,
        texts: Texts<'_>,
        message: &Message,
        tally: &mut Tally,
        batch: &mut Batch,
    ) {
        let slots = set.plan.slots;
        if self.is_summary {
            self.summarize(slots, values);
        }
        let domain = &mut self.domains[set.domain];
        let exporter = &self.exporters[domain.exporter];
        // An update carries what passed since the last one; the totals at the end repeat it.
        let event = values.get(Slot::FirewallEvent);
        domain.has_updates |= event == 5;
        if event == 2 && domain.has_updates {
            return self.refuse_record(set.domain, NoRecord::NotTraffic);
        }
        batch.records.push(Record { exporter: exporter.id, domain: domain.number, ..Record::default() });
        let Some(record) = batch.records.last_mut() else { return };
        let built = build::build(slots, values, texts, message, &mut domain.clock, &self.settings, record);
        if let Err(reason) = built {
            batch.records.pop();
            return self.refuse_record(set.domain, reason);
        }
        let stated = match record_sampling(slots, values) {
            stated if stated.is_known() => stated,
            _ => {
                let is_named = slots.has(Slot::SamplerId) || slots.has(Slot::SelectorId);
                let sampler = is_named.then(|| values.either(Slot::SamplerId, Slot::SelectorId));
                tally.sampling.find(set.id, sampler, &exporter.samplers, record)
            }
        };
        record.sampling = exporter.rules.apply(record, stated);
        tally.add(record);
        if !set.plan.latencies.is_empty() {
            let place = batch.records.len() as u32 - 1;
            batch.latencies.extend(set.plan.latencies.iter().filter_map(|measure| measure.read(slots, values, place)));
        }
        let Some(record) = batch.records.last() else { return };
        if let Some(reversed) = reverse(slots, values, message, record) {
            tally.add_reversed(&reversed);
            batch.records.push(reversed);
        }
    }

    /// Counts the records of a set; the measured timeout comes from the longest of them.
    pub(crate) fn settle(&mut self, index: usize, tally: &Tally, received_us: i64) {
        if tally.records == 0 {
            return;
        }
        let domain = &mut self.domains[index];
        let is_over_timeout = domain.timeout.observe(tally.longest_us, received_us);
        let counts = &mut domain.counts;
        counts.refuse("longer_than_timeout", u64::from(is_over_timeout));
        let ends_before_starts = std::mem::take(&mut domain.clock.ends_before_starts) + tally.ends_before_starts;
        counts.refuse("ends_before_starts", ends_before_starts);
        counts.refuse("impossible_times", tally.impossible_times);
        counts.records += tally.records;
        counts.bytes = counts.bytes.saturating_add(tally.bytes);
        counts.packets = counts.packets.saturating_add(tally.packets);
        counts.output_unknown += tally.output_unknown;
        counts.sampling_origins.iter_mut().zip(tally.sampling_origins).for_each(|(sum, count)| *sum += count);
        self.ledger.records += tally.records;
    }

    pub(crate) fn refuse_record(&mut self, index: usize, reason: NoRecord) {
        let reason = match reason {
            NoRecord::NotTraffic => RecordRefusal::NotTraffic,
            NoRecord::ZeroRecord => RecordRefusal::ZeroRecord,
            NoRecord::NoAddress => RecordRefusal::NoAddress,
            NoRecord::Implausible => RecordRefusal::Implausible,
        };
        self.ledger.records += 1;
        self.ledger.refuse_record(reason);
        let counts = &mut self.domains[index].counts;
        counts.records += 1;
        counts.refuse(reason.name(), 1);
    }

    fn summarize(&mut self, slots: SlotSet, values: &Values) {
        let summary = &mut self.summary;
        summary.data_records += 1;
        summary.bytes = summary.bytes.saturating_add(values.get(Slot::Bytes));
        summary.packets = summary.packets.saturating_add(values.get(Slot::Packets));
        let has_v6 = slots.has(Slot::SourceHigh) || slots.has(Slot::DestinationHigh);
        let is_v4 = is_v4(slots, values);
        summary.ipv4 += u64::from(is_v4);
        summary.ipv6 += u64::from(!is_v4 && has_v6);
    }
}

/// Zeros at the end: counted once, for asking of every place in a set whether only zeros follow would not be linear.
pub(crate) fn trailing_zeros(bytes: &[u8]) -> usize {
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    steps::count(zeros / 64);
    zeros
}

/// What the records of one set add up to.
#[derive(Default)]
pub(crate) struct Tally {
    records: u64,
    bytes: u64,
    packets: u64,
    output_unknown: u64,
    sampling_origins: [u64; 7],
    longest_us: i64,
    /// Records whose own times cannot be, or whose device's clock is not used.
    impossible_times: u64,
    ends_before_starts: u64,
    sampling: SamplingMemo,
}

impl Tally {
    #[inline]
    pub(crate) fn add(&mut self, record: &Record) {
        self.records += 1;
        self.output_unknown += u64::from(record.output == 0);
        self.sampling_origins[record.sampling.known_origin() as usize] += 1;
        self.longest_us = self.longest_us.max(record.end_us - record.start_us);
        self.impossible_times += u64::from(record.time_source == TimeSource::Received);
        self.add_reversed(record);
    }

    /// The reverse half of a biflow is part of a record that was counted.
    fn add_reversed(&mut self, record: &Record) {
        self.bytes = self.bytes.saturating_add(record.bytes);
        self.packets = self.packets.saturating_add(record.packets);
    }
}

/// The rates that were found last in a set: samplers do not change within one.
#[derive(Default)]
struct SamplingMemo {
    by_id: Option<(u64, Sampling)>,
    by_scope: Option<([u32; 2], Sampling)>,
}

impl SamplingMemo {
    /// What the exporter told of the rate of a record that does not tell it itself: that of the sampler
    /// which it names, else of its scope.
    #[inline]
    fn find(&mut self, template: u16, sampler: Option<u64>, samplers: &Samplers, record: &Record) -> Sampling {
        match (self.by_id, sampler) {
            (Some((of, found)), Some(id)) if of == id && found.is_known() => found,
            _ => self.look_up(template, sampler, samplers, record),
        }
    }

    fn look_up(&mut self, template: u16, sampler: Option<u64>, samplers: &Samplers, record: &Record) -> Sampling {
        if samplers.is_empty() {
            return Sampling::default();
        }
        if let Some(id) = sampler {
            let found = samplers.by_id(record.domain, id);
            self.by_id = Some((id, found));
            if found.is_known() {
                return found;
            }
        }
        let interfaces = [record.input, record.output];
        match self.by_scope {
            Some((of, found)) if of == interfaces => found,
            _ => self.by_scope.insert((interfaces, samplers.by_scope(record.domain, template, record.input, record.output))).1,
        }
    }
}
