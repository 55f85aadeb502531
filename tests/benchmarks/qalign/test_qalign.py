"""Q-Align: the five-word rule on given logits, the three prompts, and its child's way with words and images."""

from __future__ import annotations

import importlib.util
import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import s2g.benchmarks
from s2g.benchmarks.qalign import qalign
from s2g.errors import MissingError, UserError
from s2g.scoring.scorer import ScoringRequest

SPEC = importlib.util.spec_from_file_location(
    "qalign_child", Path(s2g.benchmarks.__file__).parent / "qalign" / "isolated" / "qalign" / "child.py"
)
assert SPEC is not None and SPEC.loader is not None
child = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(child)


@pytest.mark.parametrize(
    ("logits", "score"),
    [
        ([0, 0, 0, 0, 0], 3.0),
        ([100, 0, 0, 0, 0], 5.0),
        ([0, 0, 0, 0, 100], 1.0),
        ([-math.inf, math.log(3), math.log(1), -math.inf, -math.inf], 3.75),
        ([1000, 1000, -1000, -1000, -1000], 4.5),
        ([math.log(p) for p in (0.1, 0.2, 0.3, 0.25, 0.15)], 5 * 0.1 + 4 * 0.2 + 3 * 0.3 + 2 * 0.25 + 0.15),
    ],
)
def test_the_mean_of_five_words(logits: list[float], score: float) -> None:
    assert child.score_of(logits) == pytest.approx(score, abs=1e-12)


def test_it_is_four_times_the_repositorys_number_and_one() -> None:
    logits = np.random.default_rng(0).normal(size=5)
    shares = np.exp(logits) / np.exp(logits).sum()
    assert child.score_of(list(logits)) == pytest.approx(4 * shares @ [1, 0.75, 0.5, 0.25, 0] + 1, abs=1e-12)


def test_three_prompts() -> None:
    ask = "USER: How would you rate the aesthetics of this image?\n<|image|>\nASSISTANT: "
    assert qalign.VARIANTS["scorer"] == ask + "The aesthetics of the image is"
    assert qalign.VARIANTS["method"] == ask + "The image of the aesthetics is"
    assert qalign.VARIANTS["pyiqa"] == qalign.VARIANTS["scorer"].replace("aesthetics", "aesthetic")
    with pytest.raises(UserError, match="method, pyiqa, scorer"):
        qalign.check_variant("hf")


class Tokenizer:
    """As LLaMA's: every text begins with a mark; a word is a token, the number of its letters."""

    bos_token_id = 1

    def __call__(self, text: str) -> SimpleNamespace:
        return SimpleNamespace(input_ids=[1, *(10 + len(word) for word in text.split())])


def test_one_mark_stands_for_the_image_and_one_beginning_for_both_parts() -> None:
    ids = child.tokens_of(Tokenizer(), "USER: rate\n<|image|>\nASSISTANT: The")
    assert ids == [1, 15, 14, -200, 20, 13]
    assert child.words_of(Tokenizer()) == [19, 14, 14, 14, 13]


@pytest.mark.parametrize(("size", "inside"), [((6, 3), (0, 1, 6, 4)), ((3, 6), (1, 0, 4, 6)), ((4, 4), (0, 0, 4, 4))])
def test_an_image_stands_in_the_middle_of_a_square(size: tuple[int, int], inside: tuple[int, int, int, int]) -> None:
    square = child.squared(Image.new("RGB", size, (255, 0, 0)), (122, 116, 104))
    pixels = np.asarray(square)
    assert pixels.shape == (max(size), max(size), 3)
    left, top, right, bottom = inside
    assert (pixels[top:bottom, left:right] == (255, 0, 0)).all()
    outside = np.ones(pixels.shape[:2], bool)
    outside[top:bottom, left:right] = False
    assert (pixels[outside] == (122, 116, 104)).all()


def whole(folder: Path) -> None:
    """A folder of one-align's files, empty."""
    for name in ("config.json", *qalign.BESIDE, "a.bin", "b.bin"):
        (folder / name).write_text("{}")
    index = {"weight_map": {"layers.0": "a.bin", "layers.1": "b.bin", "layers.2": "b.bin"}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("name", ["b.bin", "tokenizer.model", "preprocessor_config.json", "pytorch_model.bin.index.json"])
def test_a_download_that_was_stopped_is_found_before_any_image_is_made(tmp_path: Path, name: str) -> None:
    whole(tmp_path)
    assert qalign.weights_folder(str(tmp_path)) == tmp_path
    (tmp_path / name).unlink()
    with pytest.raises(MissingError, match=f"bench.qalign = .*: no file {name} in "):
        qalign.weights_folder(str(tmp_path))


def test_an_index_that_is_cut_short_is_named(tmp_path: Path) -> None:
    whole(tmp_path)
    (tmp_path / "pytorch_model.bin.index.json").write_text('{"weight_map": {')
    with pytest.raises(UserError, match="no index of shards"):
        qalign.weights_folder(str(tmp_path))


@dataclass
class File:
    item: int
    path: Path
    sha256: str


def test_scores_come_by_content_and_must_be_on_the_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    with pytest.raises(UserError, match=r"config\.json"):
        qalign.weights_folder(str(weights))
    whole(weights)
    before = qalign.identity(str(weights), "scorer")
    (weights / "._config.json").write_bytes(b"\0\5\26\7")  # what macOS leaves on a foreign disk
    assert qalign.identity(str(weights), "scorer") == before
    (weights / "modeling.py").write_text("")
    assert qalign.identity(str(weights), "scorer") != before != qalign.identity(str(weights), "pyiqa")
    given: list[ScoringRequest] = []

    def asked(inquiry: ScoringRequest) -> list[float]:
        given.append(inquiry)
        return values

    images = [File(i, tmp_path / f"{i}.png", f"sha{i}") for i in range(2)]
    values = [4.25, 1.0]
    assert qalign.scores(images, str(weights), "method", tmp_path, "cpu", asked) == values
    assert given[0].scorer.settings["prompt"] == qalign.VARIANTS["method"] and "method" in given[0].folder.name  # type: ignore[attr-defined]
    assert [question.key for question in given[0].questions] == ["sha0", "sha1"]
    values = [4.25, 0.9]
    with pytest.raises(UserError, match=r"1 scores are beyond 1 to 5 \(1\.png: 0\.9\)"):
        qalign.scores(images, str(weights), "method", tmp_path, "cpu", asked)
