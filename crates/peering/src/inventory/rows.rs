//! Rows of the table `connections`.

use std::collections::BTreeMap;

use model::table::Timestamp;
use model::tables::ConnectionRow;
use model::{Address, Link, Name};

use super::{Inventory, LinkDetail, NONE, name};

impl Inventory {
    /// A row for each connection, transit link and rest that is known beforehand, as it stands.
    pub fn connection_rows(&self, now_us: i64) -> Vec<ConnectionRow> {
        self.directory.links.iter().map(|link| self.connection_row(link, now_us)).collect()
    }

    /// The row of one link, also of one that a resolver made.
    pub fn connection_row(&self, link: &Link, now_us: i64) -> ConnectionRow {
        let nothing = LinkDetail { port: NONE, ..LinkDetail::default() };
        let index = self.directory.links.iter().position(|other| other.name == link.name);
        let detail = index.map_or(&nothing, |index| &self.details[index]);
        let (capacity_bps, capacity_source) = self.capacity(link, detail);
        let address = |address: Address| name(&address.to_string());
        ConnectionRow {
            connection: link.name.clone(),
            peering: link.peering.clone(),
            kind: link.kind.clone(),
            role: name(link.role.name()),
            location: link.location.clone(),
            facility: detail.facility.clone(),
            exchange: detail.exchange.clone(),
            ports: link.port.iter().cloned().collect(),
            azure_connection_id: detail.azure_id.clone(),
            session_v4: detail.session_v4.map(address),
            session_v6: detail.session_v6.map(address),
            connection_state: detail.state.clone(),
            session_state_v4: detail.session_state_v4.clone(),
            session_state_v6: detail.session_state_v6.clone(),
            capacity_bps,
            capacity_source,
            exporters: link.exporters.iter().map(|exporter| address(*exporter)).collect(),
            price: detail.price,
            valid_from: Timestamp(now_us),
            valid_to: None,
            azure_tracking_id: detail.tracking_id.clone(),
            is_peering_service: detail.is_peering_service,
            max_prefixes_v4: detail.max_prefixes_v4.and_then(|most| i64::try_from(most).ok()),
            max_prefixes_v6: detail.max_prefixes_v6.and_then(|most| i64::try_from(most).ok()),
            commit_mbps: detail.bill.commit_mbps,
            charged: detail.bill.charged.clone(),
            billing_time_zone: detail.bill.time_zone.clone(),
            risk_groups: Some(detail.risk_groups.clone()),
        }
    }

    /// Capacity of a link by what is known beforehand: configured, else provisioned, else the speed
    /// of its port. A connection that is not Active has none.
    fn capacity(&self, link: &Link, detail: &LinkDetail) -> (Option<i64>, Option<Name>) {
        if detail.is_named && !link.is_active {
            return (None, None);
        }
        let port = self.directory.ports.get(detail.port as usize);
        let configured = port.and_then(|port| port.configured_bps).map(|bps| (bps, "configured"));
        let provisioned = detail.provisioned_bps.map(|bps| (bps, "provisioned"));
        let speed = port.and_then(|port| port.speed_bps).map(|bps| (bps, "speed"));
        match configured.or(provisioned).or(speed) {
            Some((bps, source)) => (Some(i64::try_from(bps).unwrap_or(i64::MAX)), Some(name(source))),
            None => (None, None),
        }
    }
}

/// The rows that say how `current` differs from `known`: new and changed links as they stand now,
/// and what no longer holds, with its end.
pub fn connection_changes(known: &[ConnectionRow], current: &[ConnectionRow], now_us: i64) -> Vec<ConnectionRow> {
    // What came later stands, so the last row of a name is the one that may still hold.
    let known: BTreeMap<&Name, &ConnectionRow> = known.iter().map(|row| (&row.connection, row)).collect();
    let known: BTreeMap<&Name, &ConnectionRow> = known.into_iter().filter(|(_, row)| row.valid_to.is_none()).collect();
    let now: BTreeMap<&Name, &ConnectionRow> = current.iter().map(|row| (&row.connection, row)).collect();
    let is_same = |one: &ConnectionRow, other: Option<&&ConnectionRow>| other.is_some_and(|other| is_same_connection(one, other));
    let mut changes = Vec::new();
    for (name, old) in &known {
        if !is_same(old, now.get(name)) {
            changes.push(ConnectionRow { valid_to: Some(Timestamp(now_us)), ..(*old).clone() });
        }
    }
    for row in current {
        if !is_same(row, known.get(&row.connection)) {
            changes.push(row.clone());
        }
    }
    changes
}

/// Whether two rows say the same of a connection, apart from when.
pub fn is_same_connection(one: &ConnectionRow, other: &ConnectionRow) -> bool {
    let undated = |row: &ConnectionRow| ConnectionRow { valid_from: Timestamp(0), valid_to: None, ..row.clone() };
    undated(one) == undated(other)
}
