"""s2g export, then s2g score-folder: the values of scoring the run itself, and what an export needs none of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import small_clip
import worded_model
from compbench_fake import LISTS, fakes  # noqa: F401  # a fixture

from s2g.cli.commands.export import export
from s2g.cli.commands.score_folder import score_folder
from s2g.cli.run import main
from s2g.errors import UserError


def values(text: str, *labels: str) -> list[str]:
    """By label the number behind it in a printed table."""
    lines = [next(line for line in text.splitlines() if label in line) for label in labels]
    found = [re.search(r"-?\d+\.\d+", line.split(label)[1]) for label, line in zip(labels, lines, strict=True)]
    return [number[0] for number in found if number]


def test_hps_of_a_folder_is_hps_of_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (lists := tmp_path / "lists").mkdir()
    for style in ("anime", "concept-art", "paintings", "photo"):
        (lists / f"{style}.json").write_text(json.dumps([f"a {style} picture of {i} cats" for i in range(2)]))
    weights, sizes = small_clip.write(tmp_path, side=16)
    keys = [f"bench.path={lists}", "bench.prompt_list=own", f"bench.weights={weights}", f"bench.architecture={sizes}"]
    model = [*worded_model.TYPED, f"model.weights={worded_model.weights(tmp_path)}", f"runs={tmp_path / 'runs'}"]
    assert main([*model, "bench=hps", *keys]) == 0
    labels = ("Anime", "Concept", "Paintings", "Photo", "HPSv2.1 Avg")
    wanted = values(capfd.readouterr().out, *labels)
    assert main([*model, "bench=hps", *keys, "num=16", "bench.score=[]"]) == 0  # twice the lists: other images of the prompts
    (run,) = (tmp_path / "runs").iterdir()
    away = weights.rename(tmp_path / "away.pt")
    export(run.name, tmp_path / "out", "hps", str(tmp_path / "runs"), None)  # needs no checkpoint
    away.rename(weights)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.read_bytes() for path in files} == {(run / "items" / f"{i:06d}.png").read_bytes() for i in range(8)}
    capfd.readouterr()
    score_folder(tmp_path / "out", keys, "hps", workers=1)
    found = values(capfd.readouterr().out, *labels)
    assert found == wanted and len(set(found)) > 3


@pytest.mark.slow("BLIP")
def test_compbench_of_a_folder_is_compbench_of_the_run(
    fakes: Callable[..., tuple[str, ...]],  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    typed = fakes("executor.workers=1", "executor.device=cpu", f"runs={tmp_path / 'runs'}")
    assert main(typed) == 0
    labels = ("Color", "Shape", "Texture")
    wanted = values(capfd.readouterr().out, *labels)
    (run,) = (tmp_path / "runs").iterdir()
    out = tmp_path / "out"
    export(run.name, out, "compbench", str(tmp_path / "runs"), None)
    keys = [key for key in typed if key.startswith("bench.")]
    capfd.readouterr()
    score_folder(out, keys, "compbench", workers=1)
    said = capfd.readouterr().out
    assert values(said, *labels) == wanted and len(set(wanted)) == 3
    assert [line.split()[-1].strip("│|") for line in said.splitlines() if "Color" in line or "Shape" in line] == ["30", "20"]
    (out / "shape" / "samples" / "a round bowl._000017.png").rename(out / "shape" / "samples" / "a round bow._000017.png")
    with pytest.raises(UserError, match=r"1 missing: shape/samples/a round bowl\._000017(.|\n)*1 unexpected: shape/samples/a"):
        score_folder(out, keys, "compbench", workers=1)
    with pytest.raises(UserError, match="Did you mean 'compbench'"):
        score_folder(out, keys, "compbnch", workers=1)
    assert set(LISTS) == {path.name for path in out.iterdir()}
