"""A video as a part of a page: an mp4 that browsers play, a still of it, and its frames back for a picture.

Shapes: F frames, H, W; uint8 [F, H, W, 3].
"""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from s2g.report.html.page import data_uri
from s2g.store.items import png
from s2g.store.video import decoded, encoded

SMALL = 64  # pixels a side up to which every pixel is shown as a square of its own
LARGEST = 512  # pixels a side that a page holds of a large image or video
HEAVIEST = 500_000  # bytes that a page holds of a large video, unless the coarsest of CRF is still above
CRF = (23, 27, 31, 35)  # tried in turn until a large video is light enough
SHOWN = 384  # pixels a side that small videos are enlarged to, about: as large as a page shows them
LEAST = 8  # times: colour is kept for every second pixel only, which must not smear over a square's edge


def film_of(frames: np.ndarray, fps: int, own: bytes | None = None) -> bytes:
    """Frames [F, H, W, 3] as an mp4 for a page: small ones in squares, large ones at most 512 pixels a side.

    own: the bytes of an mp4 of these frames, taken as they are where they are neither too large nor too heavy.
    """
    side = max(frames.shape[1:3])
    if side <= SMALL:
        return encoded(enlarged(frames, times(side)), fps)
    if own is not None and side <= LARGEST and len(own) <= HEAVIEST:
        return own
    frames, content = reduced(frames, LARGEST), b""
    for crf in CRF:
        content = encoded(frames, fps, crf)
        if len(content) <= HEAVIEST:
            break
    return content


def film_uri(frames: np.ndarray, fps: int, own: bytes | None = None) -> str:
    """What `film_of` gives, as an address that is part of the page."""
    return data_uri(film_of(frames, fps, own), "video/mp4")


def poster_uri(frames: np.ndarray) -> str:
    """The middle frame, for where nothing plays: to the bit where it is small, else as JPEG of at most 512 pixels a side."""
    return image_uri(frames[len(frames) // 2])


def image_uri(image: np.ndarray) -> str:
    """A uint8 image [H, W, 3] as an address that is part of the page: to the bit where it is small, else as JPEG."""
    if max(image.shape[:2]) <= 2 * SMALL:
        return data_uri(png(image))
    picture, stream = Image.fromarray(image), io.BytesIO()
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    picture.save(stream, format="JPEG", quality=90)
    return data_uri(stream.getvalue(), "image/jpeg")


def content_of(uri: str) -> bytes:
    """The bytes of a data URI."""
    return base64.b64decode(uri.partition(",")[2])


def pixels_of(uri: str) -> np.ndarray:
    """The pixels [H, W, 3] of an image's data URI."""
    return np.asarray(Image.open(io.BytesIO(content_of(uri))).convert("RGB"))


def frames_of(uri: str, poster: str) -> np.ndarray:
    """The frames of a video's data URI, the enlarged ones as small as their poster is; near what was given to `film_uri`."""
    frames, height = decoded(content_of(uri)), pixels_of(poster).shape[0]
    by = frames.shape[1] // height
    return frames[:, by // 2 :: by, by // 2 :: by] if by > 1 else frames


def times(side: int) -> int:
    """By how much a video of so few pixels a side is enlarged: even, since colour is halved."""
    return max(LEAST, SHOWN // side // 2 * 2)


def enlarged(frames: np.ndarray, by: int) -> np.ndarray:
    """Every pixel of frames [F, H, W, 3] as a square of by x by."""
    return frames.repeat(by, axis=1).repeat(by, axis=2)


def reduced(frames: np.ndarray, largest: int) -> np.ndarray:
    """Frames at most `largest` pixels a side, of even sizes, as H.264 wants them."""
    height, width = frames.shape[1:3]
    by = min(1.0, largest / max(height, width))
    size = (max(2, round(width * by / 2) * 2), max(2, round(height * by / 2) * 2))
    if size == (width, height):
        return frames
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)) for frame in frames])


def spread(num: int, most: int) -> list[int]:
    """Which frames of `num` are shown where there is room for `most`: the first, the last, and even steps between."""
    return list(range(num)) if num <= most else [round(i * (num - 1) / (most - 1)) for i in range(most)]
