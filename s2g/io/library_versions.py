"""Versions of installed libraries: results change with them, so scores record them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

MEASURING = ("torch", "torchvision", "numpy", "pillow", "open_clip_torch", "transformers", "tokenizers", "torch-fidelity")


def versions(*names: str) -> dict[str, str]:
    """Return versions by name, of the named libraries that are installed; by default of all that scores depend on."""
    found = {}
    for name in names or MEASURING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
