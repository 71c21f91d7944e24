select window_start, port, direction, mean_bps, counter_bps
from ports_5m
