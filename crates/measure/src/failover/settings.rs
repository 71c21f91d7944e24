//! What counts as a failover, and bounds of watching for it.

model::settings! {
    /// When a change of load is a failover, and how long it is followed.
    pub struct FailoverSettings in "failover" {
        /// A change counts from so many standard errors: that of sampling and the scatter of recent bins together.
        standard_errors: i64 = 6, "", 3..=100;
        /// A fall of less than this share of a connection's load is none, however steady the load is.
        least_percent: i64 = 8, "%", 1..=90;
        /// A connection that carries less is too small to be judged by its traffic.
        least_kbps: i64 = 1_000, "kbit/s", 1..=100_000_000;
        /// A connection that falls again within this time after its return has flapped: it is the same event.
        flap_seconds: i64 = 600, "s", 60..=86_400;
        /// After this time what has not returned is how things are now, and the event is closed.
        open_hours: i64 = 24, "h", 1..=720;
        /// Links and directions that are watched; the rest is counted.
        ways_max: usize = 8_192, "links and directions", 16..=262_144;
        /// Events that are held at a time; beyond it new ones are counted alone.
        events_max: usize = 1_024, "events", 16..=65_536;
        /// Rows of `moved` in one event; the smallest are left out.
        moved_rows_max: usize = 256, "rows", 8..=4_096;
    }
}
