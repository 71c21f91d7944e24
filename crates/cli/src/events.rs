//! Failovers, as alerts and the page tell of them.

use alert::Subject;
use measure::Owner;
use model::Direction;
use model::tables::FailoverRow;

fn direction(row: &FailoverRow) -> Option<Direction> {
    row.direction.as_deref().and_then(Direction::named)
}

/// What fell, in words: a connection, an exchange, several connections.
fn name(row: &FailoverRow) -> String {
    let one = row.connection.as_ref().or(row.exchange.as_ref());
    one.map_or_else(|| row.connections.iter().map(|name| &**name).collect::<Vec<_>>().join(", "), |name| name.to_string())
}

/// What rules of alerts judge.
pub(crate) fn of_alerts(owner: &Owner) -> Vec<alert::Event> {
    let one = |row: &FailoverRow| {
        let direction = direction(row);
        let way = direction.map_or(String::new(), |direction| format!(" {}", direction.words()));
        let planned = if row.planned { "; planned" } else { "" };
        alert::Event {
            id: row.event_id.to_string(),
            subject: Subject {
                connection: row.connection.clone(),
                direction,
                location: row.location.clone(),
                // Not its kind: that may be known better later, and it stays one alert.
                detail: Some(row.event_id.clone()),
                ..Subject::default()
            },
            is_open: &*row.status == "open",
            started_us: row.started_at.0,
            summary: format!("{}{way}: {}, {}{planned}", name(row), row.kind.replace('_', " "), row.evidence),
        }
    };
    owner.failovers().map(one).collect()
}

/// What the page shows.
#[cfg(feature = "web")]
pub(crate) fn of_page(owner: &Owner) -> Vec<web::Event> {
    let moved = |moved: &model::tables::Moved| {
        let direction = Direction::named(&moved.direction)?;
        let connection = moved.connection.clone();
        Some(web::Moved { connection, direction, bps: moved.bps, share: moved.share?, share_error: moved.share_error })
    };
    let one = |row: &FailoverRow| web::Event {
        id: row.event_id.clone(),
        connection: name(row).into(),
        direction: direction(row),
        kind: row.kind.clone(),
        evidence: row.evidence.clone(),
        location: row.location.clone(),
        started_us: row.started_at.0,
        detected_us: Some(row.detected_at.0),
        ended_us: row.ended_at.map(|at| at.0),
        before_bps: row.before_bps,
        moved: row.moved.iter().filter(|moved| moved.group.is_none()).filter_map(moved).collect(),
        unaccounted_share: row.unaccounted_share,
        stayed_local_share: row.stayed_local_share,
        to_transit_share: row.to_transit_share,
        returned_share: row.returned_share,
        survivor_peak_utilisation: row.survivor_peak_utilisation,
        latency_us: row.p50_before_us.zip(row.p50_after_us).map(|(before, after)| (before as f64, after as f64)),
        is_planned: row.planned,
    };
    owner.failovers().map(one).collect()
}
