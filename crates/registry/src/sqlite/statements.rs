//! Every statement of the registry, in one place, in the SQL that SQLite and PostgreSQL share: numbered parameters, no
//! types beyond those of [`TABLES`]. Every statement about records names their environment (I10).
//!
//! What it refuses: to be put together from text.

/// The version of the tables.
pub(super) const SCHEMA_VERSION: i64 = 1;

pub(super) const VERSION_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)";

/// The tables.
pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS markers (\
        environment TEXT NOT NULL, \
        id TEXT NOT NULL, \
        version BIGINT NOT NULL, \
        created_ns BIGINT NOT NULL, \
        updated_ns BIGINT NOT NULL, \
        start_ns BIGINT NOT NULL, \
        end_ns BIGINT, \
        kind TEXT NOT NULL, \
        message TEXT NOT NULL, \
        url TEXT, \
        dataset TEXT, \
        digest BIGINT NOT NULL, \
        PRIMARY KEY (environment, id))",
    "CREATE TABLE IF NOT EXISTS boards (\
        environment TEXT NOT NULL, \
        id TEXT NOT NULL, \
        version BIGINT NOT NULL, \
        created_ns BIGINT NOT NULL, \
        updated_ns BIGINT NOT NULL, \
        name TEXT NOT NULL, \
        description TEXT NOT NULL, \
        panels TEXT NOT NULL, \
        panel_count BIGINT NOT NULL, \
        digest BIGINT NOT NULL, \
        PRIMARY KEY (environment, id))",
];

pub(super) const SELECT_VERSION: &str = "SELECT version FROM schema_version";
pub(super) const INSERT_VERSION: &str = "INSERT INTO schema_version (version) VALUES ($1)";

/// A marker touches a range when it begins before its end and does not end before its start.
pub(super) const SELECT_MARKERS: &str = "SELECT id, version, created_ns, updated_ns, start_ns, end_ns, kind, \
    message, url, dataset, digest FROM markers WHERE environment = $1 AND start_ns < $2 \
    AND COALESCE(end_ns, start_ns) >= $3 AND ($4 IS NULL OR dataset IS NULL OR dataset = $4) \
    AND ($5 IS NULL OR kind = $5) ORDER BY start_ns DESC, id LIMIT $6";
pub(super) const SELECT_MARKER: &str = "SELECT id, version, created_ns, updated_ns, start_ns, end_ns, kind, \
    message, url, dataset, digest FROM markers WHERE environment = $1 AND id = $2";
pub(super) const INSERT_MARKER: &str = "INSERT INTO markers (environment, id, version, created_ns, updated_ns, \
    start_ns, end_ns, kind, message, url, dataset, digest) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
pub(super) const DELETE_MARKER: &str = "DELETE FROM markers WHERE environment = $1 AND id = $2";
pub(super) const COUNT_MARKERS: &str = "SELECT COUNT(*) FROM markers WHERE environment = $1";

pub(super) const SELECT_BOARD_IDS: &str = "SELECT id FROM boards WHERE environment = $1 ORDER BY name, id";
pub(super) const SELECT_BOARD: &str = "SELECT id, version, created_ns, updated_ns, name, description, panels, \
    panel_count, digest FROM boards WHERE environment = $1 AND id = $2";
pub(super) const INSERT_BOARD: &str = "INSERT INTO boards (environment, id, version, created_ns, updated_ns, \
    name, description, panels, panel_count, digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
pub(super) const DELETE_BOARD: &str = "DELETE FROM boards WHERE environment = $1 AND id = $2";
pub(super) const COUNT_BOARDS: &str = "SELECT COUNT(*) FROM boards WHERE environment = $1";
