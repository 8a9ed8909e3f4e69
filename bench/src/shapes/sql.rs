//! The shapes in SQL. ClickHouse has no null in these columns (absent is '', 0 or false), DuckDB has; where that
//! matters each says it in its own way. Where there are several good ways to say it, a peer gets all of them.

use super::Subject;

/// Buckets of a heatmap's height.
const HEIGHT: f64 = 50.0;

/// Relative error that percentiles may have, as Skein states it.
const ERROR: f64 = 0.01;

/// A dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    ClickHouse,
    DuckDb,
}

/// A question in both dialects, in one or several ways.
#[derive(Debug, Clone, Default)]
pub(crate) struct Both {
    pub(crate) clickhouse: Vec<String>,
    pub(crate) duckdb: Vec<String>,
}

impl Both {
    fn new(clickhouse: impl Into<String>, duckdb: impl Into<String>) -> Both {
        Both { clickhouse: vec![clickhouse.into()], duckdb: vec![duckdb.into()] }
    }

    fn or_in_clickhouse(mut self, sql: impl Into<String>) -> Both {
        self.clickhouse.push(sql.into());
        self
    }

    fn or_in_duckdb(mut self, sql: impl Into<String>) -> Both {
        self.duckdb.push(sql.into());
        self
    }

    /// The same sentence, with what the dialects say differently filled in.
    pub(super) fn of(sentence: impl Fn(Dialect) -> String) -> Both {
        Both::new(sentence(Dialect::ClickHouse), sentence(Dialect::DuckDb))
    }
}

impl Dialect {
    /// A whole second as a literal of the type of `timestamp`.
    pub(super) fn time(self, seconds: i64) -> String {
        match self {
            Dialect::ClickHouse => format!("fromUnixTimestamp64Nano(toInt64({seconds}000000000))"),
            Dialect::DuckDb => format!("make_timestamp_ns({seconds}000000000)"),
        }
    }

    /// Number of the time bucket of a row.
    pub(super) fn bucket(self, start: i64, seconds: i64) -> String {
        match self {
            // Whole seconds suffice: buckets begin at them.
            Dialect::ClickHouse => {
                format!("intDiv(toUnixTimestamp(\"timestamp\") - {start}, {seconds})")
            }
            Dialect::DuckDb => {
                format!("(epoch_ns(\"timestamp\") - {start}000000000) // {seconds}000000000")
            }
        }
    }

    /// That a text column has a value.
    pub(super) fn has_text(self, column: &str) -> String {
        match self {
            Dialect::ClickHouse => format!("{} != ''", quoted(column)),
            Dialect::DuckDb => format!("{} IS NOT NULL", quoted(column)),
        }
    }
}

/// A column's name.
pub(super) fn quoted(column: &str) -> String {
    format!("\"{}\"", column.replace('"', "\"\""))
}

/// A text.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A text as a pattern of LIKE that holds it somewhere.
fn somewhere(text: &str) -> String {
    literal(&format!("%{text}%"))
}

/// (1)
pub(super) fn by_minute() -> Both {
    Both::of(|dialect| format!("SELECT {} AS m, count(*) FROM {{events}} GROUP BY m", dialect.bucket(0, 60)))
        .or_in_clickhouse("SELECT toStartOfMinute(\"timestamp\") AS m, count() FROM {events} GROUP BY m")
        .or_in_duckdb("SELECT date_trunc('minute', \"timestamp\") AS m, count(*) FROM {events} GROUP BY m")
}

/// (2)
pub(super) fn percentiles() -> Both {
    let select = |percentiles: &str| {
        format!("SELECT \"service.name\", {percentiles}, count(*) FROM {{events}} GROUP BY \"service.name\"")
    };
    let span = "\"duration_ns\" > 0";
    Both::new(
        select(&format!("quantilesDDIf({ERROR}, 0.5, 0.95, 0.99)(\"duration_ns\", {span})")),
        select("approx_quantile(\"duration_ns\", [0.5, 0.95, 0.99])"),
    )
    .or_in_clickhouse(select(&format!("quantilesTDigestIf(0.5, 0.95, 0.99)(\"duration_ns\", {span})")))
}

/// (3)
pub(super) fn top_users(condition: &str) -> Both {
    Both::of(|dialect| {
        format!(
            "SELECT \"user.id\", count(*) AS n FROM {{events}} WHERE {condition}{} GROUP BY \"user.id\" \
             ORDER BY n DESC LIMIT 20",
            dialect.has_text("user.id")
        )
    })
}

/// (4)
pub(super) fn heatmap(subject: &Subject) -> Both {
    let width = ((subject.times.1 - subject.times.0) / 120).max(1);
    Both::of(|dialect| {
        let log = match dialect {
            Dialect::ClickHouse => "toInt32(log2(\"duration_ns\")",
            Dialect::DuckDb => "CAST(log2(\"duration_ns\")",
        };
        let end = if dialect == Dialect::ClickHouse { ")" } else { " AS INTEGER)" };
        // From a microsecond to some minutes.
        format!(
            "SELECT {} AS t, {log} * {}{end} AS h, count(*) FROM {{events}} WHERE \"service.name\" = {} \
             AND \"duration_ns\" > 0 GROUP BY t, h",
            dialect.bucket(subject.times.0, width),
            HEIGHT / 28.0,
            literal(&subject.service)
        )
    })
}

/// (6)
pub(super) fn count_word(word: &str) -> Both {
    let like = format!("SELECT count(*) FROM {{events}} WHERE \"body\" LIKE {}", somewhere(word));
    Both::new(like.clone(), like)
        .or_in_clickhouse(format!(
            "SELECT count() FROM {{events}} WHERE position(\"body\", {}) > 0",
            literal(word)
        ))
        .or_in_duckdb(format!("SELECT count(*) FROM {{events}} WHERE contains(\"body\", {})", literal(word)))
}

/// (6), rows
pub(super) fn last_of_word(word: &str) -> Both {
    Both::of(|_| {
        format!(
            "SELECT * FROM {{events}} WHERE \"body\" LIKE {} ORDER BY \"timestamp\" DESC LIMIT 50",
            somewhere(word)
        )
    })
}

/// (7)
pub(super) fn distinct_users(times: (i64, i64)) -> Both {
    Both::of(|dialect| {
        let distinct = match dialect {
            Dialect::ClickHouse => "uniqExactIf(\"user.id\", \"user.id\" != '')",
            Dialect::DuckDb => "count(DISTINCT \"user.id\")",
        };
        format!(
            "SELECT \"http.route\", {distinct} FROM {{events}} WHERE \"timestamp\" >= {} AND \"timestamp\" < {} AND {} \
             GROUP BY \"http.route\"",
            dialect.time(times.0),
            dialect.time(times.1),
            dialect.has_text("http.route")
        )
    })
}

/// (8): one pass over grouping sets, or one query for each column.
pub(super) fn value_counts(subject: &Subject) -> Both {
    let names: Vec<String> = subject.columns.iter().map(|name| quoted(name)).collect();
    let slow = format!("\"duration_ns\" >= {}", subject.slow_ms * 1e6);
    let of = format!("FROM {{events}} WHERE \"service.name\" = {}", literal(&subject.service));
    let counts = |count_if: &dyn Fn(&str) -> String| {
        format!("{}, {}", count_if(&slow), count_if(&format!("NOT coalesce({slow}, false)")))
    };
    let clickhouse = counts(&|condition| format!("countIf({condition})"));
    let duckdb = counts(&|condition| format!("count(*) FILTER ({condition})"));
    let sets: Vec<String> = names.iter().map(|name| format!("({name})")).collect();
    let in_sets = |counts: &str| {
        format!("SELECT {}, {counts} {of} GROUP BY GROUPING SETS ({})", names.join(", "), sets.join(", "))
    };
    let apart = |counts: &str| {
        let each = names.iter().enumerate().map(|(place, name)| {
            format!("SELECT {place} AS c, CAST({name} AS VARCHAR) AS v, {counts} {of} GROUP BY v")
        });
        each.collect::<Vec<_>>().join(" UNION ALL ")
    };
    Both::new(in_sets(&clickhouse), in_sets(&duckdb))
        .or_in_clickhouse(apart(&clickhouse).replace("AS VARCHAR", "AS String"))
        .or_in_duckdb(apart(&duckdb))
}

/// (9)
pub(super) fn sparse() -> Both {
    Both::of(|_| {
        "SELECT \"db.collection.name\", \"db.operation.name\", \"db.namespace\", count(*) FROM {events} WHERE \
         \"db.response.returned_rows\" > 100 GROUP BY 1, 2, 3"
            .to_owned()
    })
}
