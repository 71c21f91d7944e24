//! Bounds and waiting times of measuring.

model::settings! {
    /// How windows are held, published and bounded.
    pub struct MeasureSettings in "measure" {
        /// Longest time over which a record's bytes are spread; of a longer one the last part counts.
        record_seconds_max: i64 = 7_200, "s", 60..=604_800;
        /// Combinations of link, direction, view, rate and exporter that a worker counts apart between two reports; the rest is the link or port `other`.
        worker_lanes_max: usize = 16_384, "lanes", 16..=1_048_576;
        /// Bins of 10 s that a worker holds between two reports; beyond it bytes go to the report's first bin.
        worker_bins_max: usize = 262_144, "bins", 16..=16_777_216;
        /// Tags and prefixes by link and window that a worker holds between two reports; the rest is `other`.
        worker_cells_max: usize = 262_144, "cells", 16..=16_777_216;
        /// Tags and prefixes by link and window that are held for all windows not yet published; the rest is `other`.
        cells_max: usize = 1_000_000, "cells", 16..=100_000_000;
        /// Rows of the exporters table in one window; the rest is counted as exporter `::`.
        exporter_rows_max: usize = 10_000, "rows", 1..=1_000_000;
        /// Readings of interface counters held; beyond it new ones are not used.
        counter_readings_max: usize = 262_144, "readings", 16..=16_777_216;
        /// Longest time between two readings whose difference is used.
        counter_gap_seconds_max: i64 = 900, "s", 1..=86_400;
        /// Tags of a link, direction and window that keep rows of their own in `traffic`.
        tags_kept: usize = 16, "rows", 1..=65_536;
        /// Prefixes of a link, direction, window and side that keep rows of their own in `prefixes`.
        prefixes_kept: usize = 200, "rows", 1..=65_536;
        /// Connections of mirrored packets that are under way at once, some 150 bytes each; the one longest unused falls off.
        latency_connections_max: usize = 131_072, "connections", 8..=67_108_864;
        /// TCP flow records whose other direction is waited for; the one longest unused falls off.
        latency_pairs_max: usize = 65_536, "records", 8..=67_108_864;
        /// Buckets of latency histograms that a worker holds between two reports; values beyond it are left out.
        worker_latency_buckets_max: usize = 1_000_000, "buckets", 16..=100_000_000;
        /// Buckets of latency histograms that are held for all windows not yet closed; values beyond it are left out.
        latency_buckets_max: usize = 10_000_000, "buckets", 16..=1_000_000_000;
        /// Wait after the active timeout until a window is published: sending and holding for templates.
        grace_seconds: i64 = 10, "s", 0..=3_600;
        /// Active timeout taken for an exporter of flows that has not shown its own.
        active_timeout_seconds: i64 = 60, "s", 0..=3_600;
        /// Time after the active timeout in which windows are still revised.
        revision_seconds: i64 = 300, "s", 0..=86_400;
        /// Shortest time in which windows are revised, active timeout included.
        revision_seconds_least: i64 = 900, "s", 0..=86_400;
        /// Longest time in which windows are revised, active timeout included.
        revision_seconds_most: i64 = 3_900, "s", 60..=86_400;
        /// Shortest time between two revisions of a window.
        revision_every_seconds: i64 = 60, "s", 1..=3_600;
        /// How far ahead of the clock a record may be; what is further counts in the window of now.
        ahead_seconds_max: i64 = 300, "s", 0..=3_600;
        /// How long after its last record a link or port still gets rows, with a load of 0, while its exporters send others.
        idle_seconds: i64 = 3_600, "s", 0..=86_400;
    }
}
