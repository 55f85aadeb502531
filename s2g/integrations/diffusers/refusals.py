"""Pipelines that cannot be guided from outside without being silently wrong, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from s2g.errors import UserError
from s2g.network.attention import SLOT


def check_pipeline(target: Any) -> None:
    """Raise UserError for what is no pipeline: a path, a class, a method, a modular pipeline."""
    kinds = {cls.__name__ for cls in type(target).__mro__}
    if "ModularPipeline" in kinds:
        raise UserError(
            f"{type(target).__name__} is modular: its loop asks a guider",
            todo="pipe.update_components(guider=S2Guidance(guidance_scale=7.5, omega=0.25)), from "
            "s2g.integrations.diffusers.modular",
        )
    if getattr(target, "unet", None) is not None:
        raise UserError(
            f"{type(target).__name__}: its network is a U-Net, which has no list of residual blocks to leave out or edit",
            allowed="pipelines of transformers, such as SD3's, Flux's and Wan's (docs/families.md)",
        )
    if isinstance(target, type) or not callable(target):
        given = f"the class {target.__name__}" if isinstance(target, type) else f"a {type(target).__name__}"
        raise UserError(
            f"s2g.guide was given {given}, and no pipeline or network",
            todo="load it first: pipe = DiffusionPipeline.from_pretrained(PLACE), then s2g.guide(pipe, s2g.S2(), scale=7.5)",
        )


def check_network(name: str, network: Any) -> None:
    """Raise UserError for a network whose passes cannot be told apart or taken over."""
    if not isinstance(network, nn.Module) or hasattr(network, "_orig_mod"):
        raise UserError(
            f"{name}: a {type(network).__name__}, compiled as a whole; a block inside one graph cannot be left out",
            todo=f"{name}.compile_repeated_blocks() instead of torch.compile({name})",
        )
    taken = getattr(network, SLOT)
    if getattr(taken, "guided_by_s2g", False):
        raise UserError(f"{name} is already guided", todo="leave the `with` block around it first")
    if taken is not None:
        raise UserError(
            f"{name}: compiled as a whole; a block inside one graph cannot be left out",
            todo=f"{name}.compile_repeated_blocks() instead of {name}.compile()",
        )
    check_cache(name, network)


def check_cache(name: str, network: Any) -> None:
    """Raise UserError if a cache that skips blocks is on."""
    cache = _cache_of(network)
    if cache:
        raise UserError(
            f"{name}: {cache} is on; it skips blocks by what an earlier pass did, and would mix the passes of a step",
            todo=f"switch it off ({name}.disable_cache()) before guiding",
        )


def _cache_of(network: Any) -> str:
    """Return what cache of diffusers or of the known add-ons is on; "" for none."""
    if getattr(network, "is_cache_enabled", False):
        return type(getattr(network, "_cache_config", None)).__name__
    for mark, name in (("enable_teacache", "TeaCache"), ("_is_cached", "cache-dit"), ("_teacache", "TeaCache")):
        if getattr(network, mark, False):
            return name
    return ""


def check_call(arguments: Mapping[str, Any]) -> None:
    """Raise UserError for a call that is another method's pass."""
    if arguments.get("skip_layers") is not None:
        raise UserError(
            "the pipeline's own skip layer guidance is on",
            todo="leave skip_guidance_layers out, and use s2g.SLG(layers=(7, 8, 9)) as the method",
        )


def cfg_off(pipeline: Any, networks: Mapping[str, Any], step: int = 0) -> UserError:
    """Return the error for a pipeline that makes no unconditional prediction from `step` on, with what can be seen of why."""
    if step:
        return UserError(
            f"{type(pipeline).__name__} makes no unconditional prediction from step {step} on (the first is 0): something, "
            "such as a callback, switched its CFG off",
            todo="leave it on, and end guidance with a window: s2g.Windowed(s2g.CFG(), s2g.Window(0, 0.6))",
        )
    distilled = any(getattr(network, "config", {}).get("guidance_embeds") for network in networks.values())
    why = (
        "its network is guidance-distilled: it is told the scale as a number and has no unconditional pass of its own"
        if distilled
        else "guidance_scale is 1 or less, or there is no negative prompt where the pipeline asks for one"
    )
    return UserError(
        f"{type(pipeline).__name__} makes no unconditional prediction: {why}",
        todo='switch its CFG on, guidance_scale=2 or (Flux, Qwen-Image, HunyuanVideo) negative_prompt="", true_cfg_scale=2; '
        "the value itself has no effect, the method's scale counts",
    )
