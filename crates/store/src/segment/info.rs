//! What a footer says about a column.

use skein_event::batch::{ColumnKey, Physical};
use skein_event::columns::Level;

use super::layout::Reference;
use super::presence::PresenceForm;

/// How a column's values are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Encoding {
    /// Integers as they are: bool, i64, durations.
    Ints = 0,
    /// Doubles as integers divided by a power of ten.
    ScaledDoubles = 1,
    /// Doubles bit for bit.
    Doubles = 2,
    /// Codes of the column's dictionary, whose entries are codes of the segment's.
    Codes = 3,
    /// Codes of a dictionary of 16-byte ids in order of arrival.
    Ids16 = 4,
    /// 8-byte ids one after another.
    Ids8 = 5,
    /// Values one after another, in blocks: text that is mostly different. The place of a value is its code.
    Texts = 6,
    /// 8-byte ids as places among those of the column of span ids.
    Links = 7,
}

impl Encoding {
    pub(super) fn from_number(number: u8) -> Option<Encoding> {
        const ALL: [Encoding; 8] = [
            Encoding::Ints,
            Encoding::ScaledDoubles,
            Encoding::Doubles,
            Encoding::Codes,
            Encoding::Ids16,
            Encoding::Ids8,
            Encoding::Texts,
            Encoding::Links,
        ];
        ALL.get(usize::from(number)).copied()
    }

    /// Whether its values are codes of a dictionary, whose length the entry tells.
    pub(super) fn has_dictionary(self) -> bool {
        matches!(self, Encoding::Codes | Encoding::Ids16 | Encoding::Texts)
    }

    /// Whether values of a storage form may be encoded so.
    pub(super) fn fits(self, physical: Physical) -> bool {
        match physical {
            Physical::Bool | Physical::I64 | Physical::DurationNs => self == Encoding::Ints,
            Physical::F64 => matches!(self, Encoding::ScaledDoubles | Encoding::Doubles),
            Physical::Text | Physical::Bytes | Physical::Json => {
                matches!(self, Encoding::Codes | Encoding::Texts)
            }
            Physical::TraceId => self == Encoding::Ids16,
            Physical::SpanId => matches!(self, Encoding::Ids8 | Encoding::Links),
        }
    }
}

/// A column's place in its segment's footer, and its number in shapes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ColumnId(pub u32);

/// What the footer says about a column.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnInfo {
    /// Its place in the footer.
    pub id: ColumnId,
    /// Its identity.
    pub key: ColumnKey,
    /// Whether its values belong to rows or to contexts.
    pub level: Level,
    /// How many rows (contexts) have a value.
    pub present: u32,
    /// Distinct values, where the column has a dictionary: text, bytes, json, trace ids.
    pub distinct: Option<u32>,
    /// Smallest and largest value.
    pub zone: Zone,
    /// Bytes of its chunks.
    pub bytes: u64,
    pub(crate) encoding: Encoding,
    pub(crate) presence: PresenceForm,
    pub(crate) scale: u8,
    /// Whether the hashes of its dictionary rise.
    pub(crate) hashes_rise: bool,
    /// Whether two values of its dictionary share a hash.
    pub(crate) collided: bool,
    /// Whether its hashes are worked out from its values instead of being kept.
    pub(crate) hashes_computed: bool,
    /// Whether its doubles are kept as integers of the same bits.
    pub(crate) doubles_as_ints: bool,
    /// Presence and values.
    pub(crate) reference: Reference,
    /// Dictionary or index; of version 1 there is none.
    pub(crate) dictionary: Reference,
}

/// Smallest and largest value of a block or a column. What it excludes is not there.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Zone {
    /// Of bool (0 and 1), i64 and durations in nanoseconds.
    I64(i64, i64),
    /// Of doubles, leaving out NaN; empty (min > max) when there is nothing else.
    F64 {
        /// The smallest, by value.
        min: f64,
        /// The largest, by value.
        max: f64,
        /// Whether there may be NaN beside them.
        nan: bool,
    },
    /// Of the codes of the column's own dictionary.
    Code(u32, u32),
    /// Of values that have no useful order: span ids.
    Unordered,
}
