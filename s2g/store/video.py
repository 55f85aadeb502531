"""Videos as bytes: H.264 in an mp4 or, for small videos without loss, a film strip in a PNG.

Shapes: F frames, H, W; uint8 [F, H, W, 3]. The settings are part of a run's key, since scores depend on them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

# Ours: light compression, since its artifacts are measured as flickering. One thread, and neither dates nor versions in the
# file, so that the same frames give the same bytes.
H264: Mapping[str, Any] = {"codec": "libx264", "crf": 12, "preset": "medium", "pixels": "yuv420p"}


def settings(film: str, fps: int) -> dict[str, Any]:
    """Return all that determines a video's bytes besides its frames."""
    return {"film": film} if film == "strip" else {"film": film, "fps": fps, **H264}


def encoded(frames: np.ndarray, fps: int, crf: int = H264["crf"]) -> bytes:
    """Return frames [F, H, W, 3] as an mp4; ValueError for odd sizes, since H.264 halves the colour planes.

    crf: the compression; runs use the default, pages may compress more.
    """
    import av  # its libraries are loaded for videos only, not for the settings in a key
    from av.codec.context import Flags

    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"frames of {height} x {width}: H.264 needs even sizes")
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4", options={"fflags": "+bitexact"}) as file:
        video = file.add_stream(H264["codec"], rate=fps)
        video.width, video.height, video.pix_fmt = width, height, H264["pixels"]
        video.options = {"crf": str(crf), "preset": H264["preset"], "x264-params": "threads=1:log-level=none"}
        video.codec_context.thread_count = 1
        video.codec_context.flags |= Flags.bitexact.value
        for frame in frames:
            file.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        file.mux(video.encode(None))
    return stream.getvalue()


def decoded(content: bytes) -> np.ndarray:
    """Return the frames [F, H, W, 3] of an mp4; ValueError if it is not one, is truncated, or lacks frames."""
    import av
    from av.error import FFmpegError

    check_whole(io.BytesIO(content))

    try:
        with av.open(io.BytesIO(content), "r") as file:
            if not file.streams.video:
                raise ValueError("no video in it")
            video = file.streams.video[0]
            frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video)]
            said = video.frames
    except (FFmpegError, EOFError) as error:
        raise ValueError(f"no whole video: {error}") from error
    if not frames or len(frames) != (said or len(frames)):
        raise ValueError(f"{len(frames)} of {said} frames")
    return np.stack(frames)


def check_whole(file: BinaryIO) -> None:
    """Raise ValueError if an mp4 is truncated: a box states a length beyond the end of the file."""
    end, at = file.seek(0, io.SEEK_END), 0
    while at < end:
        file.seek(at)
        words = file.read(16)
        size, head = int.from_bytes(words[:4], "big"), 8
        if size == 1:  # a length of eight bytes
            size, head = int.from_bytes(words[8:16], "big"), 16
        size = size or end - at  # 0: to the end
        if size < head or at + size > end:
            raise ValueError("it is truncated, or not an mp4")
        at += size
    if not end:
        raise ValueError("it is empty")


def strip(frames: np.ndarray) -> bytes:
    """Return frames [F, H, W, 3] side by side in one PNG, which states their number."""
    about, stream = PngInfo(), io.BytesIO()
    about.add_text("frames", str(len(frames)))
    Image.fromarray(side_by_side(frames)).save(stream, format="PNG", pnginfo=about)
    return stream.getvalue()


def side_by_side(frames: np.ndarray) -> np.ndarray:
    """Return frames [F, H, W, 3] as one image [H, F W, 3]."""
    return np.concatenate(list(frames), axis=1)


def unrolled(image: Image.Image) -> np.ndarray:
    """Return an image's pixels [H, W, 3], or the frames [F, H, W, 3] of a film strip."""
    said, pixels = image.info.get("frames"), np.asarray(image.convert("RGB"))
    return pixels if said is None else np.stack(np.split(pixels, int(said), axis=1))
