"""From knobs to a method: method default < model preset < what the user typed, in this one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from s2g.config.coerce import at_least, coerce, only
from s2g.config.knob import DEFAULT, TYPED, Knob, default_comment
from s2g.config.plugins import TYPED_AS
from s2g.config.registry import GUIDANCE
from s2g.errors import UserError, unknown
from s2g.guidance.base import Guidance
from s2g.guidance.channels import Channels
from s2g.guidance.masks import DROP_RATIO, check_drop, drop_count, indices, never_drawn
from s2g.guidance.window import Window, Windowed

EITHER_OR = (("drop_blocks", "drop_ratio"), ("lam", "scale"), ("r", "r_rms"))  # typing one unsets the other's preset
OF_A_FORM = ("eta", "r", "r_rms", "momentum")  # what a preset says of these holds for its form alone


@dataclass(frozen=True)
class Fit:
    """What of a model a method's knobs depend on."""

    num_blocks: int
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    channels: int | None = None  # guided channels
    latent_channels: int | None = None


def assemble(name: str, typed: Mapping[str, Any], fit: Fit, trace: list[Knob] | None = None) -> Guidance:
    """Build the method `name` with its knobs resolved; UserError names what is out of range, unknown or contradictory.

    trace: every effective knob is appended to it, with its source.
    """
    given = {key: value for key, value in typed.items() if value is not None and key not in ("name", "channels")}
    channels = typed.get("channels")
    trace = [] if trace is None else trace
    method = _method(name, given, dict.fromkeys(given, TYPED), fit, trace)
    count = fit.channels if channels is None else coerce(int, channels, "guidance.channels")
    trace.append(Knob("guidance.channels", count, DEFAULT if count is None else "channels" if channels is None else TYPED))
    if count is None:
        return method
    at_least(count, 1, "guidance.channels")
    if fit.latent_channels is not None and count > fit.latent_channels:
        raise UserError(
            f"guidance.channels = {count}: the model has {fit.latent_channels}", allowed=f"1 to {fit.latent_channels}"
        )
    return method if count == fit.latent_channels else Channels(method, count)


def _method(
    name: str,
    given: Mapping[str, Any],
    sources: Mapping[str, str],
    fit: Fit,
    trace: list[Knob],
    key: str = "guidance",
) -> Guidance:
    """Build one method from the knobs given for it; sources: where each of these is from."""
    cls = GUIDANCE.load(name)
    kinds = get_type_hints(cls)
    knob_names = {f.name for f in fields(cls)}
    preset = dict(fit.presets.get(name, {}))
    for pair in EITHER_OR:
        if pair[0] in knob_names and pair[1] in knob_names and all(knob in given for knob in pair):
            raise UserError(
                f"{key}.{pair[0]} = {given[pair[0]]} and {key}.{pair[1]} = {given[pair[1]]}: both were given",
                todo="keep one of them",
            )
        if any(knob in given for knob in pair):
            preset = {knob: value for knob, value in preset.items() if knob not in pair}
    if "form" in knob_names and given.get("form") not in (None, preset.get("form", cls.form)):  # the preset is of another form
        preset = {knob: value for knob, value in preset.items() if knob not in OF_A_FORM}
    knobs = {**preset, **given}
    values: dict[str, Any] = {}

    if "base" in knob_names:
        source = sources.get("base", f"presets.{name}" if "base" in preset else DEFAULT)
        base = coerce(str, knobs.pop("base", "cfg"), "guidance.base")
        trace.append(Knob("guidance.base", base, source))
        scale = {"scale": coerce(float, knobs.pop("scale"), "guidance.scale")} if "scale" in knobs else {}
        possible = [other for other in GUIDANCE if other != name] if getattr(cls, "around_wrappers", False) else bases()
        if base not in possible:
            raise unknown(
                "guidance.base",
                base,
                possible,
                todo="a base method stands on its own; one of your own: --with FILE.py after the command",
            )
        arguments = knobs.pop("base_args", None) or {}
        if not isinstance(arguments, Mapping):
            raise UserError(
                f"guidance.base_args = {arguments}: not a mapping", allowed="e.g. guidance.base_args={window: [0.1, 0.9]}"
            )
        strengths = {"scale", "lam"} & set(given.get("base_args") or {})
        if strengths and "scale" in given:
            raise UserError(f"guidance.scale and guidance.base_args.{min(strengths)}: both were given", todo="keep one of them")
        if strengths or ("scale" not in given and base != preset.get("base", "cfg")):
            scale = {}  # what was typed goes before a preset, and a preset's scale is of the base that it was chosen over
        if scale and not {"scale", "base"} & {f.name for f in fields(GUIDANCE.load(base))}:
            if "scale" in given:
                raise UserError(
                    f"guidance.scale = {given['scale']}: its base, {base}, has no scale", todo="leave guidance.scale out"
                )
            scale = {}
        own = f"presets.{name}"
        of_base = dict.fromkeys(arguments, sources.get("base_args", own)) | dict.fromkeys(scale, sources.get("scale", own))
        values["base"] = _method(base, {**arguments, **scale}, of_base, fit, trace, "guidance.base_args")
    if "drop" in knob_names:
        protect = coerce(tuple[int, ...], knobs.pop("protect", (0,)), "guidance.protect")
        values["protect"] = indices(protect, fit.num_blocks, "guidance.protect")
        blocks = coerce(int | None, knobs.pop("drop_blocks", None), "guidance.drop_blocks")
        ratio = coerce(float | None, knobs.pop("drop_ratio", None if blocks is not None else DROP_RATIO), "guidance.drop_ratio")
        values["drop"] = drop_count(blocks, ratio, fit.num_blocks)
        typed = f"drop_ratio = {ratio} ({values['drop']} blocks)" if blocks is None else f"drop_blocks = {blocks}"
        never = never_drawn(values["protect"], str(knobs.get("draw", "any")), fit.num_blocks)
        check_drop(values["drop"], never, fit.num_blocks, f"guidance.{typed}")
    if "layers" in knob_names:
        layers = coerce(tuple[int, ...], knobs.pop("layers", (fit.num_blocks // 2,)), "guidance.layers")
        values["layers"] = indices(layers, fit.num_blocks, "guidance.layers")
    window = read_window(knobs.pop("window")) if "window" in knobs else None
    if window is not None and "window" in knob_names:
        values["window"] = window
    only((knob_names - {"base", "drop", "layers"}) | {"window"}, knobs, key)
    values.update({knob: coerce(kinds[knob], value, f"{key}.{knob}") for knob, value in knobs.items()})
    method = cls(**values)
    trace += _traced(name, method, window, preset, sources, key)
    return Windowed(method, window) if window is not None and "window" not in knob_names else method


def _traced(
    name: str, method: Guidance, window: Window | None, preset: Mapping[str, Any], sources: Mapping[str, str], key: str
) -> list[Knob]:
    """Return the knobs of one method with their sources; of a wrapper without its base, which is traced by itself."""
    found = []
    for knob, value in ({"window": window} | {f.name: getattr(method, f.name) for f in fields(method)}).items():  # type: ignore[arg-type]
        if knob == "base":
            continue
        typed = [other for other in TYPED_AS.get(knob, (knob,)) if other in sources or other in preset]
        source = next((sources.get(other, f"presets.{name}") for other in typed), DEFAULT)
        shown = "guidance.scale" if knob == "scale" else f"{key}.{'drop_blocks' if knob == 'drop' else knob}"
        found.append(Knob(shown, value, source, default_comment(type(method), knob) if source == DEFAULT else ""))
    return found


def bases() -> list[str]:
    """List the methods that stand on their own."""
    return [name for name in GUIDANCE if "base" not in {f.name for f in fields(GUIDANCE.load(name))}]


def read_window(value: Any) -> Window:
    """Read a window from [start, stop] or {start, stop, by}."""
    if isinstance(value, Mapping):
        only({"start", "stop", "by"}, value, "guidance.window")
        start, stop = (coerce(float, value.get(k, d), f"guidance.window.{k}") for k, d in (("start", 0.0), ("stop", 1.0)))
        return Window(start, stop, coerce(str, value.get("by", "step"), "guidance.window.by"))
    bounds = coerce(tuple[float, ...], value, "guidance.window")
    if len(bounds) != 2:
        raise UserError(f"guidance.window = {value}", allowed="two bounds, e.g. guidance.window=[0.1,0.9]")
    return Window(*bounds)
