"""From mPLUG's answers to numbers: dependency zeroing, and which questions the official script counts.

Source: TencentQQGYLab/ELLA at 3c228f1, dpg_bench/compute_dpg_bench.py. What its columns do, and what the corrected ones do:

                    official                                          corrected
first row           skipped; prompts that need its question fail      a question as all others (ELLA#61)
a prompt's score    mean over its images, after zeroing               the same
a category          last image alone, before zeroing (ELLA#60)        all images, after zeroing
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from s2g.benchmarks.dpg.questions import Asked, Prompt
from s2g.errors import UserError

YES = "yes"  # the only word that counts


def zeroed(scores: Mapping[int, float], asked: Sequence[Asked], name: str = "") -> dict[int, float]:
    """Return scores by question ID, 0 where a parent's is 0; in order, so that a child of a zeroed question is zeroed too.

    UserError for a parent without a score, or a question without one.
    """
    found = dict(scores)
    for question in asked:
        for needed in (question.id, *question.parents):
            if needed not in found:
                what = f"the answer to question {needed} is missing"
                of = f", on which question {question.id} depends" if needed != question.id else ""
                raise UserError(f"DPG-Bench{f', {name}' if name else ''}: {what}{of}", todo="score the image again")
        if any(found[parent] == 0 for parent in question.parents):
            found[question.id] = 0.0
    return found


def official_questions(prompts: Sequence[Prompt]) -> list[tuple[Asked, ...]]:
    """Return each prompt's questions as the official script counts them; () for a prompt that it drops.

    It skips the file's first row. Where another question depends on that one, the prompt's image fails and is left out.
    """
    found = [prompt.questions for prompt in prompts]
    skipped, rest = found[0][0], found[0][1:]
    found[0] = () if any(skipped.id in question.parents for question in rest) else rest
    return found


def last_images(here: np.ndarray, prompt_of: np.ndarray) -> np.ndarray:
    """Return whether each item [N] is the last image of its prompt, of those that are there."""
    found = np.zeros(len(here), bool)
    last = {int(prompt): item for item, (there, prompt) in enumerate(zip(here, prompt_of, strict=True)) if there}
    found[list(last.values())] = True
    return found
