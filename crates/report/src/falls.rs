//! This network's own earlier failovers, as failures are judged by them.

use std::collections::BTreeMap;

use measure::judge::Fall;
use model::Name;
use model::tables::FailoverRow;

use crate::loads::direction_of;
use crate::{Data, ReportError};

/// Kinds in which a connection lost its traffic by a failure; what moved on purpose says nothing of one.
const KINDS: [&str; 3] = ["failed", "drained", "exchange_lost"];
/// Share of the load that must have fallen: who lost only a part shows where that part goes.
const WHOLE: f64 = 0.9;

/// Reads the failovers up to the end of the range in which connections lost all they had, of both IP versions.
pub(crate) fn read(data: &Data) -> Result<Vec<Fall>, ReportError> {
    let rows = data.tables().read::<FailoverRow>(i64::MIN, data.range().to_us)?;
    let mut last: BTreeMap<Name, FailoverRow> = BTreeMap::new();
    for row in rows {
        let is_newer = last.get(&row.event_id).is_none_or(|held| held.revision < row.revision);
        if is_newer {
            last.insert(row.event_id.clone(), row);
        }
    }
    Ok(last.values().filter_map(fall).collect())
}

fn fall(row: &FailoverRow) -> Option<Fall> {
    let is_whole = row.ip_version.is_none() && row.fallen_share.is_some_and(|share| share >= WHOLE);
    if !KINDS.contains(&&*row.kind) || !is_whole {
        return None;
    }
    let direction = direction_of(row.direction.as_deref()?)?;
    let of_all = row.moved.iter().filter(|moved| moved.group.is_none());
    let share = |moved: &model::tables::Moved| Some((moved.connection.clone(), moved.share?, moved.share_error?));
    Some(Fall {
        connections: row.connections.clone(),
        direction,
        started_us: row.started_at.0,
        ended_us: row.ended_at.map(|at| at.0),
        shares: of_all.filter_map(share).collect(),
    })
}
