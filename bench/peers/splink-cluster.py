"""Times Splink 5's connected components on a file of pairs. usage: python splink-cluster.py RECORDS.parquet PAIRS.parquet THRESHOLD

Prints one JSON line: seconds without reading the files, clusters.
"""
import json
import sys
import time

import duckdb
from splink import DuckDBAPI
from splink.clustering import cluster_pairwise_predictions_at_threshold

records, pairs, threshold = sys.argv[1:]
connection = duckdb.connect()
connection.execute(f"create table nodes as select unique_id from '{records}'")
connection.execute(f"create table edges as select unique_id_l, unique_id_r, match_probability from '{pairs}'")
api = DuckDBAPI(connection=connection)
nodes, edges = api.register("nodes"), api.register("edges")
start = time.perf_counter()
found = cluster_pairwise_predictions_at_threshold(nodes, edges, api, "unique_id", threshold_match_probability=float(threshold))
seconds = time.perf_counter() - start
clusters = connection.execute(f"select count(distinct cluster_id) from {found.physical_name}").fetchall()[0][0]
print(json.dumps({"seconds": seconds, "clusters": clusters}))
