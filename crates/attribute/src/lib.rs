//! Address to tag and customer: sources, layers, tables.
//!
//! Lists of prefixes ([`List`], by the parsers in [`sources`]) form layers. The first layer that has
//! an address decides its service and region, by the longest prefix in that layer:
//!
//! 1. `own`: Microsoft prefixes that the user named;
//! 2. `m365`: Microsoft 365 endpoints;
//! 3. `service_tags`: Azure service tags that name a service;
//! 4. `azure_cloud`: the other Azure service tags;
//! 5. `as_prefixes`: prefixes originated by one of Microsoft's ASes;
//! 6. `builtin`: Microsoft's large aggregates, for when nothing is given.
//!
//! Where several entries of one layer have the same prefix, a regional one goes before a global one,
//! then the one of the tag with the fewest addresses (all its prefixes added up), then the first by
//! name. The origin AS comes from the AS prefix lists (longest prefix) whatever the layer, else from
//! the exporter. Our own prefixes and those of our customers are looked up beside all this.
//!
//! [`Table::build`] flattens everything into disjoint ranges, so that a lookup is one walk whatever
//! the number of layers. A table is immutable and swapped whole.

mod attributor;
mod flatten;
mod lookup;
pub mod sources;
mod table;
mod v4;
mod v6;

#[cfg(test)]
mod tests;

pub use attributor::Attributor;
pub use lookup::{Change, Found, compare};
pub use sources::{Entry, Layer, List, SourceError, Sources};
pub use table::Table;
