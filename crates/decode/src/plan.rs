//! Templates, and the plans that they become.

use serde::{Deserialize, Serialize};

use crate::columns::Columns;
use crate::fields::{Slot, SlotSet, Values, is_length_valid, slot};
use crate::latency::{Given, LatencyElements, Measure};
use crate::steps;

/// Length that says: the value carries its own (RFC 7011, section 7).
pub(crate) const VARIABLE: u16 = u16::MAX;

/// A field of a template as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Field {
    pub(crate) enterprise: u32,
    pub(crate) element: u16,
    pub(crate) length: u16,
    /// The type of a version 9 scope, else 0 (RFC 3954, section 6.1).
    pub(crate) scope_type: u16,
}

/// Bytes that a load reads at once.
const WORD_BYTES: usize = 8;

/// Where a value lies: records are read in segments, fields of fixed length joined, each field of
/// variable length by itself. A record of fixed length is one segment.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: u16,
    /// Offset in the segment.
    at: u16,
}

/// A load of up to 8 bytes, big-endian, into a slot.
#[derive(Clone, Copy, Debug)]
struct Load {
    place: Place,
    /// Bits of the word that do not belong to the value.
    shift: u8,
    slot: Slot,
}

impl Load {
    fn new(place: Place, length: u16, slot: Slot) -> Load {
        Load { place, shift: 64 - 8 * length.clamp(1, 8) as u8, slot }
    }

    fn length(self) -> usize {
        WORD_BYTES - usize::from(self.shift / 8)
    }
}

/// What packet bytes a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Elements 104 and 315: from the link layer.
    Frame,
    /// Element 313: from the IP header.
    Ip,
}

/// A field of bytes that are no number.
#[derive(Clone, Copy, Debug)]
struct Text {
    place: Place,
    length: u16,
}

/// How the records of a template are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// By segment.
    loads: Vec<Load>,
    /// Lengths of the segments.
    segments: Vec<u16>,
    /// The field with packet bytes.
    section: Option<(Text, Section)>,
    /// The field with an interface's name (82, else 83).
    name: Option<Text>,
    /// The quicker way to read it, where it is plain.
    pub(crate) columns: Option<Columns>,
    /// What its records tell of latency.
    pub(crate) latencies: Vec<Measure>,
    pub(crate) slots: SlotSet,
    /// Least bytes of a record; variable-length fields take 1.
    pub(crate) record_bytes: usize,
}

/// The bytes of one record that are no numbers.
#[derive(Clone, Copy, Default)]
pub(crate) struct Texts<'a> {
    pub(crate) section: Option<(Section, &'a [u8])>,
    pub(crate) name: Option<&'a [u8]>,
}

impl Plan {
    /// Compiles a template; `None` if its records would have no bytes, or more than any datagram.
    pub(crate) fn compile(fields: &[Field], elements: &LatencyElements) -> Option<Plan> {
        let mut plan = Plan::default();
        let mut given = Given::default();
        for field in fields {
            let place = plan.place(field)?;
            plan.add(field, place, &mut given, elements);
        }
        plan.latencies = given.measures(elements, plan.slots);
        if plan.has_one_segment() && plan.section.is_none() {
            let loads = plan.loads.iter().map(|load| (usize::from(load.place.at), load.length(), load.slot));
            plan.columns = Columns::compile(plan.record_bytes, loads, plan.slots);
        }
        (plan.record_bytes > 0).then_some(plan)
    }

    /// Whether all its fields are of fixed length.
    fn has_one_segment(&self) -> bool {
        self.segments.len() == 1 && self.segments[0] != VARIABLE
    }

    /// Makes room for a field.
    fn place(&mut self, field: &Field) -> Option<Place> {
        if field.length == VARIABLE {
            self.record_bytes += 1;
            self.segments.push(VARIABLE);
            return Some(Place { segment: (self.segments.len() - 1) as u16, at: 0 });
        }
        self.record_bytes += usize::from(field.length);
        if self.segments.last().is_none_or(|length| *length == VARIABLE) {
            self.segments.push(0);
        }
        let segment = (self.segments.len() - 1) as u16;
        let length = self.segments.last_mut()?;
        let at = *length;
        *length = length.checked_add(field.length).filter(|length| *length != VARIABLE)?;
        Some(Place { segment, at })
    }

    fn add(&mut self, field: &Field, place: Place, given: &mut Given, elements: &LatencyElements) {
        let text = Text { place, length: field.length };
        match (field.enterprise, field.element) {
            (0, 104 | 315) if self.section.is_none() => self.section = Some((text, Section::Frame)),
            (0, 313) if self.section.is_none() => self.section = Some((text, Section::Ip)),
            (0, 82) => self.name = Some(text),
            (0, 83) => self.name = self.name.or(Some(text)),
            _ => {}
        }
        let slot = match field.scope_type {
            0 => slot(field.enterprise, field.element).or_else(|| given.give((field.enterprise, field.element), elements)),
            2 => Some(Slot::ScopeInterface),
            5 => Some(Slot::ScopeTemplate),
            _ => None,
        };
        // Of a repeated element the first counts: the outer header of an SRv6 record comes later.
        let Some(slot) =
            slot.filter(|slot| !self.slots.has(*slot) && (is_length_valid(*slot, field.length) || field.length == VARIABLE))
        else {
            return;
        };
        self.slots.insert(slot);
        self.loads.push(Load::new(place, field.length, slot));
        if let Some(low) = slot_low(slot) {
            self.slots.insert(low);
            self.loads.push(Load::new(Place { at: place.at + 8, ..place }, 8, low));
        }
    }

    /// Reads one record at the start of `bytes`: its values and how many bytes it takes; `None` when
    /// a value reaches beyond them.
    #[inline]
    pub(crate) fn read<'a>(&self, bytes: &'a [u8], values: &mut Values) -> Option<(usize, Texts<'a>)> {
        steps::count(1 + self.loads.len());
        if !self.has_one_segment() {
            return self.walk(bytes, values);
        }
        let record = bytes.get(..self.record_bytes)?;
        if bytes.len() >= self.record_bytes + WORD_BYTES {
            // Whole words can be read, whatever the length of the value.
            for load in &self.loads {
                if let Some(word) = bytes[usize::from(load.place.at)..].first_chunk::<WORD_BYTES>() {
                    values.0[load.slot as usize] = u64::from_be_bytes(*word) >> load.shift;
                }
            }
        } else {
            for load in &self.loads {
                values.0[load.slot as usize] = load_bytes(record, usize::from(load.place.at), load.length());
            }
        }
        let mut texts = Texts::default();
        if self.section.is_some() || self.name.is_some() {
            self.take_texts(0, record, &mut texts);
        }
        Some((self.record_bytes, texts))
    }

    /// Reads a record with variable-length fields, segment by segment.
    fn walk<'a>(&self, bytes: &'a [u8], values: &mut Values) -> Option<(usize, Texts<'a>)> {
        let mut at = 0;
        let mut loads = self.loads.iter().peekable();
        let mut texts = Texts::default();
        for (number, declared) in self.segments.iter().enumerate() {
            steps::count(1);
            let is_variable = *declared == VARIABLE;
            let length = if is_variable { variable_length(bytes, &mut at)? } else { usize::from(*declared) };
            let segment = bytes.get(at..at.checked_add(length)?)?;
            while let Some(load) = loads.next_if(|load| usize::from(load.place.segment) == number) {
                let offset = usize::from(load.place.at);
                // The second half of an address goes by the length of the first.
                let is_valid =
                    !is_variable || offset > 0 && length == 16 || offset == 0 && is_length_valid(load.slot, length as u16);
                let wanted = if is_variable { length.min(WORD_BYTES) } else { load.length() };
                values.0[load.slot as usize] = if is_valid { load_bytes(segment, offset, wanted) } else { 0 };
            }
            self.take_texts(number, segment, &mut texts);
            at += length;
        }
        Some((at, texts))
    }

    /// The texts that lie in a segment.
    fn take_texts<'a>(&self, number: usize, segment: &'a [u8], texts: &mut Texts<'a>) {
        let bytes = |text: Text| {
            let at = usize::from(text.place.at);
            let end = if text.length == VARIABLE { segment.len() } else { at + usize::from(text.length) };
            if usize::from(text.place.segment) == number { segment.get(at..end) } else { None }
        };
        if let Some((text, kind)) = self.section
            && let Some(bytes) = bytes(text)
        {
            texts.section = Some((kind, bytes));
        }
        if let Some(bytes) = self.name.and_then(bytes) {
            texts.name = Some(bytes);
        }
    }

    /// Sets what it has read back to 0, for the next plan.
    pub(crate) fn clear(&self, values: &mut Values) {
        self.loads.iter().for_each(|load| values.0[load.slot as usize] = 0);
    }

    /// Whether it reads nothing: the plan of a template that cannot be used.
    pub(crate) fn is_empty(&self) -> bool {
        self.record_bytes == 0
    }
}

/// The second slot of an address of 16 bytes.
fn slot_low(slot: Slot) -> Option<Slot> {
    Some(match slot {
        Slot::SourceHigh => Slot::SourceLow,
        Slot::DestinationHigh => Slot::DestinationLow,
        Slot::NextHopHigh => Slot::NextHopLow,
        Slot::BgpNextHopHigh => Slot::BgpNextHopLow,
        _ => return None,
    })
}

/// The length in front of a value: a byte, or 255 and two more.
fn variable_length(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let short = *bytes.get(*at)?;
    *at += 1;
    if short < u8::MAX {
        return Some(usize::from(short));
    }
    let long = bytes.get(*at..*at + 2)?;
    *at += 2;
    Some(usize::from(u16::from_be_bytes([long[0], long[1]])))
}

/// Up to 8 bytes, big-endian.
fn load_bytes(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes.iter().skip(at).take(length).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::SLOTS;

    fn field(element: u16, length: u16) -> Field {
        Field { enterprise: 0, element, length, scope_type: 0 }
    }

    #[track_caller]
    fn check(fields: &[Field], bytes: &[u8], expected: Option<(usize, &[(Slot, u64)])>) {
        let plan = Plan::compile(fields, &LatencyElements::default()).unwrap();
        let mut values = Values([0; SLOTS]);
        let read = plan.read(bytes, &mut values);
        assert_eq!(read.map(|(length, _)| length), expected.map(|(length, _)| length));
        for (slot, value) in expected.map(|(_, values)| values).unwrap_or_default() {
            assert_eq!(values.get(*slot), *value, "{slot:?}");
        }
    }

    #[test]
    fn reduced_sizes_and_the_end_of_the_datagram() {
        check(&[field(1, 3), field(2, 1)], &[1, 2, 3, 4], Some((4, &[(Slot::Bytes, 0x01_0203), (Slot::Packets, 4)])));
        check(&[field(1, 8)], &[0, 0, 0, 0, 0, 0, 1, 0, 9, 9], Some((8, &[(Slot::Bytes, 256)])));
        check(&[field(1, 4)], &[0, 0, 0], None);
        // An address must not be reduced: it is left out, the rest is read.
        check(&[field(8, 3), field(1, 1)], &[1, 2, 3, 4], Some((4, &[(Slot::Source4, 0), (Slot::Bytes, 4)])));
    }

    #[test]
    fn variable_lengths_short_and_long() {
        let fields = [field(371, VARIABLE), field(1, 2)];
        check(&fields, &[0, 1, 2], Some((3, &[(Slot::Bytes, 0x0102)])));
        check(&fields, &[2, 7, 7, 1, 2], Some((5, &[(Slot::Bytes, 0x0102)])));
        check(&fields, &[255, 0, 2, 7, 7, 1, 2], Some((7, &[(Slot::Bytes, 0x0102)])));
        check(&fields, &[9, 7, 7, 1, 2], None);
        check(&fields, &[255, 0], None);
        // An address may have a length in front; of another length it is none.
        let address = [field(27, VARIABLE), field(1, 1)];
        let bytes = [16, 0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 7];
        check(&address, &bytes, Some((18, &[(Slot::SourceHigh, 0x2001 << 48), (Slot::SourceLow, 9), (Slot::Bytes, 7)])));
        check(&address, &[1, 5, 7], Some((3, &[(Slot::SourceHigh, 0), (Slot::SourceLow, 0), (Slot::Bytes, 7)])));
    }

    #[test]
    fn fields_without_bytes_cost_nothing() {
        let mut fields = vec![field(371, VARIABLE), field(1, 1)];
        fields.extend(vec![field(4, 0); 200]);
        fields.push(field(2, 1));
        steps::start();
        check(&fields, &[0, 3, 4], Some((3, &[(Slot::Bytes, 3), (Slot::Packets, 4)])));
        assert!(steps::taken() <= 5, "{}", steps::taken());
    }

    #[test]
    fn of_repeated_elements_the_first_counts_and_no_record_is_empty() {
        check(&[field(1, 1), field(1, 1)], &[5, 6], Some((2, &[(Slot::Bytes, 5)])));
        assert!(Plan::compile(&[field(1, 0), field(2, 0)], &LatencyElements::default()).is_none());
        assert!(Plan::compile(&[], &LatencyElements::default()).is_none());
        assert!(Plan::compile(&[field(1, 40_000), field(2, 40_000)], &LatencyElements::default()).is_none());
    }
}
