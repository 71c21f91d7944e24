//! Data records by their plans: sampled, timed, counted, emitted.

use std::sync::Arc;

use model::ledger::{RecordRefusal, SetSkip};
use model::{Batch, Record, Sampling};

use crate::Decoder;
use crate::build::{self, Message, NoRecord, is_v4, record_sampling, reverse};
use crate::fields::{SLOTS, Slot, SlotSet, Values};
use crate::held::HeldSet;
use crate::plan::{Plan, Texts};
use crate::sampling::Samplers;
use crate::settings::ExporterRules;
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

/// A record as its plan has read it.
#[derive(Clone, Copy)]
struct Read<'a> {
    template: u16,
    slots: SlotSet,
    values: &'a Values,
    texts: Texts<'a>,
}

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
            let set = HeldSet { domain: index, id, message: *message, bytes: body.to_vec() };
            if self.held.hold(set, self.settings.held_sets, self.settings.held_bytes) {
                self.ledger.sets_held += 1;
                return UNDECODABLE;
            }
        }
        self.skip_set(index, reason);
        UNDECODABLE
    }

    /// Decodes what waited for a template that has just come.
    pub(crate) fn decode_held(&mut self, index: usize, id: u16, batch: &mut Batch) {
        for set in self.held.take(index, id) {
            self.ledger.sets_held -= 1;
            let mut budget = self.settings.records_per_datagram;
            self.data_set(set.domain, set.id, &set.bytes, &set.message, &mut budget, batch);
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
        let &Set { domain: index, id, plan, is_options } = set;
        let mut outcome = SetOutcome::default();
        let mut values = Values([0; SLOTS]);
        while body.len() >= plan.record_bytes {
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
            let is_padding =
                body[..length].iter().all(|byte| *byte == 0) && body[length..].iter().all(|byte| *byte == 0) && length < 4;
            if is_padding {
                break;
            }
            *budget -= 1;
            outcome.records += 1;
            if is_options {
                self.options_record(index, plan.slots, &values, texts, batch);
            } else {
                self.data_record(index, &Read { template: id, slots: plan.slots, values: &values, texts }, message, batch);
            }
            body = &body[length..];
        }
        if body.iter().any(|byte| *byte != 0) && body.len() < plan.record_bytes {
            self.domains[index].counts.refuse("nonzero_padding", 1);
        }
        outcome
    }

    fn data_record(&mut self, index: usize, read: &Read<'_>, message: &Message, batch: &mut Batch) {
        let Read { template, slots, values, texts } = *read;
        self.summarize(slots, values);
        let domain = &mut self.domains[index];
        let exporter = &self.exporters[domain.exporter];
        let mut record = Record { exporter: exporter.id, domain: domain.number, ..Record::default() };
        let packet_bytes = self.settings.packet_bytes;
        // An update carries what passed since the last one; the totals at the end repeat it.
        let event = values.get(Slot::FirewallEvent);
        domain.has_updates |= event == 5;
        let is_repeated = event == 2 && domain.has_updates;
        let built = build::build(slots, values, texts, message, &mut domain.clock, packet_bytes, &mut record);
        let built = if is_repeated { Err(NoRecord::NotTraffic) } else { built };
        if let Err(reason) = built {
            return self.refuse_record(index, reason);
        }
        record.sampling = sampling(slots, values, &exporter.samplers, &exporter.rules, template, &record);
        let reversed = reverse(slots, values, &record);
        self.emit(index, record, message.received_us, batch);
        if let Some(record) = reversed {
            let counts = &mut self.domains[index].counts;
            (counts.bytes, counts.packets) = (counts.bytes + record.bytes, counts.packets + record.packets);
            batch.records.push(record);
        }
    }

    /// Counts a record and hands it on; the measured timeout comes from it too.
    pub(crate) fn emit(&mut self, index: usize, record: Record, received_us: i64, batch: &mut Batch) {
        let domain = &mut self.domains[index];
        domain.timeout.observe(record.end_us - record.start_us, received_us);
        let counts = &mut domain.counts;
        counts.records += 1;
        counts.bytes += record.bytes;
        counts.packets += record.packets;
        counts.output_unknown += u64::from(record.output == 0);
        counts.rate_unknown += u64::from(!record.sampling.is_known());
        self.ledger.records += 1;
        batch.records.push(record);
    }

    fn refuse_record(&mut self, index: usize, reason: NoRecord) {
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

/// The rate of a record: its own elements, its sampler, its scope, then the configuration.
fn sampling(
    slots: SlotSet,
    values: &Values,
    samplers: &Samplers,
    rules: &ExporterRules,
    template: u16,
    record: &Record,
) -> Sampling {
    let mut stated = record_sampling(slots, values);
    if !stated.is_known() && !samplers.is_empty() {
        let names_sampler = slots.has(Slot::SamplerId) || slots.has(Slot::SelectorId);
        if names_sampler {
            stated = samplers.by_id(record.domain, values.either(Slot::SamplerId, Slot::SelectorId));
        }
        if !stated.is_known() {
            stated = samplers.by_scope(record.domain, template, record.input, record.output);
        }
    }
    rules.apply(record, stated)
}
