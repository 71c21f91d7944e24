"""Runs queries with DuckDB over the tables of a data folder, fetches all rows, prints the seconds.

    python3 duckdb_side.py '{"data": FOLDER, "queries": [SQL, ...]}'
"""

import json
import pathlib
import sys
import time

import duckdb
import pyarrow  # DuckDB hands rows over as its tables

assert pyarrow
given = json.loads(sys.argv[1])
started = time.perf_counter()
connection = duckdb.connect()
for table in pathlib.Path(given["data"]).iterdir():
    if table.is_dir() and table.name[0] != ".":
        connection.execute(f"CREATE VIEW {table.name} AS SELECT * FROM read_parquet('{table}/**/*.parquet', hive_partitioning = false)")
for query in given["queries"]:
    connection.sql(query).to_arrow_table()
print(time.perf_counter() - started)
