//! Sequence numbers: what was lost, came late, came twice, or started over.

use serde::{Deserialize, Serialize};

use crate::recent::Recent;

/// Holes that may still be filled by late datagrams.
const HOLES: usize = 16;
/// Strays after which the sequence has started over.
const STRAYS_MOST: u32 = 3;
/// A jump ahead of more units than this is a restart, not a loss.
const GAP_MOST: u32 = 10_000_000;
/// Datagrams over which a broken rule is judged.
const JUDGED: u32 = 16;
/// Gaps among those from which on the numbers do not count what they should.
const GAPS_BROKEN: u32 = 12;

/// The sequence of one domain, in the unit of its protocol.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sequence {
    expected: Option<u32>,
    uptime_ms: Option<u32>,
    holes: Vec<(u32, u32)>,
    recent: Recent,
    /// Numbers from before, in a row, that fill no hole.
    strays: u32,
    judged: u32,
    gaps: u32,
    is_broken: bool,
    rule: Rule,
}

/// Which units a number counts: those before its datagram, as the standards have it, or those up
/// to its end, as some exporters do (softflowd's IPFIX). Datagrams of unlike sizes tell.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Rule {
    counts_to_end: bool,
    previous: Option<(u32, u32)>,
    /// What was lost before the last datagram if the rule holds, which only the other one explained.
    in_doubt: Option<u32>,
}

/// What a number says of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is as the rule has it, or as neither has it; units that were in doubt are lost.
    Holds { lost: u32 },
    /// It is as the other rule has it; too early to say.
    Doubtful,
    /// It is so for the second time in a row.
    Changes,
}

impl Rule {
    fn judge(&mut self, number: u32, units: u32) -> Verdict {
        let Some((before, units_before)) = self.previous.replace((number, units)) else { return Verdict::Holds { lost: 0 } };
        let (by_start, by_end) = (number == before.wrapping_add(units_before), number == before.wrapping_add(units));
        let (fits, fits_other) = if self.counts_to_end { (by_end, by_start) } else { (by_start, by_end) };
        if fits && fits_other {
            return Verdict::Holds { lost: 0 };
        }
        if fits || !fits_other {
            return Verdict::Holds { lost: self.in_doubt.take().unwrap_or(0) };
        }
        if self.in_doubt.take().is_some() {
            self.counts_to_end = !self.counts_to_end;
            return Verdict::Changes;
        }
        let skipped = self.first(number, units).wrapping_sub(self.first(before, units_before).wrapping_add(units_before));
        self.in_doubt = Some(if skipped > GAP_MOST { 0 } else { skipped });
        Verdict::Doubtful
    }

    /// The number of a datagram's first unit.
    fn first(&self, number: u32, units: u32) -> u32 {
        if self.counts_to_end { number.wrapping_sub(units) } else { number }
    }
}

/// How a datagram stands to those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Units lost before it; negative: units that were taken for lost have come.
    pub(crate) lost: i64,
    pub(crate) is_late: bool,
    pub(crate) is_restart: bool,
}

impl Sequence {
    /// A datagram with this number, which moves the sequence on by `units`.
    ///
    /// `uptime_ms` is the device's uptime where the protocol has it: it falls when the device starts over.
    pub(crate) fn observe(&mut self, number: u32, units: u32, uptime_ms: Option<u32>, mark: u64) -> Order {
        let order = self.place(number, units, uptime_ms);
        if order.is_restart {
            self.recent.clear();
        }
        // A message without records shares its number with the next one and is no sign of a copy.
        if units > 0 {
            self.recent.remember(number, mark);
        }
        order
    }

    fn place(&mut self, number: u32, units: u32, uptime_ms: Option<u32>) -> Order {
        let has_restarted = match (self.uptime_ms, uptime_ms) {
            (Some(before), Some(now)) => (now.wrapping_sub(before) as i32) < -60_000 && number < self.expected.unwrap_or(0),
            _ => false,
        };
        self.uptime_ms = uptime_ms.or(self.uptime_ms);
        let verdict = self.rule.judge(number, units);
        let number = self.rule.first(number, units);
        let Some(expected) = self.expected else {
            self.start(number, units);
            return Order::default();
        };
        if has_restarted {
            self.start(number, units);
            return Order { is_restart: true, ..Order::default() };
        }
        match verdict {
            Verdict::Holds { lost } => {
                let order = self.count(expected, number, units);
                Order { lost: order.lost + i64::from(lost), ..order }
            }
            Verdict::Doubtful | Verdict::Changes => {
                self.start(number, units);
                Order::default()
            }
        }
    }

    /// Counts by how far a number is from the expected one.
    fn count(&mut self, expected: u32, number: u32, units: u32) -> Order {
        let ahead = number.wrapping_sub(expected);
        if ahead > GAP_MOST && expected.wrapping_sub(number) > GAP_MOST.min(1 << 16) {
            self.start(number, units);
            return Order { is_restart: true, ..Order::default() };
        }
        if ahead > GAP_MOST {
            return self.behind(number, units);
        }
        self.judge(ahead > 0);
        if ahead > 0 {
            self.keep_hole(expected, ahead);
        }
        self.advance(number, units);
        Order { lost: i64::from(ahead), ..Order::default() }
    }

    /// Whether a datagram with this number and mark has come before.
    pub(crate) fn is_copy(&self, number: u32, mark: u64) -> bool {
        self.recent.is_copy(number, mark)
    }

    /// What came cannot be counted in the protocol's unit: the next number is taken as it is.
    pub(crate) fn resync(&mut self) {
        self.expected = None;
        self.holes.clear();
        self.rule.previous = None;
    }

    /// Whether the numbers break the rule of the protocol, so that they tell no loss.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    fn start(&mut self, number: u32, units: u32) {
        self.holes.clear();
        self.advance(number, units);
    }

    fn advance(&mut self, number: u32, units: u32) {
        self.strays = 0;
        self.expected = Some(number.wrapping_add(units));
    }

    fn keep_hole(&mut self, start: u32, length: u32) {
        if self.holes.len() == HOLES {
            self.holes.remove(0);
        }
        self.holes.push((start, length));
    }

    /// A number from before: it fills a hole, or is a copy.
    fn behind(&mut self, number: u32, units: u32) -> Order {
        let hole = self.holes.iter().position(|(start, length)| number.wrapping_sub(*start) < *length);
        match hole {
            Some(index) => {
                let (start, length) = self.holes.remove(index);
                let before = number.wrapping_sub(start);
                let filled = units.min(length - before);
                let after = length - before - filled;
                for (start, length) in [(start, before), (number.wrapping_add(filled), after)] {
                    if length > 0 {
                        self.keep_hole(start, length);
                    }
                }
                Order { lost: -i64::from(filled), is_late: true, ..Order::default() }
            }
            None if self.strays + 1 >= STRAYS_MOST => {
                self.start(number, units);
                Order { is_restart: true, ..Order::default() }
            }
            None => {
                self.strays += 1;
                Order { is_late: true, ..Order::default() }
            }
        }
    }

    /// An exporter that counts something else has gaps (or overlaps) nearly always.
    fn judge(&mut self, is_gap: bool) {
        self.judged += 1;
        self.gaps += u32::from(is_gap);
        if self.judged == JUDGED {
            self.is_broken = self.gaps >= GAPS_BROKEN;
            (self.judged, self.gaps) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numbers: &[(u32, u32)], lost: i64, late: usize, copies: usize, restarts: usize) {
        let mut sequence = Sequence::default();
        let (mut orders, mut came_twice) = (Vec::new(), 0);
        for (number, units) in numbers {
            let mark = u64::from(*number);
            if sequence.is_copy(*number, mark) {
                came_twice += 1;
            } else {
                orders.push(sequence.observe(*number, *units, None, mark));
            }
        }
        assert_eq!(orders.iter().map(|order| order.lost).sum::<i64>(), lost);
        assert_eq!(orders.iter().filter(|order| order.is_late).count(), late);
        assert_eq!(came_twice, copies);
        assert_eq!(orders.iter().filter(|order| order.is_restart).count(), restarts);
    }

    #[test]
    fn losses_late_ones_copies_and_restarts_are_told_apart() {
        check(&[(7, 1), (8, 1), (9, 1)], 0, 0, 0, 0);
        check(&[(7, 1), (10, 1)], 2, 0, 0, 0);
        check(&[(7, 1), (10, 1), (8, 1), (9, 1)], 0, 2, 0, 0);
        check(&[(7, 1), (8, 1), (8, 1)], 0, 0, 1, 0);
        check(&[(7, 1), (10, 1), (8, 1), (8, 1)], 1, 1, 1, 0);
        check(&[(7, 0), (7, 3), (10, 0), (10, 2)], 0, 0, 0, 0);
        check(&[(u32::MAX, 1), (0, 1)], 0, 0, 0, 0);
        check(&[(u32::MAX - 9, 20), (15, 5)], 5, 0, 0, 0);
        check(&[(100, 10), (130, 10), (115, 5)], 15, 1, 0, 0);
        check(&[(3_000_000_000, 1), (5, 1), (6, 1)], 0, 0, 0, 1);
        check(&[(5_000, 1), (0, 1), (1, 1), (2, 1), (3, 1)], 0, 2, 0, 1);
    }

    #[test]
    fn numbers_that_count_to_the_end_of_their_datagram_are_known_by_it() {
        check(&[(29, 29), (58, 29), (87, 29), (97, 10), (126, 29), (130, 4)], 0, 0, 0, 0);
        // A loss after that is seen.
        check(&[(29, 29), (39, 10), (68, 29), (97, 29), (155, 29), (165, 10)], 29, 0, 0, 0);
        // A loss as long as the datagrams differ is in doubt for one datagram only.
        check(&[(0, 10), (10, 10), (40, 30), (70, 20), (90, 30)], 20, 0, 0, 0);
    }

    #[test]
    fn an_uptime_that_falls_is_a_restart() {
        let mut sequence = Sequence::default();
        sequence.observe(1_000, 1, Some(900_000), 0);
        assert!(sequence.observe(3, 1, Some(5_000), 1).is_restart);
        assert_eq!(sequence.observe(4, 1, Some(6_000), 2), Order::default());
    }

    #[test]
    fn numbers_that_count_something_else_tell_no_loss() {
        let mut sequence = Sequence::default();
        for datagram in 0..40 {
            sequence.observe(datagram * 25, 1, None, 0);
        }
        assert!(sequence.is_broken());
    }
}
