select connection, direction,
       sum(bytes_estimated) as bytes_estimated,
       sum(bytes_exported) as bytes_exported,
       min(window_start) as first_window,
       max(window_start) as last_window
from traffic
where origin_asn = 12076
group by connection, direction
order by connection, direction
