"""Mutation check: a seeded random sample of small faults in the code that matters most, each against its package's quick tests.

    python -m venv .mutants && .mutants/bin/pip install cosmic-ray==8.7.0
    .mutants/bin/python scripts/mutants.py guidance --sample 60 --out outputs/mutants

cosmic-ray makes the mutants; it stays out of the project's own environment. Of the mutants at one place of the code (`<` as
`<=`, `==`, `is`, ...) one is drawn, then the sample of places. Annotations and what only a type checker reads are left out.
Mutants stand in a copy of HEAD, so work in the checkout can go on. Tests run with the project's .venv up to the first that
fails, each time in a fork of one process that has imported torch and the like: a mutant costs its tests alone.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parents[1]
QUICK = ["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider"]
KEYS = ("coerce", "compose", "own_code", "own_modules", "ranges", "registry", "schema")  # of s2g/config
# Name -> (files that are mutated, tests that must notice: the quick and sharp ones, then the rest).
GROUPS = {
    "guidance": (["s2g/guidance/*.py", "s2g/guidance/rivals/*.py"], [["tests/guidance/test_golden.py"], ["tests/guidance"]]),
    "network": (["s2g/network/*.py"], [["tests/network/test_blocks.py"], ["tests/network"]]),
    "loop": (
        ["s2g/sampling/loop.py"],
        [
            ["tests/sampling/test_deterministic.py"],
            [
                "tests/sampling",
                "tests/guidance/test_golden.py",
                "tests/engine/test_samples_version.py",
                "tests/engine/test_effective_scale.py",
            ],
        ],
    ),
    "keys": (
        ["s2g/engine/run.py", *(f"s2g/config/{name}.py" for name in KEYS)],
        [
            ["tests/engine/test_runs.py", "tests/config/test_own_code.py", "tests/config/test_typed.py"],
            [
                "tests/config",
                "tests/models/test_family.py",
                "tests/models/test_vae.py",
                "tests/experiments/test_composition.py",
                "tests/cli/test_command.py",
                "tests/engine/test_kernels.py",
                "tests/report/test_sweep.py",
            ],
        ],
    ),
}


# Runs in the project's environment, and answers each line of JSON, [seconds that it may take, what follows `pytest`], with one.
FORKS = """
import json, os, resource, select, signal, sys, tempfile
import diffusers, hydra, hypothesis, pytest, scipy.stats, torch, transformers

for line in sys.stdin:
    limit, arguments = json.loads(line)
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, 8 << 30))  # a range without its end takes all there is
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            code = int(pytest.main(arguments))
            sys.stdout.flush()
            os._exit(code)
        handle = os.pidfd_open(child)
        late = not select.select([handle], [], [], limit)[0]
        if late:
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(handle)
        said.seek(0)
        lines = said.read().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))] or [f"exit code {code}"]
    print(json.dumps("past the time limit" if late else "" if code == 0 else failed[0][:200]), flush=True)
"""


@dataclass(frozen=True)
class Mutant:
    """One change of one file: which operator of cosmic-ray at its how-manieth place, and what that does to the text."""

    path: str
    operator: str
    occurrence: int
    line: int

    def code(self, source: str) -> str:
        """Return the file's text with the change in it."""
        return mutate_code(source, get_operator(self.operator)(), self.occurrence) or source


def mutants_of(path: Path, root: Path) -> Iterator[list[Mutant]]:
    """Yield the mutants of a file by place: all that cosmic-ray makes between the same two positions."""
    source = path.read_text()
    nodes, skipped, lines = list(ast_nodes(get_ast(source))), set(annotated(source)), source.splitlines()
    places: dict[tuple[object, object], list[Mutant]] = {}
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments():
            continue  # operators that want names of variables
        spans = (span for node in nodes for span in operator().mutation_positions(node))
        for occurrence, (start, stop) in enumerate(spans):
            if start not in skipped and "TYPE_CHECKING" not in lines[start[0] - 1]:
                mutant = Mutant(str(path.relative_to(root)), name, occurrence, start[0])
                places.setdefault((start, stop), []).append(mutant)
    yield from places.values()


def annotated(source: str) -> Iterator[tuple[int, int]]:
    """Yield every position (line, column) inside an annotation."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        for note in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(note, ast.expr):
                for line in range(note.lineno, (note.end_lineno or note.lineno) + 1):
                    first = note.col_offset if line == note.lineno else 0
                    last = note.end_col_offset if line == note.end_lineno else len(lines[line - 1])
                    yield from ((line, column) for column in range(first, (last or 0) + 1))


def copy_of_head(folder: Path) -> None:
    """Unpack HEAD's files, and link the environment and the data that tests look for."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())


class Tests:
    """A process in the project's environment that runs lists of tests as often as it is asked to."""

    def __init__(self, root: Path, stages: list[list[str]]) -> None:
        self.stages = stages
        own = {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        command = [str(root / ".venv/bin/python"), "-c", FORKS]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, cwd=root, env={**os.environ, **own}, text=True, **pipes)

    def failure(self, limit: float) -> str:
        """Run each stage for at most `limit` seconds: "" if all pass, else the first that fails, or that they took too long."""
        for tests in self.stages:
            print(json.dumps([limit, [*QUICK, *tests]]), file=self.process.stdin, flush=True)
            if failed := json.loads(self.process.stdout.readline()):
                return failed
        return ""


def main() -> int:
    """Make and test a sample; 1 if mutants survive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--sample", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "outputs/mutants", help="where GROUP.jsonl goes: a line a mutant")
    arguments = parser.parse_args()
    patterns, stages = GROUPS[arguments.group]
    draw = random.Random(arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    log = (arguments.out / f"{arguments.group}.jsonl").open("w")
    with tempfile.TemporaryDirectory(prefix="mutants_") as temporary, log:
        root = Path(temporary)
        copy_of_head(root)
        suite, began = Tests(root, stages), time.perf_counter()
        if broken := suite.failure(limit=3600):
            raise SystemExit(f"the tests fail without a mutant: {broken}")
        limit = 60 + 4 * (time.perf_counter() - began)
        files = sorted(path for pattern in patterns for path in root.glob(pattern))
        places = [place for path in files for place in mutants_of(path, root)]
        drawn = [draw.choice(place) for place in draw.sample(places, min(arguments.sample, len(places)))]
        print(f"{arguments.group}: {len(drawn)} of {len(places)} places in {len(files)} files", flush=True)
        survived = 0
        for time_stamp, mutant in enumerate(drawn, 1):
            path = root / mutant.path
            source = path.read_text()
            code = mutant.code(source)
            path.write_text(code)
            os.utime(path, (time_stamp, time_stamp))  # a compiled file is told from another by seconds and size alone
            by = suite.failure(limit)
            path.write_text(source)
            survived += not by
            changed = list(difflib.unified_diff(source.splitlines(), code.splitlines(), lineterm="", n=0))[3:]
            log.write(json.dumps({"path": mutant.path, "line": mutant.line, "killed_by": by, "change": changed}) + "\n")
            log.flush()
            if not by:
                print(f"survived: {mutant.path}:{mutant.line}\n  " + "\n  ".join(changed), flush=True)
        print(f"{arguments.group}: {len(drawn) - survived} of {len(drawn)} killed", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
