"""s2g export: official names, every image once, refused while anything is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from compbench_fake import LISTS, fakes  # noqa: F401  # a fixture
from PIL import Image
from rich.console import Console

from s2g.cli.commands.export import export
from s2g.config.schema import ExecutorConfig
from s2g.engine.execute import execute
from s2g.engine.executors.local import LocalExecutor
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.store.store import Store

Typed = Callable[..., tuple[str, ...]]


def make(run: Run, root: Path) -> Store:
    Store.of(run, root).begin(run, True)
    with LocalExecutor(ExecutorConfig(workers=1, device="cpu")) as executor:
        execute([run], str(root), executor, True, Console(quiet=True)).check(run)
    return Store.of(run, root)


def test_the_official_evaluator_finds_every_prompt_ten_times_in_order(run_of, fakes: Typed, tmp_path: Path) -> None:  # noqa: F811
    run = run_of(*fakes("bench.score=[]"))
    store = make(run, tmp_path / "runs")
    export(run.key, tmp_path / "out", "compbench", str(tmp_path / "runs"), None)
    for category, prompts in LISTS.items():
        names = [path.name for path in (tmp_path / "out" / category / "samples").iterdir()]
        names.sort(key=lambda name: int(name.split("_")[-1].split(".")[0]))
        assert [name.split("_")[0] for name in names] == [prompt for prompt in prompts for _ in range(10)]
        assert [name.split("_")[-1] for name in names] == [f"{i:06d}.png" for i in range(len(names))]
    item = 8 * 7 + 4  # image 7 of the second shape
    written = np.asarray(Image.open(tmp_path / "out" / "shape" / "samples" / "a round bowl._000017.png"))
    assert np.array_equal(written, store.items([item])[0])
    with pytest.raises(UserError, match="it is not empty, and its content would be scored too"):
        export(run.key, tmp_path / "out", "compbench", str(tmp_path / "runs"), None)


def test_incomplete_runs_and_other_benches_are_refused_and_nothing_is_written(run_of, fakes: Typed, tmp_path: Path) -> None:  # noqa: F811
    run, root, out = run_of(*fakes("bench.score=[]", "num=12")), str(tmp_path / "runs"), tmp_path / "out"
    store = make(run, tmp_path / "runs")
    with pytest.raises(UserError, match=r"12 images were asked for, and the official set is 80: images 12 to 79 are missing"):
        export(run.key, out, "compbench", root, None)
    with pytest.raises(UserError, match=r"12 of 80 images can be scored(.|\n)*68 missing: item 12"):
        export(run.key, out, "compbench", root, 80)
    make(run_of(*fakes("bench.score=[]")), tmp_path / "runs")
    (store.folder / "items" / "000040.png").unlink()
    (store.folder / "items" / "notes.txt").write_text("")
    for stray in ("000999.png", "000081.png", "unit-000030.npz"):  # of no unit
        (store.folder / "items" / stray).write_bytes(b"")
    strays = r"items/000081\.png, items/000999\.png, items/notes\.txt, items/unit-000030\.npz"
    with pytest.raises(UserError, match=rf"1 missing: items/000040\.png(.|\n)*4 unexpected: {strays}"):
        export(run.key, out, "compbench", root, None)
    (store.folder / "locks" / "000020").mkdir(parents=True)  # unit 20 is being made: items 80 to 83
    with pytest.raises(UserError, match=r"3 unexpected: items/000999\.png, items/notes\.txt, items/unit"):
        export(run.key, out, "compbench", root, None)
    with pytest.raises(UserError, match=r"is a run of bench=compbench(.|\n)*runs of bench=hps"):
        export(run.key, out, "hps", root, None)
    with pytest.raises(UserError, match="Did you mean 'compbench'"):
        export(run.key, out, "compbnch", root, None)
    assert not out.exists()


def test_adm_is_one_array_in_item_order(run_of, fakes: Typed, tmp_path: Path) -> None:  # noqa: F811
    run = run_of(*fakes("bench.score=[]", "num=8"))
    store = make(run, tmp_path / "runs")
    export(run.key, tmp_path / "batch.npz", "adm", str(tmp_path / "runs"), None)
    with np.load(tmp_path / "batch.npz") as stored:
        assert np.array_equal(stored["arr_0"], store.items(range(8)))


def test_what_a_run_has_beyond_the_official_set_is_not_written(
    run_of,
    fakes: Typed,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run = run_of(*fakes("bench.score=[]", "num=84"))
    store = make(run, tmp_path / "runs")
    export(run.key, tmp_path / "out", "compbench", str(tmp_path / "runs"), None)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 80 and {path.read_bytes() for path in files} == {
        (store.folder / "items" / f"{item:06d}.png").read_bytes() for item in range(80)
    }
    assert "the first 80 of the run's 84 items" in capfd.readouterr().out


def test_an_export_is_there_whole_or_not_at_all(
    run_of,
    fakes: Typed,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run = run_of(*fakes("bench.score=[]"))
    store = make(run, tmp_path / "runs")
    about, out, beside = store.read_run(), tmp_path / "out", tmp_path / "out.unfinished"
    monkeypatch.setattr(Store, "read_run", lambda self: {**about, "random_weights": True})
    seen = []

    def stopped(source: Path, target: Path) -> None:
        seen.append(beside.is_dir() and not out.exists())
        if len(seen) == 5:
            raise OSError("full")
        target.write_bytes(source.read_bytes())

    with monkeypatch.context() as patched:
        patched.setattr("s2g.cli.commands.export.shutil.copyfile", stopped)
        with pytest.raises(OSError, match="full"):
            export(run.key, out, "compbench", str(tmp_path / "runs"), None)
    assert seen == [True] * 5 and not out.exists() and not beside.exists()
    beside.mkdir()
    with pytest.raises(UserError, match=r"out\.unfinished exists"):
        export(run.key, out, "compbench", str(tmp_path / "runs"), None)
    beside.rmdir()
    out.mkdir()  # an empty folder is as good as none
    export(run.key, out, "compbench", str(tmp_path / "runs"), None)
    assert len(list(out.rglob("*.png"))) == 80 and not beside.exists()
    assert "random weights: no number and no image of this run means anything" in capfd.readouterr().out
