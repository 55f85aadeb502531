"""Guiders for Modular Diffusers: `pipe.update_components(guider=S2Guidance(guidance_scale=7.5, omega=0.25))`.

A modular loop makes one pass for each prediction that a guider asks for, cond first. The blocks are under our control
during each pass: cond's keeps the state at which the edited pass forks off, and that one resumes there. Equations and masks
are those of our methods. A pipeline of a family whose loop consults no guider (Flux.1) is `s2g.guide`'s.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.guiders.guider_utils import BaseGuidance, GuiderOutput
from torch import Tensor, nn

from s2g.guidance.base import Guidance, MaskSampler, Step
from s2g.guidance.cfg import CFG
from s2g.guidance.pag import PAG
from s2g.guidance.s2 import S2
from s2g.guidance.slg import SLG
from s2g.guidance.window import Window
from s2g.network.architectures import blocks_of
from s2g.network.blocks import State
from s2g.network.branch import COND, UNCOND, AttentionEdit
from s2g.network.control import BlockControl, Pass
from s2g.network.reuse_check import VERDICTS, check_points, holds
from s2g.network.watch import BlockWatch, check_order
from s2g.sampling.activity import check_acts

CONDITIONAL, UNCONDITIONAL, EDITED = "pred_cond", "pred_uncond", "pred_edited"


class MethodGuidance(BaseGuidance):
    """What our guiders share: the passes of one step, and what is done to the blocks in each."""

    _input_predictions = [CONDITIONAL, UNCONDITIONAL, EDITED]  # noqa: RUF012  # as the base class has it

    def __init__(self, start: float, stop: float, enabled: bool) -> None:
        super().__init__(start, stop, enabled)
        self.masks: list[dict[int, tuple[int, ...]]] = []  # of the last run, by step
        self._branches: Any = None  # of this step, once the network has been seen
        self._open: ExitStack | None = None
        self._kept: dict[int, State] = {}

    @property
    def method(self) -> Guidance:
        """The method, with its window."""
        raise NotImplementedError

    def set_state(self, step: int, num_inference_steps: int, timestep: torch.LongTensor) -> None:
        """Begin a step."""
        super().set_state(step, num_inference_steps, timestep)
        self._branches = None
        if step == 0:
            if self._enabled:
                check_acts(self.method, [1 - i / num_inference_steps for i in range(num_inference_steps + 1)], 1000)
            self.masks, self._memory = [], self.method.start()

    @property
    def names(self) -> list[str]:
        """The predictions of this step, in the order of their passes."""
        if not self._enabled:
            return [CONDITIONAL]
        if self._step is None:  # a pipeline asks, before its loop, whether it needs a negative prompt
            return self._input_predictions
        # Masks need the number of blocks, and the network is seen with the first pass; how many passes does not.
        branches = self.method.branches(self._at(num_blocks=1000))
        return [name for name, wanted in zip(self._input_predictions, _kinds(branches), strict=True) if wanted]

    def _at(self, num_blocks: int) -> Step:
        draws = MaskSampler(self.config.get("seed", 0), 0, self._step, num_blocks)
        nowhere: Any = torch.empty(0)  # none of these methods asks where x is, or how noisy
        return Step(self._step, self._num_inference_steps, 1.0, 0.0, 1.0, 0, nowhere, draws)

    def prepare_inputs(self, data: Any) -> list[Any]:
        return [self._prepare_batch(data, int(name == UNCONDITIONAL), name) for name in self.names]

    def prepare_inputs_from_block_state(self, data: Any, input_fields: Any) -> list[Any]:
        names = self.names
        return [self._prepare_batch_from_block_state(input_fields, data, int(n == UNCONDITIONAL), n) for n in names]

    def prepare_models(self, denoiser: nn.Module) -> None:
        """Put the blocks under control for the next pass; its end, and also its failure, gives them back."""
        super().prepare_models(denoiser)
        self._close()
        name = self.names[self._count_prepared - 1]
        if name == UNCONDITIONAL or not self._enabled:
            return
        blocks = blocks_of(denoiser)
        if self._count_prepared == 1:
            self._step_under_way = self._at(len(blocks))
            self._branches = self.method.branches(self._step_under_way)
            self.masks.append(self._step_under_way.draws.drawn)
        edit = next((branch.edit for branch in self._branches or () if branch.edit is not None), None)
        if edit is None:
            return
        start, points = min(edit.touched), frozenset()
        if name == CONDITIONAL:
            points = check_points(len(blocks)) if denoiser not in VERDICTS else frozenset()
            work = Pass(record=points | {start}, watch=BlockWatch() if points else None)
        else:
            inside = edit if isinstance(edit, AttentionEdit) else None
            resume = (start, self._kept[start]) if VERDICTS.get(denoiser) and start in self._kept else None
            work = Pass(edit.dropped, inside, resume=resume)
        self._open = ExitStack()
        control = self._open.enter_context(BlockControl(blocks))
        self._open.enter_context(control.during(work))

        def ended(network: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            handle.remove()
            if output is not None and name == CONDITIONAL:
                self._kept = work.kept
                if points:
                    check_order(work.ran, blocks)
                    self._verify(network, control, {block: work.kept[block] for block in points}, args, kwargs, output)
            self._close()

        handle = denoiser.register_forward_hook(ended, with_kwargs=True, always_call=True)
        self._open.callback(handle.remove)

    def _verify(
        self, network: nn.Module, control: BlockControl, kept: dict[int, State], args: Any, kwargs: Any, output: Any
    ) -> None:
        """See once for a network whether its passes may resume."""

        def resumed(block: int, state: State) -> Tensor:
            control.current = Pass(resume=(block, state))
            return _first(network(*args, **kwargs))

        holds(network, _first(output), kept, resumed)

    def cleanup_models(self, denoiser: nn.Module) -> None:
        self._close()

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def forward(self, pred_cond: Tensor, pred_uncond: Tensor | None = None, pred_edited: Tensor | None = None) -> GuiderOutput:
        """Combine the predictions, in fp32, rounded once."""
        pred = pred_cond
        if self._enabled and self._branches is not None:
            given = {COND: pred_cond, UNCOND: pred_uncond}
            preds = {b: (pred_edited if b.edit is not None else given[b]) for b in self._branches}
            wide = {branch: value.float() for branch, value in preds.items() if value is not None}
            pred = self.method.combine(wide, self._step_under_way, self._memory).to(pred_cond.dtype)
        self._kept = {}
        return GuiderOutput(pred=pred, pred_cond=pred_cond, pred_uncond=pred_uncond)

    @property
    def is_conditional(self) -> bool:
        return self._count_prepared != 2 if UNCONDITIONAL in self.names else True

    @property
    def num_conditions(self) -> int:
        return len(self.names)


def _kinds(branches: Any) -> tuple[bool, bool, bool]:
    """Return whether cond, uncond and an edited cond are among the branches."""
    found = set(branches)
    return COND in found, UNCOND in found, any(branch.edit is not None for branch in found)


def _first(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


class S2Guidance(MethodGuidance):
    """S2-Guidance over CFG (paper Eq. 4); between start and stop a random sub-network a step, CFG alone outside."""

    @register_to_config
    def __init__(
        self,
        guidance_scale: float = 7.5,
        omega: float = 0.25,
        drop: int = 0,
        protect: tuple[int, ...] = (0,),
        seed: int = 0,
        start: float = 0.1,
        stop: float = 0.9,
        enabled: bool = True,
    ) -> None:
        """drop: blocks left out, 0: about 10 % of them. protect: blocks that never are. seed: of the masks."""
        super().__init__(start, stop, enabled)
        self.settings = S2(CFG(guidance_scale), omega, drop, tuple(protect), Window(start, stop))

    @property
    def method(self) -> Guidance:
        return self.settings


class SkippedLayersGuidance(MethodGuidance):
    """Skip layer guidance over CFG, with both streams of a block in their right places."""

    @register_to_config
    def __init__(
        self,
        layers: tuple[int, ...],
        guidance_scale: float = 7.5,
        slg_scale: float = 2.8,
        start: float = 0.0,
        stop: float = 0.2,
        enabled: bool = True,
    ) -> None:
        """layers: the blocks that are left out in the third pass."""
        super().__init__(start, stop, enabled)
        self.settings = SLG(CFG(guidance_scale), tuple(layers), Window(start, stop), slg_scale)

    @property
    def method(self) -> Guidance:
        return self.settings


class PerturbedGuidance(MethodGuidance):
    """Perturbed-attention guidance over CFG."""

    @register_to_config
    def __init__(
        self,
        layers: tuple[int, ...],
        guidance_scale: float = 7.5,
        pag_scale: float = 3.0,
        start: float = 0.0,
        stop: float = 1.0,
        enabled: bool = True,
    ) -> None:
        """layers: the blocks whose image tokens see only themselves and the text in the third pass."""
        super().__init__(start, stop, enabled)
        self.settings = PAG(CFG(guidance_scale), tuple(layers), Window(start, stop), pag_scale)

    @property
    def method(self) -> Guidance:
        return self.settings
