//! The way to a receiver over OTLP/gRPC, as an SDK's exporter goes it: bounded batches, a retry only where the
//! protocol allows one, `RetryInfo` honoured, exponential backoff otherwise.
//!
//! What it refuses to do: it waits for nothing but the answer and the delay the receiver asked for, and it
//! gives up after a bounded number of attempts; whoever calls decides what then.

use std::time::Duration;

use skein_otlp::Message as _;
use skein_otlp::collector::{logs, metrics, trace};
use skein_otlp::rpc;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::export::Batch;

/// Attempts per batch: with the backoff below about a minute, longer than a restart takes.
const ATTEMPTS_MAX: u32 = 14;

/// The first backoff; it doubles up to [`BACKOFF_MAX`].
const BACKOFF_FIRST: Duration = Duration::from_millis(100);

/// No wait is longer.
const BACKOFF_MAX: Duration = Duration::from_secs(8);

/// An answer is awaited this long, as SDKs do by default.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a batch did not arrive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be used.
    #[error("{address} is no address of an OTLP/gRPC receiver")]
    Address {
        /// What was given.
        address: String,
        /// Why not.
        #[source]
        source: tonic::transport::Error,
    },
    /// The receiver refused the batch for good.
    #[error("the receiver refused the batch: {code:?}: {message}")]
    Refused {
        /// The gRPC code.
        code: Code,
        /// What it said.
        message: String,
    },
    /// The receiver did not take the batch in all attempts.
    #[error(
        "the receiver did not take the batch in {attempts} attempts; the last answer was {code:?}: {message}"
    )]
    GaveUp {
        /// How often it was tried.
        attempts: u32,
        /// The last gRPC code.
        code: Code,
        /// What it said.
        message: String,
    },
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sent {
    /// Records that the receiver did not take.
    pub rejected: u64,
    /// What it said about them, or a warning.
    pub message: String,
    /// Attempts beyond the first.
    pub retries: u32,
}

/// A connection to a receiver; reconnects by itself.
#[derive(Clone, Debug)]
pub struct Sender {
    client: Grpc<Channel>,
}

impl Sender {
    /// A sender to `host:port`. Connects when it first sends.
    pub fn new(address: &str) -> Result<Sender, Error> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|source| Error::Address { address: address.to_owned(), source })?;
        let endpoint = endpoint.timeout(ANSWER_TIMEOUT).connect_timeout(Duration::from_secs(3));
        Ok(Sender { client: Grpc::new(endpoint.connect_lazy()) })
    }

    /// Sends a batch until it is taken, refused, or the attempts are used up.
    pub async fn send(&mut self, batch: &Batch) -> Result<Sent, Error> {
        let (path, body) = encode(batch);
        let mut backoff = BACKOFF_FIRST;
        let mut attempt = 1;
        loop {
            let status = match self.send_once(path, body.clone()).await {
                Ok(answer) => return Ok(Sent { retries: attempt - 1, ..read_answer(batch, &answer) }),
                Err(status) => status,
            };
            let Some(asked) = retry_delay(&status) else {
                return Err(Error::Refused { code: status.code(), message: status.message().to_owned() });
            };
            if attempt == ATTEMPTS_MAX {
                let message = status.message().to_owned();
                return Err(Error::GaveUp { attempts: attempt, code: status.code(), message });
            }
            tokio::time::sleep(asked.unwrap_or(backoff).min(BACKOFF_MAX)).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
            attempt += 1;
        }
    }

    async fn send_once(&mut self, path: &'static str, body: Vec<u8>) -> Result<Vec<u8>, Status> {
        self.client
            .ready()
            .await
            .map_err(|error| Status::unavailable(format!("the receiver cannot be reached: {error}")))?;
        let path = PathAndQuery::from_static(path);
        let answer = self.client.unary(Request::new(body), path, RawCodec).await?;
        Ok(answer.into_inner())
    }
}

fn encode(batch: &Batch) -> (&'static str, Vec<u8>) {
    match batch {
        Batch::Traces(request) => {
            ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", request.encode_to_vec())
        }
        Batch::Logs(request) => {
            ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", request.encode_to_vec())
        }
        Batch::Metrics(request) => {
            ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", request.encode_to_vec())
        }
    }
}

/// An answer that cannot be read says nothing about rejections; the batch was taken all the same.
fn read_answer(batch: &Batch, answer: &[u8]) -> Sent {
    let told = match batch {
        Batch::Traces(_) => trace::ExportTraceServiceResponse::decode(answer)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_spans, partial.error_message)),
        Batch::Logs(_) => logs::ExportLogsServiceResponse::decode(answer)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_log_records, partial.error_message)),
        Batch::Metrics(_) => metrics::ExportMetricsServiceResponse::decode(answer)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_data_points, partial.error_message)),
    };
    let (rejected, message) = told.unwrap_or_default();
    Sent { rejected: u64::try_from(rejected).unwrap_or(0), message, retries: 0 }
}

/// `None`: not to be tried again. `Some(None)`: at our own pace. `Some(Some(delay))`: after this.
///
/// Source: OTLP 1.11, "Failures" of OTLP/gRPC: RESOURCE_EXHAUSTED may be tried again only with `RetryInfo`.
fn retry_delay(status: &Status) -> Option<Option<Duration>> {
    let asked = retry_info(status.details());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Some(asked),
        Code::ResourceExhausted => asked.map(Some),
        // A connection that broke under the request: tonic tells it as Unknown with a transport error inside.
        Code::Unknown if std::error::Error::source(status).is_some() => Some(None),
        _ => None,
    }
}

fn retry_info(details: &[u8]) -> Option<Duration> {
    let status = rpc::Status::decode(details).ok()?;
    let any = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = rpc::RetryInfo::decode(any.value.as_slice()).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    Some(Duration::new(seconds, u32::try_from(delay.nanos).ok()?.min(999_999_999)))
}

/// Bodies are encoded before, so that a retry sends the same bytes and the receiver knows the batch again.
#[derive(Clone, Copy, Debug, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes_put(buffer, &item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use prost::bytes::Buf as _;
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length).to_vec()))
    }
}

fn bytes_put(buffer: &mut EncodeBuf<'_>, item: &[u8]) {
    use prost::bytes::BufMut as _;
    buffer.put_slice(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_retry_info(code: Code) -> Status {
        let info = rpc::RetryInfo { retry_delay: Some(rpc::Duration { seconds: 1, nanos: 500_000_000 }) };
        let any = rpc::Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: info.encode_to_vec(),
        };
        let details = rpc::Status { details: vec![any], ..rpc::Status::default() }.encode_to_vec();
        Status::with_details(code, "busy", details.into())
    }

    #[test]
    fn retries_only_what_the_protocol_allows() {
        let asked = Duration::from_millis(1_500);
        assert_eq!(retry_delay(&with_retry_info(Code::ResourceExhausted)), Some(Some(asked)));
        assert_eq!(retry_delay(&with_retry_info(Code::Unavailable)), Some(Some(asked)));
        assert_eq!(retry_delay(&Status::new(Code::Unavailable, "")), Some(None));
        assert_eq!(retry_delay(&Status::new(Code::ResourceExhausted, "")), None);
        assert_eq!(retry_delay(&Status::new(Code::InvalidArgument, "")), None);
        assert_eq!(retry_delay(&Status::new(Code::Unimplemented, "")), None);
    }

    #[test]
    fn a_partial_success_is_told() {
        let partial =
            trace::ExportTracePartialSuccess { rejected_spans: 3, error_message: "bad id".to_owned() };
        let answer = trace::ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let batch = Batch::Traces(trace::ExportTraceServiceRequest::default());
        assert_eq!(
            read_answer(&batch, &answer),
            Sent { rejected: 3, message: "bad id".to_owned(), retries: 0 }
        );
        assert_eq!(read_answer(&batch, &[]), Sent::default());
    }
}
