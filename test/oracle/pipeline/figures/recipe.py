"""What DVC shows of the project in project.json: parameters and figures that changed since the first commit, and points of its plots.

Run with DVC 3.67.1, git in the path: python recipe.py (writes shown.json beside this file).
"""

import json
import pathlib
import re
import subprocess
import tempfile

here = pathlib.Path(__file__).parent
project = json.loads((here / "project.json").read_text())


def fill(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def points(entry):
    """Labels, and the points of each series as the page draws them."""
    anchors = entry["anchor_definitions"]
    text = json.dumps(entry["content"])
    x, y = (re.search(rf'"{axis}": {{"field": "([^"]+)"', text).group(1) for axis in "xy")
    series = {}
    for row in anchors["<DVC_METRIC_DATA>"]:
        name = next((row[key] for key in ("filename::field", "field", "filename") if key in row), "")
        series.setdefault(name, []).append([float(row[x]), float(row[y])])
    return {
        "title": anchors["<DVC_METRIC_TITLE>"],
        "x_label": anchors["<DVC_METRIC_X_LABEL>"],
        "y_label": anchors["<DVC_METRIC_Y_LABEL>"],
        "series": list(series.values()),
    }


with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)

    def run(*words):
        return subprocess.run(words, cwd=root, check=True, capture_output=True, text=True).stdout

    run("git", "init", "-q", ".")
    run("dvc", "init", "-q")
    fill(root, project["before"])
    run("git", "add", "-A")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    fill(root, project["after"])
    plots = json.loads(run("dvc", "plots", "show", "--json", "--split"))["data"]
    shown = {
        "params": json.loads(run("dvc", "params", "diff", "--json")),
        "figures": json.loads(run("dvc", "metrics", "show", "--json"))[""]["data"],
        "metrics": json.loads(run("dvc", "metrics", "diff", "--json")),
        "plots": {name: points(entries[0]) for name, entries in plots.items()},
    }
(here / "shown.json").write_text(json.dumps(shown, indent=1, sort_keys=True) + "\n")
