//! The catalog in SQLite: `catalog.sqlite`, write-ahead journal, `synchronous=FULL`.
//!
//! One thread owns the connection and its small runtime, and takes one call after another: callers are
//! plain threads, and none of them may block inside an async runtime of somebody else's.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::mpsc;

use skein_event::ids::{Environment, Offset, Partition};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{Connection as _, Executor as _, Row as _, SqliteConnection};

use super::memory::fenced;
use super::statements::*;
use super::{Catalog, Commit, ImportLines, PartitionMark, SegmentId, SegmentRow};
use crate::error::{Error, ErrorKind};

/// Calls that may wait for the catalog's thread. Callers block for the answer, so there is at most one per
/// thread of the store.
const CALLS_WAITING_MAX: usize = 64;

/// A call, and where its answer goes.
enum Call {
    Partitions(Answer<Vec<PartitionMark>>),
    TakeOver(u16, Answer<Vec<PartitionMark>>),
    Segments(Answer<Vec<SegmentRow>>),
    Imports(Answer<Vec<ImportLines>>),
    HasSegment(SegmentId, Answer<bool>),
    Commit(Box<Commit>, Answer<()>),
}

type Answer<T> = mpsc::SyncSender<Result<T, Error>>;

/// The catalog of one machine.
#[derive(Debug)]
pub struct SqliteCatalog {
    calls: mpsc::SyncSender<Call>,
}

impl SqliteCatalog {
    /// Opens the catalog, which is made when there is none.
    pub fn open(path: &Path) -> Result<SqliteCatalog, Error> {
        let (calls, received) = mpsc::sync_channel(CALLS_WAITING_MAX);
        let (opened, outcome) = mpsc::sync_channel(1);
        let path = path.to_owned();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(serve(&path, &received, &opened)),
                Err(error) => {
                    let error = Error::with_source(ErrorKind::Catalog, "the catalog cannot start", error);
                    opened.send(Err(error)).ok();
                }
            }
        };
        std::thread::Builder::new()
            .name("skein-catalog".to_owned())
            .spawn(serve)
            .map_err(|error| Error::with_source(ErrorKind::Catalog, "the catalog cannot start", error))?;
        outcome.recv().unwrap_or_else(|_| Err(gone()))?;
        Ok(SqliteCatalog { calls })
    }

    fn call<T>(&self, call: impl FnOnce(Answer<T>) -> Call) -> Result<T, Error> {
        let (answer, outcome) = mpsc::sync_channel(1);
        self.calls.send(call(answer)).map_err(|_| gone())?;
        outcome.recv().unwrap_or_else(|_| Err(gone()))
    }
}

impl Catalog for SqliteCatalog {
    fn partitions(&self) -> Result<Vec<PartitionMark>, Error> {
        self.call(Call::Partitions)
    }

    fn take_over(&self, partitions: u16) -> Result<Vec<PartitionMark>, Error> {
        self.call(|answer| Call::TakeOver(partitions, answer))
    }

    fn segments(&self) -> Result<Vec<SegmentRow>, Error> {
        self.call(Call::Segments)
    }

    fn imports(&self) -> Result<Vec<ImportLines>, Error> {
        self.call(Call::Imports)
    }

    fn has_segment(&self, id: &SegmentId) -> Result<bool, Error> {
        self.call(|answer| Call::HasSegment(id.clone(), answer))
    }

    fn commit(&self, commit: &Commit) -> Result<(), Error> {
        self.call(|answer| Call::Commit(Box::new(commit.clone()), answer))
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Catalog, "the catalog's thread has ended")
}

fn failed(error: sqlx::Error) -> Error {
    Error::with_source(ErrorKind::Catalog, format!("the catalog failed: {error}"), error)
}

fn damaged() -> Error {
    Error::damaged("a row of the catalog holds a value that it cannot hold")
}

// A caller that no longer waits for its answer needs none: failed sends are no errors here.
async fn serve(path: &Path, calls: &mpsc::Receiver<Call>, opened: &Answer<()>) {
    let mut connection = match connect(path).await {
        Ok(connection) => connection,
        Err(error) => {
            opened.send(Err(error)).ok();
            return;
        }
    };
    opened.send(Ok(())).ok();
    while let Ok(call) = calls.recv() {
        match call {
            Call::Partitions(answer) => {
                answer.send(select(&mut connection, SELECT_PARTITIONS, partition_row).await).ok();
            }
            Call::TakeOver(partitions, answer) => {
                answer.send(take_over(&mut connection, partitions).await).ok();
            }
            Call::Segments(answer) => {
                answer.send(select(&mut connection, SELECT_SEGMENTS, segment_row).await).ok();
            }
            Call::Imports(answer) => {
                answer.send(select(&mut connection, SELECT_IMPORTS, import_row).await).ok();
            }
            Call::HasSegment(id, answer) => {
                answer.send(has_segment(&mut connection, &id).await).ok();
            }
            Call::Commit(commit, answer) => {
                answer.send(write_commit(&mut connection, &commit).await).ok();
            }
        }
    }
    // Every commit is durable by itself; closing only tidies the journal up.
    connection.close().await.ok();
}

async fn connect(path: &Path) -> Result<SqliteConnection, Error> {
    let options = SqliteConnectOptions::from_str("sqlite:")
        .map_err(failed)?
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    for &table in TABLES {
        connection.execute(table).await.map_err(failed)?;
    }
    let version: Option<i64> =
        sqlx::query_scalar(SELECT_VERSION).fetch_optional(&mut connection).await.map_err(failed)?;
    match version {
        Some(SCHEMA_VERSION) => {}
        Some(other) => {
            let message = format!("the catalog has version {other}; this Skein reads {SCHEMA_VERSION}");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        None => {
            let insert = sqlx::query(INSERT_VERSION).bind(SCHEMA_VERSION);
            insert.execute(&mut connection).await.map_err(failed)?;
        }
    }
    Ok(connection)
}

async fn take_over(connection: &mut SqliteConnection, partitions: u16) -> Result<Vec<PartitionMark>, Error> {
    let mut transaction = connection.begin().await.map_err(failed)?;
    for partition in 0..partitions {
        let take = sqlx::query(TAKE_OVER).bind(i64::from(partition)).bind(Vec::<u8>::new());
        take.execute(&mut *transaction).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    select(connection, SELECT_PARTITIONS, partition_row).await
}

async fn select<T>(
    connection: &mut SqliteConnection,
    statement: &'static str,
    read: fn(&SqliteRow) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let rows = sqlx::query(statement).fetch_all(connection).await.map_err(failed)?;
    rows.iter().map(read).collect()
}

async fn has_segment(connection: &mut SqliteConnection, id: &SegmentId) -> Result<bool, Error> {
    let count = sqlx::query_scalar(COUNT_SEGMENT).bind(id.as_str());
    let count: i64 = count.fetch_one(connection).await.map_err(failed)?;
    Ok(count > 0)
}

async fn write_commit(connection: &mut SqliteConnection, commit: &Commit) -> Result<(), Error> {
    let mut transaction = connection.begin().await.map_err(failed)?;
    let moved = sqlx::query(MOVE_LOW)
        .bind(commit.new_low.0.cast_signed())
        .bind(commit.applied.clone())
        .bind(i64::from(commit.partition.0))
        .bind(commit.epoch.cast_signed())
        .bind(commit.expected_low.0.cast_signed());
    let moved = moved.execute(&mut *transaction).await.map_err(failed)?;
    if moved.rows_affected() != 1 {
        transaction.rollback().await.map_err(failed)?;
        return Err(fenced(commit));
    }
    for id in &commit.remove {
        let removed = sqlx::query(DELETE_SEGMENT).bind(id.as_str()).bind(i64::from(commit.partition.0));
        let removed = removed.execute(&mut *transaction).await.map_err(failed)?;
        if removed.rows_affected() != 1 {
            transaction.rollback().await.map_err(failed)?;
            return Err(fenced(commit));
        }
    }
    for row in &commit.add {
        let insert = sqlx::query(INSERT_SEGMENT)
            .bind(row.id.as_str())
            .bind(row.environment.as_str())
            .bind(i64::from(row.partition.0))
            .bind(i64::from(row.day))
            .bind(row.rows.cast_signed())
            .bind(row.bytes.cast_signed())
            .bind(row.time_range.0)
            .bind(row.time_range.1)
            .bind(row.ingest_range.0)
            .bind(row.ingest_range.1)
            .bind(row.offset_range.0.cast_signed())
            .bind(row.offset_range.1.cast_signed());
        insert.execute(&mut *transaction).await.map_err(failed)?;
    }
    for lines in &commit.imports {
        let put = sqlx::query(PUT_IMPORT)
            .bind(lines.environment.as_str())
            .bind(i64::from(lines.partition.0))
            .bind(lines.file.to_vec())
            .bind(i64::from(lines.number))
            .bind(lines.bits.clone());
        put.execute(&mut *transaction).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

fn partition(number: i64) -> Result<Partition, Error> {
    u16::try_from(number).map(Partition).map_err(|_| damaged())
}

fn environment(name: &str) -> Result<Environment, Error> {
    Environment::new(name).ok_or_else(damaged)
}

fn partition_row(row: &SqliteRow) -> Result<PartitionMark, Error> {
    Ok(PartitionMark {
        partition: partition(row.try_get(0).map_err(failed)?)?,
        epoch: row.try_get::<i64, _>(1).map_err(failed)?.cast_unsigned(),
        low: Offset(row.try_get::<i64, _>(2).map_err(failed)?.cast_unsigned()),
        applied: row.try_get(3).map_err(failed)?,
    })
}

fn segment_row(row: &SqliteRow) -> Result<SegmentRow, Error> {
    let number = |column: usize| row.try_get::<i64, _>(column).map_err(failed);
    let count = |column: usize| number(column).map(i64::cast_unsigned);
    Ok(SegmentRow {
        id: SegmentId::parse(row.try_get(0).map_err(failed)?).ok_or_else(damaged)?,
        environment: environment(row.try_get(1).map_err(failed)?)?,
        partition: partition(number(2)?)?,
        day: i32::try_from(number(3)?).map_err(|_| damaged())?,
        rows: count(4)?,
        bytes: count(5)?,
        time_range: (number(6)?, number(7)?),
        ingest_range: (number(8)?, number(9)?),
        offset_range: (count(10)?, count(11)?),
    })
}

fn import_row(row: &SqliteRow) -> Result<ImportLines, Error> {
    let file: Vec<u8> = row.try_get(2).map_err(failed)?;
    Ok(ImportLines {
        environment: environment(row.try_get(0).map_err(failed)?)?,
        partition: partition(row.try_get(1).map_err(failed)?)?,
        file: file.try_into().map_err(|_| damaged())?,
        number: u32::try_from(row.try_get::<i64, _>(3).map_err(failed)?).map_err(|_| damaged())?,
        bits: row.try_get(4).map_err(failed)?,
    })
}
