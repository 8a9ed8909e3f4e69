//! What is kept, and the digest by which a record is known to be what was written.
//!
//! What it refuses: a text that is no id of ours.

use std::fmt;

use skein_event::Environment;
use skein_event::hash::HashKey;

/// The name of a record: 16 hexadecimal digits, the same for the life of the record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Id(String);

impl Id {
    /// Reads an id. `None` when it is none.
    pub fn parse(text: &str) -> Option<Id> {
        let fits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        fits.then(|| Id(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What changes with every change of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// 1, and one more with each change.
    pub version: u64,
    /// When it was made.
    pub created_ns: i64,
    /// When it was last changed.
    pub updated_ns: i64,
}

/// What a marker says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarkerContent {
    /// When it was, or began.
    pub start_ns: i64,
    /// When it ended; `None`: it is a moment.
    pub end_ns: Option<i64>,
    /// What sort of thing, in a word; may be empty.
    pub kind: String,
    /// What a person reads; may be empty.
    pub message: String,
    /// Where more is to be read.
    pub url: Option<String>,
    /// Of which dataset; `None`: of all.
    pub dataset: Option<String>,
}

/// Something that happened, to be seen beside every graph.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Marker {
    /// Its id.
    pub id: Id,
    /// Version and times.
    pub stamp: Stamp,
    /// What it says.
    pub content: MarkerContent,
}

/// Which markers are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarkersWanted {
    /// Those that touch this range, its end excluded.
    pub start_ns: i64,
    /// See `start_ns`.
    pub end_ns: i64,
    /// Those of this dataset and those of all; `None`: of any.
    pub dataset: Option<String>,
    /// Those of this kind; `None`: of any.
    pub kind: Option<String>,
    /// So many at most.
    pub limit: usize,
}

/// What a board holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoardContent {
    /// Its name.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Its panels as a JSON array, which whoever calls has checked.
    pub panels: String,
    /// How many they are.
    pub panel_count: u64,
}

/// Questions that are worth asking again, side by side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Board {
    /// Its id.
    pub id: Id,
    /// Version and times.
    pub stamp: Stamp,
    /// What it holds.
    pub content: BoardContent,
}

/// A board without its panels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoardSummary {
    /// Its id.
    pub id: Id,
    /// Version and times.
    pub stamp: Stamp,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How many panels it has.
    pub panel_count: u64,
}

/// Records, and what cannot be shown of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed<T> {
    /// The records that are whole.
    pub items: Vec<T>,
    /// There are more than were wanted.
    pub more: bool,
    /// Ids of records that are not what was written. They can be deleted.
    pub damaged: Vec<String>,
}

// === digests ===

/// Puts parts together so that no two lists of parts are the same bytes.
struct Digest(Vec<u8>);

impl Digest {
    fn of(kind: &str, environment: &Environment, id: &Id, stamp: Stamp) -> Digest {
        let mut digest = Digest(Vec::with_capacity(256));
        digest.text(kind).text(environment.as_str()).text(id.as_str());
        digest.0.extend_from_slice(&stamp.version.to_le_bytes());
        digest.number(stamp.created_ns).number(stamp.updated_ns);
        digest
    }

    fn text(&mut self, text: &str) -> &mut Digest {
        self.0.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn number(&mut self, number: i64) -> &mut Digest {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Digest, T)) -> &mut Digest {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
        self
    }

    /// Key 0: it guards against flipped bits and not against people.
    fn finish(&self) -> i64 {
        HashKey(0).hash(&self.0).cast_signed()
    }
}

impl Marker {
    pub(crate) fn digest(&self, environment: &Environment) -> i64 {
        let content = &self.content;
        let mut digest = Digest::of("marker", environment, &self.id, self.stamp);
        digest.number(content.start_ns).optional(content.end_ns, |digest, end| {
            digest.number(end);
        });
        digest.text(&content.kind).text(&content.message);
        for text in [&content.url, &content.dataset] {
            digest.optional(text.as_deref(), |digest, text| {
                digest.text(text);
            });
        }
        digest.finish()
    }
}

impl Board {
    pub(crate) fn digest(&self, environment: &Environment) -> i64 {
        let content = &self.content;
        let mut digest = Digest::of("board", environment, &self.id, self.stamp);
        digest.text(&content.name).text(&content.description).text(&content.panels);
        digest.number(content.panel_count.cast_signed()).finish()
    }

    /// What a list shows of it.
    pub fn summary(&self) -> BoardSummary {
        let Board { id, stamp, content } = self;
        BoardSummary {
            id: id.clone(),
            stamp: *stamp,
            name: content.name.clone(),
            description: content.description.clone(),
            panel_count: content.panel_count,
        }
    }
}
