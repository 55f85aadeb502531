"""A gallery of true videos of the moving world: what pages and pictures are given where runs make videos."""

from __future__ import annotations

import numpy as np

from s2g.report.gallery import Gallery, Item, Method, Shot
from s2g.report.media import poster_uri, video_uri
from s2g.worlds.shapes.motion import caption, render
from s2g.worlds.shapes.video_prompts import prompt_kinds
from s2g.worlds.shapes.world import HELD_OUT_SEED

METHODS = (Method("cfg", "CFG"), Method("s2", "S²-Guidance"))


def filmed(kinds: np.ndarray, first: int = 500_000) -> np.ndarray:
    """Videos uint8 [B, F, H, W, 3] of kinds [B]."""
    videos = render(kinds, HELD_OUT_SEED, np.arange(first, first + len(kinds)))
    return (videos * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 4, 1)


def film_gallery(count: int = 6, fps: int = 8) -> Gallery:
    """`count` items under two methods; the first method shows another kind than was asked for of every third item."""
    kinds, items = prompt_kinds()[:count], []
    own, other = filmed(kinds), filmed(prompt_kinds()[count : 2 * count], 600_000)
    for at, kind in enumerate(kinds.tolist()):
        right = [at % 3 > 0, True]
        videos = [own[at] if ok else other[at] for ok in right]
        shots = [
            Shot(
                video_uri(video, fps),
                {"shape": True, "motion": ok},
                "" if ok else "the reader reads: another",
                poster_uri(video),
            )
            for video, ok in zip(videos, right, strict=True)
        ]
        items.append(Item(str(at), caption(kind), shots))
    return Gallery(METHODS, items, held=0, start=0, note="all", legend="a frame: wrong", pixelated=True, fps=fps)
