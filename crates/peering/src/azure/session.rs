//! The BGP sessions of a connection.

use model::{Address, Prefix};
use serde_json::{Map, Value};

use super::{Reader, clean};
use crate::peerings::Session;

/// The keys of one family's session.
struct Keys {
    prefix: &'static str,
    ours: &'static str,
    microsoft: &'static str,
    state: &'static str,
    prefixes_max: &'static str,
}

const V4: Keys = Keys {
    prefix: "sessionPrefixV4",
    ours: "peerSessionIPv4Address",
    microsoft: "microsoftSessionIPv4Address",
    state: "sessionStateV4",
    prefixes_max: "maxPrefixesAdvertisedV4",
};

const V6: Keys = Keys {
    prefix: "sessionPrefixV6",
    ours: "peerSessionIPv6Address",
    microsoft: "microsoftSessionIPv6Address",
    state: "sessionStateV6",
    prefixes_max: "maxPrefixesAdvertisedV6",
};

impl Reader {
    /// The session of one family; `None` where it has no address.
    pub(super) fn session(&mut self, item: &Map<String, Value>, is_v4: bool) -> Option<Session> {
        let keys = if is_v4 { V4 } else { V6 };
        let mut ours = self.address(item, keys.ours, is_v4);
        let mut microsoft = self.address(item, keys.microsoft, is_v4);
        if let Some(prefix) = self.session_prefix(item, keys.prefix, is_v4) {
            let (our_guess, microsoft_guess) = ends(prefix, ours, microsoft);
            ours = ours.or(our_guess);
            microsoft = microsoft.or(microsoft_guess);
            if microsoft.is_none() {
                self.warn(&format!("{} {prefix} does not tell which address is Microsoft's", keys.prefix));
            }
        }
        if ours.is_none() && microsoft.is_none() {
            return None;
        }
        let state = self.text(item, keys.state);
        let prefixes_max = self.number(item, keys.prefixes_max);
        Some(Session { ours, microsoft, state, prefixes_max })
    }

    fn address(&mut self, item: &Map<String, Value>, key: &str, is_v4: bool) -> Option<Address> {
        let text = self.text(item, key)?;
        match text.parse::<Address>() {
            Ok(address) if address.is_v4() == is_v4 && !address.is_unknown() => Some(address),
            _ => {
                self.warn(&format!("{key} \"{text}\" is no address of its family and was left out"));
                None
            }
        }
    }

    fn session_prefix(&mut self, item: &Map<String, Value>, key: &str, is_v4: bool) -> Option<Prefix> {
        let text = clean(&self.text(item, key)?);
        match text.parse::<Prefix>() {
            Ok(prefix) if prefix.is_v4() == is_v4 => Some(prefix),
            _ => {
                self.warn(&format!("{key} \"{text}\" is no prefix of its family and was left out"));
                None
            }
        }
    }
}

/// Our and Microsoft's address in a session prefix, as far as the prefix and what is known tell.
///
/// Of two addresses the first is ours and the second Microsoft's. Of four, the two hosts are +1 and
/// +2, yet the same text is said of them (+0 and +1): there the other end must be known.
fn ends(prefix: Prefix, ours: Option<Address>, microsoft: Option<Address>) -> (Option<Address>, Option<Address>) {
    let family_bits = if prefix.is_v4() { 32 } else { 128 };
    let at = |offset: u128| Address::from_bits(prefix.first().bits() | offset);
    let other = |known: Address| match known.bits() - prefix.first().bits() {
        0 | 2 => at(1),
        1 => at(2),
        _ => at(2),
    };
    match family_bits - prefix.length() {
        1 => (Some(at(0)), Some(at(1))),
        2 => {
            let opposite = |known: Option<Address>| known.filter(|known| prefix.contains(*known)).map(other);
            (opposite(microsoft), opposite(ours))
        }
        _ => (None, None),
    }
}
