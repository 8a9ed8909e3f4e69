//! The statements about markers, put together into what the registry is asked for.
//!
//! What it refuses: to show a row whose digest says that it is not what was written.

use skein_event::Environment;
use skein_event::limits::MARKERS_MAX;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::statements::{COUNT_MARKERS, DELETE_MARKER, INSERT_MARKER, SELECT_MARKER, SELECT_MARKERS};
use super::{check_room, check_version, next};
use crate::error::Error;
use crate::record::{Id, Listed, Marker, MarkerContent, MarkersWanted, Stamp};

const WHAT: &str = "marker";

pub(super) async fn list(
    connection: &mut SqliteConnection,
    environment: &Environment,
    wanted: &MarkersWanted,
) -> Result<Listed<Marker>, Error> {
    let select = sqlx::query(SELECT_MARKERS)
        .bind(environment.as_str())
        .bind(wanted.end_ns)
        .bind(wanted.start_ns)
        .bind(wanted.dataset.as_deref())
        .bind(wanted.kind.as_deref())
        .bind(i64::try_from(wanted.limit).unwrap_or(i64::MAX).saturating_add(1));
    let rows = select.fetch_all(connection).await?;
    let more = rows.len() > wanted.limit;
    let mut listed = Listed { items: Vec::with_capacity(rows.len()), more, damaged: Vec::new() };
    for row in rows.iter().take(wanted.limit) {
        match read(environment, row) {
            Ok(marker) => listed.items.push(marker),
            Err(_) => listed.damaged.push(row.try_get::<String, _>(0).unwrap_or_default()),
        }
    }
    Ok(listed)
}

pub(super) async fn get(
    connection: &mut SqliteConnection,
    environment: &Environment,
    id: &Id,
) -> Result<Marker, Error> {
    let select = sqlx::query(SELECT_MARKER).bind(environment.as_str()).bind(id.as_str());
    match select.fetch_optional(connection).await? {
        Some(row) => read(environment, &row),
        None => Err(Error::not_found(WHAT, id)),
    }
}

pub(super) async fn create(
    connection: &mut SqliteConnection,
    environment: &Environment,
    marker: Marker,
) -> Result<Marker, Error> {
    let mut transaction = connection.begin().await?;
    check_room(&mut transaction, ("markers", COUNT_MARKERS), environment, MARKERS_MAX).await?;
    insert(&mut transaction, environment, &marker).await?;
    transaction.commit().await?;
    Ok(marker)
}

pub(super) async fn replace(
    connection: &mut SqliteConnection,
    environment: &Environment,
    (id, expected): (&Id, Option<u64>),
    content: MarkerContent,
    now_ns: i64,
) -> Result<Marker, Error> {
    let mut transaction = connection.begin().await?;
    let before = get(&mut transaction, environment, id).await?;
    check_version(WHAT, id, expected, before.stamp.version)?;
    let marker = Marker { id: id.clone(), stamp: next(before.stamp, now_ns), content };
    remove(&mut transaction, environment, id).await?;
    insert(&mut transaction, environment, &marker).await?;
    transaction.commit().await?;
    Ok(marker)
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    environment: &Environment,
    id: &Id,
    expected: Option<u64>,
) -> Result<Option<Marker>, Error> {
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
    let delete = sqlx::query(DELETE_MARKER).bind(environment.as_str()).bind(id.as_str());
    delete.execute(connection).await?;
    Ok(())
}

async fn insert(
    connection: &mut SqliteConnection,
    environment: &Environment,
    marker: &Marker,
) -> Result<(), Error> {
    let Marker { id, stamp, content } = marker;
    let insert = sqlx::query(INSERT_MARKER)
        .bind(environment.as_str())
        .bind(id.as_str())
        .bind(stamp.version.cast_signed())
        .bind(stamp.created_ns)
        .bind(stamp.updated_ns)
        .bind(content.start_ns)
        .bind(content.end_ns)
        .bind(content.kind.as_str())
        .bind(content.message.as_str())
        .bind(content.url.as_deref())
        .bind(content.dataset.as_deref())
        .bind(marker.digest(environment));
    insert.execute(connection).await?;
    Ok(())
}

/// Reads a row that is what was written.
fn read(environment: &Environment, row: &SqliteRow) -> Result<Marker, Error> {
    let text: String = row.try_get(0).unwrap_or_default();
    let damaged = || Error::damaged(WHAT, &text);
    let read = || -> Result<(Option<Id>, Stamp, MarkerContent, i64), sqlx::Error> {
        let stamp = Stamp {
            version: row.try_get::<i64, _>(1)?.cast_unsigned(),
            created_ns: row.try_get(2)?,
            updated_ns: row.try_get(3)?,
        };
        let content = MarkerContent {
            start_ns: row.try_get(4)?,
            end_ns: row.try_get(5)?,
            kind: row.try_get(6)?,
            message: row.try_get(7)?,
            url: row.try_get(8)?,
            dataset: row.try_get(9)?,
        };
        Ok((Id::parse(&text), stamp, content, row.try_get(10)?))
    };
    let (id, stamp, content, digest) = read().map_err(|_not_of_its_type| damaged())?;
    let marker = Marker { id: id.ok_or_else(damaged)?, stamp, content };
    if marker.digest(environment) == digest { Ok(marker) } else { Err(damaged()) }
}
