//! Mirror ports whose packets are measured, live.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::Sender as Outbox;
use receive::Mirror;

use crate::clock::Clock;
use crate::collector::{IDLE_REPORT_US, Report, WAIT, WAIT_LEAST};
use crate::configuration::Configured;
use crate::failure::Failure;
use crate::handing::Reload;
use crate::inputs::cannot_listen;
use crate::packets::PacketWorker;

/// Mirror ports, and the one worker of their packets.
pub(crate) struct Mirrors {
    worker: PacketWorker,
    mirrors: Vec<Mirror>,
}

impl Mirrors {
    /// Opens the interfaces; `None` if there are none.
    pub(crate) fn open(configured: &Configured, names: &[String]) -> Result<Option<Mirrors>, Failure> {
        let buffer_bytes = configured.receive.buffer_bytes;
        let open = |name: &String| Mirror::open(name, buffer_bytes).map_err(|error| cannot_listen(name, &error));
        let mirrors = names.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let worker = PacketWorker::new(&configured.shared, names.to_vec());
        Ok((!mirrors.is_empty()).then_some(Mirrors { worker, mirrors }))
    }

    /// The interfaces, and the receive buffer that the kernel granted for each, in bytes.
    pub(crate) fn listening(&self) -> impl Iterator<Item = (String, usize)> {
        self.mirrors.iter().map(|mirror| (mirror.name().to_owned(), mirror.buffer_granted()))
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
        let every = clock.on_the_wall(IDLE_REPORT_US);
        let (mut reported, mut reloads, mut in_force) = (Instant::now(), 0, 0);
        loop {
            let is_stopping = stop.load(Ordering::Relaxed);
            let mut came = 0;
            for (source, mirror) in self.mirrors.iter_mut().enumerate() {
                came += mirror.receive(|frame| self.worker.frame(source, &frame)).unwrap_or(0);
            }
            // A mirror is never silent: what waits when it stops is left.
            let is_last = is_stopping;
            let reloaded = reload.since(&mut reloads);
            if is_last || reloaded.is_some() || reported.elapsed() >= every {
                reported = Instant::now();
                let kernel_drops = self.mirrors.iter().map(Mirror::kernel_drops).sum();
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
                let wait = if self.mirrors.len() == 1 { WAIT } else { WAIT_LEAST };
                let _ = self.mirrors[0].wait(wait);
            }
        }
    }
}
