//! Watches a connection for a client that keeps it and does nothing: one that never asks, that asks no more,
//! or that does not take its answer. What such a client holds (a place among the connections, an answer's
//! memory, an export's thread) others need (invariant I7).
//!
//! The watch sees a connection from outside, since a client that closes HTTP/2's flow-control window, or that
//! reads nothing, leaves nobody inside who would be polled. It counts requests, and notes when a piece of an
//! answer was handed over without another being asked for. Time spent on our own side counts for nobody.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::service::TowerToHyperService;
use skein_api::patience::Patience;
use skein_event::limits::ANSWER_PIECE_BYTES;
use tokio::time::{Instant, sleep_until};

/// What a connection's client does.
#[derive(Debug)]
pub(crate) struct Watch {
    patience: Patience,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the connection began, or its last answer ended.
    quiet_since: Instant,
    /// Whether it has ever asked anything.
    asked: bool,
    next: u64,
    /// Requests that are open, and since when their client has a piece of the answer to take.
    open: HashMap<u64, Option<Instant>>,
}

/// Why a connection is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GivenUp {
    /// No request for too long: it may end politely.
    Idle,
    /// An answer is not taken.
    Unread,
}

// === impl State ===

impl State {
    fn new(now: Instant) -> State {
        State { quiet_since: now, asked: false, next: 0, open: HashMap::new() }
    }

    fn begin(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.asked = true;
        self.open.insert(number, None);
        number
    }

    /// The client has a piece to take since some moment, or has taken it.
    fn waits_for_client(&mut self, number: u64, since: Option<Instant>) {
        if let Some(known) = self.open.get_mut(&number) {
            *known = since;
        }
    }

    fn end(&mut self, number: u64, now: Instant) {
        self.open.remove(&number);
        self.quiet_since = now;
    }

    /// When patience ends, if nothing happens until then; `None` while we are the ones to act.
    fn deadline(&self, patience: &Patience) -> Option<(Instant, GivenUp)> {
        if self.open.is_empty() {
            let quiet_for = if self.asked { patience.idle } else { patience.head };
            return Some((self.quiet_since + quiet_for, GivenUp::Idle));
        }
        let oldest = self.open.values().flatten().min()?;
        Some((*oldest + patience.unread, GivenUp::Unread))
    }
}

// === impl Watch ===

impl Watch {
    pub(crate) fn new(patience: Patience) -> Arc<Watch> {
        Arc::new(Watch { patience, state: Mutex::new(State::new(Instant::now())) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Watch>) -> Asked {
        Asked { watch: Arc::clone(self), number: self.state().begin() }
    }

    /// Ends when there is a reason to give the connection up.
    pub(crate) async fn give_up(&self) -> GivenUp {
        let Patience { head, idle, unread, .. } = self.patience;
        loop {
            let deadline = self.state().deadline(&self.patience);
            let now = Instant::now();
            // What begins while this sleeps may be due before what it sleeps for.
            let look_again = now + head.min(idle).min(unread);
            match deadline {
                Some((until, why)) if until <= now => return why,
                Some((until, _)) => sleep_until(until.min(look_again)).await,
                None => sleep_until(look_again).await,
            }
        }
    }

    /// How long a connection that ends politely may take for it.
    pub(crate) fn grace(&self) -> Duration {
        self.patience.unread
    }
}

/// A request that is open, until its answer has been handed over.
struct Asked {
    watch: Arc<Watch>,
    number: u64,
}

impl Asked {
    fn waits_for_client(&self, waits: bool) {
        self.watch.state().waits_for_client(self.number, waits.then(Instant::now));
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.watch.state().end(self.number, Instant::now());
    }
}

/// A router whose requests are watched.
#[derive(Clone)]
pub(crate) struct Watched {
    router: Router,
    watch: Arc<Watch>,
}

impl Watched {
    pub(crate) fn new(router: Router, watch: Arc<Watch>) -> Watched {
        Watched { router, watch }
    }
}

impl Service<Request<Incoming>> for Watched {
    type Response = Response<WatchedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<WatchedBody>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let asked = self.watch.begin();
        let answering = TowerToHyperService::new(self.router.clone()).call(request);
        Box::pin(async move {
            let response = answering.await?;
            Ok(response.map(|body| WatchedBody { body, rest: Bytes::new(), asked }))
        })
    }
}

/// An answer's body, handed over in pieces, that notes who waits for whom.
pub(crate) struct WatchedBody {
    body: Body,
    /// What is left of the frame that is being handed over.
    rest: Bytes,
    asked: Asked,
}

impl hyper::body::Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Whoever polls has taken the piece before.
        self.asked.waits_for_client(false);
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        let length = self.rest.len().min(ANSWER_PIECE_BYTES);
        let piece = self.rest.split_to(length);
        self.asked.waits_for_client(true);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_for_clients_and_not_for_ourselves() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let of = |seconds| Duration::from_secs(seconds);
        let patience = Patience { head: of(30), idle: of(300), unread: of(60), ..Patience::default() };
        let mut state = State::new(start);
        assert_eq!(state.deadline(&patience), Some((at(30), GivenUp::Idle)), "it has not asked yet");
        let first = state.begin();
        assert_eq!(state.deadline(&patience), None, "we work on the answer, however long");
        state.waits_for_client(first, Some(at(1_000)));
        let second = state.begin();
        state.waits_for_client(second, Some(at(1_020)));
        assert_eq!(state.deadline(&patience), Some((at(1_060), GivenUp::Unread)), "the oldest piece counts");
        state.waits_for_client(first, None);
        assert_eq!(state.deadline(&patience), Some((at(1_080), GivenUp::Unread)), "a slow reader goes on");
        state.end(second, at(1_030));
        assert_eq!(state.deadline(&patience), None);
        state.end(first, at(1_050));
        assert_eq!(state.deadline(&patience), Some((at(1_350), GivenUp::Idle)));
    }
}
