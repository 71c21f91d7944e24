//! Which of several sockets gets a datagram: a classic BPF program that picks by source address.
//!
//! Templates and sequence numbers belong to an exporter, so all its datagrams must come to the same
//! worker, whatever their source port. Configured exporters are dealt out in turn, so that each worker has
//! as many; the others go by a hash. Sources that are not allowed go to a socket of their own: what they
//! send fills its buffer and no other.

use std::net::IpAddr;

use nix::libc::{sock_filter, sock_fprog};

/// Offset of the network header in classic BPF (`SKF_NET_OFF` of linux/filter.h).
const NETWORK_HEADER: u32 = (-0x10_0000_i32) as u32;
/// Offset of the source address in an IPv4 header.
const SOURCE_V4: u32 = NETWORK_HEADER + 12;
/// Offset of the source address in an IPv6 header.
const SOURCE_V6: u32 = NETWORK_HEADER + 8;
/// An odd constant near 2^32 over the golden ratio spreads neighbouring addresses.
const SPREAD: u32 = 0x9e37_79b1;

const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const SHIFT_RIGHT: u16 = 0x74;
const MULTIPLY: u16 = 0x24;
const MODULO: u16 = 0x94;
const AND: u16 = 0x54;
const XOR_INDEX: u16 = 0xac;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const TO_INDEX: u16 = 0x07;
const RETURN: u16 = 0x16;
const RETURN_CONSTANT: u16 = 0x06;

/// Steps that a program may have (`BPF_MAXINSNS`).
const STEPS_MAX: usize = 4_096;
/// Exporters that are dealt out: each takes two steps.
const DEALT_MAX: usize = 1_000;

/// A program that returns the socket of a source address, of either family.
pub(crate) struct Steering {
    program: Vec<sock_filter>,
}

impl Steering {
    /// Deals out to so many sockets; what is not `allowed` (prefixes; none stands for all) goes to the next one
    /// after them. `None` if the list is too long for the kernel.
    pub(crate) fn new(sockets: u32, exporters: &[IpAddr], allowed: &[(IpAddr, u8)]) -> Option<Steering> {
        let sockets = sockets.max(1);
        let mut v4 = allow(allowed, true, sockets);
        v4.push(step(LOAD_WORD, SOURCE_V4));
        let mut v6 = allow(allowed, false, sockets);
        v6.push(step(LOAD_WORD, SOURCE_V6));
        for word in 1..4 {
            v6.extend([step(TO_INDEX, 0), step(LOAD_WORD, SOURCE_V6 + word * 4), step(XOR_INDEX, 0)]);
        }
        v4.push(step(JUMP, v6.len() as u32));
        let mut program = vec![
            step(LOAD_BYTE, NETWORK_HEADER),
            step(SHIFT_RIGHT, 4),
            sock_filter { code: JUMP_IF_EQUAL, jt: 1, jf: 0, k: 4 },
            step(JUMP, v4.len() as u32),
        ];
        program.extend(v4);
        program.extend(v6);
        for (turn, exporter) in exporters.iter().take(DEALT_MAX).enumerate() {
            program.push(sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: folded(*exporter) });
            program.push(step(RETURN_CONSTANT, turn as u32 % sockets));
        }
        program.extend([step(MULTIPLY, SPREAD), step(SHIFT_RIGHT, 16), step(MODULO, sockets), step(RETURN, 0)]);
        (program.len() <= STEPS_MAX).then_some(Steering { program })
    }

    /// The form that the kernel takes; valid as long as `self`.
    pub(crate) fn as_filter(&mut self) -> sock_fprog {
        sock_fprog { len: self.program.len() as u16, filter: self.program.as_mut_ptr() }
    }
}

fn step(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Steps that end behind themselves for what is allowed, else return the socket `refused`.
fn allow(allowed: &[(IpAddr, u8)], is_v4: bool, refused: u32) -> Vec<sock_filter> {
    if allowed.is_empty() {
        return Vec::new();
    }
    let start = if is_v4 { SOURCE_V4 } else { SOURCE_V6 };
    let of_family = allowed.iter().filter(|(address, _)| address.is_ipv4() == is_v4);
    let checks: Vec<Vec<sock_filter>> = of_family.map(|(address, length)| check(*address, *length, start)).collect();
    // Each check is followed by the jump to the end that it makes when all its words fit.
    let mut left: usize = checks.iter().map(|check| check.len() + 1).sum::<usize>() + 1;
    let mut steps = Vec::with_capacity(left);
    for check in checks {
        left -= check.len() + 1;
        steps.extend(check);
        steps.push(step(JUMP, left as u32));
    }
    steps.push(step(RETURN_CONSTANT, refused));
    steps
}

/// Steps that go on behind themselves if an address lies in a prefix, else one further.
fn check(address: IpAddr, length: u8, start: u32) -> Vec<sock_filter> {
    let words: Vec<u32> = match address {
        IpAddr::V4(address) => vec![address.to_bits()],
        IpAddr::V6(address) => [96, 64, 32, 0].map(|shift| (address.to_bits() >> shift) as u32).to_vec(),
    };
    let masks = (0..words.len()).map(|word| u32::from(length).saturating_sub(word as u32 * 32).min(32));
    let masks: Vec<u32> = masks.map(|bits| u32::MAX.checked_shl(32 - bits).unwrap_or(0)).filter(|mask| *mask != 0).collect();
    let mut steps = Vec::new();
    for (word, mask) in masks.iter().enumerate() {
        let behind = (masks.len() - word - 1) * 3 + 1;
        steps.push(step(LOAD_WORD, start + word as u32 * 4));
        steps.push(step(AND, *mask));
        steps.push(sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: behind as u8, k: words[word] & mask });
    }
    steps
}

/// The word that the program makes of an address.
fn folded(address: IpAddr) -> u32 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [96, 64, 32, 0].into_iter().fold(0, |word, shift| word ^ (bits >> shift) as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program returns for a packet of that source.
    fn run(steering: &Steering, source: IpAddr) -> u32 {
        let packet: Vec<u8> = match source {
            IpAddr::V4(address) => [&[0x45; 12][..], &address.octets(), &[0; 4]].concat(),
            IpAddr::V6(address) => [&[0x60; 8][..], &address.octets(), &[0; 16]].concat(),
        };
        let at = |k: u32| (k - NETWORK_HEADER) as usize;
        let word = |k: u32| u32::from_be_bytes(packet[at(k)..at(k) + 4].try_into().unwrap());
        let (mut value, mut index, mut place) = (0_u32, 0_u32, 0_usize);
        loop {
            let sock_filter { code, jt, jf, k } = steering.program[place];
            place += 1;
            match code {
                LOAD_BYTE => value = packet[at(k)].into(),
                LOAD_WORD => value = word(k),
                SHIFT_RIGHT => value >>= k,
                MULTIPLY => value = value.wrapping_mul(k),
                MODULO => value %= k,
                AND => value &= k,
                XOR_INDEX => value ^= index,
                TO_INDEX => index = value,
                JUMP => place += k as usize,
                JUMP_IF_EQUAL => place += usize::from(if value == k { jt } else { jf }),
                RETURN => return value,
                RETURN_CONSTANT => return k,
                _ => panic!("{code:#x}"),
            }
        }
    }

    #[test]
    fn only_the_allowed_come_to_the_workers() {
        let prefix = |text: &str| {
            let (address, length) = text.split_once('/').unwrap();
            (address.parse().unwrap(), length.parse().unwrap())
        };
        let allowed = ["192.0.2.0/25", "198.51.100.7/32", "2001:db8:1::/48", "2001:db8:2::7/128"].map(prefix);
        let check = |allowed: &[(IpAddr, u8)], source: &str, expected: bool| {
            let exporters = ["198.51.100.7".parse().unwrap(), "2001:db8:1::1".parse().unwrap()];
            let steering = Steering::new(4, &exporters, allowed).unwrap();
            assert_eq!(run(&steering, source.parse().unwrap()) < 4, expected, "{source}");
        };
        for (source, expected) in [
            ("192.0.2.1", true),
            ("192.0.2.127", true),
            ("192.0.2.128", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("2001:db8:1:ffff::1", true),
            ("2001:db8:2::7", true),
            ("2001:db8:2::8", false),
            ("2001:db8:3::7", false),
        ] {
            check(&allowed, source, expected);
            check(&[], source, true);
            check(&allowed[..1], source, source.starts_with("192.0.2.1") && source != "192.0.2.128");
            check(&[prefix("0.0.0.0/0"), prefix("::/0")], source, true);
        }
    }

    #[test]
    fn exporters_are_dealt_out_in_turn() {
        let exporters: Vec<IpAddr> = (1..=6).map(|last| format!("2001:db8::{last}").parse().unwrap()).collect();
        let steering = Steering::new(3, &exporters, &[]).unwrap();
        assert_eq!(exporters.iter().map(|exporter| run(&steering, *exporter)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_list_that_the_kernel_cannot_take_is_none() {
        let long: Vec<(IpAddr, u8)> = (0..2_000).map(|number| (IpAddr::V4(number.into()), 32)).collect();
        assert!(Steering::new(1, &[], &long).is_none());
        assert!(Steering::new(1, &[], &long[..900]).is_some());
    }
}
