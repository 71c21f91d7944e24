select window_start, connection, direction, mean_bps, peak_bps, packets_per_second, standard_error_bps,
       samples, bytes_unknown_rate, capacity_bps, utilisation_ratio, coverage_ratio
from links_5m
