"""The Inception Score (arXiv 1606.03498) over splits of consecutive items, as the ADM evaluator takes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

SPLIT = 5000  # items: ten splits of 50,000; openai/guided-diffusion, evaluations


def inception_score_items(logits: Iterable[np.ndarray], num: int, split: int = SPLIT) -> np.ndarray:
    """Return [num] numbers whose mean is the score: the score plus what each item, to first order, adds to it.

    The score is the mean over splits of exp of the mean divergence of p(y|x) from p(y).

    logits: [n, K] a block at a time, in item order. Splits are consecutive; the last may be short and counts as one of
    them, as in the official evaluator. In memory: the logits of one split.
    """
    values, sizes = [], []
    for part in splits(logits, num, split):
        p, log_p = softmax(part)
        marginal = p.mean(0)
        log_marginal = np.log(marginal, where=marginal > 0, out=np.zeros_like(marginal))
        divergence = (p * np.where(p > 0, log_p - log_marginal, 0)).sum(1)  # 0 log 0 = 0
        own = np.exp(divergence.mean())
        values.append((own, own * (divergence - divergence.mean())))
        sizes.append(len(part))
    score = np.mean([own for own, _ in values])
    shares = [num / (len(sizes) * size) for size in sizes]  # 1 where all splits have one size
    return np.concatenate([score + share * (own - score + change) for share, (own, change) in zip(shares, values, strict=True)])


def inception_style(probabilities: np.ndarray) -> float:
    """Return the score's formula on any classifier's probabilities [N, K], rows that sum to 1: between 1 and K, one split."""
    return float(np.exp(_divergences(probabilities).mean()))


def inception_style_items(probabilities: np.ndarray) -> np.ndarray:
    """Return [N] numbers whose mean is `inception_style`: the score plus what each item, to first order, adds to it."""
    divergences = _divergences(probabilities)
    score = np.exp(divergences.mean())
    return score * (1 + divergences - divergences.mean())


def _divergences(probabilities: np.ndarray) -> np.ndarray:
    """Return the divergence [N] of each item's probabilities [N, K] from their mean."""
    p = probabilities.astype(np.float64).clip(1e-16)
    p /= p.sum(1, keepdims=True)
    return (p * (np.log(p) - np.log(p.mean(0)))).sum(1)


def softmax(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities [n, K] and their logarithms, in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(1, keepdims=True))
    return np.exp(shifted), shifted


def splits(blocks: Iterable[np.ndarray], num: int, size: int) -> Iterator[np.ndarray]:
    """Yield the rows of blocks [n, ...] `size` at a time, the last may be short; ValueError unless they are `num` in all."""
    held: list[np.ndarray] = []
    count = seen = 0
    for block in blocks:
        seen += len(block)
        while len(block):
            taken, block = block[: size - count], block[size - count :]
            held.append(taken)
            count += len(taken)
            if count == size:
                yield np.concatenate(held)
                held, count = [], 0
    if held:
        yield np.concatenate(held)
    if seen != num:
        raise ValueError(f"{seen} rows of features for {num} items")
