//! The columns of NetFlow v9 and IPFIX records (IANA element numbers), and their bytes.

use std::net::IpAddr;

use super::{put_number, put_u16, put_u32, put_u64};
use crate::record::{DeviceClock, FlowRecord};
use crate::scenario::{FlowTimes, Router, ToldBy, WireProtocol};

/// Length that announces a variable length (RFC 7011 section 7).
const VARIABLE: u16 = 65_535;
/// What the variable-length column (236, vrfName) says.
const VRF_NAME: &[u8] = b"default";
/// Seconds from the NTP era (1900) to 1970.
const NTP_OFFSET_SECONDS: i64 = 2_208_988_800;

/// Where the bytes of a column come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    Bytes,
    Packets,
    Source,
    Destination,
    NextHop,
    BgpNextHop,
    SourcePort,
    DestinationPort,
    Protocol,
    ServiceClass,
    TcpFlags,
    Input,
    Output,
    SourceAsn,
    DestinationAsn,
    SourceMask,
    DestinationMask,
    SourceMac,
    DestinationMac,
    Vlan,
    Direction,
    Start,
    End,
    Constant(u32),
    VrfName,
}

/// One column of a template.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) element: u16,
    pub(crate) length: u16,
    pub(crate) value: Value,
}

const fn field(element: u16, length: u16, value: Value) -> Field {
    Field { element, length, value }
}

/// The id by which records name the router's one sampler.
pub(crate) const SAMPLER_ID: u32 = 1;

/// The form of times a router really uses.
pub(crate) fn times_of(router: &Router) -> FlowTimes {
    match (router.times, router.protocol) {
        (FlowTimes::Usual, WireProtocol::Ipfix) => FlowTimes::Milliseconds,
        (FlowTimes::Usual, _) => FlowTimes::Uptime,
        (times, _) => times,
    }
}

/// The columns of a router's data records.
pub(crate) fn columns(router: &Router, is_v6: bool) -> Vec<Field> {
    let is_ipfix = router.protocol == WireProtocol::Ipfix;
    let reduced = is_ipfix && router.reduced_sizes;
    let by_size = |full: u16, less: u16| if reduced { less } else { full };
    let counter = if is_ipfix { 8 } else { 4 };
    let mut fields = vec![
        field(1, by_size(counter, 5), Value::Bytes),
        field(2, by_size(counter, 3), Value::Packets),
        field(7, 2, Value::SourcePort),
        field(11, 2, Value::DestinationPort),
        field(4, 1, Value::Protocol),
        field(5, 1, Value::ServiceClass),
        field(6, 1, Value::TcpFlags),
        field(10, by_size(4, 3), Value::Input),
        field(14, by_size(4, 3), Value::Output),
        field(16, 4, Value::SourceAsn),
        field(17, 4, Value::DestinationAsn),
    ];
    fields.extend(if is_v6 {
        [field(27, 16, Value::Source), field(28, 16, Value::Destination), field(62, 16, Value::NextHop)]
    } else {
        [field(8, 4, Value::Source), field(12, 4, Value::Destination), field(15, 4, Value::NextHop)]
    });
    fields.extend(if is_v6 {
        [field(29, 1, Value::SourceMask), field(30, 1, Value::DestinationMask)]
    } else {
        [field(9, 1, Value::SourceMask), field(13, 1, Value::DestinationMask)]
    });
    if router.bgp_next_hop {
        fields.push(if is_v6 { field(63, 16, Value::BgpNextHop) } else { field(18, 4, Value::BgpNextHop) });
    }
    fields.extend(time_columns(times_of(router)));
    if router.direction_element {
        fields.push(field(61, 1, Value::Direction));
    }
    if router.mac_elements {
        fields.extend([field(56, 6, Value::SourceMac), field(80, 6, Value::DestinationMac), field(58, 2, Value::Vlan)]);
    }
    match router.sampling.told_by {
        ToldBy::Options if is_ipfix => fields.push(field(302, by_size(8, 2), Value::Constant(SAMPLER_ID))),
        ToldBy::Options => fields.push(field(48, 1, Value::Constant(SAMPLER_ID))),
        ToldBy::Record => fields.push(field(34, 4, Value::Constant(router.sampling.one_in))),
        ToldBy::Domain | ToldBy::Header | ToldBy::None => {}
    }
    if is_ipfix && router.variable_lengths {
        fields.push(field(236, VARIABLE, Value::VrfName));
    }
    fields
}

fn time_columns(times: FlowTimes) -> [Field; 2] {
    let (start, end, length) = match times {
        FlowTimes::Usual | FlowTimes::Uptime => (22, 21, 4),
        FlowTimes::Milliseconds => (152, 153, 8),
        FlowTimes::Seconds => (150, 151, 4),
        FlowTimes::Microseconds => (154, 155, 8),
        FlowTimes::Delta => (158, 159, 4),
    };
    [field(start, length, Value::Start), field(end, length, Value::End)]
}

/// Bytes of one record.
pub(crate) fn record_bytes(fields: &[Field]) -> usize {
    let length = |field: &Field| if field.length == VARIABLE { 1 + VRF_NAME.len() } else { usize::from(field.length) };
    fields.iter().map(length).sum()
}

/// What the times of a datagram refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeBase {
    pub(crate) clock: DeviceClock,
    pub(crate) times: FlowTimes,
    /// The export time in the header, seconds.
    pub(crate) export_seconds: u32,
}

/// Writes one record.
pub(crate) fn put_record(out: &mut Vec<u8>, fields: &[Field], record: &FlowRecord, base: TimeBase) {
    for field in fields {
        let length = usize::from(field.length);
        match field.value {
            Value::Source => put_address(out, Some(record.source), length),
            Value::Destination => put_address(out, Some(record.destination), length),
            Value::NextHop => put_address(out, record.next_hop, length),
            Value::BgpNextHop => put_address(out, record.bgp_next_hop, length),
            Value::SourceMac => out.extend_from_slice(&record.source_mac),
            Value::DestinationMac => out.extend_from_slice(&record.destination_mac),
            Value::Start => put_time(out, record.start_us, base),
            Value::End => put_time(out, record.end_us, base),
            Value::VrfName => {
                out.push(VRF_NAME.len() as u8);
                out.extend_from_slice(VRF_NAME);
            }
            number => put_number(out, number_of(number, record), length),
        }
    }
}

fn number_of(value: Value, record: &FlowRecord) -> u64 {
    match value {
        Value::Bytes => record.bytes,
        Value::Packets => record.packets,
        Value::SourcePort => record.source_port.into(),
        Value::DestinationPort => record.destination_port.into(),
        Value::Protocol => record.protocol.into(),
        Value::TcpFlags => record.tcp_flags.into(),
        Value::Input => record.input.into(),
        Value::Output => record.output.into(),
        Value::SourceAsn => record.source_asn.into(),
        Value::DestinationAsn => record.destination_asn.into(),
        Value::SourceMask => record.source_mask.into(),
        Value::DestinationMask => record.destination_mask.into(),
        Value::Vlan => record.vlan.into(),
        Value::Direction => record.is_egress.into(),
        Value::Constant(number) => number.into(),
        _ => 0,
    }
}

/// An address of the template's family; zeros where there is none, or only one of the other family.
fn put_address(out: &mut Vec<u8>, address: Option<IpAddr>, length: usize) {
    match address {
        Some(IpAddr::V4(address)) if length == 4 => out.extend_from_slice(&address.octets()),
        Some(IpAddr::V6(address)) if length == 16 => out.extend_from_slice(&address.octets()),
        _ => out.resize(out.len() + length, 0),
    }
}

fn put_time(out: &mut Vec<u8>, true_us: i64, base: TimeBase) {
    let device_us = base.clock.device_us(true_us);
    match base.times {
        FlowTimes::Usual | FlowTimes::Uptime => put_u32(out, base.clock.uptime_ms(true_us)),
        FlowTimes::Milliseconds => put_u64(out, device_us.div_euclid(1_000) as u64),
        FlowTimes::Seconds => put_u32(out, device_us.div_euclid(1_000_000) as u32),
        FlowTimes::Microseconds => {
            let seconds = device_us.div_euclid(1_000_000) + NTP_OFFSET_SECONDS;
            // Rounded up: reading it back, rounded down, gives the same microsecond.
            let fraction = ((device_us.rem_euclid(1_000_000) as u64) << 32).div_ceil(1_000_000);
            put_u64(out, (seconds as u64) << 32 | fraction);
        }
        FlowTimes::Delta => put_u32(out, (i64::from(base.export_seconds) * 1_000_000 - device_us).max(0) as u32),
    }
}

/// The template record of these columns.
pub(crate) fn put_template(out: &mut Vec<u8>, id: u16, fields: &[Field]) {
    put_u16(out, id);
    put_u16(out, fields.len() as u16);
    for field in fields {
        put_u16(out, field.element);
        put_u16(out, field.length);
    }
}
