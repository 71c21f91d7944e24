select connection, return_connection, region, method, span, initiator, element, derivation, absent_reason,
       count(*) as windows,
       sum(samples) as samples,
       sum(mean_us * samples) as sum_us,
       min(min_us) as min_us,
       max(max_us) as max_us
from latency
group by connection, return_connection, region, method, span, initiator, element, derivation, absent_reason
order by connection, return_connection, region, method, span, initiator, element, derivation, absent_reason
