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

pub(super) fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let sets = sets.concat();
    [halves(&[10, sets.len() as u16 + 16]), words(&[1_772_445_600, sequence, 1]), sets].concat()
}

pub(super) fn version_9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    [halves(&[9, sets.len() as u16]), words(&[90_000, 1_772_445_600, sequence, 1]), sets.concat()].concat()
}

/// A template definition: id, field count, then element and length of each.
pub(super) fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = halves(&[id, fields.len() as u16]);
    fields.iter().for_each(|(element, length)| bytes.extend(halves(&[*element, *length])));
    bytes
}
