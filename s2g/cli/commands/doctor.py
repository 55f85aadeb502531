"""`s2g doctor`: what this machine has, what is missing and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from omegaconf import OmegaConf
from rich.console import Console

from s2g.benchmarks.shapes import bench as shapes
from s2g.benchmarks.two_class import digits
from s2g.config.family import import_object
from s2g.config.registry import MODELS
from s2g.config.schema import BUILTIN, SHIPPED, config_dir
from s2g.io.hub import snapshot
from s2g.io.machine import cores
from s2g.report.tables import console_table

PACKAGES = ("torch", "torchvision", "diffusers", "transformers", "timm", "hydra-core", "omegaconf", "numpy")


def doctor() -> int:
    """Print the findings; return 1 if something that the built-in models need is missing."""
    console = Console(highlight=False)
    rows = [["python", platform.python_version()], *([name, _version(name)] for name in PACKAGES)]
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    rows.append(
        [
            "devices",
            f"cpu ({cores()} cores), " + (", ".join(devices) or "no CUDA GPU: built-in models only"),
        ]
    )
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    rows.append(["disk", f"{free:.0f} GiB free in {Path.cwd()}"])
    console.print(console_table(["machine", ""], rows, left=True))

    found = [_weights(path) for path in sorted((config_dir() / "model").glob("*.yaml"))]
    for name, bench in (("shapes", shapes), ("digits", digits)):
        found += [[f"bench={name}: {path.name}", _state(path)] for path in (bench.PROBE, bench.REFERENCE)]
    data = os.environ.get("S2G_DATA")
    prompts = f"S2G_DATA = {data}" + ("" if Path(data).is_dir() else ": no such folder") if data else "S2G_DATA is not set"
    found.append(["prompt files", f"{prompts}; bench=shapes needs none"])
    console.print(console_table(["weights and prompts", ""], found, left=True))
    missing = [row for row in found if "missing" in row[1]]
    console.print("missing: " + ", ".join(row[0] for row in missing) if missing else "ready: s2g demo")
    return 1 if missing else 0


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return f"missing: pip install {name}"


def _weights(path: Path) -> list[str]:
    config = OmegaConf.load(path)
    family = MODELS.find(config.family)
    if config.weights == "none":
        return [f"model={path.stem}", "needs none (closed form)"]
    if config.weights.startswith("training/"):
        there = "found" if Path(config.weights).is_file() else "not here"
        return [f"model={path.stem}", f"trained by scripts/train.py, {there}: {config.weights}"]
    if config.weights != "builtin" and family.layout:
        there = "in the hub's cache" if snapshot(config.weights) else "not here"
        return [f"model={path.stem}", f"{there}: {config.weights}, {config.download_gb:g} GB in all"]
    if config.weights != "builtin" and family.adapter:
        there = "found" if Path(config.weights).is_file() else "not here"
        return [f"model={path.stem}", f"{there}: {config.weights}; source: {config.source}"]
    if config.weights != "builtin":
        return [f"model={path.stem}", f"no code yet; weights: {config.weights}"]
    if family.shipped:
        return [f"model={path.stem}", _state(import_object(family.shipped)(config.network, False)[0])]
    file = f"{config.name}.safetensors"
    return [f"model={path.stem}", _state(next((f / file for f in SHIPPED if (f / file).exists()), BUILTIN / file))]


def _state(file: Path) -> str:
    return f"found, {file.stat().st_size / 2**10:,.0f} KiB" if file.is_file() else f"missing: {file}"
