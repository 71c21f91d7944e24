//! Data sets that came before their template; bounded in number, bytes and time.

use crate::build::Message;

/// A data set that waits.
pub(crate) struct HeldSet {
    pub(crate) domain: usize,
    pub(crate) id: u16,
    pub(crate) message: Message,
    pub(crate) bytes: Vec<u8>,
}

/// All data sets that wait.
#[derive(Default)]
pub(crate) struct Held {
    sets: Vec<HeldSet>,
    bytes: usize,
}

impl Held {
    /// Holds a set; gives whether there was room.
    pub(crate) fn hold(&mut self, set: HeldSet, sets_most: usize, bytes_most: usize) -> bool {
        if self.sets.len() >= sets_most || self.bytes + set.bytes.len() > bytes_most {
            return false;
        }
        self.bytes += set.bytes.len();
        self.sets.push(set);
        true
    }

    /// Takes out the sets of a template, in the order in which they came.
    pub(crate) fn take(&mut self, domain: usize, id: u16) -> Vec<HeldSet> {
        self.take_if(|set| set.domain == domain && set.id == id)
    }

    /// Takes out the sets that came before an instant.
    pub(crate) fn take_before(&mut self, limit_us: i64) -> Vec<HeldSet> {
        self.take_if(|set| set.message.received_us < limit_us)
    }

    fn take_if(&mut self, is_due: impl Fn(&HeldSet) -> bool) -> Vec<HeldSet> {
        if !self.sets.iter().any(&is_due) {
            return Vec::new();
        }
        let (due, rest): (Vec<HeldSet>, Vec<HeldSet>) = std::mem::take(&mut self.sets).into_iter().partition(is_due);
        self.bytes = rest.iter().map(|set| set.bytes.len()).sum();
        self.sets = rest;
        due
    }
}
