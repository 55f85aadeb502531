"""On what units are made: versions, machine, device, threads, commit, weights."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Any

from s2g import __version__
from s2g.config.schema import CHECKOUT, ModelConfig
from s2g.engine.run import Run

THREADS = 1  # of a worker, however many there are: the bytes of a sum depend on how it is split
PACKAGES = ("torch", "torchvision", "diffusers", "transformers", "timm", "numpy", "pillow")


def machine() -> str:
    """The processor (and GPU) in words."""
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    gpu = ""
    if os.path.exists("/dev/nvidiactl"):  # else there is no need to load torch for this
        import torch

        gpu = f", {torch.cuda.device_count()} x {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{os.cpu_count()} x {cpu}{gpu}"


def commit() -> dict[str, Any] | None:
    """The checkout's commit and whether it has been changed since; None where that cannot be known."""
    if not (CHECKOUT / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", CHECKOUT, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--", "s2g", "configs", "run.py")),
        }
    except (OSError, subprocess.CalledProcessError):  # no git here, or one that does not trust the folder
        return None


def environment(run: Run, device: str, workers: int) -> dict[str, Any]:
    """What env.json says of the units made by `workers` processes on `device`; a thread each on CPU."""
    import torch

    cuda = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()} if device != "cpu" else {}
    return {
        "s2g": __version__,
        "git": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES} | cuda,
        "machine": machine(),
        "platform": platform.platform(),
        "device": device,
        "workers": workers,
        "threads": THREADS,
        "weights": weights_of(run.model),
        **({} if run.weak is None else {"weak_weights": weights_of(run.weak)}),
    }


def weights_of(model: ModelConfig) -> dict[str, str]:
    """A weights file by name and hash, a pipeline by its place and the revision of each part.

    Both "none" where there is no file, or "random:SEED".
    """
    hashed = model.weights_sha256()
    if model.piped:
        return {"file": model.weights, "sha256": hashed, **model.pipeline().revisions()}
    fileless = model.weights == "none" or model.weights_seed is not None
    return {"file": hashed if fileless else model.weights_file().name, "sha256": hashed}
