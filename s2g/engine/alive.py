"""Whether every method does something on every kind of model: tried on small networks, all but the toy's with random weights.

For a method and a family: it moves the samples away from what it builds on; at its neutral values it is that, to the bit;
the network is given back as it was; and nothing of one unit is left in the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from s2g.config.compose import compose_config
from s2g.config.registry import GUIDANCE, MODELS
from s2g.config.schema import ModelConfig, WeakConfig
from s2g.engine.resolve import outline
from s2g.errors import UserError
from s2g.guidance.base import Guidance, Wrapper
from s2g.guidance.channels import Channels
from s2g.guidance.none import NoGuidance
from s2g.guidance.window import Windowed
from s2g.models.base import Conditioning, Denoiser
from s2g.models.prediction_space import Space
from s2g.network.attention import SLOT
from s2g.network.evaluate import Evaluator
from s2g.sampling.base import Sampler
from s2g.sampling.loop import sample
from s2g.sampling.unit import Unit

STEPS = 6  # the least at which SLG's own window holds a step
BATCH = 2
TEXTS = ("a red circle above a blue square", "two green triangles")
RANDOM = ("model.weights=random", "model.blocks=4", "model.dtype=fp32")
SIT = (
    *RANDOM,
    "model.resolution=64",
    "model.network={size: 8, patch: 2, channels: 4, width: 32, depth: 4, heads: 2, num_classes: 10, learn_sigma: true}",
)
JOINT = (
    *RANDOM,
    "model.resolution=64",
    "model.network.num_attention_heads=2",
    "model.network.attention_head_dim=16",
    "model.network.joint_attention_dim=48",
    "model.network.pooled_projection_dim=24",
)
STABLE = (
    *JOINT,
    "model.network.num_layers=4",
    "model.network.sample_size=8",
    "model.network.caption_projection_dim=32",
    "model.network.pos_embed_max_size=8",
)
# What is typed to make a model of each family small; four blocks each.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "sit": ("model=sit_xl", *SIT),
    "dit": ("model=dit_xl", *SIT),
    "sd3": ("model=sd3", *STABLE),
    "sd35": ("model=sd35", *STABLE, "model.network.dual_attention_layers=[0,1,2]"),
    "flux": (
        "model=flux",
        *JOINT,
        "model.network.num_layers=2",
        "model.network.num_single_layers=2",
        "model.network.axes_dims_rope=[4,6,6]",
    ),
    "wan": (
        "model=wan_1_3b",
        *RANDOM,
        *("model.frames=5", "model.height=32", "model.width=32"),
        "model.network.num_layers=4",
        "model.network.num_attention_heads=2",
        "model.network.attention_head_dim=12",
        "model.network.text_dim=48",
        "model.network.freq_dim=16",
        "model.network.ffn_dim=32",
    ),
    "toy": ("model=toy_2d",),
}
BENCHES = {"wan": "prompts_video", "sit": "imagenet", "dit": "imagenet", "toy": "gmm"}
WEAK = {"toy": "builtin"}  # weights of another network in the place of a weaker one; of the others random ones
SAMPLERS = ("euler", "ddim")  # one evaluation a step, so that every method suits; the second of variance-preserving models
# Knobs that a small network needs: presets name blocks of the large one.
KNOBS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("s2", "s2_naive"), ("guidance.drop_ratio=null", "guidance.drop_blocks=1")),
    **dict.fromkeys(("slg", "pruned", "stg", "pag", "seg", "sgg", "stg_official"), ("guidance.layers=[2]",)),
}
ONE = ("guidance.scale=1",)
# What switches each method off, and what it then is: "base" (cond, for a method that stands on its own) or what is typed.
NEUTRAL: Mapping[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(("cfg", "apg", "adg", "autoguidance", "tcfg", "mambo_g", "smc_cfg", "tdg"), (ONE, "base")),
    "cfgpp": (("guidance.lam=0",), "guidance=cfg guidance.scale=0"),
    "cfg_zero": ((*ONE, "guidance.zero_init=0"), "base"),
    "fdg": ((*ONE, "guidance.high_scale=1"), "base"),
    "rectified_cfgpp": (("guidance.lam=0",), "base"),
    "sgg": (("guidance.split=1", "guidance.scale=2"), "guidance=cfg guidance.scale=2"),
    **dict.fromkeys(("s2", "s2_naive"), (("guidance.omega=0",), "base")),
    **{name: ((f"guidance.{name}_scale=0",), "base") for name in ("slg", "stg", "pag", "seg")},
    "stg_official": (("guidance.stg_scale=0",), "base"),
    "tag": (("guidance.eta=1",), "base"),
    "nag": (("guidance.nag_scale=1",), "base"),
}


@dataclass(frozen=True)
class Finding:
    """What was found of a method on a family. difference: root mean square of samples less the base's, relative to these.

    refused: why it cannot be run there, before anything is loaded. wrong: what is not as it should be.
    """

    method: str
    family: str
    difference: float | None = None
    sampler: str = ""
    refused: str = ""
    wrong: tuple[str, ...] = ()


class Small:
    """A small network of a family and the samples of methods on it, base methods' kept."""

    def __init__(self, family: str) -> None:
        self.family = family
        self._plain: dict[str, Tensor] = {}

    def typed(self, method: str, *more: str) -> tuple[Guidance, Sampler, str]:
        """Return method and sampler as they are typed, and the sampler's name; UserError where every sampler refuses."""
        errors = []
        for sampler in SAMPLERS:
            weak = [f"guidance.weak={self.weak}"] if method == "autoguidance" else []
            typed = (*self.model, f"sampler={sampler}", f"sampler.steps={STEPS}", f"guidance={method}")
            try:
                about = outline(compose_config(*typed, *KNOBS.get(method, ()), *weak, *more))
            except UserError as error:
                errors.append(error)
                if not str(error).startswith("sampler ="):
                    raise
                continue
            return about.guidance, about.sampler, type(about.sampler).__name__
        raise errors[-1]

    @property
    def model(self) -> list[str]:
        """What is typed to make the network, and a bench whose items it makes."""
        return [*FAMILIES[self.family], f"bench={BENCHES.get(self.family, 'prompts')}"]

    @property
    def weak(self) -> str:
        """The weights of another network in the place of a weaker one."""
        return WEAK.get(self.family, "random:1")

    @cached_property
    def config(self) -> ModelConfig:
        """The network as configured."""
        return outline(compose_config(*self.model, "guidance=none")).model

    @cached_property
    def networks(self) -> tuple[Denoiser, Denoiser]:
        """The network, and the one in the place of a weaker one."""
        adapter = MODELS.load(self.config.family)
        models = (self.config, WeakConfig.of(self.config, self.weak, {}))
        return tuple(adapter.load(model, torch.device("cpu"), torch.float32) for model in models)  # type: ignore[return-value]

    @cached_property
    def conditioning(self) -> dict[str, Conditioning]:
        """Conditions of the two items."""
        network, weak = self.networks
        with Evaluator(network, weak=Evaluator(weak)) as evaluator:
            return evaluator.encode(TEXTS if self.config.reads_text else (0, 1))

    def sampled(self, guidance: Guidance, sampler: Sampler, unit: int = 0) -> Tensor:
        """Sample a unit's latents."""
        network, weak = self.networks
        other = Evaluator(weak) if guidance.weaker is not None else None
        items = tuple(range(unit * BATCH, (unit + 1) * BATCH))
        with Evaluator(network, weak=other) as evaluator:
            return sample(evaluator, guidance, sampler, self.conditioning, Unit(unit, items, 0, 0)).latents

    def plain(self, guidance: Guidance, sampler: Sampler) -> Tensor:
        """Sample a base method once."""
        key = f"{guidance} {sampler}"
        if key not in self._plain:
            self._plain[key] = self.sampled(guidance, sampler)
        return self._plain[key]

    def left_behind(self) -> list[str]:
        """Return the modules of both networks whose call is still somebody else's."""
        modules = zip(("", "weaker network: "), (denoiser.network.named_modules() for denoiser in self.networks), strict=True)
        return [f"{whose}{name}" for whose, named in modules for name, module in named if getattr(module, SLOT) is not None]


def examine(method: str, small: Small) -> Finding:
    """Try a method on a small network."""
    try:
        guidance, sampler, used = small.typed(method)
    except UserError as error:
        return Finding(method, small.family, refused=str(error).splitlines()[0])
    try:
        return Finding(method, small.family, *_tried(method, guidance, sampler, used, small))
    except UserError as error:  # known only once the network is there
        return Finding(method, small.family, sampler=used, refused=str(error).splitlines()[0])


@dataclass(frozen=True)
class Cond(NoGuidance):
    """Cond alone, in the space of the method that it is compared with: converting there and back rounds."""

    of: Space

    @property
    def space(self) -> Space:
        return self.of


def base_of(guidance: Guidance) -> Guidance:
    """Return what a method builds on: the method inside, or cond alone; channels and windows stay around."""
    if isinstance(guidance, Channels | Windowed):
        return replace(guidance, inner=base_of(guidance.inner))
    return guidance.inside if isinstance(guidance, Wrapper) else Cond(guidance.space)


def _tried(
    method: str, guidance: Guidance, sampler: Sampler, used: str, small: Small
) -> tuple[float, str, str, tuple[str, ...]]:
    wrong, base = [], base_of(guidance)
    got, plain = small.sampled(guidance, sampler), small.plain(base, sampler)
    difference = float((got - plain).square().mean().sqrt() / plain.square().mean().sqrt())
    if method != "none" and not difference > 0:
        wrong.append("it changes nothing")
    if method == "none" and difference > 0:
        wrong.append("it is not cond alone")
    if left := small.left_behind():
        wrong.append(f"not given back: {', '.join(left[:3])}")
    small.sampled(guidance, sampler, unit=1)
    if not torch.equal(small.sampled(guidance, sampler), got):
        wrong.append("a unit is another one after another unit")
    if method in NEUTRAL:
        knobs, becomes = NEUTRAL[method]
        neutral, _, _ = small.typed(method, *knobs)
        name, *typed = becomes.removeprefix("guidance=").split()
        want = base_of(neutral) if becomes == "base" else small.typed(name, *typed)[0]
        if not torch.equal(small.sampled(neutral, sampler), small.plain(want, sampler)):
            wrong.append(f"with {' '.join(knobs)} it is not {becomes}")
    return difference, used, "", tuple(wrong)


def examine_all(methods: Iterable[str] = (), families: Iterable[str] = ()) -> Iterator[Finding]:
    """Try each method on each family; none named: all."""
    for family in families or FAMILIES:
        small = Small(family)
        for method in methods or GUIDANCE:
            yield examine(method, small)
