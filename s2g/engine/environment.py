"""The environment in which units are sampled: versions, machine, device, threads, commit, weights."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Any

from s2g import __version__
from s2g.config.kernels import DEFAULT, Kernels
from s2g.config.schema import CHECKOUT, ModelConfig
from s2g.engine.run import Run
from s2g.io.machine import processor

THREADS = 1  # per worker: the last bits of a sum depend on how it is split
PACKAGES = ("torch", "torchvision", "diffusers", "transformers", "timm", "numpy", "pillow")


def machine() -> str:
    """Return the processor, and GPUs if any, in words."""
    gpu = ""
    if os.path.exists("/dev/nvidiactl"):  # do not load torch without a GPU
        import torch

        gpu = f", {torch.cuda.device_count()} x {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{os.cpu_count()} x {processor()}{gpu}"


def commit() -> dict[str, Any] | None:
    """Return the checkout's commit and whether files have changed since; None if unknown."""
    if not (CHECKOUT / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", CHECKOUT, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--", "s2g", "configs", "run.py")),
        }
    except (OSError, subprocess.CalledProcessError):  # git is missing, or does not trust the folder
        return None


def environment(run: Run, device: str, workers: int, machine: str, kernels: Kernels = DEFAULT) -> dict[str, Any]:
    """Return the entry of env.json for units sampled by `workers` processes on `device`; machine: theirs, in words."""
    import torch

    cuda = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()} if device.startswith("cuda") else {}
    return {
        "s2g": __version__,
        "git": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES} | cuda,
        "machine": machine,
        "platform": platform.platform(),
        "device": device,
        "workers": workers,
        "threads": THREADS,
        **kernels.facts(),
        "weights": weights_of(run.model),
        **({} if run.weak is None else {"weak_weights": weights_of(run.weak)}),
    }


def weights_of(model: ModelConfig) -> dict[str, str]:
    """Return name and hash of a weights file, or location and revisions of a pipeline.

    Both are "none" for a model without a file, or "random:SEED".
    """
    hashed = model.weights_sha256()
    if model.piped:
        return {"file": model.weights, "sha256": hashed, **model.pipeline().revisions()}
    fileless = model.weights == "none" or model.weights_seed is not None
    return {"file": hashed if fileless else model.weights_file().name, "sha256": hashed}
