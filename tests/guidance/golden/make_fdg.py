"""Makes fdg.npz: what diffusers' FrequencyDecoupledGuidance returns on seeded inputs; kornia is nowhere else needed.

    python -m pip install --target KORNIA --no-deps kornia==0.9.0 kornia_rs packaging
    PYTHONPATH=.:KORNIA .venv/bin/python tests/guidance/golden/make_fdg.py

Made with diffusers 0.42.1, kornia 0.9.0 and torch 2.15 on an AMD EPYC CPU, 2026-12-01. Every STRIDE-th value is kept; STRIDE is
prime to the sides, so that every row and column has some.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from s2g.rng import Purpose, normal

SIZE, STRIDE = (64, 32), 7
# Scales by level, the finest first, and the weight of the part along cond.
CASES = {
    "two": ((10.0, 5.0), 1.0),
    "three": ((9.0, 6.0, 3.0), 1.0),
    "two, parallel": ((10.0, 5.0), 0.3),
    "three, parallel": ((9.0, 6.0, 3.0), 0.3),
}


def inputs() -> tuple[Tensor, Tensor]:
    """Return cond and uncond [2, 2, 64, 32], float64: of unlike lengths, and no multiples of each other."""
    drawn = [torch.from_numpy(normal(Purpose.INITIAL_NOISE, 19713, item, (2, 2, *SIZE))).double() for item in range(2)]
    return 0.6 * drawn[0] + 0.5 * drawn[1], drawn[1] + 0.25


def kept(values: Tensor) -> np.ndarray:
    """Return every STRIDE-th value."""
    return values.numpy().ravel()[::STRIDE]


if __name__ == "__main__":
    from diffusers.guiders import FrequencyDecoupledGuidance

    made = {}
    for case, (scales, parallel) in CASES.items():
        guider = FrequencyDecoupledGuidance(guidance_scales=list(scales), parallel_weights=parallel)
        guider.set_state(1, 10, torch.tensor(0))
        made[case] = kept(guider.forward(*inputs()).pred)
    np.savez_compressed(Path(__file__).with_name("fdg.npz"), **made)  # pyright: ignore[reportArgumentType]
