//! Reading XDR (RFC 4506): big-endian words, opaque data padded to a multiple of four bytes.

use model::Address;

/// A place in XDR data; every reading moves it on, or gives `None` and leaves the data unusable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Xdr<'a> {
    bytes: &'a [u8],
}

impl<'a> Xdr<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Xdr<'a> {
        Xdr { bytes }
    }

    /// What is left.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// An unsigned integer of 32 bits.
    #[inline]
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (word, rest) = self.bytes.split_first_chunk::<4>()?;
        self.bytes = rest;
        Some(u32::from_be_bytes(*word))
    }

    /// An unsigned integer of 64 bits.
    #[inline]
    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (word, rest) = self.bytes.split_first_chunk::<8>()?;
        self.bytes = rest;
        Some(u64::from_be_bytes(*word))
    }

    /// `N` words, read at once.
    #[inline]
    pub(crate) fn words<const N: usize>(&mut self) -> Option<[u32; N]> {
        let (words, rest) = self.bytes.split_at_checked(4 * N)?;
        self.bytes = rest;
        let mut out = [0; N];
        for (word, bytes) in out.iter_mut().zip(words.chunks_exact(4)) {
            *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Some(out)
    }

    /// `length` bytes and their padding; padding that the end of the data cuts off is not missed.
    #[inline]
    pub(crate) fn fixed(&mut self, length: usize) -> Option<&'a [u8]> {
        let (data, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest.get(length.wrapping_neg() % 4..).unwrap_or(&[]);
        Some(data)
    }

    /// Variable-length opaque data: a length, that many bytes, padding.
    #[inline]
    pub(crate) fn opaque(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.fixed(usize::try_from(length).ok()?)
    }

    /// An address with its type before it: 1 IPv4, 2 IPv6, 0 unknown (sFlow version 5, section 5,
    /// `address`).
    #[inline]
    pub(crate) fn address(&mut self) -> Option<Address> {
        match self.u32()? {
            0 => Some(Address::UNKNOWN),
            1 => Some(Address::from_v4_bits(self.u32()?)),
            2 => self.address_v6(),
            _ => None,
        }
    }

    /// An IPv6 address.
    #[inline]
    pub(crate) fn address_v6(&mut self) -> Option<Address> {
        let (bytes, rest) = self.bytes.split_first_chunk::<16>()?;
        self.bytes = rest;
        Some(Address::from_bits(u128::from_be_bytes(*bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_data_is_padded_to_words() {
        let mut xdr = Xdr::new(&[0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(xdr.opaque(), Some(&[1u8, 2, 3, 4, 5][..]));
        assert_eq!(xdr.u32(), Some(9));
        assert_eq!(xdr.u32(), None);
        // The last padding may be missing, the data may not.
        assert_eq!(Xdr::new(&[0, 0, 0, 1, 7]).opaque(), Some(&[7u8][..]));
        assert_eq!(Xdr::new(&[0, 0, 0, 2, 7]).opaque(), None);
        assert_eq!(Xdr::new(&[0xff; 8]).opaque(), None);
    }

    #[test]
    fn addresses_are_of_two_types() {
        let v4 = [0, 0, 0, 1, 192, 0, 2, 1];
        assert_eq!(Xdr::new(&v4).address(), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(Xdr::new(&[0, 0, 0, 3, 192, 0, 2, 1]).address(), None);
        assert_eq!(Xdr::new(&[0, 0, 0, 0]).address(), Some(Address::UNKNOWN));
    }
}
