"""Exported images: safe names, what made them inside, the same pixels, no more than asked."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2g.cli.commands.export import export
from s2g.cli.run import main
from s2g.errors import UserError
from s2g.report.image_files import file_name, slug, with_text
from s2g.store.items import png
from s2g.store.store import Store


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A Red Circle", "000007-a-red-circle.png"),
        ("../../etc/passwd\\\0:*?<>|", "000007-etc-passwd.png"),
        ("crème brûlée, CON", "000007-creme-brulee-con.png"),
        ("猫が月の上に座っている", "000007.png"),
        ("...", "000007.png"),
    ],
)
def test_names_are_safe_everywhere(prompt: str, name: str) -> None:
    assert file_name(7, prompt, ".png") == name


def test_names_are_short_and_do_not_end_in_a_hyphen() -> None:
    assert slug("ab " * 100) == ("ab-" * 27)[:80].rstrip("-")


def test_text_beyond_latin_1_is_kept_and_pixels_stay() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    found = Image.open(io.BytesIO(with_text(png(image), {"prompt": "猫 é", "seed": 3})))
    assert found.text == {"prompt": "猫 é", "seed": "3"} and np.array_equal(np.asarray(found), image)


def test_a_run_is_exported_with_what_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    typed = ["model=tiny_sd3", "bench=prompts", "bench.text=[a red circle, a blue square]", "bench.seeds=[5,9]", "num=3"]
    assert main([*typed, "guidance=cfg", "sampler.steps=2", "executor.workers=1"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    export(folder.name, tmp_path / "out", "images", "runs", None)
    lines = [json.loads(line) for line in (tmp_path / "out" / "prompts.jsonl").read_text().splitlines()]
    names = ["000000-a-red-circle.png", "000001-a-blue-square.png", "000002-a-red-circle.png"]
    assert [line["file"] for line in lines] == names
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*names, "prompts.jsonl"}
    assert [(line["seed"], line["noise"]) for line in lines] == [(5, 0), (9, 0), (5, 1)]
    for item, line in enumerate(lines):
        image = Image.open(tmp_path / "out" / line.pop("file"))
        assert image.text == {name: str(value) for name, value in line.items()}
        assert line["key"] == folder.name and line["method"] == "cfg"
        assert np.array_equal(np.asarray(image), Store(folder).items([item])[0])
    with pytest.raises(UserError, match="it is not empty"):
        export(folder.name, tmp_path / "out", "images", "runs", 1)
    export(folder.name, tmp_path / "one", "images", "runs", 1)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [names[0], "prompts.jsonl"]


def test_points_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["model=exact_1d", "bench=gmm", "num=16", "sampler.steps=2", "guidance=none", "executor.workers=1"]) == 0
    with pytest.raises(UserError, match="its items are points"):
        export("exact_1d", tmp_path / "out", "images", "runs", None)
    assert not (tmp_path / "out").exists()
