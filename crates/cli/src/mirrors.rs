//! Mirror ports whose packets are measured, live.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender as Outbox;
use receive::{Frame, Mirror};

use crate::clock::Clock;
use crate::configuration::Configured;
use crate::failure::Failure;
use crate::handing::Reload;
use crate::inputs::cannot_listen;
use crate::packets::PacketWorker;
use crate::running::{IDLE_REPORT_US, Report, WAIT, WAIT_LEAST};

/// Mirror ports, and the one worker of their packets.
pub(crate) struct Mirrors {
    worker: PacketWorker,
    feed: Feed,
}

/// Where the packets come from.
enum Feed {
    Interfaces(Vec<Mirror>),
    /// A demo's, whose times are not those of this machine.
    Simulated(UdpSocket),
}

/// Before a simulated frame: its time, microseconds since 1970, and the number of its mirror port.
pub(crate) const SIMULATED_HEADER_BYTES: usize = 9;
/// No frame of a mirrored handshake is longer.
const SIMULATED_BYTES_MAX: usize = 512;

impl Mirrors {
    /// Opens the interfaces; `None` if there are none.
    pub(crate) fn open(configured: &Configured, names: &[String]) -> Result<Option<Mirrors>, Failure> {
        let buffer_bytes = configured.receive.buffer_bytes;
        let open = |name: &String| Mirror::open(name, buffer_bytes).map_err(|error| cannot_listen(name, &error));
        let mirrors = names.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let worker = PacketWorker::new(&configured.shared, names.to_vec());
        Ok((!mirrors.is_empty()).then_some(Mirrors { worker, feed: Feed::Interfaces(mirrors) }))
    }

    /// Mirror ports whose packets come as datagrams.
    pub(crate) fn simulated(configured: &Configured, names: Vec<String>, socket: UdpSocket) -> Mirrors {
        Mirrors { worker: PacketWorker::new(&configured.shared, names), feed: Feed::Simulated(socket) }
    }

    /// The interfaces, and the receive buffer that the kernel granted for each, in bytes.
    pub(crate) fn listening(&self) -> impl Iterator<Item = (String, usize)> {
        self.feed.interfaces().iter().map(|mirror| (mirror.name().to_owned(), mirror.buffer_granted()))
    }

    /// Takes in what waits of each mirror in turn.
    fn receive(&mut self) -> usize {
        match &mut self.feed {
            Feed::Interfaces(mirrors) => {
                let mut came = 0;
                for (source, mirror) in mirrors.iter_mut().enumerate() {
                    came += mirror.receive(|frame| self.worker.frame(source, &frame)).unwrap_or(0);
                }
                came
            }
            Feed::Simulated(socket) => receive_simulated(socket, &mut self.worker),
        }
    }

    /// Its life: packets of each mirror in turn, reports as the other workers make them.
    pub(crate) fn measure_until(
        mut self,
        index: usize,
        clock: Clock,
        outbox: &Outbox<Report>,
        reload: &Reload,
        stop: &AtomicBool,
        said: &Mutex<Option<String>>,
    ) {
        let every = clock.every(IDLE_REPORT_US);
        let (mut reported, mut reloads, mut in_force) = (Instant::now(), 0, 0);
        loop {
            let is_stopping = stop.load(Ordering::Relaxed);
            let came = self.receive();
            // A mirror is never silent: what waits when it stops is left. A simulated one is.
            let is_last = is_stopping && (came == 0 || !matches!(self.feed, Feed::Simulated(_)));
            let reloaded = reload.since(&mut reloads);
            if is_last || reloaded.is_some() || reported.elapsed() >= every {
                reported = Instant::now();
                let kernel_drops = self.feed.interfaces().iter().map(Mirror::kernel_drops).sum();
                let delta = self.worker.take(kernel_drops);
                // The owner outlives the workers; were it gone there would be nobody to tell.
                let _ = outbox.send(Report::plain(index, in_force, delta, kernel_drops));
            }
            if let Some(shared) = reloaded {
                self.worker.reconfigure(&shared);
                in_force = reloads;
                reload.note_taken();
            }
            if is_last {
                *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.worker.sentence());
                return;
            }
            if came == 0 {
                self.feed.wait();
            }
        }
    }
}

impl Feed {
    fn interfaces(&self) -> &[Mirror] {
        if let Feed::Interfaces(mirrors) = self { mirrors } else { &[] }
    }

    fn wait(&self) {
        match self.interfaces() {
            [] => std::thread::sleep(SIMULATED_PAUSE),
            [one] => drop(one.wait(WAIT)),
            [first, ..] => drop(first.wait(WAIT_LEAST)),
        }
    }
}

/// Simulated frames come in handfuls.
const SIMULATED_PAUSE: Duration = Duration::from_millis(5);

fn receive_simulated(socket: &UdpSocket, worker: &mut PacketWorker) -> usize {
    let mut buffer = [0; SIMULATED_BYTES_MAX];
    let mut came = 0;
    // It does not block: an error is that nothing waits.
    while let Ok(bytes) = socket.recv(&mut buffer) {
        came += 1;
        if let Some((header, frame)) = buffer[..bytes].split_first_chunk::<SIMULATED_HEADER_BYTES>()
            && let Some((time, [source])) = header.split_first_chunk::<8>()
        {
            let at_us = i64::from_be_bytes(*time);
            worker.frame(usize::from(*source), &Frame { at_us, is_ethernet: true, vlan: 0, bytes: frame });
        }
    }
    came
}
