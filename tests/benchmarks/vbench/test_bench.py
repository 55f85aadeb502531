"""bench=vbench on a fake model, small videos and a stand-in for the package: items, scores, what is lacking, export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from vbench_fake import (  # noqa: F401  # fixtures
    FILES,
    SUITE,
    VIDEOS,
    fake_runs,
    few,
    official_results,
    package,
    video,
    videos_of,
)

from s2g.benchmarks.vbench import official
from s2g.benchmarks.vbench.bench import VBench
from s2g.benchmarks.vbench.compare import compare
from s2g.benchmarks.vbench.dimensions import DIMENSIONS, totals
from s2g.benchmarks.vbench.results import parse
from s2g.cli.commands import export as exporting
from s2g.cli.commands.export import export
from s2g.cli.commands.score import score_stored
from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.scoring.file_scoring import Image
from s2g.scoring.score import difference, score
from s2g.store.store import Store, checksum

Typed = Callable[..., tuple[str, ...]]
LIKE = pytest.approx


def make(run: Run, root: Path, scratch: Path) -> Store:
    Store.of(run, root).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1, device="cpu")) as executor:
        execute([run], str(root), executor, True, Console(quiet=True)).check(run)
    store = Store.of(run, root)
    videos_of(run, store, scratch)
    return store


def test_it_is_the_whole_set_and_its_metrics_are_table_3s() -> None:
    bench = VBench()
    assert [metric.name for metric in bench.metrics] == ["total", "quality", "semantic", *DIMENSIONS]
    assert {metric.name for metric in bench.metrics if metric.main} >= {"appearance_style", "object_class", "total"}
    assert VBench(score=()).metrics == () and "licence" not in VBench(score=()).licences[0]
    for typed, said in (({"prompt_list": "long"}, "augmented, short"), ({"score": ("clip",)}, "vbench")):
        with pytest.raises(UserError, match=said):
            VBench(**typed)


def test_a_run_is_scored_by_the_package_dimension_by_dimension(
    run_of, fake_runs: Typed, package: Path, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    run = run_of(*fake_runs(f"bench.weights={package}"))
    assert run.num == run.bench.num == VIDEOS
    store = make(run, tmp_path / "runs", tmp_path)
    result = score(run, store)
    found = totals({name: float(np.nanmean(result.arrays[name])) for name in DIMENSIONS})
    for name, value in (("total", found.total), ("quality", found.quality), ("semantic", found.semantic)):
        assert result.estimates[name].value == LIKE(100 * value), name
    assert result.estimates["total"].units == 12  # prompts, the one that is listed twice once
    for name in DIMENSIONS:
        assert result.estimates[name].value == LIKE(100 * np.nanmean(result.arrays[name]))
    flickering = SUITE.entries[0].prompt
    kept = [s for item, (at, s) in enumerate(SUITE.items) if at == 0 and result.arrays["temporal_flickering"][item] >= 0]
    assert kept == [2, 10, 14, 18, 22], flickering
    assert result.remarks == (
        "temporal_flickering is of 10 videos that stand still: 5 a prompt, 10, are the most that are kept",
        "color is of the 4 of 5 videos that show the object",
        "short prompts: compare only with the same",
    )
    assert score(run, store).estimates == result.estimates and len((package / "asked").read_text().split()) == 16
    kept_score = next((store.folder / "scores").glob("*.json")).read_text()
    assert json.loads(kept_score)["protocol"]["vbench"]["scorer"] == "vbench"


def test_results_from_elsewhere_are_a_runs_scores(
    run_of, fake_runs: Typed, tmp_path: Path, capsys: pytest.CaptureFixture[str]  # noqa: F811
) -> None:  # fmt: skip
    files = []
    for at, shift in enumerate((0.0, 0.03)):
        files.append(tmp_path / f"{at}_eval_results.json")
        files[-1].write_text(json.dumps(official_results(shift, seed=at)))
    cfg, s2 = (run_of(*fake_runs(f"bench.results=[{file}]")) for file in files)
    assert cfg.key == s2.key  # how it is scored is no part of the videos
    store = make(cfg, tmp_path / "runs", tmp_path)
    a, b = score(cfg, store), score(s2, store)
    theirs = totals({name: value for name, (value, _) in official_results().items()})
    assert a.estimates["total"].value == LIKE(100 * theirs.total)
    total = next(metric for metric in cfg.bench.metrics if metric.name == "total")
    delta = difference(total, b, a)
    both = [parse(official_results(shift, seed=at), "file") for at, shift in enumerate((0.0, 0.03))]
    (other,) = [one for one in compare(*both) if one.name == "total"]
    assert delta.value == LIKE(other.difference) and delta.low is not None and delta.low < delta.value < delta.high
    assert "results of" in a.remarks[-1] and "stand still" not in " ".join(a.remarks[1:])
    for remark in (*a.remarks, *b.remarks):
        assert str(tmp_path) not in remark  # results are shown to others
    assert a.remarks[-1] == f"results of 0_eval_results.json ({hashlib.sha256(files[0].read_bytes()).hexdigest()[:8]})"
    # The same by command, from the stored run.
    score_stored(cfg.key, [f"bench.results=[{files[1]}]"], str(tmp_path / "runs"), workers=1)
    assert f"{b.estimates['total'].value:.2f}" in capsys.readouterr().out
    less = tmp_path / "less.json"
    less.write_text(json.dumps(official_results(dimensions=list(DIMENSIONS)[:15])))
    with pytest.raises(UserError, match="no dimension overall_consistency"):
        score(run_of(*fake_runs(f"bench.results=[{less}]")), store)
    gaps = official_results()
    gaps["object_class"][1] = gaps["object_class"][1][:1]
    (tmp_path / "gaps.json").write_text(json.dumps(gaps))
    gap = score(run_of(*fake_runs(f"bench.results=[{tmp_path / 'gaps.json'}]", "bench.allow_missing=true")), store)
    assert "not comparable" in gap.remarks[0] and "videos without a value: object_class 4 of 5" in gap.remarks[0]
    partial = score(run_of(*fake_runs(f"bench.results=[{less}]", "bench.allow_missing=true")), store)
    assert "a partial total: no values of overall_consistency" in partial.remarks[0]
    assert partial.estimates["total"].value == LIKE(
        100 * totals({n: v for n, (v, _) in official_results().items() if n != "overall_consistency"}, True).total
    )


def test_damaged_and_odd_videos_stop_it_and_can_be_left_out(
    run_of, fake_runs: Typed, package: Path, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    run = run_of(*fake_runs(f"bench.weights={package}", "num=13"))
    store = make(run, tmp_path / "runs", tmp_path)
    record = store.record(0)
    for item, frames in ((2, 5), (3, 4)):  # as stored: cut off, and another number of frames
        content = video(tmp_path / "odd.mp4", frames=frames)
        content = content[: len(content) // 2] if item == 2 else content
        (store.folder / "items" / f"{item:06d}.mp4").write_bytes(content)
        record["items"][item]["sha256"] = hashlib.sha256(content).hexdigest()
    store.record_path(0).write_text(json.dumps({**record, "check": checksum(record)}))
    with pytest.raises(UserError, match=r"1 unreadable: 000002\.mp4(.|\n)*1 of another size: 000003\.mp4 \(4 frames"):
        score(run, store)
    assert not (package / "asked").exists()
    some = score(run_of(*fake_runs(f"bench.weights={package}", "num=13", "bench.allow_missing=true")), store)
    assert f"13 of {VIDEOS} videos; 11 of 13 videos were there; a partial total" in some.remarks[0]
    assert not some.arrays["here"][2] and np.isnan(some.estimates["object_class"].value)


def test_videos_that_are_not_the_models_are_refused(fake_runs: Typed, tmp_path: Path, run_of, few: Path) -> None:  # noqa: F811
    file = tmp_path / "0_eval_results.json"
    file.write_text(json.dumps(official_results()))
    bench = VBench(path=str(few), results=(str(file),))
    images = []
    for item in range(13):  # all alike, and none as the model makes them
        place = tmp_path / f"{item:06d}.mp4"
        images.append(Image(item, place, hashlib.sha256(video(place)).hexdigest()))
    made = replace(run_of(*fake_runs("bench.score=[]")).model, family="wan", weights="folder", frames=9, height=32, width=48)
    with pytest.raises(UserError, match=r"12 of another size: 000000\.mp4 \(5 frames of 32x48, it is to be 9 frames of 32x48"):
        bench.fitted(made).judge(images, 13, tmp_path / "judged")
    assert bench.fitted(replace(made, frames=5)).judge(images, 13, tmp_path / "judged")["here"].all()


def test_what_is_lacking_is_said_before_anything(run_of, fake_runs: Typed, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(official, "gpu_there", lambda: False)
    with pytest.raises(UserError, match="needs an NVIDIA GPU"):
        run_of(*fake_runs())
    assert run_of(*fake_runs("bench.score=[]")).bench.metrics == ()
    with pytest.raises(UserError, match=r"gone\.json cannot be read"):
        run_of(*fake_runs("bench.results=[gone.json]"))
    monkeypatch.undo()
    with pytest.raises(UserError, match="tiny_sit makes no videos of texts"):
        VBench(score=()).check(run_of("bench=shapes").model)


def test_export_is_the_official_flat_folder(
    run_of, fake_runs: Typed, tmp_path: Path, capsys: pytest.CaptureFixture[str]  # noqa: F811
) -> None:  # fmt: skip
    run = run_of(*fake_runs("bench.score=[]"))
    root, out = str(tmp_path / "runs"), tmp_path / "out"
    short = run_of(*fake_runs("bench.score=[]", "num=20"))
    make(short, tmp_path / "runs", tmp_path)
    with pytest.raises(UserError, match=rf"20 images were asked for, and the official set is {VIDEOS}"):
        export(run.key, out, "vbench", root, None)
    assert not out.exists()
    store = make(run, tmp_path / "runs", tmp_path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exporting, "tells_case_apart", lambda folder: False)
        with pytest.raises(UserError, match=r"'a fantasy landscape-0\.mp4' and 'A fantasy(.|\n)*ext4"):
            export(run.key, out, "vbench", root, None)
    assert not out.exists()
    export(run.key, out, "vbench", root, None)
    assert sorted(path.name for path in out.iterdir()) == sorted(SUITE.files) and len(SUITE.files) == FILES
    for name in ("a bird-3.mp4", "The bund Shanghai, oil painting-4.mp4", "a toilet, frozen in time-24.mp4"):
        assert (out / name).read_bytes() == (store.folder / "items" / f"{SUITE.files[name]:06d}.mp4").read_bytes()
    assert f"{FILES} videos ({VIDEOS} items: a prompt that is listed twice has one file)" in capsys.readouterr().out
