//! The events in Parquet by arrow-rs: files of a row group of a million rows, sorted by service and time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowWriter, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use skein_event::EventBatch;
use std::thread;

use super::columns::{Chunk, Columns, Place, TIME};
use crate::clock;
use crate::data::{Data, decode_in_order};
use crate::report::progress;

/// Rows of a file and of its one row group: arrow-rs's default for a row group.
const FILE_ROWS: usize = 1 << 20;

/// Threads that encode columns.
const THREADS: usize = 2;

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) rows: usize,
    pub(crate) bytes: u64,
    /// Processor time of encoding alone: from Arrow arrays to compressed pages.
    pub(crate) encode_seconds: f64,
    /// Each file and the names of its columns.
    pub(crate) files: Vec<(PathBuf, Vec<String>)>,
    pub(crate) columns: Columns,
}

/// Writes all events.
pub(crate) fn write(data: &Data, zstd_level: i32, folder: &Path) -> anyhow::Result<Written> {
    let wide = data.wide().generator();
    let mut written = Written::default();
    let (mut batches, mut rows) = (Vec::new(), 0);
    decode_in_order(&wide, |decoded| {
        for batch in decoded {
            if rows + batch.rows() > FILE_ROWS {
                written.file(&batches, zstd_level, folder)?;
                (batches, rows) = (Vec::new(), 0);
            }
            rows += batch.rows();
            batches.push(batch);
        }
        Ok(true)
    })?;
    if rows > 0 {
        written.file(&batches, zstd_level, folder)?;
    }
    Ok(written)
}

/// How they were written.
pub(crate) fn notes(zstd_level: i32, written: &Written) -> String {
    format!(
        "**Parquet**: arrow-rs (`parquet` 59), {} files of one row group of up to {FILE_ROWS} rows (the library's default), \
         rows sorted by service and time, format version 2, zstd level {zstd_level}, dictionaries on, page index \
         (statistics by page), bloom filter on the trace id, times as DELTA_BINARY_PACKED, ids as fixed-size binary; {} \
         columns, absent values null. Its encoder is measured from Arrow arrays to compressed pages; building the arrays \
         is not counted. Pages carry no checksums.",
        written.files.len(),
        written.columns.columns.len() + 1
    )
}

fn properties(zstd_level: i32, rows: usize) -> anyhow::Result<WriterProperties> {
    let trace_id = ColumnPath::from(vec!["trace.trace_id".to_owned()]);
    let time = ColumnPath::from(vec![TIME.to_owned()]);
    Ok(WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_column_bloom_filter_enabled(trace_id.clone(), true)
        // Ten spans a trace.
        .set_column_bloom_filter_max_ndv(trace_id, u64::try_from(rows / 10)?.max(1))
        .set_column_dictionary_enabled(time.clone(), false)
        .set_column_encoding(time, Encoding::DELTA_BINARY_PACKED)
        .build())
}

/// A column that waits to be encoded: its place in the file.
type Task<'a> = (usize, Option<&'a (usize, Vec<Place>)>, ArrowColumnWriter);

impl Written {
    fn file(&mut self, batches: &[EventBatch], zstd_level: i32, folder: &Path) -> anyhow::Result<()> {
        let chunk = Chunk::new(batches);
        let columns = self.columns.collect(batches);
        let schema = Arc::new(self.columns.schema(&columns));
        let path = folder.join(format!("{:03}.parquet", self.files.len()));
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        let properties = properties(zstd_level, chunk.rows)?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
        let (mut writer, factory) = writer.into_serialized_writer()?;
        let columns_of_file = std::iter::once(None).chain(columns.iter().map(Some));
        let tasks = columns_of_file.zip(factory.create_column_writers(0)?).enumerate();
        let tasks: Mutex<Vec<Task<'_>>> =
            Mutex::new(tasks.map(|(place, (column, writer))| (place, column, writer)).collect());
        let encoders: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..THREADS).map(|_| scope.spawn(|| self.encode(&chunk, &schema, &tasks))).collect();
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        let mut chunks = Vec::new();
        for encoder in encoders {
            let (encoded, time) = encoder.map_err(|_| anyhow::anyhow!("an encoder died"))??;
            chunks.extend(encoded);
            self.encode_seconds += time.as_secs_f64();
        }
        chunks.sort_by_key(|(place, _)| *place);
        let mut group = writer.next_row_group()?;
        for (_, chunk) in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        writer.close()?;
        self.rows += chunk.rows;
        self.bytes += std::fs::metadata(&path)?.len();
        let names = schema.fields().iter().map(|field| field.name().clone()).collect();
        progress(&format!("{}: {} rows, {} columns", path.display(), chunk.rows, columns.len() + 1));
        self.files.push((path, names));
        Ok(())
    }

    /// Encodes columns until none is left.
    fn encode(
        &self,
        chunk: &Chunk<'_>,
        schema: &arrow_schema::Schema,
        tasks: &Mutex<Vec<Task<'_>>>,
    ) -> anyhow::Result<(Vec<(usize, ArrowColumnChunk)>, Duration)> {
        let (mut chunks, mut time) = (Vec::new(), Duration::ZERO);
        loop {
            let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((place, column, mut writer)) = task else { return Ok((chunks, time)) };
            let array = match column {
                None => chunk.times(),
                Some((index, places)) => chunk.array(self.columns.columns[*index].physical, places)?,
            };
            let begin = clock::thread_cpu();
            for leaf in compute_leaves(schema.field(place), &array)? {
                writer.write(&leaf)?;
            }
            chunks.push((place, writer.close()?));
            time += clock::thread_cpu() - begin;
        }
    }
}
