//! Questions drawn by seed from the part of the builder language that both databases express with the same exactness.
//!
//! Columns and values come from the data itself, asked of the server; nothing is known of them beforehand. What the
//! dialects cannot say alike is left out: averages and minima over columns that are partly absent (ClickHouse stores
//! them as zero), percentiles (each sketches in its own way; shape 2 has them).

use anyhow::Context as _;
use serde_json::{Value, json};

use super::sql::{Both, Dialect, literal, quoted};
use super::{Comparison, Request, Shape};
use crate::http::Connection;
use crate::process::Server;
use crate::questions::ask;

/// Rows that columns and values are taken from.
const ROWS: usize = 3_000;

/// A column that questions may name.
#[derive(Debug)]
struct Known {
    name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Values seen.
    Text(Vec<String>),
    /// Numbers seen, none negative.
    Number(Vec<f64>),
    Flag,
}

/// Draws so many questions.
pub(crate) fn questions(
    server: &Server,
    times: (i64, i64),
    seed: u64,
    count: usize,
) -> anyhow::Result<Vec<Shape>> {
    let mut connection = Connection::open(&server.http)?;
    let known = known(&mut connection, times)?;
    let mut draw = Draw(seed);
    (0..count)
        .map(|place| question(&mut draw, &known, times, place).context("no columns to ask for"))
        .collect()
}

/// Columns of a sample of rows from the whole time.
fn known(connection: &mut Connection, times: (i64, i64)) -> anyhow::Result<Vec<Known>> {
    let mut columns: std::collections::BTreeMap<String, (Vec<Value>, bool)> = Default::default();
    for part in 0..10 {
        let width = (times.1 - times.0) / 10;
        let range = (times.0 + part * width, times.0 + (part + 1) * width);
        let answer = ask(connection, &json!({"calculations": [], "limit": ROWS / 10}), range)?;
        for row in answer["data"]["rows"].as_array().context("no rows")? {
            for (name, value) in row.as_object().context("a row")? {
                let (values, mixed) = columns.entry(name.clone()).or_default();
                *mixed |= values.first().is_some_and(|first| kind_of(first) != kind_of(value));
                values.push(value.clone());
            }
        }
    }
    let own = |name: &str| {
        ["timestamp", "event.id", "dataset", "sample_rate", "duration_ms"].contains(&name)
            || ["meta.", "trace.", "links", "exception."].iter().any(|prefix| name.starts_with(prefix))
    };
    let kept = columns.into_iter().filter(|(name, (_, mixed))| !mixed && !own(name));
    let mut known: Vec<Known> = kept.filter_map(|(name, (values, _))| Known::new(name, &values)).collect();
    known.retain(|column| !column.name.starts_with("status") && column.name != "kind");
    Ok(known)
}

fn kind_of(value: &Value) -> u8 {
    match value {
        Value::String(_) => 0,
        Value::Number(_) => 1,
        Value::Bool(_) => 2,
        _ => 3,
    }
}

impl Known {
    fn new(name: String, values: &[Value]) -> Option<Known> {
        let kind = match values.first()? {
            // Empty text cannot be told from none in ClickHouse.
            Value::String(_) => Kind::Text(
                values
                    .iter()
                    .filter_map(|value| Some(value.as_str()?.to_owned()))
                    .filter(|t| !t.is_empty())
                    .collect(),
            ),
            Value::Number(_) => {
                let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
                if numbers.iter().any(|number| *number < 0.0) {
                    return None;
                }
                Kind::Number(numbers)
            }
            Value::Bool(_) => Kind::Flag,
            _ => return None,
        };
        Some(Known { name, kind })
    }
}

/// One condition in three languages.
struct Condition {
    spec: Value,
    clickhouse: String,
    duckdb: String,
}

/// What is asked of the rows that pass.
struct Asked<'k> {
    times: (i64, i64),
    conditions: Vec<Condition>,
    any: bool,
    groups: Vec<&'k str>,
    /// Length of the buckets, where there is a series.
    width: Option<i64>,
    limit: Option<u32>,
    calculation: Calculation,
}

fn question(draw: &mut Draw, known: &[Known], times: (i64, i64), place: usize) -> Option<Shape> {
    let asked = Asked::draw(draw, known, times)?;
    let both = Both::of(|dialect| asked.sql(dialect));
    Some(Shape {
        name: format!("generated_{place:03}"),
        request: Request::Query(asked.spec()),
        clickhouse: both.clickhouse,
        duckdb: both.duckdb,
        comparison: asked.comparison(),
        times: asked.times,
        goal: 1.0,
        floor_goal: None,
    })
}

impl<'k> Asked<'k> {
    fn draw(draw: &mut Draw, known: &'k [Known], times: (i64, i64)) -> Option<Asked<'k>> {
        let times = range(draw, times);
        let conditions: Vec<Condition> =
            (0..draw.below(4)).map(|_| condition(draw, known)).collect::<Option<_>>()?;
        let any = conditions.len() > 1 && draw.below(3) == 0;
        let texts: Vec<&Known> = known.iter().filter(|column| matches!(column.kind, Kind::Text(_))).collect();
        // Skein makes finer buckets than a thousandth of the range coarser, and says so.
        let widths: Vec<i64> =
            [10, 60, 300, 900].into_iter().filter(|width| (times.1 - times.0) / width <= 1_000).collect();
        let width = if draw.below(5) == 0 { draw.of(&widths).copied() } else { None };
        let mut groups: Vec<&str> = match width {
            Some(_) => Vec::new(),
            None => (0..draw.below(4)).filter_map(|_| Some(draw.of(&texts)?.name.as_str())).collect(),
        };
        groups.sort_unstable();
        groups.dedup();
        let limit = if groups.is_empty() { None } else { draw.of(&[10, 100, 1_000]).copied() };
        let calculation = calculation(draw, known)?;
        Some(Asked { times, conditions, any, groups, width, limit, calculation })
    }

    fn spec(&self) -> Value {
        let mut calculations = vec![json!({"op": "COUNT"})];
        calculations.extend(self.calculation.as_ref().map(|(calculation, _)| calculation.clone()));
        let filters: Vec<&Value> = self.conditions.iter().map(|condition| &condition.spec).collect();
        let mut spec = json!({
            "calculations": calculations, "filters": filters, "breakdowns": self.groups,
            "filter_combination": if self.any { "OR" } else { "AND" }, "limit": self.limit.unwrap_or(10_000),
        });
        if let Some(width) = self.width {
            spec["granularity"] = json!(width);
        }
        if self.limit.is_some() {
            spec["orders"] = json!([{"op": "COUNT", "order": "descending"}]);
        }
        spec
    }

    /// Among the last of equals each may choose its own groups: only their counts are equal then.
    fn comparison(&self) -> Comparison {
        let compares_count = self.calculation.is_none() || self.limit.is_some();
        Comparison::Counts(if compares_count { "COUNT" } else { "x" })
    }

    fn sql(&self, dialect: Dialect) -> String {
        let mut wanted = format!(
            "\"timestamp\" >= {} AND \"timestamp\" < {}",
            dialect.time(self.times.0),
            dialect.time(self.times.1)
        );
        if !self.conditions.is_empty() {
            let joined: Vec<String> =
                self.conditions.iter().map(|c| format!("({})", c.sql(dialect))).collect();
            wanted.push_str(&format!(" AND ({})", joined.join(if self.any { " OR " } else { " AND " })));
        }
        let mut columns: Vec<String> = self.groups.iter().map(|name| quoted(name)).collect();
        columns.extend(self.width.map(|width| dialect.bucket(0, width)));
        let places: Vec<String> = (1..=columns.len()).map(|place| place.to_string()).collect();
        columns.push("count(*) AS n".to_owned());
        if let Some((_, sql)) = &self.calculation {
            let sql = sql[usize::from(dialect == Dialect::DuckDb)].clone();
            // What is compared comes last.
            let place = columns.len() - usize::from(self.comparison() == Comparison::Counts("COUNT"));
            columns.insert(place, sql);
        }
        let mut sql = format!("SELECT {} FROM {{events}} WHERE {wanted}", columns.join(", "));
        if !places.is_empty() {
            sql.push_str(&format!(" GROUP BY {}", places.join(", ")));
        }
        if let Some(limit) = self.limit {
            sql.push_str(&format!(" ORDER BY n DESC LIMIT {limit}"));
        }
        sql
    }
}

impl Condition {
    fn sql(&self, dialect: Dialect) -> &str {
        if dialect == Dialect::ClickHouse { &self.clickhouse } else { &self.duckdb }
    }
}

/// All of the time, or a part of it.
fn range(draw: &mut Draw, times: (i64, i64)) -> (i64, i64) {
    let all = usize::try_from(times.1 - times.0).unwrap_or(1);
    if draw.below(2) == 0 {
        return times;
    }
    let length = draw.below(all / 2) + 600;
    let start = times.0 + i64::try_from(draw.below(all)).unwrap_or_default();
    (start, (start + i64::try_from(length).unwrap_or_default()).min(times.1 + 600))
}

fn condition(draw: &mut Draw, known: &[Known]) -> Option<Condition> {
    let column = draw.of(known)?;
    let name = quoted(&column.name);
    let condition = |op: &str, value: Value, clickhouse: String, duckdb: String| Condition {
        spec: match value {
            Value::Null => json!({"column": column.name, "op": op}),
            value => json!({"column": column.name, "op": op, "value": value}),
        },
        clickhouse,
        duckdb,
    };
    Some(match &column.kind {
        Kind::Flag => condition("=", json!(true), name.clone(), name),
        Kind::Number(numbers) => {
            let number = *draw.of(numbers)?;
            let sql = format!("{name} > {number}");
            condition(">", json!(number), sql.clone(), sql)
        }
        Kind::Text(values) => {
            let value = draw.of(values)?;
            let text = literal(value);
            match draw.below(7) {
                0 | 1 => condition("=", json!(value), format!("{name} = {text}"), format!("{name} = {text}")),
                2 => {
                    let duckdb = format!("{name} IS DISTINCT FROM {text}");
                    condition("!=", json!(value), format!("{name} != {text}"), duckdb)
                }
                3 => {
                    let mut list: Vec<&String> =
                        (0..2 + draw.below(8)).filter_map(|_| draw.of(values)).collect();
                    list.sort_unstable();
                    list.dedup();
                    let joined: Vec<String> = list.iter().map(|value| literal(value)).collect();
                    let sql = format!("{name} IN ({})", joined.join(", "));
                    condition("in", json!(list), sql.clone(), sql)
                }
                4 => {
                    let (clickhouse, duckdb) = (Dialect::ClickHouse, Dialect::DuckDb);
                    condition(
                        "exists",
                        Value::Null,
                        clickhouse.has_text(&column.name),
                        duckdb.has_text(&column.name),
                    )
                }
                5 => {
                    let part: String = value.chars().take(3 + draw.below(6)).collect();
                    let sql = |function: &str| format!("{function}({name}, {})", literal(&part));
                    condition("starts-with", json!(part), sql("startsWith"), sql("starts_with"))
                }
                _ => {
                    let skip = draw.below(value.chars().count().saturating_sub(4).max(1));
                    let part: String = value.chars().skip(skip).take(4).collect();
                    let clickhouse = format!("position({name}, {}) > 0", literal(&part));
                    condition(
                        "contains",
                        json!(part),
                        clickhouse,
                        format!("contains({name}, {})", literal(&part)),
                    )
                }
            }
        }
    })
}

/// A calculation beside COUNT, if any: what Skein is told, and what the dialects are.
type Calculation = Option<(Value, [String; 2])>;

fn calculation(draw: &mut Draw, known: &[Known]) -> Option<Calculation> {
    let column = draw.of(known)?;
    let name = quoted(&column.name);
    Some(match (&column.kind, draw.below(3)) {
        (_, 0) | (Kind::Flag, _) => None,
        (Kind::Number(_), op) => {
            let op = if op == 1 { "SUM" } else { "MAX" };
            let sql = format!("{op}({name}) AS x");
            Some((json!({"op": op, "column": column.name, "name": "x"}), [sql.clone(), sql]))
        }
        (Kind::Text(_), _) => {
            let sql =
                [format!("uniqExactIf({name}, {name} != '') AS x"), format!("count(DISTINCT {name}) AS x")];
            Some((json!({"op": "COUNT_DISTINCT", "column": column.name, "name": "x"}), sql))
        }
    })
}

/// SplitMix64 (Steele et al., 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % count.max(1) as u64).unwrap_or_default()
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let place = self.below(list.len());
        list.get(place)
    }
}
