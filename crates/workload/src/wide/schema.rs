//! Which columns there are, which service has which of them, and which of those an operation fills.

use super::WideConfig;
use super::column::{Column, Kind};
use super::draw::{below, mix};
use super::text::{FACTS, NOUNS, Texts, pick, words};
use super::write::{Attributes, Key, bytes_field};
use crate::export::unsigned;
use crate::telemetry::hex;

/// Attributes of a resource, which every event of it has.
pub(super) const RESOURCE_COLUMNS: usize = 12;

/// Attributes of an exception, which is an event of its own.
const EXCEPTION_COLUMNS: usize = 3;

/// How often each optional group of an operation's attributes is there. A branch of the code that was not taken
/// leaves out all that it would have said.
pub(super) const GROUPS: [f64; 6] = [0.9, 0.5, 0.7, 0.95, 0.8, 0.35];

/// Every column and service of a configuration.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) columns: Vec<Column>,
    pub(super) services: Vec<Service>,
    pub(super) texts: Texts,
    /// Of the attributes of an exception.
    pub(super) exception_keys: [Key; EXCEPTION_COLUMNS],
}

/// One dataset.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// Its resource message for each of its pods.
    pub(super) resources: Vec<Vec<u8>>,
    /// Its instrumentation scope message.
    pub(super) scope: Vec<u8>,
    pub(super) operations: Vec<Operation>,
    /// The services it calls.
    pub(super) calls: Vec<usize>,
}

/// One kind of work of a service.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) name: String,
    /// Number among all operations.
    pub(super) number: u64,
    pub(super) duration_mean_ns: f64,
    /// What its spans say, in the order of the code.
    pub(super) span: Vec<Slot>,
    /// What its log records say.
    pub(super) log: Vec<Slot>,
}

/// A place for an attribute in an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Index into the columns.
    pub(super) column: usize,
    /// Index into [`GROUPS`]; `None` is always there.
    pub(super) group: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Common,
    Http,
    Db,
    Rpc,
    Queue,
    Shop,
}

/// The families of a service besides [`Family::Common`], by its place.
const FAMILIES: [&[Family]; 5] = [
    &[Family::Http, Family::Shop],
    &[Family::Rpc, Family::Db],
    &[Family::Http, Family::Db],
    &[Family::Queue, Family::Db],
    &[Family::Rpc, Family::Shop],
];

/// Columns from the semantic conventions and from what every shop adds.
fn known(seed: u64) -> Vec<(Family, Column)> {
    use Family::{Common, Db, Http, Queue, Rpc, Shop};
    let word = |name: &str, count| Kind::Word(words(mix(seed) ^ unsigned(name.len()), count));
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let methods = list(&["GET", "POST", "PUT", "DELETE", "PATCH"]);
    let agents = (0..300).map(|agent| {
        format!(
            "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.{}.0 Safari/537.36",
            ["X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7"]
                [agent % 3],
            110 + agent / 3,
            agent * 37 % 6_000
        )
    });
    let countries =
        list(&["US", "DE", "GB", "FR", "IN", "BR", "JP", "NL", "CA", "ES", "IT", "PL", "SE", "AU", "MX"]);
    let listed: Vec<(Family, &str, Kind)> = vec![
        (Http, "http.request.method", Kind::Word(methods)),
        (Http, "http.response.status_code", Kind::HttpStatus),
        (Http, "http.route", Kind::Route),
        (Http, "url.path", Kind::Path),
        (Http, "url.scheme", Kind::Word(list(&["https"]))),
        (Http, "server.port", Kind::Number(&[443, 443, 8080, 8443])),
        (Http, "client.address", Kind::ClientAddress),
        (Http, "user_agent.original", Kind::OfUser(agents.collect())),
        (Http, "network.protocol.version", Kind::OfUser(list(&["2", "1.1", "3"]))),
        (Http, "http.request.body.size", Kind::Size(900.0)),
        (Http, "http.response.body.size", Kind::Size(9_000.0)),
        (Common, "user.id", Kind::User),
        (Common, "session.id", Kind::Session),
        (Common, "user.plan", Kind::OfUser(list(&["free", "pro", "team", "enterprise"]))),
        (Common, "user.country", Kind::OfUser(countries)),
        (Common, "tenant.id", Kind::Label("tenant-", 5_000)),
        (Common, "thread.id", Kind::Small(64)),
        (Common, "thread.name", Kind::Label("worker-", 64)),
        (Common, "code.function.name", word("code.function.name", 160)),
        (Common, "app.build.id", word("app.build.id", 12)),
        (Common, "app.retry.count", Kind::Small(4)),
        (Common, "app.request.id", Kind::Uuid),
        (Common, "feature_flag.key", word("feature_flag.key", 40)),
        (Common, "feature_flag.result.variant", Kind::OfUser(list(&["off", "on", "treatment"]))),
        (Db, "db.system.name", Kind::Word(list(&["postgresql"]))),
        (Db, "db.namespace", word("db.namespace", 8)),
        (Db, "db.collection.name", word("db.collection.name", 60)),
        (Db, "db.operation.name", Kind::Word(list(&["SELECT", "INSERT", "UPDATE", "DELETE"]))),
        (Db, "db.query.text", Kind::Sql),
        (Db, "db.response.returned_rows", Kind::Size(30.0)),
        (Db, "db.client.wait_ms", Kind::Millis(0.05)),
        (Rpc, "rpc.system", Kind::Word(list(&["grpc"]))),
        (Rpc, "rpc.service", word("rpc.service", 24)),
        (Rpc, "rpc.method", word("rpc.method", 120)),
        (Rpc, "rpc.grpc.status_code", Kind::Number(&[0, 0, 0, 0, 0, 0, 4, 14])),
        (Rpc, "network.peer.address", Kind::Label("10.4.", 400)),
        (Queue, "messaging.system", Kind::Word(list(&["kafka"]))),
        (Queue, "messaging.destination.name", word("messaging.destination.name", 30)),
        (Queue, "messaging.destination.partition.id", Kind::Small(64)),
        (Queue, "messaging.kafka.offset", Kind::Rising),
        (Queue, "messaging.message.id", Kind::Uuid),
        (Queue, "messaging.message.body.size", Kind::Size(1_500.0)),
        (Shop, "shop.cart.value", Kind::Price(80.0)),
        (Shop, "shop.cart.items", Kind::Small(20)),
        (Shop, "shop.currency", Kind::OfUser(list(&["USD", "EUR", "GBP", "JPY"]))),
        (Shop, "shop.product.id", Kind::Label("sku-", 40_000)),
        (Shop, "shop.order.id", Kind::Hex),
        (Shop, "shop.cache.hit", Kind::Flag(0.8)),
        (Shop, "shop.checkout.step", word("shop.checkout.step", 6)),
    ];
    let column =
        |(place, (family, name, kind))| (family, Column::new(name, kind, mix(seed ^ unsigned(place))));
    listed.into_iter().enumerate().map(column).collect()
}

/// A column of the application's own: its kind is drawn from what such columns hold.
fn own(seed: u64, place: usize) -> Column {
    let salt = mix(seed ^ mix(0x0a11 + unsigned(place)));
    let (noun, fact) = (pick(&NOUNS, place), pick(&FACTS, place / NOUNS.len() + place % 7));
    let (noun, fact) = (noun.copied().unwrap_or_default(), fact.copied().unwrap_or_default());
    let mean = [0.02, 0.1, 0.3, 0.6][below(mix(salt), 4)];
    let kind = match salt % 100 {
        0..20 => Kind::Flag([0.02, 0.1, 0.5, 0.97][below(mix(salt), 4)]),
        20..48 => Kind::Word(words(salt, 2 + below(mix(salt), 28))),
        48..53 => Kind::OfUser(words(salt, 2 + below(mix(salt), 12))),
        53..65 => Kind::Small(2 + below(mix(salt), 60)),
        65..71 => Kind::Number(&[1, 5, 10, 30, 60, 100, 300, 1_000, 5_000]),
        71..80 => Kind::Size([40.0, 700.0, 20_000.0, 3e6][below(mix(salt), 4)]),
        80..87 => Kind::Millis(mean),
        87..90 => Kind::Price(60.0),
        90..92 => Kind::Ratio,
        92..97 => Kind::Label("ref-", [300, 2_000, 20_000, 200_000][below(mix(salt), 4)]),
        97 => Kind::Rising,
        98 => Kind::Hex,
        _ => Kind::Uuid,
    };
    Column::new(&format!("app.{noun}.{fact}_{place:03}"), kind, salt)
}

// === impl Schema ===

impl Schema {
    pub(super) fn new(config: &WideConfig) -> Schema {
        let seed = config.seed;
        let wanted = config.columns.saturating_sub(RESOURCE_COLUMNS + EXCEPTION_COLUMNS).max(1);
        let (families, mut columns): (Vec<Family>, Vec<Column>) =
            known(seed).into_iter().take(wanted).unzip();
        let known_columns = columns.len();
        columns.extend((known_columns..wanted).map(|place| own(seed, place - known_columns)));
        let texts = Texts::new(seed);
        let datasets = config.datasets.max(1);
        let widest = config.widest_dataset();
        let mut services = Vec::new();
        let (mut number, mut next_arc) = (0, 0);
        for service in 0..datasets {
            let pool_size = pool_size(config, service);
            let of_wide = service == widest;
            let belongs = |family: &Family| {
                of_wide || *family == Family::Common || FAMILIES[service % FAMILIES.len()].contains(family)
            };
            let known: Vec<usize> = (0..known_columns).filter(|&column| belongs(&families[column])).collect();
            // At most so many of the known ones, evenly from all families; the rest is the application's own.
            let quota = known.len().min(pool_size.div_ceil(2));
            let mut pool: Vec<usize> =
                (0..quota).filter_map(|place| known.get(place * known.len() / quota).copied()).collect();
            // Those lie in a circle; services take one arc after another, the wide one across those of others.
            let own_columns = wanted - known_columns;
            let arc = (pool_size - quota).min(own_columns);
            pool.extend((0..arc).map(|place| known_columns + (next_arc + place) % own_columns.max(1)));
            if !of_wide {
                next_arc += arc;
            }
            let operations = (0..8 + service % 5 * 3)
                .map(|operation| {
                    number += 1;
                    Operation::new(config, number, operation, &pool, of_wide)
                })
                .collect();
            services.push(Service {
                resources: (0..4 + service % 7).map(|pod| resource(seed, service, pod)).collect(),
                scope: scope(service),
                operations,
                calls: (1..=3).map(|step| (service * 3 + step * 7) % datasets).collect(),
            });
        }
        let exception_keys = ["exception.type", "exception.message", "exception.stacktrace"].map(Key::new);
        Schema { columns, services, texts, exception_keys }
    }
}

/// Attributes that a service has in all, without those of its resource.
fn pool_size(config: &WideConfig, service: usize) -> usize {
    let filled = if service == config.widest_dataset() {
        config.columns * 3 / 5
    } else {
        // From 25 to 60 of 500.
        let place = service * 100 / config.datasets.max(1);
        config.columns * (50 + place * 70 / 100) / 1_000
    };
    let share = config.filled.clamp(0.01, 1.0);
    let pool = filled.saturating_sub(RESOURCE_COLUMNS) as f64 / share;
    usize::try_from(crate::random::to_ns(pool)).unwrap_or(1).max(1)
}

// === impl Operation ===

impl Operation {
    fn new(config: &WideConfig, number: u64, place: usize, pool: &[usize], of_wide: bool) -> Operation {
        let groups = if of_wide { GROUPS.len() } else { 3 };
        let group_mean = GROUPS.iter().take(groups).sum::<f64>() / groups as f64;
        // Always, in an optional group, or never: together the share that the configuration asks for.
        let filled = config.filled.clamp(0.01, 1.0);
        let grouped = 1.5 * filled * (1.0 - filled);
        let always = filled - grouped * group_mean;
        let slot = |&column: &usize| {
            let fate = mix(number << 20 ^ unsigned(column) ^ mix(config.seed));
            let position = (fate >> 11) as f64 / (1_u64 << 53) as f64;
            let group = (position >= always).then(|| below(mix(fate), groups));
            (position < always + grouped).then_some(Slot { column, group })
        };
        let span: Vec<Slot> = pool.iter().filter_map(slot).collect();
        // A wide service logs its whole event; the others some of it.
        let log = span.iter().take(if of_wide { span.len() } else { span.len() / 2 + 6 }).copied().collect();
        let (noun, verb) = (pick(&NOUNS, place * 7 + below(mix(number), NOUNS.len())), number % 4);
        let noun = noun.copied().unwrap_or_default();
        let name = match verb {
            0 => format!("GET /api/{noun}s/{{id}}"),
            1 => format!("POST /api/{noun}s"),
            2 => format!("shop.{noun}.v1/Load"),
            _ => format!("{noun}.process"),
        };
        // Operations differ by a factor of a hundred.
        let spread = (mix(number) >> 11) as f64 / (1_u64 << 53) as f64;
        Operation { name, number, duration_mean_ns: 1.5e6 * 100_f64.powf(spread), span, log }
    }
}

fn resource(seed: u64, service: usize, pod: usize) -> Vec<u8> {
    let bits = mix(seed ^ mix(unsigned(service) << 16 | unsigned(pod)));
    let name = service_name(service);
    let runtime = ["java", "go", "python", "nodejs"][service % 4];
    let values: [(&str, String); RESOURCE_COLUMNS - 1] = [
        ("service.name", name.clone()),
        ("service.version", format!("4.{}.{}", service % 9, bits % 3)),
        ("service.instance.id", format!("{}-{}", hex(&bits.to_be_bytes()), pod)),
        ("deployment.environment.name", "production".to_owned()),
        ("k8s.cluster.name", format!("prod-{}", pod % 2)),
        ("k8s.namespace.name", ["shop", "payments", "platform"][service % 3].to_owned()),
        ("k8s.pod.name", format!("{name}-{:08x}-{:05x}", bits >> 32, bits & 0xf_ffff)),
        ("k8s.node.name", format!("ip-10-4-{}-{}", bits % 3, mix(bits) % 60)),
        ("cloud.region", ["eu-west-1", "us-east-1"][pod % 2].to_owned()),
        ("telemetry.sdk.language", runtime.to_owned()),
        ("telemetry.sdk.version", format!("1.{}.0", 40 + service % 5)),
    ];
    let mut out = Vec::new();
    let mut attributes = Attributes { out: &mut out, field: 1, count: 0 };
    for (name, value) in values {
        attributes.text(&Key::new(name), value.as_bytes());
    }
    attributes.int(&Key::new("process.pid"), (bits >> 50).cast_signed());
    out
}

/// The name of a service by its number.
pub(super) fn service_name(service: usize) -> String {
    let noun = pick(&NOUNS, service * 3).copied().unwrap_or_default();
    format!("{noun}-{service:02}")
}

fn scope(service: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let name = ["io.opentelemetry.http", "io.opentelemetry.grpc", "io.opentelemetry.kafka"][service % 3];
    bytes_field(&mut out, 1, name.as_bytes());
    bytes_field(&mut out, 2, b"2.11.0");
    out
}
