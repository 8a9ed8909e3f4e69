"""What the peers share: how questions are timed, cold and warm, and what is printed."""

import os
import statistics
import sys
import time

ROUNDS = 5
GENERATED_ROUNDS = 3


def timed(ask, sql):
    begin = time.perf_counter()
    rows = ask(sql)
    return (time.perf_counter() - begin) * 1e3, rows


def median(ask, sql, rounds):
    """Milliseconds and the answer. The first round is not counted where there are more."""
    took = []
    for _ in range(rounds):
        ms, rows = timed(ask, sql)
        took.append(ms)
    return statistics.median(took), rows


def best(ask, ways, rounds):
    """The fastest of several ways to ask, its place, and the answer. A way that takes long is asked once."""
    found = None
    for place, sql in enumerate(ways):
        ms, rows = timed(ask, sql)
        if ms < 2000 or found is None:
            ms, rows = median(ask, sql, rounds)
        if found is None or ms < found[0]:
            found = (ms, place, rows)
    return found


def questions(ask, asked, table):
    answers = {}
    for question in asked:
        rounds = GENERATED_ROUNDS if question["name"].startswith("generated") else ROUNDS
        ways = [sql.replace("{events}", table) for sql in question["sql"]]
        try:
            ms, way, rows = best(ask, ways, rounds)
        except Exception as error:
            raise SystemExit(f"{question['name']}: {ways}: {error}") from error
        answers[question["name"]] = {"ms": ms, "way": way, "rows": rows if question["compared"] else []}
        print(f"{question['name']}: {ms:.1f} ms", file=sys.stderr)
    return answers


def forget(folder):
    """Drops the pages of all files below a folder."""
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.open(os.path.join(path, name), os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)
