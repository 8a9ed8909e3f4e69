//! Stored batches as lines of OTLP/JSON, one request per signal, or as flat events.

use skein_api::state::Exporter;
use skein_ingest::export;
use skein_otlp::json::ToJson;
use skein_query::result::{FlatRow, ScanBatch};

/// Writes OTLP/JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OtlpExporter;

impl Exporter for OtlpExporter {
    fn lines(&self, batch: &ScanBatch) -> Result<Vec<u8>, String> {
        let exported = export(&batch.batch).map_err(|error| error.to_string())?;
        if exported.orphans > 0 {
            // Silent loss does not exist (I3): a scan that cuts a span from its events is a defect.
            return Err(format!("{} span events or links came without their span", exported.orphans));
        }
        let mut lines = String::new();
        let mut line = |message: &dyn ToJson, is_empty: bool| {
            if !is_empty {
                message.write_json(&mut lines);
                lines.push('\n');
            }
        };
        line(&exported.traces, exported.traces.resource_spans.is_empty());
        line(&exported.logs, exported.logs.resource_logs.is_empty());
        line(&exported.metrics, exported.metrics.resource_metrics.is_empty());
        Ok(lines.into_bytes())
    }

    fn events(&self, batch: ScanBatch) -> Vec<FlatRow> {
        skein_engine::flat_events(batch)
    }
}
