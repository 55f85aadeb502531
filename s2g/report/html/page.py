"""One HTML file that holds everything it shows: it opens from a disk, a mail or a web server, and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

SCRIPTS = ("films.js", "page.js")  # one after the other, as one
Pairs = Sequence[tuple[str, str]]  # names and what they stand for, in the order shown


@dataclass(frozen=True)
class Method:
    """A column of choices: `name` goes into links, `label` is read."""

    name: str
    label: str


@dataclass(frozen=True)
class Shot:
    """One image or video of one method, and what was read off it."""

    src: str  # a data URI, of a video an mp4's
    marks: Mapping[str, bool] = field(default_factory=dict)  # by name of what was looked at: whether it is as asked for
    remark: str = ""
    poster: str = ""  # of a video: its middle frame as a data URI, for where nothing plays

    @property
    def still(self) -> str:
        """What an <img> can show."""
        return self.poster or self.src

    @property
    def wrong(self) -> list[str]:
        """What is not as asked for."""
        return [name for name, right in self.marks.items() if not right]


@dataclass(frozen=True)
class Item:
    """One start noise: its prompt in words, and a shot for each method in the gallery's order."""

    name: str
    caption: str
    shots: Sequence[Shot]


@dataclass(frozen=True)
class Gallery:
    """The same noises under several methods; `held` indexes the method shown while a key is held."""

    methods: Sequence[Method]
    items: Sequence[Item]
    held: int
    start: int  # the item shown first
    note: str  # which items these are
    legend: str  # what a frame means
    side: int = 384  # pixels of the large image's width: a whole multiple of its own where it is pixelated
    pixelated: bool = False
    fps: int = 0  # frames a second of videos; 0: images
    ratio: float = 1.0  # of width to height

    @property
    def what(self) -> str:
        """What its shots are."""
        return "video" if self.fps else "image"

    def plain(self) -> dict[str, Any]:
        """What the script needs, as plain data."""
        choices = {"methods": [asdict(m) for m in self.methods], "items": [asdict(i) for i in self.items]}
        return {**choices, "held": self.held, "start": self.start, "fps": self.fps}


@dataclass(frozen=True)
class NumberTable:
    """Rows of text; the first cell of a row names it, "84.4±3.1" is a value and half its interval."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    clear: frozenset[tuple[int, int]] = frozenset()  # (row, column) of differences whose interval leaves out 0
    breaks: frozenset[int] = frozenset()  # rows that begin another kind of number
    groups: Sequence[tuple[str, int]] = ()  # headings above the head, each with how many columns it spans
    divides: frozenset[int] = frozenset()  # columns before which a line stands
    theirs: frozenset[int] = frozenset()  # columns of somebody else's numbers: the paper's
    absent: frozenset[tuple[int, int]] = frozenset()  # (row, column) of words where a number could be
    links: Mapping[int, str] = field(default_factory=dict)  # row -> where its name leads


@dataclass(frozen=True)
class RunFacts:
    """What made a run's samples, and what that cost."""

    label: str
    brief: str
    key: str
    command: str
    cost: Pairs
    knobs: Pairs


@dataclass(frozen=True)
class DemoPage:
    """Everything the demo's page shows."""

    title: str
    lead: Sequence[str]  # paragraphs
    gallery: Gallery
    table: NumberTable
    words: Pairs  # what the rows of the table mean
    runs: Sequence[RunFacts]
    facts: Pairs  # date, machine, versions
    columns: int = 12  # items shown side by side


def demo_page(page: DemoPage) -> str:
    """The demo's page as HTML; whatever text it is given is shown as text."""
    return render("demo.html.j2", page=page)


def render(template: str, **parts: Any) -> str:
    """A template that extends base.html.j2, with the one script that its policy lets run."""
    environment = templates()
    source = "".join(environment.loader.get_source(environment, name)[0] for name in SCRIPTS)  # type: ignore[union-attr]
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return environment.get_template(template).render(script=source, script_hash=f"sha256-{digest}", **parts)


@cache
def templates() -> Environment:
    """The templates of s2g/report/html/templates, escaping everything."""
    loader = PackageLoader("s2g.report.html", "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.policies["json.dumps_kwargs"] = {"sort_keys": False}  # marks keep their order
    return made


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """A file's bytes as an address that is part of the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
