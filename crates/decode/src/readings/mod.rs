//! Interface counters as other programs write them: JSON lines of gnmic and Telegraf, Prometheus text.
//!
//! Routers that export NetFlow send no counters; operators have them from SNMP or gNMI. What is read here
//! is the least common denominator: the names of IF-MIB (RFC 2863) and of OpenConfig's interface
//! counters, wherever in a document they stand. Counters of 32 bits are left out: they wrap within
//! seconds on the ports that matter.

mod json;
mod prometheus;

use model::InterfaceCounters;

pub use json::parse_line;
pub(crate) use json::time_us;
pub use prometheus::parse_exposition;

/// What a document says of one interface at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The device: address or name as written, without a port number; empty where the document does not say.
    pub source: String,
    /// Its ifIndex.
    pub index: Option<u32>,
    /// Its name.
    pub name: Option<String>,
    /// The counters; exporter and interface are the reader's to fill in, and the time where `at_us` is 0.
    pub counters: InterfaceCounters,
    /// Packets by kind, received and sent, until they are added up.
    packets: [Packets; 2],
}

/// Packets received or sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Packets {
    all: Option<u64>,
    unicast: Option<u64>,
    others: u64,
}

impl Packets {
    fn total(self) -> Option<u64> {
        self.all.or(self.unicast.map(|unicast| unicast.saturating_add(self.others)))
    }
}

impl Reading {
    /// Takes in what another document says of the same interface and moment.
    pub fn join(&mut self, other: Reading) {
        let Reading { source, index, name, counters, packets } = other;
        if self.source.is_empty() {
            self.source = source;
        }
        self.index = self.index.or(index);
        self.name = self.name.take().or(name);
        for (mine, theirs) in self.packets.iter_mut().zip(packets) {
            mine.all = mine.all.or(theirs.all);
            mine.unicast = mine.unicast.or(theirs.unicast);
            mine.others = mine.others.saturating_add(theirs.others);
        }
        let InterfaceCounters { speed_bps, admin_up, oper_up, in_octets, out_octets, .. } = counters;
        let InterfaceCounters { in_discards, out_discards, in_errors, out_errors, .. } = counters;
        let held = &mut self.counters;
        held.speed_bps = held.speed_bps.or(speed_bps);
        held.admin_up = held.admin_up.or(admin_up);
        held.oper_up = held.oper_up.or(oper_up);
        held.in_octets = held.in_octets.or(in_octets);
        held.out_octets = held.out_octets.or(out_octets);
        held.in_discards = held.in_discards.or(in_discards);
        held.out_discards = held.out_discards.or(out_discards);
        held.in_errors = held.in_errors.or(in_errors);
        held.out_errors = held.out_errors.or(out_errors);
        self.add_up();
    }

    /// Whether it says of which interface it is, and anything of it.
    fn is_useful(&self) -> bool {
        let counters = &self.counters;
        let is_told = counters.in_octets.is_some()
            || counters.out_octets.is_some()
            || counters.oper_up.is_some()
            || counters.speed_bps.is_some()
            || counters.in_discards.is_some()
            || counters.out_discards.is_some();
        is_told && (self.index.is_some() || self.name.is_some())
    }

    fn add_up(&mut self) {
        self.counters.in_packets = self.packets[0].total();
        self.counters.out_packets = self.packets[1].total();
    }

    /// Takes a value in by the last part of its name; says whether it is one of ours.
    fn take(&mut self, name: &str, value: &Scalar) -> bool {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        let plain = plain.strip_prefix("if").unwrap_or(&plain);
        let is_wide = plain.starts_with("hc");
        let plain = plain.strip_prefix("hc").unwrap_or(plain);
        // IF-MIB's plain octets have 32 bits, OpenConfig's, written with hyphens, have 64.
        let is_narrow = !is_wide && name.starts_with("if");
        let number = value.number();
        let counters = &mut self.counters;
        match plain {
            "inoctets" | "outoctets" | "bytesrecv" | "bytessent" if is_narrow => return number.is_some(),
            "inoctets" => counters.in_octets = number,
            "outoctets" => counters.out_octets = number,
            "inpkts" => self.packets[0].all = number,
            "outpkts" => self.packets[1].all = number,
            "inucastpkts" | "inunicastpkts" => self.packets[0].unicast = wide(is_narrow, number),
            "outucastpkts" | "outunicastpkts" => self.packets[1].unicast = wide(is_narrow, number),
            "inmulticastpkts" | "inbroadcastpkts" if !is_narrow => self.packets[0].add(number),
            "outmulticastpkts" | "outbroadcastpkts" if !is_narrow => self.packets[1].add(number),
            "indiscards" => counters.in_discards = number,
            "outdiscards" => counters.out_discards = number,
            "inerrors" => counters.in_errors = number,
            "outerrors" => counters.out_errors = number,
            "operstatus" => counters.oper_up = value.is_up(),
            "adminstatus" => counters.admin_up = value.is_up(),
            "highspeed" => counters.speed_bps = number.map(|megabits| megabits.saturating_mul(1_000_000)),
            "portspeed" => counters.speed_bps = value.speed_bps(),
            _ => return false,
        }
        self.add_up();
        true
    }
}

impl Packets {
    fn add(&mut self, number: Option<u64>) {
        self.others = self.others.saturating_add(number.unwrap_or(0));
    }
}

fn wide(is_narrow: bool, number: Option<u64>) -> Option<u64> {
    if is_narrow { None } else { number }
}

/// A value as documents have it: numbers may stand in quotes.
#[derive(Clone, Debug, PartialEq)]
enum Scalar {
    Number(f64, Option<u64>),
    Word(String),
}

impl Scalar {
    fn word(text: &str) -> Scalar {
        match text.parse::<u64>() {
            Ok(number) => Scalar::Number(number as f64, Some(number)),
            Err(_) => text.parse::<f64>().map_or_else(|_| Scalar::Word(text.to_owned()), Scalar::float),
        }
    }

    fn float(number: f64) -> Scalar {
        let whole = (number >= 0.0 && number < 2.0_f64.powi(64)).then_some(number.round() as u64);
        Scalar::Number(number, whole)
    }

    fn number(&self) -> Option<u64> {
        if let Scalar::Number(_, whole) = self { *whole } else { None }
    }

    /// IF-MIB: 1 is up, 2 down, others neither; OpenConfig: UP, DOWN.
    fn is_up(&self) -> Option<bool> {
        match self {
            Scalar::Number(number, _) => Some(*number == 1.0),
            Scalar::Word(word) => match word.to_ascii_lowercase().as_str() {
                "up" | "true" => Some(true),
                "down" | "false" | "lower_layer_down" | "lowerlayerdown" | "notpresent" | "not_present" | "dormant" => {
                    Some(false)
                }
                _ => None,
            },
        }
    }

    /// OpenConfig: SPEED_100GB, `openconfig-if-ethernet:SPEED_10GB`; else bit/s.
    fn speed_bps(&self) -> Option<u64> {
        let Scalar::Word(word) = self else { return self.number() };
        let (_, speed) = word.rsplit_once("SPEED_")?;
        let split = speed.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = speed[..split].parse().ok()?;
        match &speed[split..] {
            "GB" => number.checked_mul(1_000_000_000),
            "MB" => number.checked_mul(1_000_000),
            _ => None,
        }
    }
}

/// The device without its port number: `192.0.2.1:57400`, `[2001:db8::1]:57400`, `r1.example.net:57400`.
fn device(text: &str) -> String {
    if let Some((address, _)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.to_owned();
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()) => {
            host.to_owned()
        }
        _ => text.to_owned(),
    }
}
