//! Peerings as Azure lists them, in the normal form that `peerscope peerings import` writes.

use model::{Address, Prefix};
use serde::{Deserialize, Serialize};

/// The word by which a file in normal form is known.
const FORMAT: &str = "peerscope-inventory";

/// The version of the normal form that this program writes.
const VERSION: u32 = 1;

/// Connections of one kind in one place, as Azure has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peering {
    /// Name of the resource.
    pub name: String,
    /// `Direct` or `Exchange`; what Azure says otherwise, as it says it.
    pub kind: String,
    /// Metro (`peeringLocation`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Azure region of the resource; not the metro.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure_region: Option<String>,
    /// Identity of the resource in Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure_id: Option<String>,
    /// It is a legacy peering: its identity has no resource group.
    #[serde(default)]
    pub is_legacy: bool,
    /// State of the resource, such as `Succeeded`; its connections have states of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning_state: Option<String>,
    /// Such as `Edge`; of Direct peerings only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_peering_type: Option<String>,
    /// Our AS, where the list gives the number itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_asn: Option<u32>,
    /// Name of the resource of our AS, where the list refers to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_asn_name: Option<String>,
    /// Prefixes from which Microsoft probes us.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probe_prefixes: Vec<Prefix>,
    /// Its connections.
    #[serde(default)]
    pub connections: Vec<PeeringConnection>,
}

/// One connection of a peering, as Azure has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeeringConnection {
    /// `connectionIdentifier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `microsoftTrackingId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_id: Option<String>,
    /// State, such as `Active`; not that of a BGP session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Bandwidth asked for, bit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_bps: Option<u64>,
    /// Bandwidth provisioned, bit/s: the real capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_bps: Option<u64>,
    /// PeeringDB's number: of the facility for Direct, of the exchange for Exchange peerings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peeringdb_id: Option<u64>,
    /// `useForPeeringService`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_peering_service: Option<bool>,
    /// What Azure says went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The IPv4 session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v4: Option<Session>,
    /// The IPv6 session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<Session>,
}

impl PeeringConnection {
    /// Whether traffic may flow over it, so that it counts towards capacity.
    pub fn is_active(&self) -> bool {
        self.state.as_deref() == Some("Active")
    }

    /// Microsoft's addresses of its sessions.
    pub fn microsoft_addresses(&self) -> impl Iterator<Item = Address> {
        [&self.v4, &self.v6].into_iter().filter_map(|session| session.as_ref()?.microsoft)
    }
}

/// One BGP session of a connection; its key is never kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Our address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<Address>,
    /// Microsoft's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microsoft: Option<Address>,
    /// State, such as `Established`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Prefixes that Microsoft accepts from us at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefixes_max: Option<u64>,
}

/// A file in normal form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InventoryFile {
    format: String,
    version: u32,
    peerings: Vec<Peering>,
}

/// Writes peerings in normal form: JSON, sorted by name, the same bytes for the same peerings.
pub fn write(peerings: &[Peering]) -> String {
    let mut peerings = peerings.to_vec();
    peerings.sort_by(|one, other| (&one.name, &one.azure_id).cmp(&(&other.name, &other.azure_id)));
    let file = InventoryFile { format: FORMAT.to_owned(), version: VERSION, peerings };
    let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
    text.push('\n');
    text
}

/// Reads the normal form.
///
/// # Errors
///
/// One sentence: not JSON, not this form, or a version that this program does not know.
pub fn read(text: &str) -> Result<Vec<Peering>, String> {
    #[derive(Deserialize)]
    struct Head {
        format: Option<String>,
        version: Option<u32>,
    }
    let head: Head =
        serde_json::from_str(text).map_err(|error| format!("the inventory is not a JSON object ({error}); import it again"))?;
    if head.format.as_deref() != Some(FORMAT) {
        return Err("the file is not an inventory; make one with `peerscope peerings import`".to_owned());
    }
    match head.version {
        Some(VERSION) => {}
        Some(version) => {
            return Err(format!("the inventory is of version {version}, this program reads {VERSION}; import it again"));
        }
        None => return Err("the inventory does not say its version; import it again".to_owned()),
    }
    let file: InventoryFile =
        serde_json::from_str(text).map_err(|error| format!("the inventory cannot be read ({error}); import it again"))?;
    Ok(file.peerings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let session = Session { microsoft: Some("192.0.2.1".parse().unwrap()), ..Session::default() };
        let connection = PeeringConnection { v4: Some(session), state: Some("Active".into()), ..PeeringConnection::default() };
        let peering = |name: &str| Peering {
            name: name.into(),
            kind: "Direct".into(),
            connections: vec![connection.clone()],
            ..Peering::default()
        };
        let text = write(&[peering("b"), peering("a")]);
        assert_eq!(read(&text).unwrap(), [peering("a"), peering("b")]);
    }

    #[test]
    fn other_files_are_named_for_what_they_are() {
        for (text, expected) in [
            ("{}", "not an inventory"),
            ("[", "not a JSON object"),
            (r#"{"format":"peerscope-inventory"}"#, "does not say its version"),
            (r#"{"format":"peerscope-inventory","version":9,"peerings":[]}"#, "of version 9"),
            (r#"{"format":"peerscope-inventory","version":1,"peerings":[{"nam":1}]}"#, "cannot be read"),
        ] {
            assert!(read(text).unwrap_err().contains(expected), "{text}");
        }
    }
}
