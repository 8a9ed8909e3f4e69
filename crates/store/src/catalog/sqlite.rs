//! The catalog in SQLite: `catalog.sqlite`, write-ahead journal, `synchronous=FULL`.
//!
//! One thread owns the connection and its small runtime, and takes one call after another: callers are
//! plain threads, and none of them may block inside an async runtime of somebody else's.

mod queries;

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::mpsc;
use std::thread::JoinHandle;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use self::queries::{
    check_sums, content, copy_into, fill, has_segment, import_row, integrity, is_empty, partition_row,
    salvage_imports, segment_row, select, take_over, write_all_sums, write_commit,
};
use super::statements::*;
use super::{Catalog, Commit, Content, ImportLines, PartitionMark, SegmentId, SegmentRow};
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
    Content(Answer<Content>),
    HasSegment(SegmentId, Answer<bool>),
    Commit(Box<Commit>, Answer<()>),
    Fill(Box<Content>, Answer<()>),
    Salvage(Answer<Vec<ImportLines>>),
    Integrity(Answer<Vec<String>>),
    CopyInto(PathBuf, Answer<()>),
}

type Answer<T> = mpsc::SyncSender<Result<T, Error>>;

/// The catalog of one machine.
#[derive(Debug)]
pub struct SqliteCatalog {
    calls: mpsc::SyncSender<Call>,
    thread: JoinHandle<()>,
}

/// For whom a catalog is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    /// Its owner, who writes it, and makes it when there is none.
    Own,
    /// A reader beside the owner.
    Read,
    /// Somebody who does not know the tables.
    Look,
}

impl SqliteCatalog {
    /// Opens the catalog, which is made when there is none. Rows that are not those that were written are an
    /// error of kind `Damaged`.
    pub fn open(path: &Path) -> Result<SqliteCatalog, Error> {
        SqliteCatalog::open_for(path, Access::Own)
    }

    /// Opens a catalog that may belong to a running server, and changes nothing.
    pub fn open_to_read(path: &Path) -> Result<SqliteCatalog, Error> {
        SqliteCatalog::open_for(path, Access::Read)
    }

    /// Writes everything into a new catalog, as one transaction.
    pub fn fill(&self, content: Content) -> Result<(), Error> {
        self.call(|answer| Call::Fill(Box::new(content), answer))
    }

    /// What SQLite itself finds wrong with the file; empty when nothing is.
    pub fn integrity(&self) -> Result<Vec<String>, Error> {
        self.call(Call::Integrity)
    }

    /// The lines of imported files that a damaged catalog still tells: those of the partitions whose rows are what
    /// was written. Segments say nothing about them.
    pub fn salvage_imports(path: &Path) -> Result<Vec<ImportLines>, Error> {
        SqliteCatalog::open_for(path, Access::Look)?.call(Call::Salvage)
    }

    /// As [`SqliteCatalog::integrity`], of any file of SQLite's.
    pub fn integrity_of(path: &Path) -> Result<Vec<String>, Error> {
        SqliteCatalog::open_for(path, Access::Look)?.integrity()
    }

    /// As [`SqliteCatalog::copy_into`], of any file of SQLite's.
    pub fn copy_of(path: &Path, target: &Path) -> Result<(), Error> {
        SqliteCatalog::open_for(path, Access::Look)?.copy_into(target)
    }

    /// Writes a copy as of one moment to a path that is free.
    pub fn copy_into(&self, path: &Path) -> Result<(), Error> {
        self.call(|answer| Call::CopyInto(path.to_owned(), answer))
    }

    /// Waits until the file is closed: dropping only lets go of it.
    pub fn close(self) -> Result<(), Error> {
        let SqliteCatalog { calls, thread } = self;
        drop(calls);
        thread.join().map_err(|_| gone())
    }

    fn open_for(path: &Path, access: Access) -> Result<SqliteCatalog, Error> {
        let (calls, received) = mpsc::sync_channel(CALLS_WAITING_MAX);
        let (opened, outcome) = mpsc::sync_channel(1);
        let path = path.to_owned();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(serve(&path, access, &received, &opened)),
                Err(error) => {
                    let error = Error::with_source(ErrorKind::Catalog, "the catalog cannot start", error);
                    opened.send(Err(error)).ok();
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("skein-catalog".to_owned())
            .spawn(serve)
            .map_err(|error| Error::with_source(ErrorKind::Catalog, "the catalog cannot start", error))?;
        outcome.recv().unwrap_or_else(|_| Err(gone()))?;
        Ok(SqliteCatalog { calls, thread })
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

    fn content(&self) -> Result<Content, Error> {
        self.call(Call::Content)
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

/// SQLITE_CORRUPT and SQLITE_NOTADB: the file is not what SQLite wrote.
const CODES_OF_DAMAGE: [&str; 2] = ["11", "26"];

/// What to do about a catalog that is damaged or gone.
const WHAT_TO_DO: &str = "Stop the server and run `skein doctor --rebuild-catalog DIR`, which makes a new one \
     from the segments and the log; segments and log are untouched";

fn failed(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    // Extended codes have the plain one in their lowest byte.
    let code = code.and_then(|code| code.parse::<u32>().ok()).map(|code| (code & 0xff).to_string());
    if code.is_some_and(|code| CODES_OF_DAMAGE.contains(&code.as_str())) {
        let message = format!("the catalog is damaged: {error}. {WHAT_TO_DO}");
        return Error::with_source(ErrorKind::Damaged, message, error);
    }
    Error::with_source(ErrorKind::Catalog, format!("the catalog failed: {error}"), error)
}

fn damaged() -> Error {
    Error::damaged(format!("a row of the catalog holds a value that it cannot hold. {WHAT_TO_DO}"))
}

// A caller that no longer waits for its answer needs none: failed sends are no errors here.
async fn serve(path: &Path, access: Access, calls: &mpsc::Receiver<Call>, opened: &Answer<()>) {
    let mut connection = match connect(path, access).await {
        Ok(connection) => connection,
        Err(error) => {
            opened.send(Err(error.context(&path.display().to_string()))).ok();
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
            Call::Content(answer) => {
                answer.send(content(&mut connection).await).ok();
            }
            Call::HasSegment(id, answer) => {
                answer.send(has_segment(&mut connection, &id).await).ok();
            }
            Call::Commit(commit, answer) => {
                answer.send(write_commit(&mut connection, &commit).await).ok();
            }
            Call::Fill(content, answer) => {
                answer.send(fill(&mut connection, &content).await).ok();
            }
            Call::Salvage(answer) => {
                answer.send(salvage_imports(&mut connection).await).ok();
            }
            Call::Integrity(answer) => {
                answer.send(integrity(&mut connection).await).ok();
            }
            Call::CopyInto(path, answer) => {
                answer.send(copy_into(&mut connection, &path).await).ok();
            }
        }
    }
    // Every commit is durable by itself; closing only tidies the journal up.
    connection.close().await.ok();
}

async fn connect(path: &Path, access: Access) -> Result<SqliteConnection, Error> {
    let mut options = SqliteConnectOptions::from_str("sqlite:").map_err(failed)?.filename(path);
    options = match access {
        Access::Own => options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full),
        Access::Read | Access::Look => options.read_only(true),
    };
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    if access == Access::Look {
        return Ok(connection);
    }
    if access == Access::Own {
        for &table in TABLES {
            connection.execute(table).await.map_err(failed)?;
        }
    }
    let version: Option<i64> =
        sqlx::query_scalar(SELECT_VERSION).fetch_optional(&mut connection).await.map_err(failed)?;
    match (version, access) {
        (Some(SCHEMA_VERSION), _) => check_sums(&mut connection).await?,
        // The sums begin with what is there.
        (Some(1), Access::Own) => write_all_sums(&mut connection, UPDATE_VERSION).await?,
        (None, Access::Own) if is_empty(&mut connection).await? => {
            write_all_sums(&mut connection, INSERT_VERSION).await?;
        }
        (None, Access::Own) => return Err(damaged()),
        (Some(1) | None, _) => {}
        (Some(other), _) => {
            let message = format!("the catalog has version {other}; this Skein reads up to {SCHEMA_VERSION}");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    }
    Ok(connection)
}
