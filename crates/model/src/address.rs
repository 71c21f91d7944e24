//! Addresses of both families in one 128-bit type, and prefixes of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The upper 96 bits of an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2).
const V4_MAPPED: u128 = 0xffff << 32;

/// An IPv4 or IPv6 address; IPv4 is held as `::ffff:a.b.c.d`.
///
/// [`Address::UNKNOWN`] (`::`) stands for an address that the telemetry does not give.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u128);

impl Address {
    /// No address: what an absent next hop reads as.
    pub const UNKNOWN: Address = Address(0);

    /// An address from its 128 bits, IPv4 in mapped form.
    pub const fn from_bits(bits: u128) -> Address {
        Address(bits)
    }

    /// An IPv4 address from its 32 bits.
    pub const fn from_v4_bits(bits: u32) -> Address {
        Address(V4_MAPPED | bits as u128)
    }

    /// The 128 bits, IPv4 in mapped form.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// Whether this is an IPv4 address.
    #[inline]
    pub const fn is_v4(self) -> bool {
        let [high, low] = self.halves();
        high == 0 && low >> 32 == 0xffff
    }

    /// Whether the telemetry gave no address here (`::`, or 0.0.0.0 of an empty field).
    #[inline]
    pub const fn is_unknown(self) -> bool {
        let [high, low] = self.halves();
        high == 0 && (low == 0 || low == V4_MAPPED as u64)
    }

    /// The upper and the lower 64 bits: what is asked of them takes a step or two.
    const fn halves(self) -> [u64; 2] {
        [(self.0 >> 64) as u64, self.0 as u64]
    }

    /// The 32 bits of an IPv4 address.
    pub const fn v4_bits(self) -> Option<u32> {
        if self.is_v4() { Some(self.0 as u32) } else { None }
    }

    /// 4 or 6.
    pub const fn ip_version(self) -> u8 {
        if self.is_v4() { 4 } else { 6 }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Address {
        match address {
            IpAddr::V4(v4) => Address::from_v4_bits(v4.to_bits()),
            IpAddr::V6(v6) => Address(v6.to_bits()),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> IpAddr {
        match address.v4_bits() {
            Some(bits) => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            None => IpAddr::V6(Ipv6Addr::from_bits(address.0)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(formatter)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Address, Self::Err> {
        text.parse::<IpAddr>().map(Address::from)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom(format!("\"{text}\" is not an IP address")))
    }
}

/// A prefix of either family, its host bits zero.
///
/// The length is counted within the family: 0 to 32 for IPv4, 0 to 128 for IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// Halves of the first address, and the length and one: so it takes 24 bytes, also where there may be none.
    address: [u64; 2],
    length_and_one: NonZeroU8,
}

impl Prefix {
    /// The prefix of `length` bits that holds `address`; `None` if the family has fewer bits.
    pub const fn new(address: Address, length: u8) -> Option<Prefix> {
        let family_bits = if address.is_v4() { 32 } else { 128 };
        if length > family_bits {
            return None;
        }
        let host_bits = family_bits - length;
        let mask = if host_bits == 128 { 0 } else { u128::MAX << host_bits };
        Some(Prefix::of(Address(address.0 & mask), length))
    }

    const fn of(first: Address, length: u8) -> Prefix {
        Prefix { address: first.halves(), length_and_one: NonZeroU8::MIN.saturating_add(length) }
    }

    /// The prefix that holds one address only.
    pub const fn host(address: Address) -> Prefix {
        Prefix::of(address, if address.is_v4() { 32 } else { 128 })
    }

    /// The first address.
    #[inline]
    pub const fn first(self) -> Address {
        let [high, low] = self.address;
        Address((high as u128) << 64 | low as u128)
    }

    /// The last address.
    pub const fn last(self) -> Address {
        let host_bits = self.family_bits() - self.length();
        let host_mask = if host_bits == 128 { u128::MAX } else { (1u128 << host_bits) - 1 };
        Address(self.first().0 | host_mask)
    }

    /// The length in bits, within the family.
    #[inline]
    pub const fn length(self) -> u8 {
        self.length_and_one.get() - 1
    }

    /// Whether this is an IPv4 prefix.
    pub const fn is_v4(self) -> bool {
        self.first().is_v4()
    }

    /// Whether `address` lies in the prefix.
    pub const fn contains(self, address: Address) -> bool {
        self.is_v4() == address.is_v4() && self.first().0 <= address.0 && address.0 <= self.last().0
    }

    const fn family_bits(self) -> u8 {
        if self.is_v4() { 32 } else { 128 }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.first(), self.length())
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Prefix {
    type Err = String;

    /// `ADDRESS/LENGTH`, or an address alone for a host; host bits are cleared.
    fn from_str(text: &str) -> Result<Prefix, String> {
        let wrong = || format!("\"{text}\" is not an IP prefix such as 192.0.2.0/24 or 2001:db8::/32");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: Address = address.parse().map_err(|_| wrong())?;
        match length {
            None => Ok(Prefix::host(address)),
            Some(length) => {
                let length = length.parse().map_err(|_| wrong())?;
                Prefix::new(address, length).ok_or_else(wrong)
            }
        }
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Prefix, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An Ethernet address; all zero where the telemetry gives none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether the telemetry gave no address here.
    pub fn is_unknown(self) -> bool {
        self.0 == [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Mac {
    type Err = String;

    /// Six bytes in hexadecimal with `:`, `-` or Cisco's `.` between them.
    fn from_str(text: &str) -> Result<Mac, String> {
        let wrong = || format!("\"{text}\" is not an Ethernet address such as 02:00:5e:10:00:01");
        let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
        if digits.len() != 12 || !digits.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 6];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Mac(bytes))
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Mac, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_read_and_print() {
        for (text, printed) in [
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1/127", "2001:db8::/127"),
            ("::/0", "::/0"),
            ("198.51.100.1", "198.51.100.1/32"),
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), printed);
        }
        for text in ["192.0.2.0/33", "2001:db8::/129", "192.0.2.0/", "/8", "x", "10/8"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_holds_its_family_only() {
        let all_v6: Prefix = "::/0".parse().unwrap();
        assert!(all_v6.contains("2001:db8::1".parse().unwrap()));
        assert!(!all_v6.contains("192.0.2.1".parse().unwrap()));
        let net: Prefix = "192.0.2.0/31".parse().unwrap();
        assert_eq!(net.last(), "192.0.2.1".parse().unwrap());
        assert!(!net.contains("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn ethernet_addresses_in_three_notations() {
        let mac = Mac([0x02, 0, 0x5e, 0x10, 0, 1]);
        for text in ["02:00:5e:10:00:01", "02-00-5E-10-00-01", "0200.5e10.0001"] {
            assert_eq!(text.parse::<Mac>().unwrap(), mac);
        }
        assert!("02:00:5e:10:00".parse::<Mac>().is_err());
    }
}
