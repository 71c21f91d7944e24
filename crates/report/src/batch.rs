//! Columns of a query's result, by name.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, TimeUnit};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Value, json};

use crate::ReportError;

/// Rows of a result.
pub(crate) struct Batch<'a> {
    batch: &'a RecordBatch,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(batch: &'a RecordBatch) -> Batch<'a> {
        Batch { batch }
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn column(&self, name: &str, data_type: &DataType) -> Result<ArrayRef, ReportError> {
        let column = self.batch.column_by_name(name).ok_or_else(|| ReportError::Query(format!("it gives no column {name}")))?;
        if column.data_type() == data_type {
            return Ok(column.clone());
        }
        cast(column, data_type).map_err(|error| ReportError::Query(error.to_string()))
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Texts, ReportError> {
        Ok(Texts(self.column(name, &DataType::Utf8View)?.as_string_view().clone()))
    }

    pub(crate) fn floats(&self, name: &str) -> Result<Floats, ReportError> {
        Ok(Floats(self.column(name, &DataType::Float64)?.as_primitive::<Float64Type>().clone()))
    }

    pub(crate) fn integers(&self, name: &str) -> Result<Integers, ReportError> {
        Ok(Integers(self.column(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone()))
    }

    pub(crate) fn times(&self, name: &str) -> Result<Times, ReportError> {
        let kind = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
        Ok(Times(self.column(name, &kind)?.as_primitive::<TimestampMicrosecondType>().clone()))
    }
}

/// Rows of any types as JSON has them: numbers and truths as they are, all else as text, instants in UTC.
pub(crate) fn values(batch: &RecordBatch) -> Result<Vec<Vec<Value>>, ReportError> {
    let refused = |error: arrow_schema::ArrowError| ReportError::Query(error.to_string());
    let options = FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));
    let mut columns = Vec::new();
    for column in batch.columns() {
        let kind = column.data_type();
        columns.push(if kind.is_integer() {
            let integers = cast(column, &DataType::Int64).map_err(refused)?;
            integers.as_primitive::<Int64Type>().iter().map(|number| json!(number)).collect()
        } else if kind.is_floating() {
            let floats = cast(column, &DataType::Float64).map_err(refused)?;
            floats.as_primitive::<Float64Type>().iter().map(|number| json!(number)).collect()
        } else if *kind == DataType::Boolean {
            column.as_boolean().iter().map(|truth| json!(truth)).collect::<Vec<Value>>()
        } else {
            let formatter = ArrayFormatter::try_new(column, &options).map_err(refused)?;
            let text = |row: usize| if column.is_null(row) { Value::Null } else { json!(formatter.value(row).to_string()) };
            (0..column.len()).map(text).collect()
        });
    }
    let row = |row: usize| columns.iter().map(|column: &Vec<Value>| column[row].clone()).collect();
    Ok((0..batch.num_rows()).map(row).collect())
}

/// A column of texts.
pub(crate) struct Texts(StringViewArray);
/// A column of floats.
pub(crate) struct Floats(Float64Array);
/// A column of integers.
pub(crate) struct Integers(Int64Array);
/// A column of instants.
pub(crate) struct Times(TimestampMicrosecondArray);

impl Texts {
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<&str> {
        is_known(self.0.nulls(), row).then(|| self.0.value(row))
    }

    /// The text; empty where it is unknown.
    #[inline]
    pub(crate) fn known(&self, row: usize) -> &str {
        self.get(row).unwrap_or_default()
    }

    /// Whether the texts of two runs of rows are known to be the same; those that are stored twice in a batch may be so and not
    /// be known to be.
    pub(crate) fn are_same(&self, one: Range<usize>, other: Range<usize>) -> bool {
        self.0.nulls().is_none() && self.0.views()[one] == self.0.views()[other]
    }
}

impl Floats {
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<f64> {
        is_known(self.0.nulls(), row).then(|| self.0.values()[row])
    }

    /// All of them; not a number where it is unknown.
    pub(crate) fn numbers(&self) -> Cow<'_, [f64]> {
        let values = self.0.values();
        let Some(nulls) = self.0.nulls() else { return Cow::Borrowed(values) };
        values.iter().zip(nulls).map(|(value, is_known)| if is_known { *value } else { f64::NAN }).collect()
    }
}

impl Integers {
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<i64> {
        is_known(self.0.nulls(), row).then(|| self.0.values()[row])
    }
}

impl Times {
    /// µs since 1970.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<i64> {
        is_known(self.0.nulls(), row).then(|| self.0.values()[row])
    }
}

#[inline]
fn is_known(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_none_or(|nulls| nulls.is_valid(row))
}
