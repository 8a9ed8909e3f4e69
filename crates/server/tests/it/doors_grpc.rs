//! OTLP over gRPC, with tonic's client.

use skein_event::flow::SinkError;
use skein_ingest::Signal;
use skein_otlp::Message as _;
use skein_otlp::rpc::Status as RpcStatus;
use tonic::codec::{BufferSettings, Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::memory::{Mode, NOW_NS, config, start};
use crate::otlp::{method, partly_wrong, request};

/// Messages as bytes.
#[derive(Clone, Copy, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = BytesCodec;
    type Decoder = BytesCodec;

    fn encoder(&mut self) -> BytesCodec {
        BytesCodec
    }

    fn decoder(&mut self) -> BytesCodec {
        BytesCodec
    }
}

impl Encoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(to, &item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(from);
        Ok(Some(bytes::Buf::copy_to_bytes(from, length).to_vec()))
    }
}

pub(crate) async fn channel(address: std::net::SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

pub(crate) async fn call(
    channel: &Channel,
    method: &'static str,
    compression: Option<CompressionEncoding>,
    metadata: &[(&'static str, &'static str)],
    message: Vec<u8>,
) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    if let Some(compression) = compression {
        client = client.send_compressed(compression);
    }
    client.ready().await.unwrap();
    let mut request = Request::new(message);
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    let path = method.parse().unwrap();
    client.unary(request, path, BytesCodec).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_taken_over_grpc() {
    let (running, memory) = start(config()).await;
    let mut time_ns = NOW_NS;
    // One port may speak both: the HTTP ports take gRPC too.
    for address in [running.otlp_grpc, running.otlp_http, running.http] {
        let channel = channel(address).await;
        for signal in Signal::ALL {
            for compression in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
                time_ns += 1;
                let (protobuf, _) = request(signal, time_ns);
                let answer = call(&channel, method(signal), compression, &[], protobuf).await;
                assert_eq!(answer.unwrap(), b"", "{signal:?} {compression:?}: no partial success");
            }
        }
    }
    let empty = call(&channel(running.otlp_grpc).await, method(Signal::Logs), None, &[], Vec::new()).await;
    assert_eq!(empty.unwrap(), b"", "an empty request is a success");
    assert_eq!((memory.rows("default"), running.inflight_bytes()), (27, 0));
    running.shutdown().await.unwrap();
}

/// The names of a status's details; they repeat code and message.
pub(crate) fn details(status: &Status) -> Vec<String> {
    let details = RpcStatus::decode(status.details()).unwrap();
    assert_eq!((details.code, &*details.message), (i32::from(status.code()), status.message()), "{status:?}");
    details.details.iter().map(|any| any.type_url.rsplit('.').next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_over_grpc_carry_their_details() {
    let (running, memory) = start(skein_server::Config { request_bytes_max: 4 << 10, ..config() }).await;
    let channel = channel(running.otlp_grpc).await;
    let traces = method(Signal::Traces);
    let refused =
        async |method, message: &[u8]| call(&channel, method, None, &[], message.to_vec()).await.unwrap_err();

    let status = refused(traces, b"\x0a\x7foops").await;
    assert_eq!((status.code(), details(&status)), (Code::InvalidArgument, vec!["BadRequest".to_owned()]));

    let status = refused(traces, &[0; 5 << 10]).await;
    assert_eq!((status.code(), details(&status)), (Code::ResourceExhausted, Vec::new()), "{status:?}");

    let status =
        refused("/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", b"").await;
    assert_eq!(status.code(), Code::Unimplemented);
    assert_eq!(refused("/a.Service/Method", b"").await.code(), Code::Unimplemented);

    for (error, code) in [
        (SinkError::Overloaded { retry_after_ms: 100 }, Code::ResourceExhausted),
        (SinkError::Unavailable { reason: "sealed".into(), retry_after_ms: 100 }, Code::Unavailable),
    ] {
        memory.mode.send_replace(Mode::Fail(error));
        let status = refused(traces, &request(Signal::Traces, NOW_NS).0).await;
        assert_eq!((status.code(), details(&status)), (code, vec!["RetryInfo".to_owned()]), "{status:?}");
    }
    memory.mode.send_replace(Mode::Store);
    let bad_id = [("skein-batch-id", "import/1")];
    let status = call(&channel, traces, None, &bad_id, request(Signal::Traces, NOW_NS).0).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!((memory.rows("default"), running.inflight_bytes()), (0, 0));
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_success_over_grpc_names_each_rejected_record() {
    let (running, _memory) = start(config()).await;
    let channel = channel(running.otlp_grpc).await;
    let message = partly_wrong(NOW_NS).encode_to_vec();
    let answer = call(&channel, method(Signal::Traces), None, &[], message).await.unwrap();
    let response = skein_otlp::collector::trace::ExportTraceServiceResponse::decode(&*answer).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    for place in ["spans[0].traceId", "spans[2].spanId"] {
        assert!(partial.error_message.contains(place), "{}", partial.error_message);
    }
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn new_work_over_grpc_is_told_to_come_back_while_stopping() {
    let (running, memory) = start(config()).await;
    let channel = channel(running.otlp_grpc).await;
    running.refuse_new_work();
    for signal in Signal::ALL {
        let status = call(&channel, method(signal), None, &[], request(signal, NOW_NS).0).await.unwrap_err();
        assert_eq!((status.code(), details(&status)), (Code::Unavailable, vec!["RetryInfo".to_owned()]));
    }
    assert_eq!(memory.rows("default"), 0);
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_grpc_is_told_so() {
    let (running, _memory) = start(config()).await;
    let answer = crate::client::post(running.otlp_grpc, "/v1/traces", "application/json", None, "{}").await;
    assert_eq!(answer.status, 415);
    running.shutdown().await.unwrap();
}
