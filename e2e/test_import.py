"""`skein import` against a server that is killed in its middle: importing again completes it, exactly once (I4)."""

import json
import random
import subprocess
import threading
import time

from conftest import Skein, binary, free_port

LINES, SPANS = 300, 40
START_NS = 1_900_000_000_000_000_000


def line(number):
    """Equal records in different lines are different events; the first span of each line is one of them."""
    equal = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": "equal", "startTimeUnixNano": str(START_NS), "endTimeUnixNano": str(START_NS + 1)}
    spans = [equal] + [
        {
            "traceId": f"{number * SPANS + place:032x}",
            "spanId": f"{number * SPANS + place:016x}",
            "name": f"operation {place}",
            "startTimeUnixNano": str(START_NS + number * 1000 + place),
            "endTimeUnixNano": str(START_NS + number * 1000 + place + 5),
            "attributes": [{"key": "number", "value": {"intValue": str(number * SPANS + place)}}],
        }
        for place in range(1, SPANS)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": f"service-{number % 3}"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})


def census(server):
    """(events, distinct numbers, equal events)."""
    spec = {"start_time": START_NS // 10**9 - 10, "end_time": START_NS // 10**9 + 100}
    both = server.query(calculations=[{"op": "COUNT"}, {"op": "COUNT_DISTINCT", "column": "number"}], **spec)
    equal = server.query(calculations=[{"op": "COUNT"}], filters=[{"column": "name", "op": "=", "value": "equal"}], **spec)
    data = both["data"]["results"][0]["data"]
    return data["COUNT"], data["COUNT_DISTINCT(number)"], equal["data"]["results"][0]["data"]["COUNT"]


def test_an_import_broken_off_by_kill_9_is_completed_by_another(tmp_path):
    file = tmp_path / "spans.jsonl"
    file.write_text("".join(line(number) + "\n" for number in range(LINES)))
    ports = [free_port(), free_port(), free_port()]
    server = Skein(tmp_path / "data", tmp_path / "skein.log", ports=ports).start()
    command = [binary(), "import", "--format", "json", "--url", f"http://127.0.0.1:{ports[0]}", str(file)]
    randomness = random.Random(7)
    kills = 0
    while kills < 3:
        # Each round begins from the first line again; the server dies somewhere on the way.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(randomness.uniform(0.01, 0.15))
        died_under_it = process.poll() is None
        server.kill()
        kills += died_under_it
        process.kill()
        process.wait()
        server.start()
        if not died_under_it:
            break
    assert kills > 0, "the import was over before the first kill: the test proved nothing"
    # One import that lives through a kill itself: it retries until the server is back.
    restarts = threading.Timer(0.05, lambda: (server.kill(), server.start()))
    restarts.start()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    restarts.join()
    assert done.returncode == 0, done.stderr
    tally = json.loads(done.stdout)[0]
    assert (tally["lines"], tally["stored"] + tally["duplicate"], tally["rejected"]) == (LINES, LINES * SPANS, 0), tally
    expected = (LINES * SPANS, LINES * (SPANS - 1), LINES)
    assert census(server) == expected
    again = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)[0]
    assert (again["stored"], again["duplicate"]) == (0, LINES * SPANS), again
    assert census(server) == expected
    server.stop()
