"""Diversity within a prompt: by hand, and blind to what differs between prompts."""

from __future__ import annotations

import numpy as np
import pytest

from s2g.metrics.diversity import within_prompt, within_prompt_items


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


def test_its_items_have_its_mean_whatever_prompts_have() -> None:
    rng = np.random.default_rng(1)
    features, prompt_of = rng.normal(size=(54, 3)), np.arange(54) % 12  # five of the first six, four of the others
    items = within_prompt_items(features, prompt_of)
    assert items.mean() == pytest.approx(within_prompt(features, prompt_of))
    assert np.ptp([items[prompt_of == prompt].mean() for prompt in range(12)]) < 1e-12  # nothing of what prompts differ in
    with pytest.raises(ValueError, match="needs 4"):
        within_prompt_items(features[:40], prompt_of[:40])


@pytest.mark.parametrize("n", [4, 5, 10])
def test_the_spread_of_its_items_is_that_of_the_mean_difference_of_normals(n: int) -> None:
    """The variance of Gini's mean difference of n normals, Nair 1936; leaving items out has up to 1.7 times of it."""
    prompts = 4000
    values = np.random.default_rng(n).normal(size=(prompts * n, 1))
    items = within_prompt_items(values, np.arange(prompts * n) % prompts)
    of_prompts = (items - items.mean()).reshape(n, prompts)
    found = (of_prompts**2).sum(0).mean() * n / (n - 1) / n**2
    want = 4 / (n * (n - 1)) * ((n + 1) / 3 + (2 * np.sqrt(3) * (n - 2) - 2 * (2 * n - 3)) / np.pi)
    assert found == pytest.approx(want, rel=0.04)


def test_equal_items_have_no_spread() -> None:
    assert within_prompt_items(np.ones((12, 2)), np.arange(12) % 3).tolist() == [0.0] * 12
