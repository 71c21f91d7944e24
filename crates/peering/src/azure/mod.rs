//! Azure's list of peerings, as the REST API and as `az peering list` print it.
//!
//! The REST API wraps the list (`{"value": [...], "nextLink": ...}`) and nests `properties`; the
//! command line prints a bare array with the properties lifted; legacy peerings come as either.
//! Every enumeration is open and nearly every field may be missing, so the tree is read field by
//! field: what is of the wrong type is warned about and left out, never an error of the whole list.
//! Session keys (`md5AuthenticationKey`) are never looked at.

mod session;

use serde_json::{Map, Value};

use crate::peerings::{Peering, PeeringConnection};

/// Texts longer than this are cut: they end in names and on screens.
const TEXT_CHARACTERS_MAX: usize = 200;

/// Warnings kept of one list.
const WARNINGS_MAX: usize = 100;

/// bit/s in a Mbit/s.
const MEGABIT_BPS: u64 = 1_000_000;

/// A list as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    /// The peerings, in the order of the list.
    pub peerings: Vec<Peering>,
    /// What was missing, odd or left out, a sentence each.
    pub warnings: Vec<String>,
}

/// Why a text is no list of peerings.
#[derive(Debug, thiserror::Error)]
pub enum AzureError {
    /// It is not JSON.
    #[error("the list of peerings is not JSON: {0}; save what `az peering list` or the REST API prints")]
    Json(#[from] serde_json::Error),
    /// It is Azure's answer to a request that failed.
    #[error("Azure answered with an error instead of a list: {0}")]
    Refused(String),
    /// It is JSON of another shape.
    #[error("the JSON is no list of peerings: expected an array, or an object with `value`")]
    Shape,
}

/// Reads a list of peerings in any of Azure's shapes.
///
/// # Errors
///
/// When the text is not JSON, is an error message of Azure, or holds no list at all. Anything wrong
/// inside the list is a warning.
pub fn parse(text: &str) -> Result<Import, AzureError> {
    let mut root: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))?;
    let mut reader = Reader::default();
    let items = match &mut root {
        Value::Array(items) => std::mem::take(items),
        Value::Object(object) => {
            if let Some(error) = object.get("error") {
                return Err(AzureError::Refused(error_text(error)));
            }
            match object.get("nextLink") {
                None | Some(Value::Null) => {}
                Some(Value::String(link)) if link.is_empty() => {}
                Some(_) => {
                    reader.warn("the list is incomplete: it has a nextLink; fetch the further pages and import them as well")
                }
            }
            match object.remove("value") {
                Some(Value::Array(items)) => items,
                None if object.contains_key("kind") => vec![root],
                _ => return Err(AzureError::Shape),
            }
        }
        _ => return Err(AzureError::Shape),
    };
    for (index, item) in items.iter().enumerate() {
        match item {
            Value::Object(item) => reader.peering(index, item),
            _ => reader.warn(&format!("entry {} of the list is not an object and was left out", index + 1)),
        }
    }
    Ok(reader.import)
}

/// Joins several lists; of two with the same identity the later one stays.
pub fn join(imports: impl IntoIterator<Item = Import>) -> Import {
    let mut joined = Import::default();
    for import in imports {
        joined.warnings.extend(import.warnings);
        for peering in import.peerings {
            let same = |other: &Peering| match (&peering.azure_id, &other.azure_id) {
                (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
                _ => peering.name == other.name,
            };
            match joined.peerings.iter_mut().find(|other| same(other)) {
                Some(earlier) => {
                    joined.warnings.push(format!("peering \"{}\" is listed twice; the last entry was taken", peering.name));
                    *earlier = peering;
                }
                None => joined.peerings.push(peering),
            }
        }
    }
    joined
}

fn error_text(error: &Value) -> String {
    let part = |key: &str| error.get(key).and_then(Value::as_str).map(clean);
    match (part("code"), part("message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => "no reason given".to_owned(),
    }
}

/// A text without what would disturb a screen, cut to a sane length.
pub(crate) fn clean(text: &str) -> String {
    let is_shown =
        |c: &char| !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.trim().chars().filter(is_shown).take(TEXT_CHARACTERS_MAX).collect()
}

/// Gathers peerings and warnings.
#[derive(Default)]
struct Reader {
    import: Import,
    /// Where in the list it stands, for warnings.
    place: String,
}

impl Reader {
    fn warn(&mut self, warning: &str) {
        if self.import.warnings.len() < WARNINGS_MAX {
            let place = if self.place.is_empty() { String::new() } else { format!("{}: ", self.place) };
            self.import.warnings.push(format!("{place}{warning}"));
        }
    }

    fn peering(&mut self, index: usize, item: &Map<String, Value>) {
        self.place = format!("entry {}", index + 1);
        let name = self.text(item, "name").unwrap_or_else(|| {
            self.warn("it has no name and is called by its number");
            format!("peering-{}", index + 1)
        });
        self.place = format!("peering \"{name}\"");
        // Nested by REST, lifted by the command line: each key is taken where it is.
        let properties = item.get("properties").and_then(Value::as_object).unwrap_or(item);
        let direct = properties.get("direct").and_then(Value::as_object);
        let exchange = properties.get("exchange").and_then(Value::as_object);
        let kind = self.text(item, "kind").unwrap_or_else(|| {
            self.warn("it does not say its kind; taken from what it holds");
            if exchange.is_some() && direct.is_none() { "Exchange".to_owned() } else { "Direct".to_owned() }
        });
        let detail = match kind.as_str() {
            "Exchange" => exchange.or(direct),
            "Direct" => direct.or(exchange),
            _ => {
                self.warn(&format!("kind \"{kind}\" is not known; its links get the role other"));
                direct.or(exchange)
            }
        };
        let azure_id = self.text(item, "id");
        let mut peering = Peering {
            is_legacy: azure_id.as_deref().is_some_and(|id| !id.to_ascii_lowercase().contains("/resourcegroups/")),
            azure_id,
            name,
            kind,
            location: self.text(properties, "peeringLocation"),
            azure_region: self.text(item, "location"),
            provisioning_state: self.text(properties, "provisioningState"),
            direct_peering_type: direct.and_then(|direct| self.text(direct, "directPeeringType")),
            probe_prefixes: self.probe_prefixes(properties),
            ..Peering::default()
        };
        if let Some(detail) = detail {
            (peering.peer_asn, peering.peer_asn_name) = self.peer_asn(detail);
            peering.connections = self.connections(&peering.name, detail);
        } else {
            self.warn("it holds neither direct nor exchange connections");
        }
        self.import.peerings.push(peering);
    }

    fn connections(&mut self, peering: &str, detail: &Map<String, Value>) -> Vec<PeeringConnection> {
        let Some(items) = detail.get("connections").and_then(Value::as_array) else {
            self.warn("it has no list of connections");
            return Vec::new();
        };
        let mut connections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            self.place = format!("peering \"{peering}\", connection {}", index + 1);
            match item {
                Value::Object(item) => connections.push(self.connection(item)),
                _ => self.warn("it is not an object and was left out"),
            }
        }
        connections
    }

    fn connection(&mut self, item: &Map<String, Value>) -> PeeringConnection {
        let session = item.get("bgpSession").and_then(Value::as_object);
        if session.is_none() {
            self.warn("it has no session yet: records cannot name it by next hop");
        }
        let (v4, v6) = session.map_or((None, None), |session| (self.session(session, true), self.session(session, false)));
        let connection = PeeringConnection {
            id: self.text(item, "connectionIdentifier"),
            tracking_id: self.text(item, "microsoftTrackingId"),
            state: self.text(item, "connectionState"),
            bandwidth_bps: self.bandwidth_bps(item, "bandwidthInMbps"),
            provisioned_bps: self.bandwidth_bps(item, "provisionedBandwidthInMbps"),
            peeringdb_id: self.number(item, "peeringDBFacilityId"),
            is_peering_service: item.get("useForPeeringService").and_then(Value::as_bool),
            error_message: self.text(item, "errorMessage"),
            v4,
            v6,
        };
        if let Some(message) = &connection.error_message {
            let message = message.clone();
            self.warn(&format!("Azure says: {message}"));
        }
        connection
    }

    fn bandwidth_bps(&mut self, item: &Map<String, Value>, key: &str) -> Option<u64> {
        // Azure gives 0 for what is not provisioned yet: unknown, not a capacity.
        self.number(item, key).filter(|megabits| *megabits > 0).map(|megabits| megabits.saturating_mul(MEGABIT_BPS))
    }

    /// Our AS: a number, a number as text, or the identity of a resource that is named freely.
    fn peer_asn(&mut self, detail: &Map<String, Value>) -> (Option<u32>, Option<String>) {
        let value = match detail.get("peerAsn") {
            Some(Value::Object(object)) => object.get("peerAsn").or_else(|| object.get("id")).cloned(),
            other => other.cloned(),
        };
        match value {
            Some(Value::Number(number)) => (number.as_u64().and_then(|asn| u32::try_from(asn).ok()), None),
            Some(Value::String(text)) => {
                let last = clean(text.rsplit('/').next().unwrap_or_default());
                match last.trim_start_matches("AS").parse() {
                    Ok(asn) => (Some(asn), None),
                    Err(_) => (None, Some(last).filter(|name| !name.is_empty())),
                }
            }
            _ => (None, None),
        }
    }

    fn probe_prefixes(&mut self, properties: &Map<String, Value>) -> Vec<model::Prefix> {
        let probes = properties.get("connectivityProbes").and_then(Value::as_array);
        let mut prefixes = Vec::new();
        for probe in probes.into_iter().flatten() {
            let listed = probe.get("prefixesToAccesslist").and_then(Value::as_array);
            for text in listed.into_iter().flatten().filter_map(Value::as_str) {
                match clean(text).parse() {
                    Ok(prefix) => prefixes.push(prefix),
                    Err(sentence) => self.warn(&format!("connectivity probe: {sentence}")),
                }
            }
        }
        prefixes
    }

    /// A text; numbers are taken as they print, null and the empty text as missing.
    fn text(&mut self, item: &Map<String, Value>, key: &str) -> Option<String> {
        match item.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(clean(text)).filter(|text| !text.is_empty()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => {
                self.warn(&format!("{key} is not a text and was left out"));
                None
            }
        }
    }

    /// A whole number, also as text.
    fn number(&mut self, item: &Map<String, Value>, key: &str) -> Option<u64> {
        let value = item.get(key).filter(|value| !value.is_null())?;
        let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
        if number.is_none() {
            self.warn(&format!("{key} is not a whole number and was left out"));
        }
        number
    }
}

#[cfg(test)]
mod tests;
