select {by},
       sum(bytes_estimated) as bytes_estimated,
       sum(bytes_standard_error * bytes_standard_error) as variance,
       sum(bytes_exported) as bytes_exported,
       sum(bytes_unknown_rate) as bytes_unknown_rate,
       sum(packets_estimated) as packets_estimated,
       sum(samples) as samples,
       sum(case when bytes_estimated is null then 1 else 0 end) as rows_unknown
from traffic
group by {by}
order by {by}
