//! How long a client may take: each wait for somebody else has an end, since whoever is waited for holds memory,
//! a connection or a thread that others need (invariant I7).

use std::time::Duration;

use skein_event::limits;

/// The waits. The server waits for heads and idle connections, doors and routes for bodies and readers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// For the head of a request, and for the first request of a connection.
    pub head: Duration,
    /// For the next request of a connection.
    pub idle: Duration,
    /// For the next bytes of a body.
    pub body_pause: Duration,
    /// For a whole body.
    pub body: Duration,
    /// For the rest of a refused body.
    pub drain: Duration,
    /// For a client to take the next piece of an answer.
    pub unread: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            head: limits::HEAD_WITHIN,
            idle: limits::CONNECTION_IDLE_MAX,
            body_pause: limits::BODY_PAUSE_MAX,
            body: limits::BODY_WITHIN,
            drain: limits::DRAIN_WITHIN,
            unread: limits::UNREAD_MAX,
        }
    }
}
