"""S2-Guidance as a ComfyUI node: MODEL in, MODEL out; paper Eq. 4 on denoised predictions, after whatever CFG the graph has.

ComfyUI evaluates cond and uncond as it likes, batched or apart; one more evaluation of cond alone, with blocks replaced by
nothing, is asked of it. All state is in the arguments of a call: the execution cache may serve a patched model again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, ClassVar

from torch import Tensor, nn

from s2g.errors import UserError
from s2g.guidance.base import MaskSampler
from s2g.guidance.masks import check_drop, count_from_ratio
from s2g.guidance.s2 import s2
from s2g.guidance.window import Window

# Lists of blocks by ComfyUI's names of them, in the order in which they run, and the kind under which each is replaced.
LISTS = (
    ("double_blocks", "double_block"),
    ("joint_blocks", "double_block"),
    ("transformer_blocks", "double_block"),
    ("visual_transformer_blocks", "double_block"),
    ("double_layers", "double_block"),
    ("blocks", "double_block"),
    ("single_blocks", "single_block"),
    ("single_transformer_blocks", "single_block"),
    ("single_layers", "single_block"),
)
REGIONAL = ("area", "mask")  # what a cond of a region has
Place = tuple[str, int]  # kind and number of a block, as ComfyUI names it


def places_of(network: nn.Module) -> list[Place]:
    """Return where a network's blocks are replaced, in execution order; UserError where it has none that are known."""
    found: list[Place] = []
    for name, kind in LISTS:
        blocks = getattr(network, name, None)
        if isinstance(blocks, nn.ModuleList):
            found += [(kind, index) for index in range(len(blocks))]
    if not found or len(set(found)) < len(found):
        lists = [name for name, child in network.named_children() if isinstance(child, nn.ModuleList)]
        raise UserError(
            f"S2-Guidance: {type(network).__name__} has lists {', '.join(lists) or 'of nothing'}; "
            "which are its blocks is not known",
            allowed=", ".join(name for name, _ in LISTS),
        )
    return found


def step_of(sigma: float, options: Mapping[str, Any]) -> tuple[int, int]:
    """Return which of how many steps has this noise level; UserError where the sampler states no schedule."""
    sigmas = options.get("transformer_options", {}).get("sample_sigmas")
    if sigmas is None:
        raise UserError("S2-Guidance: this sampler states no noise levels (sample_sigmas), and a mask is drawn for each step")
    levels = [float(value) for value in sigmas.tolist()]
    # A sampler may evaluate between two levels: that belongs to the step that began at the one above.
    begun = [index for index, level in enumerate(levels[:-1]) if sigma <= level * (1 + 1e-5)]
    return (begun[-1] if begun else 0), len(levels) - 1


class S2GuidanceNode:
    """The node; its inputs are the method's knobs."""

    RETURN_TYPES: ClassVar = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "advanced/guidance"
    DESCRIPTION = "S²-Guidance: steer away from what a random sub-network of the model predicts."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # ComfyUI's name
        """Return the inputs, as ComfyUI reads them."""
        share = {"min": 0.0, "max": 1.0, "step": 0.01}
        return {
            "required": {
                "model": ("MODEL",),
                "omega": ("FLOAT", {"default": 0.25, "min": -10.0, "max": 10.0, "step": 0.01}),
                "drop_ratio": ("FLOAT", {"default": 0.1, **share}),
                "protect": ("INT", {"default": 1, "min": 0, "max": 100}),
                "start": ("FLOAT", {"default": 0.1, **share}),
                "stop": ("FLOAT", {"default": 0.9, **share}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**63 - 1}),
            }
        }

    def patch(
        self, model: Any, omega: float, drop_ratio: float, protect: int, start: float, stop: float, seed: int
    ) -> tuple[Any]:
        """Return a copy of the model with the guidance in it. protect: the first blocks, which are never left out."""
        places = places_of(model.model.diffusion_model)
        drop, kept, window = count_from_ratio(drop_ratio, len(places)), tuple(range(protect)), Window(start, stop)
        check_drop(drop, kept, len(places), f"drop_ratio = {drop_ratio} ({drop} blocks)")
        kinds = {kind: sum(k == kind for k, _ in places) for kind, _ in places}
        print(
            f"S2-Guidance: {' and '.join(f'{n} {kind}s' for kind, n in kinds.items())}; {drop} of {len(places)} left out a step"
        )
        patched = model.clone()
        patched.set_model_sampler_post_cfg_function(_guided(places, omega, drop, kept, window, seed))
        return (patched,)


def _guided(
    places: list[Place], omega: float, drop: int, kept: tuple[int, ...], window: Window, seed: int
) -> Callable[[dict[str, Any]], Tensor]:
    """Return the function that ComfyUI calls after its own CFG."""

    def after_cfg(given: dict[str, Any]) -> Tensor:
        index, count = step_of(float(given["sigma"].reshape(-1)[0]), given["model_options"])
        if omega == 0 or not window.first(count) <= index < window.end(count):
            return given["denoised"]
        regions = sorted({name for cond in given["cond"] for name in REGIONAL if cond.get(name) is not None})
        if regions:
            raise UserError(f"S2-Guidance: prompts of regions ({', '.join(regions)}) are not supported", todo="leave them out")
        mask = MaskSampler(seed, 0, index, len(places)).mask(0, drop, kept)
        reached: set[Place] = set()
        options = given["model_options"].copy()
        replace = import_module("comfy.model_patcher").set_model_options_patch_replace
        for kind, number in (places[block] for block in mask):
            options = replace(options, _nothing((kind, number), reached), "dit", kind, number)
        evaluate = import_module("comfy.samplers").calc_cond_batch
        (sub,) = evaluate(given["model"], [given["cond"]], given["input"], given["sigma"], options)
        missed = sorted({places[block] for block in mask} - reached)
        if missed:  # its forward does not look for replacements: nothing was left out
            raise UserError(f"S2-Guidance: this model's forward left out none of {missed}: it takes no replaced blocks")
        guided, cond = given["denoised"], given["cond_denoised"]
        return s2(guided.float(), cond.float(), sub.float(), omega).to(guided.dtype)

    return after_cfg


def _nothing(place: Place, reached: set[Place]) -> Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]:
    """Return a block that hands on its inputs, and notes that it was reached."""

    def block(inputs: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
        reached.add(place)
        return inputs

    return block
