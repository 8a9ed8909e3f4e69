//! `opentelemetry.proto.collector.*.v1`: the requests and responses of the three export services.

/// The trace service.
pub mod trace {
    use crate::trace::ResourceSpans;

    /// The full name of the service, as in the path of a gRPC request.
    pub const SERVICE: &str = "opentelemetry.proto.collector.trace.v1.TraceService";

    /// Spans on their way in.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportTraceServiceRequest {
        /// The spans, by resource.
        #[prost(message, repeated, tag = "1")]
        pub resource_spans: Vec<ResourceSpans>,
    }

    /// What became of them.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportTraceServiceResponse {
        /// Unset when everything was taken.
        #[prost(message, optional, tag = "1")]
        pub partial_success: Option<ExportTracePartialSuccess>,
    }

    /// What was not taken, or a warning when nothing was rejected.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportTracePartialSuccess {
        /// How many spans were not taken.
        #[prost(int64, tag = "1")]
        pub rejected_spans: i64,
        /// Why, for people.
        #[prost(string, tag = "2")]
        pub error_message: String,
    }
}

/// The logs service.
pub mod logs {
    use crate::logs::ResourceLogs;

    /// The full name of the service, as in the path of a gRPC request.
    pub const SERVICE: &str = "opentelemetry.proto.collector.logs.v1.LogsService";

    /// Log records on their way in.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportLogsServiceRequest {
        /// The log records, by resource.
        #[prost(message, repeated, tag = "1")]
        pub resource_logs: Vec<ResourceLogs>,
    }

    /// What became of them.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportLogsServiceResponse {
        /// Unset when everything was taken.
        #[prost(message, optional, tag = "1")]
        pub partial_success: Option<ExportLogsPartialSuccess>,
    }

    /// What was not taken, or a warning when nothing was rejected.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportLogsPartialSuccess {
        /// How many log records were not taken.
        #[prost(int64, tag = "1")]
        pub rejected_log_records: i64,
        /// Why, for people.
        #[prost(string, tag = "2")]
        pub error_message: String,
    }
}

/// The metrics service.
pub mod metrics {
    use crate::metrics::ResourceMetrics;

    /// The full name of the service, as in the path of a gRPC request.
    pub const SERVICE: &str = "opentelemetry.proto.collector.metrics.v1.MetricsService";

    /// Metric points on their way in.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportMetricsServiceRequest {
        /// The metric points, by resource.
        #[prost(message, repeated, tag = "1")]
        pub resource_metrics: Vec<ResourceMetrics>,
    }

    /// What became of them.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportMetricsServiceResponse {
        /// Unset when everything was taken.
        #[prost(message, optional, tag = "1")]
        pub partial_success: Option<ExportMetricsPartialSuccess>,
    }

    /// What was not taken, or a warning when nothing was rejected.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ExportMetricsPartialSuccess {
        /// How many metric points were not taken.
        #[prost(int64, tag = "1")]
        pub rejected_data_points: i64,
        /// Why, for people.
        #[prost(string, tag = "2")]
        pub error_message: String,
    }
}
