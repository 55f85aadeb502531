"""Items to values through a child process in an isolated environment, item by item, so that a stopped scoring resumes.

The child script is called as  child.py ITEMS VALUES SETTINGS:
  ITEMS     JSONL, {"key": ..., "path": ..., "prompt": ...} each, and whatever else the scorer is given
  VALUES    JSONL, to be appended to: {"key": ..., "value": ...}, a line for each item, in order, flushed when it is known
  SETTINGS  one JSON object: weights by their absolute paths, and knobs
Values lie in a folder for each scorer and what its values depend on: another one begins anew, and no value is deleted.
It imports what it needs at its top, so that no items at all show whether that can be imported. It reaches no network.
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
from s2g.io.file_lock import file_lock
from s2g.scoring.isolated.environment import Isolated, only_variables
from s2g.scoring.score_cache import FILE, known, mend, own_place, read_values

LAUNCH = Path(__file__).with_name("launch.py")
TIMEOUT = 1800.0  # seconds without a new value; the first one waits for the weights to load
POLL = 0.1
ABOUT = "about.json"  # beside values: what they depend on
# What a child may know of the parent's surroundings. Everything else, tokens and keys above all, stays outside; HOME is a
# folder of its own, because tokens lie in files there as well.
VARIABLES = ("PATH", "TMPDIR", "LANG", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # a sum's last bits depend on how it is split

Item = Mapping[str, Any]  # key, path, prompt, and what else a scorer is given


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
    """Values by key, scored now or found in `place` from an earlier time, finished or not.

    items: `key` names the content that is scored, not the file: what was known of a key is not asked again.
    place: below it, the folder of this scorer's items.jsonl, values.jsonl and log.txt. depends: what values depend on besides
    environment and script: hashes of the weights, and those knobs that change a value; `settings` where not given, which
    holds only if no path and no device is among them. timeout: seconds without a new value after which the child is ended.
    told: how many values there are, now and then. beside: where another process scores there, work in a folder beside it
    instead of waiting; who asks sees to it that they ask for different keys. gpus: the child's CUDA_VISIBLE_DEVICES, ours if
    None.

    UserError if the environment is not built; IsolatedError with the whole log if the child fails, hangs, or leaves items
    out. Values that were written stay.
    """
    isolated.check()
    about = _about(isolated, settings if depends is None else depends)
    place = _folder(place, about)
    place.mkdir(parents=True, exist_ok=True)
    asked = {str(item["key"]): item for item in items}
    with own_place(place) if beside else _alone(place) as (own, lock):
        if not (place / ABOUT).exists():
            write_bytes(place / ABOUT, (json.dumps(about, indent=1) + "\n").encode())
        found, start = known(place), 0
        missing = [item for key, item in asked.items() if key not in found]
        if missing:
            mend(own / FILE)
            start = _run(isolated, missing, own, settings or {}, timeout, told or (lambda count: None), lock, gpus)
            found = known(place)
        lacking = [key for key in asked if key not in found]
        if lacking:
            raise _failure(isolated, own, start, f"it ended without a value for {len(lacking)} items, the first {lacking[0]}")
    return {key: found[key] for key in asked}


def known_values(isolated: Isolated, depends: Mapping[str, Any] | None, place: Path) -> dict[str, Any]:
    """Values by key that this scorer gave where they depend on this, whichever of its children wrote them."""
    return known(_folder(place, _about(isolated, depends)))


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[tuple[Path, int]]:
    with file_lock(place / "lock") as lock:
        yield place, lock


def try_imports(isolated: Isolated, place: Path, timeout: float = 300.0) -> None:
    """Start the child without any item: IsolatedError with its log if it cannot import what it needs."""
    place.mkdir(parents=True, exist_ok=True)
    with file_lock(place / "lock") as lock:
        _run(isolated, [], place, {}, timeout, lambda count: None, lock, None)


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
    lock: int,
    gpus: str | None,
) -> int:
    """One life of the child; where in the log it begins.

    It holds the lock too: whoever comes after a parent that was killed waits for its end.
    """
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
        start = log.tell()  # what this child says, and no other one, begins here
        log.write(began)
        log.flush()
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=variables, cwd=files["home"], pass_fds=(lock,)
        )
        try:
            hung = not _watched(child, files["values.jsonl"], timeout, told)
        finally:
            child.kill()  # it has ended, or hangs, or we were interrupted
            child.wait()
            assert child.stdin is not None
            child.stdin.close()
    if hung:
        done = read_values(files["values.jsonl"])
        at = next((item["key"] for item in items if str(item["key"]) not in done), "its end")
        raise _failure(isolated, place, start, f"no new value came for {timeout:g} s, at {at}; it was ended")
    if child.returncode:
        raise _failure(isolated, place, start, _ended(child.returncode))
    return start


def _watched(child: subprocess.Popen[bytes], values: Path, timeout: float, told: Callable[[int], None]) -> bool:
    """Wait for the child's end; False once its values have not grown for `timeout` seconds."""
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
        return "its process was killed (signal 9); a machine that runs out of memory does that"
    return f"its process ended with code {code}" if code > 0 else f"its process ended by signal {-code}"


def _failure(isolated: Isolated, place: Path, start: int, what: str) -> IsolatedError:
    log = (place / "log.txt").read_bytes()[start:].decode(errors="replace").strip()
    said = "\n".join(f"  | {line}" for line in log.splitlines())
    return IsolatedError(
        f"scorer {isolated.name}: {what}\n  its log in full ({os.path.relpath(place / 'log.txt')}):\n{said}\n"
        f"  do: s2g env doctor {isolated.name}; the same command goes on from the values that are there"
    )
