//! How fast the protobuf door turns bytes into columns, on one core.
//!
//! `cargo run --release -p skein-ingest --example door_speed [seconds per figure] [seed]`
//!
//! Bodies are made once: batches of 1,000 spans with 25 span and 8 resource attributes, about 830 bytes a span.
//! Spans alternate between four attribute lists, as the operations of a service do; user ids, span ids, urls and
//! amounts are unique or nearly so, the rest comes from small sets. Each figure walks all bodies in turn.

#![allow(
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a program for people, not a library"
)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "it measures time, on bodies of its own")]

use std::hint::black_box;
use std::time::Instant;

use skein_event::Environment;
use skein_event::hash::HashKey;
use skein_event::split::split;
use skein_ingest::{DoorContext, Signal, decode_protobuf};

const SPANS: usize = 1_000;
const BODIES: usize = 32;
const KEY: HashKey = HashKey(0x5eed);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(3.0);
    let seed: u64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(1);
    let mut random = Random(seed);
    let bodies: Vec<Vec<u8>> = (0..BODIES).map(|_| body(&mut random)).collect();
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    println!("{BODIES} bodies of {SPANS} spans, {:.0} bytes a span", bytes as f64 / (BODIES * SPANS) as f64);
    let context = DoorContext { hash_key: KEY, arrival_ns: 1_800_000_000_000_000_000 };
    let environment = Environment::default_environment();
    let decode = |body: &[u8]| decode_protobuf(Signal::Traces, body, &context).unwrap();
    let one = decode(&bodies[0]);
    assert_eq!((one.records, one.rejected.total()), (SPANS as u64, 0));
    println!(
        "{} rows, {} columns, {} shapes",
        one.batch.rows(),
        one.batch.columns.len(),
        one.batch.shape_table.len()
    );
    measure("bytes to columns", seconds, &bodies, |body| {
        black_box(decode(body));
    });
    measure("bytes to columns, split into 8 partitions", seconds, &bodies, |body| {
        black_box(split(decode(body).batch, &environment, 7, 8, KEY));
    });
}

/// Runs over the bodies until the time is up, in nine rounds; prints the median and the best.
fn measure(name: &str, seconds: f64, bodies: &[Vec<u8>], mut work: impl FnMut(&[u8])) {
    let mut rates: Vec<f64> = (0..9)
        .map(|_| {
            let (start, cpu) = (Instant::now(), cpu_seconds());
            let mut spans = 0_u64;
            while start.elapsed().as_secs_f64() < seconds / 9.0 {
                for body in bodies {
                    work(body);
                    spans += SPANS as u64;
                }
            }
            spans as f64 / (cpu_seconds() - cpu)
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("{name}: {:.0} spans per CPU-second (median of 9; best {:.0})", rates[4], rates[8]);
}

/// Time this thread was on a CPU: other work on the machine does not count, except for what it does to caches
/// and clock rates.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: u64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds as f64 / 1e9
}

// === the bodies ===

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

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

fn body(random: &mut Random) -> Vec<u8> {
    let mut spans = Vec::new();
    field(&mut spans, 1, &scope());
    for index in 0..SPANS {
        field(&mut spans, 2, &span(random, index));
    }
    let mut resource = Vec::new();
    for (key, value) in [
        ("service.name", "checkout"),
        ("service.version", "2031.7.1"),
        ("service.instance.id", "checkout-6f6cfc45b-h5m2n"),
        ("k8s.pod.name", "checkout-6f6cfc45b-h5m2n"),
        ("k8s.node.name", "ip-10-0-3-17.eu-central-1.compute.internal"),
        ("deployment.environment.name", "production"),
        ("telemetry.sdk.language", "java"),
        ("telemetry.sdk.version", "1.49.0"),
    ] {
        field(&mut resource, 1, &text(key, value));
    }
    let mut group = Vec::new();
    field(&mut group, 1, &resource);
    field(&mut group, 2, &spans);
    let mut body = Vec::new();
    field(&mut body, 1, &group);
    body
}

fn scope() -> Vec<u8> {
    let mut scope = Vec::new();
    field(&mut scope, 1, b"io.opentelemetry.spring-webmvc-6.0");
    field(&mut scope, 2, b"2.15.0");
    scope
}

fn span(random: &mut Random, index: usize) -> Vec<u8> {
    let mut span = Vec::new();
    let trace = Random(0x7ace + (random.0 >> 3) + index as u64 / 10).next();
    let mut trace_id = [0_u8; 16];
    trace_id[..8].copy_from_slice(&trace.to_le_bytes());
    trace_id[8..].copy_from_slice(&trace.rotate_left(17).to_le_bytes());
    field(&mut span, 1, &trace_id);
    field(&mut span, 2, &(random.next() | 1).to_le_bytes());
    if !index.is_multiple_of(10) {
        field(&mut span, 4, &(random.next() | 1).to_le_bytes());
    }
    field(
        &mut span,
        5,
        random.pick(&["GET /cart/{id}", "POST /orders", "SELECT orders", "charge"]).as_bytes(),
    );
    number(&mut span, 6, 1 + random.below(3));
    let start = 1_799_999_990_000_000_000 + random.below(5_000_000_000);
    fixed64(&mut span, 7, start);
    fixed64(&mut span, 8, start + random.below(900_000_000));
    for attribute in attributes(random, index % 4) {
        field(&mut span, 9, &attribute);
    }
    let mut status = Vec::new();
    if random.below(50) == 0 {
        field(&mut status, 2, b"upstream timed out");
        number(&mut status, 3, 2);
    }
    field(&mut span, 15, &status);
    let mut flags = vec![(16 << 3 & 0x7f) as u8 | 5 | 0x80, 1];
    flags.extend_from_slice(&0x101_u32.to_le_bytes());
    span.extend_from_slice(&flags);
    span
}

/// 25 attributes: 17 that every operation has, 8 of its own.
fn attributes(random: &mut Random, shape: usize) -> Vec<Vec<u8>> {
    let mut list = vec![
        text("user.id", &format!("user-{:06}", random.below(500_000))),
        text("http.request.method", random.pick(&["GET", "POST", "PUT"])),
        text("http.route", random.pick(&["/cart/{id}", "/orders", "/orders/{id}/pay", "/health"])),
        integer("http.response.status_code", [200, 200, 200, 201, 404, 500][random.below(6) as usize]),
        text("url.path", &format!("/orders/{}/pay", random.below(1_000_000))),
        text("server.address", random.pick(&["checkout.shop.svc", "orders.shop.svc"])),
        integer("server.port", 8443),
        text(
            "client.address",
            &format!("10.{}.{}.{}", random.below(4), random.below(255), random.below(255)),
        ),
        text("network.protocol.version", "1.1"),
        text("user_agent.original", random.pick(&["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36", "okhttp/5.1.0"])),
        text("thread.name", &format!("http-nio-8443-exec-{}", random.below(40))),
        integer("thread.id", 20 + random.below(40)),
        boolean("feature.new_checkout", random.below(2) == 0),
        text("tenant", random.pick(&["acme", "globex", "initech", "umbrella"])),
        text("region", "eu-central-1"),
        double("cart.total", random.below(100_000) as f64 / 100.0),
        integer("cart.items", random.below(12)),
    ];
    list.extend(match shape {
        0 => operation(random, "db", ["system.name", "namespace", "operation.name", "collection.name"]),
        1 => operation(random, "messaging", ["system", "destination.name", "operation.type", "client.id"]),
        2 => operation(random, "rpc", ["system.name", "method", "service", "grpc.status"]),
        _ => operation(random, "payment", ["provider", "method", "currency", "network"]),
    });
    list
}

fn operation(random: &mut Random, prefix: &str, words: [&str; 4]) -> Vec<Vec<u8>> {
    let mut list: Vec<Vec<u8>> =
        words.iter().map(|word| text(&format!("{prefix}.{word}"), random.pick(&["alpha", "beta"]))).collect();
    list.push(integer(&format!("{prefix}.attempt"), random.below(3)));
    list.push(integer(&format!("{prefix}.bytes"), random.below(1 << 20)));
    list.push(double(&format!("{prefix}.wait_ms"), random.below(10_000) as f64 / 7.0));
    list.push(boolean(&format!("{prefix}.cached"), random.below(3) == 0));
    list
}

fn text(key: &str, value: &str) -> Vec<u8> {
    let mut any = Vec::new();
    field(&mut any, 1, value.as_bytes());
    key_value(key, &any)
}

fn integer(key: &str, value: u64) -> Vec<u8> {
    let mut any = Vec::new();
    number(&mut any, 3, value);
    key_value(key, &any)
}

fn boolean(key: &str, value: bool) -> Vec<u8> {
    let mut any = Vec::new();
    number(&mut any, 2, u64::from(value));
    key_value(key, &any)
}

fn double(key: &str, value: f64) -> Vec<u8> {
    let mut any = Vec::new();
    fixed64(&mut any, 4, value.to_bits());
    key_value(key, &any)
}

fn key_value(key: &str, any: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    field(&mut message, 1, key.as_bytes());
    field(&mut message, 2, any);
    message
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, number: u64, value: u64) {
    varint(out, number << 3);
    varint(out, value);
}

fn fixed64(out: &mut Vec<u8>, number: u64, bits: u64) {
    varint(out, number << 3 | 1);
    out.extend_from_slice(&bits.to_le_bytes());
}
