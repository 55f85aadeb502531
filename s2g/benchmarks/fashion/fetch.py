"""`s2g fetch fashion`: Fashion-MNIST's four files, through torchvision, for what needs the photographs themselves."""

from __future__ import annotations

from collections.abc import Sequence

from s2g.errors import UserError
from s2g.io.interrupt import uninterrupted
from s2g.worlds.fashion.data import DEBIAN, DOWNLOADED, SHA256, photographs

ROOT = "data"
PARTS = ("train", "t10k")


def fetch(root: str = ROOT) -> Sequence[str]:
    """Download the files to ROOT/FashionMNIST/raw unless the Debian package is installed, and check them; return lines."""
    if DEBIAN.is_dir():
        for part in PARTS:
            photographs(part, str(DEBIAN))
        return [f"Fashion-MNIST: there, in {DEBIAN}"]
    with uninterrupted():
        from torchvision.datasets import FashionMNIST

    try:
        for train in (True, False):
            FashionMNIST(root, train=train, download=True)
    except (RuntimeError, OSError) as error:  # torchvision's word for a server that does not answer; a full disk
        raise UserError(
            f"Fashion-MNIST: cannot be downloaded ({error})",
            todo="connect to a network; or apt-get install dataset-fashion-mnist",
        ) from error
    for part in PARTS:
        photographs(part, root)
    return [f"Fashion-MNIST: {len(SHA256)} files in {root}/{DOWNLOADED}, as published"]
