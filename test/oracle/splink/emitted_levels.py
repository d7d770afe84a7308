"""Prints the SQL that every level and every ready-made comparison of Splink's library emits for DuckDB.

usage, from this folder, once per version (Splink 4.0.17, Splink 5.0.0; both with sqlglot 30.30.0):

    python emitted_levels.py

Writes splink<major>/emitted-levels.json: [level as one writes it in Python, the SQL conditions it emits], with default and with odd arguments.
"""
import json
import os

import splink
import splink.comparison_level_library as cll
import splink.comparison_library as cl
from splink import ColumnExpression

C = ColumnExpression
WRITTEN = """
cll.NullLevel("name")
cll.NullLevel("first name")
cll.NullLevel("Größe")
cll.NullLevel("postcode", valid_string_pattern="^[A-Z]{2}[0-9]$")
cll.NullLevel(C("a || b").lower())
cll.ElseLevel()
cll.ExactMatchLevel("name")
cll.ExactMatchLevel("name", term_frequency_adjustments=True)
cll.ExactMatchLevel("group")
cll.ExactMatchLevel("it's")
cll.ExactMatchLevel("names[1]")
cll.ExactMatchLevel("place['city']")
cll.ExactMatchLevel("tall_l")
cll.ExactMatchLevel(C("name").lower())
cll.ExactMatchLevel(C("name").substr(1, 3))
cll.ExactMatchLevel(C("name").cast_to_string())
cll.ExactMatchLevel(C("name").nullif("N/A"))
cll.ExactMatchLevel(C("name").regex_extract("^[^@]+", 0))
cll.ExactMatchLevel(C("names").access_extreme_array_element("first"))
cll.ExactMatchLevel(C("names").access_extreme_array_element("last"))
cll.ExactMatchLevel(C("born").try_parse_date())
cll.ExactMatchLevel(C("seen").try_parse_timestamp("%d/%m/%Y %H:%M"))
cll.ExactMatchLevel(C("coalesce(maiden_name, name)"))
cll.ExactMatchLevel(C("first_name || ' ' || last_name").lower().substr(1, 4))
cll.LiteralMatchLevel("sex", "male", "string")
cll.LiteralMatchLevel("sex", "male", "string", side_of_comparison="left")
cll.LiteralMatchLevel("sex", "it''s", "string", side_of_comparison="right")
cll.LiteralMatchLevel("age", "3", "int")
cll.LiteralMatchLevel("age", "-3", "int", "left")
cll.LiteralMatchLevel("height", "1.5", "float")
cll.LiteralMatchLevel("born", "1970-01-01", "date")
cll.LiteralMatchLevel(C("sex").lower(), "m", "string", "right")
cll.ColumnsReversedLevel("first_name", "last_name")
cll.ColumnsReversedLevel("first_name", "last_name", symmetrical=True)
cll.ColumnsReversedLevel(C("first_name").lower(), C("last_name").lower(), symmetrical=True)
cll.LevenshteinLevel("name", 2)
cll.LevenshteinLevel("name", 0)
cll.LevenshteinLevel(C("name").lower(), 1)
cll.DamerauLevenshteinLevel("name", 1)
cll.JaroWinklerLevel("name", 0.92)
cll.JaroWinklerLevel("name", 1)
cll.JaroLevel("name", 0.9)
cll.JaccardLevel("name", 0.9)
cll.JaccardLevel(C("name").substr(1, 9), 0)
cll.DistanceFunctionLevel("name", "jaro_winkler_similarity", 0.8)
cll.DistanceFunctionLevel("name", "levenshtein", 2, higher_is_more_similar=False)
cll.DistanceFunctionLevel("name", "hamming", 2, higher_is_more_similar=False)
cll.DistanceFunctionLevel("name", "jaccard", 0.7, higher_is_more_similar=True)
cll.PairwiseStringDistanceFunctionLevel("names", "levenshtein", 2)
cll.PairwiseStringDistanceFunctionLevel("names", "damerau_levenshtein", 1)
cll.PairwiseStringDistanceFunctionLevel("names", "jaro_winkler", 0.9)
cll.PairwiseStringDistanceFunctionLevel("all names", "jaro", 0.75)
cll.AbsoluteTimeDifferenceLevel("seen", input_is_string=True, threshold=1, metric="second")
cll.AbsoluteTimeDifferenceLevel("seen", input_is_string=True, threshold=2.5, metric="hour", datetime_format="%Y-%m-%d %H:%M")
cll.AbsoluteTimeDifferenceLevel("seen", input_is_string=False, threshold=1, metric="month")
cll.AbsoluteTimeDifferenceLevel("seen", input_is_string=False, threshold=30, metric="minute")
cll.AbsoluteDateDifferenceLevel("born", input_is_string=True, threshold=1, metric="day")
cll.AbsoluteDateDifferenceLevel("born", input_is_string=True, threshold=10, metric="year", datetime_format="%d/%m/%Y")
cll.AbsoluteDateDifferenceLevel("born", input_is_string=False, threshold=1, metric="year")
cll.DistanceInKMLevel("lat", "long", 1)
cll.DistanceInKMLevel("lat", "long", 0.1, not_null=True)
cll.DistanceInKMLevel("place['lat']", "place['long']", 50)
cll.DistanceInKMLevel("place[1]", "place[2]", 2.5)
cll.DistanceInKMLevel(C("cast(lat as double)"), C("cast(long as double)"), 10)
cll.CosineSimilarityLevel("embedding", 0.9)
cll.CosineSimilarityLevel("embedding", 0)
cll.ArrayIntersectLevel("tags")
cll.ArrayIntersectLevel("tags", 3)
cll.ArrayIntersectLevel("all tags", 0)
cll.ArrayIntersectLevel(C("string_split(tags, ' ')"), 2)
cll.ArraySubsetLevel("tags")
cll.ArraySubsetLevel("tags", empty_is_subset=True)
cll.ArraySubsetLevel(C("string_split(tags, ' ')"))
cll.PercentageDifferenceLevel("price", 0.1)
cll.PercentageDifferenceLevel("price", 0)
cll.AbsoluteDifferenceLevel("price", 10)
cll.AbsoluteDifferenceLevel("price", 0.5)
cll.AbsoluteDifferenceLevel(C("cast(price as double)"), 1e-7)
cll.And(cll.ExactMatchLevel("first_name"), cll.LevenshteinLevel("last_name", 1))
cll.Or(cll.JaccardLevel("name", 0.9), cll.ArrayIntersectLevel("tags"))
cll.Not(cll.ExactMatchLevel("sex"))
cll.Not(cll.And(cll.LiteralMatchLevel("sex", "male", "string"), cll.DistanceInKMLevel("lat", "long", 1, not_null=True)))
cll.And(cll.ArraySubsetLevel("tags"), cll.PairwiseStringDistanceFunctionLevel("names", "jaro", 0.8), cll.PercentageDifferenceLevel("price", 0.2))
cll.CustomLevel("len(list_intersect(tags_l, tags_r)) >= 2")
cll.CustomLevel("substr(name_l, 1, 1) = substr(name_r, 1, 1)")
cl.ExactMatch("name")
cl.LevenshteinAtThresholds("name")
cl.LevenshteinAtThresholds("name", [1, 3])
cl.DamerauLevenshteinAtThresholds("name")
cl.JaccardAtThresholds("name")
cl.JaroAtThresholds("name")
cl.JaroWinklerAtThresholds("name", 0.85)
cl.DistanceFunctionAtThresholds("name", "jaro_similarity", [0.9, 0.8])
cl.PairwiseStringDistanceFunctionAtThresholds("names", "jaro_winkler", [0.95, 0.8])
cl.PairwiseStringDistanceFunctionAtThresholds("names", "levenshtein", 1)
cl.AbsoluteTimeDifferenceAtThresholds("seen", input_is_string=True, metrics=["minute", "day"], thresholds=[5, 1])
cl.AbsoluteTimeDifferenceAtThresholds("seen", input_is_string=False, metrics="hour", thresholds=1)
cl.AbsoluteDateDifferenceAtThresholds("born", input_is_string=True, metrics=["day", "month"], thresholds=[1, 1])
cl.AbsoluteDateDifferenceAtThresholds("born", input_is_string=True, metrics="year", thresholds=1, invalid_dates_as_null=False)
cl.AbsoluteDateDifferenceAtThresholds("born", input_is_string=False, metrics=["day", "year"], thresholds=[2, 1], term_frequency_adjustments=True)
cl.ArrayIntersectAtSizes("tags")
cl.ArrayIntersectAtSizes("tags", [3, 1])
cl.DistanceInKMAtThresholds("lat", "long", [1, 10])
cl.CosineSimilarityAtThresholds("embedding")
cl.DateOfBirthComparison("born", input_is_string=True)
cl.DateOfBirthComparison("born", input_is_string=True, datetime_thresholds=[1, 2], datetime_metrics=["day", "month"], datetime_format="%d/%m/%Y", invalid_dates_as_null=False)
cl.DateOfBirthComparison("born", input_is_string=False)
cl.DateOfBirthComparison(C("born").nullif("1900-01-01"), input_is_string=True)
cl.PostcodeComparison("postcode")
cl.PostcodeComparison("postcode", invalid_postcodes_as_null=True)
cl.PostcodeComparison("postcode", lat_col="lat", long_col="long", km_thresholds=[0.5, 10])
cl.EmailComparison("email")
cl.EmailComparison(C("email").lower())
cl.NameComparison("name")
cl.NameComparison(C("name").lower(), jaro_winkler_thresholds=[0.9, 0.6], dmeta_col_name="name_dm")
cl.ForenameSurnameComparison("first_name", "last_name")
cl.ForenameSurnameComparison("first_name", "last_name", jaro_winkler_thresholds=0.8, forename_surname_concat_col_name="both_names")
""".strip().splitlines()


def conditions(made):
    if hasattr(made, "get_comparison"):
        return [level["sql_condition"] for level in made.get_comparison("duckdb").as_dict()["comparison_levels"]]
    return [made.get_comparison_level("duckdb").as_dict()["sql_condition"]]


folder = f"splink{splink.__version__.split('.')[0]}"
os.makedirs(folder, exist_ok=True)
rows = [json.dumps([line, conditions(eval(line))], ensure_ascii=False) for line in WRITTEN]
with open(f"{folder}/emitted-levels.json", "w") as out:
    out.write("[\n" + ",\n".join(rows) + "\n]\n")
