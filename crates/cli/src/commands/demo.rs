//! `skein demo`: a server, and five simulated services that send to it over OTLP/gRPC: first some minutes of
//! the past as fast as the server takes them, then live. An incident lies in the past; finding it is the game.
//!
//! stdout gets JSON lines for programs (`ready`, and with `--reveal` the incident), stderr the text for people.

use std::io::{IsTerminal as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use skein_server::Running;
use skein_workload::export::{Batch, batches};
use skein_workload::incident::Incident;
use skein_workload::sender::Sender;
use skein_workload::simulation::{Config as Shop, Simulation};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};

use super::serve;
use crate::arguments::Demo;
use crate::failure::{Exit, Failure, Outcome};
use crate::progress::{Progress, tell};
use crate::times;

const SECOND_NS: i64 = 1_000_000_000;

/// The past is made and sent in slices of this much time.
const SLICE_NS: i64 = 5 * SECOND_NS;

/// Requests on their way at once while the past is filled in.
const SENDERS: usize = 4;

/// An incident begins at most 6 minutes after its origin and lasts at most 7; five more show the recovery.
const INCIDENT_WINDOW_NS: i64 = 18 * 60 * SECOND_NS;

/// Asked when nobody chooses one: a slow statement after a deploy shows itself in many places.
const SEED_DEFAULT: u64 = 7;

pub(super) fn run(arguments: &Demo) -> Outcome {
    serve::log_to_stderr("warn")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Refused, "internal", format!("the runtime cannot be started: {error}"))
    })?;
    let outcome = runtime.block_on(demo(arguments));
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}

async fn demo(arguments: &Demo) -> Outcome {
    let mut config = serve::config(&arguments.serve)?;
    for (name, address) in [
        ("the API", &mut config.http),
        ("OTLP/gRPC", &mut config.otlp_grpc),
        ("OTLP/HTTP", &mut config.otlp_http),
    ] {
        *address = free(name, *address);
    }
    let data = config.data.clone();
    let running = skein_server::start(&config).await.map_err(|error| serve::refused(&error))?;
    if !std::io::stdout().is_terminal() {
        let ready = serde_json::to_string(&running.ready()).unwrap_or_default();
        say(&ready);
    }
    tell(&where_to_look(&running, &data));
    let result = feed(arguments, &running).await;
    let stopped = running.shutdown().await.map_err(|error| serve::refused(&error));
    result.and(stopped.map(|()| Exit::Done))
}

/// The address, or a free port of the same host when another process has it.
fn free(name: &str, address: SocketAddr) -> SocketAddr {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            tell(&format!("{address} is taken; {name} gets another port"));
            SocketAddr::new(address.ip(), 0)
        }
        _ => address,
    }
}

/// Sends until the end of the past, then live until a signal comes.
async fn feed(arguments: &Demo, running: &Running) -> Outcome {
    let now_ns = times::now_ns();
    let start_ns = now_ns - i64::from(arguments.minutes) * 60 * SECOND_NS;
    let seed = arguments.incident.unwrap_or(SEED_DEFAULT);
    let incident = Incident::from_seed(seed, start_ns.max(now_ns - INCIDENT_WINDOW_NS));
    if arguments.reveal {
        let truth = incident.truth();
        let line = json!({"event": "incident", "service": truth.service, "operation": truth.operation,
            "start": times::show(truth.start_ns)});
        say(&line.to_string());
    }
    let simulation = Simulation::new(Shop {
        seed,
        start_ns,
        requests_per_second: f64::from(arguments.rate),
        incident: Some(incident),
    });
    let sender = Sender::new(&running.otlp_grpc.to_string())
        .map_err(|error| Failure::new(Exit::Unreachable, "unavailable", error.to_string()))?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let sent = Arc::new(Sent::default());
    let simulation = tokio::select! {
        simulation = fill_in(simulation, now_ns, &sender, &sent) => simulation?,
        _ = terminate.recv() => return Ok(Exit::Done),
        _ = interrupt.recv() => return Ok(Exit::Done),
    };
    tell(&what_to_ask(running, &sent, arguments));
    if arguments.once {
        return Ok(if sent.rejected.load(Ordering::Relaxed) == 0 { Exit::Done } else { Exit::Incomplete });
    }
    tokio::select! {
        result = live(simulation, sender, &sent) => result.map(|()| Exit::Done),
        _ = terminate.recv() => Ok(Exit::Done),
        _ = interrupt.recv() => Ok(Exit::Done),
    }
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    signal(kind).map_err(|error| {
        Failure::new(Exit::Refused, "internal", format!("signals cannot be listened for: {error}"))
    })
}

/// What was sent so far.
#[derive(Debug, Default)]
struct Sent {
    spans: AtomicU64,
    logs: AtomicU64,
    points: AtomicU64,
    rejected: AtomicU64,
}

impl Sent {
    fn count(&self, batch: &Batch, rejected: u64) {
        let counter = match batch {
            Batch::Traces(_) => &self.spans,
            Batch::Logs(_) => &self.logs,
            Batch::Metrics(_) => &self.points,
        };
        counter.fetch_add(batch.records() as u64, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }
}

/// Simulates the past on a thread of its own and sends it; returns the simulation when it has come to now.
async fn fill_in(
    mut simulation: Simulation,
    until_ns: i64,
    sender: &Sender,
    sent: &Arc<Sent>,
) -> Result<Simulation, Failure> {
    let slices = u64::try_from((until_ns - simulation.now_ns()) / SLICE_NS).unwrap_or(0);
    let progress = Progress::slices("filling in the past", slices);
    let (queue, waiting) = channel::<Batch>(SENDERS);
    let maker = tokio::task::spawn_blocking(move || {
        while simulation.now_ns() < until_ns {
            let slice_end_ns = (simulation.now_ns() + SLICE_NS).min(until_ns);
            let records = simulation.advance(slice_end_ns);
            for batch in batches(simulation.instances(), records) {
                if queue.blocking_send(batch).is_err() {
                    return simulation;
                }
            }
            progress.add(1);
        }
        progress.finish();
        simulation
    });
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| tokio::spawn(send_all(Arc::clone(&waiting), sender.clone(), Arc::clone(sent))))
        .collect();
    drop(waiting);
    for task in senders {
        task.await.map_err(|error| lost(&error))??;
    }
    maker.await.map_err(|error| lost(&error))
}

async fn send_all(
    waiting: Arc<tokio::sync::Mutex<Receiver<Batch>>>,
    mut sender: Sender,
    sent: Arc<Sent>,
) -> Result<(), Failure> {
    loop {
        let next = waiting.lock().await.recv().await;
        let Some(batch) = next else { return Ok(()) };
        send(&mut sender, &batch, &sent).await?;
    }
}

async fn send(sender: &mut Sender, batch: &Batch, sent: &Sent) -> Result<(), Failure> {
    let answer = sender
        .send(batch)
        .await
        .map_err(|error| Failure::new(Exit::Incomplete, "unavailable", error.to_string()))?;
    if answer.rejected > 0 {
        tell(&format!("the server rejected {} records: {}", answer.rejected, answer.message));
    }
    sent.count(batch, answer.rejected);
    Ok(())
}

fn lost(error: &tokio::task::JoinError) -> Failure {
    Failure::new(Exit::Refused, "internal", format!("a task of the demo ended: {error}"))
}

/// Goes on in real time.
async fn live(mut simulation: Simulation, mut sender: Sender, sent: &Sent) -> Result<(), Failure> {
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    loop {
        every_second.tick().await;
        // A machine that slept makes up for it in slices, so that no batch and no moment gets large.
        let until_ns = times::now_ns();
        while simulation.now_ns() < until_ns {
            let records = simulation.advance((simulation.now_ns() + SLICE_NS).min(until_ns));
            for batch in batches(simulation.instances(), records) {
                send(&mut sender, &batch, sent).await?;
            }
        }
    }
}

fn where_to_look(running: &Running, data: &Path) -> String {
    format!(
        "Skein {} keeps its events in {} and listens:\n\
         \x20 web        http://{}/\n\
         \x20 API        http://{}/api/v1/ (its description: /api/v1/openapi.json)\n\
         \x20 health     http://{}/readyz, metrics http://{}/metrics\n\
         \x20 OTLP/gRPC  {}    OTLP/HTTP  {}\n",
        env!("CARGO_PKG_VERSION"),
        data.display(),
        running.http,
        running.http,
        running.http,
        running.http,
        running.otlp_grpc,
        running.otlp_http,
    )
}

fn what_to_ask(running: &Running, sent: &Sent, arguments: &Demo) -> String {
    let url = if running.http.to_string() == "127.0.0.1:8080" {
        String::new()
    } else {
        format!(" --url http://{}", running.http)
    };
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut text = format!(
        "Five services (gateway, catalog, cart, checkout, payment) have sent {} minutes of the past: {} spans, \
         {} log records, {} metrics.\n",
        arguments.minutes,
        count(&sent.spans),
        count(&sent.logs),
        count(&sent.points),
    );
    text.push_str(if arguments.once {
        "Something went wrong in there. "
    } else {
        "They go on live. Something went wrong a while ago. "
    });
    text.push_str("Three questions to ask:\n\n");
    for (question, file, specification, options) in QUESTIONS {
        let command = match Path::new("examples").join(file).is_file() {
            true => format!("{} query --spec examples/{file}{options}{url}", program()),
            // Away from the repository the specification comes along.
            false => {
                let specification: String = specification.split_whitespace().collect::<Vec<_>>().join(" ");
                format!("echo '{specification}' | {} query --spec -{options}{url}", program())
            }
        };
        text.push_str(&format!("  {question}\n    {command}\n"));
    }
    text.push_str(&format!(
        "\n`{} trace ID` shows everything of one of those requests, spans and logs in order.\n",
        program()
    ));
    if !arguments.reveal {
        text.push_str(&format!(
            "`{} demo --incident SEED --reveal` plants another incident and tells what it is.\n",
            program()
        ));
    }
    if !arguments.once {
        text.push_str("Ctrl-C stops.\n");
    }
    text
}

/// Question, file of its specification, the specification itself, further options.
const QUESTIONS: [(&str, &str, &str, &str); 3] = [
    (
        "Which services are slow?",
        "p99-by-service.json",
        include_str!("../../../../examples/p99-by-service.json"),
        " --last 30m",
    ),
    (
        "Since when, and which operation fails?",
        "errors-by-minute.json",
        include_str!("../../../../examples/errors-by-minute.json"),
        " --last 30m",
    ),
    (
        "Which requests took longest?",
        "slowest-requests.json",
        include_str!("../../../../examples/slowest-requests.json"),
        " --last 30m",
    ),
];

/// This program, as it can be called from here.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("skein"));
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        Ok(relative) => format!("./{}", relative.display()),
        Err(_) => path.display().to_string(),
    }
}

/// A line on stdout, at once: a program may wait for it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let said = writeln!(out, "{line}").and_then(|()| out.flush());
    drop(said);
}
