"""How a method of your own joins: one call, and it is a `guidance=` like the others (docs/add-a-method.md)."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from hydra.core.config_store import ConfigStore

from s2g.config.registry import GUIDANCE
from s2g.errors import UserError

KNOBS_OF_ALL = ("window", "channels")
DRAWN = {"drop": ("drop_ratio", "drop_blocks")}  # fields that are typed under other names


def add_method(name: str, method: type, summary: str = "") -> None:
    """Make a frozen dataclass known as `guidance=NAME`, with its fields as knobs; also under S2 and the other wrappers.

    UserError if the name is taken or the class is no frozen dataclass. Workers import the class from the file it is in.
    """
    if name in GUIDANCE.entries:
        raise UserError(f"add_method: there is a method {name} already", allowed=f"a name other than {', '.join(GUIDANCE)}")
    if not is_dataclass(method) or not method.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise UserError(f"add_method: {method.__name__} is no frozen dataclass", todo="@dataclass(frozen=True) above it")
    GUIDANCE.add(name, f"{method.__module__}:{method.__qualname__}", summary or (method.__doc__ or name).splitlines()[0])
    own = [knob for f in fields(method) for knob in DRAWN.get(f.name, (f.name,))]
    over = ("scale", "base_args") if "base" in own else ()
    knobs = dict.fromkeys((*own, *over, *KNOBS_OF_ALL))
    ConfigStore.instance().store(group="guidance", name=name, node={"name": name, **knobs})
