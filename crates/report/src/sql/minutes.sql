select window_start, connection, direction, mean_bps
from links
order by window_start, connection, direction
