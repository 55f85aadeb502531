"""Images under official names: what is missing, too many or unreadable is named before anything is scored."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import small_clip
from PIL import Image

from s2g.benchmarks.hps.prompts import STYLES
from s2g.cli.main import main
from s2g.errors import UserError
from s2g.io.images import read_image
from s2g.scoring.image_folder import look

ENTRIES = [(style, place) for place in range(3) for style in STYLES]
NAMES = [f"{style}/{place:05d}.jpg" for style, place in ENTRIES]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S2G_CACHE", str(tmp_path / "cache"))
    noise = np.random.default_rng(0)
    for style, place in ENTRIES:
        (folder := tmp_path / "images" / style).mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / f"{place:05d}.jpg", format="PNG")
    for style in STYLES:
        (tmp_path / "lists").mkdir(exist_ok=True)
        (tmp_path / "lists" / f"{style}.json").write_text(json.dumps([f"{style} {i}" for i in range(3)]))
    return tmp_path / "images"


def test_a_whole_folder_is_whole_whatever_a_file_manager_left(root: Path) -> None:
    (root / ".DS_Store").write_bytes(b"\0\0")
    (root / "anime" / ".DS_Store").write_bytes(b"\0\0")
    found = look(root, NAMES)
    assert found.complete and [image.item for image in found.images] == list(range(12))
    assert found.images[5].path == root / "concept-art" / "00001.jpg"  # PNG bytes under .jpg are read as what they are


def test_everything_that_is_wrong_is_named(root: Path) -> None:
    (root / "anime" / "00001.jpg").unlink()
    cut = root / "photo" / "00002.jpg"
    cut.write_bytes(cut.read_bytes()[:2000])
    Image.new("RGBA", (40, 40), (1, 2, 3, 128)).save(root / "paintings" / "00000.jpg", format="PNG")
    (root / "log.txt").write_text("a log")
    (root / "photo" / "00003.jpg").write_bytes((root / "photo" / "00001.jpg").read_bytes())
    Image.new("RGB", (40, 40)).save(root / "anime" / "00002.png")
    (root / "deep" / "anime").mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(root / "deep" / "anime" / "00000.jpg")
    found = look(root, NAMES)
    assert found.missing == ["anime/00001"] and len(found.images) == 9
    assert [name.split(" ")[0] for name in found.unreadable] == ["paintings/00000.jpg", "photo/00002.jpg"]
    assert "RGBA" in found.unreadable[0] and "cannot be read" in found.unreadable[1]
    assert [name.split(" ")[0] for name in found.extra] == [
        *("anime/00002.png", "deep/anime/00000.jpg", "log.txt", "photo/00003.jpg")
    ]
    with pytest.raises(UserError, match=r"9 of 12(.|\n)*1 missing: anime/00001(.|\n)*2 unreadable(.|\n)*4 unexpected"):
        found.check("here", 12, False, "do")
    assert len(found.check("here", 12, True, "do")) == 9


def test_a_folder_is_scored_by_the_command(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, sizes = small_clip.write(tmp_path)
    typed = [
        f"bench.path={tmp_path / 'lists'}",
        "bench.prompt_list=own",
        f"bench.weights={weights}",
        f"bench.architecture={sizes}",
    ]

    def command(*more: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["s2g", "score-folder", str(root), *typed, *more])
        try:
            code = main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capfd.readouterr()

    code, out, err = command()
    assert (code, err) == (0, "") and "not comparable" in out and "prompts of one's own" in out
    whole = next(line for line in out.splitlines() if "HPSv2.1 Avg" in line).split()
    (root / "anime" / "00001.jpg").unlink()
    code, out, err = command()
    assert code == 2 and "11 of 12 images can be scored" in err and "anime/00001" in err and "--allow-missing" in err
    code, out, _ = command("--allow-missing")
    part = next(line for line in out.splitlines() if "HPSv2.1 Avg" in line).split()
    assert (
        code == 0 and "11 of 12 images were there" in out and part[-1] == "11" and whole[-1] == "12" and part[-2] != whole[-2]
    )
    code, again, _ = command("bench.allow_missing=true")  # as much as the flag
    assert code == 0 and "11 of 12 images were there" in again
    code, _, err = command("bench.antialais=false")
    assert code == 2 and "Did you mean 'antialias'" in err


def test_scorers_are_given_what_packages_read_differently_as_plain_rgb(root: Path) -> None:
    grey = np.linspace(0, 65535, 40 * 48).reshape(40, 48).astype(np.uint16)
    Image.fromarray(grey).save(root / "anime" / "00000.jpg", format="PNG")
    Image.new("RGBA", (40, 40), (1, 2, 3, 255)).save(root / "photo" / "00000.jpg", format="PNG")
    (root / "anime" / "._00000.jpg").write_bytes(b"\0\5\26\7")  # what macOS leaves on a foreign disk
    found = look(root, NAMES)
    assert found.complete
    with Image.open(found.images[0].path) as opened:  # as any package does
        assert np.array_equal(np.asarray(opened.convert("RGB"))[..., 1], grey >> 8)
    assert read_image(found.images[0].path)[0, 0].tolist() == [0, 0, 0]
    converted = [image.item for image in found.images if root not in image.path.parents]
    assert converted == [NAMES.index("anime/00000.jpg"), NAMES.index("photo/00000.jpg")]
    os.mkfifo(root / "anime" / "00003.jpg")
    assert look(root, [*NAMES, "anime/00003.jpg"]).unreadable == ["anime/00003.jpg (Not a regular file)"]
