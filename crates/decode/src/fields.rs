//! The elements that a record needs, and the slots that their values are loaded into.

use crate::sampling::Rate;

/// Enterprise number of the reverse elements of biflows (RFC 5103).
pub(crate) const REVERSE: u32 = 29_305;

/// Declares the slots: a name each, in the order of their numbers.
macro_rules! slots {
    ($($slot:ident),+ $(,)?) => {
        /// Where a plan puts a value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Slot { $($slot),+ }

        /// How many slots there are.
        pub(crate) const SLOTS: usize = [$(Slot::$slot),+].len();
    };
}

slots! {
    Bytes, Packets, PostBytes, PostPackets, TotalBytes, TotalPackets, InitiatorBytes, ResponderBytes, InitiatorPackets, ResponderPackets,
    ReverseBytes, ReversePackets, ReverseTcpFlags, ReverseStartMs, ReverseEndMs,
    Source4, Destination4, SourceHigh, SourceLow, DestinationHigh, DestinationLow,
    NextHop4, NextHopHigh, NextHopLow, BgpNextHop4, BgpNextHopHigh, BgpNextHopLow,
    Input, Output, PhysicalInput, PhysicalOutput, SourcePort, DestinationPort, Protocol, TcpFlags, SourceAsn, DestinationAsn,
    SourceMask4, DestinationMask4, SourceMask6, DestinationMask6, Vlan, PostVlan, SourceMac, DestinationMac, PostSourceMac, PostDestinationMac,
    Direction, IpVersion, ForwardingStatus, FirewallEvent, NatEvent,
    SamplerId, SelectorId, FlowSelector, FlowInterval, FlowSpacing, Interval34, Interval50, PacketInterval, PacketSpace, Size, Population, Probability,
    FirstUptime, LastUptime, StartMs, EndMs, StartMicro, EndMicro, StartNano, EndNano, StartSeconds, EndSeconds, StartDelta, EndDelta,
    InitMs, ActiveTimeout, ObservationMs, ObservationSeconds, ObservationMicro,
    FrameSize, ScopeTemplate, ScopeInterface,
    Latency0, Latency1, Latency2, Latency3, Latency4, Latency5, Latency6, Latency7,
    Latency8, Latency9, Latency10, Latency11, Latency12, Latency13, Latency14, Latency15,
}

/// Slots that a template's latency elements are given as they come; of further ones nothing is read.
pub(crate) const LATENCY_SLOTS: [Slot; 16] = [
    Slot::Latency0,
    Slot::Latency1,
    Slot::Latency2,
    Slot::Latency3,
    Slot::Latency4,
    Slot::Latency5,
    Slot::Latency6,
    Slot::Latency7,
    Slot::Latency8,
    Slot::Latency9,
    Slot::Latency10,
    Slot::Latency11,
    Slot::Latency12,
    Slot::Latency13,
    Slot::Latency14,
    Slot::Latency15,
];

/// A set of slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotSet(u128);

impl SlotSet {
    pub(crate) const fn of(slots: &[Slot]) -> SlotSet {
        let (mut set, mut at) = (SlotSet(0), 0);
        while at < slots.len() {
            set.0 |= 1 << slots[at] as u8;
            at += 1;
        }
        set
    }

    #[inline]
    pub(crate) fn has_any(self, others: SlotSet) -> bool {
        self.0 & others.0 != 0
    }

    /// How many slots it has.
    pub(crate) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    #[inline]
    pub(crate) fn has_all(self, others: SlotSet) -> bool {
        self.0 & others.0 == others.0
    }

    #[inline]
    pub(crate) fn is_within(self, others: SlotSet) -> bool {
        self.0 & !others.0 == 0
    }

    pub(crate) fn insert(&mut self, slot: Slot) {
        self.0 |= 1 << slot as u8;
    }

    #[inline]
    pub(crate) fn has(self, slot: Slot) -> bool {
        self.0 >> slot as u8 & 1 != 0
    }
}

/// The values of one record, by slot; 0 where the template has no such element.
pub(crate) struct Values(pub(crate) [u64; SLOTS]);

impl Default for Values {
    fn default() -> Values {
        Values([0; SLOTS])
    }
}

impl Values {
    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> u64 {
        self.0[slot as usize]
    }

    /// The first of two that is not 0: an element and the one that stands in for it.
    #[inline]
    pub(crate) fn either(&self, first: Slot, second: Slot) -> u64 {
        if self.get(first) != 0 { self.get(first) } else { self.get(second) }
    }

    /// The rate that the elements tell, best first, as an exact rational; `None` where they tell none,
    /// or a rate of 0, which says nothing.
    ///
    /// Elements 396 and 397 (flows taken, flows passed over), 305 and 306 (packets likewise), 309 and 310
    /// (size, population), 34, 50, 311 (probability). Element 390 says that flows are selected.
    #[inline]
    pub(crate) fn rate(&self, slots: SlotSet) -> Option<Rate> {
        if !slots.has_any(RATES) {
            return None;
        }
        let is_of_flows = slots.has(Slot::FlowSelector) || self.get(Slot::FlowInterval) > 0;
        let (population, sample) = self.rational(slots)?;
        Some(Rate { population, sample, is_of_flows })
    }

    fn rational(&self, slots: SlotSet) -> Option<(u32, u32)> {
        let fit = |value: u64| u32::try_from(value).ok();
        for (taken, passed_over) in [(Slot::FlowInterval, Slot::FlowSpacing), (Slot::PacketInterval, Slot::PacketSpace)] {
            let interval = self.get(taken);
            if interval > 0 && slots.has(passed_over) {
                return Some((fit(interval.checked_add(self.get(passed_over))?)?, fit(interval)?));
            }
        }
        let (size, population) = (self.get(Slot::Size), self.get(Slot::Population));
        if size > 0 && population > 0 {
            return Some((fit(population)?, fit(size)?));
        }
        let intervals = [Slot::Interval34, Slot::Interval50, Slot::PacketInterval, Slot::FlowInterval];
        if let Some(value) = intervals.into_iter().map(|slot| self.get(slot)).find(|value| *value > 0) {
            return Some((fit(value)?, 1));
        }
        // As a double or in the four bytes of a float (RFC 7011, section 6.2): as a double those would be next to nothing.
        let bits = self.get(Slot::Probability);
        rational_probability(if bits >> 32 == 0 { f64::from(f32::from_bits(bits as u32)) } else { f64::from_bits(bits) })
    }
}

/// A probability as one in a whole number where it is one, or small; else in millionths: never off by more than 0.05 %.
fn rational_probability(probability: f64) -> Option<(u32, u32)> {
    if !(probability > 0.0 && probability <= 1.0) {
        return None;
    }
    let one_in = 1.0 / probability;
    let population = one_in.round();
    if probability < 1e-3 || (one_in - population).abs() <= 1e-6 * population {
        return Some((population.min(f64::from(u32::MAX)) as u32, 1));
    }
    let (population, sample) = (1_000_000, (probability * 1e6).round() as u32);
    let divisor = (1..=6).flat_map(|_| [2, 5]).fold((1, population, sample), |(divisor, population, sample), prime| {
        let divides = population % prime == 0 && sample % prime == 0;
        if divides { (divisor * prime, population / prime, sample / prime) } else { (divisor, population, sample) }
    });
    Some((population / divisor.0, sample / divisor.0))
}

/// The slots of which one is needed to tell a rate.
const RATES: SlotSet =
    SlotSet::of(&[Slot::FlowInterval, Slot::PacketInterval, Slot::Size, Slot::Interval34, Slot::Interval50, Slot::Probability]);

/// Where the value of an element goes; `None` where a record does not need it.
///
/// IPv6 addresses take two slots, of which this is the first.
pub(crate) fn slot(enterprise: u32, element: u16) -> Option<Slot> {
    match enterprise {
        0 => iana_slot(element),
        REVERSE => reverse_slot(element),
        _ => None,
    }
}

fn reverse_slot(element: u16) -> Option<Slot> {
    Some(match element {
        1 => Slot::ReverseBytes,
        2 => Slot::ReversePackets,
        6 => Slot::ReverseTcpFlags,
        152 => Slot::ReverseStartMs,
        153 => Slot::ReverseEndMs,
        _ => return None,
    })
}

fn iana_slot(element: u16) -> Option<Slot> {
    Some(match element {
        1 => Slot::Bytes,
        2 => Slot::Packets,
        4 => Slot::Protocol,
        6 => Slot::TcpFlags,
        7 => Slot::SourcePort,
        8 => Slot::Source4,
        9 => Slot::SourceMask4,
        10 => Slot::Input,
        11 => Slot::DestinationPort,
        12 => Slot::Destination4,
        13 => Slot::DestinationMask4,
        14 => Slot::Output,
        15 => Slot::NextHop4,
        16 => Slot::SourceAsn,
        17 => Slot::DestinationAsn,
        18 => Slot::BgpNextHop4,
        21 => Slot::LastUptime,
        22 => Slot::FirstUptime,
        23 => Slot::PostBytes,
        24 => Slot::PostPackets,
        27 => Slot::SourceHigh,
        28 => Slot::DestinationHigh,
        29 => Slot::SourceMask6,
        30 => Slot::DestinationMask6,
        34 => Slot::Interval34,
        36 => Slot::ActiveTimeout,
        48 => Slot::SamplerId,
        50 => Slot::Interval50,
        56 => Slot::SourceMac,
        57 => Slot::PostDestinationMac,
        58 | 243 => Slot::Vlan,
        59 | 254 => Slot::PostVlan,
        60 => Slot::IpVersion,
        61 => Slot::Direction,
        62 => Slot::NextHopHigh,
        63 => Slot::BgpNextHopHigh,
        80 => Slot::DestinationMac,
        81 => Slot::PostSourceMac,
        85 => Slot::TotalBytes,
        86 => Slot::TotalPackets,
        89 => Slot::ForwardingStatus,
        145 => Slot::ScopeTemplate,
        150..=160 => return time_slot(element),
        230 => Slot::NatEvent,
        231 => Slot::InitiatorBytes,
        232 => Slot::ResponderBytes,
        233 => Slot::FirewallEvent,
        252 => Slot::PhysicalInput,
        253 => Slot::PhysicalOutput,
        298 => Slot::InitiatorPackets,
        299 => Slot::ResponderPackets,
        302 => Slot::SelectorId,
        305 => Slot::PacketInterval,
        306 => Slot::PacketSpace,
        309 => Slot::Size,
        310 => Slot::Population,
        311 => Slot::Probability,
        312 => Slot::FrameSize,
        390 => Slot::FlowSelector,
        396 => Slot::FlowInterval,
        397 => Slot::FlowSpacing,
        322 => Slot::ObservationSeconds,
        323 => Slot::ObservationMs,
        324 | 325 => Slot::ObservationMicro,
        _ => return None,
    })
}

fn time_slot(element: u16) -> Option<Slot> {
    Some(match element {
        150 => Slot::StartSeconds,
        151 => Slot::EndSeconds,
        152 => Slot::StartMs,
        153 => Slot::EndMs,
        154 => Slot::StartMicro,
        155 => Slot::EndMicro,
        156 => Slot::StartNano,
        157 => Slot::EndNano,
        158 => Slot::StartDelta,
        159 => Slot::EndDelta,
        160 => Slot::InitMs,
        _ => return None,
    })
}

/// Lengths that an element of a slot may have: addresses, MACs and times must not be reduced
/// (RFC 7011, section 6.2), other numbers may. A wrong length leaves the value out, not the record.
pub(crate) fn is_length_valid(slot: Slot, length: u16) -> bool {
    match slot {
        Slot::Source4 | Slot::Destination4 | Slot::NextHop4 | Slot::BgpNextHop4 => length == 4,
        Slot::SourceHigh | Slot::DestinationHigh | Slot::NextHopHigh | Slot::BgpNextHopHigh => length == 16,
        Slot::SourceMac | Slot::DestinationMac | Slot::PostSourceMac | Slot::PostDestinationMac => length == 6,
        Slot::StartMs | Slot::EndMs | Slot::InitMs | Slot::ObservationMs | Slot::ReverseStartMs | Slot::ReverseEndMs => {
            length == 8
        }
        Slot::StartMicro | Slot::EndMicro | Slot::StartNano | Slot::EndNano | Slot::ObservationMicro => length == 8,
        Slot::StartSeconds | Slot::EndSeconds | Slot::ObservationSeconds => length == 4,
        Slot::Probability => length == 4 || length == 8,
        _ => (1..=8).contains(&length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_rationals_by_whatever_elements_tell_them() {
        let check = |told: &[(Slot, u64)], expected: Option<(u32, u32, bool)>| {
            let (mut slots, mut values) = (SlotSet::default(), Values::default());
            for (slot, value) in told {
                slots.insert(*slot);
                values.0[*slot as usize] = *value;
            }
            let rate = values.rate(slots).map(|rate| (rate.population, rate.sample, rate.is_of_flows));
            assert_eq!(rate, expected, "{told:?}");
        };
        check(&[], None);
        check(&[(Slot::Interval34, 0)], None);
        check(&[(Slot::Interval34, 1_000)], Some((1_000, 1, false)));
        check(&[(Slot::Interval50, 64)], Some((64, 1, false)));
        check(&[(Slot::PacketInterval, 1), (Slot::PacketSpace, 9_999)], Some((10_000, 1, false)));
        check(&[(Slot::PacketInterval, 3), (Slot::PacketSpace, 7)], Some((10, 3, false)));
        check(&[(Slot::PacketInterval, 512)], Some((512, 1, false)));
        check(&[(Slot::Size, 2), (Slot::Population, 5)], Some((5, 2, false)));
        check(&[(Slot::Probability, 0.001_f64.to_bits())], Some((1_000, 1, false)));
        check(&[(Slot::Probability, 0.3_f64.to_bits())], Some((10, 3, false)));
        check(&[(Slot::Probability, 1.0_f64.to_bits())], Some((1, 1, false)));
        check(&[(Slot::Probability, 0.000_33_f64.to_bits())], Some((3_030, 1, false)));
        check(&[(Slot::Probability, 1.5_f64.to_bits())], None);
        check(&[(Slot::Interval34, u64::from(u32::MAX) + 1)], None);
        // Flows, not packets, are sampled.
        check(&[(Slot::FlowInterval, 1), (Slot::FlowSpacing, 9)], Some((10, 1, true)));
        check(&[(Slot::FlowSelector, 1), (Slot::Size, 1), (Slot::Population, 100)], Some((100, 1, true)));
    }
}
