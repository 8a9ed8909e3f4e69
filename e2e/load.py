"""Known spans, and clients that retry every unanswered batch until it is acknowledged."""

import hashlib
import threading
import time

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SPANS_PER_BATCH = 40


def text(key, value):
    return KeyValue(key=key, value=AnyValue(string_value=value))


def make_span(sequence, base_ns):
    """The one span of a number: everything in it follows from the number, so that a change would show."""
    digest = hashlib.sha256(f"span {sequence}".encode()).digest()
    trace = hashlib.sha256(f"trace {sequence // 7}".encode()).digest()[:16]
    start = base_ns + sequence * 1000
    return Span(
        trace_id=trace,
        span_id=digest[:8],
        name=f"operation {sequence % 11}",
        kind=1 + sequence % 5,
        start_time_unix_nano=start,
        end_time_unix_nano=start + int.from_bytes(digest[8:11], "big"),
        attributes=[
            KeyValue(key="sequence", value=AnyValue(int_value=sequence)),
            text("digest", digest.hex()),
            text("http.route", f"/route/{sequence % 23}"),
        ],
    )


def make_batch(first, base_ns):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(text("service.name", f"load-{first % 3}"))
    spans = group.scope_spans.add().spans
    spans.extend(make_span(sequence, base_ns) for sequence in range(first, first + SPANS_PER_BATCH))
    return request.SerializeToString()


def send_batches(server, first, count, base_ns):
    """Sends batches by their numbers, each acknowledged before the next."""
    url = f"http://{server.addresses['otlp_http']}/v1/traces"
    for number in range(first, first + count):
        body = make_batch(number * SPANS_PER_BATCH, base_ns)
        answer = requests.post(url, data=body, headers={"Content-Type": "application/x-protobuf"}, timeout=60)
        assert answer.status_code == 200, answer.text


class Clients:
    """Threads that each send batch after batch; a batch without an answer is sent again, byte for byte."""

    def __init__(self, url, count, base_ns):
        self.url = url
        self.base_ns = base_ns
        self.lock = threading.Lock()
        self.next_first = 0
        self.acknowledged = []
        self.retries = 0
        self.refusals = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self):
        session = requests.Session()
        while not self.stopping.is_set():
            with self.lock:
                first = self.next_first
                self.next_first += SPANS_PER_BATCH
            self.send(session, first, make_batch(first, self.base_ns))

    def send(self, session, first, body):
        while True:
            try:
                headers = {"Content-Type": "application/x-protobuf"}
                answer = session.post(self.url, data=body, headers=headers, timeout=10)
                if answer.status_code == 200:
                    assert answer.content in (b"", b"\n\x00"), "partial success of a whole batch"
                    with self.lock:
                        self.acknowledged.append(first)
                    return
                if answer.status_code not in (429, 503):
                    with self.lock:
                        self.refusals.append((answer.status_code, answer.content[:200]))
                    return
            except requests.exceptions.RequestException:
                pass
            with self.lock:
                self.retries += 1
            time.sleep(0.02)

    def stop(self):
        """Ends after every client has its last batch acknowledged."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def exported_spans(skein):
    """(service, span as JSON) of everything the server holds."""
    for request in skein.export_lines():
        for group in request.get("resourceSpans", []):
            [service] = [a["value"]["stringValue"] for a in group["resource"]["attributes"] if a["key"] == "service.name"]
            for scope in group["scopeSpans"]:
                for span in scope["spans"]:
                    yield service, span


def check_everything_is_there_once(skein, clients):
    """No acknowledged event lost, none twice, none altered."""
    seen = {}
    for service, span in exported_spans(skein):
        attributes = {a["key"]: a["value"] for a in span["attributes"]}
        sequence = int(attributes["sequence"]["intValue"])
        assert sequence not in seen, f"span {sequence} is there twice"
        expected = make_span(sequence, clients.base_ns)
        first = sequence - sequence % SPANS_PER_BATCH
        found = (
            service, span["traceId"], span["spanId"], span["name"], int(span["kind"]),
            int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"]),
            attributes["digest"]["stringValue"], attributes["http.route"]["stringValue"], len(attributes),
        )
        sent = (
            f"load-{first % 3}", expected.trace_id.hex(), expected.span_id.hex(), expected.name, expected.kind,
            expected.start_time_unix_nano, expected.end_time_unix_nano,
            expected.attributes[1].value.string_value, expected.attributes[2].value.string_value, 3,
        )
        assert found == sent, f"span {sequence} was altered"
        seen[sequence] = True
    for first in clients.acknowledged:
        for sequence in range(first, first + SPANS_PER_BATCH):
            assert sequence in seen, f"acknowledged span {sequence} is lost"
    return len(seen)
