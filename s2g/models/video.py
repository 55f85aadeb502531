"""Which video sizes a text-to-video network can make, and its negative prompts. Nothing heavy is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2g.config.coerce import at_least
from s2g.errors import UserError, unknown

if TYPE_CHECKING:
    from s2g.config.schema import ModelConfig

NEGATIVES = {
    # WanPipeline, where nothing is given.
    "diffusers": "",
    # Wan-Video/Wan2.1, wan/configs/shared_config.py, sample_neg_prompt: what its scripts use where nothing is given.
    "official": (
        "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，"
        "多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
    ),
}


def negative_words(negative: str) -> str:
    """Return the negative prompt: a preset's text by its name, or the words themselves. "" is the empty prompt.

    UserError for what looks like a name and is no preset's: one that is misspelt would be a prompt.
    """
    if negative in NEGATIVES:
        return NEGATIVES[negative]
    if negative.isascii() and negative.replace("-", "_").isidentifier():
        raise unknown(
            "model.negative", negative, NEGATIVES, todo="or words of your own, more than one, model.negative='too bright'"
        )
    return negative


def check_negative(model: ModelConfig) -> None:
    """Raise UserError for a negative prompt of a model that takes none, or a preset's name where there are no presets."""
    family, key = model.traits, f"model.negative = {model.negative}"
    if family.layout is None:
        if negative_words(model.negative) if family.makes_videos else model.negative:
            raise UserError(f"{key}: {model.name} takes no negative prompt", allowed="SD3, SD3.5, Flux and Wan take one")
    elif model.negative in NEGATIVES and not family.makes_videos:
        raise UserError(
            f"{key}: {model.name} has no presets", allowed="words, or '': the empty prompt", todo="model.negative=''"
        )


def check_video(model: ModelConfig) -> None:
    """Raise UserError for a video size that the network cannot make, or a misspelt negative prompt."""
    for name in ("frames", "height", "width", "fps"):
        value = getattr(model, name)
        if value is None:
            raise UserError(f"model.{name} = null: {model.name} makes videos", todo=f"give it a value: model.{name}=NUMBER")
        at_least(value, 1, f"model.{name}")
    _, height, width = model.video
    if model.resolution != min(height, width):
        raise UserError(
            f"model.resolution = {model.resolution}: {model.name}'s videos have a height and a width",
            allowed=f"null: the shorter of the two, {min(height, width)}",
            todo="model.height=PIXELS model.width=PIXELS",
        )
    negative_words(model.negative)
    _check_tokens(model)


def _check_tokens(model: ModelConfig) -> None:
    """Raise UserError for a size that is not whole tokens: patches of latents, which are several frames and pixels each."""
    patches, family = model.network.get("patch_size"), model.traits
    if not isinstance(patches, list | tuple) or not all(isinstance(patch, int) and patch > 0 for patch in patches):
        return  # there is no such network, which is reported where it is built
    frames, height, width = model.video
    if (most := family.frame_stride) > 1 and frames % most != 1:
        below = (frames - 1) // most * most + 1
        raise UserError(
            f"model.frames = {frames}: after the first, {model.name} makes {most} frames at a time",
            allowed="1, 5, 9, ..., 81, ...",
            todo=f"model.frames={below} or model.frames={below + most}",
        )
    sizes = (("frames", (frames - 1) // most + 1, 1), ("height", height, family.stride), ("width", width, family.stride))
    for (name, value, stride), patch in zip(sizes, patches, strict=False):
        unit = "frames" if name == "frames" else "pixels"
        if value % (token := stride * patch):
            below = max(value // token, 1) * token
            raise UserError(
                f"model.{name} = {getattr(model, name)}: not whole tokens of {model.name}, of {token} {unit}",
                allowed=f"multiples of {token}",
                todo=f"model.{name}={below} or model.{name}={below + token}",
            )
