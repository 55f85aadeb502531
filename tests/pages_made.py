"""A page of synthetic images, for the tests of pages."""

from __future__ import annotations

import numpy as np

from s2g.report.gallery import Gallery, Item, Method, Shot
from s2g.report.html.demo import DemoPage, RunFacts
from s2g.report.media import data_uri
from s2g.report.tables import Cell, Column, Row, Table
from s2g.store.items import png

METHODS = (Method("none", "no guidance"), Method("cfg", "CFG"), Method("s2", "S²-Guidance"))


def source(item: int, method: int) -> str:
    """An image that no other item or method has."""
    image = np.full((32, 32, 3), 40, np.uint8)
    image[4 : 8 + item % 24, 4 : 12 + 8 * method] = (250, 2 * item, 80 * method)
    return data_uri(png(image))


def page_of(caption: str = "a red circle", label: str = "S²-Guidance", knob: str = "0.25", count: int = 20) -> DemoPage:
    """A page of synthetic images; the first method gets the texture of every third item wrong."""
    methods = (*METHODS[:2], Method("s2", label))
    items = []
    for i in range(count):
        marks = [{"shape": True, "color": True, "texture": bool(m or i % 3)} for m in range(3)]
        shots = [Shot(source(i, m), marks[m], "" if marks[m]["texture"] else "reads: solid") for m in range(3)]
        items.append(Item(str(i), f"{caption} {i}", shots))
    scores = [Cell("81.2±4.2"), Cell("95.7±2.6"), Cell("95.3±2.9"), Cell("-14.5±3.8", bold=True), Cell("-0.4±0.8")]
    rows = [Row("all right % ↑", scores), Row("calls", [*map(Cell, ("28", "56", "79", "", ""))], rule=True)]
    columns = [Column("no guidance"), Column("CFG"), Column(label)]
    columns += [Column("no guidance", "delta", group="Δ", rule=True), Column(label, "delta", group="Δ")]
    return DemoPage(
        title=f"Title {caption}",
        lead=[f"What is seen: {caption}."],
        gallery=Gallery(methods, items, held=1, start=3, note="all", legend="a frame: wrong", pixelated=True),
        table=Table(columns, rows),
        note="note",
        words=[("all right", caption)],
        runs=[
            RunFacts(m.label, "28 calls", f"key-{m.name}", "python run.py", [("ms", "3")], [("omega", knob)]) for m in methods
        ],
        facts=[("torch", "2")],
    )
