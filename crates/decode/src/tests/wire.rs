//! Datagrams of NetFlow version 9 and IPFIX, written by hand.

/// 16-bit numbers to bytes.
pub(super) fn halves(halves: &[u16]) -> Vec<u8> {
    halves.iter().flat_map(|half| half.to_be_bytes()).collect()
}

pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A set: id, length, content.
pub(super) fn set(id: u16, content: &[u8]) -> Vec<u8> {
    [halves(&[id, content.len() as u16 + 4]), content.to_vec()].concat()
}

/// When the datagrams here are exported, seconds since 1970.
pub(super) const EXPORT_S: u32 = 1_772_445_600;
/// Uptime of the device when it exports a datagram of version 9.
pub(super) const UPTIME_MS: u32 = 90_000;

pub(super) fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    ipfix_of(1, EXPORT_S, sequence, sets)
}

/// A message of an observation domain, exported at that time.
pub(super) fn ipfix_of(domain: u32, export_s: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let sets = sets.concat();
    [halves(&[10, sets.len() as u16 + 16]), words(&[export_s, sequence, domain]), sets].concat()
}

pub(super) fn version_9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    version_9_of(1, EXPORT_S, sequence, sets)
}

/// A datagram of a source id, exported at that time.
pub(super) fn version_9_of(domain: u32, export_s: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    [halves(&[9, sets.len() as u16]), words(&[UPTIME_MS, export_s, sequence, domain]), sets.concat()].concat()
}

/// A template definition: id, field count, then element and length of each.
pub(super) fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = halves(&[id, fields.len() as u16]);
    fields.iter().for_each(|(element, length)| bytes.extend(halves(&[*element, *length])));
    bytes
}

/// An IPFIX options template: id, number of scopes, then elements of which the first are the scopes.
pub(super) fn options(id: u16, scopes: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = halves(&[id, fields.len() as u16, scopes]);
    fields.iter().for_each(|(element, length)| bytes.extend(halves(&[*element, *length])));
    bytes
}

/// A version 9 options template: id, scopes by type, then elements (RFC 3954, section 6.1).
pub(super) fn options_9(id: u16, scopes: &[(u16, u16)], fields: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = halves(&[id, 4 * scopes.len() as u16, 4 * fields.len() as u16]);
    scopes.iter().chain(fields).for_each(|(kind, length)| bytes.extend(halves(&[*kind, *length])));
    bytes
}

/// Version 5: that count said, sampling field, then records of 48 bytes.
pub(super) fn version_5(count: u16, sequence: u32, sampling: u16, records: &[Vec<u8>]) -> Vec<u8> {
    [halves(&[5, count]), words(&[UPTIME_MS, EXPORT_S, 0, sequence]), halves(&[0x0102, sampling]), records.concat()].concat()
}
