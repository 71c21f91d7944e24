//! Detail windows: 300 s of a link and direction by tag and by prefix, and which of them keep rows.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use hashbrown::HashMap;
use model::{Prefix, View};

use crate::cell_key::End;
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
///
/// Sorted lists: there are thousands of links with some hundred items each, for many windows at a time,
/// and a hash table of each would be twice as large, half of it empty.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept<I> {
    /// In order.
    cells: Vec<(Key<I>, Sums)>,
    /// Who keeps a row, in order; chosen when the window is first published.
    chosen: Vec<I>,
    /// There were more items than rows: what is not chosen is `other` from now on.
    is_full: bool,
}

/// What is added up together.
type Key<I> = (View, Scale, Option<I>);

/// A list without room grows by this part of its length, for it lives long.
const GROWTH: usize = 8;

impl<I> Default for Kept<I> {
    fn default() -> Self {
        Kept { cells: Vec::new(), chosen: Vec::new(), is_full: false }
    }
}

/// Sums of one item by scale.
pub(crate) type ByItem<I> = BTreeMap<Option<I>, BTreeMap<Scale, Sums>>;

impl<I: Copy + Ord> Kept<I> {
    /// How many cells there are.
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Adds to an item; to `other` if it may have no row, or no cell any more. Says how many cells it made.
    pub(crate) fn add(&mut self, view: View, scale: Scale, item: Option<I>, sums: &Sums, has_room: bool) -> usize {
        let item = item.filter(|item| !self.is_full || self.chosen.binary_search(item).is_ok());
        let key = (view, scale, item);
        match self.cells.binary_search_by(|(held, _)| held.cmp(&key)) {
            Ok(place) => {
                self.cells[place].1.add(sums);
                0
            }
            Err(_) if !has_room && item.is_some() => self.add(view, scale, None, sums, true),
            Err(place) => {
                if self.cells.len() == self.cells.capacity() {
                    self.cells.reserve_exact(1 + self.cells.len() / GROWTH);
                }
                self.cells.insert(place, (key, *sums));
                1
            }
        }
    }

    /// Chooses who keeps a row: whoever does already, then the largest in the view by estimate, ties by
    /// `order`. Once there are more than `most`, the rest is folded into `other` for good.
    pub(crate) fn choose<N: Ord>(&mut self, view: View, most: usize, order: impl Fn(&I) -> N) {
        if self.is_full {
            return;
        }
        let mut items: Vec<I> = self.cells.iter().filter_map(|((_, _, item), _)| *item).collect();
        items.sort_unstable();
        items.dedup();
        if items.len() <= most {
            items.shrink_to_fit();
            self.chosen = items;
            return;
        }
        let by_item = self.by_item(view);
        items.retain(|item| self.chosen.binary_search(item).is_err());
        let mut ranked: Vec<(f64, N, I)> =
            items.into_iter().map(|item| (size(by_item.get(&Some(item))), order(&item), item)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let room = most.saturating_sub(self.chosen.len());
        self.chosen.extend(ranked.into_iter().take(room).map(|(_, _, item)| item));
        self.chosen.sort_unstable();
        self.chosen.shrink_to_fit();
        self.is_full = true;
        for ((view, scale, item), sums) in std::mem::take(&mut self.cells) {
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

/// The items of a window by number: many links have the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Numbered {
    items: Vec<PrefixItem>,
    numbers: HashMap<PrefixItem, u32>,
}

impl Numbered {
    /// The number of an item; of a new one only where there is room.
    fn number(&mut self, item: PrefixItem, has_room: bool) -> Option<u32> {
        if let Some(number) = self.numbers.get(&item) {
            return Some(*number);
        }
        has_room.then(|| {
            let number = self.items.len() as u32;
            self.items.push(item);
            self.numbers.insert(item, number);
            number
        })
    }

    /// The item of a number that was given.
    pub(crate) fn item(&self, number: u32) -> &PrefixItem {
        &self.items[number as usize]
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
    /// By the window's numbers.
    pub(crate) customers: Kept<u32>,
    pub(crate) microsoft: Kept<u32>,
}

impl LinkDetail {
    pub(crate) fn cells(&self) -> usize {
        self.traffic.len() + self.customers.len() + self.microsoft.len()
    }
}

/// 300 s of all links.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DetailWindow {
    pub(crate) links: HashMap<Way, LinkDetail>,
    pub(crate) prefixes: Numbered,
    pub(crate) schedule: Schedule,
}

impl DetailWindow {
    /// Adds to the rows of `prefixes` of one end of a link; says how many cells it made.
    pub(crate) fn add_prefix(
        &mut self,
        (way, end): (Way, End),
        (view, scale): (View, Scale),
        item: Option<PrefixItem>,
        sums: &Sums,
        has_room: bool,
    ) -> usize {
        let number = item.and_then(|item| self.prefixes.number(item, has_room));
        let link = self.links.entry(way).or_default();
        let prefixes = if end == End::Microsoft { &mut link.microsoft } else { &mut link.customers };
        prefixes.add(view, scale, number, sums, has_room)
    }
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
