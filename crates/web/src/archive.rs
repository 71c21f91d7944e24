//! What is asked of whoever reads the tables, and what it answers.

use model::Name;

/// Reads the tables, and takes counters in. Each call may take long; it is made on a thread that may wait.
pub trait Archive: Send + Sync + 'static {
    /// The loads of a connection over a range.
    ///
    /// # Errors
    ///
    /// A sentence, where nothing can be read.
    fn loads(&self, query: &LoadQuery) -> Result<Loads, String>;

    /// What a connection carried over a range, by service, region or whose it was.
    ///
    /// # Errors
    ///
    /// A sentence, where nothing can be read.
    fn shares(&self, query: &ShareQuery) -> Result<Shares, String>;

    /// Takes in counters as JSON lines; gives how many lines there were.
    ///
    /// # Errors
    ///
    /// Why not.
    fn push_counters(&self, lines: &str) -> Result<usize, PushError>;
}

/// Why pushed counters were not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushError {
    /// A line is not what it should be: which, counted from 1, and why.
    Line(usize, String),
    /// Those before are not taken in yet.
    Busy,
}

/// Which loads are asked for.
#[derive(Clone, Debug)]
pub struct LoadQuery {
    /// Of which connection.
    pub connection: Name,
    /// Its port.
    pub port: Option<Name>,
    /// From when, microseconds.
    pub from_us: i64,
    /// Until when.
    pub to_us: i64,
    /// What it may cost.
    pub budget: Budget,
}

/// Which shares are asked for.
#[derive(Clone, Debug)]
pub struct ShareQuery {
    /// Of which connection.
    pub connection: Name,
    /// From when, microseconds.
    pub from_us: i64,
    /// Until when.
    pub to_us: i64,
    /// By what.
    pub by: By,
    /// What it may cost.
    pub budget: Budget,
}

/// What a query may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Rows read at most.
    pub rows: usize,
    /// When it has to be over.
    pub until: std::time::Instant,
}

impl Budget {
    /// Whether nothing more may be read after `rows`.
    pub fn is_spent(&self, rows: usize) -> bool {
        rows >= self.rows || std::time::Instant::now() >= self.until
    }
}

/// By what traffic is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Microsoft's service.
    Service,
    /// Azure region.
    Region,
    /// Our customer.
    Customer,
    /// Prefix of our side.
    Prefix,
}

impl By {
    /// All of them.
    pub const ALL: [By; 4] = [By::Service, By::Region, By::Customer, By::Prefix];

    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            By::Service => "service",
            By::Region => "region",
            By::Customer => "customer",
            By::Prefix => "prefix",
        }
    }
}

/// Loads over a range, in the order of `Direction::ALL`; not a number where unknown.
#[derive(Clone, Debug, Default)]
pub struct Loads {
    /// Start of the first step, microseconds.
    pub from_us: i64,
    /// Length of a step.
    pub step_us: i64,
    /// Both directions.
    pub ways: [LoadColumns; 2],
    /// The budget was spent before the end: what is missing is not shown.
    pub is_cut: bool,
    /// Files that could not be read.
    pub files_damaged: usize,
}

/// Loads in one direction, by step.
#[derive(Clone, Debug, Default)]
pub struct LoadColumns {
    /// Mean load by flows, bit/s on the link layer.
    pub mean_bps: Vec<f64>,
    /// Its standard error.
    pub standard_error_bps: Vec<f64>,
    /// Largest load of a bin.
    pub peak_bps: Vec<f64>,
    /// Load of the whole port on the wire over capacity.
    pub utilisation: Vec<f64>,
    /// Mean load of the whole port by flows.
    pub port_bps: Vec<f64>,
    /// The same by its interface counters.
    pub counter_bps: Vec<f64>,
    /// Packets that the port discarded.
    pub discards: Vec<f64>,
    /// 95th percentile of the five-minute means; `None` where a step is no five minutes.
    pub p95_bps: Option<f64>,
    /// Five-minute means behind it.
    pub p95_steps_known: usize,
}

/// What a connection carried, the largest first.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    /// Rows.
    pub rows: Vec<Share>,
    /// The sums over all rows, in the order of `Direction::ALL`, IP bytes.
    pub total_bytes: [f64; 2],
    /// Seconds that rows tell of.
    pub seconds_known: i64,
    /// The budget was spent before the end.
    pub is_cut: bool,
    /// Files that could not be read.
    pub files_damaged: usize,
}

/// One part of the traffic.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// What: a service, region, customer or prefix; `None` where nobody knows.
    pub name: Option<Name>,
    /// IP bytes after sampling correction, in the order of `Direction::ALL`.
    pub bytes: [f64; 2],
    /// Standard errors of these.
    pub standard_error_bytes: [f64; 2],
}
