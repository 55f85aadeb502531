"""Shapes of what a run's folder stores as JSON: a file that does not fit is damaged, whatever its checksum says."""

from __future__ import annotations

from typing import (
    Annotated,
    Any,
    NotRequired,  # pydantic asks for this one below Python 3.12
)

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

OPEN = ConfigDict(extra="allow")  # later versions add keys
Count = Annotated[int, Field(ge=0, le=10**12)]
PlainName = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=100)]  # of a file in items/; no path leaves the folder
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelShape(TypedDict):
    """The model of an identity."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    unit: Annotated[int, Field(ge=1, le=65_536)]


class IdentityShape(TypedDict):
    """What determines the samples."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    model: ModelShape
    items: Any


class FixedShape(TypedDict):
    """What must not change once a run has begun."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    reuse: bool
    compile: NotRequired[str]  # not in runs of the default
    attention: NotRequired[str]


class RunShape(TypedDict):
    """run.json."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    key: str
    identity: IdentityShape
    config: dict[str, dict[str, Any] | int]
    fixed: FixedShape
    num: Annotated[int, Field(ge=0, le=10**9)]
    begun: str
    random_weights: NotRequired[bool]


class EntryShape(TypedDict):
    """An item, or a file beside the items, in a unit's record."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    item: NotRequired[Count]
    sha256: Sha256
    file: NotRequired[PlainName]
    row: NotRequired[Count]
    pixels: NotRequired[Sha256]


class RecordShape(TypedDict):
    """A unit's record."""

    __pydantic_config__ = OPEN  # type: ignore[misc]
    unit: Count
    items: list[EntryShape]
    beside: NotRequired[list[EntryShape]]
    environment: str
    device: str
    seconds: float
    network_seconds: float
    evaluations: float
    flops: float | None  # null: not counted
    peak_memory: int


RUN_FILE: TypeAdapter[RunShape] = TypeAdapter(RunShape)
RECORD: TypeAdapter[RecordShape] = TypeAdapter(RecordShape)
