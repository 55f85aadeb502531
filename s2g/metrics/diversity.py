"""How different items of one prompt are: what guidance takes away first, and what marginal scores do not see."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def within_prompt(features: np.ndarray, prompt_of: np.ndarray) -> float:
    """Return the mean over prompts of the mean distance between two items of a prompt; nan if no prompt has two.

    features: [N, D]; prompt_of: [N] integers. The mean pairwise distance of arXiv 1711.11586 (there LPIPS, here
    between whatever features the bench finds telling).
    """
    spreads = [_of_pairs(distances).mean() for _, distances in _prompts(features, prompt_of) if len(distances) > 1]
    return float(np.mean(spreads)) if spreads else float("nan")


def within_prompt_items(features: np.ndarray, prompt_of: np.ndarray) -> np.ndarray:
    """Return [N] numbers whose mean is `within_prompt`, and whose spread within prompts is that of its chance.

    Leaving out items would not do: with it goes what their distances from all others have in common, and with five items
    of a prompt the standard error comes out up to 1.3 times too large. The mean over pairs of n items is a U-statistic;
    of the variance S of items' mean distances and the variance P of pairs, an unbiased estimate of its variance is
    (4 (n - 1)^2 S / n - 2 P) / ((n - 2)(n - 3)), Hoeffding 1948, S and P averaged over prompts of as many items. Items'
    deviations are scaled to it, at least as if nothing were an item's own and at most as if all were. ValueError for a
    prompt of fewer than 4 items.
    """
    found = list(_prompts(features, prompt_of))
    counts = np.array([len(rows) for rows, _ in found])
    if counts.min() < 4:
        raise ValueError(f"a prompt of {counts.min()} items: the spread of pairs needs 4")
    value = float(np.mean([_of_pairs(distances).mean() for _, distances in found]))
    values = np.full(len(features), value)
    for n in np.unique(counts):
        alike = [each for each, count in zip(found, counts, strict=True) if count == n]
        of_items = [distances.sum(1) / (n - 1) for _, distances in alike]
        spread = np.mean([own.var(ddof=1) for own in of_items])
        if not spread:
            continue
        of_pairs = np.mean([_of_pairs(distances).var() for _, distances in alike])
        squared = (4 * (n - 1) ** 2 - 2 * n * of_pairs / spread) / ((n - 2) * (n - 3))
        scale = np.sqrt(np.clip(squared, 2 * (n - 1) / (n - 2), 4 * ((n - 1) / (n - 2)) ** 2))
        share = len(features) / (len(found) * n)  # 1 where all prompts have as many
        for (rows, _), own in zip(alike, of_items, strict=True):
            values[rows] += share * scale * (own - own.mean())
    return values


def _prompts(features: np.ndarray, prompt_of: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the items [n] of each prompt and their distances [n, n]."""
    for prompt in np.unique(prompt_of):
        rows = np.flatnonzero(prompt_of == prompt)
        own = features[rows].astype(np.float64)
        yield rows, np.linalg.norm(own[:, None] - own, axis=-1)


def _of_pairs(distances: np.ndarray) -> np.ndarray:
    return distances[np.triu_indices(len(distances), 1)]
