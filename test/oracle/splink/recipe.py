"""Makes the Splink oracle: records, trained models and the pairs that Splink keeps.

usage, from this folder, once per version (Splink 5.0.0 with duckdb 2.0.0, Splink 4.0.17 with duckdb 1.4.5):

    node export-models.ts
    python recipe.py [MODEL...]

Writes records.parquet (only when absent: seeded, but drawn by numpy-free Python so that it is the same everywhere), and for each model of models/
(ours, written as Splink's) and of library_models.py (Splink's own, on library-records.sql)
splink<major>/<model>.model.json, the trained model as Splink saves it, and splink<major>/<model>.pairs.parquet, what Splink keeps at P >= 1e-4
after loading that file again (ids, match_weight, match_key, gammas). library-training.json keeps how the library's models were trained.
"""
import json
import logging
import os
import random
import sys

import duckdb
import splink
from library_models import library_models
from splink import DuckDBAPI, Linker

FIRST = """James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph Jessica Thomas Karen
Christopher Sarah José María Zoë Renée Björn Siân Łukasz Ángel Ana Li""".split()
LAST = """Smith Johnson Williams Brown Jones García Miller Davis Rodríguez Martínez Hernández López González Wilson Anderson Thomas Taylor
Moore Jackson Martin Lee O'Brien Núñez Müller Ng Šimić""".split()
STREET = "Oak Elm Maple Cedar Pine Washington Lake Hill Park Main".split()
KIND = "Street Avenue Road Lane Way".split()
CITY = "Boston Worcester Springfield Lowell Cambridge Brockton Quincy Lynn Newton Somerville".split()
SOUND = {"b": 1, "f": 1, "p": 1, "v": 1, "c": 2, "g": 2, "j": 2, "k": 2, "q": 2, "s": 2, "x": 2, "z": 2, "d": 3, "t": 3, "l": 4, "m": 5, "n": 5, "r": 6}
COLUMNS = """record_id VARCHAR, facility_id VARCHAR, first_name VARCHAR, last_name VARCHAR, maiden_name VARCHAR, birthdate DATE, birth_year INTEGER,
ssn VARCHAR, address VARCHAR, city VARCHAR, address_canonical VARCHAR, city_canonical VARCHAR, zip VARCHAR, gender VARCHAR, soundex_first_name VARCHAR,
soundex_last_name VARCHAR, latitude DOUBLE, longitude DOUBLE, tags VARCHAR[]"""


def sound(name):
    return None if name is None else name[0].upper() + "".join(str(SOUND.get(c, "")) for c in name[1:].lower())[:3].ljust(3, "0")


def typo(rng, text):
    if text is None or len(text) < 3:
        return text
    at = rng.randrange(len(text) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind == 1:
        return text[:at] + text[at + 1 :]
    if kind == 2:
        return text[:at] + rng.choice("aeiouné") + text[at:]
    return text[:at] + rng.choice("bcdst") + text[at + 1 :]


def rare_first(rng, values):
    """Skewed choice: early values are common."""
    return values[min(len(values) - 1, int(rng.expovariate(1.0) * len(values) / 4))]


def person(rng):
    year, month, day = rng.randrange(1930, 2015), rng.randrange(1, 13), rng.randrange(1, 28)
    city = rng.randrange(len(CITY))
    gender = rng.choice("MF")
    return {
        "first_name": rare_first(rng, FIRST), "last_name": rare_first(rng, LAST),
        "maiden_name": rng.choice(LAST) if gender == "F" and rng.random() < 0.4 else None,
        "birthdate": (year, month, day), "ssn": f"{rng.randrange(900, 1000)}{rng.randrange(10, 99)}{rng.randrange(1000, 9999)}",
        "address": f"{rng.randrange(1, 999)} {rng.choice(STREET)} {rng.choice(KIND)}", "city": CITY[city], "zip": f"0{2100 + 7 * city + rng.randrange(4)}",
        "gender": gender, "latitude": 42 + city * 0.07 + rng.random() * 0.02, "longitude": -71 - city * 0.05 - rng.random() * 0.02,
        "tags": rng.sample(["a", "b", "c", "d", "e", "f", "g"], rng.randrange(0, 3)),
    }


def damaged(rng, one, rate):
    made = dict(one)
    for column in ("first_name", "last_name", "ssn", "address", "city"):
        if rng.random() < rate:
            made[column] = typo(rng, made[column])
    if made["maiden_name"] and rng.random() < rate:
        made["last_name"], made["maiden_name"] = made["maiden_name"], made["last_name"]
    year, month, day = made["birthdate"]
    draw = rng.random()
    if draw < rate / 2 and day <= 12:
        made["birthdate"] = (year, day, month)
    elif draw < rate:
        made["birthdate"] = (year, month, max(1, day - rng.randrange(3)))
    elif draw < 1.3 * rate:
        made["birthdate"] = (year + rng.choice([-10, -1, 1, 10]), month, day)
    if rng.random() < rate:
        made["zip"] = "00000"
    for column in ("first_name", "last_name", "birthdate", "ssn", "address", "city", "zip", "gender", "latitude", "tags"):
        if rng.random() < rate / 4:
            made[column] = None
    return made


def records():
    rng = random.Random(20240601)
    rows = []
    for _ in range(600):
        one = person(rng)
        copies = rng.choices([1, 2, 3, 4], weights=[30, 40, 20, 10])[0]
        for facility in rng.sample(range(1, 6), copies):
            rows.append((facility, damaged(rng, one, rng.choice([0.02, 0.15, 0.3]))))
    rng.shuffle(rows)
    for number, (facility, row) in enumerate(rows):
        date = row["birthdate"]
        yield {
            **row, "record_id": f"facility_{facility:03d}_{number:04d}", "facility_id": f"facility_{facility:03d}",
            "birthdate": None if date is None else f"{date[0]:04d}-{date[1]:02d}-{date[2]:02d}", "birth_year": None if date is None else date[0],
            "address_canonical": None if row["address"] is None else row["address"].lower().replace("street", "st").replace("avenue", "ave"),
            "city_canonical": None if row["city"] is None else row["city"].lower(),
            "soundex_first_name": sound(row["first_name"]), "soundex_last_name": sound(row["last_name"]),
        }


def write_records(path):
    names = [part.split()[0] for part in COLUMNS.split(",")]
    connection = duckdb.connect()
    connection.execute(f"create table records ({COLUMNS})")
    marks = ", ".join("?" for _ in names)
    connection.executemany(f"insert into records values ({marks})", [[row[name] for name in names] for row in records()])
    connection.execute(f"copy records to '{path}' (format parquet, compression zstd)")


def open_linker(connection, model):
    api = DuckDBAPI(connection=connection)
    # Splink 5 registers tables first; Splink 4 takes the name and the database.
    return Linker(api.register("people"), model) if hasattr(api, "register") else Linker("people", model, db_api=api)


def connect(records):
    connection = duckdb.connect()
    connection.execute("set threads=1")
    if duckdb.__version__ >= "2":
        # Splink 5.0.0 writes lambdas as x -> y, which DuckDB 2 takes no more unless asked.
        connection.execute("set lambda_syntax='ENABLE_SINGLE_ARROW'")
    connection.execute(f"create table people as {records}")
    return connection


def models():
    for file in sorted(os.listdir("models")):
        with open(f"models/{file}") as source:
            yield file.removesuffix(".json"), json.load(source), "select * from 'records.parquet'"
    with open("library-records.sql") as source:
        records = source.read()
    for name, model in library_models():
        yield name, model, records


logging.disable(logging.WARNING)
if not os.path.exists("records.parquet"):
    write_records("records.parquet")
folder = f"splink{splink.__version__.split('.')[0]}"
os.makedirs(folder, exist_ok=True)
plans = {}
for name, model, records in models():
    training = plans[name] = model.pop("training")
    if name not in (sys.argv[1:] or [name]):
        continue
    linker = open_linker(connect(records), model)
    steps = linker.training
    steps.estimate_probability_two_random_records_match(training["deterministic_rules"], recall=training["recall"])
    # More than there are pairs, and Splink 5 not to stop early: all are counted, so u has no sampling error.
    everything = {} if splink.__version__.startswith("4") else {"min_count_per_level": None}
    steps.estimate_u_using_random_sampling(max_pairs=1e8, **everything)
    for rule in training["em_rules"]:
        steps.estimate_parameters_using_expectation_maximisation(rule, fix_u_probabilities=True)
    trained = f"{folder}/{name}.model.json"
    linker.misc.save_model_to_json(trained, overwrite=True)
    with open(trained) as source:
        saved = json.load(source)
    connection = connect(records)
    pairs = open_linker(connection, saved).inference.predict(threshold_match_probability=1e-4)
    # DuckDB 2 wants a result fetched to its end before the next query.
    count = connection.execute(f"select count(*) from {pairs.physical_name}").fetchall()[0][0]
    gammas = ", ".join(f"gamma_{comparison['output_column_name']}" for comparison in saved["comparisons"])
    connection.execute(
        f"copy (select record_id_l, record_id_r, match_weight, match_key, {gammas} from {pairs.physical_name} order by 1, 2)"
        f" to '{folder}/{name}.pairs.parquet' (format parquet, compression zstd)"
    )
    print(folder, name, count, "pairs")
with open("library-training.json", "w") as out:
    json.dump({name: plans[name] for name, _ in library_models()}, out, indent=1)
    out.write("\n")
