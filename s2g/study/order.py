"""Orders of pages and of pictures: random, and a function of the study's seed and the participant's number alone."""

from __future__ import annotations

import numpy as np

from s2g.rng import Purpose, philox
from s2g.study.material import Material


def shuffled(count: int, seed: int, participant: int, place: int = 0) -> list[int]:
    """Return a random order of `count` things; numpy's raw words do not change between its versions.

    place: 0 for the order of pages, 1 and on for the order of pictures on a page.
    """
    words = philox(Purpose.ORDER, seed, participant, place).random_raw(count)
    return np.argsort(words, kind="stable").tolist()


def pages_of(material: Material, participant: int) -> list[tuple[int, list[str]]]:
    """Return a participant's pages in order: the index of a trial, and its shots in the order shown."""
    pages = []
    for place, trial in enumerate(shuffled(len(material.trials), material.seed, participant), 1):
        shots = material.trials[trial].shots
        pages.append((trial, [shots[at] for at in shuffled(len(shots), material.seed, participant, place)]))
    return pages
