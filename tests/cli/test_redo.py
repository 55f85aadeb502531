"""`s2g redo`: an item made again is the stored one, or it is said how far it is from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2g.cli.commands.check import reasons_to_differ, redo
from s2g.cli.run import main
from s2g.errors import DamageError, UserError
from s2g.store.env_file import environment_of
from s2g.store.items import STILL
from s2g.store.likeness import Likeness, likeness
from s2g.store.status import run_folders
from s2g.store.store import Store

SHORT = ("num=8", "model.unit=4", "sampler.steps=3", "executor.workers=1", "executor.device=cpu")


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("points")
    assert main(["model=toy_2d", "bench=gmm", "guidance=s2", *SHORT, f"runs={root}"]) == 0
    return root


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    assert main(["guidance=apg", "guidance.momentum=-0.5", *SHORT, f"runs={root}"]) == 0
    return root


def run_of(root: Path) -> str:
    (folder,) = run_folders(str(root))
    return folder.name


@pytest.mark.parametrize("item", [0, 5])
def test_in_its_unit_an_item_is_the_stored_one_to_the_byte(
    images: Path, points: Path, item: int, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "made.png"
    assert redo(run_of(images), item, out, True, "cpu", str(images)) == 0
    assert f"item {item}, made in its unit: the stored one to the byte" in capsys.readouterr().out
    stored = images / run_of(images) / "items" / f"{item:06d}.png"
    assert out.read_bytes() == stored.read_bytes()
    out = tmp_path / "made.npy"
    assert redo(run_of(points), item, out, True, "cpu", str(points)) == 0
    assert np.array_equal(np.load(out)[0], Store(points / run_of(points)).items([item])[0])


@pytest.mark.parametrize("item", [0, 5])
def test_alone_it_is_the_stored_one_or_near_it(images: Path, item: int, capsys) -> None:
    """Noise, masks and labels are functions of the item: what differs is the last bits of sums over a batch."""
    code, out = redo(run_of(images), item, None, False, "cpu", str(images)), capsys.readouterr().out
    assert "made alone" in out
    if code:
        assert "--whole-unit" in out and int(out.split("differ, by ")[1].split()[0]) <= 1


def test_another_machine_is_named_where_an_item_differs(images: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    root = tmp_path / "runs"
    shutil.copytree(images, root)
    store = Store(root / run_of(root))
    assert environment_of(store, 0)["device"] == "cpu"
    then = {**environment_of(store, 0), "machine": "64 x Another, 1 x GPU", "packages": {"torch": "1.0"}}
    assert reasons_to_differ(environment_of(store, 0), "cpu", True) == []
    (reason,) = reasons_to_differ(then, "cuda", True)
    assert "made with device cpu, now cuda; machine 64 x Another, 1 x GPU, now " in reason and "torch 1.0, now " in reason
    monkeypatch.setattr("s2g.cli.commands.check.environment_of", lambda *_: then)
    monkeypatch.setattr("s2g.cli.commands.check.make_item", lambda *_: np.zeros((32, 32, 3), np.uint8))
    assert redo(run_of(root), 3, None, True, runs=str(root)) == 1
    out = capsys.readouterr().out
    assert "torch 1.0" in out and "--whole-unit" not in out and "device" not in out.split("made with ")[1]


def test_how_far_an_item_is_from_the_stored_one(images: Path, points: Path) -> None:
    store = Store(images / run_of(images))
    image = store.items([3])[0].copy()
    assert likeness(store, 3, image, STILL) == Likeness(True, image.size)
    image[0, 0, 0] ^= 0b101
    image[1, 2, 1] ^= 1
    found = likeness(store, 3, image, STILL)
    assert (found.same, found.values, found.differing) == (False, 32 * 32 * 3, 2) and found.most == 5
    assert str(found) == "not the stored one: 2 of 3072 values differ, by 5 at most"
    assert not likeness(store, 2, store.items([3])[0], STILL).same  # another item
    spots = Store(points / run_of(points))
    point = spots.items([6])[0] + np.float32(0.25)
    assert likeness(spots, 6, point, STILL).most == pytest.approx(0.25, rel=1e-5)


def test_bad_requests_are_named(images: Path, tmp_path: Path) -> None:
    for item in (-1, 8, 100):
        with pytest.raises(UserError, match=rf"item = {item}: .*\n  allowed: 0 to 7"):
            redo(run_of(images), item, None, False, "cpu", str(images))
    with pytest.raises(UserError, match="no such run"):
        redo("nothing", 0, None, False, "cpu", str(images))


def test_another_version_of_the_run_is_refused_and_a_damaged_item_named(images: Path, tmp_path: Path) -> None:
    name = run_of(images)
    shutil.copytree(images / name, tmp_path / name)
    file = tmp_path / name / "items" / "000001.png"
    made = np.asarray(Image.open(file)).copy()
    made[0, 0] = 0
    Image.fromarray(255 - made).save(file)
    with pytest.raises(DamageError, match=r"000001\.png"):
        likeness(Store(tmp_path / name), 1, made, STILL)
    about = json.loads((tmp_path / name / "run.json").read_text())
    about["config"]["sampler"]["steps"] = 4
    (tmp_path / name / "run.json").write_text(json.dumps(about))
    with pytest.raises((UserError, DamageError)):
        redo(name, 0, None, False, "cpu", str(tmp_path))
