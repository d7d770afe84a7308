"""What DVC's YAML writer makes of values: writes yaml.json beside this file.

    python written_yaml.py      (in an environment with dvc 3.67.1)

Each case is a value as JSON and the text DVC writes for it. `rewritten` is what DVC makes of that text when it changes another
stage of the lock, where that differs; `unreadable` marks text that DVC itself reads back as another value, or not at all.
"""

import json
import random
from copy import deepcopy
from pathlib import Path

from dvc.utils.serialize import dumps_yaml, parse_yaml, parse_yaml_for_update
from dvc.utils.serialize._yaml import YAMLFileCorruptedError

rng = random.Random(6)
words = ["a", "--flag", "python", "train.py", "it's", "né", "数据", "x" * 30, "😀", '"q"', "key:", "#no", "a:b", "-", "?", "\\n", "{x}", "${VAR}", "&&", "|", ">", "tab\there", "'", "y" * 90]


def sentence(count):
    parts = []
    for _ in range(count):
        parts.append(rng.choice(words))
        parts.append(rng.choice([" "] * 8 + ["  ", "\n", "\n  ", " \n", "\\", ""]))
    return "".join(parts)


texts = [
    "", " ", "a", "1", "1.0", "1e5", "1e-05", "0x1f", "0o17", "017", "1_000", "true", "True", "yes", "no", "on", "null", "~", "Null", ".inf", ".nan", "-.inf", "nan",
    "2026-01-31", "2026-01-31 10:00:00", "2026-1-3", "12:30", "=", "<<", "-", "- a", "?", "? a", ":", ": a", "a: b", "a:b", "a:", "a #b", "a#b", "#a", "@a", "`a",
    "%a", "!a", "&a", "*a", "|a", ">a", "[a", "]a", "{a", "}a", ",a", "'a", '"a', "a'b", 'a"b', "it's: so", "a\nb", "a\n", "\na", "a\n\nb\n", "a \nb", "a\n b", " a",
    "a ", "\ta", "a\tb", "a\\b", "a\\b'", "---", "--- a", "...", "...a", "--a", "_", "_1", "1_", "+", "+1", "-1", ".5", "5.", ".", "e5", "1e", "0b11", "0b", "é", "naïve",
    "数据", "😀", "a\u00a0b", "a\u200bb", "\ufeffa", "a\x7fb", "a\x1bb", "a\rb", "a\r\nb", "\x00", "C:\\data\\x", "a" * 79, "a" * 80, "a" * 81, "a" * 200,
    "b " * 60, ("word " * 30).strip(), ("word  " * 30).strip(), "it's " + "word " * 30 + "end", "x: " + "word " * 30 + "end", "x: " + "w" * 90 + " " + "v" * 90,
    "python train.py --in data/train.csv --out model.pkl --rate 0.1 --epochs 20 --seed 7 --verbose",
    "set -e\npython train.py --in data/train.csv --out model.pkl --rate 0.1 --epochs 20 --seed 7 --verbose\necho 'done' && ls -la | grep x\n",
    "echo \"it's\" && python train.py --in data/train.csv --out model.pkl --rate 0.1 --epochs 20 --verbose",
    "数" * 100, "数据 " * 40, "a'" + "b" * 100 + "\n" + "c" * 100, "'" * 100,
]
texts += [sentence(rng.randint(1, 40)) for _ in range(150)]

values = [
    0, 1, -1, 10**30, 1.0, 0.1, -0.0, 1e-05, 1e-7, 0.0001, 1e15, 1e16, 1e17, 1.5e300, 123456789012345680.0, 5e-324, True, False, None, [], {}, [[]], [{}], [None, 1], [[1, 2], [3]],
    [[[1]], {"a": [1]}], {"a": None, "b": [], "c": {}}, {"a": {"b": {"c": [1, {"d": 2, "e": [3]}]}}}, [{"a": 1, "b": 2}, {"a": {"x": 1}}],
    [["a", {"b": ["c"]}], "d"], {"k" * 122: 1}, {"k" * 123: 1}, {"a b c " * 15 + "z": 1}, {"1": "a", "true": 1, "a: b": 2, "it's": 3, "": 4}, {"a\nb": 1}, ["x " * 50, {"y": "x " * 50}],
]
cases = []
for value in values + texts:
    for shape in ({"v": value}, {"p": {"params.yaml": {"some.key": value}}, "l": [deepcopy(value)]}):
        if value in texts[-150:] and "l" not in shape:
            continue
        text = dumps_yaml(shape)
        case = {"input": json.dumps(shape, ensure_ascii=False), "text": text}
        try:
            if parse_yaml(text, "dvc.lock") != shape:
                case["unreadable"] = True
            elif (again := dumps_yaml(parse_yaml_for_update(text, "dvc.lock"))) != text:
                case["rewritten"] = again
        except YAMLFileCorruptedError:
            case["unreadable"] = True
        cases.append(case)

# The same list or map in two places stands once, behind an anchor.
shared = [1, {"a": None}]
for shape in ({"a": shared, "b": shared}, {"a": [shared, shared], "b": {"c": shared}}, {"a": (one := {"x": 1}), "b": [one, (two := []), two]}, {"a": [[one], one], "b": [(three := [[1]]), three]}):
    cases.append({"input": dumps_yaml(shape), "text": dumps_yaml(shape)})

Path(__file__).with_name("yaml.json").write_text(json.dumps(cases, indent=0) + "\n")
print(len(cases), sum("rewritten" in case for case in cases), sum("unreadable" in case for case in cases))
