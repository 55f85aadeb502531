"""Soft-TIFA: which answers count, and its two means against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from s2g.benchmarks.geneval2.soft_tifa import arithmetic, asked, geometric


def test_which_answers_count() -> None:
    text, answers = asked("How many cats are in the image?", "three")
    assert text == "How many cats are in the image? Answer in one word."
    assert sorted(answers) == sorted(["three", "Three", " three", " Three", "3", " 3"])
    assert asked("How many cats?", "twelve")[1][-2:] == ("other", " other")  # as the official script has it
    assert set(asked("Are the cats red?", "Yes")[1]) == {"Yes", "yes", " Yes", " yes"}


def test_both_means_against_loops() -> None:
    noise = np.random.default_rng(0)
    rows = [list(noise.uniform(size=count)) for count in (1, 3, 11, 7)]
    filled = np.full((5, 11), np.nan)  # the last row: no image
    for at, row in enumerate(rows):
        filled[at, : len(row)] = row
    by_hand = [math.fsum(row) / len(row) for row in rows]
    products = [math.prod(row) ** (1 / len(row)) for row in rows]
    assert arithmetic(filled)[:4] == pytest.approx(by_hand, abs=1e-12) and np.isnan(arithmetic(filled)[4])
    assert geometric(filled)[:4] == pytest.approx(products, abs=1e-12) and np.isnan(geometric(filled)[4])
    assert geometric(np.array([[0.0, 1.0, np.nan], [0.25, 1.0, np.nan]])) == pytest.approx([0.0, 0.5])
