//! Rows to Parquet and back: schema, publishing, compaction
