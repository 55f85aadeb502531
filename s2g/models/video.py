"""Videos as Wan2.1 makes them: which sizes there are, how large their latents are, and what their negative prompts are.

Nothing heavy is loaded. Frames come in fours after the first; a latent is 8 x 8 pixels, a token 2 x 2 latents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2g.config.coerce import at_least
from s2g.errors import UserError, unknown

if TYPE_CHECKING:
    from s2g.config.schema import ModelConfig

FRAMES, STRIDE, TOKEN = 4, 8, 16  # frames of a latent after the first; pixels of a latent's side, and of a token's
NEGATIVES = {
    # WanPipeline, where nothing is given.
    "diffusers": "",
    # Wan-Video/Wan2.1, wan/configs/shared_config.py, sample_neg_prompt: what its scripts use where nothing is given.
    "official": (
        "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，"
        "多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
    ),
}


def latent_size(frames: int, height: int, width: int) -> tuple[int, int, int]:
    """Frames, height and width of a video's latents."""
    return (frames - 1) // FRAMES + 1, height // STRIDE, width // STRIDE


def negative_words(negative: str) -> str:
    """The negative prompt that is meant: a preset's, by its name, or the words themselves. "" is the empty prompt.

    UserError for what looks like a name and is no preset's: one that is misspelt would be a prompt.
    """
    if negative in NEGATIVES:
        return NEGATIVES[negative]
    if negative.isascii() and negative.replace("-", "_").isidentifier():
        raise unknown(
            "model.negative", negative, NEGATIVES, todo="or words of your own, more than one, model.negative='too bright'"
        )
    return negative


def check_video(model: ModelConfig) -> None:
    """UserError for a size of video that the network cannot make, or a negative prompt that is none."""
    for name in ("frames", "height", "width", "fps"):
        value = getattr(model, name)
        if value is None:
            raise UserError(f"model.{name} = null: {model.name} makes videos", todo=f"give it a value: model.{name}=NUMBER")
        at_least(value, 1, f"model.{name}")
    frames, height, width = model.video
    if model.resolution != min(height, width):
        raise UserError(
            f"model.resolution = {model.resolution}: {model.name}'s videos have a height and a width",
            allowed=f"null: the shorter of the two, {min(height, width)}",
            todo="model.height=PIXELS model.width=PIXELS",
        )
    negative_words(model.negative)
    if model.family != "wan":  # the built-in one: pixels are its latents
        _check_patches(model)
        return
    if frames % FRAMES != 1:
        below = (frames - 1) // FRAMES * FRAMES + 1
        raise UserError(
            f"model.frames = {frames}: after the first, {model.name} makes {FRAMES} frames at a time",
            allowed="1, 5, 9, ..., 81, ...",
            todo=f"model.frames={below} or model.frames={below + FRAMES}",
        )
    for name, value in (("height", height), ("width", width)):
        if value % TOKEN:
            below = max(value // TOKEN, 1) * TOKEN
            raise UserError(
                f"model.{name} = {value}: not whole tokens of {model.name}, of {TOKEN} pixels",
                allowed=f"multiples of {TOKEN}",
                todo=f"model.{name}={below} or model.{name}={below + TOKEN}",
            )


def _check_patches(model: ModelConfig) -> None:
    """UserError for a size that is not whole patches of a network on pixels."""
    patches = model.network.get("patch_size")
    if not isinstance(patches, list | tuple) or not all(isinstance(one, int) and one > 0 for one in patches):
        return  # it makes no network, which is said where it is made
    for name, value, patch in zip(("frames", "height", "width"), model.video, patches, strict=False):
        if value % patch:
            raise UserError(f"model.{name} = {value}: not whole patches of {model.name}", allowed=f"multiples of {patch}")
