//! JSON of `opentelemetry.proto.metrics.v1`.

use super::{Object, ToJson, write_f64, write_quoted};
use crate::metrics::exponential_histogram_data_point::Buckets;
use crate::metrics::metric::Data;
use crate::metrics::summary_data_point::ValueAtQuantile;
use crate::metrics::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    number_data_point,
};

impl ToJson for ResourceMetrics {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.optional("resource", self.resource.as_ref());
        object.list("scopeMetrics", &self.scope_metrics);
        object.text("schemaUrl", &self.schema_url);
        object.close();
    }
}

impl ToJson for ScopeMetrics {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.optional("scope", self.scope.as_ref());
        object.list("metrics", &self.metrics);
        object.text("schemaUrl", &self.schema_url);
        object.close();
    }
}

impl ToJson for Metric {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.text("name", &self.name);
        object.text("description", &self.description);
        object.text("unit", &self.unit);
        match &self.data {
            None => {}
            Some(Data::Gauge(gauge)) => object.optional("gauge", Some(gauge)),
            Some(Data::Sum(sum)) => object.optional("sum", Some(sum)),
            Some(Data::Histogram(histogram)) => object.optional("histogram", Some(histogram)),
            Some(Data::ExponentialHistogram(histogram)) => {
                object.optional("exponentialHistogram", Some(histogram));
            }
            Some(Data::Summary(summary)) => object.optional("summary", Some(summary)),
        }
        object.list("metadata", &self.metadata);
        object.close();
    }
}

impl ToJson for Gauge {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("dataPoints", &self.data_points);
        object.close();
    }
}

impl ToJson for Sum {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("dataPoints", &self.data_points);
        object.narrow("aggregationTemporality", self.aggregation_temporality);
        object.boolean("isMonotonic", self.is_monotonic);
        object.close();
    }
}

impl ToJson for Histogram {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("dataPoints", &self.data_points);
        object.narrow("aggregationTemporality", self.aggregation_temporality);
        object.close();
    }
}

impl ToJson for ExponentialHistogram {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("dataPoints", &self.data_points);
        object.narrow("aggregationTemporality", self.aggregation_temporality);
        object.close();
    }
}

impl ToJson for Summary {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("dataPoints", &self.data_points);
        object.close();
    }
}

impl ToJson for NumberDataPoint {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("attributes", &self.attributes);
        object.wide("startTimeUnixNano", self.start_time_unix_nano);
        object.wide("timeUnixNano", self.time_unix_nano);
        match self.value {
            None => {}
            Some(number_data_point::Value::AsDouble(value)) => write_f64(value, object.key("asDouble")),
            Some(number_data_point::Value::AsInt(value)) => write_quoted(value, object.key("asInt")),
        }
        object.list("exemplars", &self.exemplars);
        object.narrow("flags", self.flags);
        object.close();
    }
}

impl ToJson for HistogramDataPoint {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("attributes", &self.attributes);
        object.wide("startTimeUnixNano", self.start_time_unix_nano);
        object.wide("timeUnixNano", self.time_unix_nano);
        object.wide("count", self.count);
        object.optional_double("sum", self.sum);
        object.list_with("bucketCounts", &self.bucket_counts, |count, out| write_quoted(count, out));
        object.list_with("explicitBounds", &self.explicit_bounds, |bound, out| write_f64(*bound, out));
        object.list("exemplars", &self.exemplars);
        object.narrow("flags", self.flags);
        object.optional_double("min", self.min);
        object.optional_double("max", self.max);
        object.close();
    }
}

impl ToJson for ExponentialHistogramDataPoint {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("attributes", &self.attributes);
        object.wide("startTimeUnixNano", self.start_time_unix_nano);
        object.wide("timeUnixNano", self.time_unix_nano);
        object.wide("count", self.count);
        object.optional_double("sum", self.sum);
        object.narrow("scale", self.scale);
        object.wide("zeroCount", self.zero_count);
        object.optional("positive", self.positive.as_ref());
        object.optional("negative", self.negative.as_ref());
        object.narrow("flags", self.flags);
        object.list("exemplars", &self.exemplars);
        object.optional_double("min", self.min);
        object.optional_double("max", self.max);
        object.optional_double("zeroThreshold", self.zero_threshold);
        object.close();
    }
}

impl ToJson for Buckets {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.narrow("offset", self.offset);
        object.list_with("bucketCounts", &self.bucket_counts, |count, out| write_quoted(count, out));
        object.close();
    }
}

impl ToJson for SummaryDataPoint {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("attributes", &self.attributes);
        object.wide("startTimeUnixNano", self.start_time_unix_nano);
        object.wide("timeUnixNano", self.time_unix_nano);
        object.wide("count", self.count);
        object.optional_double("sum", self.sum);
        object.list("quantileValues", &self.quantile_values);
        object.narrow("flags", self.flags);
        object.close();
    }
}

impl ToJson for ValueAtQuantile {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.optional_double("quantile", self.quantile);
        object.optional_double("value", self.value);
        object.close();
    }
}

impl ToJson for Exemplar {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("filteredAttributes", &self.filtered_attributes);
        object.wide("timeUnixNano", self.time_unix_nano);
        match self.value {
            None => {}
            Some(exemplar::Value::AsDouble(value)) => write_f64(value, object.key("asDouble")),
            Some(exemplar::Value::AsInt(value)) => write_quoted(value, object.key("asInt")),
        }
        object.hex("spanId", &self.span_id);
        object.hex("traceId", &self.trace_id);
        object.close();
    }
}
