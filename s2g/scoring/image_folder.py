"""Images from any source under the names that an official evaluator expects: each name says which item it is.

HPSv2's script crashes on a stray file, omits a missing style, and skips a missing image with a printed line.
Official packages read 16 bits, orientation and the like each in its own way, so they are given such images converted.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import PIL.Image

from s2g.io.atomic import write_bytes
from s2g.io.cache import cache_folder
from s2g.io.images import is_plain, rgb
from s2g.io.input_files import is_litter, read_regular
from s2g.scoring.file_scoring import FileCheck, Image

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")  # HPSv2 names every image .jpg, whatever its format


def look(root: Path, names: Sequence[str]) -> FileCheck:
    """Read every image of `names` (by item, its path below `root`, with any image ending) and list unexpected files."""
    wanted = {_stem(Path(name)): item for item, name in enumerate(names)}
    images: list[Image] = []
    unreadable, extra, seen = [], [], set()
    for path in sorted(root.rglob("*")):
        if path.is_dir() or is_litter(path.name):
            continue
        name, stem = str(path.relative_to(root)), _stem(path.relative_to(root))
        if stem not in wanted or path.suffix.lower() not in ENDINGS:
            extra.append(name)
        elif stem in seen:
            extra.append(f"{name} (a second image of that prompt)")
        else:
            seen.add(stem)
            try:
                images.append(_scorable(wanted[stem], path))
            except (OSError, ValueError) as error:
                unreadable.append(f"{name} ({(isinstance(error, OSError) and error.strerror) or error})")
    missing = [stem for stem in wanted if stem not in seen]
    return FileCheck(sorted(images, key=lambda image: image.item), missing, unreadable, extra)


def _stem(path: Path) -> str:
    """Return a path without its ending; a prompt in it may have full stops of its own."""
    return (path.parent / path.stem).as_posix()


def _scorable(item: int, path: Path) -> Image:
    """Return the file itself, or a PNG in the cache if it is not plain RGB; ValueError, OSError if it cannot be scored."""
    content = read_regular(path)
    pixels = rgb(content)
    if is_plain(content):
        return Image(item, path, hashlib.sha256(content).hexdigest())
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, format="PNG")
    digest = hashlib.sha256(stream.getvalue()).hexdigest()
    write_bytes(converted := cache_folder() / "converted" / f"{digest}.png", stream.getvalue())
    return Image(item, converted, digest)
