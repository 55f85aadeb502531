"""CIFAR-10's horses and automobiles through torchvision's loader: 5,000 and 5,000 to train on, 1,000 and 1,000 held out."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from s2g.errors import MissingError, UserError
from s2g.io.interrupt import uninterrupted
from s2g.worlds.images import Images, Wobble

SIZE = 32  # pixels of a side
PAIR = ("automobile", "horse")  # paper Figure 4 and Appendix B.1.3
WOBBLE = Wobble(flip=True)  # what is common for CIFAR-10; the paper states nothing
FOLDER = "cifar-10-batches-py"  # inside the folder that is named, as torchvision has it


def require_files(root: str, key: str, download: bool = False) -> None:
    """Raise UserError naming `key` unless CIFAR-10's files are under `root`, or may be downloaded there."""
    first = Path(root).expanduser() / FOLDER / "data_batch_1"
    if not download and not first.is_file():
        raise MissingError(
            key,
            root,
            f"no file {first}",
            allowed=f"a folder that holds {FOLDER}",
            todo=f"name it, or have it downloaded (170 MB): {key.rpartition('data')[0]}download=true",
        )


@cache
def pair(root: str, key: str = "data", download: bool = False, train: bool = True) -> Images:
    """Load the images of the two classes of CIFAR-10's training (or test) set; UserError if files are missing or damaged.

    torchvision checks every file's md5 sum before it is unpickled.
    """
    require_files(root, key, download)
    with uninterrupted():
        from torchvision.datasets import CIFAR10

    try:
        dataset = CIFAR10(str(Path(root).expanduser()), train=train, download=download)
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"{key} = {root}: CIFAR-10 cannot be read there ({error})", todo=f"delete {FOLDER}, and run again to download it"
        ) from error
    return Images(np.asarray(dataset.data), np.asarray(dataset.targets, np.int64), tuple(dataset.classes)).only(PAIR)
