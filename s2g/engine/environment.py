"""On what a run was made: versions, machine, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Any

from s2g import __version__
from s2g.config import CHECKOUT, file_hash
from s2g.engine.run import Run

PACKAGES = ("torch", "torchvision", "diffusers", "transformers", "timm", "numpy", "pillow")


def machine() -> str:
    """The processor (and GPU) in words."""
    import torch

    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{os.cpu_count()} x {cpu}{gpu}"


def commit() -> dict[str, Any] | None:
    """The checkout's commit and whether it has been changed since; None outside a checkout."""
    if not (CHECKOUT / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", CHECKOUT, *arguments], capture_output=True, text=True, check=False).stdout.strip()

    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}


def environment(run: Run) -> dict[str, Any]:
    """What env.json holds."""
    return {
        "s2g": __version__,
        "git": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "machine": machine(),
        "platform": platform.platform(),
        "weights": {"file": run.model.weights_file().name, "sha256": file_hash(run.model.weights_file())},
    }
