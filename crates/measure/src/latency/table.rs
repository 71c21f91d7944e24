//! Connections under way, in a table of fixed size.

use model::Address;
use model::latency::End;

/// Entries that a connection may take; the one longest unused makes room.
const WAYS: usize = 8;

/// A TCP connection by its ends; of flow records as one exporter shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionKey {
    pub(crate) customer: Address,
    pub(crate) microsoft: Address,
    pub(crate) customer_port: u16,
    pub(crate) microsoft_port: u16,
    pub(crate) exporter: u32,
}

impl ConnectionKey {
    /// The connection of a packet or record from one address and port to another, by whose the first is.
    pub(crate) fn of(from: (Address, u16), to: (Address, u16), sender: End, exporter: u32) -> ConnectionKey {
        let (customer, microsoft) = match sender {
            End::Customer => (from, to),
            End::Microsoft => (to, from),
        };
        ConnectionKey {
            customer: customer.0,
            microsoft: microsoft.0,
            customer_port: customer.1,
            microsoft_port: microsoft.1,
            exporter,
        }
    }

    /// The same at every run: which connections share a place must not depend on chance.
    fn hash(&self) -> u64 {
        let ports = u64::from(self.customer_port) << 48 | u64::from(self.microsoft_port) << 32 | u64::from(self.exporter);
        let halves = |address: Address| [(address.bits() >> 64) as u64, address.bits() as u64];
        let words = halves(self.customer).into_iter().chain(halves(self.microsoft)).chain([ports]);
        words.fold(0x9e37_79b9_7f4a_7c15, |hash: u64, word| {
            let product = u128::from(hash ^ word) * 0xd6e8_feb8_6659_fd93;
            (product >> 64) as u64 ^ product as u64
        })
    }
}

#[derive(Clone)]
struct Entry<T> {
    key: ConnectionKey,
    /// When it was used last; `None` of an empty place.
    used_us: Option<i64>,
    value: T,
}

/// Values by connection; the memory is taken when the first one comes.
pub(crate) struct ConnectionTable<T> {
    entries: Vec<Entry<T>>,
    places: usize,
    idle_us: i64,
    /// Connections that had to make room though they were not idle.
    pub(crate) fell_off: u64,
}

impl<T: Clone + Default> ConnectionTable<T> {
    /// A table of about so many places; a connection unused for `idle_us` counts as over.
    pub(crate) fn new(places: usize, idle_us: i64) -> ConnectionTable<T> {
        let places = (places.max(WAYS) / WAYS).next_power_of_two() * WAYS;
        ConnectionTable { entries: Vec::new(), places, idle_us, fell_off: 0 }
    }

    fn set(&mut self, key: &ConnectionKey) -> &mut [Entry<T>] {
        if self.entries.is_empty() {
            self.entries = vec![Entry { key: ConnectionKey::default(), used_us: None, value: T::default() }; self.places];
        }
        let sets = self.places / WAYS;
        let first = (key.hash() as usize & (sets - 1)) * WAYS;
        &mut self.entries[first..first + WAYS]
    }

    /// The value of a connection, where it is known.
    pub(crate) fn get(&mut self, key: &ConnectionKey, now_us: i64) -> Option<&mut T> {
        let idle_us = self.idle_us;
        let entry = self.set(key).iter_mut().find(|entry| entry.key == *key && entry.used_us.is_some())?;
        if entry.used_us.is_some_and(|used_us| now_us.saturating_sub(used_us) > idle_us) {
            entry.used_us = None;
            return None;
        }
        entry.used_us = Some(now_us);
        Some(&mut entry.value)
    }

    /// Makes a connection known, with an empty value.
    pub(crate) fn insert(&mut self, key: ConnectionKey, now_us: i64) -> &mut T {
        let idle_us = self.idle_us;
        let set = self.set(&key);
        let same = set.iter().position(|entry| entry.key == key && entry.used_us.is_some());
        let oldest = || (0..WAYS).min_by_key(|place| set[*place].used_us.unwrap_or(i64::MIN));
        let place = same.or_else(oldest).unwrap_or(0);
        let is_live = set[place].used_us.is_some_and(|used_us| now_us.saturating_sub(used_us) <= idle_us);
        let has_fallen_off = same.is_none() && is_live;
        self.fell_off += u64::from(has_fallen_off);
        let entry = &mut self.set(&key)[place];
        *entry = Entry { key, used_us: Some(now_us), value: T::default() };
        &mut entry.value
    }

    /// Forgets all connections.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Forgets a connection.
    pub(crate) fn remove(&mut self, key: &ConnectionKey) {
        if let Some(entry) = self.set(key).iter_mut().find(|entry| entry.key == *key) {
            entry.used_us = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> ConnectionKey {
        ConnectionKey { customer_port: port, ..ConnectionKey::default() }
    }

    #[test]
    fn a_full_table_forgets_the_longest_unused_and_counts_it() {
        let mut table: ConnectionTable<u16> = ConnectionTable::new(8, 100);
        for port in 0..8 {
            *table.insert(key(port), i64::from(port)) = port;
        }
        assert_eq!((table.get(&key(0), 10).copied(), table.fell_off), (Some(0), 0));
        table.insert(key(8), 11);
        let held = [1, 0].map(|port| table.get(&key(port), 12).copied());
        assert_eq!((held, table.fell_off), ([None, Some(0)], 1));
        // What is idle is over, and makes room without being missed.
        assert_eq!(table.get(&key(2), 103), None);
        table.insert(key(9), 200);
        assert_eq!(table.fell_off, 1);
        table.remove(&key(9));
        assert_eq!(table.get(&key(9), 201), None);
    }
}
