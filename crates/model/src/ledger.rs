//! The three balances in which nothing is lost without being counted.
//!
//! * datagrams received = accepted + refused by reason;
//! * sets seen = decoded + skipped by reason + held;
//! * records = attributed + not Microsoft's + late + refused by reason.
//!
//! A set is a NetFlow or IPFIX set or an sFlow sample; the records of versions 5 and 7 are one set
//! a datagram.

use serde::{Deserialize, Serialize};

/// Declares an enumeration of reasons, each with the name under which it is counted.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$reason_doc:meta])* $reason:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$reason_doc])* $reason,)+ }

        impl $name {
            /// All of them, in the order of their counters.
            pub const ALL: &'static [$name] = &[$($name::$reason),+];

            /// The name under which it is counted.
            pub const fn name(self) -> &'static str {
                match self { $($name::$reason => $text,)+ }
            }
        }
    };
}

reasons! {
    /// Why a datagram was refused whole.
    DatagramRefusal {
        /// Its first bytes are of no known version.
        BadVersion => "bad_version",
        /// Shorter than its header, or the header's length is impossible.
        Truncated => "truncated",
        /// A set or sample in it has an impossible length (RFC 7011, section 9.1).
        Malformed => "malformed",
        /// The exporter is not on the allow-list.
        NotAllowed => "not_allowed",
        /// The limit of exporters is reached.
        TooManyExporters => "too_many_exporters",
        /// The limit of domains of the exporter is reached.
        TooManyDomains => "too_many_domains",
        /// The captured packet is incomplete, so the datagram is.
        CutOff => "cut_off",
        /// It is the copy of one that was received before (same sequence number and content).
        Duplicate => "duplicate",
    }
}

reasons! {
    /// Why a set or sample was skipped.
    SetSkip {
        /// No template came for it while it was held, or it could not be held.
        NoTemplate => "no_template",
        /// Its template had outlived its lifetime.
        TemplateExpired => "template_expired",
        /// Its template is quarantined: redefined too often.
        Quarantined => "quarantined",
        /// A reserved set id.
        Reserved => "reserved",
        /// A sample or record format that is not known.
        UnknownFormat => "unknown_format",
        /// Its content contradicts its length.
        Malformed => "malformed",
        /// A template that cannot be used: no field, no length, or over a limit.
        InvalidTemplate => "invalid_template",
        /// A limit of records or values in one datagram was reached.
        OverLimit => "over_limit",
    }
}

reasons! {
    /// Why a decoded record was refused.
    RecordRefusal {
        /// It is an event without traffic (NAT, firewall state): no bytes or packets elements.
        NotTraffic => "not_traffic",
        /// The device dropped the packets.
        Dropped => "dropped",
        /// Its bytes cannot have passed in its time at any speed.
        Implausible => "implausible",
        /// All zero: padding read as a record.
        ZeroRecord => "zero_record",
        /// It holds no addresses that could be attributed.
        NoAddress => "no_address",
        /// A sampled packet whose header is cut off or of a kind that is not parsed.
        UnreadableHeader => "unreadable_header",
    }
}

/// Counters by reason, in the order of `ALL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasons(Vec<u64>);

impl Reasons {
    /// Adds to the counter of the reason at `index`.
    fn add(&mut self, index: usize, count: u64) {
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        self.0[index] += count;
    }

    /// The counter of the reason at `index`.
    fn at(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// The sum over all reasons.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn merge(&mut self, other: &Reasons) {
        for (index, count) in other.0.iter().enumerate() {
            self.add(index, *count);
        }
    }
}

/// The three balances; all counts are since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Datagrams that came.
    pub datagrams_received: u64,
    /// Datagrams whose sets were read.
    pub datagrams_accepted: u64,
    /// Sets and samples in accepted datagrams.
    pub sets_seen: u64,
    /// Sets and samples that were decoded: data, options, templates, counters.
    pub sets_decoded: u64,
    /// Sets that wait for their template now.
    pub sets_held: u64,
    /// Data records and flow samples decoded.
    pub records: u64,
    /// Records counted as Microsoft's.
    pub records_attributed: u64,
    /// Records with no end at Microsoft, on no link to it.
    pub records_not_microsoft: u64,
    /// Records of windows that were closed when they came.
    pub records_late: u64,
    datagram_refusals: Reasons,
    set_skips: Reasons,
    record_refusals: Reasons,
}

impl Ledger {
    /// Counts a refused datagram.
    pub fn refuse_datagram(&mut self, reason: DatagramRefusal) {
        self.datagram_refusals.add(reason as usize, 1);
    }

    /// Counts datagrams that were refused unseen.
    pub fn refuse_datagrams(&mut self, reason: DatagramRefusal, count: u64) {
        self.datagrams_received += count;
        self.datagram_refusals.add(reason as usize, count);
    }

    /// Counts skipped sets.
    pub fn skip_sets(&mut self, reason: SetSkip, count: u64) {
        self.set_skips.add(reason as usize, count);
    }

    /// Counts a refused record.
    pub fn refuse_record(&mut self, reason: RecordRefusal) {
        self.record_refusals.add(reason as usize, 1);
    }

    /// Datagrams refused for `reason`.
    pub fn datagrams_refused(&self, reason: DatagramRefusal) -> u64 {
        self.datagram_refusals.at(reason as usize)
    }

    /// Sets skipped for `reason`.
    pub fn sets_skipped(&self, reason: SetSkip) -> u64 {
        self.set_skips.at(reason as usize)
    }

    /// Records refused for `reason`.
    pub fn records_refused(&self, reason: RecordRefusal) -> u64 {
        self.record_refusals.at(reason as usize)
    }

    /// Datagrams refused, for whatever reason.
    pub fn datagrams_refused_total(&self) -> u64 {
        self.datagram_refusals.total()
    }

    /// Sets skipped, for whatever reason.
    pub fn sets_skipped_total(&self) -> u64 {
        self.set_skips.total()
    }

    /// Records refused, for whatever reason.
    pub fn records_refused_total(&self) -> u64 {
        self.record_refusals.total()
    }

    /// Adds the counts of another part of the pipeline or another worker.
    pub fn merge(&mut self, other: &Ledger) {
        self.datagrams_received += other.datagrams_received;
        self.datagrams_accepted += other.datagrams_accepted;
        self.sets_seen += other.sets_seen;
        self.sets_decoded += other.sets_decoded;
        self.sets_held += other.sets_held;
        self.records += other.records;
        self.records_attributed += other.records_attributed;
        self.records_not_microsoft += other.records_not_microsoft;
        self.records_late += other.records_late;
        self.datagram_refusals.merge(&other.datagram_refusals);
        self.set_skips.merge(&other.set_skips);
        self.record_refusals.merge(&other.record_refusals);
    }

    /// Says which balance is out, and by what; `None` when all three hold.
    pub fn imbalance(&self) -> Option<String> {
        let datagrams = self.datagrams_accepted + self.datagrams_refused_total();
        let sets = self.sets_decoded + self.sets_skipped_total() + self.sets_held;
        let records = self.records_attributed + self.records_not_microsoft + self.records_late + self.records_refused_total();
        [("datagrams", self.datagrams_received, datagrams), ("sets", self.sets_seen, sets), ("records", self.records, records)]
            .into_iter()
            .find(|(_, seen, accounted)| seen != accounted)
            .map(|(what, seen, accounted)| format!("{seen} {what} came, {accounted} are accounted for"))
    }

    /// The balances as three lines, zero reasons left out.
    pub fn lines(&self) -> [String; 3] {
        fn reasons(named: impl Iterator<Item = (&'static str, u64)>) -> String {
            let named: Vec<String> =
                named.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")).collect();
            if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) }
        }
        [
            format!(
                "datagrams {} = accepted {} + refused {}{}",
                self.datagrams_received,
                self.datagrams_accepted,
                self.datagrams_refused_total(),
                reasons(DatagramRefusal::ALL.iter().map(|r| (r.name(), self.datagrams_refused(*r))))
            ),
            format!(
                "sets {} = decoded {} + skipped {}{} + held {}",
                self.sets_seen,
                self.sets_decoded,
                self.sets_skipped_total(),
                reasons(SetSkip::ALL.iter().map(|r| (r.name(), self.sets_skipped(*r)))),
                self.sets_held
            ),
            format!(
                "records {} = attributed {} + not Microsoft's {} + late {} + refused {}{}",
                self.records,
                self.records_attributed,
                self.records_not_microsoft,
                self.records_late,
                self.records_refused_total(),
                reasons(RecordRefusal::ALL.iter().map(|r| (r.name(), self.records_refused(*r))))
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_says_what_is_out_of_balance() {
        let mut ledger = Ledger { datagrams_received: 3, datagrams_accepted: 2, ..Ledger::default() };
        assert_eq!(ledger.imbalance().unwrap(), "3 datagrams came, 2 are accounted for");
        ledger.refuse_datagram(DatagramRefusal::BadVersion);
        assert_eq!(ledger.imbalance(), None);
        assert_eq!(ledger.lines()[0], "datagrams 3 = accepted 2 + refused 1 (bad_version 1)");

        let mut sum = Ledger::default();
        sum.merge(&ledger);
        sum.merge(&ledger);
        assert_eq!(sum.datagrams_refused(DatagramRefusal::BadVersion), 2);
        assert_eq!(sum.imbalance(), None);
    }
}
