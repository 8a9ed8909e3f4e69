//! Serves a router on a socket, HTTP/1 and HTTP/2 alike, until it is told to stop.
//!
//! Every connection is bounded: their number, what HTTP/2 may send before it is read, and how long a client may
//! take or be silent ([`crate::watch`]).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use skein_api::patience::Patience;
use skein_event::limits::{
    CONNECTIONS_MAX, HTTP1_BUFFER_BYTES, HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_STREAM_WINDOW_BYTES,
    HTTP2_STREAMS_MAX,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::watch::{GivenUp, Watch, Watched};

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
    patience: Patience,
    phase: watch::Receiver<Phase>,
) -> std::io::Result<Served> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(accept(listener, router, patience, phase));
    Ok(Served { address, task })
}

async fn accept(
    listener: TcpListener,
    router: Router,
    patience: Patience,
    mut phase: watch::Receiver<Phase>,
) {
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
                    // Answers are small and awaited; waiting to fill a segment only delays them.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "TCP_NODELAY was refused");
                    }
                    let served = connection(stream, router.clone(), patience, phase.clone());
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

/// Serves one connection to its end: the client's, the server's, or that of patience.
async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    patience: Patience,
    mut phase: watch::Receiver<Phase>,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(HTTP1_BUFFER_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(patience.head)
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES);
    let watch = Watch::new(patience);
    let serving = builder.serve_connection(TokioIo::new(stream), Watched::new(router, Arc::clone(&watch)));
    tokio::pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = ending(&mut phase) => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                result = serving.as_mut() => result,
                why = watch.give_up() => return tracing::debug!(?why, "a connection is cut"),
            }
        }
        why = watch.give_up() => {
            if why == GivenUp::Unread {
                return tracing::debug!("a client does not take its answer; its connection is cut");
            }
            serving.as_mut().graceful_shutdown();
            match timeout(watch.grace(), serving).await {
                Ok(result) => result,
                Err(_elapsed) => return tracing::debug!("a silent client's connection is cut"),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(error, "a connection broke");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use http_body_util::{BodyExt as _, Empty};
    use hyper::Request;
    use hyper::body::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    // Patience of milliseconds. Each test waits for the end of a connection, however long that takes; nothing
    // is asserted about how long it took.
    const SHORT: Duration = Duration::from_millis(30);
    /// Never reached: what is not under test.
    const LONG: Duration = Duration::from_secs(3_600);

    fn patience() -> Patience {
        Patience { head: LONG, idle: LONG, unread: LONG, ..Patience::default() }
    }

    /// A small answer, a megabyte in one frame, and one in a thousand.
    fn router() -> Router {
        let piece = || Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 1_000]));
        let pieces = move || axum::body::Body::from_stream(tokio_stream_of(1_000, piece));
        Router::new()
            .route("/small", get(|| async { "small" }))
            .route("/large", get(|| async { "x".repeat(1 << 20) }))
            .route("/pieces", get(move || async move { pieces() }))
    }

    fn tokio_stream_of<T: Send + 'static>(
        count: usize,
        piece: impl Fn() -> T + Send + 'static,
    ) -> impl futures_util::Stream<Item = T> + Send {
        futures_util::stream::iter((0..count).map(move |_| piece()))
    }

    /// A client's end of a connection, and the task that serves it.
    fn connect(patience: Patience) -> (DuplexStream, JoinHandle<()>, watch::Sender<Phase>) {
        let (client, server) = duplex(16 << 10);
        let (phase, phases) = watch::channel(Phase::Serving);
        (client, tokio::spawn(connection(server, router(), patience, phases)), phase)
    }

    async fn ask(client: &mut DuplexStream, path: &str) {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        client.write_all(head.as_bytes()).await.expect("writes");
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_given_up() {
        for said in ["", "G", "GET /small HTTP/1.1\r\nhost:", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let (mut client, served, _phase) = connect(Patience { head: SHORT, unread: SHORT, ..patience() });
            client.write_all(said.as_bytes()).await.expect("writes");
            served.await.expect("no panic");
        }
    }

    #[tokio::test]
    async fn a_head_that_drips_is_given_up() {
        let (mut client, served, _phase) = connect(Patience { head: SHORT, unread: SHORT, ..patience() });
        ask(&mut client, "/small\r\nx: ").await;
        let dripping = tokio::spawn(async move { while client.write_all(b"y").await.is_ok() {} });
        served.await.expect("no panic");
        dripping.await.expect("no panic");
    }

    #[tokio::test]
    async fn a_client_that_asks_no_more_is_given_up() {
        let (mut client, served, _phase) = connect(Patience { idle: SHORT, ..patience() });
        ask(&mut client, "/small").await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("reads to the end of the connection");
        assert!(answer.ends_with("small"), "{answer}");
        served.await.expect("no panic");
    }

    #[tokio::test]
    async fn an_answer_that_is_not_read_is_given_up() {
        for path in ["/large", "/pieces"] {
            let (mut client, served, _phase) = connect(Patience { unread: SHORT, ..patience() });
            ask(&mut client, path).await;
            served.await.expect("no panic");
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.expect("reads what was under way");
            assert!(rest.len() < 1 << 20, "{path}: it was not held for ever");
        }
    }

    #[tokio::test]
    async fn an_answer_comes_whole_through_its_pieces() {
        for path in ["/large", "/pieces"] {
            let (mut client, served, _phase) = connect(patience());
            ask(&mut client, path).await;
            let mut count = 0;
            let mut piece = vec![0; 8 << 10];
            let wanted = if path == "/large" { 1 << 20 } else { 1_000_000 };
            while count < wanted {
                let read = client.read(&mut piece).await.expect("reads");
                count += piece[..read].iter().filter(|&&byte| byte == b'x').count();
                assert!(read > 0, "{path} ended after {count}");
            }
            drop(client);
            served.await.expect("no panic");
        }
    }

    /// An HTTP/2 client that never opens its flow-control window, while its connection answers pings.
    #[tokio::test]
    async fn a_closed_flow_control_window_is_given_up() {
        for path in ["/large", "/pieces"] {
            let (client, served, _phase) = connect(Patience { unread: SHORT, ..patience() });
            let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(1_000).initial_connection_window_size(100_000);
            let (mut sender, driving) =
                builder.handshake::<_, Empty<Bytes>>(TokioIo::new(client)).await.expect("connects");
            let driving = tokio::spawn(driving);
            let request = Request::get(format!("http://localhost{path}")).body(Empty::new()).expect("is one");
            let response = sender.send_request(request).await.expect("an answer begins");
            served.await.expect("no panic");
            assert!(response.collect().await.is_err(), "half an answer never looks like a whole one");
            drop((sender, driving));
        }
    }

    #[tokio::test]
    async fn a_stopping_server_waits_for_nobody_who_does_not_read() {
        let (mut client, served, phase) = connect(Patience { unread: SHORT, ..patience() });
        ask(&mut client, "/large").await;
        phase.send_replace(Phase::Ending);
        served.await.expect("no panic");
    }
}
