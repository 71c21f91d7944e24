//! The simulated network at work: datagrams, polled counters and mirrored packets, each when its time has come.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::time::SECOND_US;
use receive::Sender;
use simulate::{Handshakes, Output, Scenario};

use crate::clock::Clock;
use crate::failure::Failure;
use crate::mirrors::SIMULATED_HEADER_BYTES;

/// What is due within this time is sent at once: a shorter sleep costs more than it is worth.
const SLEEP_LEAST: Duration = Duration::from_millis(1);
/// Nothing waits longer than this to be sent, on the simulation's time.
const FLUSH_EVERY_US: i64 = SECOND_US;
/// How far the collector may be behind, on the simulation's time: less than it waits for late records.
const BEHIND_US: i64 = 30 * SECOND_US;
/// How long it is waited for on the wall at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the telemetry of a simulated network goes.
#[derive(Clone)]
pub(super) struct Places {
    /// The collector's socket.
    pub(super) telemetry: SocketAddr,
    /// Its socket for mirrored packets.
    pub(super) mirrors: SocketAddr,
    /// Datagrams of telemetry that it knows of.
    pub(super) taken: Arc<AtomicU64>,
}

/// A network whose time is a clock's; the first error ends it.
pub(super) struct Network {
    sender: Sender,
    mirrors: UdpSocket,
    handshakes: Vec<Handshakes>,
    counters: BufWriter<File>,
    clock: Clock,
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
    flushed_us: i64,
    /// When datagrams were sent that the collector may not know of yet, and how many had been sent then.
    sent: VecDeque<(i64, u64)>,
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
        clock.sends(0, scenario.start_us());
        Ok(Network {
            sender: Sender::new(places.telemetry),
            mirrors: mirrors.map_err(|error| Failure::failed(format!("cannot send on the loopback: {error}")))?,
            handshakes: Handshakes::of(scenario),
            counters: BufWriter::new(File::options().append(true).open(counters).map_err(cannot)?),
            clock,
            stop,
            taken: places.taken.clone(),
            flushed_us: scenario.start_us(),
            sent: VecDeque::new(),
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

    fn send_all(&mut self, at_us: i64) {
        self.mirrored(at_us);
        self.flush();
        self.clock.sends(self.sender.sent(), at_us);
        self.flushed_us = at_us;
        self.sent.push_back((at_us, self.sender.sent()));
    }

    /// Time stands still while the collector is behind.
    fn wait_for_collector(&mut self, at_us: i64) {
        let since = Instant::now();
        loop {
            let taken = self.taken.load(Ordering::Acquire);
            while self.sent.front().is_some_and(|(_, sent)| *sent <= taken) {
                self.sent.pop_front();
            }
            let is_behind = self.sent.front().is_some_and(|(sent_us, _)| at_us - sent_us > BEHIND_US);
            if !is_behind || self.is_stopped() {
                return;
            }
            if since.elapsed() >= PATIENCE {
                // What it will never know of is lost.
                self.sent.clear();
                return;
            }
            std::thread::sleep(SLEEP_LEAST);
        }
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

    /// The clock must not run away, nor the simulation, nor either from the collector.
    fn reach(&mut self, at_us: i64) {
        if at_us - self.flushed_us >= FLUSH_EVERY_US {
            self.send_all(at_us);
            self.wait_for_collector(at_us);
        }
        self.clock.simulated(at_us);
        let mut wait = self.clock.until(at_us);
        if wait < SLEEP_LEAST {
            return;
        }
        self.send_all(at_us);
        self.wait_for_collector(at_us);
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
