"""`skein erase` against a real server: what it takes is in no answer at once, also after kill -9, and in the end in no file."""

import json
import subprocess
import time

import requests
from conftest import Skein, binary
from load import SPANS_PER_BATCH, send_batches

BATCHES = 12


def run(server, *words):
    command = [binary(), *words, "--url", f"http://{server.addresses['http']}", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def sequences(server):
    return sorted(row["sequence"] for row in server.rows(filters=[{"column": "digest", "op": "exists"}]))


def exported(server):
    """The sequence of every span of an export."""
    found = []
    for request in server.export_lines():
        for resource in request.get("resourceSpans", []):
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    found += [int(a["value"]["intValue"]) for a in span["attributes"] if a["key"] == "sequence"]
    return sorted(found)


def test_what_is_erased_stays_erased_through_kill_9_and_leaves_the_files(tmp_path):
    base_ns = time.time_ns() - 60_000_000_000
    server = Skein(tmp_path / "data", tmp_path / "skein.log").start()
    send_batches(server, 0, BATCHES, base_ns)
    # One part in files, one in the log and in memory.
    server.stop()
    server.start()
    send_batches(server, BATCHES, BATCHES, base_ns)
    every = list(range(2 * BATCHES * SPANS_PER_BATCH))
    assert sequences(server) == every
    limit = len(every) // 2 + 7
    counted = server.query(calculations=[{"op": "COUNT"}])
    erasure = run(server, "erase", "--filter", f"sequence < {limit}", "--filter", "digest exists")["id"]
    left = every[limit:]
    assert sequences(server) == left
    old = requests.get(f"http://{server.addresses['http']}/api/v1/query/{counted['id']}", timeout=60)
    assert (old.status_code, old.json()["error"]["code"]) == (409, "conflict"), old.text

    server.kill()
    server.start()
    assert sequences(server) == left
    assert exported(server) == left
    (status,) = run(server, "erase", "--status")
    assert status["id"] == erasure
    assert status["filter"]["filters"][0] == {"column": "sequence", "op": "<", "value": limit}

    # What comes later stays, also when it matches.
    send_batches(server, 0, 1, base_ns + 1)
    more = sorted(left + list(range(SPANS_PER_BATCH)))
    assert sequences(server) == more
    requests.post(f"http://{server.addresses['http']}/api/v1/settle", json={}, timeout=60).raise_for_status()
    (status,) = server.until(lambda: [s for s in run(server, "erase", "--status") if s.get("ended")], seconds=60)
    copies = status["copies"]
    assert (copies["segments"], copies["head_rows"], copies["quarantined_files"]) == (0, 0, 0)
    assert copies["log_files"] > 0, "the second copy of the log is named until it goes"
    assert sequences(server) == more
    server.kill()

    # Nothing of it is missed, and nothing of it comes back.
    checked = subprocess.run(
        [binary(), "verify", str(tmp_path / "data"), "--format", "json"], capture_output=True, text=True, timeout=120
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    cured = subprocess.run(
        [binary(), "doctor", str(tmp_path / "data"), "--rebuild-catalog"], capture_output=True, text=True, timeout=120
    )
    assert cured.returncode == 0, cured.stdout + cured.stderr
    server.start()
    assert sequences(server) == more
    server.stop()
