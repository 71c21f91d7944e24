select connection, prefix, sum(bytes_estimated) as bytes_estimated
from prefixes
where side = 'customer' and direction = 'from_microsoft' and prefix not in ('other', 'unknown')
group by connection, prefix
order by connection, prefix
