//! Microseconds, bins and windows.
//!
//! Every instant is an `i64` of microseconds since 1970-01-01 UTC, named `..._us`; every clock is
//! the caller's: nothing in the pure crates asks for the time.

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;

/// A bin: the finest grain at which the loads of links and ports are held.
pub const BIN_US: i64 = 10 * SECOND_US;

/// A window of the tables `links`, `ports` and `exporters`.
pub const WINDOW_US: i64 = 60 * SECOND_US;

/// A window of the detailed tables, `traffic` and `prefixes`.
pub const DETAIL_WINDOW_US: i64 = 300 * SECOND_US;

/// Length of an hour, µs.
pub const HOUR_US: i64 = 3_600 * SECOND_US;

/// Length of a day, µs.
pub const DAY_US: i64 = 24 * HOUR_US;

/// The start of the slot of `width_us` that holds `at_us`; also before 1970.
#[inline]
pub const fn slot_start_us(at_us: i64, width_us: i64) -> i64 {
    at_us.div_euclid(width_us).saturating_mul(width_us)
}

/// Spreads `total` evenly over `[start_us, end_us)` and calls `share(slot_start_us, part)` for each
/// slot of `width_us` that it touches, in order; the parts add up to `total` exactly.
///
/// The part of a slot is the difference of the cumulative floors at its two ends, so it does not
/// depend on how the slots are grouped into larger ones. An empty or reversed interval is one
/// instant, at `end_us`. The caller bounds the interval: this walks every slot of it.
pub fn spread(total: u64, start_us: i64, end_us: i64, width_us: i64, mut share: impl FnMut(i64, u64)) {
    if start_us >= end_us {
        return share(slot_start_us(end_us, width_us), total);
    }
    let length = end_us.abs_diff(start_us) as u128;
    let mut slot = slot_start_us(start_us, width_us);
    let mut before = 0;
    loop {
        let next = slot.saturating_add(width_us);
        if next >= end_us {
            return share(slot, total - before);
        }
        let upto = (total as u128 * next.abs_diff(start_us) as u128 / length) as u64;
        share(slot, upto - before);
        before = upto;
        slot = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(total: u64, start: i64, end: i64, expected: &[(i64, u64)]) {
        let mut parts = Vec::new();
        spread(total, start, end, 10, |slot, part| parts.push((slot, part)));
        assert_eq!(parts, expected);
    }

    #[test]
    fn bytes_are_spread_exactly() {
        check(100, 0, 10, &[(0, 100)]);
        check(100, 5, 25, &[(0, 25), (10, 50), (20, 25)]);
        check(7, 5, 35, &[(0, 1), (10, 2), (20, 2), (30, 2)]);
        check(9, 12, 12, &[(10, 9)]);
        check(9, 20, 12, &[(10, 9)]);
        check(10, -5, 5, &[(-10, 5), (0, 5)]);
        check(u64::MAX, 0, 20, &[(0, u64::MAX / 2), (10, u64::MAX / 2 + 1)]);
    }
}
