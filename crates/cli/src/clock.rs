//! The one place that asks for the time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::time::SECOND_US;

/// A time lapse does not run further than this ahead of what has been simulated.
const AHEAD_US: i64 = 2 * SECOND_US;
/// Waits that are remembered: those of the last moments.
const WAITS_MOST: usize = 256;

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
    /// The last waits: when on the wall they were over, and how long they were on its own time.
    waits: RwLock<VecDeque<(i64, i64)>>,
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
        let lapse = Lapse { waited_us: AtomicI64::new(0), latest_us, waits: RwLock::default() };
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
            let mut waits = lapse.waits.write().unwrap_or_else(PoisonError::into_inner);
            if waits.len() == WAITS_MOST {
                waits.pop_front();
            }
            waits.push_back((wall_us(), waited_us));
            lapse.waited_us.fetch_add(waited_us, Ordering::AcqRel);
        }
        lapse.latest_us.fetch_max(latest_us, Ordering::AcqRel);
    }

    /// When a datagram came that the kernel stamped with `stamp_us` of the wall clock.
    pub(crate) fn received_us(&self, stamp_us: i64) -> i64 {
        match self.lapse {
            None => stamp_us,
            // How long it has been in the socket's buffer, without the time that the clock stood still meanwhile.
            Some(lapse) => {
                let since_us = (wall_us() - stamp_us).clamp(0, SECOND_US) * i64::from(self.speed);
                let waits = lapse.waits.read().unwrap_or_else(PoisonError::into_inner);
                let after = waits.iter().rev().take_while(|(over_us, _)| *over_us > stamp_us);
                let waited_us: i64 =
                    after.map(|(over_us, waited_us)| (*waited_us).min((over_us - stamp_us) * i64::from(self.speed))).sum();
                self.now_us() - (since_us - waited_us).max(0)
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
}
