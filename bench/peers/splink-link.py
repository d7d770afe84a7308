"""Runs Splink (4 or 5) on Parquet files of records, so that both engines are measured on the same rows in the same minute.

usage: python splink-link.py MODEL.json OUT.parquet RECORDS.parquet... [--threshold P] [--threads N] [--cluster-threshold P [--clusters FILE]]
           [--whole-u-sample]

MODEL.json is a Splink model; its extra key "training" ({deterministic_rules, recall, u_max_pairs, em_rules, max_pairs}) says how to
train levels that have no m or u. Prints one JSON line: seconds of each step, pairs kept, version, peak memory.
"""
import argparse
import json
import logging
import re
import time

start = time.perf_counter()
import duckdb
import splink
from splink import DuckDBAPI, Linker

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("out")
parser.add_argument("records", nargs="+")
parser.add_argument("--threshold", type=float, default=1e-4)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--cluster-threshold", type=float)
parser.add_argument("--clusters")
parser.add_argument("--whole-u-sample", action="store_true", help="Splink 5 else stops sampling at 100 pairs on every level")
options = parser.parse_args()
logging.disable(logging.WARNING)


def peak_mb():
    """VmHWM, not ru_maxrss: that one starts at the parent's."""
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1)) / 1024


def write(table, file):
    connection.execute(f"copy (select * from {table.physical_name}) to '{file}' (format parquet)")


with open(options.model) as file:
    model = json.load(file)
training = model.pop("training", None)
connection = duckdb.connect()
connection.execute(f"set threads={options.threads}")
tables = [f"records_{number}" for number in range(len(options.records))]
for table, records in zip(tables, options.records):
    connection.execute(f"create table {table} as select * from '{records}'")
api = DuckDBAPI(connection=connection)
# Splink 5 registers tables first; Splink 4 takes the name and the database.
linker = Linker([api.register(table) for table in tables], model) if hasattr(api, "register") else Linker(tables, model, db_api=api)
loaded = time.perf_counter()
if training:
    steps = linker.training
    if "deterministic_rules" in training:
        steps.estimate_probability_two_random_records_match(training["deterministic_rules"], recall=training["recall"])
    whole = {"min_count_per_level": None} if options.whole_u_sample else {}
    steps.estimate_u_using_random_sampling(max_pairs=training["u_max_pairs"], seed=1, **whole)
    # Splink 4 knows no cap.
    cap = {"max_pairs": training["max_pairs"]} if "max_pairs" in training and not splink.__version__.startswith("4") else {}
    for rule in training["em_rules"]:
        steps.estimate_parameters_using_expectation_maximisation(rule, fix_u_probabilities=True, **cap)
trained = time.perf_counter()
pairs = linker.inference.predict(threshold_match_probability=options.threshold)
# DuckDB 2 wants a result fetched to its end before the next query.
count = connection.execute(f"select count(*) from {pairs.physical_name}").fetchall()[0][0]
predicted = time.perf_counter()
if options.cluster_threshold is not None:
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, threshold_match_probability=options.cluster_threshold)
clustered = time.perf_counter()
write(pairs, options.out)
if options.clusters:
    write(clusters, options.clusters)
linker.misc.save_model_to_json(options.out + ".model.json", overwrite=True)
print(json.dumps({
    "splink": splink.__version__, "duckdb": duckdb.__version__, "pairs": count,
    "load_s": loaded - start, "train_s": trained - loaded, "predict_s": predicted - trained, "cluster_s": clustered - predicted,
    "total_s": time.perf_counter() - start, "peak_mb": peak_mb(),
}))
