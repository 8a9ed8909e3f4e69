//! A metric point from the columns of its row.
//!
//! A number is in a column of the metric's name. A histogram or summary is a kvlist there, with the names of
//! its fields as keys: 64-bit counts as the integers of equal bits, exemplars apart.

use skein_event::Physical;
use skein_otlp::common::any_value::Value;
use skein_otlp::common::{AnyValue, KeyValue};
use skein_otlp::metrics::exponential_histogram_data_point::Buckets;
use skein_otlp::metrics::summary_data_point::ValueAtQuantile;
use skein_otlp::metrics::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint, exemplar,
    number_data_point,
};

use super::Damage;
use super::columns::{Cell, Columns};
use super::value::any_value;

/// What the points of one row share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) attributes: Vec<KeyValue>,
    pub(super) start: u64,
    pub(super) time: u64,
}

/// A point of any type.
#[derive(Debug)]
pub(super) struct Point {
    shared: Shared,
    value: Option<Value>,
    flags: u32,
    exemplars: Vec<Exemplar>,
}

impl Point {
    /// The point whose value is in a column.
    pub(super) fn read(row: &Columns<'_>, column: u32, shared: &Shared) -> Result<Point, Damage> {
        let value = match row.cell(column) {
            Some(Cell::I64(value)) => Some(Value::IntValue(value)),
            Some(Cell::F64(value)) => Some(Value::DoubleValue(value)),
            Some(Cell::Json(message)) => any_value(message)?.value,
            _ => return Err("a metric point without its value"),
        };
        let flags = match row.metric_part(column, ".flags", Physical::I64) {
            Some(Cell::I64(flags)) => u32::try_from(flags).map_err(|_| "flags out of range")?,
            _ => 0,
        };
        let exemplars = match row.metric_part(column, ".exemplars", Physical::Json) {
            Some(Cell::Json(message)) => {
                elements(any_value(message)?).into_iter().map(read_exemplar).collect::<Result<_, _>>()?
            }
            _ => Vec::new(),
        };
        Ok(Point { shared: shared.clone(), value, flags, exemplars })
    }

    pub(super) fn number(self) -> Result<NumberDataPoint, Damage> {
        let value = match self.value {
            Some(Value::IntValue(value)) => number_data_point::Value::AsInt(value),
            Some(Value::DoubleValue(value)) => number_data_point::Value::AsDouble(value),
            _ => return Err("a number that is none"),
        };
        Ok(NumberDataPoint {
            start_time_unix_nano: self.shared.start,
            time_unix_nano: self.shared.time,
            value: Some(value),
            exemplars: self.exemplars,
            attributes: self.shared.attributes,
            flags: self.flags,
        })
    }

    pub(super) fn histogram(self) -> Result<HistogramDataPoint, Damage> {
        let mut point = HistogramDataPoint {
            start_time_unix_nano: self.shared.start,
            time_unix_nano: self.shared.time,
            exemplars: self.exemplars,
            attributes: self.shared.attributes,
            flags: self.flags,
            ..HistogramDataPoint::default()
        };
        for (key, value) in entries(self.value)? {
            match key.as_str() {
                "count" => point.count = bits(&value)?,
                "sum" => point.sum = Some(double(&value)?),
                "min" => point.min = Some(double(&value)?),
                "max" => point.max = Some(double(&value)?),
                "bucket_counts" => point.bucket_counts = list(value, bits)?,
                "explicit_bounds" => point.explicit_bounds = list(value, double)?,
                _ => {}
            }
        }
        Ok(point)
    }

    pub(super) fn exponential_histogram(self) -> Result<ExponentialHistogramDataPoint, Damage> {
        let mut point = ExponentialHistogramDataPoint {
            start_time_unix_nano: self.shared.start,
            time_unix_nano: self.shared.time,
            exemplars: self.exemplars,
            attributes: self.shared.attributes,
            flags: self.flags,
            ..ExponentialHistogramDataPoint::default()
        };
        for (key, value) in entries(self.value)? {
            match key.as_str() {
                "count" => point.count = bits(&value)?,
                "sum" => point.sum = Some(double(&value)?),
                "min" => point.min = Some(double(&value)?),
                "max" => point.max = Some(double(&value)?),
                "scale" => point.scale = narrow(&value)?,
                "zero_count" => point.zero_count = bits(&value)?,
                "zero_threshold" => point.zero_threshold = Some(double(&value)?),
                "positive" => point.positive = Some(buckets(value)?),
                "negative" => point.negative = Some(buckets(value)?),
                _ => {}
            }
        }
        Ok(point)
    }

    pub(super) fn summary(self) -> Result<SummaryDataPoint, Damage> {
        let mut point = SummaryDataPoint {
            start_time_unix_nano: self.shared.start,
            time_unix_nano: self.shared.time,
            attributes: self.shared.attributes,
            flags: self.flags,
            ..SummaryDataPoint::default()
        };
        for (key, value) in entries(self.value)? {
            match key.as_str() {
                "count" => point.count = bits(&value)?,
                "sum" => point.sum = Some(double(&value)?),
                "quantile_values" => {
                    point.quantile_values =
                        elements(value).into_iter().map(quantile).collect::<Result<_, _>>()?;
                }
                _ => {}
            }
        }
        Ok(point)
    }
}

fn quantile(value: AnyValue) -> Result<ValueAtQuantile, Damage> {
    let mut quantile = ValueAtQuantile::default();
    for (key, value) in entries(value.value)? {
        match key.as_str() {
            "quantile" => quantile.quantile = Some(double(&value)?),
            "value" => quantile.value = Some(double(&value)?),
            _ => {}
        }
    }
    Ok(quantile)
}

fn buckets(value: AnyValue) -> Result<Buckets, Damage> {
    let mut buckets = Buckets::default();
    for (key, value) in entries(value.value)? {
        match key.as_str() {
            "offset" => buckets.offset = narrow(&value)?,
            "bucket_counts" => buckets.bucket_counts = list(value, bits)?,
            _ => {}
        }
    }
    Ok(buckets)
}

fn read_exemplar(value: AnyValue) -> Result<Exemplar, Damage> {
    let mut exemplar = Exemplar::default();
    for (key, value) in entries(value.value)? {
        match key.as_str() {
            "filtered_attributes" => {
                if let Some(Value::KvlistValue(attributes)) = value.value {
                    exemplar.filtered_attributes = attributes.values;
                }
            }
            "time_unix_nano" => exemplar.time_unix_nano = bits(&value)?,
            "value" => {
                exemplar.value = match value.value {
                    Some(Value::IntValue(value)) => Some(exemplar::Value::AsInt(value)),
                    Some(Value::DoubleValue(value)) => Some(exemplar::Value::AsDouble(value)),
                    _ => return Err("an exemplar whose value is no number"),
                }
            }
            "span_id" => exemplar.span_id = id(value)?,
            "trace_id" => exemplar.trace_id = id(value)?,
            _ => {}
        }
    }
    Ok(exemplar)
}

// === values ===

fn entries(value: Option<Value>) -> Result<impl Iterator<Item = (String, AnyValue)>, Damage> {
    let Some(Value::KvlistValue(entries)) = value else { return Err("a metric point that is no kvlist") };
    Ok(entries.values.into_iter().map(|entry| (entry.key, entry.value.unwrap_or_default())))
}

fn elements(value: AnyValue) -> Vec<AnyValue> {
    match value.value {
        Some(Value::ArrayValue(array)) => array.values,
        _ => Vec::new(),
    }
}

fn list<T>(value: AnyValue, read: impl Fn(&AnyValue) -> Result<T, Damage>) -> Result<Vec<T>, Damage> {
    elements(value).iter().map(read).collect()
}

fn bits(value: &AnyValue) -> Result<u64, Damage> {
    match value.value {
        Some(Value::IntValue(value)) => Ok(value.cast_unsigned()),
        _ => Err("a count that is no integer"),
    }
}

fn narrow(value: &AnyValue) -> Result<i32, Damage> {
    i32::try_from(bits(value)?.cast_signed()).map_err(|_| "an integer out of range")
}

fn double(value: &AnyValue) -> Result<f64, Damage> {
    match value.value {
        Some(Value::DoubleValue(value)) => Ok(value),
        _ => Err("a number that is no double"),
    }
}

fn id(value: AnyValue) -> Result<Vec<u8>, Damage> {
    match value.value {
        Some(Value::StringValue(text)) => crate::json::hex(&text).ok_or("an id that is not hex"),
        _ => Err("an id that is no text"),
    }
}
