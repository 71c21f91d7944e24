//! What failures come to, worked out by hand.

use model::Direction;

use super::outcome::{Amount, Outcome};
use super::{Connection, Network, Observed, ObservedShare, Origin, Place, Port, PrefixLoad, Standing};

const GIGABIT: f64 = 1e9;

/// Connections of 10 Gbit/s each on its own port, by metro, and their loads in Gbit/s.
fn network(direction: Direction, links: &[(&str, &[f64])]) -> Network {
    let bps = |loads: &[f64]| loads.iter().map(|load| load * GIGABIT).collect::<Vec<f64>>();
    let port = |(_, loads): &(&str, &[f64])| Port { capacity_bps: Some(10.0 * GIGABIT), wire_bps: bps(loads) };
    let connection = |(port, (metro, loads)): (usize, &(&str, &[f64]))| {
        let metro = Some(*metro).filter(|metro| !metro.is_empty());
        let standing = if metro == Some("transit") { Standing::Transit } else { Standing::Active };
        let place = Place { metro: metro.map(Into::into), ..Place::default() };
        Connection { place, standing, port, wire_bps: bps(loads) }
    };
    let connections = links.iter().enumerate().map(connection).collect();
    Network::new(direction, 1.0, links.iter().map(port).collect(), connections)
}

fn from_microsoft(links: &[(&str, &[f64])]) -> Network {
    network(Direction::FromMicrosoft, links)
}

fn taken(outcome: &Outcome) -> Vec<(usize, f64)> {
    let mut taken: Vec<(usize, f64)> = outcome
        .survivors
        .iter()
        .map(|survivor| (survivor.connection, (survivor.taken() / GIGABIT * 1e6).round() / 1e6))
        .collect();
    taken.sort_by_key(|(connection, _)| *connection);
    taken
}

fn observed(failed: usize, also_down: &[usize], at_us: i64, shares: &[(usize, f64)]) -> Observed {
    let share = |(to, share): &(usize, f64)| ObservedShare { to: *to, share: *share, error: 0.01 };
    Observed { failed, also_down: also_down.to_vec(), at_us, shares: shares.iter().map(share).collect() }
}

#[test]
fn loads_are_added_moment_by_moment() {
    // The peaks of the two never meet: 8 and 7 would not hold, 8 + 1 does.
    let outcome = from_microsoft(&[("a", &[8.0, 1.0]), ("a", &[1.0, 7.0]), ("b", &[1.0, 1.0])]).without(&[0]).unwrap();
    let [survivor] = &outcome.survivors[..] else { panic!("only the one in the metro: {outcome:?}") };
    let load = Amount { most_bps: 9.0 * GIGABIT, step: 0, p95_bps: 9.0 * GIGABIT };
    assert_eq!((survivor.connection, survivor.load, survivor.utilisation), (1, Some(load), Some(0.9)));
    assert_eq!((survivor.utilisation_before, survivor.taken_bps), (Some(0.1), [0.0, 0.0, 0.0, 8.0 * GIGABIT]));
    assert_eq!((outcome.does_not_fit.most_bps, outcome.leaves_metro.unwrap().most_bps), (0.0, 0.0));
    assert_eq!((outcome.holds(0.95), outcome.holds(0.8)), (Some(true), Some(false)));
    assert!((outcome.growth_left(0.99).unwrap() - 0.1).abs() < 1e-9);
}

#[test]
fn what_does_not_fit_leaves_or_finds_nothing_is_told() {
    let network = from_microsoft(&[("a", &[8.0]), ("b", &[5.0]), ("b", &[6.0]), ("transit", &[9.0])]);
    let alone = network.without(&[0]).unwrap();
    assert_eq!((taken(&alone), alone.leaves_metro.unwrap().most_bps), (vec![(1, 4.0), (2, 4.0)], 8.0 * GIGABIT));
    let over = network.without(&[1]).unwrap();
    assert_eq!((over.survivors[0].utilisation, over.does_not_fit.most_bps), (Some(1.1), GIGABIT));
    let all = network.without(&[0, 1, 2]).unwrap();
    assert_eq!((all.to_transit.most_bps, all.leaves_metro.unwrap().most_bps), (19.0 * GIGABIT, 0.0));
    // 9 + 19 on 10: all 19 but the last 1 that has room.
    assert_eq!((all.does_not_fit.most_bps, all.holds(1.0)), (18.0 * GIGABIT, Some(false)));
    let nothing = network.without(&[0, 1, 2, 3]).unwrap();
    assert_eq!((nothing.nowhere.most_bps, nothing.holds(1.0)), (28.0 * GIGABIT, Some(false)));
}

#[test]
fn what_fails_together_is_moved_together() {
    let network = from_microsoft(&[("a", &[4.0]), ("a", &[3.0]), ("a", &[1.0]), ("b", &[1.0])]);
    let outcome = network.without(&[1, 0, 0]).unwrap();
    assert_eq!((taken(&outcome), outcome.survivors[0].utilisation), (vec![(2, 7.0)], Some(0.8)));
    assert_eq!(outcome.moved.most_bps, 7.0 * GIGABIT);
    assert_eq!(network.utilisation_without(&[0, 1], 2), [0.8]);
}

#[test]
fn sessions_of_one_port_fill_it_once() {
    let mut network = from_microsoft(&[("a", &[4.0]), ("a", &[3.0]), ("a", &[2.0])]);
    // The second rides the first's port, which carries 8 with what is not Microsoft's.
    network.connections[1].port = 0;
    network.ports[0].wire_bps = vec![8.0 * GIGABIT];
    let outcome = network.without(&[0]).unwrap();
    // Its own 4 leave the port, and half of them come back.
    assert_eq!(taken(&outcome), [(1, 2.0), (2, 2.0)]);
    assert_eq!(network.utilisation_without(&[0], 1), [0.6]);
}

#[test]
fn earlier_failovers_tell_first() {
    let network = from_microsoft(&[("a", &[4.0]), ("a", &[1.0]), ("a", &[1.0]), ("b", &[1.0]), ("transit", &[0.0])]);
    let seen = vec![
        observed(0, &[], 1, &[(1, 1.0)]),
        observed(0, &[], 2, &[(1, 0.6), (2, 0.2), (4, 0.1)]),
        observed(0, &[2], 1, &[(3, 0.5), (1, 0.5)]),
    ];
    let network = network.with_observed(seen);
    let alone = network.without(&[0]).unwrap();
    assert_eq!(taken(&alone), [(1, 2.4), (2, 0.8), (4, 0.4)], "the latest that fits");
    assert!((alone.unaccounted.most_bps - 0.4 * GIGABIT).abs() < 1.0 && alone.survivors[0].error_bps == Some(0.04 * GIGABIT));
    let both = network.without(&[0, 2]).unwrap();
    let of_0 = network.shares(0, &[true, false, true, false, false]).unwrap();
    assert_eq!((of_0.origin, of_0.shares.len()), (Origin::Observed, 2), "as when the two were down together");
    // The other one goes by capacity, to the one that is left in the metro: the cell says both.
    let worst = both.survivors.iter().find(|survivor| survivor.connection == 1).unwrap();
    assert_eq!(worst.taken_bps, [2.0 * GIGABIT, 0.0, 0.0, GIGABIT]);
    let rescaled = network.shares(0, &[true, false, false, false, true]).unwrap();
    assert_eq!(rescaled.origin, Origin::Rescaled);
    assert!((rescaled.shares.iter().map(|share| share.share).sum::<f64>() - 0.9).abs() < 1e-9);
    let gone = network.shares(0, &[true, true, false, false, false]).unwrap();
    assert_eq!(gone.origin, Origin::Capacity, "most of those that took are gone");
}

#[test]
fn rules_are_as_good_as_they_were() {
    let network = from_microsoft(&[("a", &[4.0]), ("a", &[1.0]), ("a", &[1.0])]);
    assert_eq!(network.without(&[1]).unwrap().survivors[0].error_bps, None, "nothing was ever seen");
    let network = network.with_observed(vec![observed(0, &[], 0, &[(1, 0.8), (2, 0.2)])]);
    // Half each was wrong by 0.3 each time: 0.3 of what 1 carries.
    assert!((network.without(&[1]).unwrap().survivors[0].error_bps.unwrap() - 0.3 * GIGABIT).abs() < 1.0);
}

#[test]
fn microsoft_sends_each_prefix_where_it_sends_it_already() {
    let load = |prefix: usize, connection: usize, bytes: f64| PrefixLoad { prefix, connection, bytes };
    // Half of 0's is a prefix that 1 has three quarters of, a quarter one that 2 has alone, a quarter nobody's; 3 is elsewhere.
    let loads = [
        load(0, 0, 4.0),
        load(0, 1, 3.0),
        load(0, 2, 1.0),
        load(0, 3, 9.0),
        load(1, 0, 2.0),
        load(1, 2, 5.0),
        load(2, 0, 2.0),
        load(3, 3, 20.0),
    ];
    let links: &[(&str, &[f64])] = &[("a", &[8.0]), ("a", &[1.0]), ("a", &[1.0]), ("b", &[1.0])];
    let network = from_microsoft(links).with_prefixes(&loads);
    assert_eq!(taken(&network.without(&[0]).unwrap()), [(1, 4.0), (2, 4.0)]);
    let shares = network.shares(0, &[true, false, true, false]).unwrap();
    assert_eq!((shares.origin, shares.shares[0].share), (Origin::Split, 1.0));
    let shares = network.shares(1, &[true, true, false, false]).unwrap();
    assert_eq!((shares.origin, shares.shares[0].to), (Origin::Split, 2));
    assert_eq!(network.shares(3, &[false, false, false, true]).unwrap().origin, Origin::Capacity, "it carries nothing known");
}

#[test]
fn we_send_to_the_nearest_exit() {
    let mut network = network(Direction::ToMicrosoft, &[("a", &[6.0]), ("a", &[1.0]), ("a", &[3.0]), ("a", &[1.0])]);
    let shares = network.without(&[0]).unwrap();
    assert_eq!(taken(&shares), [(1, 1.2), (2, 3.6), (3, 1.2)], "as the metro shares now");
    for near in [0, 1, 3] {
        network.connections[near].place.routers = vec!["r1".into()];
    }
    let outcome = network.without(&[0]).unwrap();
    assert_eq!(taken(&outcome), [(1, 3.0), (3, 3.0)], "those of the same router");
    assert_eq!(outcome.survivors[0].taken_bps[2], 3.0 * GIGABIT);
}

#[test]
fn what_is_unknown_is_not_judged() {
    let network = from_microsoft(&[("", &[8.0]), ("", &[9.0, f64::NAN])]);
    assert_eq!(network.without(&[0]).unwrap().leaves_metro, None);
    let network = from_microsoft(&[("a", &[f64::NAN, 8.0]), ("a", &[9.0, f64::NAN]), ("a", &[f64::NAN, f64::NAN])]);
    assert_eq!(network.without(&[2]), None, "its load is never known");
    let never = network.without(&[0]).unwrap();
    assert_eq!((never.steps_known, never.holds(1.0), never.worst()), (1, None, None), "never known together");
    assert_eq!(never.to_transit, Amount { step: 1, ..Amount::default() }, "nothing, where it is known that it is nothing");
    assert_eq!(network.without(&[0, 2]).unwrap().unknown, [2]);
    let mut network = from_microsoft(&[("a", &[8.0]), ("a", &[1.0])]);
    network.ports[1].capacity_bps = None;
    let outcome = network.without(&[0]).unwrap();
    assert_eq!((outcome.nowhere.most_bps, outcome.survivors.len()), (8.0 * GIGABIT, 0));
}
