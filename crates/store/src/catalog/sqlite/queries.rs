//! The catalog's statements, put together into what its thread is asked for.

use std::collections::BTreeMap;
use std::path::Path;

use skein_event::ids::{Environment, Offset, Partition};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::{WHAT_TO_DO, damaged, failed};
use crate::catalog::memory::fenced;
use crate::catalog::statements::*;
use crate::catalog::sums::{Sums, sums_of};
use crate::catalog::{Commit, Content, ImportLines, PartitionMark, SegmentId, SegmentRow};
use crate::error::Error;

pub(super) async fn take_over(
    connection: &mut SqliteConnection,
    partitions: u16,
) -> Result<Vec<PartitionMark>, Error> {
    let mut transaction = connection.begin().await.map_err(failed)?;
    for partition in 0..partitions {
        let take = sqlx::query(TAKE_OVER).bind(i64::from(partition)).bind(Vec::<u8>::new());
        take.execute(&mut *transaction).await.map_err(failed)?;
    }
    let marks = select(&mut transaction, SELECT_PARTITIONS, partition_row).await?;
    let mut sums = read_sums(&mut transaction).await?;
    for mark in &marks {
        let sums = sums.entry(mark.partition).or_default();
        sums.mark = mark.digest();
        write_sums(&mut transaction, mark.partition, sums).await?;
    }
    transaction.commit().await.map_err(failed)?;
    select(connection, SELECT_PARTITIONS, partition_row).await
}

pub(super) async fn select<T>(
    connection: &mut SqliteConnection,
    statement: &'static str,
    read: fn(&SqliteRow) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let rows = sqlx::query(statement).fetch_all(connection).await.map_err(failed)?;
    rows.iter().map(read).collect()
}

pub(super) async fn has_segment(connection: &mut SqliteConnection, id: &SegmentId) -> Result<bool, Error> {
    let count = sqlx::query_scalar(COUNT_SEGMENT).bind(id.as_str());
    let count: i64 = count.fetch_one(connection).await.map_err(failed)?;
    Ok(count > 0)
}

pub(super) async fn write_commit(connection: &mut SqliteConnection, commit: &Commit) -> Result<(), Error> {
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
    let mut sums = read_sums(&mut transaction).await?.remove(&commit.partition).unwrap_or_default();
    let (partition, epoch, low) = (commit.partition, commit.epoch, commit.new_low);
    sums.mark = PartitionMark { partition, epoch, low, applied: commit.applied.clone() }.digest();
    for id in &commit.remove {
        let row = sqlx::query(SELECT_SEGMENT).bind(id.as_str());
        let row = row.fetch_optional(&mut *transaction).await.map_err(failed)?;
        let removed = sqlx::query(DELETE_SEGMENT).bind(id.as_str()).bind(i64::from(commit.partition.0));
        let removed = removed.execute(&mut *transaction).await.map_err(failed)?;
        let (1, Some(row)) = (removed.rows_affected(), row) else {
            transaction.rollback().await.map_err(failed)?;
            return Err(fenced(commit));
        };
        sums.remove_segment(&segment_row(&row)?);
    }
    for row in &commit.add {
        insert_segment(&mut transaction, row).await?;
        sums.add_segment(row);
    }
    for lines in &commit.imports {
        let before = sqlx::query(SELECT_IMPORT)
            .bind(lines.environment.as_str())
            .bind(i64::from(lines.partition.0))
            .bind(lines.file.to_vec())
            .bind(i64::from(lines.number));
        if let Some(before) = before.fetch_optional(&mut *transaction).await.map_err(failed)? {
            sums.remove_import(&import_row(&before)?);
        }
        put_import(&mut transaction, lines).await?;
        sums.add_import(lines);
    }
    write_sums(&mut transaction, commit.partition, &sums).await?;
    transaction.commit().await.map_err(failed)
}

async fn insert_segment(connection: &mut SqliteConnection, row: &SegmentRow) -> Result<(), Error> {
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
    insert.execute(connection).await.map(drop).map_err(failed)
}

async fn put_import(connection: &mut SqliteConnection, lines: &ImportLines) -> Result<(), Error> {
    let put = sqlx::query(PUT_IMPORT)
        .bind(lines.environment.as_str())
        .bind(i64::from(lines.partition.0))
        .bind(lines.file.to_vec())
        .bind(i64::from(lines.number))
        .bind(lines.bits.clone());
    put.execute(connection).await.map(drop).map_err(failed)
}

/// Writes everything into an empty catalog.
pub(super) async fn fill(connection: &mut SqliteConnection, content: &Content) -> Result<(), Error> {
    let mut transaction = connection.begin().await.map_err(failed)?;
    for mark in &content.marks {
        let put = sqlx::query(PUT_PARTITION)
            .bind(i64::from(mark.partition.0))
            .bind(mark.epoch.cast_signed())
            .bind(mark.low.0.cast_signed())
            .bind(mark.applied.clone());
        put.execute(&mut *transaction).await.map_err(failed)?;
    }
    for row in &content.segments {
        insert_segment(&mut transaction, row).await?;
    }
    for lines in &content.imports {
        put_import(&mut transaction, lines).await?;
    }
    for (partition, sums) in sums_of(&content.marks, &content.segments, &content.imports) {
        write_sums(&mut transaction, partition, &sums).await?;
    }
    transaction.commit().await.map_err(failed)
}

async fn read_sums(connection: &mut SqliteConnection) -> Result<BTreeMap<Partition, Sums>, Error> {
    let rows = select(connection, SELECT_SUMS, |row| {
        let number = |column: usize| row.try_get::<i64, _>(column).map_err(failed);
        let count = |column: usize| number(column).map(i64::cast_unsigned);
        let sums = Sums {
            mark: count(1)?,
            segments: count(2)?,
            segment_rows: count(3)?,
            imports: count(4)?,
            import_rows: count(5)?,
        };
        Ok((partition(number(0)?)?, sums))
    });
    Ok(rows.await?.into_iter().collect())
}

async fn write_sums(
    connection: &mut SqliteConnection,
    partition: Partition,
    sums: &Sums,
) -> Result<(), Error> {
    let put = sqlx::query(PUT_SUMS)
        .bind(i64::from(partition.0))
        .bind(sums.mark.cast_signed())
        .bind(sums.segments.cast_signed())
        .bind(sums.segment_rows.cast_signed())
        .bind(sums.imports.cast_signed())
        .bind(sums.import_rows.cast_signed());
    put.execute(connection).await.map(drop).map_err(failed)
}

/// Whether it holds nothing at all.
pub(super) async fn is_empty(connection: &mut SqliteConnection) -> Result<bool, Error> {
    let found = found_sums(connection).await?;
    Ok(found.is_empty() && read_sums(connection).await?.is_empty())
}

/// Gives a catalog that has none its sums, and its version.
pub(super) async fn write_all_sums(
    connection: &mut SqliteConnection,
    version: &'static str,
) -> Result<(), Error> {
    let mut transaction = connection.begin().await.map_err(failed)?;
    if !read_sums(&mut transaction).await?.is_empty() {
        // Only a version that flipped back says that there are none.
        return Err(damaged());
    }
    for (partition, sums) in found_sums(&mut transaction).await? {
        write_sums(&mut transaction, partition, &sums).await?;
    }
    let version = sqlx::query(version).bind(SCHEMA_VERSION);
    version.execute(&mut *transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Everything, as of one moment.
pub(super) async fn content(connection: &mut SqliteConnection) -> Result<Content, Error> {
    let mut transaction = connection.begin().await.map_err(failed)?;
    let content = Content {
        marks: select(&mut transaction, SELECT_PARTITIONS, partition_row).await?,
        segments: select(&mut transaction, SELECT_SEGMENTS, segment_row).await?,
        imports: select(&mut transaction, SELECT_IMPORTS, import_row).await?,
    };
    transaction.rollback().await.map_err(failed)?;
    Ok(content)
}

async fn found_sums(connection: &mut SqliteConnection) -> Result<BTreeMap<Partition, Sums>, Error> {
    let marks = select(connection, SELECT_PARTITIONS, partition_row).await?;
    let segments = select(connection, SELECT_SEGMENTS, segment_row).await?;
    let imports = select(connection, SELECT_IMPORTS, import_row).await?;
    Ok(sums_of(&marks, &segments, &imports))
}

/// Compares the rows with what was written, as of one moment.
pub(super) async fn check_sums(connection: &mut SqliteConnection) -> Result<(), Error> {
    let mut transaction = connection.begin().await.map_err(failed)?;
    let (found, written) = (found_sums(&mut transaction).await?, read_sums(&mut transaction).await?);
    transaction.rollback().await.map_err(failed)?;
    for partition in found.keys().chain(written.keys()) {
        let written = written.get(partition).copied().unwrap_or_default();
        let found = found.get(partition).copied().unwrap_or_default();
        if let Some(difference) = written.difference(&found) {
            let number = partition.0;
            let message =
                format!("the catalog is damaged: of partition {number}, {difference}. {WHAT_TO_DO}");
            return Err(Error::damaged(message));
        }
    }
    Ok(())
}

/// Import lines of the partitions whose sum over them holds.
pub(super) async fn salvage_imports(connection: &mut SqliteConnection) -> Result<Vec<ImportLines>, Error> {
    let mut lines = select(connection, SELECT_IMPORTS, import_row).await?;
    let (found, written) = (sums_of(&[], &[], &lines), read_sums(connection).await?);
    lines.retain(|lines| {
        let of = |sums: &BTreeMap<Partition, Sums>| {
            sums.get(&lines.partition).map(|sums| (sums.imports, sums.import_rows))
        };
        of(&found) == of(&written)
    });
    Ok(lines)
}

/// What SQLite finds wrong; it answers `ok` when nothing is.
pub(super) async fn integrity(connection: &mut SqliteConnection) -> Result<Vec<String>, Error> {
    let mut found: Vec<String> = sqlx::query_scalar(INTEGRITY).fetch_all(connection).await.map_err(failed)?;
    found.retain(|line| line != "ok");
    Ok(found)
}

pub(super) async fn copy_into(connection: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let copy = sqlx::query(COPY_INTO).bind(path.display().to_string());
    copy.execute(connection).await.map(drop).map_err(failed)
}

fn partition(number: i64) -> Result<Partition, Error> {
    u16::try_from(number).map(Partition).map_err(|_| damaged())
}

fn environment(name: &str) -> Result<Environment, Error> {
    Environment::new(name).ok_or_else(damaged)
}

pub(super) fn partition_row(row: &SqliteRow) -> Result<PartitionMark, Error> {
    Ok(PartitionMark {
        partition: partition(row.try_get(0).map_err(failed)?)?,
        epoch: row.try_get::<i64, _>(1).map_err(failed)?.cast_unsigned(),
        low: Offset(row.try_get::<i64, _>(2).map_err(failed)?.cast_unsigned()),
        applied: row.try_get(3).map_err(failed)?,
    })
}

pub(super) fn segment_row(row: &SqliteRow) -> Result<SegmentRow, Error> {
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

pub(super) fn import_row(row: &SqliteRow) -> Result<ImportLines, Error> {
    let file: Vec<u8> = row.try_get(2).map_err(failed)?;
    Ok(ImportLines {
        environment: environment(row.try_get(0).map_err(failed)?)?,
        partition: partition(row.try_get(1).map_err(failed)?)?,
        file: file.try_into().map_err(|_| damaged())?,
        number: u32::try_from(row.try_get::<i64, _>(3).map_err(failed)?).map_err(|_| damaged())?,
        bits: row.try_get(4).map_err(failed)?,
    })
}
