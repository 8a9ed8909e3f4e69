"""Loads Parquet files into DuckDB and answers questions; started by skein-bench with the path of a job.

Prints one JSON object. One table in a database file of its own, loaded ordered by (service, time) as DuckDB's
documentation recommends for zone maps (its row groups carry minima and maxima); absent values are NULL; text is
compressed by dictionaries and FSST of its own choice. With a second argument, the place of a question in the job, it
answers that one alone, with no page of the file in memory.
"""

import json
import os
import resource
import sys

import duckdb

from common import forget, questions, timed


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    os.makedirs(job["folder"], exist_ok=True)
    path = os.path.join(job["folder"], "events.duckdb")
    config = {"threads": 2, "memory_limit": "12GB", "temp_directory": os.path.join(job["folder"], "tmp")}

    if len(sys.argv) > 2:
        connection = duckdb.connect(path, read_only=True, config=config)
        forget(job["folder"])
        question = job["questions"][int(sys.argv[2])]
        sql = question["sql"][int(sys.argv[3])].replace("{events}", "events")
        ms, _ = timed(lambda sql: connection.execute(sql).fetchall(), sql)
        print(json.dumps({"ms": ms}))
        return

    if os.path.exists(path):
        os.remove(path)
    connection = duckdb.connect(path, config=config)

    def ask(sql):
        rows = connection.execute(sql).fetchall()
        return [[str(value) if isinstance(value, (bytes, bytearray)) else value for value in row] for row in rows]

    begin = cpu_seconds()
    # File after file: each is sorted, and sorting all at once does not fit the memory of the machine.
    names = ['"%s"' % job["time"]] + ['"%s"' % column["name"] for column in job["columns"]]
    types = {"bool": "BOOLEAN", "int": "BIGINT", "float": "DOUBLE", "text": "VARCHAR", "id16": "BLOB", "id8": "BLOB"}
    columns = ", ".join(['"%s" TIMESTAMP_NS' % job["time"]]
                        + ['"%s" %s' % (column["name"], types[column["type"]]) for column in job["columns"]])
    connection.execute(f"CREATE TABLE events ({columns})")
    for file in job["files"]:
        own = ", ".join('"%s"' % name for name in file["columns"])
        connection.execute(f"INSERT INTO events ({own}) SELECT {own} FROM read_parquet('{file['path']}')")
        print(f"duckdb: {file['path']} after {cpu_seconds() - begin:.0f} CPU-s", file=sys.stderr)
    connection.execute("CHECKPOINT")
    load_cpu = cpu_seconds() - begin
    rows = ask("SELECT count(*) FROM events")[0][0]
    answers = questions(ask, job["questions"], "events")
    trace_ms = []
    for _ in range(2):
        trace_ms.clear()
        for trace in job["traces"]:
            ms, found = timed(ask, f"SELECT * FROM events WHERE \"trace.trace_id\" = unhex('{trace}')")
            trace_ms.append(ms)
            if not found:
                raise SystemExit(f"trace {trace} is not in DuckDB")
    connection.close()
    print(json.dumps({
        "version": duckdb.__version__, "rows": rows, "bytes": os.path.getsize(path), "load_cpu": load_cpu,
        "answers": answers, "trace_ms": trace_ms,
        "schema": f"one table in a database file, {len(names)} columns, absent values NULL, loaded from files that are sorted "
                  "by (service, time), two threads",
    }, default=str))


if __name__ == "__main__":
    main()
