select connection, direction, service, region, origin_asn,
       sum(bytes_estimated) as bytes_estimated,
       sum(bytes_standard_error * bytes_standard_error) as variance,
       sum(bytes_exported) as bytes_exported
from traffic
where connection in ({connections})
group by connection, direction, service, region, origin_asn
order by connection, direction, service, region, origin_asn
