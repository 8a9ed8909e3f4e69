//! Words and longer texts: routes, statements, log messages, stack traces. Made once per seed, from small
//! vocabularies, with the parts left open that differ from event to event.

use super::column::{Event, number, user};
use super::draw::{Draw, below, mix};
use super::write::{digits, hex};

/// What names are made of.
pub(super) const NOUNS: [&str; 40] = [
    "account",
    "address",
    "basket",
    "billing",
    "campaign",
    "card",
    "catalog",
    "checkout",
    "coupon",
    "currency",
    "customer",
    "delivery",
    "device",
    "discount",
    "document",
    "fraud",
    "gift",
    "inventory",
    "invoice",
    "item",
    "ledger",
    "listing",
    "login",
    "message",
    "notification",
    "offer",
    "order",
    "partner",
    "payment",
    "price",
    "product",
    "profile",
    "quote",
    "refund",
    "report",
    "review",
    "search",
    "shipment",
    "stock",
    "voucher",
];

/// What columns say about them.
pub(super) const FACTS: [&str; 24] = [
    "age",
    "attempts",
    "batch",
    "bytes",
    "cached",
    "channel",
    "count",
    "enabled",
    "group",
    "kind",
    "latency_ms",
    "level",
    "limit",
    "mode",
    "origin",
    "policy",
    "priority",
    "ratio",
    "ref",
    "source",
    "stage",
    "state",
    "tier",
    "variant",
];

const VERBS: [&str; 16] = [
    "apply", "cancel", "capture", "check", "create", "fetch", "find", "index", "list", "load", "merge",
    "publish", "reserve", "submit", "update", "validate",
];

const STATES: [&str; 32] = [
    "active",
    "added",
    "archived",
    "batch",
    "beta",
    "blocked",
    "bronze",
    "control",
    "default",
    "deferred",
    "disabled",
    "empty",
    "expired",
    "fallback",
    "gold",
    "high",
    "internal",
    "legacy",
    "low",
    "manual",
    "mobile",
    "normal",
    "partner",
    "pending",
    "primary",
    "retry",
    "secondary",
    "silver",
    "standard",
    "treatment",
    "web",
    "worker",
];

const MESSAGES: [&str; 24] = [
    "{noun} {verb} finished in {ms} ms",
    "{verb} {noun} for {user}: {n} items",
    "cache miss for key {noun}:{hex}",
    "retrying {verb} {noun} after {ms} ms (attempt {small} of 5)",
    "connection pool {noun}-db: {small} of 64 busy, {n} waiting",
    "{user} not allowed to {verb} {noun} {n}",
    "upstream {noun}-service timed out after {ms} ms",
    "slow query on {noun}s: {ms} ms, {n} rows",
    "published {noun}.{verb} to partition {small} offset {big}",
    "consumed {n} messages from {noun}-events in {ms} ms",
    "GET /api/{noun}s/{n} 200 {ms}ms",
    "validation of {noun} {hex} failed: field {verb}_at is missing",
    "{noun} {hex} moved from {state} to {state}",
    "feature {noun}-{verb} evaluated to {state} for {user}",
    "lock on {noun} {n} held by worker {small} for {ms} ms",
    "token of {user} refreshed, valid for {n} s",
    "circuit breaker {noun}: {state} after {small} failures",
    "garbage collection paused {small} ms, heap {big} bytes",
    "scheduled {verb}-{noun} run {big} with {n} tasks",
    "payload of {big} bytes from {user} truncated",
    "starting {verb} of {noun} {n}",
    "done",
    "heartbeat {big}",
    "{verb} {noun} skipped: {state}",
];

const EXCEPTIONS: [&str; 10] = [
    "java.net.SocketTimeoutException",
    "java.sql.SQLTransientConnectionException",
    "java.lang.NullPointerException",
    "java.lang.IllegalStateException",
    "io.grpc.StatusRuntimeException",
    "java.util.concurrent.TimeoutException",
    "com.example.shop.PaymentDeclinedException",
    "com.example.shop.StockConflictException",
    "com.fasterxml.jackson.databind.JsonMappingException",
    "redis.clients.jedis.exceptions.JedisConnectionException",
];

const FAULTS: [&str; 6] = [
    "Read timed out after {ms} ms",
    "Connection is not available, request timed out after {ms}ms (total=10, active=10, idle=0, waiting={n})",
    "Cannot invoke \"{noun}.id()\" because \"{noun}\" is null",
    "{noun} {n} is {state}, expected {state}",
    "UNAVAILABLE: io exception: upstream connect error, remote {hex}",
    "Unexpected token at position {n} while reading {noun}",
];

/// How many stack traces there are.
const STACKS: usize = 240;

/// The texts of a seed.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    routes: Vec<String>,
    statements: Vec<[String; 2]>,
    stacks: Vec<String>,
}

/// An element by its place, taken modulo the length.
pub(super) fn pick<T>(list: &[T], place: usize) -> Option<&T> {
    list.get(place % list.len().max(1))
}

fn word<const COUNT: usize>(words: &[&'static str; COUNT], bits: u64) -> &'static str {
    words[below(mix(bits), COUNT)]
}

/// So many different words.
pub(super) fn words(salt: u64, count: usize) -> Vec<String> {
    let first = below(mix(salt), STATES.len());
    let name = |place: usize| match (STATES[(first + place) % STATES.len()], place / STATES.len()) {
        (state, 0) => state.to_owned(),
        (state, round) => format!("{state}-{round}"),
    };
    (0..count.max(1)).map(name).collect()
}

// === impl Texts ===

impl Texts {
    pub(super) fn new(seed: u64) -> Texts {
        let salted =
            |purpose: u64, number: usize| mix(seed ^ mix(purpose << 32 | crate::export::unsigned(number)));
        let routes = (0..200).map(|route| {
            let bits = salted(1, route);
            format!("/api/v{}/{}s/{}", 1 + route % 3, word(&NOUNS, bits), word(&NOUNS, !bits))
        });
        let stacks = (0..STACKS).map(|stack| stack_trace(salted(3, stack)));
        Texts {
            routes: routes.collect(),
            statements: (0..400).map(|statement| statement_parts(salted(2, statement))).collect(),
            stacks: stacks.collect(),
        }
    }

    /// The first part of a path.
    pub(super) fn route(&self, route: usize) -> &[u8] {
        pick(&self.routes, route).map_or(b"", |route| route.as_bytes())
    }

    /// The last part of a path.
    pub(super) fn leaf(&self, path: usize) -> &'static [u8] {
        const LEAVES: [&[u8]; 5] = [b"", b"", b"/items", b"/history", b"/summary"];
        LEAVES[path % 200 % LEAVES.len()]
    }

    /// A statement with a list of one to forty parameters.
    pub(super) fn sql(&self, fate: u64, draw: &mut Draw, out: &mut Vec<u8>) {
        let Some([head, tail]) = pick(&self.statements, below(fate, self.statements.len())) else { return };
        out.extend_from_slice(head.as_bytes());
        if !tail.is_empty() {
            let parameters = 1 + draw.below(40).min(draw.below(40)).min(draw.below(40));
            for parameter in 1..=parameters {
                out.extend_from_slice(if parameter == 1 { b"$" } else { b", $" });
                digits(out, number(parameter).cast_unsigned(), 1);
            }
            out.extend_from_slice(tail.as_bytes());
        }
    }

    /// A log message.
    pub(super) fn message(&self, event: &Event, draw: &mut Draw, out: &mut Vec<u8>) {
        let template =
            MESSAGES[below(mix(event.operation ^ crate::export::unsigned(draw.below(6))), MESSAGES.len())];
        fill(template, event, draw, out);
    }

    /// Type, message and stack trace of an exception; the trace begins with the other two.
    pub(super) fn exception(&self, event: &Event, draw: &mut Draw, out: &mut [Vec<u8>; 3]) {
        let fate = mix(event.operation ^ crate::export::unsigned(draw.below(3)));
        out.iter_mut().for_each(Vec::clear);
        let [kind, message, stack] = out;
        kind.extend_from_slice(EXCEPTIONS[below(fate, EXCEPTIONS.len())].as_bytes());
        fill(FAULTS[below(mix(fate), FAULTS.len())], event, draw, message);
        stack.extend_from_slice(kind);
        stack.extend_from_slice(b": ");
        stack.extend_from_slice(message);
        let frames = pick(&self.stacks, below(fate, STACKS));
        stack.extend_from_slice(frames.map_or(b"", |frames| frames.as_bytes()));
    }
}

/// Replaces what stands in braces.
fn fill(template: &str, event: &Event, draw: &mut Draw, out: &mut Vec<u8>) {
    for (place, part) in template.split(['{', '}']).enumerate() {
        if place % 2 == 0 {
            out.extend_from_slice(part.as_bytes());
            continue;
        }
        match part {
            "noun" => out.extend_from_slice(word(&NOUNS, event.operation).as_bytes()),
            "verb" => out.extend_from_slice(word(&VERBS, !event.operation).as_bytes()),
            "state" => out.extend_from_slice(STATES[draw.below(STATES.len())].as_bytes()),
            "user" => user(out, event.subject.user),
            "ms" => digits(out, (event.duration_ns / 1_000_000).cast_unsigned(), 1),
            "n" => digits(out, draw.bits() >> 54, 1),
            "small" => digits(out, draw.bits() >> 59, 1),
            "big" => digits(out, draw.bits() >> 36, 1),
            _ => hex(out, draw.bits()),
        }
    }
}

/// A statement up to its list of parameters, and what follows; without a list the second part is empty.
fn statement_parts(bits: u64) -> [String; 2] {
    let (table, other) = (word(&NOUNS, bits), word(&NOUNS, !bits));
    let (a, b, c) = (word(&FACTS, bits), word(&FACTS, bits ^ 1), word(&FACTS, bits ^ 2));
    let parts = match bits % 6 {
        0 => [
            format!(
                "SELECT t.id, t.{a}, t.{b}, t.{c}, o.id, o.{a} FROM {table}s t JOIN {other}s o ON o.{table}_id = t.id \
                 WHERE t.tenant_id = $1 AND o.id IN ("
            ),
            format!(") ORDER BY t.{b} DESC LIMIT 50"),
        ],
        1 => [format!("SELECT id, {a}, {b}, {c} FROM {table}s WHERE id IN ("), ")".to_owned()],
        2 => [format!("SELECT id, {a}, {b} FROM {table}s WHERE tenant_id = $1 AND id = $2"), String::new()],
        3 => [
            format!("UPDATE {table}s SET {a} = $1, updated_at = now() WHERE id = $2 AND {b} = $3"),
            String::new(),
        ],
        4 => [
            format!("INSERT INTO {table}_{other}s (tenant_id, {a}, {b}, {c}, created_at) VALUES ("),
            ") ON CONFLICT DO NOTHING RETURNING id".to_owned(),
        ],
        _ => [
            format!(
                "SELECT date_trunc('hour', created_at) AS hour, count(*), sum({a}) FROM {table}s WHERE {b} = $1 AND \
                 created_at > $2 GROUP BY 1 HAVING count(*) > 10"
            ),
            String::new(),
        ],
    };
    parts.map(|part| part.replace("  ", " "))
}

fn stack_trace(bits: u64) -> String {
    let mut text = String::new();
    let mut state = bits;
    for _ in 0..12 + bits % 20 {
        state = mix(state.wrapping_add(0x9e37_79b9));
        let (package, class, method) =
            (word(&NOUNS, state), word(&NOUNS, state ^ 1), word(&VERBS, state ^ 2));
        let mut name = class.to_owned();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let line = 20 + state % 400;
        text.push_str(&format!(
            "\n\tat com.example.shop.{package}.{name}Service.{method}({name}Service.java:{line})"
        ));
    }
    text
}
