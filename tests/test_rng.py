"""Streams against Philox4x64-10 written out (Salmon et al., 2011), and golden draws that must never change."""

from __future__ import annotations

import numpy as np

from s2g.guidance.base import MaskSampler
from s2g.rng import Purpose, normal, philox, uniform

WORD = 2**64


def philox_by_hand(counter: list[int], key: list[int]) -> list[int]:
    """Ten rounds of two 64-bit multiplications each."""
    for step in range(10):
        if step:
            key = [(key[0] + 0x9E3779B97F4A7C15) % WORD, (key[1] + 0xBB67AE8584CAA73B) % WORD]
        a, b = 0xD2E7470EE14C6C93 * counter[0], 0xCA5A826395121157 * counter[2]
        counter = [(b >> 64) ^ counter[1] ^ key[0], b % WORD, (a >> 64) ^ counter[3] ^ key[1], a % WORD]
    return counter


def test_words_are_philox_of_seed_purpose_item_step_and_draw() -> None:
    words = philox(Purpose.MASK, seed=1, item=2, step=3, draw=4).random_raw(8).tolist()
    # numpy counts up before each block of four words
    assert words == philox_by_hand([1, 4, 3, 2], [1, 2]) + philox_by_hand([2, 4, 3, 2], [1, 2])


def test_purposes_and_coordinates_do_not_collide() -> None:
    firsts = [
        philox(purpose, seed, item, step, draw).random_raw()
        for purpose in Purpose
        for seed in (0, 1)
        for item in (0, 1)
        for step in (0, 1)
        for draw in (0, 1)
    ]
    assert len(set(firsts)) == len(firsts)


def test_golden_draws() -> None:
    np.testing.assert_array_equal(
        normal(Purpose.INITIAL_NOISE, 0, 1, (2,)), np.array([-1.299804925918579, -0.28623706102371216], np.float32)
    )
    assert uniform(Purpose.SCENE, 3, np.array([5]), 2).tolist() == [[0.6412717227753783, 0.3318371110511923]]
    assert [MaskSampler(0, 0, step, 12).mask(0, 1, (0,)) for step in range(6)] == [(6,), (9,), (2,), (10,), (7,), (2,)]
    assert MaskSampler(0, 1, 2, 24).mask(0, 3, (0,)) == (15, 16, 18)
