//! Serves a router on a socket, HTTP/1 and HTTP/2 alike, until it is told to stop.
//!
//! Every connection is bounded: their number, what HTTP/2 may send before it is read, and how long a
//! request's head may take.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use skein_event::limits::CONNECTIONS_MAX;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// What an HTTP/2 connection may send before it is read: outside of the budget of bytes in flight, hence
/// small. At 100 µs of round trip it still allows 10 GB/s.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
const STREAM_WINDOW_BYTES: u32 = 512 << 10;

/// Requests that a connection may have open at once.
const STREAMS_MAX: u32 = 128;

/// The read buffer of HTTP/1: the unit in which a body is paid for.
const BUFFER_BYTES: usize = 64 << 10;

/// The head of a request arrives within this time, or the connection is closed.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// Whether a server serves, or ends what is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Requests are answered.
    Serving,
    /// Connections end after the request they are at; no new ones are taken.
    Ending,
}

/// A port that is served.
pub(crate) struct Served {
    /// The address it has, also when port 0 was asked for.
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    /// Waits until the last connection has ended.
    pub(crate) async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a listener failed");
        }
    }
}

/// Binds an address and serves a router there.
pub(crate) async fn serve(
    address: SocketAddr,
    router: Router,
    phase: watch::Receiver<Phase>,
) -> std::io::Result<Served> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(accept(listener, router, phase));
    Ok(Served { address, task })
}

async fn accept(listener: TcpListener, router: Router, mut phase: watch::Receiver<Phase>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            (place, accepted) = accepted => match (place, accepted) {
                (Ok(place), Ok((stream, _))) => {
                    let served = connection(stream, router.clone(), phase.clone());
                    connections.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                (_, Err(error)) => {
                    // Out of file descriptors, or a connection that was reset before it was taken: the next
                    // one may do better, after others had time to end.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                (Err(_closed), _) => return,
            },
            Some(_ended) = connections.join_next() => {}
            () = ending(&mut phase) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Waits for the end; a server that is gone has ended.
async fn ending(phase: &mut watch::Receiver<Phase>) {
    if phase.wait_for(|phase| *phase == Phase::Ending).await.is_err() {
        tracing::debug!("the server is gone");
    }
}

async fn connection(stream: TcpStream, router: Router, mut phase: watch::Receiver<Phase>) {
    // Answers are small and awaited; waiting to fill a segment only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(BUFFER_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_WITHIN)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let serving = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = ending(&mut phase) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(error, "a connection broke");
    }
}
