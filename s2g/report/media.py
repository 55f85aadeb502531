"""Images and videos as data URIs of a page: what browsers show and play, and the pixels back for a figure.

Shapes: F frames, H, W; uint8 [F, H, W, 3].
"""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from s2g.store.items import png
from s2g.store.video import decoded, encoded

PIXELATED = 64  # pixels a side up to which every pixel is shown as a square
MAX_SIDE = 512  # pixels a side of a large image or video in a page
MAX_BYTES = 500_000  # of a large video in a page, unless even the coarsest of CRF is above it
CRF = (23, 27, 31, 35)  # H.264 quality, tried in turn
UPSCALED_SIDE = 384  # pixels a side that small videos are upscaled to, about: the size a page shows them at
MIN_FACTOR = 8  # H.264 keeps colour for every second pixel only, which must not smear over a square's edge


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """Return a file's bytes as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def content_of(uri: str) -> bytes:
    """Return the bytes of a data URI."""
    return base64.b64decode(uri.partition(",")[2])


def image_uri(image: np.ndarray) -> str:
    """Return an image [H, W, 3] as a data URI: a PNG if it is small, else a JPEG of at most MAX_SIDE pixels a side."""
    if max(image.shape[:2]) <= 2 * PIXELATED:
        return data_uri(png(image))
    picture, stream = Image.fromarray(image), io.BytesIO()
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    picture.save(stream, format="JPEG", quality=90)
    return data_uri(stream.getvalue(), "image/jpeg")


def pixels_of(uri: str) -> np.ndarray:
    """Return the pixels [H, W, 3] of an image's data URI."""
    return np.asarray(Image.open(io.BytesIO(content_of(uri))).convert("RGB"))


def page_video(frames: np.ndarray, fps: int, stored: bytes | None = None) -> bytes:
    """Return frames [F, H, W, 3] as an mp4 for a page: small ones upscaled, large ones at most MAX_SIDE pixels a side.

    stored: an mp4 of these frames, returned as it is if it is neither too large nor too heavy.
    """
    side = max(frames.shape[1:3])
    if side <= PIXELATED:
        factor = upscale_factor(side)
        return encoded(frames.repeat(factor, axis=1).repeat(factor, axis=2), fps)
    if stored is not None and side <= MAX_SIDE and len(stored) <= MAX_BYTES:
        return stored
    frames, content = downscaled(frames, MAX_SIDE), b""
    for crf in CRF:
        content = encoded(frames, fps, crf)
        if len(content) <= MAX_BYTES:
            break
    return content


def video_uri(frames: np.ndarray, fps: int, stored: bytes | None = None) -> str:
    """Return `page_video` as a data URI."""
    return data_uri(page_video(frames, fps, stored), "video/mp4")


def poster_uri(frames: np.ndarray) -> str:
    """Return the middle frame as a data URI, shown until the video plays and in print."""
    return image_uri(frames[len(frames) // 2])


def frames_of(uri: str, poster: str) -> np.ndarray:
    """Return the frames of `video_uri`, upscaled ones at the size of the poster; equal up to compression."""
    frames, height = decoded(content_of(uri)), pixels_of(poster).shape[0]
    factor = frames.shape[1] // height
    return frames[:, factor // 2 :: factor, factor // 2 :: factor] if factor > 1 else frames


def upscale_factor(side: int) -> int:
    """Return the factor a video of `side` pixels is upscaled by: even, because H.264 halves the colour's resolution."""
    return max(MIN_FACTOR, UPSCALED_SIDE // side // 2 * 2)


def downscaled(frames: np.ndarray, max_side: int) -> np.ndarray:
    """Return frames of at most `max_side` pixels a side, with even sizes as H.264 needs them."""
    height, width = frames.shape[1:3]
    scale = min(1.0, max_side / max(height, width))
    size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    if size == (width, height):
        return frames
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)) for frame in frames])


def evenly_spaced(num: int, most: int) -> list[int]:
    """Return indices of at most `most` of `num` frames: the first, the last, and even steps between."""
    return list(range(num)) if num <= most else [round(i * (num - 1) / (most - 1)) for i in range(most)]
