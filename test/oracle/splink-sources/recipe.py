"""Makes the oracle of several sources, best links and m from labels.

usage, from this folder, once per version (Splink 5.0.0 with duckdb 2.0.0, Splink 4.0.17 with duckdb 1.4.5):

    python recipe.py

Reads ../splink/records.parquet and the custom model of ../splink, trained by the same version. Writes
  a.parquet, b.parquet, c.parquet   the same records as three sources, whose ids repeat from one to the other (once)
  splink<major>/<link type>.<sources>.pairs.parquet   what Splink keeps at P >= 1e-4 of sources that lack a source column
  edges.csv, best-links.json        random scored pairs with many ties, and the clusters that single best links make of them (Splink 5)
  label-m.json                      m by comparison and gamma from a label column and from pairs that are labelled, by version
"""
import csv
import json
import logging
import os
import random

import duckdb
import splink
from splink import DuckDBAPI, Linker

logging.disable(logging.CRITICAL)
MAJOR = splink.__version__.split(".")[0]
SOURCES = {"a": "facility_id in ('facility_001', 'facility_002')", "b": "facility_id = 'facility_003'", "c": "facility_id in ('facility_004', 'facility_005')"}
os.makedirs(f"splink{MAJOR}", exist_ok=True)


def connect():
    connection = duckdb.connect()
    connection.execute("set threads=1")
    return connection


def open_linker(connection, tables, model):
    api = DuckDBAPI(connection=connection)
    if MAJOR == "4":
        return Linker(tables, model, db_api=api, input_table_aliases=tables)
    return Linker([api.register(table, dataset_display_name=table) for table in tables], model)


def write_sources():
    if os.path.exists("a.parquet"):
        return
    connection = connect()
    connection.execute("create table people as select * from '../splink/records.parquet'")
    columns = "first_name, last_name, maiden_name, birthdate, birth_year, ssn, zip, gender, latitude, longitude, tags"
    for name, condition in SOURCES.items():
        connection.execute(
            f"copy (select row_number() over (order by record_id) as unique_id, {columns} from people where {condition} order by 1)"
            f" to '{name}.parquet' (format parquet, compression zstd)"
        )


def model_of(link_type):
    """The trained custom model, with the link type and Splink's own names of columns."""
    with open(f"../splink/splink{MAJOR}/custom.model.json") as source:
        model = json.load(source)
    return {**model, "link_type": link_type, "unique_id_column_name": "unique_id", "source_dataset_column_name": "source_dataset"}


def link(link_type, tables):
    connection = connect()
    for table in tables:
        connection.execute(f"create table {table} as select * from '{table}.parquet'")
    model = model_of(link_type)
    pairs = open_linker(connection, tables, model).inference.predict(threshold_match_probability=1e-4)
    gammas = ", ".join(f"gamma_{comparison['output_column_name']}" for comparison in model["comparisons"])
    target = f"splink{MAJOR}/{link_type}.{''.join(tables)}.pairs.parquet"
    connection.execute(
        "copy (select source_dataset_l, unique_id_l, source_dataset_r, unique_id_r, match_weight, match_key,"
        f" {gammas} from {pairs.physical_name} order by 1, 2, 3, 4) to '{target}' (format parquet, compression zstd)"
    )
    print(target, connection.execute(f"select count(*) from '{target}'").fetchall()[0][0], "pairs")


def write_edges():
    """Pairs between and within three sources: few different probabilities, so that most are tied."""
    rng = random.Random(7)
    edges = {}
    for _ in range(420):
        # Numbers of one and two digits: 10 comes before 2 as text.
        one, two = ((rng.choice("abc"), str(rng.randrange(1, 31))) for _ in range(2))
        if one == two or (one[0] == two[0] and one[0] != "c"):
            continue
        edges[tuple(sorted([one, two]))] = rng.choice([0.5, 0.7, 0.8, 0.9, 0.95, 0.99])
    with open("edges.csv", "w") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["match_probability", "source_dataset_l", "unique_id_l", "source_dataset_r", "unique_id_r"])
        for (one, two), probability in sorted(edges.items()):
            writer.writerow([probability, *one, *two])


def best_links():
    write_edges()
    cases = []
    for ties in ("lowest_id", "drop"):
        for free in (["a", "b", "c"], ["a", "b"], ["c"]):
            for threshold in (None, 0.75):
                connection = connect()
                connection.execute("create table edges as select * from read_csv('edges.csv', types = {'unique_id_l': 'VARCHAR', 'unique_id_r': 'VARCHAR'})")
                nodes = "select source_dataset_l as source_dataset, unique_id_l as unique_id from edges union select source_dataset_r, unique_id_r from edges"
                for name in SOURCES:
                    connection.execute(f"create table {name} as select unique_id, '{name}' as source_dataset, 'x' as x from ({nodes}) where source_dataset = '{name}'")
                settings = {
                    "link_type": "link_and_dedupe",
                    "comparisons": [{"output_column_name": "x", "comparison_levels": [{"sql_condition": "x_l = x_r"}, {"sql_condition": "ELSE"}]}],
                    "blocking_rules_to_generate_predictions": ["l.x = r.x"],
                }
                linker = open_linker(connection, list(SOURCES), settings)
                edges = linker._db_api.register("edges")
                # Without a threshold Splink 5.0.0 leaves the probability out of what it reads, and fails: zero says the same.
                found = linker.clustering.cluster_using_single_best_links(
                    edges, duplicate_free_datasets=free, threshold_match_probability=threshold or 0.0, ties_method=ties
                )
                rows = connection.execute(f"select cluster_id, source_dataset, unique_id from {found.physical_name}").fetchall()
                groups = {}
                for cluster, source, number in rows:
                    groups.setdefault(cluster, []).append(f"{source}-__-{number}")
                clusters = sorted(sorted(group) for group in groups.values() if len(group) > 1)
                cases.append({"ties": ties, "duplicateFree": free, "threshold": threshold, "clusters": clusters})
    with open("best-links.json", "w") as target:
        target.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def m_of(linker):
    return {
        comparison.output_column_name: {
            str(level.comparison_vector_value): level.m_probability
            for level in comparison._comparison_levels_excluding_null
            if level._has_estimated_m_values
        }
        for comparison in linker._settings_obj.comparisons
    }


def label_m():
    path = "label-m.json"
    found = {}
    if os.path.exists(path):
        with open(path) as source:
            found = json.load(source)
    with open("../splink/models/custom.json") as source:
        model = json.load(source)
    del model["training"]
    records = "create table people as select * from '../splink/records.parquet'"
    connection = connect()
    connection.execute(records)
    linker = open_linker(connection, ["people"], model)
    linker.training.estimate_m_from_label_column("ssn")
    column = m_of(linker)

    connection = connect()
    connection.execute(records)
    # Pairs as a clerk would give them: either record first, some of them far apart.
    labels = "select l.record_id as record_id_l, r.record_id as record_id_r from people l join people r on l.last_name = r.last_name and l.birth_year = r.birth_year and l.record_id <> r.record_id and reverse(l.record_id) < reverse(r.record_id)"
    if not os.path.exists("labels.csv"):
        connection.execute(f"copy ({labels} order by 1, 2 limit 200) to 'labels.csv' (header)")
    connection.execute("create table labels as select * from 'labels.csv'")
    linker = open_linker(connection, ["people"], model)
    linker.training.estimate_m_from_pairwise_labels(linker._db_api.register("labels") if MAJOR == "5" else "labels")
    found[f"splink{MAJOR}"] = {"column": column, "pairs": m_of(linker)}
    with open(path, "w") as target:
        json.dump(found, target, indent=1, sort_keys=True)
        target.write("\n")


write_sources()
link("link_only", ["a", "b"])
link("link_and_dedupe", ["a", "b"])
link("link_only", ["a", "b", "c"])
if MAJOR == "5":
    best_links()
label_m()
