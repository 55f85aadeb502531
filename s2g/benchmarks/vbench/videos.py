"""Video files before they are scored: named as they must be, whole, all of one size, and nothing beside them.

The official package takes the ending of whatever entry comes first in the folder, warns over a missing video and takes
the mean of the rest, and reads a cut-off file as far as it goes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from s2g.benchmarks.vbench.prompts import Suite
from s2g.scoring.file_scoring import FileCheck, Image
from s2g.store.video import check_whole

Shape = tuple[int, int, int]  # frames, height, width


def shape_of(path: Path) -> Shape:
    """Return frames, height and width from the packets, without decoding; ValueError for a truncated file, else OSError."""
    import av  # only where there are videos
    from av.error import FFmpegError

    with path.open("rb") as file:
        check_whole(file)  # a decoder goes on where a table at the end is not all there
    try:
        with av.open(str(path)) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                raise ValueError("it has no video")
            said, found = stream.frames, 0
            for packet in container.demux(stream):
                if packet.size:
                    if packet.is_corrupt:
                        raise ValueError(f"truncated in frame {found}")
                    found += 1
            shape = found, stream.height, stream.width
    except FFmpegError as error:
        raise ValueError(str(error)) from error
    if not found or (said and said != found):
        raise ValueError(f"truncated: {found} of {said} frames")
    return shape


def sized(images: Iterable[Image], name: Callable[[Image], str], expected: Shape | None = None) -> FileCheck:
    """Sort videos into whole ones, unreadable ones, and those of another size than most.

    expected: what all are to be, where that is known.
    """
    shapes: dict[Image, Shape] = {}
    unreadable = []
    for image in images:
        try:
            shapes[image] = shape_of(image.path)
        except (ValueError, OSError) as error:
            unreadable.append(f"{name(image)} ({_why(error)})")
    usual = expected or next((shape for shape, _ in Counter(shapes.values()).most_common(1)), (0, 0, 0))
    other = [
        f"{name(image)} ({_words(shape)}, {'it is to be' if expected else 'the others'} {_words(usual)})"
        for image, shape in shapes.items()
        if shape != usual
    ]
    whole = [image for image, shape in shapes.items() if shape == usual]
    return FileCheck(whole, unreadable=unreadable, other=other, kind="videos")


def look(root: Path, suite: Suite) -> FileCheck:
    """Compare every file of a flat folder with the official names; a .DS_Store is one too many, as for the package."""
    wanted: Mapping[str, int] = suite.files
    there = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
    images, closed = list[Image](), list[str]()
    for name in there:
        if name in wanted:
            try:
                images.append(Image(wanted[name], root / name, hashlib.sha256((root / name).read_bytes()).hexdigest()))
            except OSError as error:
                closed.append(f"{name} ({_why(error)})")
    found = sized(images, lambda image: image.path.name)
    seen = set(there)
    missing = [name for name in wanted if name not in seen]
    extra = [name for name in there if name not in wanted]
    whole = sorted(found.images, key=lambda image: image.item)
    return FileCheck(whole, missing, [*closed, *found.unreadable], extra, found.other, "videos")


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)  # without the place


def _words(shape: Shape) -> str:
    frames, height, width = shape
    return f"{frames} frames of {height}x{width}"
