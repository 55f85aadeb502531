"""A folder of videos: what is missing, extra, cut off or of another size is named, and nothing is scored."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from vbench_fake import FILES, SUITE, few, package, video  # noqa: F401  # fixtures

from s2g.benchmarks.vbench import official
from s2g.benchmarks.vbench.results import Scored, read_files
from s2g.benchmarks.vbench.videos import look, shape_of, sized
from s2g.cli.commands.vbench import check, score
from s2g.cli.main import app
from s2g.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Every official name, all of one small video."""
    one, root = tmp_path / "one.mp4", tmp_path / "videos"
    root.mkdir()
    video(one)
    for name in SUITE.files:
        shutil.copy(one, root / name)
    return root


def test_a_whole_folder_is_whole(folder: Path, few: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert look(folder, SUITE).complete and shape_of(folder / "a bird-0.mp4") == (5, 32, 48)
    check(folder, str(few))
    assert f"complete, {FILES} videos of 13 prompts (105 as VBench counts: 5 are of prompts" in capsys.readouterr().out


def test_everything_that_is_wrong_is_in_one_list(folder: Path, few: Path) -> None:  # noqa: F811
    (folder / "a bird-3.mp4").unlink()
    (folder / ".DS_Store").write_bytes(b"")
    (folder / "a birb-3.mp4").write_bytes(b"")
    (folder / "more").mkdir()
    whole = (folder / "a bird-0.mp4").read_bytes()
    (folder / "a bird-0.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "a bird-1.mp4").write_bytes(b"no video")
    late = folder / "A person is riding a bike-0.mp4"
    late.write_bytes(late.read_bytes()[:-8])  # within the last table, without which the frames are still found
    gone = folder / "A person is riding a bike-1.mp4"
    gone.unlink()
    gone.symlink_to(folder / "nowhere")
    video(folder / "a bird-2.mp4", frames=4)
    video(folder / "a bird-4.mp4", height=64)
    with pytest.raises(UserError) as caught:
        check(folder, str(few))
    said = str(caught.value)
    assert f"{FILES - 7} of {FILES} videos can be scored" in said and "1 missing: a bird-3.mp4" in said
    assert "3 unexpected: .DS_Store, a birb-3.mp4, more/" in said
    assert "4 unreadable: A person is riding a bike-1.mp4 (No such file" in said and "bike-0.mp4 (it is truncated" in said
    assert "a bird-0.mp4 (" in said and "a bird-1.mp4 (" in said
    assert (
        "2 of another size: a bird-2.mp4 (4 frames of 32x48, the others 5 frames of 32x48), a bird-4.mp4 (5 frames of 64x48"
        in said
    )
    assert "--allow-missing" in said
    with pytest.raises(UserError, match="no such folder"):
        check(folder / "none", str(few))


def test_a_folder_is_scored_by_one_command_and_its_results_can_be_read(
    folder: Path, few: Path, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]  # noqa: F811
) -> None:  # fmt: skip
    (folder / "a bird-3.mp4").unlink()
    with pytest.raises(UserError, match="1 missing"):
        score(folder, str(few), str(package), tmp_path / "out", False)
    assert not (package / "asked").exists()  # nothing was begun
    score(folder, str(few), str(package), tmp_path / "out", True)
    said = capsys.readouterr().out
    assert "(4 Quality + Semantic) / 5" in said and f"not comparable with published numbers: {FILES - 1} of {FILES}" in said
    assert "temporal_flickering is of" not in said  # five of each prompt stand still
    assert len(read_files([tmp_path / "out"])) == 16
    written = tmp_path / "out" / "videos_eval_results.json"
    score(folder, str(few), str(package), tmp_path / "out", True)
    assert len(list((tmp_path / "out").iterdir())) == 1  # the same again
    known = written.read_bytes()
    written.write_text("{}")  # as if another folder of this name had been scored
    capsys.readouterr()
    score(folder, str(few), str(package), tmp_path / "out", True)
    said = capsys.readouterr().out
    (other,) = (path for path in (tmp_path / "out").iterdir() if path != written)
    assert written.read_text() == "{}" and other.read_bytes() == known and other.name in said
    assert "videos_eval_results.json holds other results and was kept" in said
    other.rename(written)
    with pytest.raises(UserError, match=r"object_class: 1 videos without a value: a bird-3\.mp4"):
        app(["vbench-totals", str(tmp_path / "out"), "--path", str(few)], standalone_mode=False)
    capsys.readouterr()
    app(["vbench-totals", str(tmp_path / "out"), "--path", str(few), "--allow-missing"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "incomplete: object_class: 1 videos" in said and "appearance_style" in said and "0.0009 to 0.2855" in said


def test_videos_that_the_package_leaves_out_stop_it_when_the_results_are_written(
    folder: Path, few: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    whole = official.scores

    def some(*given: Any) -> dict[str, Scored]:
        found = whole(*given)
        birds = found["object_class"].videos
        return found | {"object_class": replace(found["object_class"], videos=dict(list(birds.items())[:3]))}

    monkeypatch.setattr(official, "scores", some)
    with pytest.raises(UserError, match=r"incomplete\n\s+object_class: 2 videos without a value(.|\n)*written"):
        score(folder, str(few), str(package), tmp_path / "out", False)
    assert len(read_files([tmp_path / "out"])) == 16
    score(folder, str(few), str(package), tmp_path / "out", True)


def test_every_video_is_held_against_what_the_model_makes(folder: Path) -> None:
    images = look(folder, SUITE).images
    found = sized(images, lambda image: image.path.name, (6, 32, 48))
    assert not found.images and len(found.other) == FILES and "5 frames of 32x48, it is to be 6 frames" in found.other[0]
