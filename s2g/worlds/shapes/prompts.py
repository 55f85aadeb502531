"""What bench=shapes_t2i asks for: 256 captions, in eights of the same make-up, so that every unit of items has it too."""

from __future__ import annotations

from functools import cache

import numpy as np

from s2g.rng import Purpose, philox
from s2g.worlds.shapes.captions import NONE, RELATIONS, SEEN, held_out

COUNT = 256
KINDS = ("one", "two", "one_held_out", "two_held_out")
# Of eight captions: two name one object, one names one of a class that was held out of the training, three name two
# objects, and two name two of which one is of a held-out class.
EIGHT = ("one", "two", "two_held_out", "two", "one_held_out", "two", "one", "two_held_out")
KIND = {name: number for number, name in enumerate(KINDS)}
KIND_OF = np.array([KIND[kind] for kind in EIGHT])  # of caption i: KIND_OF[i % 8]


@cache
def prompt_classes() -> np.ndarray:
    """Return the classes of both objects and the relation of each caption, [256, 3]; NONE where there is no second object.

    Classes come from decks that are reshuffled when used up, so that each occurs about equally often.
    """
    shuffled = np.random.Generator(philox(Purpose.CAPTION, 0, item=1))
    decks: dict[str, list[int]] = {"seen": [], "held": []}
    classes = {"seen": SEEN, "held": held_out()}

    def draw(name: str, other_than: int = NONE) -> int:
        if not set(decks[name]) - {other_than}:
            decks[name] = [*decks[name], *shuffled.permutation(classes[name]).tolist()]
        return decks[name].pop(next(i for i, label in enumerate(decks[name]) if label != other_than))

    rows = []
    for number in range(COUNT):
        kind, round_number = EIGHT[number % len(EIGHT)], number // len(EIGHT)
        use_held_out = kind.endswith("held_out")
        first = draw("held" if use_held_out else "seen")
        if kind.startswith("one"):
            rows.append((first, NONE, NONE))
            continue
        second = draw("seen", first)
        if use_held_out and round_number % 2:  # the held-out class is named second as often as first
            first, second = second, first
        rows.append((first, second, int(shuffled.integers(len(RELATIONS)))))
    return np.array(rows)
