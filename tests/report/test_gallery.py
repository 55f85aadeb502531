"""Images are kept beside results as they were made, and drawn from there."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from s2g.cli.commands.table import TableMaker
from s2g.engine.run import Run
from s2g.errors import UserError
from s2g.experiments.runner import resolve_rows
from s2g.experiments.specification import ExperimentSpec, run_specs
from s2g.experiments.specification_file import read_experiment
from s2g.report.gallery import gallery_figure, read_gallery
from s2g.report.media import image_uri
from s2g.store.store import Store

FIGURE = """
title: "Figure 9: pictures"
source: nowhere
against: cfg
rows:
  cfg: {label: CFG, set: {guidance: cfg}}
  s2: {label: S², set: {guidance: s2}}
profiles:
  tiny:
    set: {num: 20, sampler.steps: 2}
    groups: {tiny_sit: {label: tiny, set: {model: tiny_sit}}}
    columns: {alike: {bench: shapes, metric: ssim, label: SSIM to CFG}}
    grid: {first: 14, count: 12}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fig9.yaml").write_text(FIGURE)
    return tmp_path


def made(folder: Path) -> tuple[ExperimentSpec, list[Run]]:
    maker = TableMaker(folder, folder / "out", str(folder / "runs"), None, 1)
    maker.make("fig9", "tiny", Console(quiet=True))
    experiment = read_experiment(folder / "fig9.yaml")
    runs = resolve_rows(experiment.profile("tiny"), None).runs
    assert len(runs) == len(run_specs(experiment.profile("tiny"))) == 2
    return experiment, list(runs.values())


def test_the_chosen_items_are_kept_to_the_bit(folder: Path) -> None:
    _, (cfg, s2) = made(folder)
    gallery = read_gallery(folder / "out" / "fig9-tiny.gallery.json")
    assert [item.name for item in gallery.items] == [str(item) for item in range(14, 20)]  # as far as there are items
    assert [method.label for method in gallery.methods] == ["CFG", "S²"] and gallery.held == 0 and gallery.pixelated
    for at, run in enumerate((cfg, s2)):
        stored = Store.of(run, folder / "runs").items(range(14, 20))
        for item, image in zip(gallery.items, stored, strict=True):
            content = base64.b64decode(item.shots[at].src.partition(",")[2])
            assert (np.asarray(Image.open(io.BytesIO(content))) == image).all()
            assert set(item.shots[at].marks) == {"shape", "color", "texture"}
            assert item.caption == run.bench.caption(int(item.name))
    with Image.open(folder / "out" / "fig9-tiny.grid.png") as picture:
        assert picture.width > 500
    assert (folder / "out" / "fig9-tiny.grid.svg").exists()
    assert "fig9-tiny.grid.png" in (folder / "out" / "fig9-tiny.md").read_text()
    assert "Start noises 14 to 19." in gallery.note


def test_likeness_is_to_the_row_that_is_compared_with(folder: Path) -> None:
    from s2g.experiments.results import Results
    from s2g.metrics.likeness import ssim

    _, (cfg, s2) = made(folder)
    one, other = (Store.of(run, folder / "runs").items(range(20)) for run in (s2, cfg))
    results = Results.load(folder / "out" / "fig9-tiny.json")
    assert results.rows[0].cell("alike") is None
    assert results.rows[1].cell("alike").value == pytest.approx(ssim(one, other).mean(), rel=1e-5)
    assert results.columns["alike"] == {"label": "SSIM to CFG", "higher": True, "digits": 3}


def test_the_picture_is_drawn_from_what_was_kept(folder: Path) -> None:
    made(folder)
    gallery = read_gallery(folder / "out" / "fig9-tiny.gallery.json")
    (axis,) = gallery_figure(gallery).axes
    assert [text.get_text() for text in axis.texts[-2:]] == ["CFG", "S²"] and len(axis.texts) == 6 + 2
    canvas = np.asarray(axis.images[0].get_array())
    content = base64.b64decode(gallery.items[1].shots[0].src.partition(",")[2])
    assert (canvas[:32, 35:67] == np.asarray(Image.open(io.BytesIO(content)))).all()
    (few,) = gallery_figure(gallery, columns=2).axes
    assert few.texts[0].get_text().split() == gallery.items[0].caption.split() and len(few.texts) == 4


def test_large_images_become_small_ones() -> None:
    large = np.full((1024, 768, 3), 90, np.uint8)
    kind, _, content = image_uri(large).partition(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (384, 512)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(UserError, match="another version"):
        read_gallery(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_gallery(tmp_path / "a.json")


def test_galleries_from_before_there_were_videos_are_read(folder: Path) -> None:
    made(folder)
    path = folder / "out" / "fig9-tiny.gallery.json"
    now, raw = read_gallery(path), json.loads(path.read_text())
    assert raw.pop("schema") == 2 and raw.pop("fps") == 0 and raw.pop("ratio") == 1
    for item in raw["items"]:
        assert [shot.pop("poster") for shot in item["shots"]] == ["", ""]
    path.write_text(json.dumps({"schema": 1, **raw}))
    assert read_gallery(path) == now
    path.write_text(json.dumps({"schema": 3, **raw}))
    with pytest.raises(UserError, match="another version"):
        read_gallery(path)
