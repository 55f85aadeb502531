"""What Ray runs on a node: a look at it, then the units that it is given.

The module travels to the nodes by value and imports nothing of s2g at its head, so that it can also tell that s2g is
missing there or other code.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any

NETWORK_DELAY = 5.0  # seconds that a shared file system may take to show a new file


def facts(packages: Sequence[str]) -> dict[str, str]:
    """Return what samples depend on besides their key, by name: code, versions."""

    def version(name: str) -> str:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return "not installed"

    return {"code of s2g": _code(), "python": platform.python_version()} | {name: version(name) for name in packages}


def _code() -> str:
    """Return the first digits of a sha256 over the modules of s2g."""
    spec = util.find_spec("s2g")
    if spec is None or spec.origin is None:
        return "not installed"
    total, root = hashlib.sha256(), Path(spec.origin).parent
    for path in sorted(root.rglob("*.py")):
        total.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return total.hexdigest()[:12]


def look(expected: Mapping[str, str], probe: str) -> dict[str, Any]:
    """Return what is wrong with this node ("" if nothing), its host, and the processor of one that is right.

    Bytes are the same on one kind of processor only.
    expected: `facts` of the command's process; probe: a folder of a lease that this process has just made in the store.
    """
    found = facts([name for name in expected if name not in ("code of s2g", "python")])
    wrong = [f"{name} {value}, not {expected[name]}" for name, value in found.items() if value != expected[name]]
    until = time.monotonic() + NETWORK_DELAY
    while not (shared := Path(probe).exists()) and time.monotonic() < until:
        time.sleep(0.2)
    if not shared:
        wrong.append(f"it does not see {Path(probe).parents[2]}")
    cpu = ""
    if not wrong:
        from s2g.io.machine import processor

        cpu = processor()
    return {"wrong": "; ".join(wrong), "cpu": cpu, "host": platform.node()}


class Actor:
    """A worker: keeps the model in memory and does one task after another."""

    def __init__(self, device: str) -> None:
        self.device = device

    def look(self, expected: Mapping[str, str], probe: str) -> dict[str, Any]:
        """Return what `look` returns of this node, and be ready for tasks."""
        seen = look(expected, probe)
        if not seen["wrong"]:
            from s2g.engine.worker import prepare

            prepare(self.device)
        return seen

    def do(self, content: bytes) -> Any:
        """Do a pickled task; return its Outcome."""
        from s2g.engine.worker import attempt_pickled

        return attempt_pickled(content, self.device)
