"""Images in the official layout of HPSv2, made by anybody: ROOT/STYLE/NNNNN.jpg, each number a prompt's place in its list.

The official script crashes over a stray file, forgets a style that is missing, and skips an image with a line of text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import PIL.Image

from s2g.engine.judged import Image, Looked, is_litter

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")  # officially .jpg alone, whatever the format of its bytes


def look(root: Path, entries: Sequence[tuple[str, int]]) -> Looked:
    """Every image of the prompts `entries` (style, place) below `root`, opened whole; and what else lies there."""
    wanted = {(style, f"{place:05d}"): item for item, (style, place) in enumerate(entries)}
    images: list[Image] = []
    unreadable, extra, seen = [], [], set()
    for path in sorted(root.rglob("*")):
        if path.is_dir() or is_litter(path.name):
            continue
        name, whose = str(path.relative_to(root)), (path.parent.name, path.stem)
        if path.parent.parent != root or whose not in wanted or path.suffix.lower() not in ENDINGS:
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
    missing = [f"{style}/{number}" for style, number in wanted if (style, number) not in seen]
    return Looked(sorted(images, key=lambda image: image.item), missing, unreadable, extra)


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
