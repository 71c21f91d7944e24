//! `latency`: how long packets took, by connection, method and span, and where that cannot be told.
//!
//! Percentiles come from the histograms of all windows added up, never from percentiles of windows.

use std::collections::BTreeMap;

use measure::Histogram;

use super::{Compares, Options, Report};
use crate::answer::{Answer, Cell, Column, Section, Unit};
use crate::batch::Batch;
use crate::{Data, ReportError};

/// The report.
pub(super) const REPORT: Report = Report {
    name: "latency",
    about: "How long packets took: by connection, region, method, span; where it cannot be told, and why",
    default_span: "24h",
    takes_by: false,
    compares: Compares::Nothing,
    answer,
};

/// What rows are told apart by.
const KEYS: [&str; 8] = ["connection", "return_connection", "region", "method", "span", "initiator", "element", "derivation"];

/// Places in it.
const CONNECTION: usize = 0;
const METHOD: usize = 3;
const DERIVATION: usize = 7;

const COLUMNS: &[Column] = &[
    Column::new("connection", Unit::Text),
    Column::detail("return_connection", Unit::Text),
    Column::new("region", Unit::Text),
    Column::new("method", Unit::Text),
    Column::new("span", Unit::Text),
    Column::new("initiator", Unit::Text),
    Column::detail("element", Unit::Text),
    Column::detail("derivation", Unit::Text),
    Column::new("samples", Unit::Count),
    Column::new("mean", Unit::Milliseconds),
    Column::detail("least", Unit::Milliseconds),
    Column::new("p50", Unit::Milliseconds),
    Column::detail("p90", Unit::Milliseconds),
    Column::new("p95", Unit::Milliseconds),
    Column::new("p99", Unit::Milliseconds),
    Column::detail("most", Unit::Milliseconds),
    Column::detail("windows", Unit::Count),
    Column::new("absent_reason", Unit::Text),
];

const ABSENT: &[Column] = &[
    Column::new("connection", Unit::Text),
    Column::new("method", Unit::Text),
    Column::new("reason", Unit::Text),
    Column::new("windows", Unit::Count),
    Column::new("what_helps", Unit::Text),
];

/// Values of [`KEYS`].
type Key = [Option<String>; KEYS.len()];

/// What the rows of a key add up to.
#[derive(Clone, Debug, Default)]
struct Sum {
    windows: i64,
    samples: i64,
    sum_us: f64,
    min_us: Option<i64>,
    max_us: Option<i64>,
    histogram: Histogram,
}

/// Key and reason, with the windows of it.
type Absences = BTreeMap<(Key, String), i64>;

fn read(data: &mut Data) -> Result<(BTreeMap<Key, Sum>, Absences), ReportError> {
    data.register(&["latency"])?;
    let start = || (BTreeMap::<Key, Sum>::new(), Absences::new());
    let (mut sums, absences) = data.fold(include_str!("../sql/latency.sql"), start, |(sums, absences), batch| {
        let (keys, reasons) = (keys(batch)?, batch.texts("absent_reason")?);
        let (windows, samples) = (batch.integers("windows")?, batch.integers("samples")?);
        let (sum, least, most) = (batch.floats("sum_us")?, batch.integers("min_us")?, batch.integers("max_us")?);
        for (row, key) in keys.into_iter().enumerate() {
            let windows = windows.get(row).unwrap_or(0);
            if let Some(reason) = reasons.get(row) {
                *absences.entry((key, reason.to_owned())).or_default() += windows;
                continue;
            }
            let (samples, sum_us) = (samples.get(row).unwrap_or(0), sum.get(row).unwrap_or(0.0));
            let (min_us, max_us, histogram) = (least.get(row), most.get(row), Histogram::default());
            sums.insert(key, Sum { windows, samples, sum_us, min_us, max_us, histogram });
        }
        Ok(())
    })?;
    let buckets = data.fold(include_str!("../sql/latency_buckets.sql"), Vec::new, |buckets, batch| {
        let (bucket, samples) = (batch.integers("bucket_us")?, batch.integers("samples")?);
        for (row, key) in keys(batch)?.into_iter().enumerate() {
            buckets.extend(bucket.get(row).zip(samples.get(row)).map(|(bucket_us, samples)| (key, bucket_us, samples)));
        }
        Ok(())
    })?;
    for (key, bucket_us, samples) in buckets {
        if let Some(sum) = sums.get_mut(&key) {
            sum.histogram.record(bucket_us.unsigned_abs(), samples.unsigned_abs());
        }
    }
    Ok((sums, absences))
}

fn keys(batch: &Batch<'_>) -> Result<Vec<Key>, ReportError> {
    let columns = KEYS.iter().map(|name| batch.texts(name)).collect::<Result<Vec<_>, _>>()?;
    let key = |row: usize| std::array::from_fn(|place| columns[place].get(row).map(str::to_owned));
    Ok((0..batch.rows()).map(key).collect())
}

/// Answers `latency`.
fn answer(data: &mut Data, options: &Options) -> Result<Answer, ReportError> {
    data.filter("latency", &options.filters)?;
    let (sums, absences) = read(data)?;
    if sums.is_empty() && absences.is_empty() && !options.filters.is_empty() {
        return Err(ReportError::NoData("no row of the table latency fits --where in this range".to_owned()));
    }
    if sums.is_empty() && absences.is_empty() {
        return Err(data.nothing("latency"));
    }
    let mut answer = Answer::new("latency", data.range());
    let mut main = Section::new("Latency by connection, method and span", COLUMNS);
    main.rows = sums.iter().map(|(key, sum)| cells(key, sum, None)).collect();
    // What was measured in some windows needs no row for the others: the section below counts them.
    let is_measured = |key: &Key| sums.keys().any(|of| (&of[CONNECTION], &of[METHOD]) == (&key[CONNECTION], &key[METHOD]));
    for ((key, reason), windows) in absences.iter().filter(|((key, _), _)| !is_measured(key)) {
        main.rows.push(cells(key, &Sum { windows: *windows, ..Sum::default() }, Some(reason)));
    }
    answer.verdict.push(match sums.len() {
        0 => "No latency was measured; see why below.".to_owned(),
        _ => {
            let samples: i64 = sums.values().map(|sum| sum.samples).sum();
            format!("{samples} measurements; methods, spans and elements stand apart, as they measure different things.")
        }
    });
    answer.sections.push(main);
    if !absences.is_empty() {
        let mut section = Section::new("Where latency cannot be told, and what helps", ABSENT);
        for ((key, reason), windows) in &absences {
            let [connection, method] = [CONNECTION, METHOD].map(|place| key[place].as_deref().into());
            section.rows.push(vec![connection, method, reason.as_str().into(), (*windows).into(), what_helps(reason).into()]);
        }
        answer.sections.push(section);
    }
    answer.notes.extend(notes(&sums));
    Ok(answer)
}

fn cells(key: &Key, sum: &Sum, absent: Option<&String>) -> Vec<Cell> {
    let milliseconds = |us: Option<f64>| -> Cell { us.map(|us| us / 1e3).into() };
    let whole = |us: Option<i64>| milliseconds(us.map(|us| us as f64));
    let is_whole = sum.histogram.count() == sum.samples.unsigned_abs();
    let percentile = |share: f64| {
        // A bucket's end may lie beyond the largest value.
        let us = sum.histogram.quantile_us(share).filter(|_| is_whole);
        whole(us.map(|us| sum.max_us.map_or(us, |most| us.min(most))))
    };
    let mut cells: Vec<Cell> = key.iter().map(|text| text.as_deref().into()).collect();
    cells.extend([
        sum.samples.into(),
        milliseconds((sum.samples > 0).then(|| sum.sum_us / sum.samples as f64)),
        whole(sum.min_us),
        percentile(0.5),
        percentile(0.9),
        percentile(0.95),
        percentile(0.99),
        whole(sum.max_us),
        sum.windows.into(),
        absent.map(String::as_str).into(),
    ]);
    cells
}

/// What makes a number of a reason.
fn what_helps(reason: &str) -> &'static str {
    match reason {
        "sampled" => "a mirror of SYN packets (collect --interface NAME --packets), or a probe that sees every packet",
        "shared_start" => "an exporter that gives each direction its own start, or a mirror of SYN packets",
        "coarse_clock" => "flow starts in milliseconds (elements 152, 153), and a device clock that is right",
        "unknown_rate" => "sampling = 1 with the [[exporter]] if it does not sample",
        "unidirectional" => "both directions at one exporter or one packet worker",
        "no_timestamps" => "hosts with TCP timestamps; handshakes are measured without",
        _ => "",
    }
}

fn notes(sums: &BTreeMap<Key, Sum>) -> Vec<String> {
    let has = |place: usize, text: &str| sums.keys().any(|key| key[place].as_deref() == Some(text));
    let said = [
        (has(DERIVATION, "half_doubled"), "half_doubled: the exporter tells half a round trip, which was doubled"),
        (has(DERIVATION, "mean_of_sum"), "mean_of_sum: the exporter tells sums and counts, so there are no percentiles"),
        (has(METHOD, "timestamps"), "timestamps: the time that the other end waits before it acknowledges is in it"),
        (has(METHOD, "flow_pairs"), "flow_pairs: starts are whole milliseconds, so a value is right to a millisecond"),
    ];
    said.into_iter().filter(|(is_said, _)| *is_said).map(|(_, note)| note.to_owned()).collect()
}
