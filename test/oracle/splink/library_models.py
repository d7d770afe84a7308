"""Models made with Splink's own library of comparisons: names, addresses, dates and arrays. recipe.py trains and runs them."""
import splink.comparison_level_library as cll
import splink.comparison_library as cl
from splink import ColumnExpression as C
from splink import SettingsCreator, block_on

FIRST_LETTERS = block_on("substr(last_name, 1, 2)", "zip")
RULES = [block_on("ssn"), block_on("birthdate"), FIRST_LETTERS, block_on("first_name", "gender")]
COMPARISONS = {
    "names": [
        cl.ForenameSurnameComparison("first_name", "last_name", forename_surname_concat_col_name="full_name"),
        cl.NameComparison("maiden_name", jaro_winkler_thresholds=[0.92, 0.7], dmeta_col_name="sounds"),
        cl.EmailComparison("email"),
        cl.JaccardAtThresholds(C("city").lower(), [0.9, 0.6, 0.4]),
        cl.DamerauLevenshteinAtThresholds(C("ssn").substr(6, 4), 1),
        cl.JaroAtThresholds("address", [0.8]),
        cl.CustomComparison(
            [
                cll.NullLevel("gender"),
                cll.And(cll.LiteralMatchLevel("gender", "F", "string"), cll.ColumnsReversedLevel("last_name", "maiden_name")),
                cll.ExactMatchLevel("gender", term_frequency_adjustments=True),
                cll.LiteralMatchLevel("gender", "F", "string", "left"),
                cll.ElseLevel(),
            ],
            output_column_name="gender",
        ),
    ],
    "addresses": [
        cl.PostcodeComparison("postcode", invalid_postcodes_as_null=True, lat_col="place['lat']", long_col="place['long']", km_thresholds=[0.5, 5, 50]),
        cl.DistanceInKMAtThresholds("latitude", "longitude", [0.3, 12.5]),
        cl.LevenshteinAtThresholds("address", [1, 3]),
        cl.CustomComparison(
            [
                cll.NullLevel("city"),
                cll.ExactMatchLevel("city", term_frequency_adjustments=True),
                cll.DamerauLevenshteinLevel("city", 1),
                cll.DistanceInKMLevel("latitude", "longitude", 20, not_null=True),
                cll.ElseLevel(),
            ],
            output_column_name="town",
        ),
        cl.CustomComparison(
            [
                cll.NullLevel("house"),
                cll.ExactMatchLevel("house"),
                cll.AbsoluteDifferenceLevel("house", 2),
                cll.PercentageDifferenceLevel("house", 0.1),
                cll.ElseLevel(),
            ],
            output_column_name="house",
        ),
    ],
    "dates": [
        cl.DateOfBirthComparison("born", input_is_string=True),
        cl.DateOfBirthComparison("admitted", input_is_string=False, datetime_thresholds=[3, 2], datetime_metrics=["day", "year"]),
        cl.AbsoluteDateDifferenceAtThresholds(
            "moved", input_is_string=True, metrics=["day", "month"], thresholds=[1, 6], datetime_format="%d/%m/%Y"
        ),
        cl.AbsoluteTimeDifferenceAtThresholds("seen", input_is_string=True, metrics=["minute", "hour", "day"], thresholds=[30, 12, 2]),
        cl.CustomComparison(
            [
                cll.NullLevel("income"),
                cll.AbsoluteDifferenceLevel("income", 1),
                cll.PercentageDifferenceLevel("income", 0.1),
                cll.Not(cll.PercentageDifferenceLevel("income", 0.9)),
                cll.ElseLevel(),
            ],
            output_column_name="income",
        ),
        cl.ExactMatch("zip").configure(term_frequency_adjustments=True),
    ],
    "arrays": [
        cl.ArrayIntersectAtSizes("tags", [2, 1]),
        cl.PairwiseStringDistanceFunctionAtThresholds("names", "jaro_winkler", [0.95, 0.8]),
        cl.PairwiseStringDistanceFunctionAtThresholds("numbers", "damerau_levenshtein", [1, 2]),
        cl.CustomComparison(
            [
                cll.NullLevel("words"),
                cll.ArraySubsetLevel("words"),
                cll.ArrayIntersectLevel(C("string_split(address, ' ')"), 2),
                cll.ArraySubsetLevel("tags", empty_is_subset=True),
                cll.ElseLevel(),
            ],
            output_column_name="words",
        ),
        cl.CosineSimilarityAtThresholds("letters", [0.999, 0.99, 0.95]),
        cl.CosineSimilarityAtThresholds("where_and_when", [0.9999, 0.99]),
        cl.ExactMatch("zip"),
    ],
}
# What the rules of EM leave open differs by model; every comparison is trained by one of them.
EM_RULES = {"names": ["ssn", "birthdate"], "addresses": ["ssn", "birthdate"], "dates": ["ssn", "last_name"], "arrays": ["ssn", "birthdate"]}


def library_models():
    for name, comparisons in COMPARISONS.items():
        settings = SettingsCreator(
            link_type="dedupe_only",
            unique_id_column_name="record_id",
            comparisons=comparisons,
            blocking_rules_to_generate_predictions=RULES,
            retain_intermediate_calculation_columns=True,
            # Where EM moves slowly it goes on until its start shows no more; elsewhere levels that no match is on would fall to nothing.
            em_convergence=1e-6 if name == "dates" else 1e-4,
            max_iterations=100,
        )
        training = {"deterministic_rules": ["l.ssn = r.ssn"], "recall": 0.6, "em_rules": [f"l.{column} = r.{column}" for column in EM_RULES[name]]}
        yield name, {**settings.create_settings_dict("duckdb"), "training": training}
