//! The simulated network at work: datagrams, polled counters and mirrored packets, each when its time has come.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use receive::Sender;
use simulate::{Handshakes, Output, Scenario};

use crate::clock::Clock;
use crate::failure::Failure;
use crate::mirrors::SIMULATED_HEADER_BYTES;

/// What is due within this time is sent at once: a shorter sleep costs more than it is worth.
const SLEEP_LEAST: Duration = Duration::from_millis(1);

/// Where the telemetry of a simulated network goes.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// The collector's socket.
    pub(super) telemetry: SocketAddr,
    /// Its socket for mirrored packets.
    pub(super) mirrors: SocketAddr,
}

/// A network whose time is a clock's; the first error ends it.
pub(super) struct Network {
    sender: Sender,
    mirrors: UdpSocket,
    handshakes: Vec<Handshakes>,
    counters: BufWriter<File>,
    clock: Clock,
    stop: Arc<AtomicBool>,
    failed: Option<String>,
}

impl Network {
    /// Sends to `places` by `clock` until `stop` is set; polled counters are written to the file `counters`.
    pub(super) fn open(
        scenario: &Scenario,
        places: &Places,
        counters: &Path,
        clock: Clock,
        stop: Arc<AtomicBool>,
    ) -> Result<Network, Failure> {
        let cannot = |error| Failure::failed(format!("{}: cannot be written: {error}", counters.display()));
        let mirrors = UdpSocket::bind((places.mirrors.ip(), 0)).and_then(|socket| {
            socket.connect(places.mirrors)?;
            Ok(socket)
        });
        Ok(Network {
            sender: Sender::new(places.telemetry),
            mirrors: mirrors.map_err(|error| Failure::failed(format!("cannot send on the loopback: {error}")))?,
            handshakes: Handshakes::of(scenario),
            counters: BufWriter::new(File::options().append(true).open(counters).map_err(cannot)?),
            clock,
            stop,
            failed: None,
        })
    }

    /// Sends what waits; gives the mirror ports with what they showed.
    pub(super) fn finish(mut self) -> Result<Vec<Handshakes>, Failure> {
        self.mirrored(i64::MAX);
        self.flush();
        self.failed.map_or(Ok(self.handshakes), |error| Err(Failure::failed(error)))
    }

    fn flush(&mut self) {
        let flushed = self.sender.flush().and_then(|()| self.counters.flush());
        self.note("cannot send", flushed);
    }

    fn note(&mut self, what: &str, result: std::io::Result<()>) {
        if let Err(error) = result {
            self.failed.get_or_insert_with(|| format!("{what}: {error}"));
        }
    }

    fn mirrored(&mut self, until_us: i64) {
        let Network { handshakes, mirrors, .. } = self;
        let mut sent = Ok(());
        for (number, handshakes) in (0_u8..=u8::MAX).zip(handshakes) {
            for frame in handshakes.until(until_us) {
                let mut datagram = Vec::with_capacity(SIMULATED_HEADER_BYTES + frame.bytes.len());
                datagram.extend_from_slice(&frame.at_us.to_be_bytes());
                datagram.push(number);
                datagram.extend_from_slice(&frame.bytes);
                sent = sent.and(mirrors.send(&datagram).map(drop));
            }
        }
        self.note("cannot send mirrored packets", sent);
    }
}

impl Output for Network {
    fn datagram(&mut self, _at_us: i64, source: SocketAddr, payload: &[u8]) {
        let sent = self.sender.send(source.ip(), payload);
        self.note(&format!("cannot send from {}; give routers addresses such as 127.0.0.2", source.ip()), sent);
    }

    fn polled(&mut self, line: &str) {
        let written = self.counters.write_all(line.as_bytes());
        self.note("cannot write counters", written);
    }

    /// The clock must not run away, nor the simulation.
    fn reach(&mut self, at_us: i64) {
        self.clock.simulated(at_us);
        let mut wait = self.clock.until(at_us);
        if wait < SLEEP_LEAST {
            return;
        }
        self.mirrored(at_us);
        self.flush();
        while !wait.is_zero() && !self.is_stopped() {
            // In steps, so that a stop is soon seen.
            std::thread::sleep(wait.min(Duration::from_millis(100)));
            wait = self.clock.until(at_us);
        }
    }

    fn is_stopped(&self) -> bool {
        self.failed.is_some() || self.stop.load(Ordering::Relaxed)
    }
}
