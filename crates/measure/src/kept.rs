//! Detail windows: 300 s of a link and direction by tag and by prefix, and which of them keep rows.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use model::{Prefix, View};

use crate::scale::Scale;
use crate::sums::Sums;
use crate::window::{Schedule, Way};

/// A row of `traffic`: IP version, tag (the owner's number, 0 untagged) and origin AS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct TrafficItem {
    pub(crate) ip_version: u8,
    pub(crate) tag: u32,
    pub(crate) asn: u32,
}

/// A row of `prefixes`: prefix, AS, and customer's name (the owner's number, 0 none).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct PrefixItem {
    pub(crate) prefix: Option<Prefix>,
    pub(crate) asn: u32,
    pub(crate) customer: u32,
}

/// Counts by item, of which at most so many keep rows of their own; `None` is the row `other`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "I: Eq + std::hash::Hash + Serialize + serde::de::DeserializeOwned")]
pub(crate) struct Kept<I> {
    pub(crate) cells: HashMap<(View, Scale, Option<I>), Sums>,
    /// Who keeps a row; chosen when the window is first published.
    pub(crate) chosen: HashSet<I>,
    /// There were more items than rows: what is not chosen is `other` from now on.
    pub(crate) is_full: bool,
}

impl<I> Default for Kept<I> {
    fn default() -> Self {
        Kept { cells: HashMap::new(), chosen: HashSet::new(), is_full: false }
    }
}

/// Sums of one item by scale.
pub(crate) type ByItem<I> = BTreeMap<Option<I>, BTreeMap<Scale, Sums>>;

impl<I: Copy + Ord + std::hash::Hash> Kept<I> {
    /// Adds to an item; to `other` if it may have no row, or no cell any more. Says how many cells it made.
    pub(crate) fn add(&mut self, view: View, scale: Scale, item: Option<I>, sums: &Sums, has_room: bool) -> usize {
        let item = item.filter(|item| !self.is_full || self.chosen.contains(item));
        let before = self.cells.len();
        let key = (view, scale, item);
        if has_room || item.is_none() {
            self.cells.entry(key).or_default().add(sums);
        } else if let Some(cell) = self.cells.get_mut(&key) {
            cell.add(sums);
        } else {
            self.cells.entry((view, scale, None)).or_default().add(sums);
        }
        self.cells.len() - before
    }

    /// Chooses who keeps a row: whoever does already, then the largest in the view by estimate, ties by
    /// `order`. Once there are more than `most`, the rest is folded into `other` for good.
    pub(crate) fn choose<N: Ord>(&mut self, view: View, most: usize, order: impl Fn(&I) -> N) {
        if self.is_full {
            return;
        }
        let items: HashSet<I> = self.cells.keys().filter_map(|(_, _, item)| *item).collect();
        if items.len() <= most {
            self.chosen = items;
            return;
        }
        let by_item = self.by_item(view);
        let mut ranked: Vec<(f64, N, I)> =
            items.difference(&self.chosen).map(|item| (size(by_item.get(&Some(*item))), order(item), *item)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let room = most.saturating_sub(self.chosen.len());
        self.chosen.extend(ranked.into_iter().take(room).map(|(_, _, item)| item));
        self.is_full = true;
        let cells = std::mem::take(&mut self.cells);
        for ((view, scale, item), sums) in cells {
            self.add(view, scale, item, &sums, true);
        }
    }

    /// What a view saw, by item and scale.
    pub(crate) fn by_item(&self, view: View) -> ByItem<I> {
        let mut by_item = ByItem::new();
        for ((_, scale, item), sums) in self.cells.iter().filter(|((of, _, _), _)| *of == view) {
            by_item.entry(*item).or_default().entry(*scale).or_default().add(sums);
        }
        by_item
    }
}

/// Estimated bytes, and those of unknown rate as they are.
fn size(by_scale: Option<&BTreeMap<Scale, Sums>>) -> f64 {
    let sized = |(scale, sums): (&Scale, &Sums)| if scale.is_known() { scale.estimate(sums.bytes) } else { sums.bytes as f64 };
    by_scale.map_or(0.0, |by_scale| by_scale.iter().map(sized).sum())
}

/// A link and direction in a detail window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LinkDetail {
    pub(crate) traffic: Kept<TrafficItem>,
    pub(crate) customers: Kept<PrefixItem>,
    pub(crate) microsoft: Kept<PrefixItem>,
}

impl LinkDetail {
    pub(crate) fn cells(&self) -> usize {
        self.traffic.cells.len() + self.customers.cells.len() + self.microsoft.cells.len()
    }
}

/// 300 s of all links.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DetailWindow {
    pub(crate) links: HashMap<Way, LinkDetail>,
    pub(crate) schedule: Schedule,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale { population: 10, sample: 1, is_flow_sampled: false };

    fn sums(bytes: u64) -> Sums {
        Sums { bytes, ..Sums::default() }
    }

    fn rows(kept: &Kept<u32>) -> Vec<(Option<u32>, u64)> {
        kept.by_item(View::OwnPort)
            .into_iter()
            .map(|(item, by_scale)| (item, by_scale.values().map(|sums| sums.bytes).sum()))
            .collect()
    }

    #[test]
    fn the_largest_keep_their_rows_and_totals_stay_exact() {
        let mut kept = Kept::default();
        for (item, bytes) in [(1, 10), (2, 40), (3, 30), (4, 20), (5, 20)] {
            kept.add(View::OwnPort, SCALE, Some(item), &sums(bytes), true);
        }
        kept.choose(View::OwnPort, 3, |item| *item);
        assert_eq!(rows(&kept), [(None, 30), (Some(2), 40), (Some(3), 30), (Some(4), 20)]);
        // A revision does not change who has a row.
        kept.add(View::OwnPort, SCALE, Some(1), &sums(1_000), true);
        kept.add(View::OwnPort, SCALE, Some(2), &sums(1), true);
        kept.choose(View::OwnPort, 3, |item| *item);
        assert_eq!(rows(&kept), [(None, 1_030), (Some(2), 41), (Some(3), 30), (Some(4), 20)]);
    }

    #[test]
    fn rows_that_are_free_go_to_the_next() {
        let mut kept = Kept::default();
        kept.add(View::OwnPort, SCALE, Some(1), &sums(1), true);
        kept.choose(View::OwnPort, 2, |item| *item);
        kept.add(View::OwnPort, SCALE, Some(2), &sums(5), true);
        kept.add(View::OwnPort, SCALE, Some(3), &sums(9), true);
        kept.choose(View::OwnPort, 2, |item| *item);
        assert_eq!(rows(&kept), [(None, 5), (Some(1), 1), (Some(3), 9)]);
    }

    #[test]
    fn without_room_new_items_are_other() {
        let mut kept = Kept::default();
        assert_eq!(kept.add(View::OwnPort, SCALE, Some(1), &sums(1), true), 1);
        assert_eq!(kept.add(View::OwnPort, SCALE, Some(2), &sums(1), false), 1);
        assert_eq!(kept.add(View::OwnPort, SCALE, Some(1), &sums(1), false), 0);
        assert_eq!(rows(&kept), [(None, 1), (Some(1), 2)]);
    }
}
