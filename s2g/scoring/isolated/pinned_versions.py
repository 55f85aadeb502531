"""Whether an isolated environment still has the versions that its scorer's requirements pin."""

from __future__ import annotations

import json
import subprocess

from s2g.errors import IsolatedError
from s2g.scoring.isolated.environment import Isolated, only_variables

# Prints the version of each package that is named on the command line, null for one that is not installed.
VERSIONS = """
import importlib.metadata as metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""


def other_versions(isolated: Isolated) -> list[str]:
    """List the pinned packages that the environment has in another version, or not at all; IsolatedError if it cannot say."""
    pins = [_pin(line) for line in isolated.requirements]
    command = [str(isolated.interpreter), "-I", "-c", VERSIONS, *(name for name, _, _ in pins)]
    done = subprocess.run(
        command, env=only_variables(("PATH", "LANG", "LD_LIBRARY_PATH")), capture_output=True, text=True, check=False
    )
    try:
        found = json.loads(done.stdout)
    except ValueError as error:
        raise IsolatedError(
            f"environment {isolated.name}: its Python does not tell versions\n{done.stderr}\n"
            f"  do: s2g env doctor {isolated.name}"
        ) from error
    return [
        f"{name} {found[name] or 'is not there'}, not {version}"
        for name, version, conditional in pins
        if not (found[name] is None and conditional) and not _same(found[name], version)
    ]


def _pin(line: str) -> tuple[str, str, bool]:
    """Split a line of requirements into name, version and whether it holds on some systems only."""
    pin, _, marker = line.partition(";")
    name, _, version = pin.partition("==")
    return name.partition("[")[0].strip(), version.strip(), bool(marker)


def _same(found: str | None, pinned: str) -> bool:
    """Return whether a version is the pinned one; a build such as 2.15.0+cpu is 2.15.0, as installers have it."""
    return found == pinned or (found is not None and "+" not in pinned and found.partition("+")[0] == pinned)
