"""What real DVC makes of files: writes dvc.json beside this file.

    python recipe.py      (in an environment with dvc 3.67.1; needs a POSIX file system and python3 with os.symlink)

dvc.json: `files`, what each case consists of; `yaml`, the dvc.yaml that was run over them; `lock`, `manifests` and `runs`, what DVC left
in dvc.lock, in its cache and in its run cache.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# Each case is a folder `in/<case>`: path to text, {"base64": ...}, {"link": target}, {"folder": true}, {"text": ..., "mode": ...}.
cases = {
    "one": {"a.txt": "hello\n"},
    "empty-file": {"a": ""},
    "empty-folder": {".": {"folder": True}},
    "nested-empty": {"a/b/c": {"folder": True}, "d": {"folder": True}, "e/f.txt": "f"},
    "nested": {"a.txt": "1", "b/c.txt": "2", "b/d/e/f/g.txt": "3", "b-c.txt": "4", "b.txt": "5", "b/c/d.txt": "6"},
    "non-ascii": {"é.txt": "composed", "e\u0301.txt": "decomposed", "数据/文件.csv": "a,b\n", "😀.txt": "past the first plane", "\ufffd.txt": "last of it", "ß": "s", "Ω": "o"},
    "odd-names": {'a"b': "1", "a'b": "2", "a\\b": "3", "a b": "4", "a\tb": "5", "a\nb": "6", "-": "7", "\x7f": "8", "*?[]": "9", ".hidden": "10", "a\x01b": "11"},
    "order": {"a": "1", "B": "2", "Z": "3", "_": "4", "z": "5", "10": "6", "9": "7", "a.b": "8"},
    "line-ends": {"unix": "a\nb\n", "dos": "a\r\nb\r\n", "mac": "a\rb\r", "mixed": "a\r\nb\nc\r", "none": "a"},
    "links": {"file": "content", "sub/inner": "inner", "to-file": {"link": "file"}, "to-folder": {"link": "sub"}, "sub/up": {"link": "../file"}},
    "executable": {"run.sh": {"text": "#!/bin/sh\n", "mode": 0o755}, "plain": "x", "group": {"text": "g", "mode": 0o654}},
    "binary": {"zeros": {"base64": "AAAAAAAAAAA="}, "bytes": {"base64": "AAECA/8NCg=="}},
    "ignored": {"a.tmp": "not seen", "b.txt": "seen", "keep.tmp": "seen again", "cold/x": "not seen", "deep/cold": "a file", "deep/c.tmp": "not seen", ".git/config": "not seen"},
    "twins": {"a": "same", "b": "same", "c/a": "same"},
    "thousand": {f"{i // 100}/file-{i}.txt": f"{i}\n" for i in range(1000)},
}
ignore = "*.tmp\n!keep.tmp\ncold/\n# a comment\n"

single = {"file": "in/one/a.txt", "empty": "in/empty-file/a", "script": "in/executable/run.sh", "group-script": "in/executable/group", "link": "in/links/to-file", "linked-folder": "in/links/to-folder"}

parameters = """
lr: 0.001
small: 1e-05
large: 1e16
one: 1.0
epochs: 20
huge: 123456789012345678901234567890
flag: true
nothing: null
name: "yes"
number_text: "007"
date_text: "2026-01-31"
size: 3
text: "it's é\\n"
nested: {b: [1, 2.0, {c: null, size: 9, nfiles: 8}], a: {}}
empty: []
"""
other = '{"depth": 3, "inner": {"rate": 2.50, "list": [1, [2, [3]]]}}'

stages = {f"case-{name}": {"cmd": f"echo {name} > out-{name}", "deps": [f"in/{name}"], "outs": [f"out-{name}"]} for name in cases}
stages |= {f"single-{name}": {"cmd": f"cat {path}/* {path} > out-{name} 2>/dev/null || true", "deps": [path], "outs": [f"out-{name}"]} for name, path in single.items()}
stages |= {
    "list": {"cmd": ["mkdir -p out/deep/er", "echo 'it''s' > out/deep/er/a", "echo b > out/b"], "deps": ["in/one"], "outs": ["out"]},
    "lines": {"cmd": "echo one > lines.txt\necho \"two\" >> lines.txt\n", "deps": ["in/one/a.txt"], "outs": ["lines.txt"]},
    "long": {"cmd": "echo " + " ".join(f"--option-{i} value" for i in range(20)) + " > long.txt", "deps": ["in/one/a.txt"], "outs": ["long.txt"]},
    "unicode": {"cmd": "echo 'naïve 数据 😀' > naïve.txt", "deps": ["in/non-ascii/é.txt"], "outs": ["naïve.txt"]},
    "params": {
        "cmd": "echo p > p.txt", "deps": ["in/one/a.txt"], "outs": ["p.txt"],
        "params": ["lr", "small", "large", "one", "epochs", "huge", "flag", "nothing", "name", "number_text", "date_text", "size", "text", "nested", "empty", "nested.b", {"a-other.json": ["inner.rate", "depth", "inner"]}],
    },
    "params-only": {"cmd": "echo q > q.txt", "params": ["lr", {"a-other.json": None}], "outs": ["q.txt"]},
    "many": {"cmd": "echo 1 > z.json; echo 2 > y.csv; echo 3 > x; chmod +x x", "deps": ["in/twins", "in/one", "in/one/a.txt"], "outs": ["x"], "metrics": [{"z.json": {"cache": False}}], "plots": ["y.csv"]},
    "no-deps": {"cmd": "echo n > n.txt", "outs": ["n.txt"]},
    "no-outs": {"cmd": "echo n", "deps": ["in/one"]},
    "persist": {"cmd": "echo n > kept.txt", "deps": ["in/one"], "outs": [{"kept.txt": {"persist": True}}]},
    "always": {"cmd": "echo n > always.txt", "deps": ["in/one"], "outs": ["always.txt"], "always_changed": True},
}


def put(place, content):
    if isinstance(content, str):
        content = {"text": content}
    if content.get("folder"):
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if "link" in content:
        os.symlink(content["link"], place)
    elif "base64" in content:
        import base64

        place.write_bytes(base64.b64decode(content["base64"]))
    else:
        place.write_bytes(content["text"].encode())
    if "mode" in content:
        place.chmod(content["mode"])


with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    dvc = Path(sys.executable).with_name("dvc")
    subprocess.run([dvc, "init", "--no-scm", "-q"], cwd=root, check=True)
    for name, files in cases.items():
        for path, content in files.items():
            put(root / "in" / name / path, content)
    (root / ".dvcignore").write_text(ignore)
    (root / "params.yaml").write_text(parameters)
    (root / "a-other.json").write_text(other)
    from dvc.utils.serialize import dumps_yaml

    text = dumps_yaml({"stages": stages})
    (root / "dvc.yaml").write_text(text)
    subprocess.run([dvc, "repro", "-q"], cwd=root, check=True)
    cache = root / ".dvc/cache"
    manifests = {p.parent.name + p.name: p.read_text() for p in sorted(cache.glob("files/md5/*/*.dir"))}
    runs = {str(p.relative_to(cache / "runs")): p.read_text() for p in sorted(cache.glob("runs/*/*/*"))}
    objects = sorted(p.parent.name + p.name for p in cache.glob("files/md5/*/*"))
    result = {
        "files": cases | {"thousand": "0/file-0.txt ... 9/file-999.txt: the number and a line feed"},
        "ignore": ignore, "single": single, "stages": stages, "parameters": parameters, "other": other,
        "lock": (root / "dvc.lock").read_text(), "manifests": manifests, "runs": runs, "objects": objects,
    }
Path(__file__).with_name("dvc.json").write_text(json.dumps(result, indent=1) + "\n")
print({key: len(value) for key, value in result.items()})
