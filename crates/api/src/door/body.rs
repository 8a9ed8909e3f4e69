//! Reads request bodies on the account of the budget.
//!
//! A declared length is paid for at once. Without one, room for the next frame is paid for before the frame
//! is read, so that a sender cannot make the server hold what it has not accounted for. A sender that stops
//! sending is given up, since its lease keeps others out.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::buffer::{GrowError, LeasedBuffer};

/// Room that is paid for before each read: above the largest HTTP/2 frame the server allows (16 KiB) and the
/// read buffer of HTTP/1 (64 KiB).
const FRAME_BYTES: usize = 64 << 10;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("larger than the limit of a request")]
    TooLarge,
    #[error("no room in the budget of bytes in flight")]
    OverBudget,
    #[error("the client stopped sending")]
    Idle,
    #[error("the connection broke")]
    Broken(#[source] axum::Error),
}

impl From<GrowError> for ReadError {
    fn from(error: GrowError) -> ReadError {
        match error {
            GrowError::TooLarge => ReadError::TooLarge,
            GrowError::OverBudget => ReadError::OverBudget,
        }
    }
}

/// Reads until `buffer` holds `until` bytes or the body ends; true when it ended.
///
/// No room is made beyond `expected` bytes, so that looking for the end of a body of known length costs none.
/// A sender that sends nothing for `pause_max` is given up.
pub(crate) async fn fill(
    body: &mut Body,
    buffer: &mut LeasedBuffer,
    until: usize,
    expected: usize,
    pause_max: Duration,
) -> Result<bool, ReadError> {
    while buffer.len() < until {
        let room = FRAME_BYTES.min(buffer.left()).min(expected.saturating_sub(buffer.len()));
        buffer.reserve(room)?;
        let frame = timeout(pause_max, body.frame()).await.map_err(|_elapsed| ReadError::Idle)?;
        match frame {
            None => return Ok(true),
            Some(Err(error)) => return Err(ReadError::Broken(error)),
            // Trailers of a request mean nothing here.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    buffer.extend(&data)?;
                }
            }
        }
    }
    Ok(false)
}

/// Reads and forgets what is left of a refused body, up to `bytes_max` and for `time_max`.
pub(crate) async fn drain(mut body: Body, bytes_max: usize, time_max: Duration) {
    let discard = async {
        let mut left = bytes_max;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len());
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whether it ended or was given up, the answer is written next.
    if timeout(time_max, discard).await.is_err() {
        tracing::debug!("gave up reading a refused body");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    const PAUSE: Duration = Duration::from_secs(15);

    fn streamed(frames: &[&'static [u8]]) -> Body {
        let frames: Vec<Result<_, std::io::Error>> = frames.iter().map(|frame| Ok(*frame)).collect();
        Body::from_stream(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_end_or_its_limit() {
        let budget = Budget::new(1 << 20);
        let mut buffer = LeasedBuffer::new(budget.lease(0).unwrap(), 10);
        let mut body = streamed(&[b"hello", b" ", b"you"]);
        assert!(!fill(&mut body, &mut buffer, 5, 5, PAUSE).await.unwrap());
        assert_eq!(buffer.as_slice(), b"hello");
        assert!(fill(&mut body, &mut buffer, usize::MAX, usize::MAX, PAUSE).await.unwrap());
        assert_eq!(buffer.as_slice(), b"hello you");

        let mut buffer = LeasedBuffer::new(budget.lease(0).unwrap(), 4);
        let error =
            fill(&mut streamed(&[b"hello"]), &mut buffer, usize::MAX, usize::MAX, PAUSE).await.unwrap_err();
        assert!(matches!(error, ReadError::TooLarge), "{error}");

        let (mut body, mut buffer) = (streamed(&[b"hell"]), LeasedBuffer::new(budget.lease(0).unwrap(), 4));
        assert!(fill(&mut body, &mut buffer, usize::MAX, usize::MAX, PAUSE).await.unwrap());
    }

    #[tokio::test]
    async fn a_frame_is_paid_for_before_it_is_read() {
        let budget = Budget::new(FRAME_BYTES - 1);
        let mut buffer = LeasedBuffer::new(budget.lease(0).unwrap(), 1 << 20);
        let untouched = Body::from_stream(futures_util::stream::poll_fn(
            |_| -> std::task::Poll<Option<Result<&'static [u8], std::io::Error>>> {
                panic!("read without room")
            },
        ));
        let mut body = untouched;
        let error = fill(&mut body, &mut buffer, usize::MAX, usize::MAX, PAUSE).await.unwrap_err();
        assert!(matches!(error, ReadError::OverBudget), "{error}");
    }

    /// A sender that sends a little and then nothing.
    fn stalling() -> Body {
        use futures_util::StreamExt as _;
        let begun = futures_util::stream::iter([Ok::<_, std::io::Error>(&b"x"[..])]);
        Body::from_stream(begun.chain(futures_util::stream::pending()))
    }

    #[tokio::test]
    async fn a_sender_that_stops_sending_is_given_up() {
        let short = Duration::from_millis(20);
        let budget = Budget::new(1 << 20);
        let mut buffer = LeasedBuffer::new(budget.lease(0).unwrap(), 1 << 10);
        let error = fill(&mut stalling(), &mut buffer, usize::MAX, usize::MAX, short).await;
        assert!(matches!(error, Err(ReadError::Idle)), "{error:?}");
        // And a refused body is not read for ever: this returns.
        drain(stalling(), usize::MAX, short).await;
    }
}
