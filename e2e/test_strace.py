"""Under strace: no success response precedes a completed fdatasync that covers its bytes (I1).

Each batch carries a marker of its own. The log's records hold attribute values as they are, so the marker is
visible in the write to a .wal file. For every response the trace must show, in this order: the write of the
marker completed; an fdatasync of the same file begun after it and completed with 0; the response begun. A
marker may be in several files (one per partition of the batch): each of them must be synced.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import threading
import time

import pytest
from conftest import Skein
from load import ExportTraceServiceRequest, make_span, text

CLIENTS, BATCHES = 4, 30
CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
MARKER = re.compile(r"marker-\d\d-\d\d\d")


def batch(client, number):
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(text("service.name", "strace"))
    spans = group.scope_spans.add().spans
    first = (client * BATCHES + number) * 20
    for sequence in range(first, first + 20):
        span = make_span(sequence, time.time_ns())
        span.attributes.append(text("marker", f"marker-{client:02}-{number:03}"))
        spans.append(span)
    return request.SerializeToString()


def send_all(client, address, ports):
    """One connection, one batch after the other: the k-th response belongs to the k-th batch."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        ports[connection.getsockname()[1]] = client
        for number in range(BATCHES):
            body = batch(client, number)
            head = f"POST /v1/traces HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer


def events(path):
    """(line number of begin, of end, name, text) of each call, in order of its end."""
    open_calls = {}
    with open(path, errors="replace") as lines:
        for number, line in enumerate(lines):
            if call := CALL.match(line):
                if line.rstrip().endswith("<unfinished ...>"):
                    open_calls[call["pid"]] = (number, call["name"], call["rest"])
                else:
                    yield number, number, call["name"], call["rest"]
            elif resumed := RESUMED.match(line):
                begin, name, rest = open_calls.pop(resumed["pid"])
                yield begin, number, name, rest + resumed["rest"]


def check(trace, ports):
    """Returns how many responses were proven; fails at the first that came too early."""
    written, synced, proven = {}, {}, 0
    responses = {client: 0 for client in ports.values()}
    for begin, end, name, rest in events(trace):
        file = re.match(r"\d+<([^>]*\.wal)>", rest)
        if file and name in ("write", "pwrite64", "writev", "pwritev", "pwritev2"):
            for marker in set(MARKER.findall(rest)):
                written.setdefault(marker, {})[file[1]] = end
        elif file and name in ("fdatasync", "fsync") and rest.rstrip().endswith("= 0"):
            synced.setdefault(file[1], []).append((begin, end))
        elif "HTTP/1.1 200" in rest and (peer := re.search(r"TCP:\[[^]]*->[^]]*:(\d+)\]", rest)):
            client = ports[int(peer[1])]
            marker = f"marker-{client:02}-{responses[client]:03}"
            responses[client] += 1
            assert marker in written, f"{marker} was acknowledged before it was written"
            for wal, wrote in written[marker].items():
                covered = any(wrote < b and e < begin for b, e in synced.get(wal, []))
                assert covered, f"{marker} was acknowledged (line {begin}) before {wal} was synced (written at line {wrote})"
            proven += 1
    return proven


def test_no_success_before_fdatasync(tmp_path):
    assert shutil.which("strace"), "strace is missing: apt-get install strace"
    trace = tmp_path / "strace.out"
    calls = "write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,fdatasync,fsync"
    wrapper = ["strace", "-f", "-qq", "-yy", "-s", "2000000", "-e", f"trace={calls}", "-e", "signal=none", "-o", str(trace)]
    server = Skein(tmp_path / "data", tmp_path / "skein.log", wrapper=wrapper).start()
    ports = {}
    threads = [threading.Thread(target=send_all, args=(n, server.addresses["otlp_http"], ports)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # strace keeps SIGTERM for itself, so the server below it gets it.
    [pid] = pathlib.Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    os.kill(int(pid), signal.SIGTERM)
    assert server.process.wait(timeout=60) == 0
    assert check(trace, ports) == CLIENTS * BATCHES


def test_the_checker_itself_sees_a_response_before_its_sync(tmp_path):
    """The proof is only as good as its checker: a trace in the wrong order must fail."""
    good = [
        '7 pwrite64(9</d/log/0/0.wal>, "..marker-00-000..", 40, 0) = 40',
        "7 fdatasync(9</d/log/0/0.wal> <unfinished ...>",
        "7 <... fdatasync resumed>) = 0",
        '8 sendto(12<TCP:[127.0.0.1:4318->127.0.0.1:5000]>, "HTTP/1.1 200 OK", 15, 0, NULL, 0) = 15',
    ]
    path = tmp_path / "trace"
    for order, holds in (([0, 1, 2, 3], True), ([0, 3, 1, 2], False), ([0, 1, 3, 2], False), ([1, 2, 0, 3], False)):
        path.write_text("\n".join(good[index] for index in order) + "\n")
        if holds:
            assert check(path, {5000: 0}) == 1
        else:
            with pytest.raises(AssertionError):
                check(path, {5000: 0})
