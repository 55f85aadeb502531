"""study.yaml: what participants read and are asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Required  # pydantic asks for this one below Python 3.12

from pydantic import ConfigDict
from typing_extensions import TypedDict

from s2g.errors import UserError, unknown
from s2g.experiments.yaml_lines import Located

STRICT = ConfigDict(extra="forbid")
CHOICES = ("several", "one")
NAME = re.compile(r"[a-z][a-z0-9_]*")
OVERALL = "overall"  # the name of all criteria together in reports
LONGEST_WAIT = 600  # seconds


class CriterionShape(TypedDict, total=False):
    """A question of every page."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    label: Required[str]
    question: Required[str]


class StudyShape(TypedDict, total=False):
    """The whole file."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    title: Required[str]
    instructions: Required[str]
    thanks: Required[str]
    criteria: Required[dict[str, CriterionShape]]
    choice: str
    least_seconds: int | float


@dataclass(frozen=True)
class Criterion:
    """A question: its name in results, a short label, and the question in full."""

    name: str
    label: str
    question: str


@dataclass(frozen=True)
class StudySpec:
    """What participants read and are asked."""

    title: str
    instructions: str
    thanks: str
    criteria: tuple[Criterion, ...]
    several: bool = True  # whether more than one picture may be chosen
    least_seconds: float = 0.0  # before a page can be answered

    @property
    def fixed(self) -> str:
        """Return what may not change once somebody has answered."""
        return f"choice {'several' if self.several else 'one'}, criteria {', '.join(one.name for one in self.criteria)}"


def default_text() -> str:
    """Return the study.yaml that new studies start from."""
    return (files("s2g.study") / "study.yaml").read_text(encoding="utf-8")


def read_specification(path: Path) -> StudySpec:
    """Read a study.yaml; UserError with file and line for a mistake."""
    file = Located.of(path, todo="s2g study new makes one")
    file.check(StudyShape)
    raw: Mapping = file.content
    with file.at("criteria"):
        if not raw["criteria"]:
            raise UserError("criteria: none", allowed="at least one")
    for name in raw["criteria"]:
        with file.at("criteria", name):
            if not NAME.fullmatch(name) or name == OVERALL:
                raise UserError(f"criteria.{name}", allowed=f"a-z, 0-9 and _, beginning with a letter; not {OVERALL}")
    choice, least = raw.get("choice", "several"), float(raw.get("least_seconds", 0))
    with file.at("choice"):
        if choice not in CHOICES:
            raise unknown("choice", choice, CHOICES)
    with file.at("least_seconds"):
        if not 0 <= least <= LONGEST_WAIT:
            raise UserError(f"least_seconds = {least:g}", allowed=f"0 to {LONGEST_WAIT}")
    criteria = tuple(Criterion(name, about["label"], about["question"]) for name, about in raw["criteria"].items())
    return StudySpec(raw["title"], raw["instructions"], raw["thanks"], criteria, choice == "several", least)
