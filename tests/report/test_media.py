"""Videos as parts of pages and pictures: squares stay squares, large ones become small, frames come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from films_made import METHODS, film_gallery, filmed
from matplotlib.patches import Rectangle

from s2g.benchmarks.shapes.videos import ShapesT2V
from s2g.engine.run import Run
from s2g.metrics.statistics import Estimate
from s2g.report.gallery import gallery_figure, gallery_of, read_gallery, write_gallery
from s2g.report.grids import Block, strip_grid
from s2g.report.media import (
    CRF,
    MAX_BYTES,
    content_of,
    downscaled,
    evenly_spaced,
    frames_of,
    page_video,
    pixels_of,
    poster_uri,
    upscale_factor,
    video_uri,
)
from s2g.scoring.score import Cost, Effective, Score
from s2g.store.items import Film
from s2g.store.store import Store
from s2g.store.video import decoded, encoded
from s2g.worlds.shapes.video_prompts import prompt_kinds


def noise(frames: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def test_small_videos_are_squares_whose_colours_do_not_smear() -> None:
    (video,) = filmed(prompt_kinds()[:1])
    shown = decoded(page_video(video, 8))
    assert shown.shape == (8, 384, 384, 3)
    inside = shown.reshape(8, 16, 24, 16, 24, 3)[:, :, 2:-2, :, 2:-2]  # away from a square's edge
    assert np.abs(inside.astype(int) - video[:, :, None, :, None]).max() < 24
    uri, poster = video_uri(video, 8), poster_uri(video)
    assert uri.startswith("data:video/mp4;base64,") and (pixels_of(poster) == video[4]).all()
    back = frames_of(uri, poster)
    assert back.shape == video.shape and np.abs(back.astype(int) - video).mean() < 2


@pytest.mark.parametrize("side", [8, 16, 24, 28, 32, 48, 63, 64])
def test_they_are_enlarged_by_an_even_factor_of_eight_or_more(side: int) -> None:
    assert upscale_factor(side) >= 8 and upscale_factor(side) % 2 == 0 and side * upscale_factor(side) <= 512


def test_large_videos_become_small_and_light() -> None:
    video = noise(5, 480, 832)
    content = page_video(video, 16)
    assert decoded(content).shape == (5, 296, 512, 3)
    assert len(content) <= MAX_BYTES or content == encoded(downscaled(video, 512), 16, CRF[-1])
    assert pixels_of(poster_uri(video)).shape[:2] == (295, 512)


def test_a_runs_own_bytes_are_taken_where_they_do() -> None:
    own = encoded(noise(3, 96, 128), 8)
    assert page_video(noise(3, 96, 128), 8, own) == own
    assert page_video(noise(3, 96, 128), 8, own + bytes(MAX_BYTES)) != own + bytes(MAX_BYTES)
    assert page_video(noise(3, 16, 16), 8, own) != own


def test_frames_are_spread_over_the_whole() -> None:
    assert evenly_spaced(8, 8) == list(range(8)) and evenly_spaced(3, 8) == [0, 1, 2]
    assert evenly_spaced(81, 8) == [0, 11, 23, 34, 46, 57, 69, 80]


def test_strips_have_a_block_for_each_noise_and_frames_where_something_is_wrong() -> None:
    gallery = film_gallery(5)
    figure = gallery_figure(gallery)
    (axis,) = figure.axes
    texts = [text.get_text() for text in axis.texts]
    assert [text for text in texts if text in [i.caption for i in gallery.items]] == [i.caption for i in gallery.items]
    assert texts.count("CFG") == texts.count(METHODS[1].label) == 3  # lines of two blocks
    frames = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    assert len(frames) == 2 and all(patch.get_width() == 8 * 17 - 1 and patch.get_height() == 16 for patch in frames)
    assert [(patch.get_x() > 100, patch.get_y() > 40) for patch in frames] == [(False, False), (True, True)]  # items 0 and 3
    canvas = np.asarray(axis.images[0].get_array())
    right = frames_of(gallery.items[1].shots[0].src, gallery.items[1].shots[0].poster)
    y, x = int(frames[0].get_y() + 0.5), int(frames[1].get_x() + 0.5)
    assert (canvas[y : y + 16, x + 17 : x + 33] == right[1]).all()
    assert figure.get_size_inches()[0] < 13 and figure.get_size_inches()[1] < 7


def test_strips_of_long_large_videos_are_eight_small_frames() -> None:
    figure = strip_grid(["one"], [Block("a caption", [noise(20, 240, 416)], [True])])
    (axis,) = figure.axes
    canvas = np.asarray(axis.images[0].get_array())
    assert canvas.shape[1] == 8 * (160 + 6) - 6 and 8 < figure.get_size_inches()[0] < 11


@pytest.mark.parametrize(("form", "side"), [("strip", 16), ("mp4", 16), ("mp4", 96)])
def test_a_gallery_of_runs_of_videos(run_of: Callable[..., Run], tmp_path: Path, form: str, side: int) -> None:
    scores = {}
    cost = dict.fromkeys(("seconds", "network_seconds", "evaluations", "flops", "peak_memory"), 1)
    facts = {"environment": "0", "device": "cpu", **cost}
    for name in ("cfg", "s2"):
        run = run_of(f"guidance={name}", "num=4", "model.unit=4")
        run = replace(run, bench=ShapesT2V(), model=replace(run.model, frames=8, fps=8, film=form))
        videos = filmed(prompt_kinds()[:4] if name == "cfg" else prompt_kinds()[4:8])
        store = Store.of(run, tmp_path)
        store.begin(run, False)
        large = videos.repeat(side // 16, axis=2).repeat(side // 16, axis=3)
        with store.exclusive() as scratch:
            store.put(0, range(4), large, facts, scratch, film=Film(form, 8))
        arrays = ShapesT2V().measure(videos, range(4))
        cost = Cost(1, 1, 1, 1, 0)
        scores[name] = Score(run, {}, arrays, cost, Effective(Estimate(None, None, None, 1), 0, 0))
    gallery = gallery_of(scores, {"cfg": "CFG", "s2": "S²"}, "cfg", range(1, 4), str(tmp_path))
    assert (gallery.fps, gallery.what, gallery.pixelated, gallery.ratio) == (8, "video", side <= 64, 1)
    assert [bool(item.shots[0].wrong) for item in gallery.items] == [False] * 3
    assert all(item.shots[1].wrong and item.shots[1].remark for item in gallery.items) and "off the video" in gallery.note
    assert "opens the video" in gallery.legend
    if side > 64:
        own = Store.of(scores["s2"].run, tmp_path).folder / "items" / "000002.mp4"
        assert content_of(gallery.items[1].shots[1].src) == own.read_bytes()
    write_gallery(tmp_path / "a.json", gallery)
    again = read_gallery(tmp_path / "a.json")
    assert (again.items, again.fps) == (gallery.items, 8)
    assert len(gallery_figure(again).axes[0].patches) == 3
