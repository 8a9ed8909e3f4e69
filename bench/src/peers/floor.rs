//! The machine's floor: the shapes as loops over plain arrays in memory, written by hand for just these columns, two
//! threads. Nothing is parsed, encoded, checked or merged that the loop does not need; no engine can be expected to be
//! faster unless it skips rows.

use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::thread;

use anyhow::Context as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::columns::{SERVICE, TIME};
use super::parquet::Written;
use crate::clock;
use crate::report::quantile;
use crate::shapes::Subject;

const ROUNDS: usize = 7;
const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
/// Buckets of a histogram of durations: 64 to each power of two, an error under a hundredth.
const CELLS: usize = 64 * 64;

/// The columns that the shapes read.
#[derive(Default)]
struct Arrays {
    times: Vec<i64>,
    durations: Vec<i64>,
    errors: Vec<bool>,
    rows_returned: Vec<i64>,
    /// By name of a text column: a code for each row, 0 for none.
    codes: HashMap<String, Vec<u32>>,
    /// By name of a text column: how many codes there are.
    distinct: HashMap<String, usize>,
    /// All messages one after another, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// Milliseconds of each shape that has a floor.
pub(crate) fn measure(written: &Written, subject: &Subject) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let arrays = Arrays::read(written, subject)?;
    let service = arrays.service_code(written, subject)?;
    Ok(vec![
        ("1_count_by_minute", arrays.by_minute(subject)?),
        ("2_percentiles_by_service", arrays.percentiles()?),
        ("3_top_users_of_errors", arrays.top_users(true)?),
        ("3_top_users", arrays.top_users(false)?),
        ("4_heatmap", arrays.heatmap(subject, service)?),
        ("6_count_common_word", arrays.common_word(subject)),
        ("7_distinct_users_by_route", arrays.distinct_users(subject)?),
        ("8_slow_against_others", arrays.value_counts(subject, service)?),
        ("9_sparse_columns", arrays.sparse()?),
    ])
}

/// The shapes.
impl Arrays {
    fn by_minute(&self, subject: &Subject) -> anyhow::Result<f64> {
        let first = subject.times.0 * SECOND_NS;
        let minutes = usize::try_from((subject.times.1 - subject.times.0) / 60 + 1)?;
        Ok(self.timed(minutes, |rows, counts| {
            for &time in &self.times[rows] {
                counts[usize::try_from((time - first) / MINUTE_NS).unwrap_or_default()] += 1;
            }
        }))
    }

    fn percentiles(&self) -> anyhow::Result<f64> {
        let (services, counters) = (self.column(SERVICE)?, (self.distinct[SERVICE] + 1) * (CELLS + 1));
        Ok(self.timed(counters, |rows, counts| {
            for (&duration, &of) in self.durations[rows.clone()].iter().zip(&services[rows]) {
                counts[of as usize * (CELLS + 1) + cell(duration)] += 1;
            }
        }))
    }

    fn top_users(&self, of_errors: bool) -> anyhow::Result<f64> {
        let (users, counters) = (self.column("user.id")?, self.distinct["user.id"] + 1);
        if of_errors {
            return Ok(self.timed(counters, |rows, counts| {
                for row in rows {
                    if self.errors[row] {
                        counts[users[row] as usize] += 1;
                    }
                }
            }));
        }
        Ok(self.timed(counters, |rows, counts| {
            for &user in &users[rows] {
                counts[user as usize] += 1;
            }
        }))
    }

    fn heatmap(&self, subject: &Subject, service: u32) -> anyhow::Result<f64> {
        let (services, first) = (self.column(SERVICE)?, subject.times.0 * SECOND_NS);
        let step = ((subject.times.1 - subject.times.0) / 120).max(1) * SECOND_NS;
        Ok(self.timed(121 * (CELLS + 1), |rows, counts| {
            for row in rows {
                if services[row] == service {
                    let bucket = usize::try_from((self.times[row] - first) / step).unwrap_or_default();
                    counts[bucket.min(120) * (CELLS + 1) + cell(self.durations[row])] += 1;
                }
            }
        }))
    }

    fn common_word(&self, subject: &Subject) -> f64 {
        let word = subject.common.as_bytes();
        let finder = memchr::memmem::Finder::new(word);
        self.timed(1, |rows, counts| {
            let at = |row: usize| row.checked_sub(1).map_or(0, |row| self.ends[row]);
            let (mut row, mut place, end) = (rows.start, at(rows.start), at(rows.end));
            while let Some(found) = finder.find(&self.text[place..end]) {
                let found = place + found;
                while self.ends[row] <= found {
                    row += 1;
                }
                counts[0] += u32::from(found + word.len() <= self.ends[row]);
                place = self.ends[row];
            }
        })
    }

    fn distinct_users(&self, subject: &Subject) -> anyhow::Result<f64> {
        let (users, routes) = (self.column("user.id")?, self.column("http.route")?);
        let times = subject.half_hour.0 * SECOND_NS..subject.half_hour.1 * SECOND_NS;
        let words = (self.distinct["user.id"] + 1).div_ceil(32);
        Ok(self.timed((self.distinct["http.route"] + 1) * words, |rows, seen| {
            for row in rows {
                if times.contains(&self.times[row]) {
                    let user = users[row] as usize;
                    seen[routes[row] as usize * words + user / 32] |= 1 << (user % 32);
                }
            }
        }))
    }

    fn value_counts(&self, subject: &Subject, service: u32) -> anyhow::Result<f64> {
        let (services, slow) = (self.column(SERVICE)?, subject.slow_ms * 1e6);
        let columns: Vec<&[u32]> =
            subject.columns.iter().map(|name| self.column(name)).collect::<Result<_, _>>()?;
        let (mut bases, mut counters) = (Vec::new(), 0);
        for name in &subject.columns {
            bases.push(counters);
            counters += 2 * (self.distinct[name] + 1);
        }
        Ok(self.timed(counters, |rows, counts| {
            for row in rows {
                if services[row] == service {
                    let side = usize::from(crate::report::precise(self.durations[row]) >= slow);
                    for (column, base) in columns.iter().zip(&bases) {
                        counts[base + 2 * column[row] as usize + side] += 1;
                    }
                }
            }
        }))
    }

    fn sparse(&self) -> anyhow::Result<f64> {
        let names = ["db.collection.name", "db.operation.name", "db.namespace"];
        let keys: Vec<&[u32]> = names.iter().map(|name| self.column(name)).collect::<Result<_, _>>()?;
        let sizes: Vec<usize> = names.iter().map(|name| self.distinct[*name] + 1).collect();
        Ok(self.timed(sizes.iter().product(), |rows, counts| {
            for row in rows {
                if self.rows_returned[row] > 100 {
                    let (a, b, c) = (keys[0][row] as usize, keys[1][row] as usize, keys[2][row] as usize);
                    counts[(a * sizes[1] + b) * sizes[2] + c] += 1;
                }
            }
        }))
    }
}

/// The cell of a duration in a histogram; 0 is none.
fn cell(duration: i64) -> usize {
    if duration <= 0 {
        return 0;
    }
    let bits = crate::report::precise(duration).to_bits();
    // The exponent and six bits of the mantissa: 64 cells to each power of two.
    usize::try_from((bits >> 46) - (1_023 << 6)).unwrap_or_default().min(CELLS - 1) + 1
}

/// Some columns of a file. Names are found as a whole: dots in them part nothing.
fn read(path: &Path, names: &[&str]) -> anyhow::Result<ParquetRecordBatchReader> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let fields = builder.schema().fields().iter().enumerate();
    let places: Vec<usize> =
        fields.filter(|(_, field)| names.contains(&field.name().as_str())).map(|(place, _)| place).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), places);
    Ok(builder.with_projection(mask).with_batch_size(1 << 16).build()?)
}

impl Arrays {
    /// Reads what is needed back from the files.
    fn read(written: &Written, subject: &Subject) -> anyhow::Result<Arrays> {
        let mut texts: Vec<&str> =
            vec![SERVICE, "user.id", "http.route", "db.collection.name", "db.operation.name", "db.namespace"];
        texts.extend(subject.columns.iter().map(String::as_str));
        texts.sort_unstable();
        texts.dedup();
        let mut arrays = Arrays::default();
        let mut dictionaries: HashMap<&str, HashMap<String, u32>> = HashMap::new();
        let numbers = [TIME, "duration_ns", "error", "db.response.returned_rows", "body"];
        for (path, names) in &written.files {
            let wanted = texts.iter().chain(&numbers).copied();
            let present: Vec<&str> = wanted.filter(|name| names.iter().any(|own| own == name)).collect();
            for batch in read(path, &present)? {
                arrays.append(&batch?, &texts, &mut dictionaries)?;
            }
        }
        for (name, dictionary) in dictionaries {
            arrays.distinct.insert(name.to_owned(), dictionary.len());
        }
        Ok(arrays)
    }

    fn append<'t>(
        &mut self,
        batch: &RecordBatch,
        texts: &[&'t str],
        dictionaries: &mut HashMap<&'t str, HashMap<String, u32>>,
    ) -> anyhow::Result<()> {
        let rows = batch.num_rows();
        let column = |name: &str| batch.column_by_name(name);
        let time = column(TIME).context("no times")?;
        self.times.extend_from_slice(time.as_primitive::<TimestampNanosecondType>().values());
        let integers = |array: Option<&ArrayRef>| -> Vec<i64> {
            let Some(array) = array else { return vec![0; rows] };
            array.as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default).collect()
        };
        self.durations.extend(integers(column("duration_ns")));
        self.rows_returned.extend(integers(column("db.response.returned_rows")));
        match column("error") {
            Some(array) => self.errors.extend(array.as_boolean().iter().map(Option::unwrap_or_default)),
            None => self.errors.resize(self.errors.len() + rows, false),
        }
        let body = column("body").map(|array| array.as_string::<i32>());
        for row in 0..rows {
            if let Some(body) = body.filter(|body| body.is_valid(row)) {
                self.text.extend_from_slice(body.value(row).as_bytes());
            }
            self.ends.push(self.text.len());
        }
        for &name in texts {
            let dictionary = dictionaries.entry(name).or_default();
            let codes = self.codes.entry(name.to_owned()).or_default();
            let Some(array) = column(name) else {
                codes.resize(codes.len() + rows, 0);
                continue;
            };
            let array = array.as_string_opt::<i32>().with_context(|| format!("{name} is no text"))?;
            for value in array {
                let code = value.map(|value| match dictionary.get(value) {
                    Some(code) => *code,
                    None => {
                        let code = u32::try_from(dictionary.len() + 1).unwrap_or(u32::MAX);
                        dictionary.insert(value.to_owned(), code);
                        code
                    }
                });
                codes.push(code.unwrap_or_default());
            }
        }
        Ok(())
    }

    fn column(&self, name: &str) -> anyhow::Result<&[u32]> {
        self.codes.get(name).map(Vec::as_slice).with_context(|| format!("no column {name}"))
    }

    /// The code of the service that is asked about: read again, since codes forget their text.
    fn service_code(&self, written: &Written, subject: &Subject) -> anyhow::Result<u32> {
        let services = self.column(SERVICE)?;
        let mut row = 0;
        for (path, _) in &written.files {
            for batch in read(path, &[SERVICE])? {
                let batch = batch?;
                for value in batch.column(0).as_string::<i32>() {
                    if value == Some(&subject.service) {
                        return Ok(services[row]);
                    }
                    row += 1;
                }
            }
        }
        anyhow::bail!("service {} is not in the files", subject.service)
    }

    /// The median of some rounds: rows in two halves, each with its own counters, which are added up.
    fn timed(&self, counters: usize, scan: impl Fn(std::ops::Range<usize>, &mut [u32]) + Sync) -> f64 {
        let (rows, scan) = (self.times.len(), &scan);
        let mut counts = [vec![0_u32; counters], vec![0_u32; counters]];
        let ms: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let begin = clock::now();
                let [left, right] = &mut counts;
                thread::scope(|scope| {
                    scope.spawn(|| {
                        left.fill(0);
                        scan(0..rows / 2, left);
                    });
                    right.fill(0);
                    scan(rows / 2..rows, right);
                });
                for (left, right) in left.iter_mut().zip(right.iter()) {
                    *left = left.wrapping_add(*right);
                }
                black_box(&left);
                begin.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        quantile(&ms, 0.5)
    }
}
