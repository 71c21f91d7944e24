select f.event_id, f.revision, f.started_at, f.ended_at, f.detected_at, f.connection, array_to_string(f.connections, ', ') as connections,
       f.exchange, f.direction, f.ip_version, f.kind, f.evidence, f.location, f.before_bps, f.fallen_share, f.unaccounted_share,
       f.unaccounted_error, f.stayed_local_share, f.to_transit_share, f.returned_share, f.survivor_peak_utilisation,
       f.p50_before_us, f.p50_after_us, f.moved_seconds, f.flaps, f.planned, f.planned_summary, f.status,
       f.capacity_before_bps, f.capacity_after_bps
from failovers f
join (select event_id, max(revision) as revision from failovers group by event_id) l
  on f.event_id = l.event_id and f.revision = l.revision
order by f.started_at, f.event_id
