//! Who may send: asked of every datagram before anything is made of it.

use std::collections::VecDeque;
use std::net::IpAddr;

use model::{Address, Prefix};
use peering::SeenRefused;

/// Refused sources that are remembered, for an operator who wonders why nothing comes.
const REMEMBERED: usize = 64;

/// The sources of `[allow]`; none stands for all.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// First and last addresses, in order, apart from each other.
    ranges: Vec<(Address, Address)>,
    prefixes: Vec<(IpAddr, u8)>,
}

impl Allowed {
    /// What these prefixes hold; without any, everything.
    pub fn of(prefixes: &[Prefix]) -> Allowed {
        let mut all: Vec<(Address, Address)> = prefixes.iter().map(|prefix| (prefix.first(), prefix.last())).collect();
        all.sort_unstable();
        let mut ranges: Vec<(Address, Address)> = Vec::new();
        for (first, last) in all {
            match ranges.last_mut() {
                Some((_, held)) if first <= *held => *held = last.max(*held),
                _ => ranges.push((first, last)),
            }
        }
        let prefixes = prefixes.iter().map(|prefix| (IpAddr::from(prefix.first()), prefix.length())).collect();
        Allowed { ranges, prefixes }
    }

    /// The prefixes as they were given; none stands for all.
    pub fn prefixes(&self) -> &[(IpAddr, u8)] {
        &self.prefixes
    }

    /// Whether datagrams of this source are taken in.
    #[inline]
    pub fn allows(&self, source: Address) -> bool {
        if self.ranges.is_empty() {
            return true;
        }
        let below = self.ranges.partition_point(|(first, _)| *first <= source);
        below > 0 && source <= self.ranges[below - 1].1
    }
}

/// The sources refused last, the latest in front.
#[derive(Debug, Default)]
pub(crate) struct RefusedSources(VecDeque<SeenRefused>);

impl RefusedSources {
    /// Notes a datagram that was refused.
    pub(crate) fn note(&mut self, source: Address, now_us: i64) {
        let known = self.0.iter().position(|held| held.address == source).and_then(|place| self.0.remove(place));
        let mut refused = known.unwrap_or(SeenRefused { address: source, datagrams: 0, last_us: now_us });
        refused.datagrams += 1;
        refused.last_us = now_us;
        self.0.truncate(REMEMBERED - 1);
        self.0.push_front(refused);
    }

    /// All that are remembered.
    pub(crate) fn seen(&self) -> Vec<SeenRefused> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefixes_of_the_list_and_no_others() {
        let allowed = |prefixes: &[&str]| Allowed::of(&prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect::<Vec<_>>());
        let check = |allowed: &Allowed, source: &str, expected: bool| {
            assert_eq!(allowed.allows(source.parse().unwrap()), expected, "{source}");
        };
        let some = allowed(&["192.0.2.0/24", "192.0.2.7/32", "198.51.100.4/32", "2001:db8::/48"]);
        check(&some, "192.0.2.0", true);
        check(&some, "192.0.2.255", true);
        check(&some, "192.0.3.0", false);
        check(&some, "198.51.100.4", true);
        check(&some, "198.51.100.5", false);
        check(&some, "2001:db8:0:ffff::1", true);
        check(&some, "2001:db8:1::1", false);
        check(&some, "::", false);
        check(&allowed(&[]), "203.0.113.1", true);
    }

    #[test]
    fn the_last_64_refused_are_remembered() {
        let mut refused = RefusedSources::default();
        for host in 0..100_u32 {
            refused.note(Address::from_v4_bits(host), i64::from(host));
            refused.note(Address::from_v4_bits(99), 1_000);
        }
        let seen = refused.seen();
        assert_eq!((seen.len(), seen[0].address, seen[0].datagrams), (64, Address::from_v4_bits(99), 101));
        assert!(seen.iter().any(|one| one.address == Address::from_v4_bits(98) && one.datagrams == 1));
    }
}
