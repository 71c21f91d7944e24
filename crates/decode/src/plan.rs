//! Templates, and the plans that they become.

use serde::{Deserialize, Serialize};

use crate::fields::{Slot, SlotSet, Values, is_length_valid, slot};

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

/// A load of up to 8 bytes, big-endian, into a slot.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// Offset in a record of fixed length; else the number of the field.
    at: u16,
    /// Bytes into a field of a record of variable length, for the second half of an address.
    skip: u8,
    /// Bits of the word that do not belong to the value.
    shift: u8,
    slot: Slot,
}

impl Load {
    fn new(at: u16, skip: u8, length: u8, slot: Slot) -> Load {
        Load { at, skip, shift: 64 - 8 * length.clamp(1, 8), slot }
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

/// How the records of a template are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    loads: Vec<Load>,
    /// Fields with a length of their own are among them: fields are walked, not addressed.
    lengths: Option<Vec<u16>>,
    /// The field with packet bytes.
    section: Option<(u16, Section)>,
    /// The field with an interface's name (82, else 83).
    name: Option<u16>,
    /// Offsets of the fields in a record of fixed length.
    offsets: Vec<u16>,
    /// Lengths of the fields.
    field_lengths: Vec<u16>,
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
    /// Compiles a template; `None` if its records would have no bytes.
    pub(crate) fn compile(fields: &[Field]) -> Option<Plan> {
        let is_variable = fields.iter().any(|field| field.length == VARIABLE);
        let mut plan = Plan {
            loads: Vec::new(),
            lengths: is_variable.then(|| fields.iter().map(|field| field.length).collect()),
            section: None,
            name: None,
            offsets: Vec::new(),
            field_lengths: fields.iter().map(|field| field.length).collect(),
            slots: SlotSet::default(),
            record_bytes: 0,
        };
        for (index, field) in fields.iter().enumerate() {
            let at = if is_variable { index } else { plan.record_bytes };
            plan.offsets.push(plan.record_bytes.min(usize::from(u16::MAX)) as u16);
            plan.record_bytes += if field.length == VARIABLE { 1 } else { usize::from(field.length) };
            plan.add(field, index as u16, u16::try_from(at).ok()?);
        }
        (plan.record_bytes > 0).then_some(plan)
    }

    /// Sets what it has read back to 0, for the next plan.
    pub(crate) fn clear(&self, values: &mut Values) {
        self.loads.iter().for_each(|load| values.0[load.slot as usize] = 0);
    }

    /// Whether it reads nothing: the plan of a template that cannot be used.
    pub(crate) fn is_empty(&self) -> bool {
        self.record_bytes == 0
    }

    fn add(&mut self, field: &Field, index: u16, at: u16) {
        match (field.enterprise, field.element) {
            (0, 104 | 315) if self.section.is_none() => self.section = Some((index, Section::Frame)),
            (0, 313) if self.section.is_none() => self.section = Some((index, Section::Ip)),
            (0, 82) => self.name = Some(index),
            (0, 83) => self.name = self.name.or(Some(index)),
            _ => {}
        }
        let slot = match field.scope_type {
            0 => slot(field.enterprise, field.element),
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
        let Some(low) = slot_low(slot) else {
            return self.loads.push(Load::new(at, 0, field.length.min(8) as u8, slot));
        };
        self.slots.insert(low);
        self.loads.push(Load::new(at, 0, 8, slot));
        match at.checked_add(8) {
            Some(second) if self.lengths.is_none() => self.loads.push(Load::new(second, 0, 8, low)),
            _ => self.loads.push(Load::new(at, 8, 8, low)),
        }
    }

    /// Reads one record at the start of `bytes`: its values and how many bytes it takes; `None` when
    /// a value reaches beyond them.
    #[inline]
    pub(crate) fn read<'a>(&self, bytes: &'a [u8], values: &mut Values) -> Option<(usize, Texts<'a>)> {
        match &self.lengths {
            None if bytes.len() >= self.record_bytes + WORD_BYTES => {
                // Whole words can be read, whatever the length of the value.
                for load in &self.loads {
                    let at = usize::from(load.at);
                    if let Some(word) = bytes[at..].first_chunk::<WORD_BYTES>() {
                        values.0[load.slot as usize] = u64::from_be_bytes(*word) >> load.shift;
                    }
                }
                Some((self.record_bytes, self.fixed_texts(bytes)))
            }
            None if bytes.len() >= self.record_bytes => {
                for load in &self.loads {
                    values.0[load.slot as usize] = load_bytes(bytes, usize::from(load.at), load.length());
                }
                Some((self.record_bytes, self.fixed_texts(bytes)))
            }
            None => None,
            Some(lengths) => self.walk(lengths, bytes, values),
        }
    }

    #[inline]
    fn fixed_texts<'a>(&self, bytes: &'a [u8]) -> Texts<'a> {
        if self.section.is_none() && self.name.is_none() {
            return Texts::default();
        }
        let field = |index: u16| {
            let at = usize::from(self.offsets[usize::from(index)]);
            bytes.get(at..at + usize::from(self.field_lengths[usize::from(index)]))
        };
        Texts { section: self.section.and_then(|(index, kind)| Some((kind, field(index)?))), name: self.name.and_then(field) }
    }

    /// Reads a record with variable-length fields, field by field.
    fn walk<'a>(&self, lengths: &[u16], bytes: &'a [u8], values: &mut Values) -> Option<(usize, Texts<'a>)> {
        let mut at = 0;
        let mut loads = self.loads.iter().peekable();
        let mut texts = Texts::default();
        for (index, declared) in lengths.iter().enumerate() {
            let length = if *declared == VARIABLE { variable_length(bytes, &mut at)? } else { usize::from(*declared) };
            let field = bytes.get(at..at.checked_add(length)?)?;
            while let Some(load) = loads.next_if(|load| usize::from(load.at) == index) {
                let wanted = if *declared == VARIABLE { length.min(WORD_BYTES) } else { load.length() };
                let is_valid = load.skip > 0 || is_length_valid(load.slot, length as u16);
                values.0[load.slot as usize] = if is_valid { load_bytes(field, usize::from(load.skip), wanted) } else { 0 };
            }
            if let Some((wanted, kind)) = self.section
                && usize::from(wanted) == index
            {
                texts.section = Some((kind, field));
            }
            if self.name == Some(index as u16) {
                texts.name = Some(field);
            }
            at += length;
        }
        Some((at, texts))
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
        let plan = Plan::compile(fields).unwrap();
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
    }

    #[test]
    fn of_repeated_elements_the_first_counts_and_no_record_is_empty() {
        check(&[field(1, 1), field(1, 1)], &[5, 6], Some((2, &[(Slot::Bytes, 5)])));
        assert!(Plan::compile(&[field(1, 0), field(2, 0)]).is_none());
        assert!(Plan::compile(&[]).is_none());
    }
}
