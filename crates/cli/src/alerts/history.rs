//! Loads of the last quarter of an hour, of which only the end is asked for anew each time: the owner has other work.
//!
//! They are lent to the rules and taken back: of a large edge they are many megabytes.

use std::collections::BTreeMap;

use alert::Bin;
use model::time::{SECOND_US, WINDOW_US, slot_start_us};
use model::{Direction, Name};

/// How far rules look back, besides the time that exporters hold flows.
const LOOK_BACK_US: i64 = 960 * SECOND_US;
/// How far back bins still change, besides that time: counters are read up to every minute.
const CHANGING_US: i64 = 180 * SECOND_US;

/// A link or a port, and which way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    Link(Name, Direction),
    Port(Name, Direction),
}

/// What is held, and not lent.
#[derive(Default)]
pub(super) struct History {
    held: BTreeMap<Of, Vec<Bin>>,
    /// End of what was asked for last.
    asked_us: Option<i64>,
    from_us: i64,
    first_us: i64,
}

impl History {
    /// From when on loads are to be asked for, at a moment, where exporters hold flows for so long.
    pub(super) fn ask_from(&mut self, now_us: i64, timeout_us: i64) -> i64 {
        let is_going_on = self.asked_us.is_some_and(|asked_us| (0..=CHANGING_US / 2).contains(&(now_us - asked_us)));
        self.asked_us = Some(now_us);
        self.first_us = now_us - LOOK_BACK_US - timeout_us;
        let from_us = if is_going_on { now_us - CHANGING_US - timeout_us } else { self.first_us };
        self.from_us = slot_start_us(from_us, WINDOW_US);
        self.from_us
    }

    /// Takes the end of a load in; lends all of it.
    pub(super) fn join(&mut self, of: &Of, bins: impl ExactSizeIterator<Item = Bin>) -> Vec<Bin> {
        let mut held = self.held.remove(of).unwrap_or_default();
        held.truncate(held.partition_point(|bin| bin.start_us < self.from_us));
        held.drain(..held.partition_point(|bin| bin.start_us < self.first_us));
        held.reserve_exact(bins.len());
        held.extend(bins.skip_while(|bin| bin.start_us < self.first_us));
        held
    }

    /// Forgets what is neither lent nor was asked for of late.
    pub(super) fn forget(&mut self) {
        self.held.retain(|_, bins| bins.last().is_some_and(|bin| bin.start_us >= self.from_us));
    }

    /// Takes back what was lent.
    pub(super) fn take_back(&mut self, of: Of, bins: Vec<Bin>) {
        self.held.insert(of, bins);
    }
}

#[cfg(test)]
mod tests {
    use model::time::BIN_US;

    use super::*;

    #[test]
    fn what_is_joined_is_what_would_have_been_asked_for() {
        let mut history = History::default();
        let of = || Of::Link("a".into(), Direction::ToMicrosoft);
        let bins = |from_us: i64, to_us: i64, bps: f64| {
            let bin = move |start_us| Bin { start_us, wire_bps: Some(bps), ..Bin::default() };
            (from_us..to_us).step_by(BIN_US as usize).map(bin).collect::<Vec<_>>().into_iter()
        };
        let mut now_us = 3_600 * SECOND_US;
        let from_us = history.ask_from(now_us, 0);
        assert_eq!(from_us, now_us - LOOK_BACK_US);
        let lent = history.join(&of(), bins(from_us, now_us, 1.0));
        history.take_back(of(), lent);
        for _ in 0..20 {
            now_us += BIN_US;
            let from_us = history.ask_from(now_us, 0);
            assert!(from_us >= now_us - CHANGING_US - WINDOW_US);
            let joined = history.join(&of(), bins(from_us, now_us, 2.0));
            history.forget();
            assert_eq!((joined[0].start_us, joined.len()), (now_us - LOOK_BACK_US, 96));
            assert!(joined.windows(2).all(|pair| pair[1].start_us - pair[0].start_us == BIN_US));
            let from = joined.iter().position(|bin| bin.start_us == from_us).unwrap();
            assert!(joined[from..].iter().all(|bin| bin.wire_bps == Some(2.0)));
            history.take_back(of(), joined);
        }
        // After a gap everything is asked for anew.
        now_us += 3_600 * SECOND_US;
        let all_us = slot_start_us(now_us - LOOK_BACK_US - 60 * SECOND_US, WINDOW_US);
        assert_eq!(history.ask_from(now_us, 60 * SECOND_US), all_us);
        history.forget();
        assert!(history.held.is_empty());
    }
}
