select window_start, port, direction, capacity_bps, mean_bps, counter_bps, utilisation_ratio, counter_discards,
       counter_errors, member_peak_ratio, members_up, members_total
from ports_5m
