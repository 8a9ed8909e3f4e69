"""kill -9 under load, again and again: no acknowledged event lost, none twice, none altered (I1, I4)."""

import os
import random
import time

from conftest import Skein, free_port
from load import Clients, check_everything_is_there_once


def test_kill_9_under_load(tmp_path):
    kills = int(os.environ.get("SKEIN_KILLS", "50"))
    seed = int(os.environ.get("SKEIN_KILL_SEED", str(time.time_ns())))
    print(f"seed {seed}: SKEIN_KILL_SEED={seed} SKEIN_KILLS={kills} repeats the moments of the kills")
    randomness = random.Random(seed)
    ports = [free_port(), free_port(), free_port()]
    server = Skein(tmp_path / "data", tmp_path / "skein.log", ports=ports).start()
    clients = Clients(f"http://127.0.0.1:{ports[2]}/v1/traces", 4, time.time_ns() - 3_600_000_000_000)
    try:
        for _ in range(kills):
            time.sleep(randomness.uniform(0.05, 0.8))
            server.kill()
            server.start()
    finally:
        clients.stop()
    assert clients.refusals == []
    assert clients.retries > 0, "no kill hit a batch in flight: the test proved nothing"
    stored = check_everything_is_there_once(server, clients)
    print(f"{kills} kills, {len(clients.acknowledged)} batches, {clients.retries} retries, {stored} spans")
    server.stop()


def test_restart_under_load_costs_a_retry_at_most(tmp_path):
    """SIGTERM and start again while clients send: nothing but retries (issue item 2)."""
    ports = [free_port(), free_port(), free_port()]
    server = Skein(tmp_path / "data", tmp_path / "skein.log", ports=ports).start()
    clients = Clients(f"http://127.0.0.1:{ports[2]}/v1/traces", 4, time.time_ns() - 3_600_000_000_000)
    try:
        for _ in range(3):
            time.sleep(0.7)
            server.stop()
            server.start()
        time.sleep(0.3)
    finally:
        clients.stop()
    assert clients.refusals == []
    check_everything_is_there_once(server, clients)
    server.stop()
