select event_id, revision, moved['connection'] as connection, moved['group'] as moved_group, moved['bps'] as bps,
       moved['share'] as share, moved['share_error'] as share_error
from (select f.event_id, f.revision, unnest(f.moved) as moved
      from failovers f
      join (select event_id, max(revision) as revision from failovers group by event_id) l
        on f.event_id = l.event_id and f.revision = l.revision)
order by event_id, moved_group nulls first, share desc, connection
