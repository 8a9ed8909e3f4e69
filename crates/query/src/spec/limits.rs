//! Limits of a specification. They are those of the builder language (honeycomb.io, query specification),
//! so that a specification that works there works here; they also bound what planning costs.

/// Calculations of a query.
pub(crate) const CALCULATIONS_MAX: usize = 100;

/// Breakdowns of a query.
pub(crate) const BREAKDOWNS_MAX: usize = 100;

/// Filters of a query, and of each calculation.
pub(crate) const FILTERS_MAX: usize = 100;

/// Orders and havings of a query: as many as there can be things to order by.
pub(crate) const ORDERS_MAX: usize = 200;

/// Values of one `in`. A list beyond this is a join, which is not what filters are for.
pub(crate) const LIST_VALUES_MAX: usize = 10_000;

/// Datasets named in a query.
pub(crate) const DATASETS_MAX: usize = 1_000;

/// Range of a query that states no times, in seconds (CONTRACT.md, HTTP API).
pub(crate) const TIME_RANGE_DEFAULT_S: f64 = 7_200.0;

/// A series has at most this many buckets, plus one for a range that begins inside of a bucket.
pub(crate) const SERIES_BUCKETS_MAX: i64 = 1_000;

/// Buckets of a series whose granularity is left to us: one per few pixels of a chart.
pub(crate) const SERIES_BUCKETS_WANTED: i64 = 120;

/// How far beyond the range of a query others of a trace are looked for, in seconds: a week. All of time would make
/// every relational query read everything that is kept.
pub(crate) const TRACE_SLACK_SECONDS_MAX: f64 = 604_800.0;

/// Seconds by which an answer is compared with an earlier one: half an hour to half a year.
pub(crate) const COMPARE_OFFSETS_S: [i64; 8] =
    [1_800, 3_600, 7_200, 28_800, 86_400, 604_800, 2_419_200, 15_724_800];
