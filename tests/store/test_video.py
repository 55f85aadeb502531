"""Videos as bytes: the same frames give the same bytes, what is cut off is named, a film strip loses nothing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from s2g.store.items import Content, Film, packed, value_of
from s2g.store.video import decoded, encoded, settings, side_by_side, strip, unrolled


def moving(frames: int = 9, height: int = 48, width: int = 64) -> np.ndarray:
    """A bright disc on a soft ground, one pixel further each frame."""
    y, x = np.mgrid[:height, :width]
    video = np.stack([np.stack([x * 2, y * 3, np.full_like(x, 90)], -1)] * frames).astype(np.uint8)
    for at, frame in enumerate(video):
        frame[np.hypot(x - 20 - at, y - 24) < 10] = (230, 60, 40)
    return video


def test_an_mp4_holds_the_frames_and_is_the_same_each_time() -> None:
    frames = moving()
    content = encoded(frames, 16)
    assert content == encoded(frames, 16) and content[4:8] == b"ftyp"
    back = decoded(content)
    assert back.shape == frames.shape and back.dtype == np.uint8
    assert np.abs(back.astype(int) - frames).mean() < 3  # chroma is halved; the rest is all but what was given


def test_the_pace_is_written() -> None:
    import av

    with av.open(io.BytesIO(encoded(moving(), 16))) as file:
        video = file.streams.video[0]
        assert (video.average_rate, video.frames, video.codec.name, video.pix_fmt) == (16, 9, "h264", "yuv420p")


@pytest.mark.parametrize("cut", [0, 7, 100, 0.5, -1, -40])
def test_what_is_cut_off_is_no_video(cut: float) -> None:
    content = encoded(moving(), 16)
    end = int(len(content) * cut) if isinstance(cut, float) else cut
    with pytest.raises(ValueError, match=r"truncated|empty|whole"):
        decoded(content[:end])


@pytest.mark.parametrize("content", [b"hello", b"\x89PNG\r\n\x1a\n" + b"\0" * 60, b"\0\0\0\x08free"])
def test_what_is_something_else_is_no_video(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not an mp4|no whole video"):
        decoded(content)


def test_odd_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="47 x 64"):
        encoded(moving(height=47), 16)


def test_a_film_strip_loses_nothing_and_is_a_picture() -> None:
    frames = moving(5, 16, 16)
    image = Image.open(io.BytesIO(strip(frames)))
    assert image.size == (80, 16)
    np.testing.assert_array_equal(unrolled(image), frames)
    np.testing.assert_array_equal(np.asarray(image), side_by_side(frames))


def test_items_come_back_as_they_were_kept() -> None:
    videos = np.stack([moving(5, 16, 16), moving(5, 16, 16)[::-1]])
    for film, end in ((Film("strip", 8), "png"), (Film("mp4", 8), "mp4")):
        files, entries, beside = packed(3, (6, 7), videos, film=film)
        assert [entry["file"] for entry in entries] == list(files) == [f"000006.{end}", f"000007.{end}"] and not beside
        back = np.stack([value_of(entry, Content(files[entry["file"]])) for entry in entries])
        assert back.shape == videos.shape and np.abs(back.astype(int) - videos).mean() < (1 if end == "png" else 12)
        assert end == "mp4" or np.array_equal(back, videos)


def test_settings_name_what_bytes_depend_on() -> None:
    assert settings("strip", 8) == {"film": "strip"}
    assert settings("mp4", 16) == {
        "film": "mp4",
        "fps": 16,
        "codec": "libx264",
        "crf": 12,
        "preset": "medium",
        "pixels": "yuv420p",
    }
