//! What a column holds, and how one value of it is written.
//!
//! Values are correlated as in real systems: some follow the user, some the operation, some the column alone;
//! some are the event's own, and a few are different in every event.

use super::draw::{Curves, Draw, below, mix};
use super::text::{Texts, pick};
use super::write::{Attributes, Key, digits, hex, uuid};
use crate::random::to_ns;

/// Users in all.
pub(super) const USERS: usize = 500_000;

/// Paths of URLs in all.
pub(super) const PATHS: usize = 1_000_000;

/// Routes that the paths belong to.
const ROUTES: usize = 200;

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) key: Key,
    pub(super) kind: Kind,
    /// Makes columns of one kind differ.
    pub(super) salt: u64,
}

/// What its values are.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// `user-123456`.
    User,
    /// Sixteen hex digits, the same for a whole trace.
    Session,
    /// A word that the user decides.
    OfUser(Vec<String>),
    /// An address that the user decides.
    ClientAddress,
    /// One of a million.
    Path,
    /// The template of the event's path.
    Route,
    /// 200, or as the event failed.
    HttpStatus,
    /// SQL that the operation decides, with a list of varying length.
    Sql,
    /// Different in every event.
    Uuid,
    /// Different in every event.
    Hex,
    /// A word that the operation decides seven times of ten.
    Word(Vec<String>),
    /// Text with a number below a bound.
    Label(&'static str, usize),
    /// True with this probability.
    Flag(f64),
    /// A small number: mostly the least ones.
    Small(usize),
    /// One of these.
    Number(&'static [i64]),
    /// Bytes, rows: a long tail around a mean.
    Size(f64),
    /// Milliseconds with three decimals.
    Millis(f64),
    /// An amount with two decimals.
    Price(f64),
    /// Any double in [0, 1).
    Ratio,
    /// An offset that rises with time.
    Rising,
}

/// What the events of one trace are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) user: usize,
    pub(super) session: u64,
    pub(super) path: usize,
}

/// What decides the values of one event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) subject: Subject,
    /// Number of the operation among all operations.
    pub(super) operation: u64,
    pub(super) failed: bool,
    pub(super) time_ns: i64,
    pub(super) duration_ns: i64,
}

/// What writing needs beside the event.
#[derive(Debug)]
pub(super) struct Pen<'a> {
    pub(super) draw: &'a mut Draw,
    pub(super) curves: &'a Curves,
    pub(super) texts: &'a Texts,
    pub(super) text: &'a mut Vec<u8>,
}

// === impl Column ===

impl Column {
    pub(super) fn new(name: &str, kind: Kind, salt: u64) -> Column {
        Column { key: Key::new(name), kind, salt }
    }

    /// Writes the column's value for an event.
    pub(super) fn write(&self, event: &Event, pen: &mut Pen<'_>, out: &mut Attributes<'_>) {
        match &self.kind {
            Kind::Flag(probability) => out.truth(&self.key, pen.draw.chance(*probability)),
            Kind::Small(bound) => {
                let small = pen.draw.below(*bound).min(pen.draw.below(*bound));
                out.int(&self.key, number(small));
            }
            Kind::Number(numbers) => {
                let place = mix(event.operation ^ self.salt);
                out.int(&self.key, pick(numbers, below(place, numbers.len())).copied().unwrap_or_default());
            }
            Kind::HttpStatus => out.int(&self.key, status(event, pen.draw)),
            Kind::Size(mean) => out.int(&self.key, to_ns(pen.curves.long_tail(pen.draw, *mean))),
            Kind::Rising => {
                out.int(&self.key, event.time_ns / 1_000_000 - (pen.draw.bits() >> 54).cast_signed())
            }
            Kind::Millis(mean) => {
                // Steps of a request take a part of its time.
                let part = pen.curves.long_tail(pen.draw, event.duration_ns as f64 / 1e6 * mean);
                out.float(&self.key, (part * 1_000.0).round() / 1_000.0);
            }
            Kind::Price(mean) => {
                out.float(&self.key, (pen.curves.long_tail(pen.draw, *mean) * 100.0).round() / 100.0);
            }
            Kind::Ratio => out.float(&self.key, pen.draw.unit()),
            Kind::Word(words) => {
                let chosen = if pen.draw.chance(0.7) {
                    below(mix(event.operation ^ self.salt), words.len())
                } else {
                    pen.curves.skewed(pen.draw, words.len())
                };
                out.text(&self.key, pick(words, chosen).map_or(b"", |word| word.as_bytes()));
            }
            Kind::OfUser(words) => {
                let fate = mix(number(event.subject.user).cast_unsigned() ^ self.salt);
                // The first of them are the most frequent.
                let chosen = below(fate, words.len()).min(below(mix(fate), words.len()));
                out.text(&self.key, pick(words, chosen).map_or(b"", |word| word.as_bytes()));
            }
            _ => {
                pen.text.clear();
                self.compose(event, pen);
                out.text(&self.key, pen.text);
            }
        }
    }

    /// Composes a text that is not one of a list.
    fn compose(&self, event: &Event, pen: &mut Pen<'_>) {
        let text = &mut *pen.text;
        match &self.kind {
            Kind::User => user(text, event.subject.user),
            Kind::Session => hex(text, event.subject.session),
            Kind::ClientAddress => address(text, mix(number(event.subject.user).cast_unsigned())),
            Kind::Path => {
                text.extend_from_slice(pen.texts.route(event.subject.path % ROUTES));
                text.push(b'/');
                digits(text, number(event.subject.path / ROUTES).cast_unsigned(), 4);
                text.extend_from_slice(pen.texts.leaf(event.subject.path));
            }
            Kind::Route => {
                text.extend_from_slice(pen.texts.route(event.subject.path % ROUTES));
                text.extend_from_slice(b"/{id}");
                text.extend_from_slice(pen.texts.leaf(event.subject.path));
            }
            Kind::Sql => pen.texts.sql(mix(event.operation ^ self.salt), pen.draw, text),
            Kind::Uuid => uuid(text, pen.draw.bits(), pen.draw.bits()),
            Kind::Hex => hex(text, pen.draw.bits()),
            Kind::Label(prefix, bound) => {
                text.extend_from_slice(prefix.as_bytes());
                let chosen = pen.curves.skewed(pen.draw, *bound);
                digits(text, number(chosen).cast_unsigned(), 5);
            }
            _ => {}
        }
    }
}

/// `user-123456`.
pub(super) fn user(text: &mut Vec<u8>, user: usize) {
    text.extend_from_slice(b"user-");
    digits(text, number(user).cast_unsigned(), 6);
}

fn address(text: &mut Vec<u8>, bits: u64) {
    for (place, shift) in [0, 8, 16, 24].into_iter().enumerate() {
        if place > 0 {
            text.push(b'.');
        }
        digits(text, (bits >> shift) & 0xff, 1);
    }
}

fn status(event: &Event, draw: &mut Draw) -> i64 {
    if event.failed {
        return [500, 502, 503, 504][below(mix(event.operation), 4)];
    }
    match draw.below(100) {
        0..88 => 200,
        88..92 => 201,
        92..95 => 204,
        95..97 => 304,
        97 => 400,
        98 => 404,
        _ => 429,
    }
}

pub(super) fn number(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
