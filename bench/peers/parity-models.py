"""Writes five untrained Splink models over the people of bench/people.ts, as users write them with Splink's own libraries of comparisons.

usage: python parity-models.py FOLDER        writes FOLDER/names.json, addresses.json, dates.json, arrays.json, sql.json
"""
import json
import sys

import splink.comparison_level_library as cll
import splink.comparison_library as cl
from splink import ColumnExpression, SettingsCreator, block_on

RARITY = dict(term_frequency_adjustments=True)
SSN = cl.LevenshteinAtThresholds("ssn", [1, 2])
TWO_NAMES = [block_on("ssn"), block_on("first_name", "last_name"), block_on("last_name", "city"), block_on("first_name", "zip")]
# Rules that are no plain equality.
EXPLODED = block_on("first_name", "city", "tags", arrays_to_explode=["tags"])
CONDITIONED = "l.first_name = r.first_name and l.zip = r.zip and abs(length(l.address) - length(r.address)) <= 3"


def level(sql, **more):
    return {"sql_condition": sql, "label_for_charts": sql[:60], **more}


MODELS = {
    "names": (
        [
            cl.ForenameSurnameComparison("first_name", "last_name"),
            cl.NameComparison("city").configure(**RARITY),
            cl.JaroAtThresholds("address", [0.9, 0.7]),
            cl.DamerauLevenshteinAtThresholds("birthdate", [1, 2]),
            SSN,
        ],
        [*TWO_NAMES, block_on("substr(first_name, 1, 1)", "birthdate")],
    ),
    "addresses": (
        [
            cl.JaroWinklerAtThresholds("last_name", [0.92, 0.8]).configure(**RARITY),
            cl.JaccardAtThresholds("address", [0.9, 0.7]),
            cl.DistanceInKMAtThresholds("latitude", "longitude", [0.5, 5, 50]),
            cl.CustomComparison(
                [
                    cll.NullLevel("zip"),
                    cll.ExactMatchLevel("zip", term_frequency_adjustments=True),
                    cll.ExactMatchLevel(ColumnExpression("zip").substr(1, 3)),
                    cll.ElseLevel(),
                ],
                output_column_name="zip",
            ),
            cl.ExactMatch("ssn"),
        ],
        [block_on("ssn"), block_on("address"), block_on("last_name", "city"), block_on("last_name", "substr(zip, 1, 4)")],
    ),
    "dates": (
        [
            cl.JaroWinklerAtThresholds("first_name", [0.92, 0.8]).configure(**RARITY),
            cl.ExactMatch("last_name").configure(**RARITY),
            cl.CustomComparison(
                [
                    cll.NullLevel("birthdate"),
                    cll.ExactMatchLevel("birthdate"),
                    cll.DamerauLevenshteinLevel("birthdate", 1),
                    *[
                        cll.AbsoluteDateDifferenceLevel("birthdate", input_is_string=True, metric=metric, threshold=threshold)
                        for metric, threshold in [("day", 10), ("month", 1), ("year", 1), ("year", 10)]
                    ],
                    cll.ElseLevel(),
                ],
                output_column_name="birthdate",
            ),
            SSN,
        ],
        [block_on("ssn"), block_on("birthdate"), block_on("first_name", "last_name")],
    ),
    "arrays": (
        [
            cl.JaroWinklerAtThresholds("first_name", [0.9]),
            cl.JaroWinklerAtThresholds("last_name", [0.9]).configure(**RARITY),
            cl.ArrayIntersectAtSizes("tags", [3, 2, 1]),
            cl.DateOfBirthComparison("birthdate", input_is_string=True),
            cl.ExactMatch("ssn"),
        ],
        [block_on("ssn"), block_on("first_name", "last_name"), block_on("birthdate", "last_name"), EXPLODED],
    ),
    "sql": (
        [
            cl.CustomComparison(
                [
                    level("first_name_l is null or first_name_r is null", is_null_level=True),
                    level("first_name_l = first_name_r", tf_adjustment_column="first_name", tf_adjustment_weight=0.5),
                    level("starts_with(first_name_l, substr(first_name_r, 1, 3))"),
                    level("ELSE"),
                ],
                output_column_name="first_name",
            ),
            cl.CustomComparison(
                [
                    level("last_name_l is null or last_name_r is null", is_null_level=True),
                    level("last_name_l = last_name_r", tf_adjustment_column="last_name"),
                    level("abs(length(last_name_l) - length(last_name_r)) <= 1 and levenshtein(last_name_l, last_name_r) <= 2"),
                    level("regexp_replace(last_name_l, '[aeiouy]', '', 'g') = regexp_replace(last_name_r, '[aeiouy]', '', 'g')"),
                    level("ELSE"),
                ],
                output_column_name="last_name",
            ),
            cl.CustomComparison(
                [
                    level("birthdate_l is null or birthdate_r is null", is_null_level=True),
                    level("birthdate_l = birthdate_r"),
                    level("substr(birthdate_l, 1, 4) = substr(birthdate_r, 1, 4) and substr(birthdate_l, 6, 2) = substr(birthdate_r, 9, 2)"),
                    level("abs(cast(substr(birthdate_l, 1, 4) as integer) - cast(substr(birthdate_r, 1, 4) as integer)) <= 1"),
                    level("ELSE"),
                ],
                output_column_name="birthdate",
            ),
            cl.ExactMatch("ssn"),
        ],
        [block_on("ssn"), block_on("last_name", "city"), CONDITIONED, block_on("address")],
    ),
}

TRAINING = {
    "deterministic_rules": ["l.ssn = r.ssn", "l.first_name = r.first_name and l.last_name = r.last_name and l.birthdate = r.birthdate"],
    "recall": 0.7,
    "u_max_pairs": 1e6,
    "em_rules": ["l.ssn = r.ssn", "l.last_name = r.last_name and l.zip = r.zip", "l.birthdate = r.birthdate and l.first_name = r.first_name"],
}

for name, (comparisons, rules) in MODELS.items():
    settings = SettingsCreator(link_type="dedupe_only", comparisons=comparisons, blocking_rules_to_generate_predictions=rules)
    with open(f"{sys.argv[1]}/{name}.json", "w") as file:
        json.dump({**settings.create_settings_dict("duckdb"), "training": TRAINING}, file, indent=1)
