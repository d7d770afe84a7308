"""What DVC passes over by .dvcignore files: writes ignores.json beside this file.

    python ignores.py     (in an environment with dvc 3.67.1)

Random files of patterns at four places of a repository, and for random paths whether DVC passes over them: as a file, as a folder.
"""

import json
import random
import tempfile
from pathlib import Path

from dvc.repo import Repo

rng = random.Random(3)
names = ["a", "b", "ab", "x.tmp", "cold", ".h", "A"]
patterns = [
    "*.tmp", "!keep.tmp", "cold/", "/top", "a/**/b", "**/ab", "a/*", "!a/b", ".h", "a?", "[ab]", "!x.tmp", "/a/b/", "b/**", "\\#x", "*", "!*/", "*/",
    "/*", "!/a", "  ab  ", "a/b/*.tmp", "!a/b/x.tmp", "a/**", "/*/", "!/*/",
]


def passed_over(rules, path, is_folder):
    for i, _ in enumerate(path.parts, 1):
        part = rules.root / Path(*path.parts[:i])
        is_inner = is_folder or i < len(path.parts)
        if (rules.dvcignore.is_ignored_dir if is_inner else rules.dvcignore.is_ignored_file)(str(part)):
            return True
    return False


cases = []
for _ in range(120):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        (root / ".dvc").mkdir()
        (root / ".dvc/config").write_text("[core]\nno_scm = true\n")
        files = {f"{place}.dvcignore": "\n".join(rng.sample(patterns, rng.randint(1, 4))) + "\n" for place in ("", "a/", "a/b/", "cold/") if place == "" or rng.random() < 0.35}
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        paths = set()
        while len(paths) < 12:
            paths.add("/".join(rng.choice(names) for _ in range(rng.randint(1, 4))))
        with Repo(str(root)) as repo:
            repo.root = root
            found = {path: [passed_over(repo, Path(path), False), passed_over(repo, Path(path), True)] for path in sorted(paths)}
        cases.append({"files": files, "files_and_folders": found})
Path(__file__).with_name("ignores.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
