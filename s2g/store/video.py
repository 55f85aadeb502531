"""A video as bytes: H.264 in an mp4, or, where it is small and every pixel counts, a film strip in a PNG.

Shapes: F frames, H, W; uint8 [F, H, W, 3]. The settings are a part of a run's key, since they are a part of what is scored.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

# Close to what was sampled, since compression is measured as flickering: ours. One thread, and no dates or versions in the
# file, so that the same frames give the same bytes.
H264: Mapping[str, Any] = {"codec": "libx264", "crf": 12, "preset": "medium", "pixels": "yuv420p"}


def settings(film: str, fps: int) -> dict[str, Any]:
    """What determines a video's bytes beside its frames."""
    return {"film": film} if film == "strip" else {"film": film, "fps": fps, **H264}


def encoded(frames: np.ndarray, fps: int, crf: int = H264["crf"]) -> bytes:
    """Frames [F, H, W, 3] as an mp4; ValueError for odd sizes, which H.264 has no half pixels of colour for.

    crf: how much is lost; runs keep the default, what is only looked at may lose more.
    """
    import av  # its libraries are loaded where a video is at hand, not where a run's key is made
    from av.codec.context import Flags

    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"frames of {height} x {width}: H.264 wants even sizes")
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
    """Frames [F, H, W, 3] of an mp4; ValueError for what is none, is cut off, or holds fewer frames than it says."""
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
    """ValueError if a box of an mp4, each of which says how long it is, goes on where the file has ended."""
    end, at = file.seek(0, io.SEEK_END), 0
    while at < end:
        file.seek(at)
        words = file.read(16)
        size, head = int.from_bytes(words[:4], "big"), 8
        if size == 1:  # longer than four bytes can say
            size, head = int.from_bytes(words[8:16], "big"), 16
        size = size or end - at  # 0: to the end
        if size < head or at + size > end:
            raise ValueError("it is cut off, or no mp4")
        at += size
    if not end:
        raise ValueError("it is empty")


def strip(frames: np.ndarray) -> bytes:
    """Frames [F, H, W, 3] side by side in one PNG, which says how many they are."""
    about, stream = PngInfo(), io.BytesIO()
    about.add_text("frames", str(len(frames)))
    Image.fromarray(side_by_side(frames)).save(stream, format="PNG", pnginfo=about)
    return stream.getvalue()


def side_by_side(frames: np.ndarray) -> np.ndarray:
    """Frames [F, H, W, 3] as one image [H, F W, 3]."""
    return np.concatenate(list(frames), axis=1)


def unrolled(image: Image.Image) -> np.ndarray:
    """An image's pixels [H, W, 3], or the frames [F, H, W, 3] of one that says that it is a film strip."""
    said, pixels = image.info.get("frames"), np.asarray(image.convert("RGB"))
    return pixels if said is None else np.stack(np.split(pixels, int(said), axis=1))
