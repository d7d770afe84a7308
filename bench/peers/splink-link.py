"""Runs Splink (4 or 5) on one Parquet file of records, so that both engines are measured on the same rows in the same minute.

usage: python splink-link.py RECORDS.parquet MODEL.json OUT.parquet [--threshold P] [--threads N] [--cluster P]

MODEL.json is a Splink model; its extra key "training" ({deterministic_rules, recall, u_max_pairs, em_rules}) says how to train levels
that have no m or u. Prints one JSON line: seconds of each step, pairs kept, version, peak memory.
"""
import argparse
import json
import logging
import resource
import time

start = time.perf_counter()
import duckdb
import splink
from splink import DuckDBAPI, Linker

parser = argparse.ArgumentParser()
parser.add_argument("records")
parser.add_argument("model")
parser.add_argument("out")
parser.add_argument("--threshold", type=float, default=1e-4)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--cluster", type=float)
options = parser.parse_args()
logging.disable(logging.WARNING)

with open(options.model) as file:
    model = json.load(file)
training = model.pop("training", None)
connection = duckdb.connect()
connection.execute(f"set threads={options.threads}")
connection.execute(f"create table records as select * from '{options.records}'")
api = DuckDBAPI(connection=connection)
# Splink 5 registers tables first; Splink 4 takes the name and the database.
linker = Linker(api.register("records"), model) if hasattr(api, "register") else Linker("records", model, db_api=api)
loaded = time.perf_counter()
if training:
    steps = linker.training
    steps.estimate_probability_two_random_records_match(training["deterministic_rules"], recall=training["recall"])
    steps.estimate_u_using_random_sampling(max_pairs=training["u_max_pairs"], seed=1)
    for rule in training["em_rules"]:
        steps.estimate_parameters_using_expectation_maximisation(rule, fix_u_probabilities=True)
trained = time.perf_counter()
pairs = linker.inference.predict(threshold_match_probability=options.threshold)
# DuckDB 2 wants a result fetched to its end before the next query.
count = connection.execute(f"select count(*) from {pairs.physical_name}").fetchall()[0][0]
predicted = time.perf_counter()
if options.cluster is not None:
    linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, threshold_match_probability=options.cluster)
clustered = time.perf_counter()
connection.execute(f"copy (select * from {pairs.physical_name}) to '{options.out}' (format parquet)")
linker.misc.save_model_to_json(options.out + ".model.json", overwrite=True)
print(json.dumps({
    "splink": splink.__version__, "duckdb": duckdb.__version__, "pairs": count,
    "load_s": loaded - start, "train_s": trained - loaded, "predict_s": predicted - trained, "cluster_s": clustered - predicted,
    "total_s": time.perf_counter() - start, "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
