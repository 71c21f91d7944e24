//! How a table declares its columns, once: for writer, reader, documentation and tests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Name;

/// An instant in a row: microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl From<i64> for Timestamp {
    fn from(at_us: i64) -> Timestamp {
        Timestamp(at_us)
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signed 64-bit integer.
    Integer,
    /// 64-bit float.
    Float,
    /// UTF-8 text.
    Text,
    /// Microseconds since 1970-01-01, UTC.
    Timestamp,
    /// True or false.
    Boolean,
    /// A list of texts.
    Texts,
    /// A map from text to integer.
    Counts,
    /// A list of integers.
    Integers,
    /// Bytes that are no text.
    Bytes,
    /// A list of structs with these columns.
    Structs(&'static [Column]),
}

/// A cell of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Unknown.
    Null,
    /// Of [`Kind::Integer`].
    Integer(i64),
    /// Of [`Kind::Float`].
    Float(f64),
    /// Of [`Kind::Text`].
    Text(Name),
    /// Of [`Kind::Timestamp`].
    Timestamp(i64),
    /// Of [`Kind::Boolean`].
    Boolean(bool),
    /// Of [`Kind::Texts`].
    Texts(Vec<Name>),
    /// Of [`Kind::Counts`].
    Counts(BTreeMap<Name, i64>),
    /// Of [`Kind::Integers`].
    Integers(Vec<i64>),
    /// Of [`Kind::Bytes`].
    Bytes(Vec<u8>),
    /// Of [`Kind::Structs`]: their cells.
    Structs(Vec<Vec<Value>>),
}

/// A column as declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name; the unit is in it.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null: unknown.
    pub is_nullable: bool,
}

/// A type that can be a cell.
pub trait Cell: Sized {
    /// What its column holds.
    const KIND: Kind;
    /// Whether it may be null.
    const IS_NULLABLE: bool = false;

    /// The cell's value.
    fn value(&self) -> Value;

    /// The cell of a value; `None` if it is of another kind.
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! cells {
    ($($type:ty => $kind:ident, |$cell:ident| $value:expr, |$inner:ident| $back:expr;)+) => {$(
        impl Cell for $type {
            const KIND: Kind = Kind::$kind;

            fn value(&self) -> Value {
                let $cell = self;
                Value::$kind($value)
            }

            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$kind($inner) => Some($back),
                    _ => None,
                }
            }
        }
    )+};
}

cells! {
    i64 => Integer, |cell| *cell, |inner| inner;
    f64 => Float, |cell| *cell, |inner| inner;
    bool => Boolean, |cell| *cell, |inner| inner;
    Name => Text, |cell| cell.clone(), |inner| inner;
    Timestamp => Timestamp, |cell| cell.0, |inner| Timestamp(inner);
    Vec<Name> => Texts, |cell| cell.clone(), |inner| inner;
    BTreeMap<Name, i64> => Counts, |cell| cell.clone(), |inner| inner;
    Vec<i64> => Integers, |cell| cell.clone(), |inner| inner;
    Vec<u8> => Bytes, |cell| cell.clone(), |inner| inner;
}

impl<T: Cell> Cell for Option<T> {
    const KIND: Kind = T::KIND;
    const IS_NULLABLE: bool = true;

    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Cell::value)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// A row of a declared table.
pub trait Row: Sized {
    /// Name of the table: the folder of its files.
    const TABLE: &'static str;
    /// What a row is.
    const DOC: &'static str;
    /// The columns, in order.
    const COLUMNS: &'static [Column];

    /// The cells, in the order of the columns.
    fn values(&self) -> Vec<Value>;

    /// A row of cells in the order of the columns; `None` if one is of the wrong kind.
    fn from_values(values: Vec<Value>) -> Option<Self>;
}

/// Declares the structs of list columns: a type each, and its columns.
#[macro_export]
macro_rules! structs {
    ($($(#[doc = $doc:literal])+ $name:ident {
        $($(#[doc = $column_doc:literal])+ $column:ident: $type:ty,)+
    })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        pub struct $name { $($(#[doc = $column_doc])+ pub $column: $type,)+ }

        impl $crate::table::Cell for Vec<$name> {
            const KIND: $crate::table::Kind = $crate::table::Kind::Structs(&[$($crate::table::Column {
                name: stringify!($column),
                doc: concat!($($column_doc),+),
                kind: <$type as $crate::table::Cell>::KIND,
                is_nullable: <$type as $crate::table::Cell>::IS_NULLABLE,
            },)+]);

            fn value(&self) -> $crate::table::Value {
                let cells = |one: &$name| vec![$($crate::table::Cell::value(&one.$column),)+];
                $crate::table::Value::Structs(self.iter().map(cells).collect())
            }

            fn from_value(value: $crate::table::Value) -> Option<Self> {
                let $crate::table::Value::Structs(rows) = value else { return None };
                let one = |cells: Vec<$crate::table::Value>| {
                    let mut cells = cells.into_iter();
                    Some($name { $($column: $crate::table::Cell::from_value(cells.next()?)?,)+ })
                };
                rows.into_iter().map(one).collect()
            }
        }
    )+};
}

/// Declares tables: a row type each, and its columns.
#[macro_export]
macro_rules! tables {
    ($($(#[doc = $doc:literal])+ $table:literal: $row:ident {
        $($(#[doc = $column_doc:literal])+ $column:ident: $type:ty,)+
    })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        pub struct $row { $($(#[doc = $column_doc])+ pub $column: $type,)+ }

        impl $crate::table::Row for $row {
            const TABLE: &'static str = $table;
            const DOC: &'static str = concat!($($doc),+);
            const COLUMNS: &'static [$crate::table::Column] = &[$($crate::table::Column {
                name: stringify!($column),
                doc: concat!($($column_doc),+),
                kind: <$type as $crate::table::Cell>::KIND,
                is_nullable: <$type as $crate::table::Cell>::IS_NULLABLE,
            },)+];

            fn values(&self) -> Vec<$crate::table::Value> {
                vec![$($crate::table::Cell::value(&self.$column),)+]
            }

            fn from_values(values: Vec<$crate::table::Value>) -> Option<Self> {
                let mut values = values.into_iter();
                Some($row { $($column: $crate::table::Cell::from_value(values.next()?)?,)+ })
            }
        }
    )+};
}
