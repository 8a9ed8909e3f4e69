//! What a door stores so that the export gives back the same model, beyond the columns themselves.
//!
//! Agreement between the doors and the export:
//!
//! - **Time** of a record: `meta.time_raw` (decimal u64) when present; else 0 when `meta.time_source` is
//!   present; else `timestamp`.
//! - **End** of a span: `meta.end_time_raw` (decimal u64) when present; else its start as exported plus
//!   `duration_ms`.
//! - **Text that is not UTF-8** in a fixed text column is in the column of the same name with origin `Fixed`
//!   and storage `Bytes`.
//! - **Log body**: `body` as text, else `body` as json: the bytes of the `AnyValue` message. An empty message
//!   is a body without a value; neither column means no body. `Origin::Body` columns are derived.
//! - **Metric points**: see [`crate::door`] and the tokens `Point` and `InlinePoint`.
//! - **Overflow**: the n-th `Overflow` token of a row is the n-th entry of `meta.overflow`, whose key there is
//!   the full dotted name. Entries beyond the row's tokens are for queries only (fields of its body, or of its
//!   resource and scope) and are not exported.

/// The trace id of a log record was found in its attributes or body; the record itself had none.
pub const TRACE_ID_DERIVED: i64 = 1;
/// The trace id came as 16 zero bytes, which is no id; no `trace.trace_id` is stored unless derived.
pub const TRACE_ID_ZERO: i64 = 1 << 1;
/// The span id of a log record came as 8 zero bytes; no `trace.span_id` is stored.
pub const SPAN_ID_ZERO: i64 = 1 << 2;
/// The parent span id came as 8 zero bytes; no `trace.parent_id` is stored.
pub const PARENT_ID_ZERO: i64 = 1 << 3;

/// `otlp.context_flags`: the resource message was present.
pub const RESOURCE_PRESENT: i64 = 1;
/// `otlp.context_flags`: the scope message was present.
pub const SCOPE_PRESENT: i64 = 1 << 1;
