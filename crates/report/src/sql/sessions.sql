select window_start, connection, direction, ip_version, sum(bytes_estimated) as bytes_estimated
from traffic
where ip_version is not null
group by window_start, connection, direction, ip_version
order by window_start, connection, direction, ip_version
