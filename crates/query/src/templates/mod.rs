//! Templates of texts: what log lines have in common, with `<*>` for what differs (docs/reference/templates.md).
//!
//! Texts become shapes ([`shape`]), in which what looks like a value already is variable; equal shapes are counted
//! together ([`Collector`]), so that a million lines become some thousand shapes. Then the shapes are put together to
//! templates ([`mine`], after Drain, He et al., ICWS 2017). They are taken in an order of their own, so that the same
//! texts give the same templates whatever order they came in.
//!
//! What it refuses: to hold more shapes than its limit, to look at more words of a text than its limit, and to hide what
//! falls out for it: that is counted as such.

mod mine;
mod shape;

use std::collections::HashMap;

use skein_event::limits::{TEMPLATE_EXAMPLE_CHARS_MAX, TEMPLATE_SHAPES_MAX};

use crate::plan::{Column, Plan};
use crate::result::Meta;

pub use self::mine::{Mined, Template, mine};
use self::shape::{Token, shape_of};

/// Stands for what differs.
pub const VARIABLE: &str = "<*>";

/// Places of signed sums by trace: few, since there are as many shapes.
pub const PLACES: usize = 16;

/// Which texts are looked at.
#[derive(Clone, PartialEq, Debug)]
pub struct TemplatesPlan {
    /// Their column.
    pub column: Column,
    /// The events.
    pub now: Plan,
    /// What they are compared with.
    pub baseline: Option<Plan>,
    /// Templates at most.
    pub limit: usize,
}

/// An event with a text.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Occurrence {
    /// It is of the baseline.
    pub earlier: bool,
    /// What it stands for.
    pub weight: f64,
    /// When it was.
    pub time_ns: i64,
    /// A hash of its trace, or of itself.
    pub cluster: u64,
}

/// What was counted of one side: 0 is now, 1 the baseline.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Counted {
    /// Kept events.
    pub rows: u64,
    /// What they stand for.
    pub weight: f64,
    /// The first of them, and the last.
    pub seen_ns: Option<(i64, i64)>,
    signed: [f64; PLACES],
}

impl Default for Counted {
    fn default() -> Counted {
        Counted { rows: 0, weight: 0.0, seen_ns: None, signed: [0.0; PLACES] }
    }
}

impl Counted {
    fn add(&mut self, occurrence: Occurrence) {
        let Occurrence { weight, time_ns, cluster, .. } = occurrence;
        self.rows += 1;
        self.weight += weight;
        let (first, last) = self.seen_ns.unwrap_or((time_ns, time_ns));
        self.seen_ns = Some((first.min(time_ns), last.max(time_ns)));
        let [place, .., sign] = cluster.to_le_bytes();
        if let Some(sum) = self.signed.get_mut(usize::from(place) % PLACES) {
            *sum += if sign & 0x80 == 0 { weight } else { -weight };
        }
    }

    fn merge(&mut self, other: &Counted) {
        self.rows += other.rows;
        self.weight += other.weight;
        self.seen_ns = match (self.seen_ns, other.seen_ns) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        self.signed.iter_mut().zip(other.signed).for_each(|(sum, more)| *sum += more);
    }

    /// Variance of the weight, if traces come by chance: Σ over traces of the square of what each adds, estimated from
    /// [`PLACES`] signed sums.
    pub fn variance(&self) -> f64 {
        self.signed.iter().map(|sum| sum * sum).sum()
    }
}

/// A shape that was seen.
#[derive(Clone, Debug)]
struct Shape {
    number: u32,
    tokens: Box<[Token]>,
    counted: [Counted; 2],
    example: Box<str>,
}

/// The number of a shape in a [`Collector`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShapeId(u32);

impl ShapeId {
    /// Texts whose shapes there was no room for.
    pub const OTHER: ShapeId = ShapeId(u32::MAX);
}

/// Shapes with their counts.
#[derive(Debug, Default)]
pub struct Collector {
    by_key: HashMap<Box<str>, u32>,
    shapes: Vec<Shape>,
    other: [Counted; 2],
    heap_bytes: usize,
}

impl Collector {
    /// The number of a text's shape. The same text has the same number as long as the collector lives.
    pub fn shape(&mut self, text: &str) -> ShapeId {
        let (key, tokens) = shape_of(text);
        if let Some(&number) = self.by_key.get(key.as_str()) {
            if let Some(shape) = self.shapes.get_mut(number as usize) {
                // The least of all texts, so that it depends on no order.
                let shown = shortened(text);
                if *shown < *shape.example {
                    shape.example = shown.into();
                }
            }
            return ShapeId(number);
        }
        if self.shapes.len() >= TEMPLATE_SHAPES_MAX {
            return ShapeId::OTHER;
        }
        let number = u32::try_from(self.shapes.len()).unwrap_or(u32::MAX);
        let example: Box<str> = shortened(text).into();
        let words: usize = tokens.iter().map(|token| size_of::<Token>() + token.len()).sum();
        self.heap_bytes += key.len() + example.len() + words + size_of::<Shape>() + 64;
        self.shapes.push(Shape { number, tokens: tokens.into(), counted: Default::default(), example });
        self.by_key.insert(key.into(), number);
        ShapeId(number)
    }

    /// Counts an event whose text has a shape.
    #[inline]
    pub fn count(&mut self, shape: ShapeId, occurrence: Occurrence) {
        let side = usize::from(occurrence.earlier);
        match self.shapes.get_mut(shape.0 as usize) {
            Some(shape) => shape.counted[side].add(occurrence),
            None => self.other[side].add(occurrence),
        }
    }

    /// All events with a text, now and in the baseline.
    pub fn totals(&self) -> [Counted; 2] {
        let mut totals = self.other;
        for shape in &self.shapes {
            totals.iter_mut().zip(&shape.counted).for_each(|(sum, counted)| sum.merge(counted));
        }
        totals
    }

    /// Different shapes.
    pub fn shapes(&self) -> usize {
        self.shapes.len()
    }

    /// Bytes of memory, about.
    pub fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }
}

fn shortened(text: &str) -> &str {
    let end = text.char_indices().nth(TEMPLATE_EXAMPLE_CHARS_MAX).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

/// What an engine found.
#[derive(Debug)]
pub struct Collected {
    /// The shapes.
    pub collector: Collector,
    /// Events that have no text in the column, now and in the baseline.
    pub without_text: [u64; 2],
    /// How it came about.
    pub meta: Meta,
}

#[cfg(test)]
mod tests;
