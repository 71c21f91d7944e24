//! What alerts are judged and told by, whatever their rule.

model::settings! {
    /// How alerts are judged and told.
    pub struct AlertSettings in "alerts" {
        /// Longest time over which a load is averaged: until two standard errors are under `error_percent` of the capacity.
        average_seconds_max: i64 = 300, "s", 10..=3_600;
        /// See `average_seconds_max`.
        error_percent: i64 = 2, "%", 1..=50;
        /// How long nothing may be known of what an alert is about, before it ends.
        unknown_seconds: i64 = 900, "s", 60..=86_400;
        /// Alerts that are held at once; beyond it new ones are counted, and one alert says so.
        alerts_max: usize = 2_000, "alerts", 10..=100_000;
        /// Beginnings within `flapping_within_seconds` from which an alert is flapping.
        flapping_count: usize = 4, "times", 2..=100;
        /// See `flapping_count`.
        flapping_within_seconds: i64 = 3_600, "s", 60..=86_400;
        /// How long a flapping alert must stay away before it ends.
        flapping_clear_seconds: i64 = 1_800, "s", 0..=86_400;
        /// How often Alertmanager is told again of what goes on; it takes for ended what it was not told of four times.
        resend_seconds: i64 = 60, "s", 1..=3_600;
        /// How long Alertmanager is told of what has ended.
        resolved_seconds: i64 = 900, "s", 0..=86_400;
        /// How long a target's answer is waited for.
        timeout_seconds: i64 = 10, "s", 1..=300;
        /// Wait after a target's first failure; it doubles with each further one.
        retry_seconds_least: i64 = 1, "s", 1..=3_600;
        /// Longest wait between two tries.
        retry_seconds_most: i64 = 60, "s", 1..=86_400;
        /// Notices that wait for one target; beyond it the oldest fall off, counted.
        waiting_max: usize = 10_000, "notices", 10..=1_000_000;
    }
}
