"""The real binary over damaged directories: what is wrong is named with its file, repaired from what is left, and
everything else serves. The damage comes from a seed; SKEIN_DAMAGE_SEED repeats it, SKEIN_DAMAGE_ROUNDS makes more."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import time

import pytest
import requests
from conftest import ROOT, Skein, binary
from load import SPANS_PER_BATCH, send_batches

BATCHES = 30


def run(*words, expect=0):
    """A command's JSON answer; its exit code must be the expected one, or among them."""
    command = [binary(), *map(str, words), "--format", "json", "--full"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    codes = expect if isinstance(expect, tuple) else (expect,)
    assert done.returncode in codes, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout) if done.stdout.strip() else json.loads(done.stderr.strip().splitlines()[-1])


def sequences(server):
    rows = server.rows(filters=[{"column": "digest", "op": "exists"}])
    found = sorted(row["sequence"] for row in rows)
    assert len(found) == len(set(found)), "an event is there twice"
    return found


@pytest.fixture
def data(tmp_path):
    """A directory with segments and, after a kill, a log that is not flushed."""
    base_ns = time.time_ns() - 60_000_000_000
    server = Skein(tmp_path / "data", tmp_path / "skein.log").start()
    send_batches(server, 0, BATCHES, base_ns)
    server.stop()
    server.start()
    send_batches(server, BATCHES, BATCHES, base_ns)
    server.kill()
    return tmp_path / "data"


EVERYTHING = list(range(2 * BATCHES * SPANS_PER_BATCH))


def serve(data, log):
    return Skein(data, log).start()


def segments(data):
    return sorted((data / "segments" / "default").rglob("*.seg"))


def flip(path, randomness):
    content = bytearray(path.read_bytes())
    place = randomness.randrange(len(content))
    content[place] ^= 1 << randomness.randrange(8)
    path.write_bytes(content)
    return place


def test_a_sound_directory_verifies_beside_its_server(data, tmp_path):
    server = serve(data, tmp_path / "log")
    send_batches(server, 2 * BATCHES, 2, time.time_ns() - 1_000_000_000)
    report = run("verify", data)
    assert report["sound"] and report["findings"] == [], report
    assert report["checked"]["compared_events"] >= BATCHES * SPANS_PER_BATCH
    refused = run("doctor", data, expect=2)
    assert str(server.process.pid) in refused["error"]["message"], refused
    server.stop()


def test_flipped_bits_in_segments_are_named_and_repaired(data, tmp_path):
    seed = int(os.environ.get("SKEIN_DAMAGE_SEED", "20261121"))
    for round_seed in range(seed, seed + int(os.environ.get("SKEIN_DAMAGE_ROUNDS", "3"))):
        print(f"SKEIN_DAMAGE_SEED={round_seed}")
        randomness = random.Random(round_seed)
        copy = tmp_path / f"copy-{round_seed}"
        shutil.copytree(data, copy)
        victim = randomness.choice(segments(copy))
        flip(victim, randomness)
        report = run("verify", copy, expect=1)
        named = [finding for finding in report["findings"] if finding["file"] == str(victim.relative_to(copy))]
        assert named and named[0]["severity"] == "damage", report
        would = run("doctor", copy, expect=1)
        assert any("--repair would" in step for step in would["steps"]), would
        assert victim.exists(), "looking changes nothing"
        cured = run("doctor", copy, "--repair")
        assert cured["sound"] and cured["events_restored"] > 0 and cured["events_gone"] == 0, cured
        assert (copy / "quarantine" / victim.name).exists()
        server = serve(copy, tmp_path / "log")
        assert sequences(server) == EVERYTHING
        server.stop()
        assert run("verify", copy)["sound"]


def test_a_damaged_segment_is_set_aside_and_the_rest_serves(data, tmp_path):
    victim = segments(data)[0]
    victim.write_bytes(victim.read_bytes()[:100])
    server = serve(data, tmp_path / "log")
    found = sequences(server)
    assert 0 < len(found) < len(EVERYTHING)
    server.stop()
    assert run("doctor", data, "--repair")["sound"]
    server.start()
    assert sequences(server) == EVERYTHING
    server.stop()


@pytest.mark.parametrize("how", ["deleted", "flipped"])
def test_a_lost_catalog_is_refused_and_rebuilt(data, tmp_path, how):
    for name in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        (data / name).unlink(missing_ok=True)
    if how == "deleted":
        (data / "catalog.sqlite").unlink()
    else:
        content = bytearray((data / "catalog.sqlite").read_bytes())
        for place in range(100, len(content), 97):
            content[place] ^= 1
        (data / "catalog.sqlite").write_bytes(content)
    assert not run("verify", data, expect=1)["sound"]
    refused = subprocess.run([binary(), "serve", "--data", str(data), "--http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "doctor" in refused.stderr, refused.stderr
    cured = run("doctor", data, "--rebuild-catalog")
    assert cured["sound"], cured
    server = serve(data, tmp_path / "log")
    assert sequences(server) == EVERYTHING
    server.stop()


def test_a_lost_version_is_written_again(data, tmp_path):
    before = (data / "VERSION").read_text()
    (data / "VERSION").write_text(before.replace("partitions 8", "partitions 9"))
    assert not run("verify", data, expect=1)["sound"]
    assert run("doctor", data, "--repair")["sound"]
    assert (data / "VERSION").read_text() == before


def test_backup_beside_a_server_and_restore(data, tmp_path):
    server = serve(data, tmp_path / "log")
    backups = tmp_path / "backups"
    first = run("backup", data, backups)
    send_batches(server, 2 * BATCHES, 1, time.time_ns() - 1_000_000_000)
    second = run("backup", data, backups, "--copy")
    assert second["number"] == first["number"] + 1
    server.stop()
    assert run("verify", backups)["sound"]
    restored = tmp_path / "restored"
    run("restore", backups, restored)
    assert run("restore", backups, restored, expect=1)["error"]["code"] == "conflict"
    again = serve(restored, tmp_path / "log")
    assert len(sequences(again)) == len(EVERYTHING) + SPANS_PER_BATCH
    again.stop()
    # Half a backup is none: without its manifest there is nothing to restore.
    for manifest in backups.glob("manifest-*"):
        manifest.unlink()
    assert run("restore", backups, tmp_path / "nothing", expect=1)["error"]["code"] == "not_found"
    assert run("backup", data, backups)["reused"] > 0, "what was brought already is taken over"


def test_questions_are_replayed_against_a_copy(data, tmp_path):
    server = serve(data, tmp_path / "log")
    for op in ("COUNT", "SUM", "P95"):
        calculation = {"op": op} if op == "COUNT" else {"op": op, "column": "duration_ms"}
        server.query(calculations=[calculation], breakdowns=["name"])
    server.until(lambda: "skein.query" in asked(server))
    run("backup", data, tmp_path / "backups", "--copy")
    run("restore", tmp_path / "backups", tmp_path / "same")
    run("restore", tmp_path / "backups", tmp_path / "other")
    server.stop()
    same = run("replay", "--data", data, "--against", tmp_path / "same", "--save", tmp_path / "questions")
    assert same["questions"] >= 3 and same["differ"] == 0, same
    other = serve(tmp_path / "other", tmp_path / "log")
    send_batches(other, 2 * BATCHES, 1, time.time_ns() - 1_000_000_000)
    different = run("replay", "--data", tmp_path / "same", "--against", f"http://{other.addresses['http']}", "--queries", tmp_path / "questions", expect=1)
    assert different["differ"] > 0, different
    other.stop()


def asked(server):
    spec = {"calculations": [], "filters": [{"column": "name", "op": "=", "value": "query"}], "start_time": time.time() - 3600}
    answer = requests.post(f"http://{server.addresses['http']}/api/v1/query", json=spec, headers={"Skein-Environment": "skein"}, timeout=60)
    return answer.text


def test_the_reserve_is_there_and_a_stop_leaves_nothing_to_replay(data, tmp_path):
    server = serve(data, tmp_path / "log")
    reserve = data / "reserve"
    room = shutil.disk_usage(data)
    assert reserve.exists(), f"no reserve was taken, with {room.free} of {room.total} bytes free: {(tmp_path / 'log').read_text()[-2000:]}"
    assert reserve.stat().st_size == json.loads((ROOT / "e2e" / "server.json").read_text())["reserve_bytes"]
    server.stop()
    report = run("verify", data)
    # Skein's own last events end in segments as well.
    assert report["checked"]["unflushed_events"] == 0, report
    assert [path.name for path in pathlib.Path(data / "tmp").iterdir()] == []
