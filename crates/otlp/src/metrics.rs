//! `opentelemetry.proto.metrics.v1`: metrics and their points.

use crate::common::{InstrumentationScope, KeyValue};
use crate::resource::Resource;

/// Metrics of one resource.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceMetrics {
    /// The resource.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// Its metrics, by scope.
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetrics>,
    /// The schema of the resource.
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

/// Metrics of one scope.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeMetrics {
    /// The scope.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// Its metrics.
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
    /// The schema of the metrics.
    #[prost(string, tag = "3")]
    pub schema_url: String,
}

/// A metric: a descriptor with points.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metric {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it measures.
    #[prost(string, tag = "2")]
    pub description: String,
    /// In what unit (UCUM).
    #[prost(string, tag = "3")]
    pub unit: String,
    /// Its points.
    #[prost(oneof = "metric::Data", tags = "5, 7, 9, 10, 11")]
    pub data: Option<metric::Data>,
    /// More about the metric; not part of its identity.
    #[prost(message, repeated, tag = "12")]
    pub metadata: Vec<KeyValue>,
}

/// Parts of a [`Metric`].
pub mod metric {
    /// The points of a metric, by type.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Data {
        /// Last values.
        #[prost(message, tag = "5")]
        Gauge(super::Gauge),
        /// Sums.
        #[prost(message, tag = "7")]
        Sum(super::Sum),
        /// Histograms with explicit bounds.
        #[prost(message, tag = "9")]
        Histogram(super::Histogram),
        /// Histograms with exponential bounds.
        #[prost(message, tag = "10")]
        ExponentialHistogram(super::ExponentialHistogram),
        /// Quantiles computed by the client.
        #[prost(message, tag = "11")]
        Summary(super::Summary),
    }
}

/// Last values.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Gauge {
    /// The points.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
}

/// Sums over time.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sum {
    /// The points.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
    /// Since when a point sums.
    #[prost(enumeration = "AggregationTemporality", tag = "2")]
    pub aggregation_temporality: i32,
    /// Whether it only grows.
    #[prost(bool, tag = "3")]
    pub is_monotonic: bool,
}

/// Histograms with explicit bounds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Histogram {
    /// The points.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<HistogramDataPoint>,
    /// Since when a point counts.
    #[prost(enumeration = "AggregationTemporality", tag = "2")]
    pub aggregation_temporality: i32,
}

/// Histograms with exponential bounds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExponentialHistogram {
    /// The points.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<ExponentialHistogramDataPoint>,
    /// Since when a point counts.
    #[prost(enumeration = "AggregationTemporality", tag = "2")]
    pub aggregation_temporality: i32,
}

/// Quantiles computed by the client.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Summary {
    /// The points.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<SummaryDataPoint>,
}

/// Since when a point counts or sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum AggregationTemporality {
    /// Not said.
    Unspecified = 0,
    /// Since the point before.
    Delta = 1,
    /// Since the start time.
    Cumulative = 2,
}

/// The point has no value; it says that the series has stopped.
pub const NO_RECORDED_VALUE: u32 = 1;

/// A point of a gauge or sum.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NumberDataPoint {
    /// Since when it sums, epoch nanoseconds.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// When it was taken, epoch nanoseconds.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// Its value.
    #[prost(oneof = "number_data_point::Value", tags = "4, 6")]
    pub value: Option<number_data_point::Value>,
    /// Measurements that went into it.
    #[prost(message, repeated, tag = "5")]
    pub exemplars: Vec<Exemplar>,
    /// Its attributes.
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
    /// Bit 0: see [`NO_RECORDED_VALUE`].
    #[prost(uint32, tag = "8")]
    pub flags: u32,
}

/// Parts of a [`NumberDataPoint`].
pub mod number_data_point {
    /// The value, by type.
    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub enum Value {
        /// A double.
        #[prost(double, tag = "4")]
        AsDouble(f64),
        /// An integer.
        #[prost(sfixed64, tag = "6")]
        AsInt(i64),
    }
}

/// A point of a histogram with explicit bounds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HistogramDataPoint {
    /// Since when it counts, epoch nanoseconds.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// When it was taken, epoch nanoseconds.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// Number of values.
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    /// Their sum.
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    /// How many values each bucket holds.
    #[prost(fixed64, repeated, tag = "6")]
    pub bucket_counts: Vec<u64>,
    /// Upper bounds of all buckets but the last.
    #[prost(double, repeated, tag = "7")]
    pub explicit_bounds: Vec<f64>,
    /// Measurements that went into it.
    #[prost(message, repeated, tag = "8")]
    pub exemplars: Vec<Exemplar>,
    /// Its attributes.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    /// Bit 0: see [`NO_RECORDED_VALUE`].
    #[prost(uint32, tag = "10")]
    pub flags: u32,
    /// The smallest value.
    #[prost(double, optional, tag = "11")]
    pub min: Option<f64>,
    /// The largest value.
    #[prost(double, optional, tag = "12")]
    pub max: Option<f64>,
}

/// A point of a histogram with exponential bounds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExponentialHistogramDataPoint {
    /// Its attributes.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
    /// Since when it counts, epoch nanoseconds.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// When it was taken, epoch nanoseconds.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// Number of values.
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    /// Their sum.
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    /// The base of the bounds is 2^(2^-scale).
    #[prost(sint32, tag = "6")]
    pub scale: i32,
    /// How many values are zero or closer to it than `zero_threshold`.
    #[prost(fixed64, tag = "7")]
    pub zero_count: u64,
    /// Buckets of positive values.
    #[prost(message, optional, tag = "8")]
    pub positive: Option<exponential_histogram_data_point::Buckets>,
    /// Buckets of negative values.
    #[prost(message, optional, tag = "9")]
    pub negative: Option<exponential_histogram_data_point::Buckets>,
    /// Bit 0: see [`NO_RECORDED_VALUE`].
    #[prost(uint32, tag = "10")]
    pub flags: u32,
    /// Measurements that went into it.
    #[prost(message, repeated, tag = "11")]
    pub exemplars: Vec<Exemplar>,
    /// The smallest value.
    #[prost(double, optional, tag = "12")]
    pub min: Option<f64>,
    /// The largest value.
    #[prost(double, optional, tag = "13")]
    pub max: Option<f64>,
    /// Values closer to zero than this are counted as zero. Absent is 0; as an option, −0 is not lost.
    #[prost(double, optional, tag = "14")]
    pub zero_threshold: Option<f64>,
}

/// Parts of an [`ExponentialHistogramDataPoint`].
pub mod exponential_histogram_data_point {
    /// A run of neighbouring buckets.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Buckets {
        /// The exponent of the first bucket.
        #[prost(sint32, tag = "1")]
        pub offset: i32,
        /// How many values each bucket holds.
        #[prost(uint64, repeated, tag = "2")]
        pub bucket_counts: Vec<u64>,
    }
}

/// A point of a summary.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SummaryDataPoint {
    /// Since when it counts, epoch nanoseconds.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// When it was taken, epoch nanoseconds.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// Number of values.
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    /// Their sum. Absent is 0; as an option, −0 is not lost.
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    /// The quantiles.
    #[prost(message, repeated, tag = "6")]
    pub quantile_values: Vec<summary_data_point::ValueAtQuantile>,
    /// Its attributes.
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
    /// Bit 0: see [`NO_RECORDED_VALUE`].
    #[prost(uint32, tag = "8")]
    pub flags: u32,
}

/// Parts of a [`SummaryDataPoint`].
pub mod summary_data_point {
    /// One quantile.
    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct ValueAtQuantile {
        /// Which, from 0 to 1. Absent is 0; as an option, −0 is not lost.
        #[prost(double, optional, tag = "1")]
        pub quantile: Option<f64>,
        /// Its value. Absent is 0; as an option, −0 is not lost.
        #[prost(double, optional, tag = "2")]
        pub value: Option<f64>,
    }
}

/// A single measurement behind a point.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Exemplar {
    /// When it was taken, epoch nanoseconds.
    #[prost(fixed64, tag = "2")]
    pub time_unix_nano: u64,
    /// Its value.
    #[prost(oneof = "exemplar::Value", tags = "3, 6")]
    pub value: Option<exemplar::Value>,
    /// The span it was taken in: 8 bytes, or empty.
    #[prost(bytes = "vec", tag = "4")]
    pub span_id: Vec<u8>,
    /// The trace it was taken in: 16 bytes, or empty.
    #[prost(bytes = "vec", tag = "5")]
    pub trace_id: Vec<u8>,
    /// Attributes that the point's aggregation left out.
    #[prost(message, repeated, tag = "7")]
    pub filtered_attributes: Vec<KeyValue>,
}

/// Parts of an [`Exemplar`].
pub mod exemplar {
    /// The value, by type.
    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub enum Value {
        /// A double.
        #[prost(double, tag = "3")]
        AsDouble(f64),
        /// An integer.
        #[prost(sfixed64, tag = "6")]
        AsInt(i64),
    }
}
