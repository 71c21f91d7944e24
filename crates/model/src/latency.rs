//! How long packets took: by which method, over which part of the way, and who opened the connection.

use serde::{Deserialize, Serialize};

/// Declares an enumeration whose values have names in tables.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$value_doc])* $value,)+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [$name] = &[$($name::$value),+];

            /// The name in tables and in the configuration.
            pub const fn name(self) -> &'static str {
                match self { $($name::$value => $text,)+ }
            }
        }
    };
}

named! {
    /// How a value was come by; values of different methods are never mixed.
    Method {
        /// An exporter's own element.
        Exporter => "exporter",
        /// SYN, SYN-ACK and ACK of a TCP connection.
        Handshake => "handshake",
        /// TCP timestamps (RFC 7323) and their echoes.
        Timestamps => "timestamps",
        /// The starts of the two flow records of a TCP connection.
        FlowPairs => "flow_pairs",
        /// An active probe's.
        Imported => "imported",
    }
}

named! {
    /// What a value is of.
    Span {
        /// There and back between the point of measurement and Microsoft's end.
        EdgeToMicrosoft => "edge_to_microsoft",
        /// There and back between the point of measurement and our end.
        EdgeToClient => "edge_to_client",
        /// There and back between both ends.
        RoundTrip => "round_trip",
        /// One way.
        OneWay => "one_way",
    }
}

named! {
    /// One of the two ends of a connection.
    End {
        /// Ours, or a customer's of ours.
        Customer => "customer",
        /// Microsoft's.
        Microsoft => "microsoft",
    }
}

impl End {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> End {
        match self {
            End::Customer => End::Microsoft,
            End::Microsoft => End::Customer,
        }
    }

    /// There and back between the point of measurement and this end.
    pub const fn span(self) -> Span {
        match self {
            End::Customer => Span::EdgeToClient,
            End::Microsoft => Span::EdgeToMicrosoft,
        }
    }
}

named! {
    /// What was done with what was measured.
    Derivation {
        /// Nothing.
        AsMeasured => "as_measured",
        /// It is half a round trip, and was doubled.
        HalfDoubled => "half_doubled",
        /// Only a sum and a count were told.
        MeanOfSum => "mean_of_sum",
    }
}

named! {
    /// Why there is no value, the most telling first.
    Absence {
        /// Packets are sampled: both packets of a pair are seen by chance only, and the start of a record is that of its
        /// first sampled packet.
        Sampled => "sampled",
        /// The exporter gives both directions of a connection the same start.
        SharedStart => "shared_start",
        /// The times of the records are coarser than a millisecond, or not the device's.
        CoarseClock => "coarse_clock",
        /// The sampling rate is not known.
        UnknownRate => "unknown_rate",
        /// Only one direction was seen.
        Unidirectional => "unidirectional",
        /// No connection was opened.
        NoHandshake => "no_handshake",
        /// There was no TCP.
        NoTcp => "no_tcp",
        /// The packets carry no TCP timestamps.
        NoTimestamps => "no_timestamps",
        /// Nothing of what was seen belongs together.
        Unmatched => "unmatched",
    }
}

impl Absence {
    /// Its bit among others.
    pub const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// The most telling of those whose bits are set.
    pub fn of_bits(bits: u16) -> Option<Absence> {
        Absence::ALL.iter().copied().find(|absence| bits & absence.bit() != 0)
    }
}

/// Which part of the way an exporter's element measures, by the roles of a connection's ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// Between the exporter and the end that opened the connection: the source of its record.
    Client,
    /// Between the exporter and the other end.
    Server,
    /// Between both ends.
    Whole,
    /// From the node that encapsulated the packet to the exporter, one way.
    OneWay,
}

/// What an exporter told of the time that the packets of a record took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLatency {
    /// Index of the record in its batch.
    pub record: u32,
    /// Enterprise number of the element, 0 of IANA's and of NetFlow version 9.
    pub enterprise: u32,
    /// The element.
    pub element: u16,
    /// Which part of the way it measures.
    pub path: Path,
    /// What was done with the value.
    pub derivation: Derivation,
    /// Measurements behind it: 1, or what the exporter counted.
    pub samples: u64,
    /// Their sum, µs.
    pub sum_us: u64,
    /// The least, µs, where it is known.
    pub min_us: Option<u64>,
    /// The largest, µs, where it is known.
    pub max_us: Option<u64>,
}

/// An element of a record: enterprise number (0 IANA and NetFlow version 9) and number.
pub type ElementNumber = (u32, u16);

/// An element in which an exporter tells how long packets took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyElement {
    /// The value of one measurement; or, where [`LatencyElement::counts`] has elements, the sum of several.
    pub element: ElementNumber,
    /// Which part of the way it measures.
    pub path: Path,
    /// Microseconds of its unit.
    pub unit_us: u64,
    /// It is half a round trip.
    pub is_half: bool,
    /// It is of the handshake, and comes again with every record of the connection: the one with the SYN counts.
    pub is_of_handshake: bool,
    /// It is the mean of what was counted, not the sum.
    pub is_mean: bool,
    /// How many measurements its value is the sum of: the first of these that the template has; empty where it is one.
    pub counts: Vec<ElementNumber>,
    /// The least of them, where it is told.
    pub least: Option<ElementNumber>,
    /// The largest of them, where it is told.
    pub most: Option<ElementNumber>,
}
