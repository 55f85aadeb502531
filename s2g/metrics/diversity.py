"""How different items of one prompt are: what guidance takes away first, and what marginal scores do not see."""

from __future__ import annotations

import numpy as np


def within_prompt(features: np.ndarray, prompt_of: np.ndarray) -> float:
    """Return the mean over prompts of the mean distance between two items of a prompt; nan if no prompt has two.

    features: [N, D]; prompt_of: [N] integers. The mean pairwise distance of arXiv 1711.11586 (there LPIPS, here
    between whatever features the bench finds telling).
    """
    spreads = []
    for prompt in np.unique(prompt_of):
        rows = features[prompt_of == prompt].astype(np.float64)
        if len(rows) > 1:
            one, other = np.triu_indices(len(rows), 1)
            spreads.append(np.linalg.norm(rows[one] - rows[other], axis=1).mean())
    return float(np.mean(spreads)) if spreads else float("nan")
