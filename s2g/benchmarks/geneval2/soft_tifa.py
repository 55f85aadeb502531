"""Soft-TIFA: from a question to the answers that count, and from their probabilities to an image's score.

Source: facebookresearch/GenEval2 at a6e82d2, evaluation.py (soft_tifa) and soft_tifa_analysis.py; arXiv 2512.16853.
"""

from __future__ import annotations

import numpy as np

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: str(number) for number, word in enumerate(WORDS, 1)}
YES = ("Yes", "yes", " yes", " Yes")
ASK = "{} Answer in one word."


def asked(question: str, answer: str) -> tuple[str, tuple[str, ...]]:
    """Return what the model is asked, and the answers whose first tokens' probabilities are added up.

    A question of "How many" takes its number in words and digits; any other takes yes, whatever its right answer.
    """
    if not question.startswith("How many"):
        return ASK.format(question), YES
    digits = NUMBERS.get(answer, "other")  # the official script's word for numbers above ten
    words = (answer, answer.capitalize())
    return ASK.format(question), (*words, *(f" {word}" for word in words), digits, f" {digits}")


def arithmetic(answers: np.ndarray) -> np.ndarray:
    """Return the mean [N] of each row's probabilities [N, K], nan where there is no question; nan for a row without any."""
    counts = (~np.isnan(answers)).sum(axis=1)
    return np.where(counts > 0, np.nansum(answers, axis=1) / np.maximum(counts, 1), np.nan)


def geometric(answers: np.ndarray) -> np.ndarray:
    """Return the geometric mean [N] of each row's probabilities [N, K]; one of zero makes it zero."""
    with np.errstate(divide="ignore"):
        return np.exp(arithmetic(np.log(answers)))
