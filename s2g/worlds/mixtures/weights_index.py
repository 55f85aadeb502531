"""Which file holds the weights of which toy network: its name says data, size and training seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parent / "weights"
TRAINED = Path("training") / "toy"  # where scripts/train.py writes what does not ship
DATA = ("place", "std", "classes")  # what of model.network says which mixture the network is of
SEED = "seed"  # that of its training


def file_name(network: Mapping[str, Any], early: bool = False) -> str:
    """Return a name such as square-each-std0.5-32x12-0.safetensors; `early`: the earlier state of the same training."""
    place, std, classes, width, depth, seed = (network[key] for key in (*DATA, "width", "depth", SEED))
    return f"{place}-{classes}-std{float(std):g}-{width}x{depth}-{seed}{'_early' if early else ''}.safetensors"


def weights_path(name: str) -> Path:
    """Return the path of that name: shipped, trained here, or where it would ship."""
    return next((folder / name for folder in (SHIPPED, TRAINED) if (folder / name).is_file()), SHIPPED / name)


def shipped(network: Mapping[str, Any], early: bool) -> tuple[Path, str]:
    """Return the file of a built-in network's weights and the command that trains it; the file may be missing."""
    return weights_path(file_name(network, early)), training_command(network)


def training_command(network: Mapping[str, Any]) -> str:
    """Return the command that trains it."""
    model = {"line": "toy_1d", "square": "toy_2d"}[network["place"]]
    return " ".join(
        ["python scripts/train.py", f"model={model}", *(f"{key}={network[key]}" for key in network if key != "place")]
    )
