"""Any image file as 8-bit RGB, by the same rules for every scorer.

what the file holds     what is scored
16 bits a channel       the high byte
grey, palette, 1 bit    the color shown
CMYK, YCbCr             Pillow's formula; color profiles are not applied
EXIF orientation        applied: the image as viewers show it
opaque alpha            dropped
transparent pixels      refused: their color depends on what lies behind them
several frames          refused: a score is of one image
32-bit and float grey   refused: their range is unknown
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from s2g.errors import UserError
from s2g.io.input_files import read_regular

ORIENTATION = 0x0112  # EXIF tag; 1 is upright
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
CONVERTED = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV")
# What Pillow raises for a file that is damaged, no image, or one of more than 179 million pixels.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def read_image(path: Path) -> np.ndarray:
    """Read a file as uint8 [H, W, 3]; UserError naming the file and why it cannot be scored."""
    try:
        return rgb(read_regular(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {(isinstance(error, OSError) and error.strerror) or error}") from error


def rgb(content: bytes) -> np.ndarray:
    """Decode a file's bytes to uint8 [H, W, 3]; ValueError says why they cannot be scored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # above twice that size it is an error
        try:
            with Image.open(io.BytesIO(content)) as opened:
                frames = getattr(opened, "n_frames", 1)
                opened.load()
                upright = ImageOps.exif_transpose(opened)
        except DAMAGE as error:
            raise ValueError(f"cannot be read: {error}") from error
    if frames > 1:
        raise ValueError(f"{frames} frames; a score is of one image: extract it")
    return _converted(upright)


def is_plain(content: bytes) -> bool:
    """Return whether the bytes of an image hold upright 8-bit RGB, which every package reads alike."""
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()  # a PNG may state its orientation after its pixels
        return opened.mode == "RGB" and "transparency" not in opened.info and opened.getexif().get(ORIENTATION, 1) == 1


def _converted(image: Image.Image) -> np.ndarray:
    transparent = "transparency" in image.info
    if image.mode in SIXTEEN_BITS and not transparent:
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ALPHA or (transparent and image.mode in CONVERTED):
        with_alpha = image.convert("RGBA")
        if with_alpha.getchannel("A").getextrema() != (255, 255):
            raise ValueError(f"{image.mode} with transparent pixels, whose color depends on what lies behind: flatten it")
        return np.asarray(with_alpha.convert("RGB"))
    if image.mode not in CONVERTED:
        raise ValueError(f"{image.mode} pixels, whose range is unknown: save it as 8-bit RGB")
    return np.asarray(image.convert("RGB"))
