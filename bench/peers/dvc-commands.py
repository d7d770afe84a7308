"""Runs DVC commands, each in a process of its own forked from one that has DVC loaded: hundreds of commands without hundreds of starts.

Reads lines of JSON {"folder", "words"}; answers with lines of JSON {"exit", "stdout", "stderr"}.
"""

import json
import os
import sys
import tempfile

import dvc.cli
import dvc.commands.repro
import dvc.commands.status
import dvc.repo
import dvc.stage.cache

for line in sys.stdin:
    task = json.loads(line)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.chdir(task["folder"])
            os.environ["PWD"] = task["folder"]
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code = 1
            try:
                code = dvc.cli.main(task["words"])
            except SystemExit as exit:
                code = exit.code if isinstance(exit.code, int) else 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code or 0)
        _, status = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        answer = {"exit": os.waitstatus_to_exitcode(status), "stdout": out.read().decode(errors="replace"), "stderr": err.read().decode(errors="replace")}
    print(json.dumps(answer), flush=True)
