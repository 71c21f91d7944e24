//! Where a worker's datagrams come from: sockets that it shares with the other workers, or a mirror port.

use std::net::IpAddr;
use std::time::Duration;

use receive::{Received, Receiver, Refused, Senders, Tap, wait_any};

use crate::clock::Clock;
use crate::collector::Sources;
use crate::configuration::Configured;
use crate::failure::Failure;
use crate::pipeline::{Shared, Worker};

/// How long a worker lets datagrams gather that come one after the other faster than that: a wake-up and a
/// system call for each would cost more than all that is done with it.
const PAUSE: Duration = Duration::from_millis(1);

/// No pause is longer than the receive buffer lasts four times over, at a datagram each microsecond of which
/// the kernel takes so many bytes; a shorter one than this is not worth it.
const BUFFERED_DATAGRAM_BYTES: u64 = 4_096;
const PAUSE_LEAST: Duration = Duration::from_micros(200);

/// Where a worker's datagrams come from.
pub(crate) enum Inputs {
    Sockets(Sockets),
    Tap(Box<Tap>),
}

/// A worker's sockets, one an address.
#[derive(Default)]
pub(crate) struct Sockets {
    pub(crate) receivers: Vec<Receiver>,
    /// The first worker has them.
    refused: Vec<Refused>,
}

impl Inputs {
    pub(crate) fn wait(&self, wait: Duration) {
        let _ = match self {
            Inputs::Sockets(sockets) => wait_any(&sockets.receivers, wait),
            Inputs::Tap(tap) => tap.wait(wait),
        };
    }

    pub(crate) fn kernel_drops(&self) -> u64 {
        match self {
            Inputs::Sockets(sockets) => sockets.receivers.iter().map(Receiver::kernel_drops).sum(),
            Inputs::Tap(tap) => tap.kernel_drops(),
        }
    }

    /// How long it may be left alone while datagrams come; zero where the kernel granted too little buffer.
    pub(crate) fn pause(&self) -> Duration {
        let granted = match self {
            Inputs::Sockets(sockets) => sockets.receivers.iter().map(Receiver::buffer_granted).min().unwrap_or(0),
            Inputs::Tap(tap) => tap.buffer_granted(),
        };
        let pause = PAUSE.min(Duration::from_micros(granted as u64 / BUFFERED_DATAGRAM_BYTES / 4));
        if pause < PAUSE_LEAST { Duration::ZERO } else { pause }
    }

    /// Takes in what waits, of each socket a batch in turn, so that a busy one starves nobody.
    pub(crate) fn receive_once(&mut self, worker: &mut Worker, clock: Clock) -> usize {
        let mut each = |datagram: Received<'_>| {
            worker.datagram(clock.received_us(datagram.received_us), datagram.source, datagram.payload);
        };
        match self {
            Inputs::Sockets(sockets) => {
                sockets.receivers.iter_mut().map(|receiver| receiver.receive(&mut each).unwrap_or(0)).sum()
            }
            Inputs::Tap(tap) => tap.receive(each).unwrap_or(0),
        }
    }

    /// Counts what came from those who are not allowed: now and then a batch is enough to list them by, and how
    /// many found no room the kernel knows.
    pub(crate) fn count_refused(&mut self, worker: &mut Worker, clock: Clock, batches: usize) {
        let Inputs::Sockets(sockets) = self else { return };
        for refused in &mut sockets.refused {
            for _ in 0..batches {
                let mut came = false;
                let each = |datagram: Received<'_>| {
                    came = true;
                    worker.datagram(clock.received_us(datagram.received_us), datagram.source, datagram.payload);
                };
                let dropped = refused.receive(each).unwrap_or(0);
                worker.refuse_unseen(dropped);
                if !came {
                    break;
                }
            }
        }
    }

    /// Has the kernel let in whom another configuration allows.
    pub(crate) fn allow(&self, shared: &Shared) {
        let Inputs::Sockets(sockets) = self else { return };
        for refused in &sockets.refused {
            if let Err(error) = refused.allow(shared.allowed.prefixes()) {
                tracing::warn!("the kernel goes on with the former [allow] sources: {error}");
            }
        }
    }
}

/// The sockets of each worker.
pub(crate) fn sockets(configured: &Configured, sources: &Sources) -> Result<Vec<Sockets>, Failure> {
    let exporters: Vec<IpAddr> = configured.shared.inventory.exporter_addresses().map(IpAddr::from).collect();
    let senders = Senders { exporters: &exporters, allowed: configured.shared.allowed.prefixes() };
    let mut sockets: Vec<Sockets> = (0..sources.workers).map(|_| Sockets::default()).collect();
    for address in &sources.listen {
        let bound = receive::bind(*address, sources.workers, &senders, &configured.receive).map_err(|error| {
            Failure::failed(format!("cannot listen on {address}: {error}; give another --listen or stop what uses it"))
        })?;
        for (worker, receiver) in sockets.iter_mut().zip(bound.workers) {
            worker.receivers.push(receiver);
        }
        if let Some(first) = sockets.first_mut() {
            first.refused.extend(bound.refused);
        }
    }
    Ok(sockets)
}

pub(crate) fn taps(configured: &Configured, sources: &Sources) -> Result<Vec<Inputs>, Failure> {
    let open = |name: &String| {
        let tap =
            Tap::open(name, &sources.ports, configured.receive.buffer_bytes).map_err(|error| cannot_listen(name, &error))?;
        Ok(Inputs::Tap(Box::new(tap)))
    };
    sources.interfaces.iter().map(open).collect()
}

pub(crate) fn cannot_listen(name: &str, error: &std::io::Error) -> Failure {
    let hint = if error.kind() == std::io::ErrorKind::PermissionDenied { "; it takes root or CAP_NET_RAW" } else { "" };
    Failure::failed(format!("cannot listen on the interface {name}: {error}{hint}"))
}
