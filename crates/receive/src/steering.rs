//! Which of several sockets gets a datagram: a classic BPF program that picks by source address.
//!
//! Templates and sequence numbers belong to an exporter, so all its datagrams must come to the same
//! worker, whatever their source port. Configured exporters are dealt out in turn, so that each worker has
//! as many; the others go by a hash.

use std::net::IpAddr;

use nix::libc::{sock_filter, sock_fprog};

/// Offset of the network header in classic BPF (`SKF_NET_OFF` of linux/filter.h).
const NETWORK_HEADER: u32 = (-0x10_0000_i32) as u32;
/// An odd constant near 2^32 over the golden ratio spreads neighbouring addresses.
const SPREAD: u32 = 0x9e37_79b1;

const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const SHIFT_RIGHT: u16 = 0x74;
const MULTIPLY: u16 = 0x24;
const MODULO: u16 = 0x94;
const XOR_INDEX: u16 = 0xac;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const TO_INDEX: u16 = 0x07;
const RETURN: u16 = 0x16;
const RETURN_CONSTANT: u16 = 0x06;

/// Exporters that are dealt out: each takes two of the 4,096 steps that a program may have.
const DEALT_MAX: usize = 2_000;

/// A program that returns the socket of a source address, of either family.
pub(crate) struct Steering {
    program: Vec<sock_filter>,
}

impl Steering {
    pub(crate) fn new(sockets: u32, exporters: &[IpAddr]) -> Steering {
        let sockets = sockets.max(1);
        let step = |code: u16, k: u32| sock_filter { code, jt: 0, jf: 0, k };
        let mut program = vec![
            step(LOAD_BYTE, NETWORK_HEADER),
            step(SHIFT_RIGHT, 4),
            sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 2, k: 4 },
            step(LOAD_WORD, NETWORK_HEADER.wrapping_add(12)),
            step(JUMP, 10),
        ];
        program.push(step(LOAD_WORD, NETWORK_HEADER.wrapping_add(8)));
        for offset in [12, 16, 20] {
            program.extend([step(TO_INDEX, 0), step(LOAD_WORD, NETWORK_HEADER.wrapping_add(offset)), step(XOR_INDEX, 0)]);
        }
        for (turn, exporter) in exporters.iter().take(DEALT_MAX).enumerate() {
            program.push(sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: folded(*exporter) });
            program.push(step(RETURN_CONSTANT, turn as u32 % sockets));
        }
        program.extend([step(MULTIPLY, SPREAD), step(SHIFT_RIGHT, 16), step(MODULO, sockets), step(RETURN, 0)]);
        Steering { program }
    }

    /// The form that the kernel takes; valid as long as `self`.
    pub(crate) fn as_filter(&mut self) -> sock_fprog {
        sock_fprog { len: self.program.len() as u16, filter: self.program.as_mut_ptr() }
    }
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
