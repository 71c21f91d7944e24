//! Neither the split over workers, nor the order, nor a stop in between changes a row.

use proptest::prelude::*;

use super::*;
use crate::{Owner, OwnerState};

#[derive(Clone, Debug)]
struct Event {
    second: i64,
    worker: usize,
    link: u32,
    view: View,
    record: Record,
}

fn event() -> impl Strategy<Value = Event> {
    let view = prop::sample::select(vec![View::OwnPort, View::OwnPort, View::OtherPort, View::OtherRouter]);
    let population = prop::sample::select(vec![1_u32, 1_000, 1_000, 4_096, 0]);
    (0_i64..900, 0_usize..3, 0_u32..2, view, population, 1_u64..2_000_000, 1_u64..3_000, 0_i64..120, any::<bool>()).prop_map(
        |(second, worker, link, view, population, bytes, packets, length, is_https)| Event {
            second,
            worker,
            link,
            view,
            record: Record {
                destination_port: if is_https { 443 } else { 80 },
                exporter: ExporterId(u32::from(view == View::OtherRouter)),
                ..flow(second - length, second, bytes, packets, population)
            },
        },
    )
}

fn run(events: &[Event], workers: usize, is_reversed: bool, stop_at: Option<i64>) -> Published {
    let settings = MeasureSettings { tags_kept: 1, revision_seconds_least: 300, ..MeasureSettings::default() };
    let mut fleet: Vec<Worker> = (0..workers).map(|_| Worker::new()).collect();
    let (mut owner, mut published) = (Owner::new(settings.clone()), Published::default());
    for second in 0..1_000 {
        if stop_at == Some(second) {
            published.take(owner.preview(at(second)));
            let saved = postcard::to_allocvec(owner.state()).unwrap();
            let state: OwnerState = postcard::from_bytes(&saved).unwrap();
            owner = Owner::restore(settings.clone(), state);
            owner.begin_run();
            fleet = (0..workers).map(|_| Worker::new()).collect();
        }
        for event in events.iter().filter(|event| event.second == second) {
            fleet[event.worker % workers].record(event.link, event.view, event.record.clone());
        }
        let mut deltas: Vec<Delta> = fleet.iter_mut().map(Worker::take).collect();
        // Each exporter is on one worker, which alone reports on it.
        for (index, delta) in deltas.iter_mut().enumerate() {
            for health in &mut delta.health {
                health.records =
                    events.iter().filter(|event| event.second == second && event.record.exporter == health.exporter).count()
                        as u64;
            }
            delta.health.retain(|health| health.exporter.0 as usize % workers == index);
        }
        let mut deltas: Vec<(usize, Delta)> = deltas.into_iter().enumerate().collect();
        if is_reversed {
            deltas.reverse();
        }
        deltas.into_iter().for_each(|(worker, delta)| owner.merge(worker, delta, at(second)));
        published.take(owner.advance(at(second)));
    }
    published.take(owner.finish(at(1_000)));
    published
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rows_do_not_depend_on_the_workers(events in prop::collection::vec(event(), 1..120), stop_at in 1_i64..999) {
        let alone = run(&events, 1, false, None);
        prop_assert!(!alone.links().is_empty());
        prop_assert_eq!(&run(&events, 3, false, None), &alone);
        prop_assert_eq!(&run(&events, 3, true, None), &alone);
        prop_assert_eq!(&run(&events, 2, true, Some(stop_at)), &alone);
    }

    #[test]
    fn no_byte_is_lost(events in prop::collection::vec(event(), 1..120)) {
        let published = run(&events, 2, false, None);
        // All of one view on the same link: what came is in the detailed tables to the byte.
        let events: Vec<Event> = events.into_iter().map(|event| Event { view: View::OwnPort, ..event }).collect();
        let whole = run(&events, 2, false, None);
        let sent: u64 = events.iter().map(|event| event.record.bytes).sum();
        prop_assert_eq!(whole.traffic().iter().map(|row| row.bytes_exported).sum::<i64>(), sent as i64);
        for side in ["customer", "microsoft"] {
            let of_side: i64 = whole.prefixes().iter().filter(|row| &*row.side == side).map(|row| row.bytes_exported).sum();
            prop_assert_eq!(of_side, sent as i64);
        }
        prop_assert_eq!(whole.traffic().iter().map(|row| row.records).sum::<i64>(), events.len() as i64);
        prop_assert!(published.traffic().iter().map(|row| row.bytes_exported).sum::<i64>() <= sent as i64);
    }
}

/// A row that a stopped collector showed is taken back where its view turns out not to count.
#[test]
fn a_stop_shows_nothing_that_stays_when_it_no_longer_holds() {
    let event = |second, view, record| Event { second, worker: 0, link: 0, view, record };
    let events = [event(0, View::OtherPort, flow(-22, 0, 1, 1, 1)), event(354, View::OwnPort, flow(354, 354, 129_449, 889, 1))];
    assert_eq!(run(&events, 1, false, Some(354)), run(&events, 1, false, None));
}
