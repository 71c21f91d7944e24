//! NetFlow version 9 (RFC 3954) and IPFIX (RFC 7011): messages, sets and template definitions.

use std::net::SocketAddr;

use model::ledger::{DatagramRefusal, SetSkip};
use model::{Address, Batch, Protocol};

use crate::Decoder;
use crate::build::Message;
use crate::data::{SetOutcome, trailing_zeros};
use crate::plan::{Field, VARIABLE};
use crate::recent::mark;
use crate::steps;
use crate::templates::{Defined, Definition, Room};

const V9_HEADER_BYTES: usize = 20;
const IPFIX_HEADER_BYTES: usize = 16;
const SET_HEADER_BYTES: usize = 4;
/// Marks an IPFIX element as an enterprise's.
const ENTERPRISE_BIT: u16 = 1 << 15;
/// Smallest id of a template and its data sets.
const TEMPLATE_ID_LEAST: u16 = 256;
/// Stands for a version 9 scope that is no element and no interface or template.
const OTHER_SCOPE: u16 = u16::MAX;

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Why template definitions cannot be read on.
enum TemplateFault {
    /// They contradict the length of their set.
    Malformed,
    /// One cannot be used; the rest was.
    Invalid,
}

impl Decoder {
    /// A version 9 datagram: bytes decide how many sets there are, the header's count does not.
    pub(crate) fn netflow_9(
        &mut self,
        received_us: i64,
        source: SocketAddr,
        payload: &[u8],
        batch: &mut Batch,
    ) -> Result<(), DatagramRefusal> {
        let header = |at| word(payload, at).ok_or(DatagramRefusal::Truncated);
        let (uptime_ms, export_s, sequence, number) = (header(4)?, header(8)?, header(12)?, header(16)?);
        let index = self.domain(Address::from(source.ip()), source.port(), Protocol::NetflowV9, number, batch)?;
        let domain = &mut self.domains[index];
        let mark = mark(payload);
        if domain.sequence.is_copy(sequence, mark) {
            domain.counts.duplicates += 1;
            if !self.is_summary {
                return Err(DatagramRefusal::Duplicate);
            }
        }
        let order = domain.sequence.observe(sequence, 1, Some(uptime_ms), mark);
        domain.counts.order(order);
        domain.counts.datagrams += 1;
        let message = self.message(index, received_us, i64::from(export_s) * 1_000_000, Some(uptime_ms), false);
        self.sets(index, &payload[V9_HEADER_BYTES..], &message, batch);
        Ok(())
    }

    /// An IPFIX datagram: one message, or several one after the other.
    ///
    /// A message whose length or sets contradict its bytes is discarded whole (RFC 7011, section 9.1).
    pub(crate) fn ipfix(
        &mut self,
        received_us: i64,
        source: SocketAddr,
        payload: &[u8],
        batch: &mut Batch,
    ) -> Result<(), DatagramRefusal> {
        let mut rest = payload;
        let mut is_first = true;
        loop {
            let length = usize::from(half(rest, 2).ok_or(DatagramRefusal::Truncated)?);
            let is_whole = (IPFIX_HEADER_BYTES..=rest.len()).contains(&length);
            let decoded = match is_whole.then(|| rest.split_at(length)) {
                None => Err(DatagramRefusal::Truncated),
                Some((message, behind)) => {
                    rest = behind;
                    self.ipfix_message(received_us, source, message, is_first, batch)
                }
            };
            match decoded {
                Err(reason) if is_first => return Err(reason),
                Err(_) => return Ok(()),
                Ok(index) if rest.is_empty() || !rest.starts_with(&[0, 10]) => {
                    self.domains[index].counts.refuse("trailing_bytes", rest.len() as u64);
                    return Ok(());
                }
                Ok(_) => is_first = false,
            }
        }
    }

    fn ipfix_message(
        &mut self,
        received_us: i64,
        source: SocketAddr,
        message: &[u8],
        is_first: bool,
        batch: &mut Batch,
    ) -> Result<usize, DatagramRefusal> {
        let header = |at| word(message, at).ok_or(DatagramRefusal::Truncated);
        let (export_s, sequence, number) = (header(4)?, header(8)?, header(12)?);
        let body = &message[IPFIX_HEADER_BYTES..];
        if !has_whole_sets(body) {
            return Err(DatagramRefusal::Malformed);
        }
        let index = self.domain(Address::from(source.ip()), source.port(), Protocol::Ipfix, number, batch)?;
        let mark = mark(message);
        if self.domains[index].sequence.is_copy(sequence, mark) {
            self.domains[index].counts.duplicates += 1;
            // A summary counts datagrams that come twice; no datagram has reason to say a thing twice.
            if !self.is_summary || !is_first {
                return Err(DatagramRefusal::Duplicate);
            }
        }
        let is_of_file = is_of_file(source);
        let common = self.message(index, received_us, i64::from(export_s) * 1_000_000, None, is_of_file);
        let outcome = self.sets(index, body, &common, batch);
        let domain = &mut self.domains[index];
        let order = domain.sequence.observe(sequence, outcome.records, None, mark);
        domain.counts.order(order);
        domain.counts.datagrams += u64::from(is_first);
        if outcome.is_undecodable {
            domain.sequence.resync();
        }
        Ok(index)
    }

    fn message(&mut self, index: usize, received_us: i64, export_us: i64, uptime_ms: Option<u32>, is_of_file: bool) -> Message {
        let (offset_most, age) = (self.settings.clock_offset_seconds * 1_000_000, self.settings.record_age_seconds * 1_000_000);
        let domain = &mut self.domains[index];
        let correction = domain.clock.observe(export_us, received_us, offset_most, age);
        domain.is_clock_refused = correction.is_refused;
        Message { received_us, export_us, uptime_ms, correction, is_of_file }
    }

    /// The sets of a message, in wire order; a version 9 set that reaches beyond the datagram ends it.
    fn sets(&mut self, index: usize, mut body: &[u8], message: &Message, batch: &mut Batch) -> SetOutcome {
        let mut outcome = SetOutcome::default();
        while body.len() >= SET_HEADER_BYTES {
            let (Some(id), Some(length)) = (half(body, 0), half(body, 2).map(usize::from)) else { break };
            if id == 0 && length == 0 {
                // Zeros to the end: padding of the datagram.
                break;
            }
            self.ledger.sets_seen += 1;
            steps::count(1);
            if length < SET_HEADER_BYTES || length > body.len() {
                if length > body.len() && id < TEMPLATE_ID_LEAST {
                    // What is whole of it is as good as any other definition.
                    self.read_definitions(index, id, &body[SET_HEADER_BYTES..], message, batch);
                }
                self.skip_set(index, SetSkip::Malformed);
                outcome.is_undecodable = true;
                break;
            }
            let (set, behind) = body.split_at(length);
            body = behind;
            let one = self.set(index, id, &set[SET_HEADER_BYTES..], message, batch);
            outcome.records += one.records;
            outcome.is_undecodable |= one.is_undecodable;
        }
        outcome
    }

    fn set(&mut self, index: usize, id: u16, body: &[u8], message: &Message, batch: &mut Batch) -> SetOutcome {
        if id >= TEMPLATE_ID_LEAST {
            if !self.held.is_empty() && self.domains[index].templates.knows(id) {
                self.decode_held(index, id, batch);
            }
            let mut budget = self.records_left;
            let outcome = self.data_set(index, id, body, message, &mut budget, batch);
            self.records_left = budget;
            return outcome;
        }
        match self.read_definitions(index, id, body, message, batch) {
            None => self.skip_set(index, SetSkip::Reserved),
            Some(Ok(())) => self.ledger.sets_decoded += 1,
            Some(Err(TemplateFault::Malformed)) => self.skip_set(index, SetSkip::Malformed),
            Some(Err(TemplateFault::Invalid)) => self.skip_set(index, SetSkip::InvalidTemplate),
        }
        SetOutcome::default()
    }

    /// The definitions of a set of templates; `None` for any other set.
    fn read_definitions(
        &mut self,
        index: usize,
        id: u16,
        body: &[u8],
        message: &Message,
        batch: &mut Batch,
    ) -> Option<Result<(), TemplateFault>> {
        match (id, self.domains[index].protocol == Protocol::Ipfix) {
            (0, false) | (2, true) => Some(self.templates(index, body, message, false, batch)),
            (1, false) | (3, true) => Some(self.templates(index, body, message, true, batch)),
            _ => None,
        }
    }

    /// The definitions of a template set; one that is cut off leaves nothing behind.
    fn templates(
        &mut self,
        index: usize,
        mut body: &[u8],
        message: &Message,
        is_options: bool,
        batch: &mut Batch,
    ) -> Result<(), TemplateFault> {
        let is_ipfix = self.domains[index].protocol == Protocol::Ipfix;
        let mut is_invalid = false;
        let zeros = trailing_zeros(body);
        while body.len() >= SET_HEADER_BYTES && body.len() > zeros {
            let id = half(body, 0).ok_or(TemplateFault::Malformed)?;
            if is_ipfix && half(body, 2) == Some(0) {
                self.withdraw(index, id, message);
                body = &body[SET_HEADER_BYTES..];
                continue;
            }
            let (fields, scopes) = if is_ipfix {
                ipfix_fields(&mut body, is_options)
            } else if is_options {
                v9_option_fields(&mut body)
            } else {
                v9_fields(&mut body)
            }
            .ok_or(TemplateFault::Malformed)?;
            steps::count(1 + fields.len());
            *(if is_options { &mut self.summary.option_templates } else { &mut self.summary.templates }) += 1;
            // Version 9 has no variable length (RFC 3954): 65535 would be a length that no datagram holds.
            let is_usable = is_ipfix || fields.iter().all(|field| field.length != VARIABLE);
            let definition = Definition { fields, scopes, is_options, is_usable, export_us: message.export_us };
            is_invalid |= id < TEMPLATE_ID_LEAST || !self.define(index, id, definition, message, batch);
        }
        if is_invalid { Err(TemplateFault::Invalid) } else { Ok(()) }
    }

    /// A withdrawal: over UDP it is ignored, in a file it takes back a template, or all of a kind (RFC 7011,
    /// sections 8.1 and 8.4; RFC 5655, section 5).
    fn withdraw(&mut self, index: usize, id: u16, message: &Message) {
        let domain = &mut self.domains[index];
        if !message.is_of_file {
            return domain.counts.refuse("withdrawals_ignored", 1);
        }
        let fields = domain.templates.fields();
        let withdrawn = domain.templates.withdraw(id);
        self.exporters[domain.exporter].templates -= withdrawn;
        self.template_fields -= fields - domain.templates.fields();
        domain.are_templates_changed = true;
    }

    /// Takes a definition in; gives whether it can be used.
    fn define(&mut self, index: usize, id: u16, definition: Definition, message: &Message, batch: &mut Batch) -> bool {
        match self.define_template(index, id, definition, message.received_us) {
            Defined::Changed => {
                self.decode_held(index, id, batch);
                true
            }
            Defined::Refreshed => true,
            Defined::Outdated => {
                self.domains[index].counts.refuse("templates_outdated", 1);
                true
            }
            Defined::Invalid => false,
            Defined::Refused => {
                self.domains[index].counts.refuse("templates_over_limit", 1);
                true
            }
        }
    }

    /// Takes a definition in, within the bounds of its domain, its exporter, and all together.
    pub(crate) fn define_template(&mut self, index: usize, id: u16, definition: Definition, now_us: i64) -> Defined {
        let domain = &mut self.domains[index];
        let exporter = &mut self.exporters[domain.exporter];
        let room = Room {
            templates: self.settings.templates_per_exporter.saturating_sub(exporter.templates),
            fields: if exporter.is_reserved {
                usize::MAX
            } else {
                self.settings.template_fields.saturating_sub(self.template_fields)
            },
        };
        let templates = &mut domain.templates;
        let (count, fields) = (templates.len(), templates.fields());
        let defined = templates.define(id, definition, now_us, room, &self.settings, &self.latency_elements);
        exporter.templates = exporter.templates + templates.len() - count;
        self.template_fields = self.template_fields + templates.fields() - fields;
        domain.are_templates_changed = true;
        domain.counts.refuse("templates_fallen_off", domain.templates.take_fell_off());
        defined
    }
}

/// Whether a message is of an IPFIX file: nobody sent those, and no datagram comes from port 0 of no address.
fn is_of_file(source: SocketAddr) -> bool {
    source.ip().is_unspecified() && source.port() == 0
}

/// Whether the sets fill the message: each length possible, at most 3 bytes or zeros behind the last.
fn has_whole_sets(mut body: &[u8]) -> bool {
    while body.len() >= SET_HEADER_BYTES {
        steps::count(1);
        let Some(length) = half(body, 2).map(usize::from) else { return false };
        if length < SET_HEADER_BYTES || length > body.len() {
            return body.iter().all(|byte| *byte == 0);
        }
        body = &body[length..];
    }
    true
}

/// Id, field count and fields of an IPFIX template; with a scope count if it is an options template.
fn ipfix_fields(body: &mut &[u8], is_options: bool) -> Option<(Vec<Field>, u16)> {
    let count = half(body, 2)?;
    let scopes = if is_options { half(body, 4)? } else { 0 };
    let mut at = if is_options { 6 } else { 4 };
    let mut fields = Vec::with_capacity(usize::from(count).min(body.len() / 4));
    for _ in 0..count {
        let (element, length) = (half(body, at)?, half(body, at + 2)?);
        at += 4;
        let mut enterprise = 0;
        if element & ENTERPRISE_BIT != 0 {
            enterprise = word(body, at)?;
            at += 4;
        }
        fields.push(Field { enterprise, element: element & !ENTERPRISE_BIT, length, scope_type: 0 });
    }
    *body = &body[at..];
    (scopes <= count).then_some((fields, scopes))
}

/// Id, field count and fields of a version 9 template.
fn v9_fields(body: &mut &[u8]) -> Option<(Vec<Field>, u16)> {
    let count = usize::from(half(body, 2)?);
    let fields = v9_field_list(body, 4, count)?;
    *body = &body[4 + 4 * count..];
    Some((fields, 0))
}

/// Id, bytes of scopes, bytes of options, and both lists (RFC 3954, section 6.1).
fn v9_option_fields(body: &mut &[u8]) -> Option<(Vec<Field>, u16)> {
    let (scope_bytes, option_bytes) = (usize::from(half(body, 2)?), usize::from(half(body, 4)?));
    if scope_bytes % 4 != 0 || option_bytes % 4 != 0 {
        return None;
    }
    let mut fields = v9_field_list(body, 6, scope_bytes / 4)?;
    for scope in &mut fields {
        scope.scope_type = if matches!(scope.element, 2 | 5) { scope.element } else { OTHER_SCOPE };
    }
    fields.extend(v9_field_list(body, 6 + scope_bytes, option_bytes / 4)?);
    *body = &body[6 + scope_bytes + option_bytes..];
    Some((fields, (scope_bytes / 4) as u16))
}

fn v9_field_list(body: &[u8], at: usize, count: usize) -> Option<Vec<Field>> {
    let bytes = body.get(at..at + 4 * count)?;
    let field = |bytes: &[u8]| Some(Field { enterprise: 0, element: half(bytes, 0)?, length: half(bytes, 2)?, scope_type: 0 });
    bytes.chunks_exact(4).map(field).collect()
}
