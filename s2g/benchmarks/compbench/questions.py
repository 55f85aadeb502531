"""From noun phrases to questions, and from answers to an image's score: T2I-CompBench's BLIP-VQA rules.

Source: Karine-Huang/T2I-CompBench at 1b70949, BLIPvqa_eval (MIT): BLIP_vqa.py and data/utils.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

MOST = 8  # phrases that are asked about; further ones are dropped
WORDS = 50  # of a question
DELETED = re.compile(r'[.!"()*#:;~]')


def questions_of(phrases: Sequence[str]) -> list[str]:
    """Return what is asked about an image whose prompt has these noun phrases: at most 8 questions, in order."""
    return [cleaned(f"{phrase}?") for phrase in phrases[:MOST]]


def cleaned(question: str) -> str:
    """Return a question in lower case, of at most 50 words, without characters that BLIP's training data did not have."""
    kept = DELETED.sub("", question.lower()).rstrip(" ")
    words = kept.split(" ")
    return " ".join(words[:WORDS]) if len(words) > WORDS else kept


def rounded(probability: float) -> float:
    """Round an answer to four decimals, as in the official files."""
    return float(f"{probability:.4f}")


def image_score(answers: Sequence[float]) -> float:
    """Multiply an image's answers, each and the product rounded to four decimals; 1 if nothing is asked.

    In float32, as the official script's tensor is.
    """
    product = np.float32(1)
    for answer in answers:
        product = np.float32(product * np.float32(rounded(answer)))
    return rounded(float(product))
