"""Runs queries with DuckDB over the tables of a data folder; prints their rows as JSON.

    python3 engines.py INPUT.json      {"data": FOLDER, "queries": [SQL, ...]}
"""

import datetime
import json
import pathlib
import sys

import duckdb

given = json.load(open(sys.argv[1]))
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
for table in pathlib.Path(given["data"]).iterdir():
    if table.is_dir() and any(table.rglob("*.parquet")):
        connection.execute(f"CREATE VIEW {table.name} AS SELECT * FROM read_parquet('{table}/**/*.parquet', hive_partitioning = false)")


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return int(value) if type(value).__name__ == "Decimal" else value


rows = [[[plain(value) for value in row] for row in connection.execute(query).fetchall()] for query in given["queries"]]
json.dump(rows, sys.stdout)
