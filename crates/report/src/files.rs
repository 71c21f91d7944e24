//! Files of the store as a table of the query engine: listed already, and read by the thread that decodes them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as Parquet};
use datafusion::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use store::ListedFile;

/// Files as one table.
#[derive(Debug)]
pub(crate) struct Files {
    files: Vec<ListedFile>,
    schema: SchemaRef,
}

impl Files {
    /// Files whose columns are these; one that a file does not have is null in its rows.
    pub(crate) fn new(files: Vec<ListedFile>, schema: SchemaRef) -> Files {
        Files { files, schema }
    }
}

#[async_trait]
impl TableProvider for Files {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = state.default_table_options().parquet;
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(Opener));
        let of =
            |file: &ListedFile| PartitionedFile::new(file.path.to_string_lossy(), file.bytes).with_extension(file.path.clone());
        let files = FileGroup::new(self.files.iter().map(of).collect());
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(files.split_files(state.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Opens a table's files.
#[derive(Debug)]
struct Opener;

impl ParquetFileReaderFactory for Opener {
    fn create_reader(
        &self,
        _: usize,
        file: PartitionedFile,
        _: Option<usize>,
        _: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let path = file.extension::<PathBuf>().cloned();
        let path = path.ok_or_else(|| DataFusionError::Internal("a file without a path".to_owned()))?;
        Ok(Box::new(Reader { path, opened: None }))
    }
}

/// A file, open once it is read. What is read lies in the system's memory, mostly: a thread that waits for it costs less than
/// another that is woken for it.
struct Reader {
    path: PathBuf,
    opened: Option<Opened>,
}

struct Opened {
    file: File,
    length: u64,
}

impl Opened {
    fn open(path: &Path) -> io::Result<Opened> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Opened { file, length })
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        // A damaged footer may claim more than any memory holds.
        let length = range.end.checked_sub(range.start).filter(|_| range.end <= self.length);
        let length = length.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        let mut file = &self.file;
        file.seek(SeekFrom::Start(range.start))?;
        file.take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length { Ok(bytes.into()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Reader {
    fn open(&mut self) -> Parquet<&Opened> {
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => Opened::open(&self.path).map_err(|error| self.unreadable(&error))?,
        };
        Ok(self.opened.insert(opened))
    }

    fn bytes(&mut self, range: Range<u64>) -> Parquet<Bytes> {
        self.open()?.bytes(range).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &io::Error) -> ParquetError {
        ParquetError::General(format!("{}: {error}", self.path.display()))
    }

    fn metadata(&mut self, options: Option<&ArrowReaderOptions>) -> Parquet<Arc<ParquetMetaData>> {
        let mut reader = ParquetMetaDataReader::new();
        if let Some(options) = options {
            reader = reader
                .with_column_index_policy(options.column_index_policy())
                .with_offset_index_policy(options.offset_index_policy())
                .with_metadata_options(Some(options.metadata_options().clone()));
        }
        Ok(Arc::new(reader.parse_and_finish(&self.open()?.file)?))
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Parquet<Bytes>> {
        ready(self.bytes(range)).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Parquet<Vec<Bytes>>> {
        ready(ranges.into_iter().map(|range| self.bytes(range)).collect()).boxed()
    }

    fn get_metadata<'a>(&'a mut self, options: Option<&'a ArrowReaderOptions>) -> BoxFuture<'a, Parquet<Arc<ParquetMetaData>>> {
        ready(self.metadata(options)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_a_file_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        let opened = Opened::open(&path).unwrap();
        let from = |start: u64, end: u64| opened.bytes(Range { start, end }).ok();
        for (start, end, expected) in [
            (0, 10, Some(&b"0123456789"[..])),
            (8, 10, Some(b"89")),
            (3, 3, Some(b"")),
            (8, 11, None),
            (5, 4, None),
            (9, u64::MAX, None),
        ] {
            assert_eq!(from(start, end).as_deref(), expected, "{start} to {end}");
        }
        assert!(Opened::open(&folder.path().join("gone")).is_err());
    }
}
