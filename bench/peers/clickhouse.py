"""Loads Parquet files into ClickHouse and answers questions; started by skein-bench with the path of a job.

Prints one JSON object. The schema follows ClickHouse's documentation for observability data: MergeTree ordered by
(service, time), LowCardinality for text of at most ten thousand values, ZSTD(1) everywhere, Delta for times, a bloom
filter on the trace id, ids as FixedString. No column is Nullable, as that documentation recommends: an absent value is
"", 0 or false, and cannot be told from one. Columns of which half is absent are stored sparsely. On these events that is
smaller than Nullable columns (by 5 %) and than the default ratio for sparse columns of 0.9375 (by 1 %). With two further
arguments, the places of a question in the job and of a way to ask it, it answers that one alone, with no page of its
files in memory.
"""

import json
import resource
import shutil
import sys

from chdb.session import Session

from common import forget, questions, timed

TYPES = {"bool": "Bool", "int": "Int64", "float": "Float64", "text": "String", "id16": "FixedString(16)",
         "id8": "FixedString(8)"}


def quoted(name):
    return "`" + name.replace("`", "\\`") + "`"


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def column_type(column):
    plain = TYPES[column["type"]]
    return "LowCardinality(String)" if column["low_cardinality"] else plain


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    alone = sys.argv[2:]
    if not alone:
        shutil.rmtree(job["folder"], ignore_errors=True)
    session = Session(job["folder"])

    def ask(sql):
        return json.loads(session.query(sql, "JSONCompact").bytes() or b'{"data":[]}')["data"]

    if alone:
        session.query("SET max_threads = 2")
        session.query("SELECT 1 FROM peers.events LIMIT 0")
        forget(job["folder"])
        question = job["questions"][int(alone[0])]
        ms, _ = timed(ask, question["sql"][int(alone[1])].replace("{events}", "peers.events"))
        print(json.dumps({"ms": ms}))
        return

    # Parts of about a million rows, as the documentation recommends of large inserts.
    session.query("SET max_threads = 2, max_insert_threads = 1, min_insert_block_size_rows = 1048576, "
                  "min_insert_block_size_bytes = 2000000000")
    session.query("CREATE DATABASE peers ENGINE = Atomic")
    columns = [f"{quoted(job['time'])} DateTime64(9) CODEC(Delta, ZSTD(1))"]
    columns += [f"{quoted(column['name'])} {column_type(column)} CODEC(ZSTD(1))" for column in job["columns"]]
    order = f"({quoted('service.name')}, {quoted(job['time'])})"
    session.query(
        f"CREATE TABLE peers.events ({', '.join(columns)}, "
        f"INDEX trace {quoted('trace.trace_id')} TYPE bloom_filter(0.01) GRANULARITY 1) "
        f"ENGINE = MergeTree ORDER BY {order} "
        "SETTINGS ratio_of_defaults_for_sparse_serialization = 0.5")
    begin = cpu_seconds()
    for file in job["files"]:
        names = ", ".join(quoted(name) for name in file["columns"])
        session.query(f"INSERT INTO peers.events ({names}) SELECT {names} FROM file('{file['path']}', Parquet)")
        print(f"clickhouse: {file['path']} after {cpu_seconds() - begin:.0f} CPU-s", file=sys.stderr)
    load_cpu = cpu_seconds() - begin
    begin = cpu_seconds()
    session.query("OPTIMIZE TABLE peers.events FINAL")
    merge_cpu = cpu_seconds() - begin
    print(f"clickhouse: merged after {merge_cpu:.0f} CPU-s", file=sys.stderr)
    parts, rows, size = ask(
        "SELECT count(), sum(rows), sum(bytes_on_disk) FROM system.parts "
        "WHERE active AND database = 'peers' AND table = 'events'")[0]
    sparse = ask(
        "SELECT countIf(serialization_kind = 'Sparse') FROM system.parts_columns "
        "WHERE active AND database = 'peers' AND table = 'events'")[0][0]
    answers = questions(ask, job["questions"], "peers.events")
    trace_ms = []
    for _ in range(2):
        trace_ms.clear()
        for trace in job["traces"]:
            ms, found = timed(lambda sql: session.query(sql, "JSONEachRow"),
                              f"SELECT * FROM peers.events WHERE {quoted('trace.trace_id')} = unhex('{trace}')")
            trace_ms.append(ms)
            if not found.bytes():
                raise SystemExit(f"trace {trace} is not in ClickHouse")
    low = sum(column["low_cardinality"] for column in job["columns"])
    print(json.dumps({
        "version": ask("SELECT version()")[0][0],
        "rows": int(rows), "bytes": int(size), "load_cpu": load_cpu + merge_cpu,
        "answers": answers, "trace_ms": trace_ms,
        "schema": f"{int(parts)} part(s) after OPTIMIZE TABLE … FINAL; MergeTree ORDER BY (`service.name`, `timestamp`), ZSTD(1) on every column, Delta before it on the "
                  f"time, LowCardinality for the {low} text columns of at most ten thousand values, FixedString for ids, "
                  f"bloom filter on the trace id, no column Nullable (an absent value is '', 0 or false), "
                  f"ratio_of_defaults_for_sparse_serialization 0.5 ({int(sparse)} columns are stored sparsely).",
    }))


if __name__ == "__main__":
    main()
