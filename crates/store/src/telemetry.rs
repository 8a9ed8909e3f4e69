//! What the store tells about its work: one wide event per flush, merge, retention and erasure (DESIGN.md §6).

use skein_event::ids::Partition;
use skein_event::observe::Observation;
use skein_event::value::Value;

use crate::catalog::SegmentRow;
use crate::error::Error;
use crate::pace::Cost;
use crate::store::{Inner, StoredFile};
use crate::written::Work;

impl Inner {
    /// Tells about files that were replaced by one. `times`: when it began and ended.
    pub(crate) fn observe_rewrite(
        &self,
        work: Work,
        times: (i64, i64),
        cost: Cost,
        file: &StoredFile,
        inputs: &[StoredFile],
    ) {
        let (start_ns, end_ns) = times;
        let environment = &file.row.environment;
        let amplification = self.state().written.amplification(environment);
        let bytes_read: u64 = inputs.iter().map(|input| input.row.bytes).sum();
        let rows_read: u64 = inputs.iter().map(|input| input.row.rows).sum();
        let mut fields = row_fields(&file.row, inputs.len());
        fields.extend([
            ("skein.bytes_read", whole(bytes_read)),
            ("skein.rows_removed", whole(rows_read.saturating_sub(file.row.rows))),
            ("skein.rested_ns", Value::I64(cost.rested_ns)),
            ("skein.memory_bytes", whole(cost.memory_bytes)),
            ("skein.write_amplification", Value::F64(amplification)),
        ]);
        let duration_ns = end_ns.saturating_sub(start_ns);
        self.observer.observe(Observation { name: work.name(), start_ns, duration_ns, error: None, fields });
    }

    pub(crate) fn observe(
        &self,
        name: &'static str,
        start_ns: i64,
        end_ns: i64,
        row: &SegmentRow,
        sources: usize,
        freshness_ns: Option<i64>,
    ) {
        let mut fields = row_fields(row, sources);
        if let Some(freshness) = freshness_ns {
            fields.push(("skein.freshness_ns", Value::I64(freshness)));
        }
        let duration_ns = end_ns.saturating_sub(start_ns);
        self.observer.observe(Observation { name, start_ns, duration_ns, error: None, fields });
    }

    pub(crate) fn observe_failure(
        &self,
        name: &'static str,
        start_ns: i64,
        end_ns: i64,
        partition: Partition,
        error: &Error,
    ) {
        self.observer.observe(Observation {
            name,
            start_ns,
            duration_ns: end_ns.saturating_sub(start_ns),
            error: Some(error.to_string()),
            fields: vec![("skein.partition", Value::I64(i64::from(partition.0)))],
        });
    }
}

fn whole(number: u64) -> Value {
    Value::I64(i64::try_from(number).unwrap_or(i64::MAX))
}

fn row_fields(row: &SegmentRow, sources: usize) -> Vec<(&'static str, Value)> {
    vec![
        ("skein.environment", Value::Text(row.environment.to_string())),
        ("skein.partition", Value::I64(i64::from(row.partition.0))),
        ("skein.segment", Value::Text(row.id.to_string())),
        ("skein.rows", whole(row.rows)),
        ("skein.bytes", whole(row.bytes)),
        ("skein.segments", whole(sources as u64)),
    ]
}
