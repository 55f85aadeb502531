"""bench=hps: what is missing said at once, a run of a small model and a small scorer to a labelled score, resumed per image."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_clip
import worded_model
from rich.console import Console

from s2g.benchmarks.hps import clip, official, published
from s2g.benchmarks.hps.bench import HPS21
from s2g.benchmarks.hps.prompts import COUNT, STYLES
from s2g.cli.commands.compare_scorers import compare_scorers
from s2g.cli.run import main
from s2g.config.schema import ExecutorConfig
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.resolve import restore
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.io.images import read_image
from s2g.scoring import scoring_pool
from s2g.scoring.score import score
from s2g.store.store import Store


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("S2G_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def typed(tmp_path: Path) -> list[str]:
    """A command line with small offline files for everything."""
    (lists := tmp_path / "lists").mkdir()
    for style in STYLES:
        (lists / f"{style}.json").write_text(json.dumps([f"a {style} picture of {i} cats" for i in range(3)]))
    weights, sizes = small_clip.write(tmp_path, side=16)
    return [
        *(*worded_model.TYPED, f"model.weights={worded_model.weights(tmp_path)}", "bench=hps", "bench.prompt_list=own"),
        *(f"bench.path={lists}", f"bench.weights={weights}", f"bench.architecture={sizes}", f"runs={tmp_path / 'runs'}"),
    ]


def test_everything_that_is_missing_is_said_at_once(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = main([*worded_model.TYPED, "model.weights=/none.safetensors", "bench=hps", f"runs={tmp_path / 'runs'}"])
    said = capfd.readouterr()
    assert (code, said.out) == (2, "") and said.err.startswith("error: 3 things are missing or wrong:")
    for words in (
        *("bench.path = not given: no file anime.json", "s2g fetch hps", "zhwang/HPDv2"),
        *("bench.weights = HPS_v2.1_compressed.pt: no file", "hf download xswu/HPSv2", "about 4 GB"),
        *("model.weights = /none.safetensors: no file",),
    ):
        assert words in said.err
    assert "Traceback" not in said.err and not (tmp_path / "runs").exists()


def test_an_environment_that_is_not_built_is_said_with_the_rest(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*worded_model.TYPED, "model.weights=/none.safetensors", "bench=hps", "bench.scorer=official"]) == 2
    said = capfd.readouterr().err
    assert "4 things" in said and "s2g env build hpsv2" in said


def test_a_run_ends_in_a_score_that_says_it_is_not_comparable(
    typed: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(typed) == 0
    out = capfd.readouterr().out
    assert "HPSv2.1 Avg" in out and "Concept" in out and "12 items made now, 12 scored" in out
    assert "not comparable with published HPSv2.1 numbers: prompts of one's own; the network is small, not ViT-H-14" in out
    assert "antialias=true, fp32" in out
    assert main([*typed, "bench.antialias=false"]) == 0  # the same images in another way: nothing is sampled
    other = capfd.readouterr().out
    assert "0 items made now, 12 scored" in other and "antialias=false" in other
    line = [next(line for line in text.splitlines() if "HPSv2.1 Avg" in line) for text in (out, other)]
    assert line[0] != line[1]
    (folder,) = (tmp_path / "runs").iterdir()
    assert len(list((folder / "scores").glob("*.json"))) == 2 and len(list((folder / "judged").iterdir())) == 2


def made(typed: list[str], composed: Callable[..., dict[str, Any]], tmp_path: Path) -> tuple[Run, Store]:
    assert main([*typed, "num=8", "bench.score=[]"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    config = Store(folder).read_run()["config"]
    run = restore({**config, "bench": {**config["bench"], "score": ["hps"]}}, 8)
    return run, Store(folder)


def test_scores_are_means_of_what_the_scorer_says(
    typed: list[str], composed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    run, store = made(typed, composed, tmp_path)
    found = score(run, store)
    bench = run.bench
    assert isinstance(bench, HPS21) and bench.prompts([0, 1, 5]) == [
        *("a anime picture of 0 cats", "a concept-art picture of 0 cats", "a concept-art picture of 1 cats")
    ]
    pairs = list(zip(store.items(range(8)), bench.prompts(range(8)), strict=True))
    straight = bench._clip.scores(pairs, "cpu")
    assert found.arrays["hps"] == pytest.approx(straight, abs=1e-4)
    values = {name: estimate.value for name, estimate in found.estimates.items()}
    assert values["avg"] == pytest.approx(np.mean(straight), abs=1e-4)
    assert values["concept"] == pytest.approx(np.mean([straight[1], straight[5]]), abs=1e-4)
    styles = [values[name] for name in ("anime", "concept", "paintings", "photo")]
    assert values["avg"] == pytest.approx(np.mean(styles), abs=1e-4) and np.ptp(styles) > 0.1


def test_a_stopped_scoring_goes_on_image_by_image(
    typed: list[str], composed: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, store = made(typed, composed, tmp_path)
    asked: list[str] = []
    scores = clip.Clip.scores

    def stopped(self: clip.Clip, pairs: Any, device: str) -> list[float]:
        if len(asked) >= 4:
            raise KeyboardInterrupt
        asked.extend(prompt for _, prompt in pairs)
        return scores(self, pairs, device)

    monkeypatch.setattr(clip.Clip, "scores", stopped)
    with pytest.raises(KeyboardInterrupt):
        score(run, store)
    assert len(asked) == 4
    (file,) = (store.folder / "judged").glob("*/part-*/values.jsonl")
    file.write_bytes(file.read_bytes()[:-5])  # the last line was being written
    again: list[str] = []

    def counted(self: clip.Clip, pairs: Any, device: str) -> list[float]:
        again.extend(prompt for _, prompt in pairs)
        return scores(self, pairs, device)

    monkeypatch.setattr(clip.Clip, "scores", counted)
    found = score(run, store)
    assert again == run.bench.prompts(range(3, 8)) and not np.isnan(found.arrays["hps"]).any()


def test_images_that_are_missing_stop_the_scoring(
    typed: list[str], composed: Callable[..., dict[str, Any]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run, store = made(typed, composed, tmp_path)
    (store.folder / "items" / "000002.png").unlink()
    cut = store.folder / "items" / "000005.png"
    cut.write_bytes(cut.read_bytes()[:100])
    (store.folder / "items" / "notes.txt").write_text("stray")
    (store.folder / "items" / ".DS_Store").write_text("stray")
    with pytest.raises(UserError, match=r"6 of 8 images(.|\n)*000002\.png(.|\n)*000005\.png(.|\n)*notes\.txt") as raised:
        score(run, store)
    assert "--repair" in str(raised.value) and "DS_Store" not in str(raised.value)
    capfd.readouterr()
    assert main([*typed, "num=8", "bench.allow_missing=true"]) == 0
    out = capfd.readouterr().out
    assert "6 of 8 images were there" in out and "not comparable" in out


def test_the_official_lists_count_3200_in_turn(tmp_path: Path) -> None:
    for style in STYLES:
        (tmp_path / f"{style}.json").write_text(json.dumps([f"{style} {i}" for i in range(COUNT)]))
    bench = HPS21(path=str(tmp_path))
    assert bench.num == 3200 and bench.prompts([0, 4, 3199]) == ["anime 0", "anime 1", "photo 799"]
    assert bench.official_name(5) == "concept-art/00001.jpg"


def test_a_mean_that_no_images_have_is_labelled(tmp_path: Path) -> None:
    (tmp_path / published.V21).write_bytes(b"weights")
    published.record("weights", {published.V21: clip.content_hash(tmp_path / published.V21)})
    published.record("prompts", {style: {} for style in STYLES})
    bench = HPS21(weights=str(tmp_path / published.V21))
    assert "128 of 3,200 prompts" in bench.remarks(128)[0]
    arrays = {"here": np.ones(3200, bool), "style": np.zeros(3200), "hps": np.full(3200, 28.0)}
    assert bench.remarks(3200, arrays) == ["HPS v2.1 with antialias=true, fp32: compare only with the same"]
    (said, _) = bench.remarks(3200, {**arrays, "hps": np.full(3200, 3.0)})
    assert "a mean of 3.00 is far from every published one" in said


def test_a_model_of_classes_is_refused(run_of: Callable[..., Run]) -> None:
    with pytest.raises(UserError, match="bench = hps: tiny_sit makes no images of texts"):
        run_of("model=tiny_sit", "bench=hps")


def test_a_run_is_scored_by_both_scorers_side_by_side(
    typed: list[str],
    composed: Callable[..., dict[str, Any]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, store = made(typed, composed, tmp_path)
    Path(store.folder.parent.parent / "worded.safetensors").unlink()  # the images alone are enough
    with pytest.raises(UserError, match=r"environment hpsv2: it is not built(.|\n)*s2g env build hpsv2"):
        compare_scorers(store.folder.name, str(store.folder.parent), None)
    offset = [0.25 + 0.5 * (item == 6) for item in range(8)]

    def theirs(images: Any, texts: Any, weights: str, place: Path, asked: Any) -> list[float]:
        small = HPS21(weights=weights, architecture=str(tmp_path / "small.json"))._clip
        ours = small.scores([(read_image(image.path), text) for image, text in zip(images, texts, strict=True)], "cpu")
        return [value - offset[image.item] for image, value in zip(images, ours, strict=True)]

    monkeypatch.setattr(official, "scores", theirs)
    monkeypatch.setattr(official, "environment", lambda: HereEnvironment())
    capfd.readouterr()
    compare_scorers(store.folder.name, str(store.folder.parent), None)
    out = capfd.readouterr().out
    assert "ours minus official: mean +0.31250, largest 0.75000 (item 6)" in out and "over 8 images" in out
    assert "official hpsv2" in out and "HPSv2.1 Avg" in out


class HereEnvironment:
    """An environment that is built."""

    def check(self) -> None:
        return

    def identity(self) -> dict[str, str]:
        return {"environment": "here"}


@pytest.mark.slow("many processes")
def test_any_number_of_workers_gives_the_same_bytes(
    typed: list[str], composed: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, store = made(typed, composed, tmp_path)
    monkeypatch.setattr(scoring_pool, "PART", 2)
    for path in (store.folder / "scores").iterdir():  # that nothing was scored
        path.unlink()
    found = []
    for workers in (1, 2, 5):
        with LocalExecutor(ExecutorConfig(workers=workers, device="cpu")) as executor:
            score(run, store, scoring_pool.ScoringPool(lambda: executor, Console(quiet=True)))
        found.append({path.name: path.read_bytes() for path in (store.folder / "scores").iterdir()})
        parts = list((store.folder / "judged").glob("*/**/values.jsonl"))
        assert sum(len(path.read_text().splitlines()) for path in parts) == 8
        shutil.rmtree(store.folder / "judged")
        for path in (store.folder / "scores").iterdir():
            path.unlink()
    assert found[0] == found[1] == found[2] and len(found[0]) == 2
