#!/usr/bin/env python3
"""Prints what explain finds in each labelled fault window of the Train-Ticket recording (docs/reference/explain.md).

usage: TRAINTICKET_DIR=folder examples/fault_windows.py [--top N]

Starts a server of its own, imports traces and logs, and asks for each window of three minutes what is different about
it: against the fault-free minute, and against all earlier windows of the day. Spans and log records are asked about
apart, first over all services, then service by service. What is printed are statements about events with their
intervals; no label is used for asking. SKEIN_BIN names the program, otherwise target/debug/skein is used.
"""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
FAULT_FREE = "2023-01-29T08:50:00Z"
MINUTE = 60
WINDOW_MINUTES = 3


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def ask(url, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def side(signal, start, end, service=None):
    filters = [{"column": "meta.signal_type", "op": "=", "value": signal}]
    if service:
        filters.append({"column": "service.name", "op": "=", "value": service})
    return {"filters": filters, "start_time": start, "end_time": end}


def term(of):
    if of.get("exists") is not None:
        return f"{of['column']} {'exists' if of['exists'] else 'is missing'}"
    if of.get("range"):
        lo, hi = of["range"].get("lo"), of["range"].get("hi")
        lower = f"{lo:g} ≤ " if lo is not None else ""
        upper = f" < {hi:g}" if hi is not None else ""
        return f"{lower}{of['column']}{upper}"
    return f"{of['column']} = {str(of.get('value'))[:90]}"


def statement(finding):
    text = term(finding)
    if finding.get("and"):
        text += " and " + term(finding["and"])
    interval = "no interval"
    if finding.get("lo95") is not None:
        interval = f"{100 * finding['lo95']:+.1f}…{100 * finding['hi95']:+.1f}"
    return (
        f"{text}: {100 * finding['share_selection']:.1f} % of {{0}}, {100 * finding['share_baseline']:.1f} % of {{1}}"
        f" ({100 * finding['effect']:+.1f} points, {interval}; q {finding['q']:.1g})"
    )


def explain(url, signal, window, baseline, service=None):
    body = {"selection": side(signal, *window, service), "baseline": side(signal, *baseline, service), "limit": 64}
    answer = ask(url, "/api/v1/explain", body)
    return answer.get("data", {}).get("findings", []), answer


def services(url, window):
    spec = {
        "calculations": [{"op": "COUNT"}],
        "breakdowns": ["service.name"],
        "start_time": window[0],
        "end_time": window[1],
        "limit": 1000,
    }
    results = ask(url, "/api/v1/query", spec)["data"]["results"]
    return [row["data"].get("service.name") for row in results if row["data"].get("service.name")]


def report(url, faults, top):
    first = min(seconds(fault["time"]) for fault in faults) // MINUTE * MINUTE
    free = (seconds(FAULT_FREE), seconds(FAULT_FREE) + MINUTE)
    for number, fault in enumerate(faults, 1):
        start = seconds(fault["time"]) // MINUTE * MINUTE
        window = (start, start + WINDOW_MINUTES * MINUTE)
        print(f"\n== {number}: {fault['time']} · injected: {fault['type']} in {fault['service']}")
        baselines = [("the fault-free minute", free)]
        if start > first:
            baselines.append(("the earlier windows", (first, start)))
        for name, baseline in baselines:
            for signal, events in [("trace", "spans"), ("log", "log records")]:
                findings, answer = explain(url, signal, window, baseline)
                if "error" in answer:
                    print(f"  {events} against {name}: {answer['error']['message']}")
                    continue
                data = answer["data"]
                print(
                    f"  {events} against {name}: {data['selection']['rows']} against {data['baseline']['rows']}, "
                    f"{len(findings)} findings of {data['tested']} statements"
                )
                for finding in findings[:top]:
                    print("    " + statement(finding).format("the window", "the others"))
                found = []
                for service in services(url, window):
                    of_service, _ = explain(url, signal, window, baseline, service)
                    found += [(finding["strength"], service, finding) for finding in of_service]
                found.sort(key=lambda item: -item[0])
                for _, service, finding in found[:top]:
                    print(f"    in {service}: " + statement(finding).format("its events", "before"))


def main():
    if "TRAINTICKET_DIR" not in os.environ:
        sys.exit("TRAINTICKET_DIR must name the folder of the recording")
    folder = pathlib.Path(os.environ["TRAINTICKET_DIR"])
    top = int(sys.argv[sys.argv.index("--top") + 1]) if "--top" in sys.argv else 5
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = pathlib.Path(os.environ.get("SKEIN_BIN", target / "debug" / "skein")).resolve()
    with tempfile.TemporaryDirectory() as data:
        addresses = [f"--{name}=127.0.0.1:0" for name in ("http", "otlp-grpc", "otlp-http")]
        server = subprocess.Popen(
            [program, "serve", "--data", data, *addresses], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            url = f"http://{json.loads(server.stdout.readline())['http']}"
            files = [folder / f"{name}.otlp.jsonl.gz" for name in ("traces", "logs")]
            subprocess.run([program, "import", "--url", url, *files], check=True, stdout=subprocess.DEVNULL)
            report(url, json.loads((folder / "faults.json").read_text()), top)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
