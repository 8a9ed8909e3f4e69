"""Starts a real `skein serve` for each test and asks it through its public API."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parent.parent


def binary():
    """The program under test: SKEIN_BIN, else the one that `cargo build` left."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = pathlib.Path(os.environ.get("SKEIN_BIN", target / "debug" / "skein"))
    assert path.exists(), f"{path} is missing: run `cargo build -p skein-cli` first"
    return str(path)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Skein:
    """A server process on ports of its own. `wrapper` runs before it, e.g. strace."""

    def __init__(self, data, log, wrapper=(), ports=None, options=()):
        self.data = data
        self.log = log
        self.wrapper = list(wrapper)
        self.ports = ports or [0, 0, 0]
        self.options = list(options)
        self.process = None
        self.addresses = None

    def start(self):
        http, grpc, otlp = (f"127.0.0.1:{port}" for port in self.ports)
        command = [binary(), "serve", "--data", str(self.data), "--http", http, "--otlp-grpc", grpc, "--otlp-http", otlp]
        # The default reserve, a GiB for each of some forty servers, would ask more of the disk than the tests do.
        if "--config" not in self.options:
            command += ["--config", str(ROOT / "e2e" / "server.json")]
        command += self.options
        self.process = subprocess.Popen(
            self.wrapper + command, stdout=subprocess.PIPE, stderr=open(self.log, "ab"), text=True
        )
        line = self.process.stdout.readline()
        assert line, f"skein ended before it was ready: {pathlib.Path(self.log).read_text()[-3000:]}"
        self.addresses = json.loads(line)
        assert self.addresses["event"] == "ready", line
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM; the exit status must be 0 within 10 s."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=15) == 0, pathlib.Path(self.log).read_text()[-3000:]

    def query(self, **spec):
        spec.setdefault("start_time", time.time() - 3600)
        spec.setdefault("end_time", time.time() + 60)
        answer = requests.post(f"http://{self.addresses['http']}/api/v1/query", json=spec, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rows(self, **spec):
        return self.query(calculations=[], limit=10000, **spec)["data"]["rows"]

    def until(self, what, *, seconds=20):
        """Polls until `what()` is true: an exporter's own flush decides when data arrives."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = what()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"not true within {seconds} s")

    def trace(self, trace_id):
        answer = requests.get(f"http://{self.addresses['http']}/api/v1/traces/{trace_id}", timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def export_lines(self):
        """Every OTLP/JSON request of an export of all data."""
        spec = {"format": "otlp", "start_time": 0, "end_time": time.time() + 86400}
        url = f"http://{self.addresses['http']}/api/v1/export"
        with requests.post(url, json=spec, stream=True, timeout=120) as answer:
            assert answer.status_code == 200, answer.text
            for line in answer.iter_lines(chunk_size=1 << 20):
                if line:
                    yield json.loads(line)


@pytest.fixture
def skein(tmp_path):
    server = Skein(tmp_path / "data", tmp_path / "skein.log").start()
    yield server
    if server.process.poll() is None:
        server.stop()
