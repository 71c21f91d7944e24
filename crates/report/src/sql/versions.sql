select connection, ip_version, sum(bytes_exported) as bytes_exported
from traffic
where ip_version is not null
group by connection, ip_version
order by connection, ip_version
