"""Score items in a child process of an isolated environment, item by item, so that an interrupted scoring resumes.

The child script is called as  child.py ITEMS VALUES SETTINGS:
  ITEMS     JSONL, {"key": ..., "path": ..., "prompt": ...} each, with further keys where a scorer needs them
  VALUES    JSONL to append to: {"key": ..., "value": ...}, a line per item, in order, flushed at once
  SETTINGS  one JSON object: weights by their absolute paths, and knobs
Each scorer has a folder of values for each set of settings that they depend on; no value is ever deleted.
The script imports everything at its top, so that a call without items tests the imports. It has no network.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s2g.errors import IsolatedError
from s2g.io.atomic import write_bytes
from s2g.scoring.isolated.environment import Isolated, only_variables
from s2g.scoring.score_cache import FILE, known, mend, own_place, read_values
from s2g.store.locks import Locks

LAUNCH = Path(__file__).with_name("launch.py")
TIMEOUT = 1800.0  # seconds without a new value; the first includes loading the weights
POLL = 0.1
ABOUT = "about.json"  # beside the values: what they depend on
# Environment variables that a child inherits. All others, above all tokens and keys, are withheld; HOME is a folder of its
# own, since files in a home folder hold tokens too.
VARIABLES = ("PATH", "TMPDIR", "LANG", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # the last bits of a sum depend on how it is split

Item = Mapping[str, Any]  # key, path, prompt and whatever else a scorer needs


def values_of(
    isolated: Isolated,
    items: Sequence[Item],
    place: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    depends: Mapping[str, Any] | None = None,
    timeout: float = TIMEOUT,
    told: Callable[[int], None] | None = None,
    beside: bool = False,
    gpus: str | None = None,
) -> dict[str, Any]:
    """Return values by key, scored now or found in `place`.

    items: `key` names the content that is scored, not the file; a key with a value is not scored again.
    place: below it is the folder of this scorer's items.jsonl, values.jsonl and log.txt.
    depends: what values depend on besides environment and script, such as hashes of the weights; by default `settings`,
    which must then hold neither paths nor a device.
    timeout: seconds without a new value after which the child is killed.
    told: called now and then with the number of new values.
    beside: while another process scores in the same folder, use one beside it instead of waiting; the callers must then
    be processes that ask for different keys.
    gpus: the child's CUDA_VISIBLE_DEVICES; None leaves the variable as it is.

    UserError if the environment is not built; IsolatedError with the full log if the child fails, hangs or omits items.
    Values that were written stay.
    """
    isolated.check()
    about = _about(isolated, settings if depends is None else depends)
    place = _folder(place, about)
    place.mkdir(parents=True, exist_ok=True)
    asked = {str(item["key"]): item for item in items}
    with contextlib.nullcontext(own_place(place)) if beside else _alone(place) as own:
        if not (place / ABOUT).exists():
            write_bytes(place / ABOUT, (json.dumps(about, indent=1) + "\n").encode())
        found, start = known(place), 0
        missing = [item for key, item in asked.items() if key not in found]
        if missing:
            mend(own / FILE)
            start = _run(isolated, missing, own, settings or {}, timeout, told or (lambda count: None), gpus)
            found = known(place)
        lacking = [key for key in asked if key not in found]
        if lacking:
            raise _failure(isolated, own, start, f"it ended without a value for {len(lacking)} items, the first {lacking[0]}")
    return {key: found[key] for key in asked}


def known_values(isolated: Isolated, depends: Mapping[str, Any] | None, place: Path) -> dict[str, Any]:
    """Return all values by key that this scorer has written for these settings, from any process."""
    return known(_folder(place, _about(isolated, depends)))


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[Path]:
    with Locks(place).waited_for("scoring"):
        yield place


def try_imports(isolated: Isolated, place: Path, timeout: float = 300.0) -> None:
    """Start the child without items; IsolatedError with its log if an import fails."""
    place.mkdir(parents=True, exist_ok=True)
    with _alone(place):
        _run(isolated, [], place, {}, timeout, lambda count: None, None)


def _about(isolated: Isolated, depends: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**isolated.identity(), "depends": dict(depends or {})}


def _folder(place: Path, about: Mapping[str, Any]) -> Path:
    """Where the values of a scorer lie that depend on just this."""
    return place / hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]


def _run(
    isolated: Isolated,
    items: Sequence[Item],
    place: Path,
    settings: Mapping[str, Any],
    timeout: float,
    told: Callable[[int], None],
    gpus: str | None,
) -> int:
    """Run the child once; return the offset in the log at which its output starts. It ends when its parent does."""
    files = {name: place / name for name in ("items.jsonl", "values.jsonl", "settings.json", "log.txt", "home")}
    write_bytes(files["items.jsonl"], "".join(json.dumps(dict(item)) + "\n" for item in items).encode())
    write_bytes(files["settings.json"], json.dumps(dict(settings)).encode())
    files["home"].mkdir(exist_ok=True)
    arguments = [str(path.absolute()) for path in (isolated.child, *list(files.values())[:3])]
    command = [str(isolated.interpreter), "-I", str(LAUNCH), *arguments]
    variables = {**only_variables(VARIABLES, ("LC_",)), **OFFLINE, **ONE_THREAD, "HOME": str(files["home"].absolute())}
    variables |= {} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus}
    began = f"\n== {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {isolated.name}, {len(items)} items\n".encode()
    with files["log.txt"].open("ab") as log:
        start = log.tell()  # where the output of this child starts
        log.write(began)
        log.flush()
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=variables, cwd=files["home"])
        try:
            hung = not _watched(child, files["values.jsonl"], timeout, told)
        finally:
            child.kill()  # it has ended, hangs, or we were interrupted
            child.wait()
            assert child.stdin is not None
            child.stdin.close()
    if hung:
        done = read_values(files["values.jsonl"])
        at = next((item["key"] for item in items if str(item["key"]) not in done), "its end")
        raise _failure(isolated, place, start, f"no new value for {timeout:g} s, at {at}; it was killed")
    if child.returncode:
        raise _failure(isolated, place, start, _ended(child.returncode))
    return start


def _watched(child: subprocess.Popen[bytes], values: Path, timeout: float, told: Callable[[int], None]) -> bool:
    """Wait for the child to end; return False once `timeout` seconds pass without a new value."""
    size, since, seen = -1, time.monotonic(), 0
    while child.poll() is None:
        grown = values.stat().st_size if values.exists() else 0
        if grown != size:
            with contextlib.suppress(FileNotFoundError), values.open("rb") as stream:
                stream.seek(max(size, 0))
                seen += stream.read(grown - max(size, 0)).count(b"\n")
            size, since = grown, time.monotonic()
            told(seen)
        if time.monotonic() - since > timeout:
            return False
        time.sleep(POLL)
    return True


def _ended(code: int) -> str:
    if code == -9:
        return "its process was killed (signal 9), which happens when memory runs out"
    return f"its process ended with code {code}" if code > 0 else f"its process ended by signal {-code}"


def _failure(isolated: Isolated, place: Path, start: int, what: str) -> IsolatedError:
    log = (place / "log.txt").read_bytes()[start:].decode(errors="replace").strip()
    said = "\n".join(f"  | {line}" for line in log.splitlines())
    return IsolatedError(
        f"scorer {isolated.name}: {what}\n  its log in full ({os.path.relpath(place / 'log.txt')}):\n{said}\n"
        f"  do: s2g env doctor {isolated.name}; run the same command to resume from the values stored so far"
    )
