"""bench=compbench on a fake model, a small random BLIP and phrases without spaCy: items, noise, scores, what is lacking."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from compbench_fake import LISTS, fakes, split_phrases, write_lists  # noqa: F401  # a fixture
from PIL import Image
from rich.console import Console

from s2g.benchmarks.compbench import blip
from s2g.benchmarks.compbench.bench import CompBench
from s2g.benchmarks.compbench.prompts import OFFICIAL
from s2g.benchmarks.compbench.questions import image_score, questions_of
from s2g.cli.commands.score import score_stored
from s2g.cli.run import main
from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.scoring.score import score
from s2g.store.store import Store
from s2g.store.verify import examine

DATA = Path(os.environ.get("S2G_DATA", "")) / "prompts" / "t2i_compbench"
ORDER = [("color", 0), ("shape", 0), ("texture", 0), ("color", 1), ("shape", 1), ("texture", 1), ("color", 2), ("texture", 2)]
Typed = Callable[..., tuple[str, ...]]


def make(run: Run, root: Path) -> Store:
    Store.of(run, root).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1, device="cpu")) as executor:
        execute([run], str(root), executor, True, Console(quiet=True)).check(run)
    return Store.of(run, root)


def test_items_are_categories_in_turn_then_prompts_then_images(run_of, fakes: Typed) -> None:  # noqa: F811
    run = run_of(*fakes())
    bench = run.bench
    assert isinstance(bench, CompBench) and run.num == bench.num == 80
    assert [bench.place(item) for item in range(8)] == [(*entry, 0) for entry in ORDER]
    assert [bench.place(item) for item in range(72, 80)] == [(*entry, 9) for entry in ORDER]
    assert bench.prompts([3, 4, 12]) == ["a green bowl: it reads 11:44.", "a round bowl.", "a round bowl."]
    assert [bench.official_name(item) for item in (3, 14, 79)] == [
        "color/samples/a green bowl: it reads 11:44._000010.png",
        "color/samples/a red bench and a blue bowl_000021.png",
        "texture/samples/a wooden cube_000029.png",
    ]


def test_image_n_of_every_prompt_has_noise_of_seed_42_and_n(run_of, fakes: Typed) -> None:  # noqa: F811
    run = run_of(*fakes())
    assert [run.unit(0).stream(item) for item in (0, 3)] == [(42, 0)] * 2
    assert {run.unit(2).stream(item) for item in range(8, 12)} == {(43, 0)} and run.unit(19).stream(79) == (51, 0)
    other = run_of(*fakes("seed=2"))
    assert other.unit(0).stream(0) == (2042, 0) and other.key != run.key


def test_which_list_is_in_the_key_and_how_it_is_measured_is_not(run_of, fakes: Typed, tmp_path: Path) -> None:  # noqa: F811
    run = run_of(*fakes())
    assert run_of(*fakes("bench.score=[]")).key == run_of(*fakes("bench.allow_missing=true")).key == run.key
    write_lists(tmp_path / "lists", {**LISTS, "shape": ["a round bowl", "a round cube"]})
    from s2g.benchmarks.compbench.prompts import load

    load.cache_clear()
    assert run_of(*fakes()).key != run.key
    for which, by in OFFICIAL.items():
        assert CompBench(prompt_list=which).items_id()["prompts"] == by  # known without the files
    assert CompBench().num == 9000 and CompBench(categories=("shape",)).num == 3000


def test_a_run_is_scored_image_by_image_and_labelled(run_of, fakes: Typed, tmp_path: Path, monkeypatch) -> None:  # noqa: F811
    run = run_of(*fakes("num=10"))
    store = make(run, tmp_path / "runs")
    result = score(run, store)
    network = blip.load(str(tmp_path / "blip"), "cpu")
    found = []
    for item, image in enumerate(store.items(range(10))):
        asked = questions_of(split_phrases(run.bench.caption(item)))
        found.append(image_score(network.answers(image, asked)))
    assert result.arrays["blip"].tolist() == found and len(set(found)) > 3
    for category in LISTS:
        of = [100 * value for item, value in enumerate(found) if run.bench.place(item)[0] == category]  # type: ignore[attr-defined]
        assert result.estimates[category].value == pytest.approx(np.mean(of))
        assert result.estimates[category].units == 8
    assert result.remarks == (
        "not comparable with published T2I-CompBench numbers: prompts of one's own; "
        "1.25 images of a prompt instead of 10 (10 of 80); BLIP is not known to be Salesforce/blip-vqa-capfilt-large; "
        "spaCy's model is not known to be en_core_web_sm 3.5.0 (s2g fetch compbench notes its sha256)",
    )
    kept = next((store.folder / "scores").glob("*.json")).read_text()
    assert json.loads(kept)["remarks"] == list(result.remarks)
    assert not examine(store, 1).findings

    # What is known is not asked again: not for a longer run, nor after a stop in the middle of a line.
    (values,) = (store.folder / "judged").glob("blip-*/part-*/values.jsonl")
    lines = values.read_text().splitlines(keepends=True)
    assert len(lines) == 9  # a prompt that is repeated has the same image twice
    values.write_text("".join(lines[:4]) + lines[4][:20])
    for path in (store.folder / "scores").iterdir():
        path.unlink()
    asked_of = []
    before = blip.Blip.answers
    monkeypatch.setattr(blip.Blip, "answers", lambda self, image, asked: asked_of.append(asked) or before(self, image, asked))
    assert score(run, store).arrays["blip"].tolist() == found and len(asked_of) == 5
    longer = run_of(*fakes("num=12"))
    assert score(longer, make(longer, tmp_path / "runs")).arrays["blip"][:10].tolist() == found and len(asked_of) == 7


def test_missing_extra_and_unreadable_images_stop_it_with_the_list(run_of, fakes: Typed, tmp_path: Path) -> None:  # noqa: F811
    run = run_of(*fakes("num=10"))
    store = make(run, tmp_path / "runs")
    items = store.folder / "items"
    whole = score(run_of(*fakes("num=10", "bench.score=[blip]")), store)
    (store.folder / "scores" / next(iter(os.listdir(store.folder / "scores")))).unlink()
    (items / "000003.png").unlink()
    truncated = (items / "000005.png").read_bytes()[:-100]
    (items / "000005.png").write_bytes(truncated)
    Image.open(items / "000006.png").convert("RGBA").save(items / "000006.png")
    (items / "copy of 000001.png").write_bytes(b"")
    (items / ".DS_Store").write_bytes(b"")
    for path in (store.folder / "scores").iterdir():
        path.unlink()
    with pytest.raises(UserError) as caught:
        score(run, store)
    said = str(caught.value)
    assert "7 of 10 images can be scored" in said and "1 missing: items/000003.png" in said
    assert "2 unreadable: items/000005.png" in said and "items/000006.png" in said
    assert "1 unexpected: items/copy of 000001.png" in said and ".DS_Store" not in said
    assert "--allow-missing" in said and "--repair" in said
    some = score(run_of(*fakes("num=10", "bench.allow_missing=true")), store)
    assert "7 of 10 images were there" in some.remarks[0]
    here = some.arrays["here"]
    assert np.flatnonzero(~here).tolist() == [3, 5, 6] and np.array_equal(np.isnan(some.arrays["blip"]), ~here)
    assert some.arrays["blip"][here].tolist() == whole.arrays["blip"][here].tolist()
    of = 100 * whole.arrays["blip"][here & (whole.arrays["category"] == 0)].mean()
    assert some.estimates["color"].value == pytest.approx(of)


def test_stored_images_are_scored_without_the_model(
    run_of,
    fakes: Typed,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from s2g.config.registry import MODELS

    run = run_of(*fakes("num=10"))
    make(run, tmp_path / "runs")
    key = run.key  # which holds the code of the model
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(MODELS.entries, "fake_texts", None)
        runs = str(tmp_path / "runs")
        score_stored(key, runs=runs, workers=1)
        said = capsys.readouterr().out
        assert "Color" in said and "8 prompts" in said
        with pytest.raises(UserError, match=r"12 of 16 images can be scored(.|\n)*4 missing: item 12"):
            score_stored(key, runs=runs, num=16, workers=1)
        with pytest.raises(UserError, match="has other prompts than the stored images"):
            score_stored(key, ["bench.categories=[color]"], runs, workers=1)
        with pytest.raises(UserError, match=r"bench\.KEY=VALUE"):
            score_stored(key, ["score=[]"], runs, workers=1)


def test_everything_that_is_lacking_is_in_one_message(composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    bench = CompBench(path=str(tmp_path), blip=str(tmp_path / "no"), qalign=str(tmp_path / "no"), score=("blip", "qalign"))
    said = "\n".join(map(str, bench.lacking()))
    for words in ("no file color_val.txt", "no file texture_val.txt", "bench.blip", "bench.spacy", "s2g env build phrases",
                  "bench.qalign", "s2g env build qalign"):  # fmt: skip
        assert words in said


def test_the_command_prints_scores_with_their_label(fakes: Typed, tmp_path: Path, capfd) -> None:  # noqa: F811
    typed = fakes("num=10", "executor.workers=1", "executor.device=cpu", f"runs={tmp_path / 'runs'}")
    assert main(typed) == 0
    said = capfd.readouterr().out
    assert "Color" in said and "over 8 prompts" in said and "not comparable with published T2I-CompBench numbers" in said
    assert main([*typed, f"bench.path={tmp_path / 'no'}", f"bench.blip={tmp_path / 'no'}"]) == 2
    err = capfd.readouterr().err
    assert "no file color_val.txt" in err and "bench.blip" in err and "Traceback" not in err


def test_mistakes_are_named(run_of, fakes: Typed) -> None:  # noqa: F811
    for typed, said in (
        ("bench.prompts=2024-09", r"bench\.prompts = 2024-09(.|\n)*2025-09, before, own"),
        ("bench.prompts=2025", r"bench\.prompts = 2025: not a word"),
        ("bench.categories=[colour]", "Did you mean 'color'"),
        ("bench.categories=[]", "some of color, shape, texture"),
        ("bench.score=[clip]", "blip, qalign"),
        ("bench.qalign_variant=official", "method, pyiqa, scorer"),
    ):
        with pytest.raises(UserError, match=said):
            run_of(*fakes(typed))
    with pytest.raises(UserError, match="tiny_sit makes no images of texts"):
        run_of("bench=compbench")


@pytest.mark.skipif(
    "S2G_DATA" not in os.environ or not DATA.is_dir(), reason="S2G_DATA does not point to prompts/t2i_compbench"
)
def test_the_official_set_is_nine_thousand_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for which in ("2025-09", "before"):
        bench = CompBench(prompt_list=which)
        names = [bench.official_name(item) for item in range(bench.num)]
        assert len(set(names)) == 9000 and max(len(Path(name).name.encode()) for name in names) <= 255
        for category in LISTS:
            of = [Path(name).name for name in names if name.startswith(category)]
            of.sort(key=lambda name: int(name.split("_")[-1].split(".")[0]))  # as the official evaluator does
            assert [name.split("_")[0] for name in of] == [p for p in bench._lists[category].prompts for _ in range(10)]
