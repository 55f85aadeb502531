"""The ComfyUI node against a stand-in of the interface it uses: the patcher, calc_cond_batch, the post-CFG function.

The stand-in follows what ComfyUI's own nodes and models do with `patches_replace`; the real one is not in this environment.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s2g.errors import UserError
from s2g.guidance.base import MaskSampler
from s2g.integrations.comfyui import NODE_CLASS_MAPPINGS
from s2g.integrations.comfyui.node import S2GuidanceNode, places_of, step_of

SIGMAS = torch.linspace(1, 0, 11)


class Network(nn.Module):
    """Four double and six single blocks, each of which adds its own number to the power of three."""

    def __init__(self, looks: bool = True) -> None:
        super().__init__()
        self.double_blocks = nn.ModuleList(nn.Identity() for _ in range(4))
        self.single_blocks = nn.ModuleList(nn.Identity() for _ in range(6))
        self.looks = looks

    def forward(self, x: Tensor, context: Tensor, options: dict[str, Any]) -> Tensor:
        replaced = options.get("transformer_options", {}).get("patches_replace", {}).get("dit", {}) if self.looks else {}
        img = x + context
        for number, place in enumerate([*(("double_block", i) for i in range(4)), *(("single_block", i) for i in range(6))]):

            def run(args: dict[str, Any], number: int = number) -> dict[str, Any]:
                return {"img": args["img"] + 0.01 * (number + 1) ** 3}

            given = {"img": img, "txt": context}
            img = replaced[place](given, {"original_block": run})["img"] if place in replaced else run(given)["img"]
        return img


class Patcher:
    """A model as nodes see it."""

    def __init__(self, network: nn.Module) -> None:
        self.model = type("Model", (), {"diffusion_model": network})()
        self.after: list[Any] = []

    def clone(self) -> Patcher:
        other = Patcher(self.model.diffusion_model)
        other.after = list(self.after)
        return other

    def set_model_sampler_post_cfg_function(self, function: Any) -> None:
        self.after.append(function)


def calc_cond_batch(model: Any, conds: list[Any], x: Tensor, sigma: Tensor, options: dict[str, Any]) -> list[Tensor]:
    """Each list of conds is the weighted mean of its entries."""
    results = []
    for cond in conds:
        weights = [entry.get("strength", 1.0) for entry in cond]
        outs = [w * model.diffusion_model(x, entry["context"], options) for w, entry in zip(weights, cond, strict=True)]
        results.append(sum(outs[1:], outs[0]) / sum(weights))
    return results


def set_model_options_patch_replace(options: dict[str, Any], patch: Any, name: str, block: str, number: int) -> dict[str, Any]:
    inner = dict(options["transformer_options"])
    replaced = dict(inner.get("patches_replace", {}))
    replaced[name] = {**replaced.get(name, {}), (block, number): patch}
    return {**options, "transformer_options": {**inner, "patches_replace": replaced}}


@pytest.fixture(autouse=True)
def comfy(monkeypatch: pytest.MonkeyPatch) -> None:
    samplers, patcher = ModuleType("comfy.samplers"), ModuleType("comfy.model_patcher")
    samplers.calc_cond_batch = calc_cond_batch  # type: ignore[attr-defined]
    patcher.set_model_options_patch_replace = set_model_options_patch_replace  # type: ignore[attr-defined]
    for module in (ModuleType("comfy"), samplers, patcher):
        monkeypatch.setitem(sys.modules, module.__name__, module)


COND = [{"context": torch.tensor(0.5)}, {"context": torch.tensor(0.9), "strength": 2.0}]
UNCOND = [{"context": torch.tensor(-0.3)}]


def guided(patched: Patcher, step: int, cond: Any = None, scale: float = 4.0) -> tuple[Tensor, Tensor, Tensor]:
    """ComfyUI's CFG and what follows it: the result, CFG alone, and cond."""
    x, sigma = torch.arange(3.0), SIGMAS[step].expand(1)
    options: dict[str, Any] = {"transformer_options": {"sample_sigmas": SIGMAS}}
    cond = COND if cond is None else cond
    c, u = calc_cond_batch(patched.model, [cond, UNCOND], x, sigma, options)
    cfg = result = u + scale * (c - u)
    for function in patched.after:
        given = {"denoised": result, "cond": cond, "uncond": UNCOND, "model": patched.model, "cond_denoised": c}
        result = function({**given, "uncond_denoised": u, "sigma": sigma, "model_options": options, "input": x})
    return result, cfg, c


KNOBS = {"omega": 0.5, "drop_ratio": 0.2, "protect": 1, "start": 0.1, "stop": 0.9, "seed": 7}


def test_it_is_equation_4_with_our_masks_in_the_window(capsys: pytest.CaptureFixture[str]) -> None:
    model = Patcher(Network())
    (patched,) = NODE_CLASS_MAPPINGS["S2Guidance"]().patch(model, **KNOBS)
    assert "4 double_blocks and 6 single_blocks; 2 of 10 left out" in capsys.readouterr().out
    seen = set()
    for step in range(10):
        result, cfg, _ = guided(patched, step)
        mask = MaskSampler(7, 0, step, 10).mask(0, 2, (0,))
        # sub is cond without what the dropped blocks add.
        less = sum(0.01 * (block + 1) ** 3 for block in mask) if 1 <= step < 9 else 0.0
        torch.testing.assert_close(result, cfg + 0.5 * less)
        seen.add(mask)
        assert torch.equal(guided(patched, step)[0], result)  # served again, it gives the same
    assert len(seen) > 4 and all(0 not in mask for mask in seen) and not model.after


def test_what_would_do_nothing_or_the_wrong_thing_is_refused() -> None:
    (patched,) = S2GuidanceNode().patch(Patcher(Network(looks=False)), **KNOBS)
    with pytest.raises(UserError, match="takes no replaced blocks"):
        guided(patched, 5)
    (patched,) = S2GuidanceNode().patch(Patcher(Network()), **KNOBS)
    with pytest.raises(UserError, match="prompts of regions"):
        guided(patched, 5, [{"context": torch.tensor(0.5), "mask": torch.ones(1)}])
    with pytest.raises(UserError, match="which are its blocks is not known"):
        places_of(nn.ModuleDict({"layers": nn.ModuleList([nn.Identity()])}))
    with pytest.raises(UserError, match="drop_ratio"):
        S2GuidanceNode().patch(Patcher(Network()), **KNOBS | {"drop_ratio": 1.0})
    with pytest.raises(UserError, match="states no noise levels"):
        step_of(0.5, {"transformer_options": {}})


def test_the_step_is_that_of_the_level_also_between_two() -> None:
    options = {"transformer_options": {"sample_sigmas": SIGMAS}}
    assert [step_of(float(level), options)[0] for level in SIGMAS[:-1]] == list(range(10))
    assert step_of(0.55, options) == (4, 10)  # a second evaluation on the way from 0.6 to 0.5
