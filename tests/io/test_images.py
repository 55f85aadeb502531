"""Every kind of image file: the pixel it stands for, or why it is refused."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from s2g.errors import UserError
from s2g.io.images import is_plain, read_image, rgb


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def uniform(mode: str, color: Any) -> Image.Image:
    return Image.new(mode, (3, 2), color)


def palette(color: tuple[int, int, int]) -> Image.Image:
    image = uniform("P", 1)
    image.putpalette([9, 9, 9, *color])
    return image


GREY16 = Image.fromarray(np.full((2, 3), 0x8012, np.uint16))  # Pillow's own convert("RGB") makes it white


@pytest.mark.parametrize(
    ("content", "pixel"),
    [
        pytest.param(saved(uniform("RGB", (10, 20, 30))), (10, 20, 30), id="RGB"),
        pytest.param(saved(uniform("L", 77)), (77, 77, 77), id="grey"),
        pytest.param(saved(uniform("1", 1)), (255, 255, 255), id="1 bit"),
        pytest.param(saved(GREY16), (0x80, 0x80, 0x80), id="16-bit grey PNG"),
        pytest.param(saved(GREY16, "TIFF"), (0x80, 0x80, 0x80), id="16-bit grey TIFF"),
        pytest.param(saved(palette((1, 2, 3))), (1, 2, 3), id="palette"),
        pytest.param(saved(palette((1, 2, 3)), "GIF"), (1, 2, 3), id="GIF"),
        pytest.param(saved(uniform("RGBA", (10, 20, 30, 255))), (10, 20, 30), id="opaque RGBA"),
        pytest.param(saved(uniform("LA", (77, 255))), (77, 77, 77), id="opaque grey with alpha"),
        pytest.param(saved(uniform("CMYK", (0, 255, 255, 0)), "TIFF"), (255, 0, 0), id="CMYK"),
        pytest.param(saved(uniform("RGB", (10, 20, 30)), "WEBP", lossless=True), (10, 20, 30), id="WebP"),
    ],
)
def test_the_pixel_of_every_kind(content: bytes, pixel: tuple[int, int, int]) -> None:
    found = rgb(content)
    assert found.shape == (2, 3, 3) and found.dtype == np.uint8
    assert (found == np.array(pixel, np.uint8)).all()


def test_sixteen_bit_color_has_the_rule_of_sixteen_bit_grey() -> None:
    """Pillow cannot write one: 1 x 1, RGB, 16 bits, pixel 8012 40ff 0001 in hexadecimal."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    row = zlib.compress(b"\0" + bytes.fromhex("801240ff0001"))
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")
    assert rgb(content).tolist() == [[[0x80, 0x40, 0x00]]]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_is_upright_as_viewers_show_it(kind: str) -> None:
    image = Image.fromarray(np.array([[[0, 0, 0], [200, 200, 200]]], np.uint8))  # black left, grey right
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: left becomes top
    content = saved(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    found = rgb(content)
    assert found.shape == (2, 1, 3) and np.allclose(found[:, 0, 0], [0, 200], atol=3 if kind == "JPEG" else 0)
    assert not is_plain(content)
    assert is_plain(saved(image)) and not is_plain(saved(uniform("L", 1)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(saved(uniform("RGBA", (1, 2, 3, 254))), "RGBA with transparent pixels", id="RGBA"),
        pytest.param(saved(uniform("LA", (7, 0))), "LA with transparent pixels", id="LA"),
        pytest.param(saved(palette((1, 2, 3)), transparency=1), "P with transparent pixels", id="palette"),
        pytest.param(saved(uniform("RGB", (1, 2, 3)), transparency=(1, 2, 3)), "RGB with transparent pixels", id="key color"),
        pytest.param(saved(uniform("F", 0.5), "TIFF"), "F pixels, whose range is unknown", id="float"),
        pytest.param(saved(uniform("I", 70000), "TIFF"), "I pixels, whose range is unknown", id="32 bits"),
        *(
            pytest.param(
                saved(uniform("RGB", (1, 2, 3)), kind, save_all=True, append_images=[uniform("RGB", (200, 100, 0))]),
                "2 frames",
                id=f"animated {kind}",
            )
            for kind in ("GIF", "PNG", "WEBP")
        ),
        pytest.param(saved(uniform("RGB", (1, 2, 3)))[:48], "cannot be read", id="cut short"),
        pytest.param(b"a cat", "cannot be read", id="text"),
        pytest.param(b"", "cannot be read", id="empty"),
    ],
)
def test_what_has_no_right_pixel_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        rgb(content)
    (path := tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=f"a.png: {said}"):
        read_image(path)


def test_more_pixels_than_any_image_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(uniform("RGB", (1, 2, 3)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    with pytest.raises(ValueError, match="cannot be read: Image size"):
        rgb(content)
