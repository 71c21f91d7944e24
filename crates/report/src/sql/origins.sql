select exporter, protocol, sampling_origin, sum(records) as records
from exporters
where sampling_origin is not null
group by exporter, protocol, sampling_origin
order by exporter, protocol, sampling_origin
