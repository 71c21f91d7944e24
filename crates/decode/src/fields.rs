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
    Direction, BiflowDirection, IpVersion, ForwardingStatus, FirewallEvent, NatEvent,
    SamplerId, SelectorId, Interval34, Interval50, PacketInterval, PacketSpace, Size, Population, Probability,
    FirstUptime, LastUptime, StartMs, EndMs, StartMicro, EndMicro, StartNano, EndNano, StartSeconds, EndSeconds, StartDelta, EndDelta,
    InitMs, ActiveTimeout, ObservationMs, ObservationSeconds, ObservationMicro,
    FrameSize, ScopeTemplate, ScopeInterface,
}

/// A set of slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotSet(u128);

impl SlotSet {
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
    /// Elements 305 and 306 (packets taken, packets passed over), 309 and 310 (size, population), 34, 50,
    /// 311 (probability).
    pub(crate) fn rate(&self, slots: SlotSet) -> Option<Rate> {
        let fit = |value: u64| u32::try_from(value).ok();
        let interval = self.get(Slot::PacketInterval);
        if interval > 0 && slots.has(Slot::PacketSpace) {
            return Some((fit(interval.checked_add(self.get(Slot::PacketSpace))?)?, fit(interval)?));
        }
        let (size, population) = (self.get(Slot::Size), self.get(Slot::Population));
        if size > 0 && population > 0 {
            return Some((fit(population)?, fit(size)?));
        }
        if let Some(value) =
            [self.get(Slot::Interval34), self.get(Slot::Interval50), interval].into_iter().find(|value| *value > 0)
        {
            return Some((fit(value)?, 1));
        }
        // As 1/n it is exact; else the nearest of them.
        let probability = f64::from_bits(self.get(Slot::Probability));
        (probability > 0.0 && probability <= 1.0).then(|| ((1.0 / probability).round().min(f64::from(u32::MAX)) as u32, 1))
    }
}

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
        239 => Slot::BiflowDirection,
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
