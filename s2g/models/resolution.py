"""Which image sizes a text-to-image network can make: whole tokens, and no more of them than it has positions for.

Videos are in s2g/models/video.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.models.video import check_negative, check_video

if TYPE_CHECKING:
    from s2g.config.schema import ModelConfig


def check_resolution(model: ModelConfig) -> None:
    """Raise UserError for a model.resolution (side of a square image, in pixels) that the network cannot make, or a negative
    prompt that it would not read.

    Nothing is loaded: the network itself would fail in the middle of a run, or make a smaller image.
    """
    check_negative(model)
    family, network, key = model.traits, model.network, f"model.resolution = {model.resolution}"
    if family.makes_videos:
        check_video(model)
        return
    if family.one_size:
        if model.resolution != (size := network.get("sample_size")):
            raise UserError(f"{key}: {model.name} makes images of another size", allowed=f"{size} pixels")
        return
    if not family.reads_text:
        return
    patch = network.get("patch_size") if family.patch is None else family.patch
    if not isinstance(patch, int) or patch < 1:
        return  # there is no such network, which is reported where it is built
    token, positions = family.stride * patch, network.get("pos_embed_max_size")
    if model.resolution < token or model.resolution % token:
        raise UserError(f"{key}: not whole tokens of {model.name}, of {token} pixels", allowed=f"multiples of {token}")
    if isinstance(positions, int) and model.resolution > positions * token:
        raise UserError(f"{key}: more tokens than {model.name} has positions for", allowed=f"up to {positions * token} pixels")
