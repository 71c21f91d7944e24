select {by},
       sum(bytes_estimated) as bytes_estimated,
       sum(bytes_standard_error * bytes_standard_error) as variance,
       sum(bytes_exported) as bytes_exported,
       sum(packets_estimated) as packets_estimated,
       sum(case when bytes_estimated is null then 1 else 0 end) as rows_unknown
from prefixes
where side = 'customer'
group by {by}
order by {by}
