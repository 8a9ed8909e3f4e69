#!/usr/bin/env python3
"""Runs the commands of docs/tutorial.md against a server of its own and writes their answers into the page.

usage: TRAINTICKET_DIR=folder examples/tutorial.py [--check]

In each ```console block, a line that begins with `$ ` is run by bash; what follows up to the next command is
replaced by what it wrote. --check writes nothing and fails if a command fails. SKEIN_BIN names the program,
otherwise target/debug/skein is used.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
LINES_MAX = 70


def answer(command, environment):
    """What a command writes, stdout before stderr, as a person sees it; paths as the page names them."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, env=environment, text=True, capture_output=True
    )
    if done.returncode != 0:
        sys.exit(f"{command}\nended with {done.returncode}: {done.stdout}{done.stderr}")
    # Progress is for whoever waits, not for a reader.
    said = [line for line in done.stderr.splitlines() if not re.search(r": \d+ %$", line)]
    lines = done.stdout.splitlines() + said
    if len(lines) > LINES_MAX:
        lines = lines[:LINES_MAX] + [f"… and {len(lines) - LINES_MAX} lines more"]
    folder = environment["TRAINTICKET_DIR"].rstrip("/")
    return [line.replace(folder, "$TRAINTICKET_DIR").rstrip() for line in lines]


def regenerate(page, environment):
    lines, inside = [], False
    for line in page.splitlines():
        if line.startswith("```"):
            inside = line == "```console"
            lines.append(line)
        elif inside and line.startswith("$ "):
            print(line, file=sys.stderr)
            lines += [line] + answer(line[2:], environment)
        elif not inside:
            lines.append(line)
    return "\n".join(lines) + "\n"


def main():
    if "TRAINTICKET_DIR" not in os.environ:
        sys.exit("TRAINTICKET_DIR must name the folder of the recording")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = pathlib.Path(os.environ.get("SKEIN_BIN", target / "debug" / "skein")).resolve()
    with tempfile.TemporaryDirectory() as data:
        addresses = [f"--{name}=127.0.0.1:0" for name in ("http", "otlp-grpc", "otlp-http")]
        server = subprocess.Popen(
            [program, "serve", "--data", data, *addresses], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            ready = json.loads(server.stdout.readline())
            path = f"{program.parent}:{os.environ['PATH']}"
            environment = {**os.environ, "SKEIN_URL": f"http://{ready['http']}", "PATH": path}
            page = regenerate(PAGE.read_text(), environment)
        finally:
            server.terminate()
            server.wait()
    if "--check" not in sys.argv:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
