"""Pages of runs of one's own prompts: as many items as were asked for, switched between runs on the same noise."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s2g.cli.commands.pages import gallery
from s2g.cli.run import main
from s2g.config.schema import CHECKOUT
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.scoring.score import unpaired

PROMPT = "a red circle, a blue square"
COMMAND = ["model=tiny_sd3", "bench=prompts", f'bench.text=["{PROMPT}"]', "num=1", "sampler.steps=2", "executor.workers=1"]


def shown(page: Path) -> dict[str, Any]:
    """Return the data of a page's gallery."""
    return json.loads(re.search(r'class="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])  # type: ignore[index]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a run of CFG and one of S2 on one prompt, through the real command line."""
    folder = tmp_path_factory.mktemp("work")
    for method in ("cfg", "s2"):
        done = subprocess.run(
            [sys.executable, str(CHECKOUT / "run.py"), *COMMAND, f"guidance={method}"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (page,) = [line.removeprefix("Page: ") for line in done.stdout.splitlines() if line.startswith("Page: ")]
        assert (folder / page).is_file()
    return folder


@pytest.mark.slow("starts processes")
def test_one_image_is_one_image_and_a_comma_is_part_of_its_prompt(folder: Path) -> None:
    for page in (folder / "outputs" / "gallery").glob("tiny_sd3-*.html"):
        data = shown(page)
        assert [item["caption"] for item in data["items"]] == [PROMPT] and len(data["items"][0]["shots"]) == 1


@pytest.mark.slow("starts processes")
def test_a_page_switches_between_runs(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    gallery(["tiny_sd3-cfg", "tiny_sd3-s2"], str(folder / "runs"), page, None)
    data = shown(page)
    assert [method["label"] for method in data["methods"]] == ["cfg", "s2"]
    (item,) = data["items"]
    assert len({shot["src"] for shot in item["shots"]}) == 2
    assert "The noise of an item is the same in every run" in page.read_text()
    assert set(json.loads((tmp_path / "page.runs.json").read_text())["runs"]) == {m["name"] for m in data["methods"]}


@pytest.mark.slow("starts processes")
def test_what_cannot_be_compared_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(folder / "runs")
    monkeypatch.chdir(tmp_path)  # the run's own page goes there
    assert main([*COMMAND[:2], "bench.text=a red circle", *COMMAND[3:], f"runs={tmp_path / 'runs'}"]) == 0
    (other,) = (tmp_path / "runs").iterdir()
    with pytest.raises(UserError, match="in another folder"):
        gallery(["tiny_sd3-cfg", str(other)], root, tmp_path / "x.html", None)
    with pytest.raises(UserError, match=r"x\.txt: not a page"):
        gallery(["tiny_sd3-cfg"], root, tmp_path / "x.txt", None)
    other.rename(folder / "runs" / other.name)
    with pytest.raises(UserError, match="its prompts are not those of"):
        gallery(["tiny_sd3-cfg", other.name], root, tmp_path / "x.html", None)
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ((), ""),
        (("guidance=cfg", "sampler.steps=3", "mask_seed=4"), ""),
        (("seed=1",), "seed 1, not 0"),
        (("model.unit=4",), "unit 4, not 16"),
        (("model=tiny_sd3", "bench=shapes_t2i"), "other prompts"),
    ],
)
def test_the_same_noise_is_told_from_other_noise(typed: tuple[str, ...], why: str, run_of: Callable[..., Run]) -> None:
    assert unpaired(run_of(*typed), run_of()) == why


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        ('bench.text=["a cat, black", "noon: (a) dog", "it\'s \\"x\\""]', ["a cat, black", "noon: (a) dog", 'it\'s "x"']),
        ('bench.text="one, two: three"', ["one, two: three"]),
    ],
)
def test_quoted_prompts_are_literal(typed: str, taken: list[str], composed: Callable[..., dict[str, Any]]) -> None:
    from s2g.engine.resolve import outline

    assert list(outline(composed("model=sd35", "bench=prompts", typed)).bench.listed) == taken  # type: ignore[union-attr]


@pytest.mark.parametrize("typed", ["bench.text=a cat, black", "bench.text=[it's a cat]", "bench.text=[a (black) cat]"])
def test_a_prompt_that_needs_quotes_is_refused_with_both_forms(typed: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["model=sd35", "bench=prompts", typed]) == 2
    err = capfd.readouterr().err
    assert """'bench.text=["a cat, black", "noon: a dog"]'""" in err and "bench.path=FILE" in err
