"""The steps at which a guidance method acts, counted before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

from s2g.errors import UserError
from s2g.guidance.base import Guidance, MaskSampler, Requirement, Step, Wrapper
from s2g.sampling.base import Sampler

SEARCHED = 100  # numbers of steps above the one given, searched for one at which the method acts


def check_activity(name: str, guidance: Guidance, sampler: Sampler, num_blocks: int) -> None:
    """Raise UserError if the method `name`, or the base method inside it, acts at no step of the sampler."""
    for method_name, method in _layers(name, guidance):
        if active_steps(method, sampler, num_blocks):
            continue
        raise UserError(
            f"guidance = {name}: {method_name} acts in none of the {sampler.steps} steps",
            allowed=_first_allowed(method, sampler, num_blocks),
            todo="change sampler.steps, or the knob that switches the method off (guidance.window, guidance.zero_init)",
        )


def check_acts(guidance: Guidance, levels: Sequence[float], num_blocks: int) -> None:
    """Raise UserError if a method, or the base method inside it, acts at no step between the noise levels of a loop."""
    for _, method in _layers("", guidance):
        if Requirement.STEPS in method.needs and not any(method.acts(step) for step in _steps(levels, num_blocks)):
            raise UserError(
                f"{method}: it acts in none of the {len(levels) - 1} steps",
                todo="more steps, or another value of the knob that switches it off: window=s2g.Window(0, 1), zero_init=0",
            )


def activity_line(name: str, guidance: Guidance, sampler: Sampler, num_blocks: int) -> str:
    """Return "s2 is active in 23 of 28 steps" (and its base's steps likewise); "" if nothing is ever switched off.

    A method whose knobs make it neutral is left out: it is active in none, whatever its window.
    """
    acting = [(layer, method) for layer, method in _layers(name, guidance) if not method.neutral]
    counts = [(layer, len(active_steps(method, sampler, num_blocks))) for layer, method in acting]
    return "; ".join(f"{layer} is active in {n} of {sampler.steps} steps" for layer, n in counts if n < sampler.steps)


def method_notes(name: str, guidance: Guidance, sampler: Sampler, num_blocks: int) -> list[str]:
    """Return what a plan and a score state about a method: partial activity, and weights below 0."""
    negative = [f"{knob} = {value:g}: a weight below 0 steers the other way" for knob, value in _negative_weights(guidance)]
    activity = activity_line(name, guidance, sampler, num_blocks)
    neutral = [f"{layer} is active in 0 of {sampler.steps} steps: {why}" for layer, why in _neutral(name, guidance)]
    return [*([activity] if activity else []), *neutral, *negative]


def _neutral(name: str, guidance: Guidance) -> Iterator[tuple[str, str]]:
    """Yield the method, and its base, where its knobs make it what it builds on: legal as a point of a sweep."""
    return ((layer, method.neutral) for layer, method in _layers(name, guidance) if method.neutral)


def _negative_weights(guidance: Guidance) -> Iterator[tuple[str, float]]:
    for f in fields(guidance) if is_dataclass(guidance) else ():
        value = getattr(guidance, f.name)
        if isinstance(value, float) and guidance.neutral.startswith(f"{f.name} = {value:g}:"):
            continue  # ADG's: this very value switches it off, so that it steers nowhere
        if (f.name in ("scale", "omega") or f.name.endswith("_scale")) and isinstance(value, float) and value < 0:
            yield f"guidance.{f.name}", value
    if isinstance(guidance, Wrapper):
        yield from _negative_weights(guidance.inside)


def active_steps(guidance: Guidance, sampler: Sampler, num_blocks: int) -> list[int]:
    """Return the indices of the steps at which a method acts; all of them if it does not need numbered steps."""
    if Requirement.STEPS not in guidance.needs:
        return list(range(sampler.steps))
    return [step.index for step in _steps(sampler.levels(), num_blocks) if guidance.acts(step)]


def _steps(levels: Sequence[float], num_blocks: int) -> Iterator[Step]:
    no_latents: Any = None
    for index, (level, next_level) in enumerate(pairwise(levels)):
        draws = MaskSampler(0, 0, index, num_blocks)
        yield Step(index, len(levels) - 1, level, next_level, level, 0, no_latents, draws)


def _layers(name: str, guidance: Guidance) -> Iterator[tuple[str, Guidance]]:
    """Yield the method and, where it stands around a base method, the base; a window and channels belong to their method."""
    yield name, guidance
    while isinstance(guidance, Wrapper):
        base = getattr(guidance, "base", None)
        guidance = guidance.inside
        if base is not None:
            yield "its base method", guidance


def _first_allowed(guidance: Guidance, sampler: Sampler, num_blocks: int) -> str:
    if not is_dataclass(sampler) or "steps" not in {f.name for f in fields(sampler)}:
        return ""
    for count in range(sampler.steps + 1, sampler.steps + 1 + SEARCHED):
        other: Any = replace(sampler, steps=count)  # type: ignore[type-var]
        if steps := active_steps(guidance, other, num_blocks):
            return f"e.g. sampler.steps={count}, where it acts in step {steps[0]} (the first is step 0)"
    return ""
