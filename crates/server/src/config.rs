//! What can be set about a server: typed, checked once, then never changed.
//!
//! Settings come from a JSON file and from the command line, which wins. A file with a member that is none of
//! ours is refused, so that a typing error is not a silent default.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use skein_api::patience::Patience;
use skein_event::limits;
use skein_store as store;
use store::{ReleaseMemory, Retention};

/// Settings of a server.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// Address of the HTTP API.
    pub http: SocketAddr,
    /// Address of OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// Address of OTLP over HTTP.
    pub otlp_http: SocketAddr,
    /// Serve addresses that other machines reach. There are no keys yet: whoever reaches the port reads and
    /// writes everything.
    pub allow_remote: bool,
    /// Bytes of ingest in flight.
    pub inflight_bytes_max: usize,
    /// Size of one request, before and after decompression.
    pub request_bytes_max: usize,
    /// Memory of one query's state.
    pub query_memory_bytes_max: usize,
    /// Time of one query.
    pub query_seconds_max: u64,
    /// Threads that decode and threads that answer queries, each; 0 means one per core.
    pub cpu_threads: usize,
    /// While it stops, the server keeps refusing new work politely for this long.
    pub linger_ms: u64,
    /// A head is written to a segment when it is this old.
    pub flush_seconds: u64,
    /// The log is kept this long beyond the commit of its records to segments, as a second copy.
    pub log_retention_hours: u64,
    /// And in at most so many bytes; by default a tenth of the disk.
    pub log_retention_bytes: Option<u64>,
    /// Bytes kept free, so that a full disk can still be trimmed; by default a hundredth of the disk, at most 1 GiB.
    pub reserve_bytes: Option<u64>,
    /// All heads together; beyond, the largest is written to a segment.
    pub head_bytes_max: usize,
    /// All heads together; beyond, batches wait, and then clients are told to slow down.
    pub head_bytes_hard_max: usize,
    /// Bytes of batches that wait for the log; beyond, clients are told to slow down.
    pub log_queue_bytes_max: usize,
    /// How long slow clients are waited for.
    pub patience: Patience,
    /// How long events are kept, counted from their arrival, and how much room they may take.
    pub retention: Keep,
    /// The same for single datasets; what is left out is as for all.
    pub retention_datasets: BTreeMap<String, Keep>,
    /// How threads that fall idle give memory back: no setting, but the process's to know.
    pub release_memory: ReleaseMemory,
}

/// How long events are kept.
#[derive(Clone, Copy, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Days after their arrival; 0 keeps them for ever.
    pub days: Option<f64>,
    /// Bytes of segments; beyond, those that arrived first go.
    pub bytes_max: Option<u64>,
}

impl Keep {
    fn check(&self, what: &str) -> anyhow::Result<()> {
        let days = self.days.unwrap_or(0.0);
        // 292 years fit the nanoseconds of an i64.
        ensure!((0.0..=100_000.0).contains(&days), "{what}: days must be 0 (for ever) to 100,000");
        Ok(())
    }

    fn or(self, default: store::Keep) -> store::Keep {
        let age_ns = match self.days {
            None => default.age_ns,
            Some(days) if days <= 0.0 => None,
            #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
            Some(days) => Some((days * 86_400e9) as i64),
        };
        store::Keep { age_ns, bytes_max: self.bytes_max.or(default.bytes_max) }
    }
}

impl Default for Config {
    /// The defaults of CONTRACT.md.
    fn default() -> Config {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Config {
            data: PathBuf::from("./skein-data"),
            http: local(8080),
            otlp_grpc: local(4317),
            otlp_http: local(4318),
            allow_remote: false,
            inflight_bytes_max: limits::INFLIGHT_BYTES_MAX,
            request_bytes_max: limits::REQUEST_BYTES_MAX,
            query_memory_bytes_max: limits::QUERY_MEMORY_BYTES_MAX,
            query_seconds_max: limits::QUERY_SECONDS_MAX,
            cpu_threads: 0,
            linger_ms: u64::try_from(limits::STOP_LINGER.as_millis()).unwrap_or_default(),
            flush_seconds: 60,
            log_retention_hours: 24,
            log_retention_bytes: None,
            reserve_bytes: None,
            head_bytes_max: limits::HEAD_BYTES_MAX,
            head_bytes_hard_max: limits::HEAD_BYTES_HARD_MAX,
            log_queue_bytes_max: limits::LOG_QUEUE_BYTES_MAX,
            patience: Patience::default(),
            retention: Keep::default(),
            retention_datasets: BTreeMap::new(),
            release_memory: ReleaseMemory::default(),
        }
    }
}

/// The members of a configuration file; each overrides a default.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    data: Option<PathBuf>,
    http: Option<SocketAddr>,
    otlp_grpc: Option<SocketAddr>,
    otlp_http: Option<SocketAddr>,
    allow_remote: Option<bool>,
    inflight_bytes_max: Option<usize>,
    request_bytes_max: Option<usize>,
    query_memory_bytes_max: Option<usize>,
    query_seconds_max: Option<u64>,
    cpu_threads: Option<usize>,
    linger_ms: Option<u64>,
    flush_seconds: Option<u64>,
    log_retention_hours: Option<u64>,
    log_retention_bytes: Option<u64>,
    reserve_bytes: Option<u64>,
    head_bytes_max: Option<usize>,
    head_bytes_hard_max: Option<usize>,
    log_queue_bytes_max: Option<usize>,
    retention: Option<Keep>,
    retention_datasets: Option<BTreeMap<String, Keep>>,
    patience_ms: PatienceMs,
}

/// Overrides of [`Patience`], in milliseconds.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PatienceMs {
    head: Option<u64>,
    idle: Option<u64>,
    body_pause: Option<u64>,
    body: Option<u64>,
    drain: Option<u64>,
    unread: Option<u64>,
}

impl Config {
    /// The defaults, overridden by a JSON file.
    pub fn from_file(path: &Path) -> anyhow::Result<Config> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Config::from_json(&text).with_context(|| format!("{} is no configuration", path.display()))
    }

    /// The defaults, overridden by JSON text.
    pub fn from_json(text: &str) -> anyhow::Result<Config> {
        let file: File = serde_json::from_str(text)?;
        let mut config = Config::default();
        macro_rules! override_with {
            ($($member:ident),+) => { $(if let Some(value) = file.$member { config.$member = value; })+ };
        }
        override_with!(
            data,
            http,
            otlp_grpc,
            otlp_http,
            allow_remote,
            inflight_bytes_max,
            request_bytes_max,
            query_memory_bytes_max,
            query_seconds_max,
            cpu_threads,
            linger_ms,
            flush_seconds,
            log_retention_hours,
            head_bytes_max,
            head_bytes_hard_max,
            log_queue_bytes_max,
            retention,
            retention_datasets
        );
        config.log_retention_bytes = file.log_retention_bytes.or(config.log_retention_bytes);
        config.reserve_bytes = file.reserve_bytes.or(config.reserve_bytes);
        let (patience, ms) = (&mut config.patience, file.patience_ms);
        for (wait, ms) in [
            (&mut patience.head, ms.head),
            (&mut patience.idle, ms.idle),
            (&mut patience.body_pause, ms.body_pause),
            (&mut patience.body, ms.body),
            (&mut patience.drain, ms.drain),
            (&mut patience.unread, ms.unread),
        ] {
            *wait = ms.map_or(*wait, Duration::from_millis);
        }
        Ok(config)
    }

    /// How long events are kept, every default filled in.
    pub(crate) fn retention(&self) -> Retention {
        let default = self.retention.or(Retention::default().default);
        let datasets = self.retention_datasets.iter();
        let datasets = datasets.map(|(name, keep)| (name.clone(), keep.or(default))).collect();
        Retention { default, datasets }
    }

    /// Refuses settings that contradict each other or open the server to others unasked.
    pub fn check(&self) -> anyhow::Result<()> {
        for (name, address) in
            [("http", self.http), ("otlp-grpc", self.otlp_grpc), ("otlp-http", self.otlp_http)]
        {
            if !address.ip().is_loopback() && !self.allow_remote {
                bail!(
                    "--{name} {address} can be reached from other machines, and there are no keys yet: \
                     bind 127.0.0.1, or say --allow-remote"
                );
            }
        }
        ensure!(self.request_bytes_max >= 1 << 10, "request_bytes_max is smaller than 1 KiB");
        // A request of the largest size is in flight as sent and decompressed, and zstd keeps a window.
        ensure!(
            self.inflight_bytes_max / 4 >= self.request_bytes_max,
            "inflight_bytes_max must be at least four times request_bytes_max, or a request of the largest size \
             could never be taken"
        );
        ensure!(self.query_seconds_max > 0, "query_seconds_max is 0");
        ensure!(
            self.head_bytes_max <= self.head_bytes_hard_max,
            "head_bytes_hard_max is smaller than head_bytes_max: batches would wait before anything is flushed"
        );
        let Patience { head, idle, body_pause, body, drain, unread } = self.patience;
        ensure!(
            [head, idle, body_pause, body, drain, unread].iter().all(|wait| !wait.is_zero()),
            "a patience_ms of 0 waits for nobody"
        );
        self.retention.check("retention")?;
        for (dataset, keep) in &self.retention_datasets {
            keep.check(&format!("retention_datasets.{dataset}"))?;
        }
        self.retention().check().map_err(anyhow::Error::msg)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_overrides_defaults_and_nothing_else() {
        let config = Config::from_json(r#"{"http": "127.0.0.1:0", "cpu_threads": 3}"#).unwrap();
        let expected = Config { http: "127.0.0.1:0".parse().unwrap(), cpu_threads: 3, ..Config::default() };
        assert_eq!(config, expected);
        let config = Config::from_json(r#"{"patience_ms": {"idle": 5}, "head_bytes_hard_max": 1}"#).unwrap();
        let patience = Patience { idle: Duration::from_millis(5), ..Patience::default() };
        assert_eq!((config.patience, config.head_bytes_hard_max), (patience, 1));
        assert!(config.check().unwrap_err().to_string().contains("head_bytes_hard_max"));
        let error = Config::from_json(r#"{"htpp": "127.0.0.1:0"}"#).unwrap_err().to_string();
        assert!(error.contains("htpp"), "{error}");
    }

    #[test]
    fn retention_of_a_dataset_falls_back_to_that_of_all() {
        let text = r#"{"retention": {"days": 30}, "retention_datasets":
            {"audit": {"days": 0}, "noise": {"days": 1.5, "bytes_max": 1000}, "same": {}}}"#;
        let config = Config::from_json(text).unwrap();
        config.check().unwrap();
        let retention = config.retention();
        let day = 86_400_000_000_000;
        let keep = |age_ns, bytes_max| store::Keep { age_ns, bytes_max };
        assert_eq!(retention.default, keep(Some(30 * day), None));
        assert_eq!(retention.datasets["audit"], keep(None, None));
        assert_eq!(retention.datasets["noise"], keep(Some(day * 3 / 2), Some(1_000)));
        assert_eq!(retention.datasets["same"], retention.default);
        assert_eq!(Config::default().retention(), Retention::default());
        assert!(Config::from_json(r#"{"retention": {"days": -1}}"#).unwrap().check().is_err());
        assert!(Config::from_json(r#"{"retention": {"day": 1}}"#).is_err());
    }

    #[test]
    fn another_machine_is_not_served_unasked() {
        let open = Config { otlp_grpc: "0.0.0.0:4317".parse().unwrap(), ..Config::default() };
        let error = open.check().unwrap_err().to_string();
        assert!(error.contains("--otlp-grpc 0.0.0.0:4317"), "{error}");
        assert!(Config { allow_remote: true, ..open }.check().is_ok());
        assert!(Config::default().check().is_ok());
        assert!(Config { inflight_bytes_max: 1 << 20, ..Config::default() }.check().is_err());
    }
}
