"""Diversity within a prompt: by hand, and blind to what differs between prompts."""

from __future__ import annotations

import numpy as np
import pytest

from s2g.metrics.diversity import within_prompt


def test_mean_over_prompts_of_the_mean_distance_of_pairs() -> None:
    features = np.array([[0.0, 0], [3, 4], [0, 0], [100, 0], [100, 2], [7, 7]])
    prompt_of = np.array([5, 5, 5, 2, 2, 9])  # distances 5, 0, 5; 2; nothing to compare with
    assert within_prompt(features, prompt_of) == pytest.approx((10 / 3 + 2) / 2)


def test_what_differs_between_prompts_does_not_count_and_collapse_does() -> None:
    rng = np.random.default_rng(0)
    prompt_of = np.arange(300) % 100
    within, between = rng.normal(size=(300, 5)), rng.normal(size=(100, 5))[prompt_of]
    spread = within_prompt(within, prompt_of)
    assert within_prompt(within + 50 * between, prompt_of) == pytest.approx(spread)
    assert within_prompt(0.5 * within + 50 * between, prompt_of) == pytest.approx(0.5 * spread)
    assert within_prompt(between, prompt_of) == 0


def test_one_item_of_each_prompt_has_no_diversity() -> None:
    assert np.isnan(within_prompt(np.eye(3), np.arange(3)))
