//! The bytes of a field to a value that a person reads.

use std::fmt::Write;

use model::{Address, Mac};

use super::node::Value;
use crate::elements::ElementType;

/// Bytes of a data section that are shown.
const SHOWN_BYTES_MAX: usize = 64;
/// Seconds from 1900 to 1970.
const NTP_EPOCH_SECONDS: i64 = 2_208_988_800;

/// Reads a field by its type; what does not fit the type is shown in hexadecimal.
pub(super) fn value(element_type: ElementType, bytes: &[u8]) -> Value {
    typed(element_type, bytes).unwrap_or_else(|| Value::Text(hex(bytes)))
}

fn typed(element_type: ElementType, bytes: &[u8]) -> Option<Value> {
    Some(match element_type {
        ElementType::Unsigned => Value::Unsigned(unsigned(bytes)?),
        ElementType::Signed => Value::Signed(signed(bytes)?),
        ElementType::Float => Value::Float(match bytes.len() {
            4 => f64::from(f32::from_be_bytes(bytes.try_into().ok()?)),
            _ => f64::from_be_bytes(bytes.try_into().ok()?),
        }),
        ElementType::Flags => Value::Text(format!("{:#x}", unsigned(bytes)?)),
        ElementType::Ipv4 => Value::Text(Address::from_v4_bits(u32::from_be_bytes(bytes.try_into().ok()?)).to_string()),
        ElementType::Ipv6 => Value::Text(std::net::Ipv6Addr::from_bits(u128::from_be_bytes(bytes.try_into().ok()?)).to_string()),
        ElementType::Mac => Value::Text(Mac(bytes.try_into().ok()?).to_string()),
        ElementType::Text => Value::Text(text(bytes)),
        ElementType::Seconds => Value::Text(time(i64::try_from(unsigned(bytes)?).ok()?, 0)),
        ElementType::Milliseconds => {
            let milliseconds = i64::try_from(unsigned(bytes)?).ok()?;
            Value::Text(time(milliseconds / 1_000, milliseconds % 1_000 * 1_000))
        }
        ElementType::Ntp => {
            let bits = u64::from_be_bytes(bytes.try_into().ok()?);
            let micros = ((bits & 0xffff_ffff) * 1_000_000) >> 32;
            Value::Text(time((bits >> 32) as i64 - NTP_EPOCH_SECONDS, micros as i64))
        }
        ElementType::Bytes if bytes.len() > 8 || bytes.is_empty() => Value::Text(hex(bytes)),
        ElementType::Bytes => Value::Text(format!("{} ({})", hex(bytes), unsigned(bytes)?)),
    })
}

/// A big-endian number of up to eight bytes.
pub(super) fn unsigned(bytes: &[u8]) -> Option<u64> {
    (1..=8).contains(&bytes.len()).then(|| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn signed(bytes: &[u8]) -> Option<i64> {
    let number = unsigned(bytes)?;
    let unused_bits = 64 - 8 * bytes.len() as u32;
    Some((number << unused_bits) as i64 >> unused_bits)
}

/// Text as the device sent it: ended by a zero, control characters escaped.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let mut out = String::new();
    for letter in String::from_utf8_lossy(&bytes[..end]).chars() {
        if letter.is_control() { out.extend(letter.escape_default()) } else { out.push(letter) }
    }
    out
}

/// Bytes in hexadecimal, the end of long ones left out.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::from("0x");
    for byte in bytes.iter().take(SHOWN_BYTES_MAX) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    if bytes.len() > SHOWN_BYTES_MAX {
        let _ = write!(out, "... ({} bytes)", bytes.len());
    }
    out
}

/// A time as `YYYY-MM-DDTHH:MM:SS.ffffffZ`, by the proleptic Gregorian calendar.
pub(super) fn time(seconds: i64, micros: i64) -> String {
    let days = seconds.div_euclid(86_400);
    let second = seconds.rem_euclid(86_400);
    // Days since 0000-03-01, in eras of 400 years, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(element_type: ElementType, bytes: &[u8], expected: &str) {
        assert_eq!(value(element_type, bytes).to_string(), expected);
    }

    #[test]
    fn values_are_read_by_their_type() {
        check(ElementType::Unsigned, &[1, 0, 0], "65536");
        check(ElementType::Signed, &[0xff, 0xfe], "-2");
        check(ElementType::Float, &1.5f32.to_be_bytes(), "1.5");
        check(ElementType::Flags, &[0x12], "0x12");
        check(ElementType::Ipv4, &[192, 0, 2, 1], "192.0.2.1");
        check(ElementType::Ipv4, &[192, 0, 2], "0xc00002");
        check(ElementType::Mac, &[2, 0, 0, 0, 0, 1], "02:00:00:00:00:01");
        check(ElementType::Text, b"xe-0/0/1\n\0\0\0", "xe-0/0/1\\n");
        check(ElementType::Seconds, &951_782_400u32.to_be_bytes(), "2000-02-29T00:00:00.000000Z");
        check(ElementType::Milliseconds, &1_700_000_000_123u64.to_be_bytes(), "2023-11-14T22:13:20.123000Z");
        check(ElementType::Ntp, &(2_208_988_800u64 << 32 | 1 << 31).to_be_bytes(), "1970-01-01T00:00:00.500000Z");
        check(ElementType::Bytes, &[0, 7], "0x0007 (7)");
        check(ElementType::Unsigned, &[], "0x");
    }
}
