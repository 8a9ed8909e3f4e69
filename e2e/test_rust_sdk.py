"""OpenTelemetry for Rust over gRPC. `make e2e` builds the sender before."""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def test_rust_over_grpc(skein):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "rust" / "target"))
    sender = target / "debug" / "skein-e2e-rust"
    sent = subprocess.run([sender, f"http://{skein.addresses['otlp_grpc']}"], capture_output=True, text=True, timeout=60)
    assert sent.returncode == 0, sent.stderr
    found = skein.trace(sent.stdout.strip())

    by_name = {row["name"]: row for row in found["spans"]}
    assert set(by_name) == {"POST /order", "charge card"}
    child = by_name["charge card"]
    assert child["amount"] == 1999 and child["retry"] is True
    assert child["status_message"] == "declined" and child["span.kind"] == "client"
    [record] = found["logs"]
    assert record["body"] == "card declined" and record["severity"] == "error" and record["card.country"] == "NL"
    assert record["trace.span_id"] == by_name["POST /order"]["trace.span_id"]
    charges = skein.query(calculations=[{"op": "MAX", "column": "charges"}])
    assert charges["data"]["results"][0]["data"]["MAX(charges)"] == 5
