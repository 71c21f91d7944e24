//! Processor time, and the table that is printed.

use nix::time::{ClockId, clock_gettime};

use crate::subjects::Subject;

/// Processor time of this thread that a piece of work takes, nanoseconds.
pub(crate) fn nanoseconds(work: impl FnOnce()) -> f64 {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock for threads");
    let before = now();
    work();
    let spent = now() - before;
    spent.tv_sec() as f64 * 1e9 + spent.tv_nsec() as f64
}

/// What the subjects took on one protocol's datagrams.
pub(crate) struct Case {
    name: &'static str,
    subjects: Vec<(&'static str, Vec<f64>)>,
}

impl Case {
    pub(crate) fn new(name: &'static str, subjects: &[Box<dyn Subject>]) -> Case {
        Case { name, subjects: subjects.iter().map(|subject| (subject.name(), Vec::new())).collect() }
    }

    /// Nanoseconds a record of one round.
    pub(crate) fn add(&mut self, place: usize, nanoseconds: f64) {
        self.subjects[place].1.push(nanoseconds);
    }

    /// A line a subject. The last subject is the peer: the others are so many times as fast, by the
    /// median of the rounds' ratios.
    pub(crate) fn print(&self) {
        let Some((_, peer)) = self.subjects.last() else { return };
        for (name, times) in &self.subjects {
            let ratios = times.iter().zip(peer).map(|(ours, peers)| peers / ours).collect();
            let (middle, range) = spread(times.clone());
            println!(
                "| {} | {name} | {middle:.1} ({:.1} to {:.1}) | {:.2} | {:.2} |",
                self.name,
                range.0,
                range.1,
                1e3 / middle,
                spread(ratios).0
            );
        }
    }
}

pub(crate) fn print_heading() {
    println!(
        "| datagrams | subject | ns of processor time a record (range) | million records a second | times the parser's speed |"
    );
    println!("|---|---|---|---|---|");
}

/// Median and range.
fn spread(mut values: Vec<f64>) -> (f64, (f64, f64)) {
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    (at(values.len() / 2), (at(0), at(values.len().saturating_sub(1))))
}
