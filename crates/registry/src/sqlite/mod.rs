//! The registry in SQLite: `registry.sqlite`, write-ahead journal, `synchronous=FULL`.
//!
//! As of the catalog, one thread owns the connection and its small runtime and takes one piece of work after another:
//! callers are plain threads, and none of them may block inside an async runtime of somebody else's. Every change is a
//! transaction of its own, durable before the caller learns of it.
//!
//! What it refuses: a file that a newer version wrote.

mod boards;
mod markers;
mod statements;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::mpsc;

use skein_event::Environment;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use self::statements::{INSERT_VERSION, SCHEMA_VERSION, SELECT_VERSION, TABLES, VERSION_TABLE};
use crate::Registry;
use crate::error::{Error, ErrorKind};
use crate::record::{
    Board, BoardContent, BoardSummary, Id, Listed, Marker, MarkerContent, MarkersWanted, Stamp,
};

/// Calls that may wait for the registry's thread; the next one blocks. Callers block for their answer, so that there
/// is at most one per thread.
const CALLS_WAITING_MAX: usize = 64;

/// Work on the connection, on its own thread.
type Work<'c, T> = Pin<Box<dyn Future<Output = T> + 'c>>;
type Call = Box<dyn for<'c> FnOnce(Result<&'c mut SqliteConnection, Error>) -> Work<'c, ()> + Send>;

/// What the thread is asked for.
enum Message {
    Call(Call),
    /// To close the file, and to tell when that is done.
    Close(mpsc::SyncSender<()>),
}

/// The registry of one machine.
#[derive(Debug)]
pub struct SqliteRegistry {
    calls: mpsc::SyncSender<Message>,
}

impl SqliteRegistry {
    /// A registry in a file, which is made when there is none. It is opened by the first call that succeeds in it, so
    /// that a file that is damaged or gone is an error of calls, and serves again once it is restored.
    pub fn new(path: &Path) -> Result<SqliteRegistry, Error> {
        let (calls, received) = mpsc::sync_channel::<Message>(CALLS_WAITING_MAX);
        let path = path.to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::from(sqlx::Error::from(error)))?;
        let thread = std::thread::Builder::new().name("skein-registry".to_owned());
        let thread = thread.spawn(move || runtime.block_on(serve(&path, &received)));
        thread.map_err(|error| Error::from(sqlx::Error::from(error)))?;
        Ok(SqliteRegistry { calls })
    }

    /// A registry that is forgotten with the process: for tests.
    pub fn in_memory() -> Result<SqliteRegistry, Error> {
        SqliteRegistry::new(Path::new(":memory:"))
    }

    /// Opens the file now.
    pub fn check(&self) -> Result<(), Error> {
        self.call(|_connection| Box::pin(async { Ok(()) }))
    }

    /// Closes the file; a later call opens it again.
    ///
    /// POST: nothing is written to it any more, so that it may be copied or replaced.
    pub fn close(&self) {
        let (answer, outcome) = mpsc::sync_channel(1);
        if self.calls.send(Message::Close(answer)).is_ok() {
            outcome.recv().ok();
        }
    }

    fn call<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, outcome) = mpsc::sync_channel(1);
        let call: Call = Box::new(move |connection| {
            Box::pin(async move {
                let done = match connection {
                    Ok(connection) => work(connection).await,
                    Err(error) => Err(error),
                };
                // A caller that no longer waits needs no answer.
                answer.send(done).ok();
            })
        });
        self.calls.send(Message::Call(call)).map_err(|_| gone())?;
        outcome.recv().unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Io, "the registry's thread has ended; start the server again")
}

async fn serve(path: &Path, calls: &mpsc::Receiver<Message>) {
    let mut open: Option<SqliteConnection> = None;
    while let Ok(message) = calls.recv() {
        let call = match message {
            Message::Call(call) => call,
            Message::Close(answer) => {
                close(open.take()).await;
                answer.send(()).ok();
                continue;
            }
        };
        let connection = match open.take() {
            Some(connection) => Ok(connection),
            None => connect(path).await,
        };
        match connection {
            Ok(connection) => call(Ok(open.insert(connection))).await,
            Err(error) => call(Err(error)).await,
        }
    }
    close(open).await;
}

/// Every change is durable by itself; closing only tidies the journal up.
async fn close(open: Option<SqliteConnection>) {
    if let Some(connection) = open {
        connection.close().await.ok();
    }
}

async fn connect(path: &Path) -> Result<SqliteConnection, Error> {
    let options = SqliteConnectOptions::from_str("sqlite:")?
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut transaction = connection.begin().await?;
    // Looked at before any other table is made: what a newer version wrote is left as it is.
    transaction.execute(VERSION_TABLE).await?;
    let version: Option<i64> = sqlx::query_scalar(SELECT_VERSION).fetch_optional(&mut *transaction).await?;
    match version {
        Some(SCHEMA_VERSION) => {}
        Some(other) => {
            let message = format!(
                "registry.sqlite has version {other}, this Skein reads up to {SCHEMA_VERSION}: start the Skein that wrote it"
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        None => {
            for &table in TABLES {
                transaction.execute(table).await?;
            }
            sqlx::query(INSERT_VERSION).bind(SCHEMA_VERSION).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await?;
    Ok(connection)
}

/// Fails unless a record has the version that was expected of it, if one was.
fn check_version(what: &str, id: &Id, expected: Option<u64>, version: u64) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != version => {
            let message = format!("the {what} {id} has version {version}, and {expected} was to be changed");
            Err(Error::new(ErrorKind::Conflict { version }, message))
        }
        _ => Ok(()),
    }
}

/// Fails when there are as many as there may be.
async fn check_room(
    connection: &mut SqliteConnection,
    (what, count): (&str, &'static str),
    environment: &Environment,
    max: usize,
) -> Result<(), Error> {
    let count: i64 = sqlx::query_scalar(count).bind(environment.as_str()).fetch_one(connection).await?;
    if usize::try_from(count).unwrap_or(usize::MAX) < max {
        return Ok(());
    }
    let message = format!("the environment {environment} has {max} {what}, as many as it may");
    Err(Error::new(ErrorKind::Full { max: max as u64 }, message))
}

/// The stamp of a record's next version.
fn next(stamp: Stamp, now_ns: i64) -> Stamp {
    Stamp { version: stamp.version.saturating_add(1), updated_ns: now_ns, ..stamp }
}

/// The stamp of a new record.
fn first(now_ns: i64) -> Stamp {
    Stamp { version: 1, created_ns: now_ns, updated_ns: now_ns }
}

// === impl Registry for SqliteRegistry ===

impl Registry for SqliteRegistry {
    fn markers(&self, environment: &Environment, wanted: &MarkersWanted) -> Result<Listed<Marker>, Error> {
        let (environment, wanted) = (environment.clone(), wanted.clone());
        self.call(move |connection| {
            Box::pin(async move { markers::list(connection, &environment, &wanted).await })
        })
    }

    fn marker(&self, environment: &Environment, id: &Id) -> Result<Marker, Error> {
        let (environment, id) = (environment.clone(), id.clone());
        self.call(move |connection| {
            Box::pin(async move { markers::get(connection, &environment, &id).await })
        })
    }

    fn create_marker(
        &self,
        environment: &Environment,
        id: &Id,
        content: MarkerContent,
        now_ns: i64,
    ) -> Result<Marker, Error> {
        let environment = environment.clone();
        let marker = Marker { id: id.clone(), stamp: first(now_ns), content };
        self.call(move |connection| {
            Box::pin(async move { markers::create(connection, &environment, marker).await })
        })
    }

    fn replace_marker(
        &self,
        environment: &Environment,
        id: &Id,
        content: MarkerContent,
        expected: Option<u64>,
        now_ns: i64,
    ) -> Result<Marker, Error> {
        let (environment, id) = (environment.clone(), id.clone());
        self.call(move |connection| {
            Box::pin(async move {
                markers::replace(connection, &environment, (&id, expected), content, now_ns).await
            })
        })
    }

    fn delete_marker(
        &self,
        environment: &Environment,
        id: &Id,
        expected: Option<u64>,
    ) -> Result<Option<Marker>, Error> {
        let (environment, id) = (environment.clone(), id.clone());
        self.call(move |connection| {
            Box::pin(async move { markers::delete(connection, &environment, &id, expected).await })
        })
    }

    fn boards(&self, environment: &Environment) -> Result<Listed<BoardSummary>, Error> {
        let environment = environment.clone();
        self.call(move |connection| Box::pin(async move { boards::list(connection, &environment).await }))
    }

    fn board(&self, environment: &Environment, id: &Id) -> Result<Board, Error> {
        let (environment, id) = (environment.clone(), id.clone());
        self.call(move |connection| Box::pin(async move { boards::get(connection, &environment, &id).await }))
    }

    fn create_board(
        &self,
        environment: &Environment,
        id: &Id,
        content: BoardContent,
        now_ns: i64,
    ) -> Result<Board, Error> {
        let environment = environment.clone();
        let board = Board { id: id.clone(), stamp: first(now_ns), content };
        self.call(move |connection| {
            Box::pin(async move { boards::create(connection, &environment, board).await })
        })
    }

    fn replace_board(
        &self,
        environment: &Environment,
        id: &Id,
        content: BoardContent,
        expected: Option<u64>,
        now_ns: i64,
    ) -> Result<Board, Error> {
        let (environment, id) = (environment.clone(), id.clone());
        self.call(move |connection| {
            Box::pin(async move {
                boards::replace(connection, &environment, (&id, expected), content, now_ns).await
            })
        })
    }

    fn delete_board(
        &self,
        environment: &Environment,
        id: &Id,
        expected: Option<u64>,
    ) -> Result<Option<Board>, Error> {
        let (environment, id) = (environment.clone(), id.clone());
        self.call(move |connection| {
            Box::pin(async move { boards::delete(connection, &environment, &id, expected).await })
        })
    }
}
