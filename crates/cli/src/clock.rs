//! The one place that asks for the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock, or for the demo one that runs faster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_us: i64,
    speed: u32,
}

impl Clock {
    /// The wall clock.
    pub(crate) fn wall() -> Clock {
        Clock { started: Instant::now(), started_us: wall_us(), speed: 1 }
    }

    /// A clock that shows `start_us` now and runs `speed` times as fast as the wall clock.
    pub(crate) fn time_lapse(start_us: i64, speed: u32) -> Clock {
        Clock { started: Instant::now(), started_us: start_us, speed }
    }

    /// How many times faster than the wall clock it runs.
    #[cfg(feature = "web")]
    pub(crate) fn speed(&self) -> u32 {
        self.speed
    }

    /// Now, microseconds since 1970-01-01 UTC.
    pub(crate) fn now_us(&self) -> i64 {
        if self.speed == 1 {
            // Asked anew each time: the wall clock may be set while the collector runs.
            return wall_us();
        }
        self.started_us + (self.started.elapsed() * self.speed).as_micros() as i64
    }

    /// When a datagram came that the kernel stamped with `stamp_us` of the wall clock.
    pub(crate) fn received_us(&self, stamp_us: i64) -> i64 {
        if self.speed == 1 { stamp_us } else { self.now_us() }
    }

    /// How long to wait on the wall until this clock shows `at_us`.
    pub(crate) fn until(&self, at_us: i64) -> Duration {
        self.on_the_wall(at_us - self.now_us())
    }

    /// How long a time on this clock takes on the wall: intervals are not measured with a clock that can be set.
    pub(crate) fn on_the_wall(&self, time_us: i64) -> Duration {
        Duration::from_micros(time_us.max(0) as u64 / u64::from(self.speed))
    }
}

fn wall_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
