"""Isolated environments: what pins one, where it is built and whether it is there.

A scorer's folder holds
  requirements.txt   name==version on every line, all that is installed; its first comment describes the scorer
  python-version     such as 3.11
  child.py           reads items, writes values (s2g/scoring/isolated/child.py); imports nothing of s2g
  prepare.py         optional: run once with the environment's own Python, after everything is installed
The environment's name holds the hash of all but the child script: a changed pin makes another environment, a changed
script does not. Both hashes are part of a score's key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from s2g.errors import IsolatedError, MissingError, UserError, unknown
from s2g.io.cache import cache_folder
from s2g.io.file_lock import file_lock

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PINNED = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,-]+\])?==[\w.+!-]+(\s*;.+)?")
BUILD_TIMEOUT = 3600  # seconds; the largest environment downloads several gigabytes
# Environment variables that a build inherits: paths, and access to the network. No others, since packages in source form
# run their own code during the build. Variables that may hold a password (an index, a proxy) go to the installer only,
# not to scripts in the environment.
BUILD_VARIABLES = ("PATH", "HOME", "USER", "TMPDIR", "LANG", "TZ", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
BUILD_PREFIXES = ("SSL_CERT_", "LC_")
UV_VARIABLES = (
    *("UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_STRATEGY", "UV_FIND_LINKS", "UV_OFFLINE"),
    *("UV_CACHE_DIR", "UV_NO_CACHE", "UV_LINK_MODE", "UV_CONFIG_FILE", "UV_NO_CONFIG", "UV_INSECURE_HOST", "UV_NATIVE_TLS"),
    *("UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", "UV_REQUEST_TIMEOUT", "UV_CONCURRENT_DOWNLOADS", "UV_CONCURRENT_INSTALLS"),
    *(
        "UV_PYTHON_INSTALL_DIR",
        "UV_PYTHON_INSTALL_MIRROR",
        "UV_PYTHON_PREFERENCE",
        "UV_PYTHON_DOWNLOADS",
        "UV_KEYRING_PROVIDER",
    ),
)
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True)
class Isolated:
    """One scorer's environment, given the folder that describes it."""

    folder: Path

    @property
    def name(self) -> str:
        """Its name on the command line."""
        return self.folder.name

    @property
    def child(self) -> Path:
        """The script that scores."""
        return self.folder / "child.py"

    @property
    def python(self) -> str:
        """Its Python version, such as "3.11"."""
        return (self.folder / "python-version").read_text().strip()

    @property
    def about(self) -> str:
        """A description in one line."""
        return (self.folder / "requirements.txt").read_text().splitlines()[0].lstrip("# ").strip()

    @property
    def requirements(self) -> tuple[str, ...]:
        """All lines that install a package; ValueError for one that pins no version."""
        lines = (line.partition(" #")[0].strip() for line in (self.folder / "requirements.txt").read_text().splitlines())
        found = tuple(line for line in lines if line and not line.startswith("#"))
        for line in found:
            if not PINNED.fullmatch(line):
                raise ValueError(f"{self.folder / 'requirements.txt'}: {line} pins no version")
        return found

    @property
    def hash(self) -> str:
        """12 hex digits of what determines the environment."""
        prepare = self.folder / "prepare.py"
        pins = [self.python, *sorted(self.requirements), prepare.read_text() if prepare.exists() else ""]
        return hashlib.sha256("\n".join(pins).encode()).hexdigest()[:12]

    def identity(self) -> dict[str, str]:
        """Return its part of a score's key: the hashes of environment and child script."""
        child = hashlib.sha256(self.child.read_bytes()).hexdigest()[:12]
        return {"scorer": self.name, "environment": self.hash, "child": child}

    @property
    def place(self) -> Path:
        """The folder of the environment, built or not."""
        return cache_folder() / "environments" / f"{self.name}-{self.hash}"

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.place / "bin" / "python"

    def built(self) -> dict[str, object] | None:
        """Return the note of its build; None if it is not built."""
        try:
            return json.loads((self.place / "built.json").read_text())
        except (OSError, ValueError):
            return None

    def check(self) -> None:
        """Raise UserError with the command that builds it if it is not built."""
        if self.built() is None:
            raise MissingError(
                "environment",
                self.name,
                f"it is not built ({len(self.requirements)} pinned packages, Python {self.python})",
                kind="environment",
                todo=f"s2g env build {self.name}",
            )


def known() -> dict[str, Isolated]:
    """Return all scorers with an environment, by name."""
    return {path.parent.name: Isolated(path.parent) for path in sorted(BENCHMARKS.glob("*/isolated/*/requirements.txt"))}


def find(name: str) -> Isolated:
    """Return the environment of that name; UserError if there is none."""
    if name not in known():
        raise unknown("environment", name, known(), todo="s2g env list shows them")
    return known()[name]


def build(isolated: Isolated) -> bool:
    """Build the environment unless it exists; return whether it was built now.

    It appears whole or not at all; of two processes, one builds and the other waits.
    IsolatedError with uv's full output if the build fails; UserError without uv.
    """
    uv, place = uv_command(), isolated.place
    place.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(place.with_name(f"{place.name}.lock")):
        if isolated.built() is not None:
            return False
        began = time.monotonic()
        unfinished = f"{place.name}.unfinished-"
        for left in place.parent.glob(f"{unfinished}*"):  # of interrupted builds; none runs, since we hold the lock
            shutil.rmtree(left, ignore_errors=True)
        making = place.with_name(f"{unfinished}{secrets.token_hex(4)}")
        python = str(making / "bin" / "python")
        try:
            _step(isolated, [uv, "venv", "--relocatable", "--no-project", "--python", isolated.python, str(making)])
            pins = making / "pins.txt"
            pins.write_text("\n".join(isolated.requirements) + "\n")
            # Only what is listed: the packages' own dependencies (test tools, other versions) are ignored.
            _step(isolated, [uv, "pip", "install", "--no-deps", "--python", python, "-r", str(pins)])
            if (isolated.folder / "prepare.py").exists():
                _step(isolated, [python, "-I", str(isolated.folder / "prepare.py")])
            about = {
                "scorer": isolated.name,
                "hash": isolated.hash,
                "python": _step(isolated, [python, "-I", "-c", "import platform; print(platform.python_version())"]).strip(),
                "packages": sorted(_step(isolated, [uv, "pip", "freeze", "--python", python]).split()),
                "seconds": round(time.monotonic() - began, 1),
                "date": f"{datetime.now(UTC):%Y-%m-%d}",
            }
            (making / "built.json").write_text(json.dumps(about, indent=1) + "\n")
            shutil.rmtree(place, ignore_errors=True)  # one without built.json was damaged by hand
            os.replace(making, place)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return True


def differences(isolated: Isolated) -> list[str]:
    """Return where the installed packages differ from the pins, since somebody changed them."""
    said = _step(isolated, [uv_command(), "pip", "freeze", "--python", str(isolated.interpreter)])
    now, then = set(said.split()), set(isolated.built()["packages"])  # type: ignore[index, call-overload]
    return sorted(f"{line} is gone" for line in then - now) + sorted(f"{line} is new" for line in now - then)


def uv_command() -> str:
    """Return the path of uv, beside this Python or on PATH; UserError if there is none."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise UserError("uv, which builds isolated environments, is not installed", todo="pip install uv")
    return found


def only_variables(names: tuple[str, ...], prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """Return our environment variables of these names or prefixes."""
    return {name: value for name, value in os.environ.items() if name in names or name.startswith(prefixes or "\0")}


def _step(isolated: Isolated, command: list[str]) -> str:
    proxies = only_variables((*PROXIES, *map(str.upper, PROXIES)))
    variables: Mapping[str, str] = only_variables(BUILD_VARIABLES, BUILD_PREFIXES)
    if Path(command[0]).name == "uv":
        variables = {**variables, **proxies, **only_variables(UV_VARIABLES)}
    else:  # a script may use a proxy, but not one with a password
        variables = {**variables, **{name: value for name, value in proxies.items() if "@" not in value}}
    try:
        done = subprocess.run(
            command, env=dict(variables), capture_output=True, text=True, check=False, timeout=BUILD_TIMEOUT, cwd="/"
        )
    except subprocess.TimeoutExpired as error:
        raise IsolatedError(f"environment {isolated.name}: {' '.join(command)} took longer than {BUILD_TIMEOUT} s") from error
    if done.returncode:
        said = "\n".join(f"  | {line}" for line in f"{done.stdout}{done.stderr}".rstrip().splitlines())
        raise IsolatedError(
            f"environment {isolated.name}: {' '.join(command)} ended with code {done.returncode}; its output:\n{said}\n"
            f"  do: s2g env build {isolated.name} tries again; nothing was left behind"
        )
    return done.stdout
