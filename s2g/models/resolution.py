"""Which images a text-to-image network can paint: whole patches of it, and no more of them than it has positions for.

Videos are in s2g/models/video.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2g.errors import UserError
from s2g.models.video import check_video

if TYPE_CHECKING:
    from s2g.config.schema import ModelConfig

STRIDE, PACK = 8, 2  # pixels of a latent, and latents of a token's side where they are packed


def check_resolution(model: ModelConfig) -> None:
    """UserError for a model.resolution (pixels of a square image's side) that the network cannot paint.

    Known before any weight is read; the network itself would say so in the middle of a run, or paint a smaller image.
    """
    key, known = f"model.resolution = {model.resolution}", model.network
    if model.family == "captioned":
        if model.resolution != known.get("sample_size"):
            raise UserError(f"{key}: {model.name} paints other images", allowed=f"{known.get('sample_size')} pixels")
        return
    if model.makes_videos:
        check_video(model)
        return
    if model.family not in ("sd3", "flux"):
        return
    patch, most = (PACK, None) if model.family == "flux" else (known.get("patch_size"), known.get("pos_embed_max_size"))
    if not isinstance(patch, int) or patch < 1:
        return  # it makes no network, which is said where it is made
    token = STRIDE * patch
    if model.resolution < token or model.resolution % token:
        raise UserError(f"{key}: not whole tokens of {model.name}, of {token} pixels", allowed=f"multiples of {token}")
    if isinstance(most, int) and model.resolution > most * token:
        raise UserError(f"{key}: more tokens than {model.name} has positions for", allowed=f"up to {most * token} pixels")
