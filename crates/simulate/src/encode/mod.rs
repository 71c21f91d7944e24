//! Records to datagrams, written against the specifications and shared with no decoder.
//!
//! * `netflow5`: the fixed format;
//! * `templated`: NetFlow v9 and IPFIX messages; `fields` the columns of their records, `options` what they say of themselves;
//! * `sflow`: samples; `packet` the headers in them.

pub(crate) mod fields;
pub(crate) mod netflow5;
pub(crate) mod options;
pub(crate) mod packet;
pub(crate) mod sflow;
pub(crate) mod templated;

/// Largest payload that fits an Ethernet frame with room for tunnels.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1_400;

/// Longest time a record waits for its datagram to fill, microseconds.
pub(crate) const WAIT_US_MAX: i64 = 1_000_000;

pub(crate) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// The low `length` bytes of a number; more than 8 are filled with zeros in front.
pub(crate) fn put_number(out: &mut Vec<u8>, value: u64, length: usize) {
    let bytes = value.to_be_bytes();
    out.resize(out.len() + length.saturating_sub(8), 0);
    out.extend_from_slice(&bytes[8 - length.min(8)..]);
}

/// Text cut or zero-filled to `length` bytes.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str, length: usize) {
    let end = out.len() + length;
    out.extend(text.bytes().take(length));
    out.resize(end, 0);
}

/// Zeros up to a multiple of four bytes after `start`.
pub(crate) fn pad(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    out.resize(start + length.next_multiple_of(4), 0);
}
