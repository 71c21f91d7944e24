"""Reads DATA/links in a loop with DuckDB and pyarrow while a writer publishes, revises and compacts.

    python3 readers.py DATA

Prints "ready", reads until standard input ends, reads once more, prints a JSON line of what it saw.
Exit 1 if a file could not be read, a row came twice, or rows became fewer. A reader whose package
is absent is passed over with a word. A file that was listed and then replaced by its compacted hour
is listed again, as any reader of exchanged folders has to; how often is counted.
"""

import json
import sys
import threading

KEY = ["window_start", "connection", "direction"]


class ListAgain(Exception):
    """A file went between listing and opening."""


def with_duckdb(data):
    import duckdb

    query = f"SELECT count(*), count(DISTINCT ({', '.join(KEY)})), count(DISTINCT hour) FROM read_parquet(?, hive_partitioning = true)"

    def read():
        try:
            return duckdb.connect().execute(query, [f"{data}/links/**/*.parquet"]).fetchone()
        except duckdb.IOException as error:
            if "No such file" in str(error):
                raise ListAgain from error
            raise

    return read


def with_pyarrow(data):
    import pyarrow.dataset

    def read():
        try:
            files = pyarrow.dataset.dataset(f"{data}/links", format="parquet", partitioning="hive", exclude_invalid_files=False)
            table = files.to_table(columns=KEY + ["hour"])
        except FileNotFoundError as error:
            raise ListAgain from error
        return table.num_rows, table.group_by(KEY).aggregate([]).num_rows, len(table["hour"].unique())

    return read


class Reader:
    def __init__(self, name, read):
        self.name, self.read = name, read
        self.reads = self.listed_again = self.rows = self.hours = 0

    def once(self):
        try:
            rows, distinct, hours = self.read()
        except ListAgain:
            self.listed_again += 1
            return False
        if rows != distinct:
            sys.exit(f"{self.name}: {rows} rows, of which {distinct} differ: some came twice")
        if rows < self.rows:
            sys.exit(f"{self.name}: {rows} rows after {self.rows}")
        self.reads, self.rows, self.hours = self.reads + 1, rows, hours
        return True


def main(data):
    readers = []
    for name, make in [("duckdb", with_duckdb), ("pyarrow", with_pyarrow)]:
        try:
            readers.append(Reader(name, make(data)))
        except ImportError:
            print(f"passed over: the Python package {name} is not installed", file=sys.stderr)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    print("ready", flush=True)
    while readers and not ended.is_set():
        for reader in readers:
            reader.once()
    for reader in readers:
        while not reader.once():
            pass
    seen = [{"reader": r.name, "reads": r.reads, "listed_again": r.listed_again, "rows": r.rows, "hours": r.hours} for r in readers]
    print(json.dumps(seen))


main(sys.argv[1])
