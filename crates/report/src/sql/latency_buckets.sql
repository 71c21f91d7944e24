select connection, return_connection, region, method, span, initiator, element, derivation, bucket_us,
       sum(bucket_count) as samples
from (select connection, return_connection, region, method, span, initiator, element, derivation,
             unnest(bucket_us) as bucket_us,
             unnest(bucket_count) as bucket_count
      from latency
      where samples > 0) as buckets
group by connection, return_connection, region, method, span, initiator, element, derivation, bucket_us
order by connection, return_connection, region, method, span, initiator, element, derivation, bucket_us
