//! Segments: immutable columnar files of one environment, one partition and one day of event time, scanned in
//! encoded form. docs/formats/segment.md describes every byte; docs/adr/0002-segment-body.md says why it is
//! our own.
//!
//! What this module refuses to do: no I/O beyond opening a file, no clock, no catalog. It trusts nothing that
//! it reads: opening checks header and footer, the first touch of a chunk checks the chunk, and what fails is
//! an error of kind `Damaged`.
//!
//! Reading order: [`Segment`], [`ColumnReader`], [`PresentRows`], [`Ints`], [`merge`], [`Gathered`].
//!
//! How to scan: find columns with [`Segment::by_name`]; open one with [`Segment::column`]; skip blocks whose
//! [`ColumnReader::zone`] excludes what is asked; decode the rest into a reused buffer. Values are dense and
//! [`PresentRows`] leads from values to rows and back. A context column has one value per context; rows name
//! their context in [`RowField::Context`].

mod arrange;
mod body;
pub(crate) mod bytes;
mod check;
mod chunks;
mod collect;
mod column;
mod column_dictionary;
mod digits;
mod encode;
mod footer_write;
mod gather;
mod hashes;
mod header;
mod info;
mod ints;
mod ints_choice;
mod ints_dictionary;
mod ints_laid;
mod ints_lanes;
mod ints_packed;
mod ints_plain;
mod ints_wrap;
mod ints_write;
mod kernels;
mod layout;
mod links;
pub(crate) mod machine;
mod merge;
mod overflow;
mod packing;
mod pieces;
mod pool;
mod presence;
mod presence_blocks;
mod presence_spread;
mod reader;
mod shapes;
#[cfg(feature = "copies")]
pub(crate) mod shift;
mod sizes;
mod source;
mod templates;
mod text;
mod text_directory;
mod text_words;
mod text_write;
mod trace_filter;
mod union;
mod unpacked;
mod visible;

pub use arrange::Order;
pub use check::Problem;
pub(crate) use collect::column_bytes;
pub use column::ColumnReader;
pub use gather::Gathered;
pub use header::{Header, VERSION};
pub use info::{ColumnId, ColumnInfo, Zone};
pub use ints::{BLOCK_VALUES, Ints};
pub use layout::FlushPart;
pub use merge::{Target, merge, merge_in_memory, merge_watched, merge_with};
pub use presence::PresentRows;
pub use presence_blocks::Blocks;
pub use presence_spread::Spread;
pub use reader::{RowField, Segment};
pub use shapes::Shapes;
pub use sizes::PartSize;
pub use source::{BatchSource, Source};
pub use text::{Compression, TextReader};
pub use text_words::inner_words;
pub use trace_filter::{TraceFilter, trace_hash};
pub use unpacked::UnpackedCache;
