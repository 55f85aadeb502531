"""Images under the names that an official evaluator expects, made by anybody: each name says which item it is.

HPSv2's script crashes over a stray file, forgets a style that is missing, and skips an image with a line of text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import PIL.Image

from s2g.scoring.file_scoring import FileCheck, Image, is_litter

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")  # HPSv2 has .jpg alone, whatever the format of its bytes


def look(root: Path, names: Sequence[str]) -> FileCheck:
    """Every image of `names`, by item its place below `root`, of any ending, opened whole; and what else lies there."""
    wanted = {_stem(Path(name)): item for item, name in enumerate(names)}
    images: list[Image] = []
    unreadable, extra, seen = [], [], set()
    for path in sorted(root.rglob("*")):
        if path.is_dir() or is_litter(path.name):
            continue
        name, whose = str(path.relative_to(root)), _stem(path.relative_to(root))
        if whose not in wanted or path.suffix.lower() not in ENDINGS:
            extra.append(name)
        elif whose in seen:
            extra.append(f"{name} (a second image of that prompt)")
        else:
            seen.add(whose)
            wrong = _wrong(path)
            if wrong:
                unreadable.append(f"{name} ({wrong})")
            else:
                images.append(Image(wanted[whose], path, hashlib.sha256(path.read_bytes()).hexdigest()))
    missing = [stem for stem in wanted if stem not in seen]
    return FileCheck(sorted(images, key=lambda image: image.item), missing, unreadable, extra)


def _stem(place: Path) -> str:
    """A place without its ending: a prompt in it may have full stops of its own."""
    return (place.parent / place.stem).as_posix()


def _wrong(path: Path) -> str:
    """Why an image cannot be scored, "" if it can."""
    try:
        with PIL.Image.open(path) as opened:
            if opened.mode in ("RGBA", "LA", "PA") or "transparency" in opened.info:
                return (
                    f"{opened.mode}: transparency has no place in a score, and the official script breaks over it; flatten it"
                )
            opened.load()
    except (OSError, SyntaxError, ValueError) as error:  # PIL's ways of saying that a file is cut off or no image
        return f"cannot be read: {error}"
    return ""
