//! Every statement of the catalog, in one place. They are of the SQL that SQLite and PostgreSQL share:
//! numbered parameters, `ON CONFLICT … DO UPDATE`, no types beyond those of [`TABLES`].

/// The version of the tables. 1 had no [`TABLES`] of sums.
pub(super) const SCHEMA_VERSION: i64 = 2;

/// The tables. PostgreSQL has BYTEA where SQLite has BLOB.
pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS partitions (\
        partition_number BIGINT NOT NULL PRIMARY KEY, \
        epoch BIGINT NOT NULL, \
        low BIGINT NOT NULL, \
        applied BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS segments (\
        id TEXT NOT NULL PRIMARY KEY, \
        environment TEXT NOT NULL, \
        partition_number BIGINT NOT NULL, \
        day BIGINT NOT NULL, \
        row_count BIGINT NOT NULL, \
        byte_count BIGINT NOT NULL, \
        time_min BIGINT NOT NULL, \
        time_max BIGINT NOT NULL, \
        ingest_min BIGINT NOT NULL, \
        ingest_max BIGINT NOT NULL, \
        offset_min BIGINT NOT NULL, \
        offset_max BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS imports (\
        environment TEXT NOT NULL, \
        partition_number BIGINT NOT NULL, \
        file BLOB NOT NULL, \
        chunk BIGINT NOT NULL, \
        bits BLOB NOT NULL, \
        PRIMARY KEY (environment, partition_number, file, chunk))",
    "CREATE TABLE IF NOT EXISTS sums (\
        partition_number BIGINT NOT NULL PRIMARY KEY, \
        mark BIGINT NOT NULL, \
        segments BIGINT NOT NULL, \
        segment_rows BIGINT NOT NULL, \
        imports BIGINT NOT NULL, \
        import_rows BIGINT NOT NULL)",
];

pub(super) const SELECT_VERSION: &str = "SELECT version FROM schema_version";
pub(super) const INSERT_VERSION: &str = "INSERT INTO schema_version (version) VALUES ($1)";
pub(super) const UPDATE_VERSION: &str = "UPDATE schema_version SET version = $1";

pub(super) const TAKE_OVER: &str = "INSERT INTO partitions (partition_number, epoch, low, applied) \
    VALUES ($1, 1, 0, $2) \
    ON CONFLICT (partition_number) DO UPDATE SET epoch = partitions.epoch + 1";
pub(super) const SELECT_PARTITIONS: &str =
    "SELECT partition_number, epoch, low, applied FROM partitions ORDER BY partition_number";

/// The compare-and-set: changes one row, or none when epoch or low have moved.
pub(super) const MOVE_LOW: &str = "UPDATE partitions SET low = $1, applied = $2 \
    WHERE partition_number = $3 AND epoch = $4 AND low = $5";

pub(super) const SELECT_SEGMENTS: &str = "SELECT id, environment, partition_number, day, row_count, \
    byte_count, time_min, time_max, ingest_min, ingest_max, offset_min, offset_max FROM segments ORDER BY id";
pub(super) const INSERT_SEGMENT: &str = "INSERT INTO segments (id, environment, partition_number, day, \
    row_count, byte_count, time_min, time_max, ingest_min, ingest_max, offset_min, offset_max) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
pub(super) const DELETE_SEGMENT: &str = "DELETE FROM segments WHERE id = $1 AND partition_number = $2";
pub(super) const COUNT_SEGMENT: &str = "SELECT COUNT(*) FROM segments WHERE id = $1";

pub(super) const SELECT_IMPORTS: &str = "SELECT environment, partition_number, file, chunk, bits \
    FROM imports ORDER BY environment, partition_number, file, chunk";
pub(super) const PUT_IMPORT: &str = "INSERT INTO imports (environment, partition_number, file, chunk, bits) \
    VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (environment, partition_number, file, chunk) DO UPDATE SET bits = excluded.bits";

pub(super) const SELECT_SUMS: &str = "SELECT partition_number, mark, segments, segment_rows, imports, \
    import_rows FROM sums ORDER BY partition_number";
pub(super) const PUT_SUMS: &str = "INSERT INTO sums (partition_number, mark, segments, segment_rows, imports, \
    import_rows) VALUES ($1, $2, $3, $4, $5, $6) \
    ON CONFLICT (partition_number) DO UPDATE SET mark = excluded.mark, segments = excluded.segments, \
    segment_rows = excluded.segment_rows, imports = excluded.imports, import_rows = excluded.import_rows";
pub(super) const SELECT_SEGMENT: &str = "SELECT id, environment, partition_number, day, row_count, \
    byte_count, time_min, time_max, ingest_min, ingest_max, offset_min, offset_max FROM segments WHERE id = $1";
pub(super) const SELECT_IMPORT: &str = "SELECT environment, partition_number, file, chunk, bits \
    FROM imports WHERE environment = $1 AND partition_number = $2 AND file = $3 AND chunk = $4";
pub(super) const PUT_PARTITION: &str = "INSERT INTO partitions (partition_number, epoch, low, applied) \
    VALUES ($1, $2, $3, $4)";

/// Of SQLite alone: whether its pages fit together, and a copy as of one moment beside a writer.
pub(super) const INTEGRITY: &str = "PRAGMA integrity_check(20)";
pub(super) const COPY_INTO: &str = "VACUUM INTO $1";
