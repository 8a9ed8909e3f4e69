//! A response body that gives its request's share of the budget back once it is written.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::budget::Lease;

/// A body that holds its request's lease until it has been written or dropped.
pub(super) fn leased_body(bytes: Vec<u8>, lease: Lease) -> LeasedBody {
    LeasedBody { bytes: Some(bytes.into()), _lease: lease }
}

/// The bytes, and the share of the budget they hold.
pub(super) struct LeasedBody {
    bytes: Option<bytes::Bytes>,
    _lease: Lease,
}

impl http_body::Body for LeasedBody {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        let bytes = self.bytes.take().filter(|bytes| !bytes.is_empty());
        Poll::Ready(bytes.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.as_ref().is_none_or(bytes::Bytes::is_empty)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
