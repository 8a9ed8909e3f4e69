//! The statements about boards, put together into what the registry is asked for.
//!
//! What it refuses: to show a row whose digest says that it is not what was written.

use skein_event::Environment;
use skein_event::limits::BOARDS_MAX;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::statements::{COUNT_BOARDS, DELETE_BOARD, INSERT_BOARD, SELECT_BOARD, SELECT_BOARD_IDS};
use super::{check_room, check_version, next};
use crate::error::Error;
use crate::record::{Board, BoardContent, BoardSummary, Id, Listed, Stamp};

const WHAT: &str = "board";

/// Their panels are read for their digests, one board after another, and not kept.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    environment: &Environment,
) -> Result<Listed<BoardSummary>, Error> {
    let ids = sqlx::query(SELECT_BOARD_IDS).bind(environment.as_str()).fetch_all(&mut *connection).await?;
    let mut listed = Listed { items: Vec::with_capacity(ids.len()), more: false, damaged: Vec::new() };
    for id in ids {
        let id: String = id.try_get(0).unwrap_or_default();
        let select = sqlx::query(SELECT_BOARD).bind(environment.as_str()).bind(id.as_str());
        match select.fetch_optional(&mut *connection).await?.map(|row| read(environment, &row)) {
            Some(Ok(board)) => listed.items.push(board.summary()),
            Some(Err(_)) => listed.damaged.push(id),
            None => {}
        }
    }
    Ok(listed)
}

pub(super) async fn get(
    connection: &mut SqliteConnection,
    environment: &Environment,
    id: &Id,
) -> Result<Board, Error> {
    let select = sqlx::query(SELECT_BOARD).bind(environment.as_str()).bind(id.as_str());
    match select.fetch_optional(connection).await? {
        Some(row) => read(environment, &row),
        None => Err(Error::not_found(WHAT, id)),
    }
}

pub(super) async fn create(
    connection: &mut SqliteConnection,
    environment: &Environment,
    board: Board,
) -> Result<Board, Error> {
    let mut transaction = connection.begin().await?;
    check_room(&mut transaction, ("boards", COUNT_BOARDS), environment, BOARDS_MAX).await?;
    insert(&mut transaction, environment, &board).await?;
    transaction.commit().await?;
    Ok(board)
}

pub(super) async fn replace(
    connection: &mut SqliteConnection,
    environment: &Environment,
    (id, expected): (&Id, Option<u64>),
    content: BoardContent,
    now_ns: i64,
) -> Result<Board, Error> {
    let mut transaction = connection.begin().await?;
    let before = get(&mut transaction, environment, id).await?;
    check_version(WHAT, id, expected, before.stamp.version)?;
    let board = Board { id: id.clone(), stamp: next(before.stamp, now_ns), content };
    remove(&mut transaction, environment, id).await?;
    insert(&mut transaction, environment, &board).await?;
    transaction.commit().await?;
    Ok(board)
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    environment: &Environment,
    id: &Id,
    expected: Option<u64>,
) -> Result<Option<Board>, Error> {
    let mut transaction = connection.begin().await?;
    let before = match get(&mut transaction, environment, id).await {
        Ok(before) => {
            check_version(WHAT, id, expected, before.stamp.version)?;
            Some(before)
        }
        Err(error) if error.is_damaged_record() => None,
        Err(error) => return Err(error),
    };
    remove(&mut transaction, environment, id).await?;
    transaction.commit().await?;
    Ok(before)
}

async fn remove(connection: &mut SqliteConnection, environment: &Environment, id: &Id) -> Result<(), Error> {
    let delete = sqlx::query(DELETE_BOARD).bind(environment.as_str()).bind(id.as_str());
    delete.execute(connection).await?;
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    environment: &Environment,
    board: &Board,
) -> Result<(), Error> {
    let Board { id, stamp, content } = board;
    let insert = sqlx::query(INSERT_BOARD)
        .bind(environment.as_str())
        .bind(id.as_str())
        .bind(stamp.version.cast_signed())
        .bind(stamp.created_ns)
        .bind(stamp.updated_ns)
        .bind(content.name.as_str())
        .bind(content.description.as_str())
        .bind(content.panels.as_str())
        .bind(content.panel_count.cast_signed())
        .bind(board.digest(environment));
    insert.execute(connection).await?;
    Ok(())
}

/// Reads a row that is what was written.
fn read(environment: &Environment, row: &SqliteRow) -> Result<Board, Error> {
    let text: String = row.try_get(0).unwrap_or_default();
    let damaged = || Error::damaged(WHAT, &text);
    let read = || -> Result<(Option<Id>, Stamp, BoardContent, i64), sqlx::Error> {
        let stamp = Stamp {
            version: row.try_get::<i64, _>(1)?.cast_unsigned(),
            created_ns: row.try_get(2)?,
            updated_ns: row.try_get(3)?,
        };
        let content = BoardContent {
            name: row.try_get(4)?,
            description: row.try_get(5)?,
            panels: row.try_get(6)?,
            panel_count: row.try_get::<i64, _>(7)?.cast_unsigned(),
        };
        Ok((Id::parse(&text), stamp, content, row.try_get(8)?))
    };
    let (id, stamp, content, digest) = read().map_err(|_not_of_its_type| damaged())?;
    let board = Board { id: id.ok_or_else(damaged)?, stamp, content };
    if board.digest(environment) == digest { Ok(board) } else { Err(damaged()) }
}
