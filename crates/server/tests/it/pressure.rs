//! When segments cannot be written as fast as events come: the heads fill up to their hard cap, the log waits,
//! and clients are told to slow down. Nothing acknowledged is lost and memory stays bounded (I7).

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use serde_json::json;
use skein_ingest::Signal;
use skein_log::disk::{DirectoryEntry, Disk, DiskFile, RealDisk, Space};
use skein_otlp::Message as _;
use skein_server::Config;

use crate::client::{Answer, get, post, post_json};
use crate::doors_grpc::{call, channel, details};
use crate::lifecycle::counted;
use crate::memory::{NOW_NS, config};
use crate::otlp::{attribute, method, span, traces};

const HEADS: usize = 256 << 10;
const HEADS_HARD: usize = 512 << 10;
const QUEUE: usize = 512 << 10;

/// A disk on which segments can only be begun while a gate is open.
#[derive(Debug, Default)]
struct Gated {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gated {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// The disk, and the gate in front of it.
#[derive(Debug)]
struct SlowDisk(Arc<Gated>);

impl Disk for SlowDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if path.extension().is_some_and(|extension| extension == "seg") {
            let closed = self.0.open.lock().unwrap();
            drop(self.0.changed.wait_while(closed, |open| !*open).unwrap());
        }
        RealDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        RealDisk.list(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        RealDisk.space(path)
    }
}

/// About 32 KiB of one span.
fn batch(number: u64) -> Vec<u8> {
    let text: String =
        (0..2_048_u64).map(|n| format!("{:016x}", (number << 20 | n).wrapping_mul(0x9e37_79b9))).collect();
    let mut wide = span(1, NOW_NS + number);
    wide.attributes.push(attribute("padding", &text));
    traces("cart", vec![wide]).encode_to_vec()
}

async fn gauge(address: std::net::SocketAddr, name: &str) -> f64 {
    let text = String::from_utf8(get(address, "/metrics").await.body.to_vec()).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

async fn send(address: std::net::SocketAddr, number: u64) -> Answer {
    post(address, "/v1/traces", "application/x-protobuf", None, batch(number)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn full_heads_slow_clients_down_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gated::default());
    let config = Config {
        data: folder.path().to_owned(),
        head_bytes_max: HEADS,
        head_bytes_hard_max: HEADS_HARD,
        log_queue_bytes_max: QUEUE,
        ..config()
    };
    let disk = Arc::new(SlowDisk(Arc::clone(&gate)));
    let running = skein_server::start_on(&config, disk).await.unwrap();

    // Clients come one after the other; each waits for its answer, until there is no room to wait in.
    let (refused, refusals) = tokio::sync::mpsc::unbounded_channel();
    let mut refusals = Refusals(refusals);
    let mut sent = Vec::new();
    let first = loop {
        let number = sent.len() as u64;
        let (address, refused) = (running.otlp_http, refused.clone());
        sent.push(tokio::spawn(async move {
            let answer = send(address, number).await;
            if answer.status == 429 {
                refused.send(number).unwrap();
            }
            answer
        }));
        if let Some(number) = refusals.next_or_idle().await {
            break number;
        }
        assert!(sent.len() < 1_000, "a thousand batches of 32 KiB found room in 1 MiB");
    };
    // Bounded, while everybody presses: the caps, and one batch beyond each.
    let batch_bytes = 2.0 * batch(0).len() as f64;
    assert!(gauge(running.http, "skein_log_queue_bytes ").await <= QUEUE as f64 + batch_bytes);
    let heads = gauge(running.http, "skein_head_bytes{environment=\"default\"}").await;
    assert!(heads > HEADS as f64 && heads <= HEADS_HARD as f64 + batch_bytes, "{heads}");

    // gRPC says the same in its own words.
    let channel = channel(running.otlp_grpc).await;
    let status = call(&channel, method(Signal::Traces), None, &[], batch(1_000_000)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(details(&status), ["RetryInfo"]);

    gate.open();
    let mut stored = 0;
    let mut again = Vec::new();
    for (number, answer) in (0_u64..).zip(sent) {
        let answer = answer.await.unwrap();
        match answer.status.as_u16() {
            200 => stored += 1,
            429 => {
                assert_eq!(answer.header("retry-after"), Some("1"));
                again.push(number);
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert!(again.contains(&first) && stored > 0, "{stored} stored, {again:?} told to slow down");
    // Whoever was told to slow down comes again until there is room.
    for &number in &again {
        while send(running.otlp_http, number).await.status != 200 {}
    }
    let total = stored + again.len();
    let spec = json!({"start_time": NOW_NS / 1_000_000_000 - 10, "time_range": 100});
    let answer = post_json(running.http, "/api/v1/query", &spec).await.json();
    assert_eq!(counted(&answer), i64::try_from(total).unwrap(), "each batch once");
    running.shutdown().await.unwrap();
}

/// Refusals as they come.
struct Refusals(tokio::sync::mpsc::UnboundedReceiver<u64>);

impl Refusals {
    /// The next refusal, or `None` when none came for a moment: then there was room, or is nobody to tell.
    async fn next_or_idle(&mut self) -> Option<u64> {
        tokio::time::timeout(std::time::Duration::from_millis(20), self.0.recv()).await.ok().flatten()
    }
}
