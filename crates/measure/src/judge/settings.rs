//! What reports judge by.

model::settings! {
    /// What reports judge by.
    pub struct ReportSettings in "report" {
        /// Time from an order to a port in service: `order_by` lies so long before the date that needs it.
        lead_time_days: i64 = 90, "days", 0..=1_000;
        /// Load of a port on the wire, from which a survivor of a failure does not hold.
        full_percent: i64 = 95, "%", 50..=100;
        /// How far ahead dates are told; what is later is too far to be said.
        horizon_days: i64 = 730, "days", 30..=3_650;
        /// Difference of flows and counters from which one of them is not trusted.
        counter_tolerance_percent: i64 = 10, "%", 1..=100;
        /// Coverage below which loads are not trusted.
        coverage_percent: i64 = 95, "%", 50..=100;
        /// Share of records whose output interface is unknown, from which their exporter is not trusted.
        unknown_output_percent: i64 = 5, "%", 1..=100;
        /// Microsoft traffic on transit, above which it is called a leak.
        leak_mbps: i64 = 10, "Mbit/s", 0..=1_000_000;
        /// Least traffic of a Direct peering, by Microsoft's policy.
        direct_least_mbps: i64 = 2_000, "Mbit/s", 0..=1_000_000;
        /// Least traffic of an Exchange peering, by Microsoft's policy.
        exchange_least_mbps: i64 = 500, "Mbit/s", 0..=1_000_000;
        /// Traffic from which a peering should be Direct, by Microsoft's policy.
        exchange_most_mbps: i64 = 2_000, "Mbit/s", 0..=1_000_000;
        /// Memory of queries at most; beyond it they use the disk.
        memory_mib: i64 = 1_024, "MiB", 128..=1_048_576;
    }
}
