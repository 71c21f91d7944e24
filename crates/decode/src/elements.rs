//! Names and types of information elements, for people: `inspect` and messages.
//!
//! The decoder goes by numbers. The registry of IANA, the reverse elements (RFC 5103) and those of
//! some enterprises are netflow_parser's; what it lacks of the devices met in the field is below.

use netflow_parser::FieldDataType;
use netflow_parser::variable_versions::ipfix::lookup::{IANAIPFixField, IPFixField, ReverseInformationElement};

/// Enterprise number of elements that IANA registers.
pub const IANA: u32 = 0;
/// Enterprise number of reverse elements (RFC 5103, section 6.1).
pub const REVERSE: u32 = 29_305;

/// How the bytes of an element are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// An unsigned number.
    Unsigned,
    /// A signed number.
    Signed,
    /// A floating-point number of 4 or 8 bytes.
    Float,
    /// Bits, shown in hexadecimal.
    Flags,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An Ethernet address.
    Mac,
    /// UTF-8 text.
    Text,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Seconds and a fraction since 1900 (NTP).
    Ntp,
    /// Bytes without known meaning, or data sections.
    Bytes,
}

/// An information element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Name as registered; `enterprise:number` where it is not known.
    pub name: String,
    /// How its bytes are read.
    pub element_type: ElementType,
}

use ElementType::{Bytes, Ipv4, Text, Unsigned};

/// Elements of enterprises that the registry lacks: enterprise, number, name, type.
const ENTERPRISE_ELEMENTS: &[(u32, u16, &str, ElementType)] = &[
    // Juniper: what an inline-monitoring record says of the packet's fate.
    (2_636, 137, "commonPropertiesId", Unsigned),
    // ntop.
    (35_632, 80, "srcFragments", Unsigned),
    (35_632, 81, "dstFragments", Unsigned),
    (35_632, 82, "srcToDstMaxThroughput", Unsigned),
    (35_632, 83, "srcToDstMinThroughput", Unsigned),
    (35_632, 84, "srcToDstAverageThroughput", Unsigned),
    (35_632, 85, "dstToSrcMaxThroughput", Unsigned),
    (35_632, 86, "dstToSrcMinThroughput", Unsigned),
    (35_632, 87, "dstToSrcAverageThroughput", Unsigned),
    (35_632, 109, "retransmittedInBytes", Unsigned),
    (35_632, 110, "retransmittedInPackets", Unsigned),
    (35_632, 111, "retransmittedOutBytes", Unsigned),
    (35_632, 112, "retransmittedOutPackets", Unsigned),
    (35_632, 118, "l7Protocol", Unsigned),
    (35_632, 119, "l7ProtocolName", Text),
    (35_632, 123, "clientNetworkDelayMilliseconds", Unsigned),
    (35_632, 124, "serverNetworkDelayMilliseconds", Unsigned),
    (35_632, 125, "applicationLatencyMilliseconds", Unsigned),
    // Flowmon.
    (39_499, 1, "httpHost", Text),
    (39_499, 2, "httpUrl", Text),
    // CERT.
    (6_871, 14, "initialTCPFlags", ElementType::Flags),
    (6_871, 15, "unionTCPFlags", ElementType::Flags),
    (6_871, 16_398, "reverseInitialTCPFlags", ElementType::Flags),
    (6_871, 16_399, "reverseUnionTCPFlags", ElementType::Flags),
];

/// Numbers that only NetFlow version 9 knows (Cisco ASA, section "NetFlow event fields").
const V9_ELEMENTS: &[(u16, &str, ElementType)] = &[
    (33_000, "ingressAclId", Bytes),
    (33_001, "egressAclId", Bytes),
    (33_002, "firewallExtendedEvent", Unsigned),
    (40_000, "aaaUserName", Text),
    (40_001, "translatedSourceIPv4Address", Ipv4),
    (40_002, "translatedDestinationIPv4Address", Ipv4),
    (40_003, "translatedSourcePort", Unsigned),
    (40_004, "translatedDestinationPort", Unsigned),
    (40_005, "firewallEvent", Unsigned),
];

/// Elements that were made for NetFlow version 9: the registry marks them as assigned only.
const SHARED_ELEMENTS: &[(u16, &str, ElementType)] = &[
    (34, "samplingInterval", Unsigned),
    (35, "samplingAlgorithm", Unsigned),
    (38, "engineType", Unsigned),
    (39, "engineId", Unsigned),
    (43, "ipv4RouterSc", Ipv4),
    (48, "samplerId", Unsigned),
    (49, "samplerMode", Unsigned),
    (50, "samplerRandomInterval", Unsigned),
    (51, "classId", Unsigned),
    (84, "samplerName", Text),
];

/// The element of that number: of IPFIX by enterprise (0 IANA), of NetFlow version 9 too.
pub fn element(enterprise: u32, number: u16) -> Element {
    let known = match enterprise {
        IANA => SHARED_ELEMENTS.iter().chain(V9_ELEMENTS).find(|known| known.0 == number).map(|known| (known.1, known.2)),
        _ => ENTERPRISE_ELEMENTS.iter().find(|known| (known.0, known.1) == (enterprise, number)).map(|known| (known.2, known.3)),
    };
    match known {
        Some((name, element_type)) => Element { name: name.to_owned(), element_type },
        None => registered(enterprise, number),
    }
}

/// The element as the registry has it.
fn registered(enterprise: u32, number: u16) -> Element {
    let field = IPFixField::new(number, (enterprise != IANA).then_some(enterprise));
    let mut element_type = of_type(FieldDataType::from(field));
    if enterprise == REVERSE {
        // The forward element has the better type.
        element_type = of_type(FieldDataType::from(IANAIPFixField::from(number)));
    }
    let debug = match enterprise {
        IANA => match ReverseInformationElement::from(number) {
            // Its reverse twin carries the registered spelling.
            ReverseInformationElement::Unknown(_) => format!("{:?}", IANAIPFixField::from(number)),
            twin => format!("{twin:?}").trim_start_matches("Reverse").to_owned(),
        },
        _ => inside(&format!("{field:?}")).to_owned(),
    };
    let name = match debug.as_str() {
        unknown if unknown.contains("Unknown") || unknown.contains('{') => format!("{enterprise}:{number}"),
        name => respelled(name),
    };
    Element { name, element_type }
}

/// `Name` out of `Registry(Name)`.
fn inside(text: &str) -> &str {
    text.split_once('(').map_or(text, |(_, rest)| rest.strip_suffix(')').unwrap_or(rest))
}

/// A name as it is registered: small at the beginning, capitals within where they were lost.
fn respelled(name: &str) -> String {
    let mut name = name.to_owned();
    for (lost, registered) in [
        ("Ipv4address", "IPv4Address"),
        ("Ipv6address", "IPv6Address"),
        ("Ipv4prefix", "IPv4Prefix"),
        ("Ipv6prefix", "IPv6Prefix"),
        ("Macaddress", "MacAddress"),
    ] {
        name = name.replace(lost, registered);
    }
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_ascii_lowercase().to_string() + letters.as_str(),
        None => name,
    }
}

fn of_type(data_type: FieldDataType) -> ElementType {
    match data_type {
        FieldDataType::String => ElementType::Text,
        FieldDataType::SignedDataNumber => ElementType::Signed,
        FieldDataType::Float64 => ElementType::Float,
        FieldDataType::DurationSeconds => ElementType::Seconds,
        FieldDataType::DurationMillis => ElementType::Milliseconds,
        FieldDataType::DurationMicrosNTP | FieldDataType::DurationNanosNTP => ElementType::Ntp,
        FieldDataType::Ip4Addr => ElementType::Ipv4,
        FieldDataType::Ip6Addr => ElementType::Ipv6,
        FieldDataType::MacAddr => ElementType::Mac,
        FieldDataType::TcpControlBits
        | FieldDataType::FragmentFlags
        | FieldDataType::Ipv6ExtensionHeaders
        | FieldDataType::Ipv4Options
        | FieldDataType::TcpOptions
        | FieldDataType::ForwardingStatus => ElementType::Flags,
        FieldDataType::Vec | FieldDataType::Unknown | FieldDataType::ApplicationId => ElementType::Bytes,
        _ => ElementType::Unsigned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_their_registered_names() {
        for (enterprise, number, name, element_type) in [
            (IANA, 1, "octetDeltaCount", Unsigned),
            (IANA, 6, "tcpControlBits", ElementType::Flags),
            (IANA, 8, "sourceIPv4Address", Ipv4),
            (IANA, 34, "samplingInterval", Unsigned),
            (IANA, 50, "samplerRandomInterval", Unsigned),
            (IANA, 56, "sourceMacAddress", ElementType::Mac),
            (IANA, 61, "flowDirection", Unsigned),
            (IANA, 82, "interfaceName", Text),
            (IANA, 150, "flowStartSeconds", ElementType::Seconds),
            (IANA, 152, "flowStartMilliseconds", ElementType::Milliseconds),
            (IANA, 154, "flowStartMicroseconds", ElementType::Ntp),
            (IANA, 305, "samplingPacketInterval", Unsigned),
            (IANA, 40_005, "firewallEvent", Unsigned),
            (REVERSE, 1, "reverseOctetDeltaCount", Unsigned),
            (2_636, 137, "commonPropertiesId", Unsigned),
            (35_632, 118, "l7Protocol", Unsigned),
            (4_242, 7, "4242:7", Bytes),
            (IANA, 30_000, "0:30000", Bytes),
        ] {
            let expected = Element { name: name.to_owned(), element_type };
            assert_eq!(element(enterprise, number), expected);
        }
    }
}
