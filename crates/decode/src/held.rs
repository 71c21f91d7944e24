//! Data sets that came before their template; bounded in number, bytes and time.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::build::Message;

/// A data set that waits.
pub(crate) struct HeldSet {
    pub(crate) message: Message,
    pub(crate) bytes: Vec<u8>,
}

/// All data sets that wait.
#[derive(Default)]
pub(crate) struct Held {
    /// By domain and template, in the order in which they came.
    sets: HashMap<(usize, u16), VecDeque<HeldSet>>,
    count: usize,
    bytes: usize,
}

impl Held {
    /// Holds a set; gives whether there was room.
    pub(crate) fn hold(&mut self, domain: usize, id: u16, set: HeldSet, sets_most: usize, bytes_most: usize) -> bool {
        if self.count >= sets_most || self.bytes + set.bytes.len() > bytes_most {
            return false;
        }
        self.count += 1;
        self.bytes += set.bytes.len();
        self.sets.entry((domain, id)).or_default().push_back(set);
        true
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes out the first set of a template.
    pub(crate) fn take_one(&mut self, domain: usize, id: u16) -> Option<HeldSet> {
        let sets = self.sets.get_mut(&(domain, id))?;
        let set = sets.pop_front()?;
        if sets.is_empty() {
            self.sets.remove(&(domain, id));
        }
        self.count -= 1;
        self.bytes -= set.bytes.len();
        Some(set)
    }

    /// Gives up sets by their domain and themselves; gives the domain of each.
    pub(crate) fn give_up(&mut self, is_over: impl Fn(usize, &HeldSet) -> bool) -> Vec<usize> {
        let mut given_up = Vec::new();
        self.sets.retain(|(domain, _), sets| {
            sets.retain(|set| {
                let is_kept = !is_over(*domain, set);
                if !is_kept {
                    self.count -= 1;
                    self.bytes -= set.bytes.len();
                    given_up.push(*domain);
                }
                is_kept
            });
            !sets.is_empty()
        });
        given_up
    }
}
