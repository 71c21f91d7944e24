//! What of Microsoft's an address belongs to, and whose customer it is.

use serde::{Deserialize, Serialize};

use crate::Name;
use crate::address::Prefix;

/// The dense number of a [`Tag`] in the attribution tables in force; 0 is "not Microsoft's".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagId(pub u32);

impl TagId {
    /// The address is not Microsoft's, as far as any list or exporter says.
    pub const NONE: TagId = TagId(0);

    /// Whether the address is Microsoft's.
    pub const fn is_microsoft(self) -> bool {
        self.0 != 0
    }
}

/// What Microsoft thing an address belongs to, and which list says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// Service, such as `AzureStorage` or `Exchange`; `None` where no list names one.
    pub service: Option<Name>,
    /// Azure region, such as `westeurope`; `None` where global or unknown.
    pub region: Option<Name>,
    /// The layer that decided: `own`, `m365`, `service_tags`, `azure_cloud`, `as_prefixes`,
    /// `builtin`, `exporter_as`.
    pub source: Name,
    /// Version of that list, such as the change number of the service tags.
    pub version: Option<Name>,
}

/// One end of a record, attributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// What of Microsoft's it is.
    pub tag: TagId,
    /// The dense number of its place in the attribution tables: the longest Microsoft prefix and
    /// the longest own prefix that hold it. 0 where no list has the address.
    pub place: u32,
    /// Origin AS: by the AS prefix lists, else by the exporter; 0 unknown.
    pub asn: u32,
}

/// Both ends of a record, attributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// The source's.
    pub source: Side,
    /// The destination's.
    pub destination: Side,
}

/// What the lists say of one stretch of addresses ([`Side::place`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// What of Microsoft's it is.
    pub tag: TagId,
    /// The prefix of the list that decided, `None` where it is not Microsoft's.
    pub microsoft_prefix: Option<Prefix>,
    /// Origin AS by the AS prefix lists.
    pub origin_asn: Option<u32>,
    /// Our own prefix that holds it.
    pub own: Option<OwnPrefix>,
}

/// A prefix of our own or of a customer of ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnPrefix {
    /// The prefix.
    pub prefix: Prefix,
    /// Its customer's name.
    pub name: Option<Name>,
    /// Its customer's AS.
    pub asn: Option<u32>,
}

/// Names behind the numbers of one set of attribution tables; immutable, swapped whole.
#[derive(Clone, Debug, Default)]
pub struct TagNames {
    /// By [`TagId`]; entry 0 is the empty tag of what is not Microsoft's.
    pub tags: Vec<Tag>,
    /// By [`Side::place`]; entry 0 is the empty place.
    pub places: Vec<Place>,
}
