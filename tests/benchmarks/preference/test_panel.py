"""The preference panel of bench=prompts: what is refused before anything is made, and what a score depends on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from isolated_here import isolated_here

from s2g.benchmarks.preference import panel
from s2g.benchmarks.preference.published import SCORES
from s2g.benchmarks.prompts.bench import Prompts
from s2g.engine.resolve import outline
from s2g.errors import IsolatedError, SeveralError, UserError
from s2g.scoring import known_pairs
from s2g.scoring.file_scoring import Image
from s2g.scoring.isolated.environment import Isolated, find
from s2g.scoring.score import estimate
from s2g.scoring.scorer import IsolatedScorer, ScoringRequest

ALL = ("pickscore", "image_reward", "mps", "hpsv3")


def bench(*score: str, **knobs: Any) -> Prompts:
    return Prompts(text=("a red circle", "a blue square"), score=score, **knobs)


def models(folder: Path) -> Path:
    """Every repository's files, each with its own name inside."""
    for about in SCORES.values():
        for repository in about.repositories:
            (folder / repository.name).mkdir(parents=True, exist_ok=True)
            for name in repository.files:
                (folder / repository.name / name).write_text(name)
    return folder


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        (
            {"score": ("pickscor",)},
            r"bench\.score = pickscor: .*Did you mean 'pickscore'\?\n  allowed: hpsv3, image_reward, mps",
        ),
        ({"score": ("mps", "mps")}, "a score stands there twice"),
        ({"score": ("mps",), "scorer": "offical"}, r"bench\.scorer = offical"),
        ({"score": ALL, "scorer": "official"}, r"pickscore, mps has no official package\n  allowed: .*image_reward, hpsv3"),
        ({"models": "/models"}, r"bench\.models = /models, and bench\.score = \[\]: it would not be read"),
        ({"device": "cpu"}, r"bench\.device = cpu, and bench\.score = \[\]"),
        ({"scorer": "official"}, r"bench\.scorer = official, and bench\.score = \[\]"),
        ({"score": ("hpsv3",), "scorer": "official", "device": "cpu"}, r"bench\.device = cpu, and bench\.scorer = official"),
    ],
)
def test_what_would_not_work_is_refused(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Prompts(text=("a cat",), **knobs)


def test_one_score_or_several(composed: Callable[..., dict]) -> None:
    plain = ("model=sd35", "bench=prompts")
    for typed, score in (("hpsv3", ("hpsv3",)), ("[pickscore,mps]", ("pickscore", "mps")), ("[]", ())):
        run = outline(composed(*plain, f"bench.score={typed}"))
        assert run.bench.score == score and [one.name for one in run.bench.metrics] == list(score)  # type: ignore[union-attr]
    with pytest.raises(UserError, match="makes videos, and these scores are of images"):
        bench("mps").check(outline(composed("model=wan_1_3b", "bench=prompts_video")).model)


def test_all_that_is_missing_is_said_with_what_to_type(own_cache: Path, composed: Callable[..., dict], tmp_path: Path) -> None:
    model = outline(composed("model=sd35", "bench=prompts")).model
    with pytest.raises(SeveralError) as caught:
        bench(*ALL).check(model)
    said = str(caught.value)
    assert said.count("s2g env build imscore") == 1  # one environment for all four
    for command in (
        "hf download yuvalkirstain/PickScore_v1 model.safetensors config.json",
        "hf download THUDM/ImageReward ImageReward.pt med_config.json",
        "hf download google-bert/bert-base-uncased tokenizer_config.json vocab.txt",
        "hf download RE-N-Y/mpsv1 model.safetensors",
        "hf download MizzenAI/HPSv3 HPSv3.safetensors",
        "hf download Qwen/Qwen2-VL-7B-Instruct config.json",
    ):
        assert said.count(command) == 1, command
    with pytest.raises(SeveralError, match=r"s2g env build hpsv3(.|\n)*s2g env build image_reward"):
        bench("hpsv3", "image_reward", scorer="official").check(model)
    (folder := models(tmp_path / "models") / "RE-N-Y/mpsv1" / "model.safetensors").unlink()
    said = rf"no file model\.safetensors of RE-N-Y/mpsv1 in {folder.parent}(.|\n)*--local-dir {folder.parent}"
    with pytest.raises(UserError, match=said):
        panel.folders("mps", str(tmp_path / "models"))


def test_a_plan_says_what_is_fetched() -> None:
    assert sum("the environment imscore" in line for line in bench(*ALL).downloads) == 1
    assert "laion/CLIP-ViT-H-14-laion2B-s32B-b79K, 4 MB, its tokenizer and sizes" in bench("mps").downloads
    assert any("the environment hpsv3" in line for line in bench("hpsv3", scorer="official").downloads)
    assert bench().downloads == bench().licences == ()


def test_a_score_depends_on_every_file_on_the_packages_and_on_the_size(own_cache: Path, tmp_path: Path) -> None:
    folder = str(models(tmp_path))
    assert bench().version() == {"bench": "prompts", "version": 1}  # as stored runs have it
    about = bench(*ALL, models=folder).version()["score"]
    for name in ALL:
        assert {**find("imscore").identity(), "score": name, "size": SCORES[name].size}.items() <= about[name].items()
        assert ("448" if name == "hpsv3" else "224") in about[name]["size"]
    assert bench("hpsv3", models=folder, scorer="official").version()["score"]["hpsv3"]["scorer"] == "hpsv3"
    before = {name: one["weights"] for name, one in about.items()}
    assert len(set(before.values())) == 4
    (tmp_path / "laion/CLIP-ViT-H-14-laion2B-s32B-b79K/vocab.json").write_text("another")
    after = {name: one["weights"] for name, one in bench(*ALL, models=folder).version()["score"].items()}
    assert {name for name in ALL if after[name] != before[name]} == {"pickscore", "mps"}


def test_prompts_and_images_are_asked_by_keyword_and_cached_by_content(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_pairs, "check", lambda *_: None)
    folder, given = str(models(tmp_path)), []
    images = [Image(item, tmp_path / f"{item}.png", f"sha{item}") for item in range(2)]

    def asked(request: ScoringRequest) -> list[float]:
        given.append(request)
        return values

    values = [0.5, -1.5]
    arrays = bench("image_reward", models=folder).judge(images, 3, tmp_path, asked)
    assert arrays["image_reward"][:2].tolist() == values and np.isnan(arrays["image_reward"][2])
    assert arrays["here"].tolist() == [True, True, False]
    (request,) = given
    scorer = request.scorer
    assert isinstance(scorer, IsolatedScorer) and scorer.isolated.name == "imscore"
    asked_of = [(one.key, one.words) for one in request.questions]
    assert asked_of == [("sha0 a red circle", "a red circle"), ("sha1 a blue square", "a blue square")]
    assert scorer.settings["weights"] == f"{folder}/THUDM/ImageReward/ImageReward.pt"
    assert set(scorer.settings["folders"]) == {"THUDM/ImageReward", "bert-base-uncased"}  # as imscore asks for them
    assert scorer.depends is not None and not {str(value) for value in scorer.depends.values()} & {folder}
    values = [0.5, float("nan")]
    with pytest.raises(UserError, match=r"1 values of image_reward are not finite \(1\.png"):
        bench("image_reward", models=folder).judge(images, 3, tmp_path, asked)


def test_the_distribution_of_a_score_without_a_highest_value_is_told() -> None:
    arrays = {"hpsv3": np.array([*range(101), np.nan]), "pickscore": np.ones(102), "here": np.arange(102) < 101}
    said = bench("hpsv3", "pickscore").remarks(102, arrays)
    assert said == [
        "HPSv3 has no highest value, and a mean may be that of a few: least 0.000, 5 % 5.000, 25 % 25.000, median 50.000, "
        "75 % 75.000, 95 % 95.000, most 100.000, of 101 images",
        "101 of 102 images were there",
    ]
    assert bench("hpsv3").remarks(102) == [] and bench().remarks(102, {}) == []


CHILD = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
items, values, settings = sys.argv[1:]
with open(values, "a") as out:
    for line in Path(items).read_text().splitlines():
        item = json.loads(line)
        red, blue = (255 - np.asarray(Image.open(item["path"]).convert("RGB"), float)[..., at] for at in (2, 0))
        value = float(np.mean(red - blue if "red" in item["prompt"] else blue - red)) / 255
        out.write(json.dumps({"key": item["key"], "value": SIGN * value}) + "\\n")
"""


def fake(folder: Path, sign: int) -> Isolated:
    """An environment that runs this Python: the share of the color that the prompt names."""
    return isolated_here(folder, CHILD.replace("SIGN", str(sign)))


def directly(request: ScoringRequest) -> list[Any]:
    request.scorer.answer(request.questions, request.folder, "cpu")
    known = request.scorer.known(request.folder)
    return [known[question.key] for question in request.questions]


def test_images_are_scored_after_the_known_ones_or_not_at_all(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a child process that is right, and by one whose signs are turned round."""
    made = {sign: fake(tmp_path / f"child{sign}", sign) for sign in (-1, 1)}
    scored, images = bench("pickscore", "hpsv3", models=str(models(tmp_path / "models"))), []
    drawings = (known_pairs.CIRCLE, known_pairs.CIRCLE, known_pairs.SQUARE, known_pairs.CIRCLE)
    for item, name in enumerate(drawings):  # with the words for a circle and for a square in turn
        path = tmp_path / f"{item}.png"
        known_pairs.Image.fromarray(known_pairs.drawn(name)).save(path)
        images.append(Image(item, path, f"sha{item}"))
    monkeypatch.setattr(panel, "environment", lambda score, scorer: made[-1])
    with pytest.raises(
        IsolatedError, match=r"scorer pickscore \(child-1\): it fails on the known images: images and words are exchanged"
    ):
        scored.judge(images, 4, tmp_path / "judged", directly)
    assert not list((tmp_path / "judged").glob("*/*/values.jsonl"))  # none of the run's own
    monkeypatch.setattr(panel, "environment", lambda score, scorer: made[1])
    arrays = scored.judge(images, 4, tmp_path / "judged", directly)
    circle, square = np.pi / 16 * 200 / 255, 0.25 * 200 / 255  # areas, and how far red is from blue
    assert arrays["pickscore"] == pytest.approx([circle, -circle, -square, -circle], rel=0.01)
    assert (arrays["hpsv3"] == arrays["pickscore"]).all() and arrays["here"].all()
    found = {metric.name: estimate(metric, arrays, np.arange(4)) for metric in scored.metrics}
    assert found["hpsv3"].value == pytest.approx(-(square + circle) / 4, rel=0.01) and found["hpsv3"].low is not None
    assert scored.reading(arrays, 1) == ({}, f"PickScore {arrays['hpsv3'][1]:.3f}, HPSv3 {arrays['hpsv3'][1]:.3f}")
