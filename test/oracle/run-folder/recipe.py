"""Writes a tiny run folder the way the Python pipeline does: CSV read by Arrow's guesses, split per facility through pandas.

  python recipe.py OUT        (pandas and pyarrow)

What Arrow and pandas make of the data is the point: ZIP int64 at facility 1 and double at facility 2 (one is blank), codes as double
where a cell is empty, columns of type null, dates as date32, timestamp[ms] and timestamp[us], empty strings for empty cells.
"""
import io
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

TABLES = {
    "patients": """Id,BIRTHDATE,DEATHDATE,SSN,FIRST,LAST,MAIDEN,GENDER,ADDRESS,CITY,STATE,FIPS,ZIP
p1,1980-02-29,,999-12-3456,Bob,O'Brien,,M,12 Oak Street Apt 4,Hull,Massachusetts,25023,02045
p2,1990-01-01,2020-05-05,999-65-4321,Ann,Lee,Gray,F,3 Elm Road,Boston,Massachusetts,,02108
p3,2001-12-31,,,Zoe,Nan,,F,,,Massachusetts,25025,""",
    "encounters": """Id,START,STOP,PATIENT,ENCOUNTERCLASS,CODE,DESCRIPTION,REASONCODE,REASONDESCRIPTION
e1,2019-03-02T08:00:00Z,2019-03-02T08:15:00Z,p1,ambulatory,185349003,Encounter for check up (procedure),,
e2,2020-03-02T08:00:00Z,2020-03-02T08:15:00Z,p2,wellness,162673000,General examination of patient (procedure),10509002,Acute bronchitis (disorder)""",
    "conditions": """START,STOP,PATIENT,ENCOUNTER,SYSTEM,CODE,DESCRIPTION
2019-03-02,2019-03-16,p1,e1,http://snomed.info/sct,10509002,Acute bronchitis (disorder)
2020-03-02,,p2,e2,http://snomed.info/sct,15777000,Prediabetes (finding)""",
    "medications": """START,STOP,PATIENT,PAYER,ENCOUNTER,CODE,DESCRIPTION,REASONCODE,REASONDESCRIPTION
2019-03-02T08:00:00Z,2019-03-16T08:00:00Z,p1,x,e1,308182,Amoxicillin 250 MG Oral Capsule,10509002,Acute bronchitis (disorder)
2020-03-02T08:00:00Z,,p2,x,e2,860975,Metformin 500 MG Oral Tablet,,""",
    "observations": """DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE
2019-03-02T08:00:00Z,p1,e1,vital-signs,8302-2,Body Height,171.0,cm,numeric
2019-03-02T08:00:00Z,p1,e1,survey,72166-2,Tobacco smoking status,Never smoked tobacco (finding),,text
2020-03-02T08:00:00Z,p2,,vital-signs,29463-7,Body Weight,70.5,kg,numeric""",
    "procedures": """START,STOP,PATIENT,ENCOUNTER,SYSTEM,CODE,DESCRIPTION,BASE_COST,REASONCODE,REASONDESCRIPTION
2019-03-02T08:00:00Z,2019-03-02T08:15:00Z,p1,e1,http://snomed.info/sct,399208008,Plain X-ray of chest (procedure),431.40,,""",
    "immunizations": """DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,BASE_COST
2019-03-02T08:00:00Z,p1,e1,140,Influenza seasonal injectable preservative free,136.00""",
    "allergies": """START,STOP,PATIENT,ENCOUNTER,CODE,SYSTEM,DESCRIPTION,TYPE,CATEGORY,REACTION1,DESCRIPTION1,SEVERITY1
2019-03-02,,p1,e1,419474003,Unknown,Allergy to mould,allergy,environment,,,""",
    "careplans": """Id,START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION,REASONCODE,REASONDESCRIPTION
c1,2019-03-02,2019-06-02,p1,e1,53950000,Respiratory therapy (procedure),10509002,Acute bronchitis (disorder)""",
    "imaging_studies": "Id,DATE,PATIENT,ENCOUNTER,BODYSITE_CODE,MODALITY_CODE\ni1,2019-03-02T08:00:00Z,p1,e1,51185008,DX",
    "devices": "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION,UDI\n2019-03-02T08:00:00Z,,p1,e1,170615005,Home nebulizer,(01)x",
    "supplies": "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,QUANTITY\n2019-03-02,p1,e1,337388004,Blood glucose testing strips,50",
}
MOMENTS = {"encounters": ["START", "STOP"], "patients": ["BIRTHDATE", "DEATHDATE"]}
MEMBERS = {1: ["p1", "p2"], 2: ["p1", "p3"]}


def read(table):
    convert = csv.ConvertOptions(
        column_types={column: pa.timestamp("us") for column in MOMENTS.get(table, [])},
        timestamp_parsers=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"],
    )
    return csv.read_csv(io.BytesIO(TABLES[table].encode()), convert_options=convert)


def main(out):
    for table in TABLES:
        whole = read(table)
        # Through pandas and back under the first schema that fits, as the splitter does: integers with a gap become double.
        frame = whole.to_pandas()
        key = "Id" if table == "patients" else "PATIENT"
        for facility, members in MEMBERS.items():
            part = frame[frame[key].isin(members)]
            if part.empty:
                rows = pa.Table.from_pandas(frame, preserve_index=False).slice(0, 0)
            else:
                rows = pa.Table.from_pandas(part if table != "patients" or facility == 2 else part.astype({"ZIP": "int64"}), preserve_index=False)
            folder = Path(out) / "facilities" / f"facility_{facility:03d}"
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(rows, folder / f"{table}.parquet")


if __name__ == "__main__":
    main(sys.argv[1])
