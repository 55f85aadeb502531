"""Fashion-MNIST's four files (Zalando, MIT licence): 28x28 gray photographs of ten kinds of clothes, found and checked.

Training and the reference are made from them; sampling and scoring need only what ships with the package.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from functools import cache
from pathlib import Path

import numpy as np

from s2g.errors import MissingError, UserError
from s2g.worlds.images import Images

SIZE = 28  # pixels of a side
CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
COUNTS = {"train": 60_000, "t10k": 10_000}
# sha256 of the files as they are unpacked; packed ones differ with the packer.
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
DOWNLOADED = "FashionMNIST/raw"  # inside the folder that is named, as torchvision has it
HOW = "apt-get install dataset-fashion-mnist, or s2g fetch fashion (30 MB)"
GZIP = b"\x1f\x8b"


def default_root() -> Path:
    """Return where `s2g fetch fashion` puts the data, unless the Debian package is installed."""
    return DEBIAN if DEBIAN.is_dir() else Path("data")


def folder_of(root: str, key: str) -> Path:
    """Return the folder that holds the four files; MissingError naming `key` and the first file that is not there.

    root: a folder of the files, packed or not, or one in which torchvision has downloaded them; "" for the default.
    """
    place = Path(root).expanduser() if root else default_root()
    folder = place / DOWNLOADED if (place / DOWNLOADED).is_dir() else place
    for name in SHA256:
        if not any((folder / file).is_file() for file in (name, f"{name}.gz")):
            raise MissingError(
                key,
                str(place),
                f"no file {folder / name}, nor {name}.gz",
                allowed="a folder of Fashion-MNIST's four files",
                todo=HOW,
            )
    return folder


@cache
def photographs(part: str, root: str = "", key: str = "data") -> Images:
    """Load the images of "train" or "t10k", checked byte by byte; UserError naming `key` and the file that is damaged."""
    folder = folder_of(root, key)
    pixels, labels = (_unpacked(folder, name, key) for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"))
    images = np.frombuffer(pixels, np.uint8, offset=16).reshape(COUNTS[part], SIZE, SIZE, 1)
    return Images(images, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64), CLASSES)


def _unpacked(folder: Path, name: str, key: str) -> bytes:
    """Read one file, unpacked where it is named .gz."""
    plain, packed = folder / name, folder / f"{name}.gz"
    path = plain if plain.is_file() else packed
    try:
        held = path.read_bytes()
        if path == plain and held.startswith(GZIP):
            raise UserError(f"{key} = {folder}: {name} is packed", todo=f"mv {path} {packed}")
        content = held if path == plain else gzip.decompress(held)
    except (OSError, EOFError, zlib.error) as error:  # what gzip raises for a file that is cut short or none
        raise UserError(f"{key} = {folder}: {path.name} cannot be read ({error})", todo=HOW) from error
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise UserError(f"{key} = {folder}: {path.name} is not Fashion-MNIST's: its sha256 differs", todo=f"delete it; {HOW}")
    return content
