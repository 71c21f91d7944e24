//! IPFIX files: messages one after the other (RFC 5655, section 5).

use std::io::{ErrorKind, Read};

const HEADER_BYTES: usize = 16;

/// What the file has next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A whole message, now in the buffer, exported at that time (seconds since 1970).
    Whole(u32),
    /// The file ends here.
    End,
    /// What follows is no message, or cut off.
    Damaged,
}

/// Reads the next message into `buffer`.
pub(super) fn read(mut file: &mut dyn Read, buffer: &mut Vec<u8>) -> std::io::Result<Message> {
    buffer.clear();
    if Read::by_ref(&mut file).take(HEADER_BYTES as u64).read_to_end(buffer)? == 0 {
        return Ok(Message::End);
    }
    let Some(header) = buffer.first_chunk::<HEADER_BYTES>() else { return Ok(Message::Damaged) };
    let [0, 10, high, low, export @ ..] = header else { return Ok(Message::Damaged) };
    let export_s = u32::from_be_bytes([export[0], export[1], export[2], export[3]]);
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length < HEADER_BYTES {
        return Ok(Message::Damaged);
    }
    buffer.resize(length, 0);
    match file.read_exact(&mut buffer[HEADER_BYTES..]) {
        Ok(()) => Ok(Message::Whole(export_s)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Message::Damaged),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_follow_one_another_until_the_file_ends_or_is_damaged() {
        let message = |length: u8| [vec![0, 10, 0, length, 0, 0, 0, 9], vec![0; usize::from(length) - 8]].concat();
        let check = |file: &[u8], expected: &[Message]| {
            let (mut rest, mut buffer) = (file, Vec::new());
            let mut read = || super::read(&mut rest, &mut buffer).unwrap();
            expected.iter().for_each(|expected| assert_eq!(read(), *expected));
        };
        check(&[message(16), message(40)].concat(), &[Message::Whole(9), Message::Whole(9), Message::End]);
        check(&message(40)[..39], &[Message::Damaged]);
        check(&message(16)[..5], &[Message::Damaged]);
        check(&[0, 10, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[Message::Damaged]);
        check(&[message(16), vec![0, 9]].concat(), &[Message::Whole(9), Message::Damaged]);
    }
}
