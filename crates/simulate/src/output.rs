//! Where datagrams go: a capture, a socket, a test's list.

use std::net::SocketAddr;

/// The sink of a simulation. Datagrams come in the order of their time; a sink that sends live sleeps until `at_us`.
pub trait Output {
    /// One UDP payload that `source` sent at `at_us` (microseconds since 1970, true time).
    fn datagram(&mut self, at_us: i64, source: SocketAddr, payload: &[u8]);

    /// What a poll of an interface's counters brings from a router that sends none: a line of JSON with a time.
    fn polled(&mut self, _line: &str) {}

    /// The simulation has come to this time: what is sent from now on is not earlier.
    fn reach(&mut self, _at_us: i64) {}

    /// True when nobody wants the rest: the simulation ends early, and its truth ends there too.
    fn is_stopped(&self) -> bool {
        false
    }
}

impl<F: FnMut(i64, SocketAddr, &[u8])> Output for F {
    fn datagram(&mut self, at_us: i64, source: SocketAddr, payload: &[u8]) {
        self(at_us, source, payload);
    }
}
