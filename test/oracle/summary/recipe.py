"""Clinical summaries, computed the slow and plain way: one record at a time, straight from the written rules.

Makes the oracle of test/records/summary.test.ts and checks a whole population against summaries written by the product:

  python recipe.py ../../../examples/data --every 15 > sample.json      SHA-256 of every 15th record's summary, by record id
  python recipe.py RUN_FOLDER --compare summaries.parquet       how many of the file's (record_id, summary) rows are equal

Needs pandas and pyarrow. Shares no code with src/.
"""
import argparse
import hashlib
import json
import re
import sys
from pathlib import Path

import pandas as pd

METRICS = [
    "Body Height", "Body Weight", "Body Mass Index", "Systolic Blood Pressure", "Diastolic Blood Pressure",
    "Hemoglobin A1c/Hemoglobin.total in Blood", "Glucose", "Total Cholesterol",
]
COLUMNS = {
    "conditions": ["START", "STOP", "DESCRIPTION"],
    "medications": ["DESCRIPTION", "START", "STOP"],
    "allergies": ["DESCRIPTION"],
    "observations": ["DATE", "DESCRIPTION", "VALUE", "UNITS"],
    "procedures": ["START", "DESCRIPTION"],
}


def missing(value):
    return value is None or pd.isna(value)


def blank(value):
    return missing(value) or str(value).strip() == ""


def moment(value):
    if missing(value):
        return None
    parsed = pd.to_datetime(value, errors="coerce", utc=True)
    return None if pd.isna(parsed) else parsed


def year(value):
    when = moment(value)
    return None if when is None else when.year


def conditions(rows):
    by_year = {}
    for row in rows:
        when = year(row["START"])
        if when is None:
            continue
        text = "None" if missing(row["DESCRIPTION"]) else row["DESCRIPTION"]
        by_year.setdefault(when, []).append(text + (" *" if blank(row["STOP"]) else ""))
    return "\n".join(["CONDITIONS:"] + [f"  {when:04d}: {'; '.join(by_year[when])}" for when in sorted(by_year)])


def medications(rows):
    by_drug = {}
    for row in rows:
        by_drug.setdefault(row["DESCRIPTION"], []).append(row)
    lines = ["MEDICATIONS:"]
    for drug, courses in by_drug.items():
        first = min((y for y in (year(c["START"]) for c in courses) if y is not None), default=None)
        last = max((y for y in (year(c["STOP"]) for c in courses) if y is not None), default=None)
        if any(blank(c["STOP"]) for c in courses):
            period = "ongoing" if first is None else f"{first}\u2013ongoing"
        else:
            period = "unknown" if first is None or last is None else f"{first}\u2013{last}"
        lines.append(f"- {drug} ({period})")
    return "\n".join(lines)


def allergies(rows):
    return "ALLERGIES: " + "; ".join(sorted({row["DESCRIPTION"] for row in rows}))


def observations(rows, date_is_text):
    lines = ["OBSERVATIONS:"]
    for metric in METRICS:
        pattern = re.compile(metric, re.IGNORECASE)
        found = [row for row in rows if not missing(row["DESCRIPTION"]) and pattern.search(row["DESCRIPTION"])]
        dated = [row for row in found if moment(row["DATE"]) is not None]
        undated = [row for row in found if moment(row["DATE"]) is None]
        dated.sort(key=lambda row: moment(row["DATE"]))  # stable: file order within a moment
        readings = []
        for row in (dated + undated)[-2:]:
            if blank(row["VALUE"]):
                continue
            units = "" if missing(row["UNITS"]) or row["UNITS"] == "" else f" {row['UNITS']}"
            date = ("None" if date_is_text else "NaT") if missing(row["DATE"]) else str(row["DATE"])[:10]
            readings.append(f"{row['VALUE']}{units} ({date})")
        if readings:
            lines.append(f"- {metric}: {', '.join(readings)}")
    return "\n".join(lines)


def procedures(rows):
    by_name = {}
    for row in rows:
        years = by_name.setdefault(row["DESCRIPTION"], set())
        if year(row["START"]) is not None:
            years.add(year(row["START"]))
    return "\n".join(["PROCEDURES:"] + [f"- {name} ({', '.join(map(str, sorted(years)))})" for name, years in by_name.items()])


def facility_summaries(folder, keep):
    """Yields (record id, summary) of the facility's records for which keep(record id)."""
    ids = pd.read_parquet(folder / "patients.parquet", columns=["Id"])["Id"]
    wanted = {patient: f"{folder.name}_{patient}" for patient in ids if keep(f"{folder.name}_{patient}")}
    rows = {}
    date_is_text = False
    for table, columns in COLUMNS.items():
        frame = pd.read_parquet(folder / f"{table}.parquet", columns=["PATIENT"] + columns)
        frame = frame[frame["PATIENT"].isin(wanted.keys())]
        if table == "observations":
            date_is_text = not pd.api.types.is_datetime64_any_dtype(frame["DATE"])
            shown = frame["DESCRIPTION"].str.contains("|".join(METRICS), flags=re.IGNORECASE, na=False)
            for patient in frame["PATIENT"].unique():
                rows.setdefault((patient, table), [])
            frame = frame[shown]  # only to save time: the others print nothing
        for row in frame.to_dict("records"):
            rows.setdefault((row["PATIENT"], table), []).append(row)
    for patient, record in wanted.items():
        parts = []
        for table in COLUMNS:
            if (patient, table) not in rows:
                continue
            own = rows[patient, table]
            parts.append(observations(own, date_is_text) if table == "observations" else globals()[table](own))
        yield record, "\n\n".join(parts) or "No clinical records available."


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--every", type=int, default=1)
    arguments.add_argument("--compare", type=Path)
    options = arguments.parse_args()
    facilities = sorted((options.folder / "facilities").glob("facility_*"))
    records = sorted(f"{f.name}_{i}" for f in facilities for i in pd.read_parquet(f / "patients.parquet", columns=["Id"])["Id"])
    chosen = set(records[:: options.every])
    if options.compare:
        theirs = pd.read_parquet(options.compare).set_index("record_id")["summary"]
        equal = different = 0
        for facility in facilities:
            for record, summary in facility_summaries(facility, chosen.__contains__):
                if theirs.get(record) == summary:
                    equal += 1
                    continue
                different += 1
                if different <= 3:
                    print(f"--- {record}\n{summary}\n+++\n{theirs.get(record)}", file=sys.stderr)
        print(json.dumps({"records": len(records), "compared": equal + different, "equal": equal, "rows": len(theirs)}))
        return
    sums = {r: hashlib.sha256(s.encode()).hexdigest() for f in facilities for r, s in facility_summaries(f, chosen.__contains__)}
    print(json.dumps(dict(sorted(sums.items())), indent=1))


if __name__ == "__main__":
    main()
