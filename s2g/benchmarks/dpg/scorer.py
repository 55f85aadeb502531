"""mPLUG's answers to questions about an image, by modelscope in an environment of its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from s2g.benchmarks.dpg.questions import Prompt
from s2g.errors import MissingError, UserError
from s2g.io.hashing import content_hash
from s2g.io.input_files import is_litter
from s2g.scoring.file_scoring import Image
from s2g.scoring.isolated.environment import Isolated, find
from s2g.scoring.known_pairs import CIRCLE, SQUARE, KnownPairs, answer_checked
from s2g.scoring.scorer import Answer, IsolatedScorer, Question, ScoringRequest
from s2g.scoring.scoring_pool import answer_here

KEY = "bench.weights"
OFFICIAL = "damo/mplug_visual-question-answering_coco_large_en"  # of modelscope's hub
DOWNLOADS = (f"{OFFICIAL} of modelscope's hub", "the environment dpg, about 6 GB")
LICENCES = ("mPLUG: Apache-2.0 (modelscope's page of the model)",)
FILES = ("config.yaml", "configuration.json", "vocab.txt", "pytorch_model.bin")
ENDINGS = (".yaml", ".json", ".txt", ".bin")
# A yes or a no each: the share of yes tells the drawings apart even where one question gets the wrong word.
ASKED = ("Is there a {1}?", "Is there something {0}?", "Is the {1} {0}?", "Is there a {0} {1}?")
KNOWN = KnownPairs(
    words={name: [one.format(*name.split()[1:]) for one in ASKED] for name in (CIRCLE, SQUARE)},
    value=lambda answer: sum(said == "yes" for said in answer) / len(ASKED),
)


def environment() -> Isolated:
    """Return its environment, built or not."""
    return find("dpg")


def weights_folder(typed: str) -> Path:
    """Return the model's folder, `typed` or in modelscope's cache; UserError if there is none or it is not whole."""
    cache = Path(os.environ.get("MODELSCOPE_CACHE") or Path.home() / ".cache" / "modelscope" / "hub")
    places = [Path(typed).expanduser(), *(cache / inside / typed for inside in ("models", "hub/models", "hub", ""))]
    folder = next((place for place in places if place.is_dir()), None)
    command = f"{environment().interpreter.parent / 'modelscope'} download --model {OFFICIAL}"
    if folder is None:
        raise MissingError(KEY, typed, "no such folder, nor in modelscope's cache", todo=f"{command}, or {KEY}=FOLDER")
    if lacking := [name for name in FILES if not (folder / name).is_file()]:
        raise MissingError(KEY, typed, f"no file {', '.join(lacking)} in {folder}", todo=command)
    return folder


def doubts(typed: str) -> list[str]:
    """Say why its answers may not be those of the published model; [] for modelscope's own."""
    return [] if typed == OFFICIAL and not Path(typed).is_dir() else [f"the model that answers is not known to be {OFFICIAL}"]


def identity(typed: str) -> dict[str, str]:
    """Return what determines an answer: environment, child script and every file of the model's folder."""
    files = sorted(file for file in weights_folder(typed).iterdir() if file.suffix in ENDINGS and not is_litter(file.name))
    digest = hashlib.sha256("".join(f"{file.name} {content_hash(file)}" for file in files).encode()).hexdigest()[:12]
    return {**environment().identity(), "weights": digest}


def answers(
    images: Sequence[Image], prompts: Sequence[Prompt], typed: str, place: Path, device: str, answer: Answer = answer_here
) -> list[dict[int, str]]:
    """Return the word that mPLUG says to each question about each image, by question ID; cached below `place`.

    The scorer passes the known-pair check first. IsolatedError if it does not or its process fails.
    """
    about = identity(typed)
    questions = []
    for image, prompt in zip(images, prompts, strict=True):
        words = [question.text for question in prompt.questions]
        questions.append(Question(image.item, f"{image.sha256} {words}", image.path, words))
    settings = {"weights": str(weights_folder(typed).absolute()), "device": device}
    scorer = IsolatedScorer(environment(), settings, device, {"weights": about["weights"]})
    request = ScoringRequest("dpg", scorer, place / f"dpg-{about['weights']}", tuple(questions))
    found = answer_checked(request, answer, KNOWN)
    for image, prompt, said in zip(images, prompts, found, strict=True):
        if len(said) != len(prompt.questions):
            raise UserError(f"{KEY}: {image.path.name}: {len(said)} answers to {len(prompt.questions)} questions")
    return [
        {question.id: str(word) for question, word in zip(prompt.questions, said, strict=True)}
        for prompt, said in zip(prompts, found, strict=True)
    ]
