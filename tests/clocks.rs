//! Clocks that are wrong, or are set: no window twice, none held up, nothing lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use cli::pipeline::Worker;
use measure::Owner;
use model::tables::LinkRow;
use model::{Publication, Rows};

use crate::floods::{BYTES, EXPORTER, SECONDS, datagram, known_bytes, shared};

/// A record of the link layer: 10 packets of 18 bytes more.
const LINK_BYTES: f64 = (BYTES + 180) as f64;
const DECADE: u32 = 315_360_000;

/// A collector, and all that it published.
struct Run {
    worker: Worker,
    owner: Owner,
    published: Vec<Publication>,
    sent: u32,
}

impl Run {
    fn new() -> Run {
        let shared = shared();
        let (worker, owner) = (Worker::new(&shared), Owner::new(shared.measure.clone()));
        Run { worker, owner, published: Vec::new(), sent: 0 }
    }

    /// A record of an exporter whose clock shows `theirs`, when ours shows `ours`; then what is due is published.
    fn second(&mut self, exporter: SocketAddr, theirs: u32, ours: u32) {
        let now_us = i64::from(ours) * 1_000_000;
        let template = self.sent.is_multiple_of(30).then_some((256, 0));
        self.worker.datagram(now_us, exporter, &datagram(theirs, (self.sent, 7), template, 1, 0));
        self.sent += 1;
        self.owner.merge(0, self.worker.take(now_us, 0), now_us);
        self.published.extend(self.owner.advance(now_us));
    }

    fn links(&self) -> impl Iterator<Item = &LinkRow> {
        let rows = self.published.iter().filter_map(|publication| match &publication.rows {
            Rows::Links(rows) => Some(rows),
            _ => None,
        });
        rows.flatten().filter(|row| &*row.connection == "known" && &*row.direction == "to_microsoft")
    }

    /// The windows of the link whose rows stand for good, and how often each was published so.
    fn finals(&self) -> BTreeMap<i64, usize> {
        let mut finals = BTreeMap::new();
        self.links().filter(|row| &*row.status == "final").for_each(|row| *finals.entry(row.window_start.0).or_default() += 1);
        finals
    }

    /// Datagrams by the last rows of each minute of reception.
    fn datagrams(&self) -> i64 {
        let minutes = self.published.iter().filter_map(|publication| match &publication.rows {
            Rows::Exporters(rows) => Some((publication.window_start_us, rows.iter().map(|row| row.datagrams).sum())),
            _ => None,
        });
        minutes.collect::<BTreeMap<i64, i64>>().values().sum()
    }

    fn finish(&mut self, ours: u32) {
        self.published.extend(self.owner.finish(i64::from(ours) * 1_000_000));
    }
}

fn known() -> SocketAddr {
    SocketAddr::from((EXPORTER, 2_055))
}

#[test]
fn an_exporter_a_decade_off_counts_now() {
    for off in [DECADE.wrapping_neg(), DECADE] {
        let mut run = Run::new();
        (0..600).for_each(|second| run.second(known(), (SECONDS + second).wrapping_add(off), SECONDS + second));
        // Not held up: minutes are judged a few minutes after their end.
        let judged = run.links().filter(|row| &*row.status != "open").map(|row| row.window_start.0).max();
        assert!(judged >= Some(i64::from(SECONDS + 300) * 1_000_000), "{judged:?}");
        run.finish(SECONDS + 600);
        assert!((known_bytes(&run.published) - 600.0 * LINK_BYTES).abs() < 1e-3);
        let (first, last) = (i64::from(SECONDS) * 1_000_000, i64::from(SECONDS + 600) * 1_000_000);
        assert!(run.links().all(|row| (first..last).contains(&row.window_start.0)));
    }
}

#[test]
fn a_silent_exporter_holds_nothing_up() {
    let mut run = Run::new();
    let other = SocketAddr::from(([192, 0, 2, 77], 2_055));
    (0..60).for_each(|second| run.second(other, SECONDS + second, SECONDS + second));
    run.sent = 0;
    (60..900).for_each(|second| run.second(known(), SECONDS + second, SECONDS + second));
    let judged = run.links().filter(|row| &*row.status != "open").map(|row| row.window_start.0).max();
    assert!(judged >= Some(i64::from(SECONDS + 600) * 1_000_000), "{judged:?}");
}

#[test]
fn a_clock_that_is_set_makes_no_window_twice_and_loses_nothing() {
    for step in [3_600, -3_600, 120, -120, 86_400 * 400] {
        let mut run = Run::new();
        for second in 0..900_u32 {
            // Ours is wrong for five minutes.
            let ours = i64::from(SECONDS + second) + if (300..600).contains(&second) { step } else { 0 };
            run.second(known(), SECONDS + second, ours as u32);
        }
        run.finish(SECONDS + 900 + step.max(0) as u32);
        let twice: Vec<_> = run.finals().into_iter().filter(|(_, times)| *times > 1).collect();
        assert_eq!(twice, [], "by {step} s");
        let mut late: BTreeMap<i64, i64> = BTreeMap::new();
        late.extend(run.links().map(|row| (row.window_start.0, row.late_bytes)));
        let counted = known_bytes(&run.published) + late.values().sum::<i64>() as f64;
        assert!((counted - 900.0 * LINK_BYTES).abs() < 1e-3, "by {step} s: {counted} of {}", 900.0 * LINK_BYTES);
        assert_eq!(run.datagrams(), 900, "by {step} s");
    }
}
