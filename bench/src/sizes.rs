//! How many bytes the events take, in the files as the server wrote and compacted them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use skein_store::segment::Segment;

use crate::process::{ServerOptions, bytes_of};
use crate::report::{Figure, precise};

/// Columns that are named; the others are many and small.
const COLUMNS_NAMED: usize = 12;

/// Columns and their bytes, largest first.
type ByColumn = Vec<(String, u64)>;

/// Bytes per event, what belongs to it, and where they go. Beside it: bytes by column, largest first.
pub(crate) fn measure(options: &ServerOptions, rows: usize) -> anyhow::Result<(Vec<Figure>, ByColumn)> {
    let data = options.data();
    let segments = bytes_of(&data.join("segments").join("default"))?;
    let derived = bytes_of(&data.join("footers.cat"))?;
    let catalog = bytes_of(&data.join("catalog.sqlite"))?;
    let log = bytes_of(&data.join("log"))?;
    let each = |bytes: u64| precise(bytes) / precise(rows);
    let mut parts = Parts::default();
    parts.folder(&data.join("segments").join("default"))?;
    let mut figures = vec![
        Figure::new("bytes_per_event", "bytes", each(segments + derived + catalog)),
        Figure::new("bytes_per_event_segments", "bytes", each(segments)),
        Figure::new("bytes_per_event_footers_catalogue", "bytes", each(derived)),
        Figure::new("bytes_per_event_catalog", "bytes", each(catalog)),
        Figure::new("bytes_per_event_log_kept", "bytes", each(log)),
        Figure::new("segments_after_settling", "files", precise(parts.segments)),
    ];
    figures.extend(
        parts
            .kinds
            .iter()
            .map(|(kind, &bytes)| Figure::new(format!("bytes_per_event_of_{kind}"), "bytes", each(bytes))),
    );
    let mut columns: ByColumn = parts.columns.into_iter().collect();
    columns.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    columns.truncate(COLUMNS_NAMED);
    Ok((figures, columns))
}

/// What belongs to the figures, and the largest columns.
pub(crate) fn notes(columns: &[(String, u64)], rows: usize) -> String {
    let mut text = String::from(
        "The files of the wide events after flush and compaction have settled, each with its checksums. \
         `bytes_per_event` is all that is kept to answer questions: segments, the catalogue of footers, the catalog. The \
         log kept as a second copy (24 hours or a tenth of the disk) is stated apart; peers have none.",
    );
    if !columns.is_empty() {
        text.push_str(" Largest columns, bytes per event:");
        for (name, bytes) in columns {
            text.push_str(&format!(" `{name}` {:.2},", precise(*bytes) / precise(rows)));
        }
        text.pop();
        text.push('.');
    }
    text
}

#[derive(Default)]
struct Parts {
    segments: usize,
    kinds: BTreeMap<String, u64>,
    columns: BTreeMap<String, u64>,
}

impl Parts {
    fn folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                self.folder(&path)?;
            } else if path.extension().is_some_and(|extension| extension == "seg") {
                let segment = Segment::open_file(&path).with_context(|| path.display().to_string())?;
                self.segments += 1;
                for part in segment.sizes().with_context(|| path.display().to_string())? {
                    *self.kinds.entry(part.kind.replace(", ", "_").replace(" ", "_")).or_default() +=
                        part.bytes;
                    if let Some(column) = part.column {
                        *self.columns.entry(column.to_string()).or_default() += part.bytes;
                    }
                }
            }
        }
        Ok(())
    }
}
