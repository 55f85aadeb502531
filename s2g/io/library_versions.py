"""Versions of installed libraries: their answers change with them, so scores say which they were made with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

MEASURING = ("torch", "torchvision", "numpy", "pillow", "open_clip_torch", "transformers", "tokenizers", "torch-fidelity")


def versions(*names: str) -> dict[str, str]:
    """Library to version, of those that are installed."""
    found = {}
    for name in names or MEASURING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
