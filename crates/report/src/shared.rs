//! What several collectors have rows of is taken from one of them at a time, so that nothing counts twice.
//!
//! One direction of a connection is counted at one place, its own port, so it is one collector's; only where two
//! collectors hear the same exporter, or where one takes over from another, do both have rows of it. Then the
//! collector that has more of it over the whole range is asked first, in steps of five minutes, and the others
//! where it has nothing.

use std::collections::{BTreeMap, BTreeSet};

use model::Name;

use crate::range::STEP_US;

/// By name, the steps in which a collector has rows of it, in the order of time, and how much they are of.
pub(crate) type Had = BTreeMap<Name, Vec<(i64, f64)>>;

/// Rows of a collector that are left out: those of these names, from one instant to before another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) names: BTreeSet<Name>,
    pub(crate) from_us: i64,
    pub(crate) to_us: i64,
}

/// What is left out of each collector's rows, and how many steps of it had something.
pub(crate) struct Shared {
    pub(crate) left_out: Vec<Vec<LeftOut>>,
    pub(crate) steps: usize,
    /// The names whose steps these are.
    pub(crate) names: BTreeSet<Name>,
}

/// Decides for the names that more than one collector has.
pub(crate) fn share(collectors: &[Had]) -> Shared {
    let mut spans: Vec<BTreeMap<(i64, i64), BTreeSet<Name>>> = vec![BTreeMap::new(); collectors.len()];
    let mut shared = Shared { left_out: Vec::new(), steps: 0, names: BTreeSet::new() };
    let names: BTreeSet<&Name> = collectors.iter().flat_map(BTreeMap::keys).collect();
    for name in names {
        let have: Vec<usize> = (0..collectors.len()).filter(|place| collectors[*place].contains_key(name)).collect();
        if have.len() < 2 {
            continue;
        }
        for (place, steps, lost) in left_out(name, collectors, &have) {
            if lost > 0 {
                shared.steps += lost;
                shared.names.insert(name.clone());
            }
            for span in joined(&steps) {
                spans[place].entry(span).or_default().insert(name.clone());
            }
        }
    }
    let one = |((from_us, to_us), names): ((i64, i64), BTreeSet<Name>)| LeftOut { names, from_us, to_us };
    shared.left_out = spans.into_iter().map(|spans| spans.into_iter().map(one).collect()).collect();
    shared
}

/// The steps of a name that each collector leaves to another, and in how many it had something.
fn left_out(name: &Name, collectors: &[Had], have: &[usize]) -> Vec<(usize, Vec<i64>, usize)> {
    let sum = |place: usize| collectors[place][name].iter().map(|(_, much)| much).sum::<f64>();
    let mut order = have.to_vec();
    order.sort_by(|a, b| sum(*b).total_cmp(&sum(*a)).then(a.cmp(b)));
    // Whose each step is: the first in order that has something, else the first that has a row.
    let mut owners: BTreeMap<i64, (usize, bool)> = BTreeMap::new();
    for place in &order {
        for (step_us, much) in &collectors[*place][name] {
            let owner = owners.entry(*step_us).or_insert((*place, *much > 0.0));
            if !owner.1 && *much > 0.0 {
                *owner = (*place, true);
            }
        }
    }
    let of_one = |place: usize| {
        let others = collectors[place][name].iter().filter(|(step_us, _)| owners[step_us].0 != place);
        let lost = others.clone().filter(|(_, much)| *much > 0.0).count();
        (place, others.map(|(step_us, _)| *step_us).collect(), lost)
    };
    have.iter().map(|place| of_one(*place)).collect()
}

/// Steps that follow each other as spans.
fn joined(steps: &[i64]) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for step_us in steps {
        match spans.last_mut() {
            Some((_, to_us)) if *to_us == *step_us => *to_us += STEP_US,
            _ => spans.push((*step_us, step_us + STEP_US)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names with how much each step has; a dash stands for no row.
    fn had(names: &[(&str, &str)]) -> Had {
        let steps = |text: &str| {
            let of = |(step, much): (usize, &str)| Some((step as i64 * STEP_US, much.parse().ok()?));
            text.split(' ').enumerate().filter_map(of).collect()
        };
        names.iter().map(|(name, text)| (Name::from(*name), steps(text))).collect()
    }

    fn shown(shared: &Shared) -> Vec<String> {
        let one = |left: &LeftOut| {
            let names: Vec<&str> = left.names.iter().map(|name| &**name).collect();
            format!("{} {}-{}", names.join(","), left.from_us / STEP_US, left.to_us / STEP_US)
        };
        shared.left_out.iter().map(|left| left.iter().map(one).collect::<Vec<_>>().join("; ")).collect()
    }

    #[test]
    fn each_step_is_of_one_collector() {
        for (what, one, other, expected, steps) in [
            ("each has its own", ("a", "1 1 1"), ("b", "1 1 1"), ["", ""], 0),
            ("both hear it", ("a", "5 5 5"), ("a", "4 4 4"), ["", "a 0-3"], 3),
            ("one takes over", ("a", "5 5 - -"), ("a", "- - 5 9"), ["", ""], 0),
            ("one takes over within a step", ("a", "5 2 - -"), ("a", "- 3 5 9"), ["a 1-2", ""], 1),
            ("one fails for a while", ("a", "5 0 - 5"), ("a", "4 4 4 4"), ["a 0-2; a 3-4", ""], 2),
            ("one knows it and hears nothing", ("a", "0 0 0"), ("a", "4 4 4"), ["a 0-3", ""], 0),
            ("nobody hears anything", ("a", "0 0 -"), ("a", "0 0 0"), ["", "a 0-2"], 0),
        ] {
            let shared = share(&[had(&[one]), had(&[other])]);
            assert_eq!(shown(&shared), expected, "{what}");
            assert_eq!((shared.steps, shared.names.len()), (steps, usize::from(steps > 0)), "{what}");
        }
        let both = had(&[("a", "5 5"), ("b", "5 5"), ("c", "5 -")]);
        let less = had(&[("a", "4 4"), ("b", "4 4"), ("c", "4 4")]);
        assert_eq!(shown(&share(&[both, less, had(&[])])), ["c 0-1", "a,b 0-2", ""], "spans of the same length are one");
    }
}
