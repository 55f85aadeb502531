"""What bench=shapes_t2v asks for: every kind of video once, in an order with balanced prefixes."""

from __future__ import annotations

from functools import cache

import numpy as np

from s2g.rng import Purpose, philox
from s2g.worlds.shapes.motion import MOTIONS, NUM_KINDS, kind_of
from s2g.worlds.shapes.world import COLORS, SHAPES

COUNT = NUM_KINDS
ROUND = len(SHAPES) * len(MOTIONS)  # videos in which every shape has every motion once; one in six of a held-out kind


@cache
def prompt_kinds() -> np.ndarray:
    """Return kinds [180]: six rounds of every shape with every motion, each round in other colors, one of them held out."""
    shuffled = np.random.Generator(philox(Purpose.CAPTION, 0, item=2))
    color = np.empty((len(COLORS), len(SHAPES), len(MOTIONS)), np.int64)
    for shape in range(len(SHAPES)):
        for motion in range(len(MOTIONS)):
            held_out_color, held_out_round = (shape + motion) % len(COLORS), (shape + 2 * motion) % len(COLORS)
            other_colors = shuffled.permutation(np.setdiff1d(np.arange(len(COLORS)), [held_out_color]))
            color[:, shape, motion] = np.insert(other_colors, held_out_round, held_out_color)
    pairs = np.stack(np.meshgrid(np.arange(len(SHAPES)), np.arange(len(MOTIONS)), indexing="ij"), -1).reshape(-1, 2)
    rounds = []
    for colors in color:
        shape, motion = shuffled.permutation(pairs).T
        rounds.append(kind_of(shape, colors[shape, motion], motion))
    return np.concatenate(rounds)
