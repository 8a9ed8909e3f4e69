//! Templates of generated logs, whose templates are known; bounds; and that the order of texts decides nothing.

use std::collections::HashMap;

use skein_event::hash::HashKey;
use skein_event::limits::TEMPLATE_SHAPES_MAX;

use super::{Collector, Mined, Occurrence, ShapeId, mine};

/// What services write. `{…}` are values: of people, hosts, paths, numbers and so on.
const WRITTEN: &[&str] = &[
    "user {user} logged in from {ip}",
    "user {user} logged out after {ms}",
    "login failed for user {user} from {ip}: {reason}",
    "connection opened for {user}",
    "connection closed for {user}",
    "connection from {ip}:{n} accepted",
    "connection pool exhausted, {n} waiting",
    "GET {path} {n} {ms}",
    "POST {path} {n} {ms}",
    "request {uuid} completed in {ms}",
    "request {uuid} failed after {ms} with status {n}",
    "cache miss for key {key}",
    "cache hit for key {key}",
    "evicted {n} entries from cache {host}",
    "starting worker {n} of {n}",
    "worker {n} stopped",
    "job {uuid} queued at position {n}",
    "job {uuid} started on {host}",
    "job {uuid} finished: {n} rows, {n} errors",
    "retrying {uuid} (attempt {n} of {n})",
    "giving up on {uuid} after {n} attempts",
    "timeout after {ms} waiting for {host}",
    "host {host} is unreachable",
    "host {host} is back",
    "disk {path} is {n}% full",
    "disk {path} has an error",
    "opened file {path}",
    "cannot open file {path}: No such file or directory",
    "cannot open file {path}: Permission denied",
    "removed {n} old files from {path}",
    "query took {ms}: SELECT * FROM orders WHERE id = {n}",
    "slow query on {host}: {ms}",
    "transaction {uuid} committed",
    "transaction {uuid} rolled back",
    "lock on {key} held by {user} for {ms}",
    "deadlock detected between {uuid} and {uuid}",
    "replica {host} lags by {ms}",
    "leader elected: {host} (term {n})",
    "heartbeat from {host} missed {n} times",
    "configuration reloaded from {path}",
    "feature {key} enabled for {user}",
    "feature {key} disabled for {user}",
    "email sent to {user}@example.com",
    "email to {user}@example.com bounced",
    "payment {uuid} authorised for {user}, amount {n}",
    "payment {uuid} declined for {user}: {reason}",
    "order {n} placed by {user} with items [{list}]",
    "order {n} shipped via {host}",
    "token expired for user {user}",
    "level=info method={word} path={path} status={n} took={ms}",
    "level=warn msg=\"queue is filling\" size={n} host={host}",
    "level=error msg=\"upstream refused\" upstream={host} attempt={n}",
    "gc pause {ms}, heap {n} MB of {n} MB",
    "listening on {ip}:{n}",
    "shutting down: received signal {n}",
    "certificate for {host} expires in {n} days",
    "rate limit exceeded for {user}: {n} requests per minute",
    "message {uuid} published to topic {key}",
    "message {uuid} consumed from topic {key} by {host}",
    "invalid checksum in block {n} of {path}",
];

const USERS: &[&str] = &[
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj",
    "olivia", "peggy", "rupert", "sybil", "trent", "victor", "walter", "wendy", "anna", "bert", "clara",
    "dirk", "emma", "fritz",
];

const REASONS: &[&str] =
    &["timeout", "refused", "unknown", "expired", "blocked", "invalid", "limit", "fraud"];

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = HashKey(3).hash(&self.0.to_le_bytes());
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn value(&mut self, kind: &str) -> String {
        match kind {
            "user" => USERS[self.below(USERS.len())].to_owned(),
            "ip" => format!("10.{}.{}.{}", self.below(256), self.below(256), self.below(256)),
            "n" => self.below(10_000).to_string(),
            "ms" => format!("{}.{}ms", self.below(2_000), self.below(10)),
            "uuid" => {
                format!("{:08x}-{:04x}-{:04x}", self.below(1 << 32), self.below(1 << 16), self.below(1 << 16))
            }
            "host" => {
                let names = ["web", "db", "cache", "queue", "auth", "search", "mail", "edge"];
                let zones = ["eu", "us", "ap", "sa"];
                format!(
                    "{}-{}.{}.internal",
                    names[self.below(8)],
                    USERS[self.below(26)],
                    zones[self.below(4)]
                )
            }
            "path" => {
                let parts =
                    ["var", "srv", "data", "orders", "items", "log", "tmp", "home", "cart", "search", "api"];
                format!("/{}/{}/{}", parts[self.below(11)], USERS[self.below(26)], parts[self.below(11)])
            }
            "key" => format!("{}.{}", USERS[self.below(26)], REASONS[self.below(8)]),
            "reason" => REASONS[self.below(8)].to_owned(),
            "word" => ["GET", "PUT", "POST", "DELETE"][self.below(4)].to_owned(),
            _ => (0..=self.below(6)).map(|_| self.below(999).to_string()).collect::<Vec<_>>().join(", "),
        }
    }

    fn text(&mut self, written: &str) -> String {
        let mut text = String::new();
        let mut rest = written;
        while let Some((before, behind)) = rest.split_once('{') {
            let (kind, behind) = behind.split_once('}').unwrap();
            text += before;
            text += &self.value(kind);
            rest = behind;
        }
        text + rest
    }
}

/// Lines with the number of what wrote them; some are a hundred times as frequent as others.
fn lines(seed: u64, count: usize) -> Vec<(usize, String)> {
    let mut draw = Draw(seed);
    (0..count)
        .map(|_| {
            let a = draw.below(WRITTEN.len());
            let written = a.min(draw.below(WRITTEN.len()));
            (written, draw.text(WRITTEN[written]))
        })
        .collect()
}

fn mined(texts: impl Iterator<Item = (String, f64)>) -> (Mined, Vec<ShapeId>) {
    let mut collector = Collector::default();
    let mut shapes = Vec::new();
    for (text, weight) in texts {
        let shape = collector.shape(&text);
        collector.count(shape, Occurrence { earlier: false, weight, time_ns: 5, cluster: 9 });
        shapes.push(shape);
    }
    (mine(collector), shapes)
}

/// The part of the lines whose template has all lines of what wrote them, and no other (grouping accuracy, Zhu et al.,
/// ICSE-SEIP 2019).
fn accuracy(seed: u64, count: usize) -> (f64, Vec<String>) {
    let lines = lines(seed, count);
    let (mined, shapes) = mined(lines.iter().map(|(_, text)| (text.clone(), 1.0)));
    let mut template_of: HashMap<u32, usize> = HashMap::new();
    for (number, template) in mined.templates.iter().enumerate() {
        template_of.extend(template.shapes.iter().map(|shape| (shape.0, number)));
    }
    let mut by_written: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut by_template: HashMap<usize, Vec<usize>> = HashMap::new();
    for (line, ((written, _), shape)) in lines.iter().zip(&shapes).enumerate() {
        by_written.entry(*written).or_default().push(line);
        by_template.entry(template_of[&shape.0]).or_default().push(line);
    }
    let mut right = 0;
    let mut wrong = Vec::new();
    for (written, lines) in &by_written {
        let template = template_of[&shapes[lines[0]].0];
        if by_template[&template] == *lines {
            right += lines.len();
        } else {
            wrong.push(format!("{} → {}", WRITTEN[*written], mined.templates[template].text));
        }
    }
    (right as f64 / count as f64, wrong)
}

#[test]
fn templates_are_those_that_wrote_the_lines() {
    let mut worst = 1.0_f64;
    let mut sum = 0.0;
    for seed in 0..10 {
        let (found, wrong) = accuracy(seed, 20_000);
        println!("seed {seed}: {found:.4} {wrong:#?}");
        worst = worst.min(found);
        sum += found;
    }
    println!("grouping accuracy: {:.4} on average, {worst:.4} at worst", sum / 10.0);
    assert!(worst >= 0.95, "{worst}");
}

#[test]
fn the_order_of_texts_decides_nothing() {
    let mut texts: Vec<(String, f64)> =
        lines(4, 3_000).into_iter().enumerate().map(|(n, (_, text))| (text, (n % 4) as f64)).collect();
    // Words of every mixture: what is gathered with what depends on what comes first.
    for n in (0..200).map(|n| n * 311 % 729) {
        let word = |place: u32| USERS[n / 3_usize.pow(place) % 3 + 3 * place as usize];
        let words: Vec<&str> = (0..6).map(word).collect();
        texts.push((format!("mixed {}", words.join(" ")), 1.0));
    }
    let shown = |mined: &Mined| {
        format!(
            "{:?} {:?}",
            mined
                .templates
                .iter()
                .map(|t| {
                    (
                        t.text.clone(),
                        t.counted[0].weight,
                        t.counted[0].rows,
                        t.example.clone(),
                        t.shapes.len(),
                    )
                })
                .collect::<Vec<_>>(),
            mined.other
        )
    };
    let (forwards, _) = mined(texts.iter().cloned());
    let (backwards, _) = mined(texts.iter().rev().cloned());
    assert_eq!(shown(&forwards), shown(&backwards));
    let weight: f64 = forwards.templates.iter().map(|template| template.counted[0].weight).sum();
    assert_eq!(weight, texts.iter().map(|(_, weight)| weight).sum::<f64>());
    for template in &forwards.templates {
        let regex = regex::Regex::new(&template.regex).unwrap();
        assert!(regex.is_match(&template.example), "{} of {}", template.regex, template.example);
    }
}

#[test]
fn what_falls_out_is_counted() {
    let mut collector = Collector::default();
    let letters = |number: usize| -> String {
        format!("{number:06}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
    };
    let texts = TEMPLATE_SHAPES_MAX + 100;
    for number in 0..texts {
        // Nothing in common: each begins with a word of its own and has another shape.
        let text = format!("{} ({})", letters(number), letters(number / 7));
        let shape = collector.shape(&text);
        assert_eq!(shape == ShapeId::OTHER, number >= TEMPLATE_SHAPES_MAX);
        collector.count(shape, Occurrence { earlier: number % 2 == 1, weight: 1.0, time_ns: 1, cluster: 1 });
    }
    assert_eq!(collector.shapes(), TEMPLATE_SHAPES_MAX);
    let mined = mine(collector);
    let counted = |side: usize| {
        mined.templates.iter().map(|template| template.counted[side].rows).sum::<u64>()
            + mined.other[side].rows
    };
    assert_eq!(counted(0) + counted(1), texts as u64);
    assert!(mined.other[0].rows >= 50);
}

#[test]
fn values_are_known_by_their_looks() {
    let shown = |text: &str| {
        let (mined, _) = mined(std::iter::once((text.to_owned(), 1.0)));
        mined.templates[0].text.clone()
    };
    for (text, template) in [
        ("user=alice took 12ms", "user=<*> took <*>"),
        ("  items [1, 2, 3] for bob@example.com", "items [<*>] for <*>"),
        ("msg=\"queue is full\" size=7", "msg=\"queue is full\" size=<*>"),
        ("failed: timeout.", "failed: timeout."),
        ("", ""),
        ("… ∞ naïve", "… ∞ naïve"),
        ("a\u{0}b\u{7}c", "a b c"),
    ] {
        assert_eq!(shown(text), template, "{text}");
    }
    let long = "word ".repeat(1_000);
    assert_eq!(shown(&long).split(' ').count(), skein_event::limits::INSIGHTS_PATTERN_WORDS_MAX);
}
