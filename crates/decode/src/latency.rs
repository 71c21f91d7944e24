//! Elements in which exporters tell how long packets took.
//!
//! A template that has none of them costs nothing: only such templates get slots for them, and are read the
//! general way. Version 9 numbers of an enterprise are those of IPFIX and an offset, without the enterprise.

use hashbrown::HashSet;
use model::latency::{Derivation, ElementNumber, LatencyElement, Path, RecordLatency};
use model::segment::flags;

use crate::fields::{LATENCY_SLOTS, Slot, SlotSet, Values, slot};

/// Enterprise numbers, and what version 9 adds to their elements.
const CISCO: u32 = 9;
const CISCO_V9: u16 = 32_768;
const NTOP: u32 = 35_632;
const NTOP_V9: u16 = 57_472;
const FLOWMON: u32 = 39_499;
const CERT: u32 = 6_871;
const VMWARE: u32 = 6_876;
const NETSCALER: u32 = 5_951;
const IXIA: u32 = 3_054;

const MILLISECOND_US: u64 = 1_000;
const PROTOCOL_TCP: u8 = 6;

/// The elements that are known, in the order in which they are looked for.
#[derive(Clone, Debug)]
pub struct LatencyElements {
    elements: Vec<LatencyElement>,
    /// All numbers that any of them needs.
    numbers: HashSet<ElementNumber>,
}

impl Default for LatencyElements {
    fn default() -> LatencyElements {
        LatencyElements::new(Vec::new())
    }
}

impl LatencyElements {
    /// The built-in elements; `more` go before them, and take the place of those with the same number.
    pub fn new(more: Vec<LatencyElement>) -> LatencyElements {
        let mut elements = more;
        let known = builtin().into_iter().filter(|known| elements.iter().all(|more| more.element != known.element));
        let known: Vec<LatencyElement> = known.collect();
        elements.extend(known);
        let numbers = elements.iter().flat_map(|element| {
            let bounds = element.least.into_iter().chain(element.most);
            std::iter::once(element.element).chain(element.counts.iter().copied()).chain(bounds)
        });
        LatencyElements { numbers: numbers.collect(), elements }
    }

    /// Whether a template needs an element that no other slot takes.
    pub(crate) fn needs(&self, number: ElementNumber) -> bool {
        self.numbers.contains(&number) && slot(number.0, number.1).is_none()
    }
}

/// One value: its element, part of the way, unit in µs.
fn value(element: ElementNumber, path: Path, unit_us: u64) -> LatencyElement {
    LatencyElement {
        element,
        path,
        unit_us,
        is_half: false,
        is_of_handshake: true,
        is_mean: false,
        counts: Vec::new(),
        least: None,
        most: None,
    }
}

/// A sum of Cisco's application response time (AVC): sum, largest and least follow each other; counted by new connections.
fn cisco(enterprise: u32, offset: u16, sum: u16, path: Path) -> LatencyElement {
    let at = |number: u16| (enterprise, number + offset);
    LatencyElement {
        is_of_handshake: false,
        counts: vec![at(9_282), (0, 278)],
        most: Some(at(sum + 1)),
        least: Some(at(sum + 2)),
        ..value(at(sum), path, MILLISECOND_US)
    }
}

/// On-path delay (RFC 9951), counted by the packets of the record.
fn on_path(element: u16, is_mean: bool) -> LatencyElement {
    LatencyElement {
        is_of_handshake: false,
        is_mean,
        counts: vec![(0, 2)],
        least: Some((0, 531)),
        most: Some((0, 532)),
        ..value((0, element), Path::OneWay, 1)
    }
}

fn builtin() -> Vec<LatencyElement> {
    let half = |element, path| LatencyElement { is_half: true, ..value(element, path, MILLISECOND_US) };
    let average = |element, path, unit_us| LatencyElement { is_of_handshake: false, ..value(element, path, unit_us) };
    let mut elements = vec![
        // nProbe: halves of the handshake's round trips.
        half((NTOP, 123), Path::Client),
        half((NTOP, 124), Path::Server),
        half((0, NTOP_V9 + 123), Path::Client),
        half((0, NTOP_V9 + 124), Path::Server),
        // Flowmon: npmRoundTripTime.
        value((FLOWMON, 69), Path::Whole, 1),
        // YAF: reverseFlowDeltaMilliseconds, between the first packets of both directions.
        value((CERT, 21), Path::Server, MILLISECOND_US),
        // VMware: averageLatency. NetScaler ends connections: its round trip is that of the record's ends.
        average((VMWARE, 958), Path::Whole, 1),
        average((NETSCALER, 128), Path::Whole, MILLISECOND_US),
        // Ixia: average round trip.
        average((IXIA, 283), Path::Whole, 1),
        // The sum goes before the mean: of one record only one counts.
        on_path(533, false),
        on_path(530, true),
    ];
    for (enterprise, offset) in [(CISCO, 0), (0, CISCO_V9)] {
        for (sum, path) in [(9_313, Path::Whole), (9_316, Path::Client), (9_319, Path::Server)] {
            elements.push(cisco(enterprise, offset, sum, path));
        }
    }
    elements
}

/// How one element of a template is read.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    element: ElementNumber,
    path: Path,
    unit_us: u64,
    is_half: bool,
    is_of_handshake: bool,
    is_mean: bool,
    value: Slot,
    count: Option<Slot>,
    least: Option<Slot>,
    most: Option<Slot>,
}

/// The slots that the latency elements of a template were given.
#[derive(Default)]
pub(crate) struct Given(Vec<(ElementNumber, Slot)>);

impl Given {
    /// A slot for an element, once; `None` where it needs none or there are none left.
    pub(crate) fn give(&mut self, number: ElementNumber, elements: &LatencyElements) -> Option<Slot> {
        if !elements.needs(number) || self.slot(number).is_some() {
            return None;
        }
        let slot = *LATENCY_SLOTS.get(self.0.len())?;
        self.0.push((number, slot));
        Some(slot)
    }

    fn slot(&self, number: ElementNumber) -> Option<Slot> {
        self.0.iter().find(|(known, _)| *known == number).map(|(_, slot)| *slot)
    }

    /// What records of the template tell.
    pub(crate) fn measures(&self, elements: &LatencyElements, slots: SlotSet) -> Vec<Measure> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let find = |number: ElementNumber| self.slot(number).or_else(|| slot(number.0, number.1).filter(|slot| slots.has(*slot)));
        let mut measures: Vec<Measure> = Vec::new();
        for known in &elements.elements {
            let count = known.counts.iter().find_map(|number| find(*number));
            let is_without_count = !known.counts.is_empty() && count.is_none();
            // Of two elements with the same bounds only the first counts: they are of the same packets.
            let is_again = known.least.is_some() && measures.iter().any(|other| other.least == known.least.and_then(find));
            let Some(value) = find(known.element).filter(|_| !is_without_count && !is_again) else { continue };
            measures.push(Measure {
                element: known.element,
                path: known.path,
                unit_us: known.unit_us,
                is_half: known.is_half,
                is_of_handshake: known.is_of_handshake,
                is_mean: known.is_mean,
                value,
                count,
                least: known.least.and_then(find),
                most: known.most.and_then(find),
            });
        }
        measures
    }
}

impl Measure {
    /// What a record tells; `None` where it was not measured, which exporters say by 0.
    pub(crate) fn read(&self, slots: SlotSet, values: &Values, record: u32) -> Option<RecordLatency> {
        let value = values.get(self.value);
        let is_tcp = values.get(Slot::Protocol) as u8 == PROTOCOL_TCP && slots.has(Slot::TcpFlags);
        let is_again = self.is_of_handshake && is_tcp && values.get(Slot::TcpFlags) as u8 & flags::SYN == 0;
        if value == 0 || is_again {
            return None;
        }
        let factor = if self.is_half { self.unit_us.saturating_mul(2) } else { self.unit_us };
        let in_us = |slot: Option<Slot>| slot.map(|slot| values.get(slot).saturating_mul(factor)).filter(|us| *us > 0);
        let (derivation, samples) = match (self.count.map(|slot| values.get(slot)), self.is_half) {
            (Some(0), _) => return None,
            (Some(count), _) => (Derivation::MeanOfSum, count),
            (None, true) => (Derivation::HalfDoubled, 1),
            (None, false) => (Derivation::AsMeasured, 1),
        };
        let sum = if self.is_mean { value.saturating_mul(samples) } else { value };
        Some(RecordLatency {
            record,
            enterprise: self.element.0,
            element: self.element.1,
            path: self.path,
            derivation,
            samples,
            sum_us: sum.saturating_mul(factor),
            min_us: in_us(self.least),
            max_us: in_us(self.most),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Field, Plan};

    /// Element, path, derivation, samples; sum, least and most in microseconds.
    type Told = (u16, Path, Derivation, u64, u64, Option<u64>, Option<u64>);

    /// Elements and values of a record of TCP with a SYN; what it tells.
    #[track_caller]
    fn check(fields: &[(u32, u16, u32)], expected: &[Told]) {
        let elements = LatencyElements::default();
        let fixed = [(0, 4, 6), (0, 6, 2), (0, 2, 10)];
        let fields: Vec<(u32, u16, u32)> = fixed.into_iter().chain(fields.iter().copied()).collect();
        let template: Vec<Field> = fields
            .iter()
            .map(|(enterprise, element, _)| Field { enterprise: *enterprise, element: *element, length: 4, scope_type: 0 })
            .collect();
        let plan = Plan::compile(&template, &elements).unwrap();
        let bytes: Vec<u8> = fields.iter().flat_map(|(_, _, value)| value.to_be_bytes()).collect();
        let mut values = Values::default();
        plan.read(&bytes, &mut values).unwrap();
        let told = plan.latencies.iter().filter_map(|measure| measure.read(plan.slots, &values, 7));
        let told: Vec<_> = told
            .map(|told| (told.element, told.path, told.derivation, told.samples, told.sum_us, told.min_us, told.max_us))
            .collect();
        assert_eq!(told, expected);
        assert!(plan.columns.is_none() || plan.latencies.is_empty());
    }

    #[test]
    fn every_vendors_elements_are_read_in_their_units() {
        use Derivation::{AsMeasured, HalfDoubled, MeanOfSum};
        let one = |element, path, us| [(element, path, AsMeasured, 1, us, None, None)];
        let half = |element, path, us| (element, path, HalfDoubled, 1, us, None, None);
        let both = [half(123, Path::Client, 4_000), half(124, Path::Server, 18_000)];
        check(&[(NTOP, 123, 2), (NTOP, 124, 9), (NTOP, 125, 99)], &both);
        check(&[(0, 57_595, 2)], &[half(57_595, Path::Client, 4_000)]);
        check(&[(FLOWMON, 69, 1_234)], &one(69, Path::Whole, 1_234));
        check(&[(CERT, 21, 12)], &one(21, Path::Server, 12_000));
        check(&[(VMWARE, 958, 700)], &one(958, Path::Whole, 700));
        check(&[(NETSCALER, 128, 7)], &one(128, Path::Whole, 7_000));
        check(&[(IXIA, 283, 800)], &one(283, Path::Whole, 800));
        // Sums, with the largest and the least, by new connections; without a count they are no mean.
        let sums = [(CISCO, 9_319, 30), (CISCO, 9_320, 20), (CISCO, 9_321, 4), (CISCO, 9_282, 3)];
        check(&sums, &[(9_319, Path::Server, MeanOfSum, 3, 30_000, Some(4_000), Some(20_000))]);
        check(&[(0, 42_084, 30), (0, 278, 2)], &[(42_084, Path::Client, MeanOfSum, 2, 30_000, None, None)]);
        check(&[(CISCO, 9_316, 30)], &[]);
        // On-path delay: the sum before the mean.
        let on_path = [(0, 530, 50), (0, 531, 40), (0, 532, 90), (0, 533, 505)];
        check(&on_path, &[(533, Path::OneWay, MeanOfSum, 10, 505, Some(40), Some(90))]);
        check(&on_path[..3], &[(530, Path::OneWay, MeanOfSum, 10, 500, Some(40), Some(90))]);
        // 0 is how probes say that they could not measure.
        check(&[(FLOWMON, 69, 0)], &[]);
    }

    #[test]
    fn a_value_of_the_handshake_counts_in_the_record_that_has_it() {
        let elements = LatencyElements::default();
        let field = |enterprise, element| Field { enterprise, element, length: 1, scope_type: 0 };
        let plan = Plan::compile(&[field(0, 4), field(0, 6), field(FLOWMON, 69)], &elements).unwrap();
        for (bytes, expected) in [([6, 2, 9], true), ([6, 0x10, 9], false), ([17, 0, 9], true)] {
            let mut values = Values::default();
            plan.read(&bytes, &mut values).unwrap();
            assert_eq!(plan.latencies[0].read(plan.slots, &values, 0).is_some(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn templates_without_such_elements_have_no_measures_and_the_configuration_adds_some() {
        let field = |enterprise, element| Field { enterprise, element, length: 4, scope_type: 0 };
        let fields = [field(0, 1), field(0, 2), field(4_242, 7)];
        assert!(Plan::compile(&fields, &LatencyElements::default()).unwrap().latencies.is_empty());
        let more = LatencyElements::new(vec![value((4_242, 7), Path::Whole, 1)]);
        assert_eq!(Plan::compile(&fields, &more).unwrap().latencies.len(), 1);
    }
}
