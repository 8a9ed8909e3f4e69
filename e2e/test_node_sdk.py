"""OpenTelemetry for JavaScript over HTTP/JSON: traces (gzip), logs with a JSON body, metrics."""

import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def test_node_over_http_json(skein):
    command = ["node", str(HERE / "node" / "send.mjs"), f"http://{skein.addresses['otlp_http']}"]
    sent = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert sent.returncode == 0, sent.stderr
    found = skein.trace(sent.stdout.strip())

    by_name = {row["name"]: row for row in found["spans"] if "meta.annotation_type" not in row}
    assert set(by_name) == {"GET /cart", "redis GET"}
    child = by_name["redis GET"]
    assert child["cache.hit"] is False and child["ratio"] == 0.25 and child["error"] is True
    # The first exception event of a span is copied to it.
    assert child["exception.message"] == "connection reset"
    assert child["trace.parent_id"] == by_name["GET /cart"]["trace.span_id"] == found["root_ids"][0]
    [record] = found["logs"]
    assert record["user.id"] == "u-17" and record["items"] == 3, "a JSON body becomes columns"
    assert record["body"].startswith('{"message"'), "the raw body is kept"
    # `message` is an alias: of the body's field here, of the span's name nowhere.
    by_message = skein.rows(filters=[{"column": "message", "op": "=", "value": "cart loaded"}])
    assert [row["event.id"] for row in by_message] == [record["event.id"]]
    carts = skein.query(calculations=[{"op": "MAX", "column": "carts"}], breakdowns=["tier"])
    assert carts["data"]["results"][0]["data"] == {"tier": "gold", "MAX(carts)": 2}
