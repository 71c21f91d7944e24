//! Rows as queries see them, and what is to be said of a range.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::compute::cast;
use datafusion::logical_expr::{Expr, cast as cast_to};
use datafusion::prelude::{ident, lit};
use datafusion::scalar::ScalarValue;
use model::time::HOUR_US;

use crate::data::Filter;
use crate::tables::Table;
use crate::{Range, ReportError};

/// An instant as queries compare it.
pub(crate) fn instant(at_us: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(at_us), Some("UTC".into())))
}

/// Whether a table has a column.
pub(crate) fn has_column(table: &Table, name: &str) -> bool {
    table.columns.iter().any(|column| column.name == name)
}

/// Whether a row fits a filter.
pub(crate) fn fits(filter: &Filter) -> Expr {
    let column = ident(&filter.column);
    if filter.value.is_empty() { column.is_null() } else { cast_to(column, DataType::Utf8).eq(lit(&filter.value)) }
}

/// The same columns with texts as views: what queries are fastest with.
pub(crate) fn viewed(schema: &SchemaRef) -> SchemaRef {
    let view = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 => Field::new(field.name(), DataType::Utf8View, field.is_nullable()),
        other => Field::new(field.name(), other.clone(), field.is_nullable()),
    };
    Arc::new(Schema::new(schema.fields().iter().map(view).collect::<Vec<_>>()))
}

/// Rows with these columns.
pub(crate) fn as_viewed(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ReportError> {
    let refused = |error: arrow_schema::ArrowError| ReportError::Query(error.to_string());
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>().map_err(refused)?;
    RecordBatch::try_new(schema.clone(), columns).map_err(refused)
}

/// Sentences about hours of the range, between the first and the last that there are, of which there is nothing.
pub(crate) fn holes(table: &str, hours_us: &BTreeSet<i64>, range: Range) -> Vec<String> {
    let mut found = Vec::new();
    if range == Range::EVER {
        return found;
    }
    for (before, after) in hours_us.iter().zip(hours_us.iter().skip(1)) {
        let hours = (after - before) / HOUR_US - 1;
        if hours > 0 {
            let start = jiff::Timestamp::from_microsecond(before + HOUR_US).map_or_else(|_| String::new(), |at| at.to_string());
            found.push(format!("{table}: there are no rows from {start} for {hours} hours"));
        }
    }
    let is_later = hours_us.first().is_some_and(|first| *first >= range.from_us + HOUR_US);
    if let Some(first) = hours_us.first().filter(|_| is_later) {
        let start = jiff::Timestamp::from_microsecond(*first).map_or_else(|_| String::new(), |at| at.to_string());
        found.push(format!("{table}: the first rows of the range are of {start}"));
    }
    found
}
