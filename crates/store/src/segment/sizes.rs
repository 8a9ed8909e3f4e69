//! Where the bytes of a segment go: for measuring, and for whoever wonders what a column costs.

use std::sync::Arc;

use super::hashes::Hashes;
use super::info::{ColumnId, ColumnInfo, Encoding};
use super::layout::{ALL_CHUNKS, Chunk};
use super::presence::PresenceForm;
use super::reader::Segment;
use crate::error::Error;

/// Bytes of one part of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartSize {
    /// What the part is.
    pub kind: &'static str,
    /// The column that it belongs to.
    pub column: Option<Arc<str>>,
    /// Its bytes.
    pub bytes: u64,
}

impl Segment {
    /// All parts; their bytes add up to the file's.
    pub fn sizes(&self) -> Result<Vec<PartSize>, Error> {
        let mut sizes = Vec::new();
        for chunk in ALL_CHUNKS {
            let bytes = self.footer().chunk(self.bytes(), chunk)?.length;
            sizes.push(PartSize { kind: kind_of(chunk), column: None, bytes });
        }
        for id in (0..self.column_count()).map(ColumnId) {
            self.column_sizes(&self.info(id)?, &mut sizes)?;
        }
        let known: u64 = sizes.iter().map(|part| part.bytes).sum();
        sizes.push(PartSize {
            kind: "header, footer",
            column: None,
            bytes: self.byte_len().saturating_sub(known),
        });
        Ok(sizes)
    }

    /// Where in the file a column's presence and values lie; `None` when it has none of that name.
    pub fn place_of_values(&self, name: &str) -> Option<std::ops::Range<usize>> {
        let info = self.by_name(name).ok()?.into_iter().next()?;
        let start = usize::try_from(info.reference.offset).ok()?;
        Some(start..start.checked_add(usize::try_from(info.reference.length).ok()?)?)
    }

    fn column_sizes(&self, info: &ColumnInfo, sizes: &mut Vec<PartSize>) -> Result<(), Error> {
        let mut push = |kind, bytes| {
            sizes.push(PartSize { kind, column: Some(Arc::clone(&info.key.name)), bytes });
        };
        let chunk = super::bytes::slice_at(self.bytes(), info.reference.offset, info.reference.length)?;
        let presence = u64::from(super::bytes::u32_at(chunk, 0)?);
        push(
            if info.presence == PresenceForm::Spread { "presence spread" } else { "presence blocks" },
            presence,
        );
        let values = match info.encoding {
            Encoding::Ints => "integers",
            Encoding::ScaledDoubles => "scaled doubles",
            Encoding::Doubles => "doubles",
            Encoding::Codes => "codes",
            Encoding::Ids16 => "trace codes",
            Encoding::Ids8 => "span ids",
            Encoding::Texts => "text",
            Encoding::Links => "span links",
        };
        let words = match info.encoding {
            Encoding::Texts => self.open_column(info.clone())?.text()?.word_filter_bytes(),
            _ => 0,
        };
        let words = super::bytes::length(words);
        if words > 0 {
            push("words of text", words);
        }
        push(values, info.reference.length.saturating_sub(presence).saturating_sub(words));
        let dictionary = info.dictionary.length;
        match info.encoding {
            Encoding::Codes if info.hashes_computed => push("dictionary text", dictionary),
            Encoding::Codes if self.format_version() > 1 => {
                let bytes = self.dictionary(info)?;
                let (_, text) = Hashes::open(bytes, info.distinct.unwrap_or(0), info.hashes_rise)?;
                let text = super::bytes::length(text.len());
                push("dictionary hashes", dictionary.saturating_sub(text));
                push("dictionary text", text);
            }
            Encoding::Ids16 if self.format_version() > 1 => {
                let ids = u64::from(info.distinct.unwrap_or(0)) * 16;
                push("trace ids", ids);
                push("trace id table", dictionary.saturating_sub(ids));
            }
            _ => {}
        }
        Ok(())
    }
}

fn kind_of(chunk: Chunk) -> &'static str {
    match chunk {
        Chunk::Time => "time",
        Chunk::Ingest => "ingest time",
        Chunk::Offset => "offset",
        Chunk::Index => "index",
        Chunk::Context => "context",
        Chunk::Shape => "shape of row",
        Chunk::ContextShapes => "context shapes",
        Chunk::ShapeTable => "shapes",
        Chunk::Hashes => "name hashes",
        Chunk::Text => "names",
        Chunk::TraceFilter => "trace filter",
        Chunk::Pieces => "checksums",
    }
}
