//! The one place that asks for the time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::time::SECOND_US;

/// A time lapse does not run further than this ahead of what has been simulated.
const AHEAD_US: i64 = 2 * SECOND_US;
/// Moments of the simulation that are remembered: more than can be under way.
const MOMENTS_MOST: usize = 65_536;

/// The wall clock, or for the demo one that runs faster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_us: i64,
    speed: u32,
    lapse: Option<&'static Lapse>,
}

/// A time lapse waits for what is simulated in it, however slow the machine.
#[derive(Debug)]
struct Lapse {
    /// How long it has waited so far, on its own time.
    waited_us: AtomicI64,
    /// It does not pass this before the simulation does.
    latest_us: AtomicI64,
    /// Datagrams that were sent before a time of the simulation, and that time.
    moments: RwLock<VecDeque<(u64, i64)>>,
    /// Datagrams that came.
    came: AtomicU64,
}

impl Clock {
    /// The wall clock.
    pub(crate) fn wall() -> Clock {
        Clock { started: Instant::now(), started_us: wall_us(), speed: 1, lapse: None }
    }

    /// A clock that shows `start_us` now and runs `speed` times as fast as the wall clock, as long as
    /// [`Clock::simulated`] keeps up. For the life of the program.
    pub(crate) fn time_lapse(start_us: i64, speed: u32) -> Clock {
        let latest_us = AtomicI64::new(start_us + AHEAD_US);
        let lapse = Lapse { waited_us: AtomicI64::new(0), latest_us, moments: RwLock::default(), came: AtomicU64::new(0) };
        Clock { started: Instant::now(), started_us: start_us, speed, lapse: Some(Box::leak(Box::new(lapse))) }
    }

    /// How many times faster than the wall clock it runs.
    #[cfg(feature = "web")]
    pub(crate) fn speed(&self) -> u32 {
        self.speed
    }

    /// Now, microseconds since 1970-01-01 UTC.
    pub(crate) fn now_us(&self) -> i64 {
        match self.lapse {
            // Asked anew each time: the wall clock may be set while the collector runs.
            None => wall_us(),
            Some(lapse) => self.unhindered_us(lapse).min(lapse.latest_us.load(Ordering::Acquire)),
        }
    }

    fn unhindered_us(&self, lapse: &Lapse) -> i64 {
        self.started_us + (self.started.elapsed() * self.speed).as_micros() as i64 - lapse.waited_us.load(Ordering::Acquire)
    }

    /// Says how far the simulation is. The time that a time lapse had to wait for it is not made up for.
    pub(crate) fn simulated(&self, at_us: i64) {
        let Some(lapse) = self.lapse else { return };
        let latest_us = at_us + AHEAD_US;
        let waited_us = self.unhindered_us(lapse) - latest_us;
        // In this order: time stands still, and never goes back.
        if waited_us > 0 {
            lapse.waited_us.fetch_add(waited_us, Ordering::AcqRel);
        }
        lapse.latest_us.fetch_max(latest_us, Ordering::AcqRel);
    }

    /// Says that what is sent after so many datagrams belongs to this time of the simulation.
    pub(crate) fn sends(&self, sent: u64, at_us: i64) {
        let Some(lapse) = self.lapse else { return };
        let mut moments = lapse.moments.write().unwrap_or_else(PoisonError::into_inner);
        if moments.len() == MOMENTS_MOST {
            moments.pop_front();
        }
        moments.push_back((sent, at_us));
    }

    /// When a datagram came that was received at `received_us` of the wall clock.
    pub(crate) fn received_us(&self, received_us: i64) -> i64 {
        match self.lapse {
            None => received_us,
            // A few milliseconds in a buffer are long in a time lapse: what counts is when it was sent. They come in
            // the order in which they are sent, so their number says it.
            Some(lapse) => {
                let number = lapse.came.fetch_add(1, Ordering::Relaxed);
                let moments = lapse.moments.read().unwrap_or_else(PoisonError::into_inner);
                let after = moments.partition_point(|(sent, _)| *sent <= number);
                after.checked_sub(1).and_then(|last| moments.get(last)).map_or_else(|| self.now_us(), |moment| moment.1)
            }
        }
    }

    /// How long to wait on the wall until this clock shows `at_us`.
    pub(crate) fn until(&self, at_us: i64) -> Duration {
        self.on_the_wall(at_us - self.now_us())
    }

    /// How long a time on this clock takes on the wall: intervals are not measured with a clock that can be set.
    pub(crate) fn on_the_wall(&self, time_us: i64) -> Duration {
        Duration::from_micros(time_us.max(0) as u64 / u64::from(self.speed))
    }

    /// The same for work that is done again and again: in a time lapse not so often that nothing else is done.
    pub(crate) fn every(&self, time_us: i64) -> Duration {
        const LEAST: Duration = Duration::from_millis(10);
        let every = self.on_the_wall(time_us);
        if self.lapse.is_some() { every.max(LEAST) } else { every }
    }
}

fn wall_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lapse_waits_for_the_simulation_and_never_goes_back() {
        let clock = Clock::time_lapse(0, 1_000_000);
        let mut last_us = 0;
        for step in 0..1_000 {
            let at_us = step * SECOND_US;
            clock.simulated(at_us);
            let now_us = clock.now_us();
            assert!(now_us >= last_us && now_us <= at_us + AHEAD_US, "{last_us} {now_us} {at_us}");
            last_us = now_us;
        }
    }

    #[test]
    fn a_datagram_came_when_it_was_sent_however_late_it_is_read() {
        let clock = Clock::time_lapse(0, 1_000);
        clock.sends(0, 5 * SECOND_US);
        clock.sends(2, 60 * SECOND_US);
        let came: Vec<i64> = (0..4).map(|_| clock.received_us(wall_us()) / SECOND_US).collect();
        assert_eq!(came, [5, 5, 60, 60]);
        assert_eq!(Clock::wall().received_us(7), 7);
    }
}
