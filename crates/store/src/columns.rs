//! Declared rows to Arrow columns, and back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, MapBuilder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use model::Name;
use model::table::{Column, Kind, Row, Value};

/// Version of the layout of all tables, kept in every file; a column added at the end changes nothing.
pub(crate) const SCHEMA_VERSION: &str = "1";

/// The columns that say when a row is of.
pub(crate) const TIMES: [&str; 4] = ["window_start", "valid_from", "at", "started_at"];

/// Start of a row's window, microseconds; of `connections`: from when the row holds; of `alerts`: when it
/// was judged so; of `failovers`: when it began.
pub(crate) fn start_us<R: Row>(row: &R) -> i64 {
    let at =
        R::COLUMNS.iter().position(|column| TIMES.contains(&column.name)).and_then(|index| row.values().into_iter().nth(index));
    if let Some(Value::Timestamp(at)) = at { at } else { 0 }
}

/// The Arrow schema of a table; each column's description is its metadata.
pub(crate) fn schema<R: Row>() -> SchemaRef {
    let fields: Vec<Field> = R::COLUMNS.iter().map(field).collect();
    let metadata = HashMap::from([
        ("peerscope.table".to_string(), R::TABLE.to_string()),
        ("peerscope.schema_version".to_string(), SCHEMA_VERSION.to_string()),
    ]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

fn field(column: &Column) -> Field {
    let description = HashMap::from([("description".to_string(), column.doc.trim().to_string())]);
    Field::new(column.name, data_type(column.kind), column.is_nullable).with_metadata(description)
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Integer => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Text => DataType::Utf8,
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Boolean => DataType::Boolean,
        Kind::Texts => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        Kind::Counts => {
            let entries =
                Fields::from(vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Int64, true)]);
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
        }
        Kind::Integers => DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true))),
        Kind::Bytes => DataType::Binary,
        Kind::Structs(columns) => DataType::List(item(columns)),
    }
}

/// The field of the structs in a list.
fn item(columns: &[Column]) -> FieldRef {
    let fields = columns.iter().map(|column| Field::new(column.name, data_type(column.kind), column.is_nullable));
    Arc::new(Field::new_list_field(DataType::Struct(fields.collect()), true))
}

/// Rows as one record batch.
pub(crate) fn batch<R: Row>(rows: &[R]) -> Result<RecordBatch, ArrowError> {
    let mut builders: Vec<Builder> = R::COLUMNS.iter().map(|column| Builder::new(column.kind)).collect();
    for row in rows {
        for (builder, value) in builders.iter_mut().zip(row.values()) {
            builder.push(value);
        }
    }
    RecordBatch::try_new(schema::<R>(), builders.into_iter().map(Builder::finish).collect())
}

/// A column under way.
enum Builder {
    Integer(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Boolean(BooleanBuilder),
    Texts(ListBuilder<StringBuilder>),
    Counts(Box<MapBuilder<StringBuilder, Int64Builder>>),
    Integers(ListBuilder<Int64Builder>),
    Bytes(BinaryBuilder),
    Structs(StructsBuilder),
}

/// A column of lists of structs under way: the structs of all rows, and how many each row has.
struct StructsBuilder {
    columns: &'static [Column],
    cells: Vec<Builder>,
    lengths: Vec<usize>,
    are_known: Vec<bool>,
}

impl StructsBuilder {
    fn new(columns: &'static [Column]) -> StructsBuilder {
        let cells = columns.iter().map(|column| Builder::new(column.kind)).collect();
        StructsBuilder { columns, cells, lengths: Vec::new(), are_known: Vec::new() }
    }

    fn push(&mut self, structs: Option<Vec<Vec<Value>>>) {
        self.are_known.push(structs.is_some());
        let structs = structs.unwrap_or_default();
        self.lengths.push(structs.len());
        for cells in structs {
            for (builder, value) in self.cells.iter_mut().zip(cells) {
                builder.push(value);
            }
        }
    }

    fn finish(self) -> ArrayRef {
        let item = item(self.columns);
        let arrays: Vec<ArrayRef> = self.cells.into_iter().map(Builder::finish).collect();
        let fields = match item.data_type() {
            DataType::Struct(fields) => fields.clone(),
            _ => Fields::empty(),
        };
        let structs = StructArray::new(fields, arrays, None);
        let nulls = NullBuffer::from(self.are_known);
        Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(self.lengths), Arc::new(structs), Some(nulls)))
    }
}

impl Builder {
    fn new(kind: Kind) -> Builder {
        match kind {
            Kind::Integer => Builder::Integer(Int64Builder::new()),
            Kind::Float => Builder::Float(Float64Builder::new()),
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Timestamp => Builder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::Boolean => Builder::Boolean(BooleanBuilder::new()),
            Kind::Texts => Builder::Texts(ListBuilder::new(StringBuilder::new())),
            Kind::Counts => Builder::Counts(Box::new(MapBuilder::new(None, StringBuilder::new(), Int64Builder::new()))),
            Kind::Integers => Builder::Integers(ListBuilder::new(Int64Builder::new())),
            Kind::Bytes => Builder::Bytes(BinaryBuilder::new()),
            Kind::Structs(columns) => Builder::Structs(StructsBuilder::new(columns)),
        }
    }

    /// Adds a cell; a value of another kind, which the row declaration rules out, is null.
    fn push(&mut self, value: Value) {
        match (self, value) {
            (Builder::Integer(builder), Value::Integer(value)) => builder.append_value(value),
            (Builder::Float(builder), Value::Float(value)) => builder.append_value(value),
            (Builder::Text(builder), Value::Text(value)) => builder.append_value(value),
            (Builder::Timestamp(builder), Value::Timestamp(value)) => builder.append_value(value),
            (Builder::Boolean(builder), Value::Boolean(value)) => builder.append_value(value),
            (Builder::Texts(builder), Value::Texts(values)) => {
                values.iter().for_each(|value| builder.values().append_value(value));
                builder.append(true);
            }
            (Builder::Counts(builder), Value::Counts(counts)) => {
                for (name, count) in counts {
                    builder.keys().append_value(name);
                    builder.values().append_value(count);
                }
                // Keys and values were appended in pairs, which is all that it checks.
                let _ = builder.append(true);
            }
            (Builder::Integers(builder), Value::Integers(values)) => {
                builder.values().append_slice(&values);
                builder.append(true);
            }
            (Builder::Bytes(builder), Value::Bytes(bytes)) => builder.append_value(bytes),
            (Builder::Structs(builder), Value::Structs(structs)) => builder.push(Some(structs)),
            (Builder::Integer(builder), _) => builder.append_null(),
            (Builder::Float(builder), _) => builder.append_null(),
            (Builder::Text(builder), _) => builder.append_null(),
            (Builder::Timestamp(builder), _) => builder.append_null(),
            (Builder::Boolean(builder), _) => builder.append_null(),
            (Builder::Texts(builder), _) => builder.append(false),
            (Builder::Integers(builder), _) => builder.append(false),
            (Builder::Bytes(builder), _) => builder.append_null(),
            (Builder::Counts(builder), _) => {
                let _ = builder.append(false);
            }
            (Builder::Structs(builder), _) => builder.push(None),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Builder::Integer(mut builder) => Arc::new(builder.finish()),
            Builder::Float(mut builder) => Arc::new(builder.finish()),
            Builder::Text(mut builder) => Arc::new(builder.finish()),
            Builder::Timestamp(mut builder) => Arc::new(builder.finish()),
            Builder::Boolean(mut builder) => Arc::new(builder.finish()),
            Builder::Texts(mut builder) => Arc::new(builder.finish()),
            Builder::Counts(mut builder) => Arc::new(builder.finish()),
            Builder::Integers(mut builder) => Arc::new(builder.finish()),
            Builder::Bytes(mut builder) => Arc::new(builder.finish()),
            Builder::Structs(builder) => builder.finish(),
        }
    }
}

/// The rows of a record batch: columns by name, further ones ignored, missing ones null.
pub(crate) fn rows<R: Row>(batch: &RecordBatch) -> Result<Vec<R>, String> {
    let mut columns = Vec::new();
    for column in R::COLUMNS {
        let array = batch.column_by_name(column.name);
        match array {
            Some(array) if array.data_type() != &data_type(column.kind) => {
                return Err(format!("the column {} is of type {}", column.name, array.data_type()));
            }
            None if !column.is_nullable => return Err(format!("the column {} is missing", column.name)),
            array => columns.push((column.kind, array)),
        }
    }
    let row = |index: usize| {
        let values = columns.iter().map(|(kind, array)| array.map_or(Value::Null, |array| value(*kind, array, index))).collect();
        R::from_values(values).ok_or_else(|| format!("row {index} has a null where none may be"))
    };
    (0..batch.num_rows()).map(row).collect()
}

fn value(kind: Kind, array: &ArrayRef, index: usize) -> Value {
    if array.is_null(index) {
        return Value::Null;
    }
    match kind {
        Kind::Integer => Value::Integer(array.as_primitive::<Int64Type>().value(index)),
        Kind::Float => Value::Float(array.as_primitive::<Float64Type>().value(index)),
        Kind::Text => Value::Text(array.as_string::<i32>().value(index).into()),
        Kind::Timestamp => Value::Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(index)),
        Kind::Boolean => Value::Boolean(array.as_boolean().value(index)),
        Kind::Texts => Value::Texts(texts(&array.as_list::<i32>().value(index))),
        Kind::Integers => {
            let integers = array.as_list::<i32>().value(index);
            Value::Integers(integers.as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default).collect())
        }
        Kind::Bytes => Value::Bytes(array.as_binary::<i32>().value(index).to_vec()),
        Kind::Counts => {
            let entries = array.as_map().value(index);
            let names = texts(entries.column(0));
            let counts = entries.column(1).as_primitive::<Int64Type>();
            Value::Counts(names.into_iter().zip(counts.iter().map(Option::unwrap_or_default)).collect::<BTreeMap<Name, i64>>())
        }
        Kind::Structs(columns) => {
            let structs = array.as_list::<i32>().value(index);
            let structs = structs.as_struct();
            let cells = |row: usize| {
                columns.iter().zip(structs.columns()).map(|(column, array)| value(column.kind, array, row)).collect()
            };
            Value::Structs((0..structs.len()).map(cells).collect())
        }
    }
}

fn texts(array: &ArrayRef) -> Vec<Name> {
    array.as_string::<i32>().iter().map(|text| text.unwrap_or_default().into()).collect()
}
