"""The known-pair check: before its first real value a scorer scores three images whose order is known.

A red circle, a blue square and a blank, each with the words for the circle and with the words for the square. A scorer that
works values each drawing above the other two with its own words. One that does not is refused, with what it said and why:
arguments or answers that are exchanged, a blank that wins, words or images that are not looked at, packages of another
version than the environment's pins. A pass is noted beside the values and holds for that scorer on that machine's devices.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from s2g.engine.environment import machine
from s2g.errors import IsolatedError
from s2g.io.atomic import write_bytes
from s2g.io.json_files import load_json
from s2g.scoring.isolated.environment import Isolated
from s2g.scoring.isolated.pinned_versions import other_versions
from s2g.scoring.scorer import Answer, IsolatedScorer, Question, ScoringRequest

SIDE = 512  # pixels
WHITE, RED, BLUE = (255, 255, 255), (220, 20, 20), (20, 40, 220)
CIRCLE, SQUARE, BLANK = "a red circle", "a blue square", "a blank image"
NOTE = "known_pairs.json"  # beside the values: what the scorer said when it passed


@dataclass(frozen=True)
class KnownPairs:
    """How a scorer is asked about the known images."""

    # What it is asked of each drawing: its prompt, or the scorer's own form of a question.
    words: Mapping[str, Any] = field(default_factory=lambda: {CIRCLE: CIRCLE, SQUARE: SQUARE})
    value: Callable[[Any], float] = float  # an answer as a number, higher for a better match
    reads_words: bool = True  # False: it scores the image alone, and only the blank is compared


Values = Mapping[tuple[str, str], float]  # by (image, drawing whose words it was asked with)


def drawn(name: str) -> np.ndarray:
    """Draw a known image as uint8 [512, 512, 3]: the shape fills the middle half of a white square."""
    image = np.full((SIDE, SIDE, 3), WHITE, np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    if name == CIRCLE:
        image[x**2 + y**2 <= (SIDE / 4) ** 2] = RED
    elif name == SQUARE:
        image[np.maximum(abs(x), abs(y)) <= SIDE / 4] = BLUE
    return image


def pairs() -> list[tuple[str, str]]:
    """List (image, drawing whose words) in the order in which they are asked."""
    return [(image, words) for image in (CIRCLE, SQUARE, BLANK) for words in (CIRCLE, SQUARE)]


def answer_checked(request: ScoringRequest, answer: Answer, known: KnownPairs) -> list[Any]:
    """Return `answer(request)`, once the scorer has passed on the known images; where all is cached, nothing is asked.

    IsolatedError with every value and the reason if it does not pass. Errors as of `answer` besides.
    """
    cached = request.scorer.known(request.folder)
    if any(question.key not in cached for question in request.questions):
        check(request, answer, known)
    return answer(request)


def check(request: ScoringRequest, answer: Answer, known: KnownPairs) -> None:
    """Score the known images with the request's scorer, unless a pass is noted; IsolatedError with the reason if it fails.

    A failed check leaves no note, so the next call asks again: the values go under keys of their own.
    """
    isolated = request.scorer.isolated if isinstance(request.scorer, IsolatedScorer) else None
    if isolated is not None:
        isolated.check()
        if wrong := other_versions(isolated):
            raise _refused(request, isolated, f"the environment has other versions than its pins: {'; '.join(wrong)}", {})
    about = _about(request, known)
    if _noted(request.folder / NOTE).get("about") == about:
        return
    place = request.folder / "known"
    for name in (CIRCLE, SQUARE, BLANK):
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn(name)).save(_path(place, name))
    once = secrets.token_hex(4)
    questions = tuple(
        Question(at, f"{once} {image} with {words}", _path(place, image), known.words[words])
        for at, (image, words) in enumerate(pairs())
    )
    said = answer(ScoringRequest(f"{request.name}, known images", request.scorer, place, questions))
    values = dict(zip(pairs(), map(known.value, said), strict=True))
    if wrong := fault(values, known.reads_words):
        raise _refused(request, isolated, wrong, values)
    note = {"about": about, "values": [[*pair, value] for pair, value in values.items()]}
    write_bytes(request.folder / NOTE, (json.dumps(note, indent=1) + "\n").encode())


def fault(values: Values, reads_words: bool = True) -> str:
    """Say what is wrong with a scorer's values of the known pairs; "" if nothing is."""
    wrong = _fault(values, reads_words)
    if wrong and reads_words:
        backwards = dict(zip(values, reversed(list(values.values())), strict=True))
        if not _fault(backwards, True):
            return f"the answers come in reversed order: {wrong}"
    return wrong


def _fault(values: Values, reads_words: bool) -> str:
    for (image, words), value in values.items():
        if not math.isfinite(value):
            return f"its value of {image} with '{words}' is {value}"
    drawings, images = (CIRCLE, SQUARE), (CIRCLE, SQUARE, BLANK)
    if all(values[CIRCLE, words] == values[SQUARE, words] == values[BLANK, words] for words in drawings):
        return "it does not look at the images: all three have the same value"
    if reads_words and all(values[image, CIRCLE] == values[image, SQUARE] for image in images):
        return "it does not read the words: every image has the same value with both"
    own, other = ([values[name, words] for words in order] for name, order in ((CIRCLE, drawings), (SQUARE, drawings[::-1])))
    if reads_words and own[0] < own[1] and other[0] < other[1]:
        return "images and words are exchanged: each drawing scores higher with the other's words"
    for words in drawings:
        if values[BLANK, words] >= values[words, words]:
            return f"the blank image scores no lower than {words} with '{words}'"
    for words, rival in (drawings, drawings[::-1]):
        if reads_words and values[rival, words] >= values[words, words]:
            return f"{rival} scores no lower than {words} with '{words}'"
    return ""


def _about(request: ScoringRequest, known: KnownPairs) -> dict[str, Any]:
    """Return what a pass depends on: the scorer, what it was asked, and the machine, whose device may err."""
    scorer, about = request.scorer, {}
    if isinstance(scorer, IsolatedScorer):
        depends = scorer.settings if scorer.depends is None else scorer.depends
        about = {**scorer.isolated.identity(), "depends": dict(depends), "device": scorer.device}
    plain = json.loads(json.dumps({**about, "words": dict(known.words), "machine": machine()}))
    return {"reads_words": known.reads_words, **plain}


def _noted(file: Path) -> dict[str, Any]:
    try:
        content = load_json(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _path(place: Path, name: str) -> Path:
    return place / f"{name.replace(' ', '-')}.png"


def _refused(request: ScoringRequest, isolated: Isolated | None, wrong: str, values: Values) -> IsolatedError:
    table: Sequence[str] = [f"\n  | {image} with '{words}': {value:.6g}" for (image, words), value in values.items()]
    todo = (
        "" if isolated is None else f"\n  do: s2g env doctor {isolated.name}; nothing was scored, and the next run checks again"
    )
    return IsolatedError(f"scorer {request.name}: it fails on the known images: {wrong}{''.join(table)}{todo}")
