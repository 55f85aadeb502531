"""An effective knob and where its value comes from: typed, a preset of the model's YAML, or the default of its class."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from s2g.config.schema import config_dir
from s2g.io.yaml_files import LOADER

TYPED, DEFAULT = "typed", "default"


@dataclass(frozen=True)
class Knob:
    """One knob of a method or sampler: its key as users type it, its value, and its source."""

    key: str
    value: Any
    source: str  # TYPED, DEFAULT, or the dotted key of a preset in the model's YAML: presets.cfg, sampler
    said: str = ""  # of a default: the comment in its class

    def origin(self, model: str) -> str:
        """Return the source in words, with what configs/model/MODEL.yaml or the class says of it."""
        if self.source in (TYPED, DEFAULT):
            name, said = self.source, self.said
        else:
            name, said = f"{model}'s {self.source}", preset_comment(model, self.source)
        return f"{name} ({said})" if said else name


def preset_comment(model: str, place: str) -> str:
    """Return the comment at a dotted key of a model's YAML, or above its block of keys; "" if there is none."""
    path = config_dir() / "model" / f"{model}.yaml"
    if not path.is_file():
        return ""
    text = path.read_text()
    lines, node, at = text.splitlines(), yaml.compose(text, Loader=LOADER), list[int]()
    for key in place.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        pair = next((pair for pair in pairs if pair[0].value == key), None)
        if pair is None:
            return ""
        at.append(pair[0].start_mark.line)
        node = pair[1]
    if beside := re.search(r"#\s*(.*)", lines[at[-1]]):
        return beside[1]
    above = [lines[line - 1].strip() for line in reversed(at) if line]
    return next((line.lstrip("# ") for line in above if line.startswith("#")), "")


def default_comment(cls: type, name: str) -> str:
    """Return the comment beside a field's default in the source of its class; "" if there is none or no source."""
    for owner in cls.__mro__:
        if name in inspect.get_annotations(owner):
            found = re.search(rf"^    {name}:[^#\n]*# *(.*)$", _source(owner), re.MULTILINE)
            return found[1] if found else ""
    return ""


@cache
def _source(owner: type) -> str:
    """Return the source of a class, "" if there is none; it takes 10 ms to find, and every run asks."""
    try:
        return inspect.getsource(owner)
    except (OSError, TypeError):
        return ""
