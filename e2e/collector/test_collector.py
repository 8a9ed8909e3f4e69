"""The OpenTelemetry Collector in front: zstd, retry, a persistent sending queue, and both sides killed.

Clients send to the Collector, which acknowledges once a batch is in its queue on disk. Skein and the Collector
are killed in turn. Whatever the clients got acknowledged must be in Skein once: the Collector sends a queued
batch again after a restart, byte for byte, and Skein recognises it (I4).
"""

import os
import pathlib
import subprocess
import sys
import time

import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from conftest import Skein, free_port  # noqa: E402
from load import Clients, check_everything_is_there_once, exported_spans  # noqa: E402

CONFIG = """
extensions:
  file_storage:
    directory: {queue}
    create_directory: true
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{receiver}
exporters:
  otlp:
    endpoint: 127.0.0.1:{skein}
    compression: zstd
    tls:
      insecure: true
    retry_on_failure:
      initial_interval: 100ms
      max_interval: 1s
      max_elapsed_time: 0
    sending_queue:
      storage: file_storage
      queue_size: 100000
      num_consumers: 4
service:
  extensions: [file_storage]
  telemetry:
    metrics:
      level: none
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [otlp]
"""


class Collector:
    def __init__(self, directory, receiver, skein):
        self.receiver = receiver
        self.log = open(directory / "collector.log", "ab")
        self.config = directory / "collector.yaml"
        self.config.write_text(CONFIG.format(queue=directory / "queue", receiver=receiver, skein=skein))

    def start(self):
        binary = os.environ["SOAK_COLLECTOR"]
        self.process = subprocess.Popen([binary, "--config", f"file:{self.config}"], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                requests.get(f"http://127.0.0.1:{self.receiver}/", timeout=1)
                return self
            except requests.exceptions.RequestException:
                assert self.process.poll() is None, "the Collector ended; see collector.log"
                time.sleep(0.05)
        raise AssertionError("the Collector does not listen")

    def kill(self):
        self.process.kill()
        self.process.wait()


def test_collector_with_zstd_retry_and_restarts(tmp_path):
    rounds = int(os.environ.get("SKEIN_COLLECTOR_ROUNDS", "20"))
    ports = [free_port(), free_port(), free_port()]
    server = Skein(tmp_path / "data", tmp_path / "skein.log", ports=ports).start()
    collector = Collector(tmp_path, free_port(), ports[1]).start()
    clients = Clients(f"http://127.0.0.1:{collector.receiver}/v1/traces", 3, time.time_ns() - 3_600_000_000_000)
    try:
        for turn in range(rounds):
            time.sleep(0.5)
            victim = server if turn % 2 == 0 else collector
            victim.kill()
            time.sleep(0.2)
            victim.start()
    finally:
        clients.stop()
    wanted = len(clients.acknowledged) * 40
    server.until(lambda: sum(1 for _ in exported_spans(server)) >= wanted, seconds=180)
    stored = check_everything_is_there_once(server, clients)
    print(f"{rounds} kills, {stored} spans through the Collector")
    collector.kill()
    server.stop()
