//! Throws bodies at the protobuf door that nobody would send, for as long as one likes.
//!
//! `cargo run -p skein-ingest --example door_fuzz [seconds] [seed]`
//!
//! Bodies are made of random fields with the protocol's numbers, nested like its messages, then cut and damaged.
//! Whatever is read must be a valid batch, split into valid parts and exported again; nothing may panic. Where
//! the message types can read the body, too, what comes out must be what they read. It needs no nightly
//! compiler, and every failure names the seed that repeats it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a program for people, not a library"
)]
#![allow(clippy::disallowed_methods, reason = "it stops after the time it was given")]

use std::time::{Duration, Instant};

use skein_event::Environment;
use skein_event::hash::HashKey;
use skein_event::split::split;
use skein_ingest::export::model::Model;
use skein_ingest::{DoorContext, Signal, decode_protobuf, export};
use skein_otlp::Message as _;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(10);
    let first: u64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(1);
    let start = Instant::now();
    let (mut seed, mut read, mut records) = (first, 0_u64, 0_u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        for signal in Signal::ALL {
            // A panic prints its place; the seed repeats it.
            let stored = std::panic::catch_unwind(|| one(signal, seed));
            let Ok(stored) = stored else {
                println!("seed {seed} {signal:?} failed");
                std::process::exit(1);
            };
            read += u64::from(stored.is_some());
            records += stored.unwrap_or_default();
        }
        seed += 1;
    }
    println!(
        "seeds {first} to {seed}: {read} bodies of {} were readable, {records} records stored",
        (seed - first) * 3
    );
}

/// Records stored, or `None` when the body was refused.
fn one(signal: Signal, seed: u64) -> Option<u64> {
    let key = HashKey(seed);
    let mut random = Random(seed);
    let mut body = message(&mut random, kinds::REQUEST[signal as usize], 0);
    if random.below(4) == 0 {
        damage(&mut random, &mut body);
    }
    let context = DoorContext { hash_key: key, arrival_ns: 1_700_000_000_000_000_000 };
    let materialised = materialise(signal, &body);
    let decoded = match decode_protobuf(signal, &body, &context) {
        Ok(decoded) => decoded,
        Err(error) => {
            // The message types merge pieces of a value; the walker refuses them.
            let is_known = error.message.contains("several pieces");
            assert!(materialised.is_none() || is_known, "{error}, yet the message types can read it");
            return None;
        }
    };
    decoded.batch.validate().unwrap();
    let rows = decoded.batch.rows();
    let parts = split(decoded.batch, &Environment::default_environment(), 7, 8, key);
    assert_eq!(parts.iter().map(|(_, part)| part.rows()).sum::<usize>(), rows);
    let mut model = Model::default();
    for (_, part) in &parts {
        part.validate().unwrap();
        let exported = export(part).unwrap();
        model.add_traces(&exported.traces);
        model.add_logs(&exported.logs);
        model.add_metrics(&exported.metrics);
    }
    if let Some(materialised) = materialised
        && decoded.rejected.total() == 0
    {
        let difference = materialised.difference(&model);
        assert!(difference.is_none(), "{difference:#?}");
    }
    Some(decoded.records)
}

/// The body through the message types, if they can read it: they refuse all text that is not UTF-8.
fn materialise(signal: Signal, body: &[u8]) -> Option<Model> {
    let mut model = Model::default();
    match signal {
        Signal::Traces => model.add_traces(&ExportTraceServiceRequest::decode(body).ok()?),
        Signal::Logs => model.add_logs(&ExportLogsServiceRequest::decode(body).ok()?),
        Signal::Metrics => model.add_metrics(&ExportMetricsServiceRequest::decode(body).ok()?),
    }
    Some(model)
}

fn damage(random: &mut Random, body: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        if body.is_empty() {
            return;
        }
        let place = random.below(body.len() as u64) as usize;
        match random.below(4) {
            0 => body.truncate(place),
            1 => drop(body.remove(place)),
            2 => body.insert(place, random.next().to_le_bytes()[0]),
            _ => body[place] = random.next().to_le_bytes()[0],
        }
    }
}

/// A field: its number and what it holds.
type Field = (u64, Holds);

#[derive(Clone, Copy)]
enum Holds {
    Varint,
    Fixed64,
    Fixed32,
    Text,
    Id(usize),
    Packed64,
    Message(&'static [Field]),
    OneOf(&'static [Field]),
}

/// The messages of OTLP, as far as a random body needs them.
mod kinds {
    use super::Field;
    use super::Holds::{Fixed32, Fixed64, Id, Message, OneOf, Packed64, Text, Varint};

    const ANY: &[Field] = &[
        (1, Text),
        (2, Varint),
        (3, Varint),
        (4, Fixed64),
        (5, Message(&[(1, Message(ANY_LEAF))])),
        (6, Message(&[(1, Message(&[(1, Text), (2, Message(ANY_INNER))]))])),
        (7, Text),
    ];
    const ANY_INNER: &[Field] =
        &[(1, Text), (3, Varint), (6, Message(&[(1, Message(&[(1, Text), (2, Message(ANY_LEAF))]))]))];
    const ANY_LEAF: &[Field] = &[(1, Text), (3, Varint), (4, Fixed64)];
    const ATTRIBUTE: &[Field] = &[(1, Text), (2, Message(ANY))];
    const EVENT: &[Field] = &[(1, Fixed64), (2, Text), (3, Message(ATTRIBUTE)), (4, Varint)];
    const LINK: &[Field] =
        &[(1, Id(16)), (2, Id(8)), (3, Text), (4, Message(ATTRIBUTE)), (5, Varint), (6, Fixed32)];
    const SPAN: &[Field] = &[
        (1, Id(16)),
        (2, Id(8)),
        (3, Text),
        (4, Id(8)),
        (5, Text),
        (6, Varint),
        (7, Fixed64),
        (8, Fixed64),
        (9, Message(ATTRIBUTE)),
        (9, Message(ATTRIBUTE)),
        (10, Varint),
        (11, Message(EVENT)),
        (12, Varint),
        (13, Message(LINK)),
        (15, Message(&[(2, Text), (3, Varint)])),
        (16, Fixed32),
    ];
    const LOG: &[Field] = &[
        (1, Fixed64),
        (2, Varint),
        (3, Text),
        (5, Message(ANY)),
        (6, Message(ATTRIBUTE)),
        (7, Varint),
        (8, Fixed32),
        (9, Id(16)),
        (10, Id(8)),
        (11, Fixed64),
        (12, Text),
    ];
    const EXEMPLAR: &[Field] =
        &[(2, Fixed64), (3, Fixed64), (4, Id(8)), (5, Id(16)), (6, Fixed64), (7, Message(ATTRIBUTE))];
    const NUMBER: &[Field] = &[
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Message(EXEMPLAR)),
        (6, Fixed64),
        (7, Message(ATTRIBUTE)),
        (8, Varint),
    ];
    const HISTOGRAM: &[Field] = &[
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Fixed64),
        (6, Packed64),
        (7, Packed64),
        (8, Message(EXEMPLAR)),
        (9, Message(ATTRIBUTE)),
        (10, Varint),
        (11, Fixed64),
        (12, Fixed64),
    ];
    const BUCKETS: &[Field] = &[(1, Varint), (2, Varint)];
    const EXPONENTIAL: &[Field] = &[
        (1, Message(ATTRIBUTE)),
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (6, Varint),
        (7, Fixed64),
        (8, Message(BUCKETS)),
        (9, Message(BUCKETS)),
        (11, Message(EXEMPLAR)),
        (14, Fixed64),
    ];
    const SUMMARY: &[Field] = &[
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Fixed64),
        (6, Message(&[(1, Fixed64), (2, Fixed64)])),
        (7, Message(ATTRIBUTE)),
        (8, Varint),
    ];
    const METRIC: &[Field] = &[
        (1, Text),
        (2, Text),
        (
            0,
            OneOf(&[
                (5, Message(&[(1, Message(NUMBER)), (1, Message(NUMBER))])),
                (7, Message(&[(1, Message(NUMBER)), (2, Varint), (3, Varint)])),
                (9, Message(&[(1, Message(HISTOGRAM)), (2, Varint)])),
                (10, Message(&[(1, Message(EXPONENTIAL)), (2, Varint)])),
                (11, Message(&[(1, Message(SUMMARY))])),
            ]),
        ),
        (12, Message(ATTRIBUTE)),
    ];
    const RESOURCE: &[Field] =
        &[(1, Message(ATTRIBUTE)), (2, Varint), (3, Message(&[(1, Text), (2, Text), (3, Text)]))];
    const SCOPE: &[Field] = &[(1, Text), (2, Text), (3, Message(ATTRIBUTE)), (4, Varint)];

    macro_rules! request {
        ($record:ident) => {
            &[(
                1,
                Message(&[
                    (1, Message(RESOURCE)),
                    (
                        2,
                        Message(&[
                            (1, Message(SCOPE)),
                            (2, Message($record)),
                            (2, Message($record)),
                            (3, Text),
                        ]),
                    ),
                    (3, Text),
                ]),
            )]
        };
    }

    /// By signal.
    pub(super) const REQUEST: [&[Field]; 3] = [request!(SPAN), request!(LOG), request!(METRIC)];
}

fn message(random: &mut Random, fields: &[Field], depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    // Resources and scopes may come in several pieces, other messages may not.
    let rounds = if depth < 3 { 1 + random.below(3) } else { u64::from(random.below(6) > 0) };
    for _ in 0..rounds {
        for &(number, holds) in fields {
            if random.below(5) == 0 && !matches!(holds, Holds::Id(_)) {
                continue;
            }
            put(random, &mut out, number, holds, depth);
        }
    }
    if random.below(40) == 0 {
        varint(&mut out, (20 + random.below(300)) << 3);
        varint(&mut out, random.next());
    }
    out
}

fn put(random: &mut Random, out: &mut Vec<u8>, number: u64, holds: Holds, depth: usize) {
    let bytes = match holds {
        Holds::Varint => {
            varint(out, number << 3);
            let value = if random.below(3) == 0 { random.next() } else { random.below(6) };
            return varint(out, value);
        }
        Holds::Fixed64 => {
            varint(out, number << 3 | 1);
            let odd = [0, 1, u64::MAX, 1_700_000_000_000_000_000, 1.5_f64.to_bits(), f64::NAN.to_bits()];
            let value = odd[random.below(6) as usize];
            return out.extend_from_slice(&value.to_le_bytes());
        }
        Holds::Fixed32 => {
            varint(out, number << 3 | 5);
            return out.extend_from_slice(&random.next().to_le_bytes()[..4]);
        }
        Holds::OneOf(fields) => {
            let (number, holds) = fields[random.below(fields.len() as u64) as usize];
            return put(random, out, number, holds, depth);
        }
        Holds::Text => text(random),
        Holds::Id(length) => {
            let length = if random.below(20) == 0 { random.below(20) as usize } else { length };
            vec![random.below(3) as u8; length]
        }
        Holds::Packed64 => vec![1; 8 * random.below(4) as usize + usize::from(random.below(30) == 0)],
        Holds::Message(fields) => message(random, fields, depth + 1),
    };
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(&bytes);
}

fn text(random: &mut Random) -> Vec<u8> {
    let words: [&[u8]; 16] = [
        b"",
        b"a",
        b"b.c",
        b"exception",
        b"exception.type",
        b"service.name",
        b"sampleRate",
        b"trace_id",
        b"0102030405060708090a0b0c0d0e0f10",
        b"ot=th:c",
        b"{\"a\":{\"b\":[1,null,{\"c\":1e400}]},\"trace_id\":\"x\"}",
        b"\xff\xfe",
        b"m.count",
        b"m",
        b"m.flags",
        b"12",
    ];
    let word = words[random.below(16) as usize];
    if random.below(50) == 0 { word.repeat(100) } else { word.to_vec() }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
