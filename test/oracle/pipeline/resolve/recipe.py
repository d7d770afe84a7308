"""What DVC makes of the small projects in cases.json: stages, parameters as dvc.lock would hold them, top-level entries.

Run with DVC 3.67.1: PYTHONHASHSEED=0 python recipe.py (writes resolved.json beside this file). A case DVC refuses has its error's text instead.
"""

import json
import os
import pathlib
import tempfile

from dvc.dvcfile import load_file
from dvc.repo import Repo
from dvc.stage.serialize import _serialize_params_values
from dvc.stage.utils import split_params_deps

here = pathlib.Path(__file__).parent


def encode(value):
    """JSON that keeps what Python tells apart: maps with their key types and order, floats JSON has no word for."""
    if isinstance(value, dict):
        return {"map": [[encode(k), encode(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [encode(one) for one in value]
    if isinstance(value, float) and not (abs(value) < float("inf")):
        return {"float": str(value)}
    return value


def parameters(stage):
    objects, _ = split_params_deps(stage)
    try:
        for one in objects:
            one.hash_info = one.get_hash()
    except Exception as error:  # noqa: BLE001
        return {"error": str(error)}
    return encode({file: dict(values) for file, values in _serialize_params_values(objects).items()})


def stage_of(stage, root):
    objects, deps = split_params_deps(stage)
    return {
        "name": stage.name,
        "wdir": os.path.relpath(stage.wdir, root),
        "cmd": stage.cmd,
        "deps": [one.def_path for one in deps],
        "params": [[one.def_path, list(one.params)] for one in objects],
        "values": parameters(stage),
        "outs": [
            {
                "path": one.def_path,
                "role": "metric" if one.metric else "plot" if one.plot else "out",
                "cache": one.use_cache,
                "persist": one.persist,
                "desc": one.annot.desc,
                "plot": one.plot if isinstance(one.plot, dict) else {},
            }
            for one in stage.outs
        ],
        "frozen": stage.frozen,
        "always_changed": stage.always_changed,
        "desc": stage.desc,
    }


def resolve(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve()
        files = dict(files)
        settings = files.pop(".dvc/config", "")
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text.replace("<root>", str(root)))
        os.chdir(root)
        Repo.init(no_scm=True).close()
        with (root / ".dvc" / "config").open("a") as config:
            config.write(settings)
        repo = Repo()
        try:
            file = load_file(repo, "dvc.yaml")
            return {
                "stages": [stage_of(file.stages[name], root) for name in file.stages],
                "metrics": file.metrics,
                "params": file.params,
                "plots": file.plots,
            }
        except Exception as error:  # noqa: BLE001
            return {"error": str(error).replace(str(root), "<root>")}
        finally:
            repo.close()
            os.chdir(here)


cases = json.loads((here / "cases.json").read_text())
resolved = {name: resolve(files) for name, files in cases.items()}
(here / "resolved.json").write_text(json.dumps(resolved, indent=1, ensure_ascii=False) + "\n")
