//! Data sets that came before their template; bounded in number, bytes and time.

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
    sets: HashMap<(usize, u16), Vec<HeldSet>>,
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
        self.sets.entry((domain, id)).or_default().push(set);
        true
    }

    /// Takes out the sets of a template.
    pub(crate) fn take(&mut self, domain: usize, id: u16) -> Vec<HeldSet> {
        let taken = self.sets.remove(&(domain, id)).unwrap_or_default();
        self.count -= taken.len();
        self.bytes -= taken.iter().map(|set| set.bytes.len()).sum::<usize>();
        taken
    }

    /// Gives up the sets that came before an instant; gives the domain of each.
    pub(crate) fn give_up_before(&mut self, limit_us: i64) -> Vec<usize> {
        let mut given_up = Vec::new();
        self.sets.retain(|(domain, _), sets| {
            sets.retain(|set| {
                let is_kept = set.message.received_us >= limit_us;
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
