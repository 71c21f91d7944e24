//! An exporter's clock against the time of reception, and from both the event time of a record.

use model::TimeSource;
use serde::{Deserialize, Serialize};

/// Headers carry whole seconds and networks take their time: a smaller offset says nothing.
const OFFSET_LEAST_US: i64 = 2_000_000;
/// Samples this far off the estimate are a step of a clock, not delay.
const STEP_US: i64 = 30_000_000;
/// Samples in a row beyond a step before the estimate follows.
const STEP_SAMPLES: u32 = 3;
/// Steps in a row of samples after which the clock counts as unstable for a while.
const UNSTABLE_STEPS: u32 = 3;
/// Before 2000 no exporter of today was made.
const YEAR_2000_US: i64 = 946_684_800_000_000;

/// The clock of one domain.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Clock {
    /// Least time of reception less device time, slowly rising: the offset without the delays.
    offset_us: Option<i64>,
    last_received_us: i64,
    beyond: u32,
    steps: u32,
    samples: u32,
    /// The device's start by its own clock, from element 160 or learned from the records.
    init_us: Option<i64>,
    learned_init_us: Option<i64>,
    /// Records that ended before they started, since they were asked for last.
    #[serde(skip)]
    pub(crate) ends_before_starts: u64,
}

/// How to turn device times of one datagram into event times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correction {
    pub(crate) offset_us: i64,
    pub(crate) is_refused: bool,
    received_us: i64,
    age_us: i64,
}

impl Clock {
    /// A datagram that says it was sent at `export_us` came at `received_us`.
    pub(crate) fn observe(&mut self, export_us: i64, received_us: i64, offset_most_us: i64, age_us: i64) -> Correction {
        let sample = received_us.saturating_sub(export_us);
        self.samples = self.samples.saturating_add(1);
        let elapsed = received_us.saturating_sub(self.last_received_us).clamp(0, 60_000_000);
        self.last_received_us = received_us;
        let estimate = match self.offset_us {
            None => sample,
            Some(before) if sample.abs_diff(before) as i64 > STEP_US => {
                self.beyond += 1;
                if self.beyond >= STEP_SAMPLES {
                    self.beyond = 0;
                    self.steps += 1;
                    sample
                } else {
                    before
                }
            }
            Some(before) => {
                self.beyond = 0;
                // Clocks drift by some 100 parts in a million at worst.
                before.saturating_add(elapsed / 10_000).min(sample)
            }
        };
        self.offset_us = Some(estimate);
        if self.samples.is_multiple_of(1_024) {
            self.steps = 0;
        }
        let is_absurd = export_us < YEAR_2000_US || estimate.abs() > offset_most_us;
        let is_refused = is_absurd || self.steps >= UNSTABLE_STEPS || self.beyond > 0;
        let offset_us = match (is_refused, estimate.abs() < OFFSET_LEAST_US) {
            // The datagram's own offset keeps the distances between its records.
            (true, _) => sample,
            (false, true) => 0,
            (false, false) => estimate,
        };
        Correction { offset_us, is_refused, received_us, age_us }
    }

    /// The measured offset, microseconds.
    pub(crate) fn offset_us(&self) -> Option<i64> {
        self.offset_us
    }

    /// Element 160: when the device started, by its own clock.
    pub(crate) fn set_init(&mut self, init_us: i64) {
        self.init_us = Some(init_us);
    }

    /// When the device started, for uptimes in a datagram that carries none itself.
    ///
    /// Learned as the least of export time less uptime of a last packet: records are sent after it.
    pub(crate) fn init_us(&mut self, export_us: i64, last_uptime_ms: u32) -> (i64, TimeSource) {
        if let Some(init_us) = self.init_us {
            return (init_us, TimeSource::Uptime);
        }
        let sample = export_us.saturating_sub(i64::from(last_uptime_ms) * 1_000);
        let learned = self.learned_init_us.map_or(sample, |before| before.min(sample));
        // An uptime that wrapped or started over leaves the old minimum far behind.
        let learned = if sample - learned > 2 * 3_600_000_000 { sample } else { learned };
        self.learned_init_us = Some(learned);
        (learned, TimeSource::LearnedUptime)
    }
}

impl Correction {
    /// Event times of a record from its device times.
    ///
    /// Times that cannot be (after the reception, or older than records get) become that of reception.
    #[inline]
    pub(crate) fn event(&self, start_us: i64, end_us: i64, source: TimeSource) -> (i64, i64, TimeSource) {
        let end = end_us.saturating_add(self.offset_us);
        let start = start_us.saturating_add(self.offset_us).min(end);
        let is_future = end > self.received_us.saturating_add(OFFSET_LEAST_US);
        if is_future || end < self.received_us.saturating_sub(self.age_us) {
            return (self.received_us, self.received_us, TimeSource::Received);
        }
        let start = start.max(end.saturating_sub(self.age_us));
        (start, end, if self.is_refused { TimeSource::Received } else { source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 86_400_000_000;
    const NOW_US: i64 = 1_700_000_000_000_000;

    #[track_caller]
    fn check(offsets: &[i64], expected_offset: i64, is_refused: bool) {
        let mut clock = Clock::default();
        let mut correction = clock.observe(NOW_US, NOW_US, DAY_US, 0);
        clock = Clock::default();
        for (index, offset) in offsets.iter().enumerate() {
            let received = NOW_US + index as i64 * 1_000_000;
            correction = clock.observe(received - offset, received, DAY_US, 2 * 3_600_000_000);
        }
        assert_eq!((correction.offset_us, correction.is_refused), (expected_offset, is_refused));
    }

    #[test]
    fn offsets_are_measured_and_absurd_clocks_refused() {
        check(&[1_500_000, 900_000], 0, false);
        check(&[90_000_000, 90_900_000, 90_300_000], 90_000_200, false);
        check(&[-50_000_000, -50_000_000], -50_000_000, false);
        check(&[NOW_US - 5], NOW_US - 5, true);
        check(&[10 * DAY_US], 10 * DAY_US, true);
        // One delayed datagram is no step; three are.
        check(&[0, 40_000_000], 40_000_000, true);
        check(&[0, 40_000_000, 40_000_000, 40_000_000], 40_000_000, false);
    }

    #[test]
    fn impossible_times_become_the_time_of_reception() {
        let mut clock = Clock::default();
        let correction = clock.observe(NOW_US, NOW_US, DAY_US, 3_600_000_000);
        let event = |start, end| correction.event(NOW_US + start, NOW_US + end, TimeSource::Milliseconds);
        assert_eq!(event(-5, -2), (NOW_US - 5, NOW_US - 2, TimeSource::Milliseconds));
        assert_eq!(event(-2, -5), (NOW_US - 5, NOW_US - 5, TimeSource::Milliseconds));
        assert_eq!(event(0, 60_000_000), (NOW_US, NOW_US, TimeSource::Received));
        assert_eq!(event(-2 * DAY_US, -DAY_US), (NOW_US, NOW_US, TimeSource::Received));
    }
}
